/* verb_show.c - a batch, and what has happened to its dead tasks. */
#include "client/cli/query.h"
#include "common/types.h"

#include <stdio.h>
#include <stdlib.h>

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
            printf("%-18s %s\n", key, query_plain(value));
            continue;
        }
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("%-18s %s\n", key, text != NULL ? text : "?");
        free(text);
    }
}

/* ---- one task ------------------------------------------------------------------------------- */

/* A time in the unit that fits it. */
static void write_time(char *text, size_t size, unsigned long long us)
{
    static const struct {
        double us;
        const char *unit;
    } units[] = { { 86400e6, "d" }, { 3600e6, "h" }, { 60e6, "m" }, { 1e6, "s" }, { 1e3, "ms" } };

    for (size_t i = 0; i < TRI_COUNT_OF(units); i++) {
        double number = (double)us / units[i].us;

        if (number >= 1) {
            snprintf(text, size, number < 10 ? "%.1f%s" : "%.0f%s", number, units[i].unit);
            return;
        }
    }
    snprintf(text, size, "%lluus", us);
}

/* How long ago an attempt ended, as far as the broker can tell: not for how long it was away. */
static void write_ago(char *text, size_t size, json_t *attempt)
{
    unsigned long long age_ms = query_number(attempt, "age_ms");
    bool earlier = query_number(attempt, "restarts") != 0;
    char age[32];

    write_time(age, sizeof(age), age_ms * 1000);
    if (earlier && age_ms == 0)
        snprintf(text, size, "earlier");
    else
        snprintf(text, size, "%s%s ago", earlier ? "over " : "", age);
}

/* number, status, model, worker, how long it took, how long ago it ended, error */
static void print_attempt(json_t *attempt)
{
    unsigned long long wall_us = query_number(attempt, "wall_us");
    char took[32] = "-";
    char ago[48];

    if (wall_us != 0)
        write_time(took, sizeof(took), wall_us);
    write_ago(ago, sizeof(ago), attempt);
    printf("%5llu  %-9s  %-7s  %-12s  %6s  %14s  %s\n", query_number(attempt, "attempt"),
           query_text(attempt, "status"), query_text(attempt, "model"),
           query_text(attempt, "worker"), took, ago, query_text(attempt, "error"));
}

/* The argument, or why there is none. */
static void print_argument(json_t *task)
{
    json_t *argument = json_object_get(task, "argument");
    bool is_cut = json_is_true(json_object_get(task, "argument_cut"));
    json_t *why = json_object_get(task, "argument_error");
    char *text;

    if (why != NULL)
        printf("       no argument: %s\n", query_plain(why));
    else if (is_cut && json_is_null(argument))
        printf("       no argument: an array or map, too long to be shown\n");
    if (argument == NULL || (is_cut && json_is_null(argument)))
        return;
    printf("       argument ");
    if (is_cut && json_is_string(argument))
        printf("(the first %zu bytes) ", json_string_length(argument));
    else if (is_cut)
        printf("(cut) ");
    if (json_is_string(argument) && json_string_length(argument) != 0) {
        printf("%s\n", query_plain(argument));
        return;
    }
    text = json_dumps(argument, JSON_ENCODE_ANY | JSON_COMPACT);
    printf("%s\n", text != NULL ? text : "?");
    free(text);
}

/* The argument if it is known, then every attempt that is kept, a line each; what was left out
 * stands between them. */
static void print_history(json_t *task)
{
    unsigned long long next = 1;
    size_t i;
    json_t *attempt;

    print_argument(task);
    json_array_foreach(json_object_get(task, "history"), i, attempt)
    {
        unsigned long long number = query_number(attempt, "attempt");

        if (number > next + 1)
            printf("       attempts %llu to %llu are not kept\n", next, number - 1);
        else if (number > next)
            printf("       attempt %llu is not kept\n", next);
        print_attempt(attempt);
        next = number + 1;
    }
}

static void print_dead(unsigned long long batch, json_t *task, bool history)
{
    unsigned long long attempts = query_number(task, "attempts");

    if (attempts == 0)
        printf("task %llu/%llu is dead: %s\n", batch, query_number(task, "index"),
               query_text(task, "error"));
    else
        printf("task %llu/%llu %s after %llu attempt%s on %s: %s\n", batch,
               query_number(task, "index"), query_text(task, "status"), attempts,
               tri_plural(attempts), query_text(task, "worker"), query_text(task, "error"));
    if (history)
        print_history(task);
}

/* ---- tasks that were asked for -------------------------------------------------------------- */

static json_t *find_task(json_t *list, uint64_t index)
{
    size_t i;
    json_t *task;

    json_array_foreach(list, i, task)
    {
        if (query_number(task, "index") == index)
            return task;
    }
    return NULL;
}

static int print_chosen(json_t *root, unsigned long long batch, uint64_t index)
{
    unsigned long long count = query_number(json_object_get(root, "batch"), "count");
    unsigned long long number = index;
    json_t *dead = find_task(json_object_get(root, "dead"), index);
    json_t *retrying = find_task(json_object_get(root, "retrying"), index);

    if (number >= count) {
        cli_error("batch %llu has %llu task%s: there is no %llu/%llu", batch, count,
                  tri_plural(count), batch, number);
        return CLI_USAGE;
    }
    if (dead != NULL) {
        print_dead(batch, dead, true);
    } else if (retrying != NULL) {
        printf("task %llu/%llu is not dead: it is tried again\n", batch, number);
        print_history(retrying);
    } else {
        printf("task %llu/%llu is not dead\n", batch, number);
    }
    return CLI_OK;
}

static int print_shown(const struct cli *cli, json_t *root, const struct selection *selection)
{
    int status = CLI_OK;
    size_t i;
    json_t *task;

    for (i = 0; i < selection->task_count; i++) {
        if (print_chosen(root, selection->number, selection->tasks[i]) != CLI_OK)
            status = CLI_USAGE;
    }
    if (selection->task_count != 0)
        return status;
    if (!cli->dead) {
        print_fields(json_object_get(root, "batch"));
        print_fields(json_object_get(root, "spec"));
    }
    json_array_foreach(json_object_get(root, "dead"), i, task)
    {
        print_dead(selection->number, task, cli->dead);
    }
    return CLI_OK;
}

int verb_show(struct cli *cli)
{
    return query_each(cli, tri_client_show, print_shown);
}
