/* verb_query.c - list, show, explain, workers: the broker's answer as a table, or as JSON. */
#include "client/cli/cli.h"
#include "client/cli/select.h"
#include "common/types.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A string of the tree, in which what a terminal would obey is blanked: anybody may have named a
 * batch. NULL when it is none. */
static const char *plain(json_t *string)
{
    char *text = (char *)(uintptr_t)json_string_value(string);

    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (cli_is_control((unsigned char)*c))
            *c = ' ';
    return text;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = plain(json_object_get(object, key));

    return text != NULL && text[0] != '\0' ? text : "-";
}

static unsigned long long number_of(json_t *object, const char *key)
{
    return (unsigned long long)json_integer_value(json_object_get(object, key));
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
               number_of(batch, "number"), text_of(batch, "state"), text_of(batch, "handler"),
               number_of(batch, "count"), number_of(batch, "done"), number_of(batch, "dead"),
               number_of(batch, "leased"), (double)number_of(batch, "elapsed_ms") / 1e3,
               text_of(batch, "name"));
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

/* Everything of an object, a line per field that says something. */
static void print_fields(json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        char *text;

        if (json_is_string(value) && json_string_length(value) == 0)
            continue;
        if (json_is_array(value) && json_array_size(value) == 0)
            continue;
        if (json_is_string(value)) {
            printf("%-18s %s\n", key, plain(value));
            continue;
        }
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("%-18s %s\n", key, text != NULL ? text : "?");
        free(text);
    }
}

static bool is_chosen(const struct selection *selection, uint64_t index)
{
    for (size_t i = 0; i < selection->task_count; i++) {
        if (selection->tasks[i] == index)
            return true;
    }
    return selection->task_count == 0;
}

/* What is said of chosen tasks that are not among the dead. */
static int print_living(json_t *root, const struct selection *selection)
{
    unsigned long long count = number_of(json_object_get(root, "batch"), "count");
    unsigned long long number = selection->number;
    int status = CLI_OK;

    for (size_t i = 0; i < selection->task_count; i++) {
        unsigned long long task = selection->tasks[i];
        bool dead = false;
        size_t j;
        json_t *entry;

        json_array_foreach(json_object_get(root, "dead"), j, entry)
        {
            dead |= number_of(entry, "index") == task;
        }
        if (task >= count) {
            cli_error("batch %llu has %llu task%s: there is no %llu/%llu", number, count,
                      tri_plural(count), number, task);
            status = CLI_USAGE;
        } else if (!dead) {
            printf("task %llu/%llu is not dead\n", number, task);
        }
    }
    return status;
}

static int print_shown(const struct cli *cli, json_t *root, const struct selection *selection)
{
    size_t i;
    json_t *entry;

    if (selection->task_count == 0 && !cli->dead) {
        print_fields(json_object_get(root, "batch"));
        print_fields(json_object_get(root, "spec"));
    }
    json_array_foreach(json_object_get(root, "dead"), i, entry)
    {
        if (!is_chosen(selection, number_of(entry, "index")))
            continue;
        printf("task %llu/%llu %s after %llu attempt%s on %s: %s\n",
               (unsigned long long)selection->number, number_of(entry, "index"),
               text_of(entry, "status"), number_of(entry, "attempts"),
               tri_plural(number_of(entry, "attempts")), text_of(entry, "worker"),
               text_of(entry, "error"));
    }
    return print_living(root, selection);
}

typedef enum tri_status query_fn(struct tri_client *client,
                                 uint64_t number,
                                 char **json,
                                 struct tri_error *error);

static int print_explained(const struct cli *cli, json_t *root, const struct selection *selection)
{
    size_t i;
    json_t *line;

    (void)cli;
    (void)selection;
    json_array_foreach(json_object_get(root, "lines"), i, line)
    {
        puts(json_is_string(line) ? plain(line) : "?");
    }
    return CLI_OK;
}

typedef int print_fn(const struct cli *cli, json_t *root, const struct selection *selection);

static int query_each(struct cli *cli, query_fn *query, print_fn *print)
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
            json_t *root;

            if (query(client, selected.items[i].number, &text, &error) != TRI_OK) {
                status = cli_fail(&error);
                continue;
            }
            root = open_answer(cli, text);
            if (root != NULL && print(cli, root, &selected.items[i]) != CLI_OK)
                status = CLI_USAGE;
            json_decref(root);
        }
        select_free(&selected);
    }
    tri_client_close(&client);
    return status;
}

int verb_show(struct cli *cli)
{
    return query_each(cli, tri_client_show, print_shown);
}

int verb_explain(struct cli *cli)
{
    return query_each(cli, tri_client_explain, print_explained);
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
               text_of(worker, "name"), number_of(worker, "pid"), text_of(worker, "state"),
               number_of(worker, "width"), number_of(worker, "busy"), number_of(worker, "leases"),
               number_of(worker, "tasks_leased"), number_of(worker, "tasks_done"),
               number_of(worker, "tasks_failed"), number_of(worker, "heartbeat_age_ms"));
    }
    json_decref(root);
    tri_client_close(&client);
    return status;
}
