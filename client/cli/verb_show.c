/* verb_show.c - a batch, and what has happened to its dead tasks. */
#include "client/cli/query.h"
#include "common/assert.h"
#include "common/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Take out of a spec what the batch itself has said, and what means nothing to it; flags become
 * words. */
static void rest_of_spec(json_t *spec)
{
    static const char *const words[] = { "truncate", "spawn", "lines" };
    unsigned long long flags = query_number(spec, "flags");
    json_t *named = json_array();

    for (size_t i = 0; i < TRI_COUNT_OF(words); i++)
        if ((flags >> i & 1) != 0)
            json_array_append_new(named, json_string(words[i]));
    json_object_set_new(spec, "flags", named);
    json_object_set_new(spec, "model_asked", json_incref(json_object_get(spec, "model")));
    json_object_del(spec, "model");
    json_object_del(spec, "handler");
    json_object_del(spec, "count");
    json_object_del(spec, "reducer");
    if (strcmp(query_text(spec, "source"), "range") == 0)
        return;
    json_object_del(spec, "first");
    json_object_del(spec, "step");
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
        printf("       no argument: too long to be shown, or no value at all\n");
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

/* One of them, as far as it has been found. */
struct chosen {
    json_t *task;
    bool is_dead;
};

static void print_chosen(const struct chosen *chosen,
                         unsigned long long batch,
                         unsigned long long number)
{
    if (chosen->task != NULL && chosen->is_dead) {
        print_dead(batch, chosen->task, true);
    } else if (chosen->task != NULL) {
        printf("task %llu/%llu is not dead: it is tried again\n", batch, number);
        print_history(chosen->task);
    } else {
        printf("task %llu/%llu is not dead\n", batch, number);
    }
}

/* ---- the answer, piece by piece ------------------------------------------------------------- */

/* It may have a million tasks: as a tree they would take ten times the memory of the text. */
struct reading {
    const struct cli *cli;
    const struct selection *selection;
    struct chosen *chosen; /* as many as the selection has tasks */
};

static void on_task(struct reading *self, bool is_dead, json_t *task)
{
    const struct selection *selection = self->selection;

    if (selection->task_count == 0 && is_dead)
        print_dead(selection->number, task, self->cli->dead);
    for (size_t i = 0; i < selection->task_count; i++) {
        if (selection->tasks[i] != query_number(task, "index") || self->chosen[i].task != NULL)
            continue;
        self->chosen[i] = (struct chosen){ json_incref(task), is_dead };
    }
}

/* The batch, then its spec. */
static void on_object(struct reading *self, const char *key, json_t *object)
{
    if (self->cli->dead || self->selection->task_count != 0)
        return;
    if (strcmp(key, "spec") == 0)
        rest_of_spec(object);
    print_fields(object);
}

/* The tasks of a list; `*at` is where it ends. False: they cannot be read, and that was said. */
static bool read_tasks(struct reading *self, const char *key, const char **at)
{
    for ((*at)++; **at != ']'; *at += **at == ',') {
        json_t *task = query_take(at);

        if (task == NULL)
            return false;
        on_task(self, strcmp(key, "dead") == 0, task);
        json_decref(task);
    }
    (*at)++;
    return true;
}

static bool read_value(struct reading *self, const char *key, const char **at)
{
    json_t *object;

    if (**at == '[')
        return read_tasks(self, key, at);
    object = query_take(at);
    if (object == NULL)
        return false;
    on_object(self, key, object);
    json_decref(object);
    return true;
}

/* The library's JSON has no blanks between values. */
static bool read_answer(struct reading *self, const char *at)
{
    bool is_read = true;

    for (at++; *at != '}' && is_read; at += *at == ',') {
        json_t *key = query_take(&at);

        at += *at == ':';
        is_read = key != NULL && read_value(self, json_string_value(key), &at);
        json_decref(key);
    }
    return is_read;
}

static int print_shown(const struct cli *cli, const char *json, const struct selection *selection)
{
    struct reading reading = { .cli = cli, .selection = selection };
    bool is_read;

    reading.chosen = tri_alloc(selection->task_count + 1, sizeof(*reading.chosen));
    is_read = read_answer(&reading, json);
    for (size_t i = 0; i < selection->task_count; i++) {
        if (is_read)
            print_chosen(&reading.chosen[i], selection->number, selection->tasks[i]);
        json_decref(reading.chosen[i].task);
    }
    free(reading.chosen);
    return is_read ? CLI_OK : CLI_INTERNAL;
}

static enum tri_status show(struct tri_client *client,
                            const struct selection *selection,
                            char **json,
                            struct tri_error *error)
{
    return tri_client_show(client, selection->number, selection->tasks, selection->task_count, json,
                           error);
}

int verb_show(struct cli *cli)
{
    return query_each(cli, show, print_shown);
}
