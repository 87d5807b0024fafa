/* verb_query.c - list, explain, workers: the broker's answer as a table, or as JSON. */
#include "client/cli/query.h"
#include "common/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *query_plain(json_t *string)
{
    char *text = (char *)(uintptr_t)json_string_value(string);

    for (size_t i = 0; i < json_string_length(string); i++)
        if (text[i] == '\0' || cli_is_control((unsigned char)text[i]))
            text[i] = ' ';
    return text;
}

const char *query_text(json_t *object, const char *key)
{
    const char *text = query_plain(json_object_get(object, key));

    return text != NULL && text[0] != '\0' ? text : "-";
}

unsigned long long query_number(json_t *object, const char *key)
{
    return (unsigned long long)json_integer_value(json_object_get(object, key));
}

json_t *query_take(const char **at)
{
    json_error_t error;
    json_t *value =
        json_loads(*at, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (value != NULL)
        *at += error.position; /* bytes read */
    else
        cli_error("the answer cannot be read: %s", error.text);
    return value;
}

/* Print the answer as it came when JSON is wanted; else parse it. NULL: nothing left to do. */
static json_t *open_answer(const struct cli *cli, char *text)
{
    json_t *root = NULL;

    if (cli->output == CLI_JSON || cli->output == CLI_JSONL)
        puts(text);
    else if (cli->output == CLI_TEXT)
        root = json_loads(text, 0, NULL);
    free(text);
    return root;
}

static void print_batches(json_t *batches)
{
    size_t i;
    json_t *batch;

    printf("%-6s %-10s %-14s %12s %12s %8s %8s %10s  %s\n", "BATCH", "STATE", "HANDLER", "TASKS",
           "DONE", "DEAD", "LEASED", "SECONDS", "NAME");
    json_array_foreach(batches, i, batch)
    {
        printf("%-6llu %-10s %-14s %12llu %12llu %8llu %8llu %10.1f  %s\n",
               query_number(batch, "number"), query_text(batch, "state"),
               query_text(batch, "handler"), query_number(batch, "count"),
               query_number(batch, "done"), query_number(batch, "dead"),
               query_number(batch, "leased"), (double)query_number(batch, "elapsed_ms") / 1e3,
               query_text(batch, "name"));
    }
}

int verb_list(struct cli *cli)
{
    struct tri_error error;
    char *text = NULL;
    json_t *root;
    int status = CLI_OK;
    struct tri_client *client = cli_connect(cli, &status);

    if (client == NULL)
        return status;
    if (tri_client_list(client, &text, &error) != TRI_OK) {
        status = cli_fail(&error);
    } else {
        root = open_answer(cli, text);
        if (root != NULL)
            print_batches(json_object_get(root, "batches"));
        json_decref(root);
    }
    tri_client_close(&client);
    return status;
}

static int print_explained(const struct cli *cli,
                           const char *json,
                           const struct selection *selection)
{
    json_t *root = query_take(&json);
    size_t i;
    json_t *line;

    (void)cli;
    (void)selection;
    if (root == NULL)
        return CLI_INTERNAL;
    json_array_foreach(json_object_get(root, "lines"), i, line)
    {
        puts(json_is_string(line) ? query_plain(line) : "?");
    }
    json_decref(root);
    return CLI_OK;
}

int query_each(struct cli *cli, query_fn *query, query_print_fn *print)
{
    struct selections selected;
    struct tri_error error;
    int status = CLI_OK;
    struct tri_client *client = cli_connect(cli, &status);

    if (client == NULL)
        return status;
    if (select_read(cli, client, &selected, &status)) {
        for (size_t i = 0; i < selected.count; i++) {
            char *text = NULL;
            int printed = CLI_OK;

            if (query(client, &selected.items[i], &text, &error) != TRI_OK) {
                status = cli_fail(&error);
                continue;
            }
            if (cli->output == CLI_JSON || cli->output == CLI_JSONL)
                puts(text);
            else if (cli->output == CLI_TEXT)
                printed = print(cli, text, &selected.items[i]);
            if (printed != CLI_OK)
                status = printed;
            free(text);
        }
        select_free(&selected);
    }
    tri_client_close(&client);
    return status;
}

static enum tri_status explain(struct tri_client *client,
                               const struct selection *selection,
                               char **json,
                               struct tri_error *error)
{
    return tri_client_explain(client, selection->number, json, error);
}

int verb_explain(struct cli *cli)
{
    return query_each(cli, explain, print_explained);
}

int verb_workers(struct cli *cli)
{
    struct tri_error error;
    char *text = NULL;
    json_t *root;
    json_t *worker;
    size_t i;
    int status = CLI_OK;
    struct tri_client *client = cli_connect(cli, &status);

    if (client == NULL)
        return status;
    if (tri_client_workers(client, &text, &error) != TRI_OK) {
        status = cli_fail(&error);
        tri_client_close(&client);
        return status;
    }
    root = open_answer(cli, text);
    if (root != NULL)
        printf("%-20s %8s %-9s %6s %6s %7s %8s %12s %8s %8s\n", "WORKER", "PID", "STATE", "WIDTH",
               "BUSY", "LEASES", "LEASED", "DONE", "FAILED", "SEEN_MS");
    json_array_foreach(json_object_get(root, "workers"), i, worker)
    {
        printf("%-20s %8llu %-9s %6llu %6llu %7llu %8llu %12llu %8llu %8llu\n",
               query_text(worker, "name"), query_number(worker, "pid"), query_text(worker, "state"),
               query_number(worker, "width"), query_number(worker, "busy"),
               query_number(worker, "leases"), query_number(worker, "tasks_leased"),
               query_number(worker, "tasks_done"), query_number(worker, "tasks_failed"),
               query_number(worker, "heartbeat_age_ms"));
    }
    json_decref(root);
    tri_client_close(&client);
    return status;
}
