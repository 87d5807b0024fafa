/* show.c - a batch, and the tasks of it that something has happened to, as JSON. */
#include "client/lib/arguments.h"
#include "client/lib/ask.h"
#include "client/lib/pick.h"
#include "client/lib/record_json.h"
#include "client/lib/session.h"
#include "common/json.h"
#include "common/proto/codec.h"

#include <stdlib.h>

#define PAGE_MAX 1000 /* a broker gives no more at once */

/* The two lists of tasks while they are being written. */
struct lists {
    struct tri_buffer dead;
    struct tri_buffer retrying;
    bool any_dead;
    bool any_retrying;
    bool is_items; /* the broker has the arguments */
    bool is_range; /* that of a task is first + index * step */
    uint64_t first;
    uint64_t step;
    uint64_t count; /* tasks of the batch */
};

/* The batch and its spec, once. */
static void write_batch(const struct tri_msg_shown *shown,
                        struct lists *lists,
                        struct tri_buffer *out)
{
    struct tri_list batches = shown->batches;
    struct tri_rec_batch_info info;
    struct tri_rec_spec spec;

    tri_json_raw(out, "{\"batch\":");
    if (tri_list_next(&batches, TRI_RECORD_BATCH_INFO, &info)) {
        tri_record_json(TRI_RECORD_BATCH_INFO, &info, out);
        lists->count = info.count;
    } else {
        tri_json_raw(out, "null");
    }
    tri_json_raw(out, ",\"spec\":");
    if (tri_record_decode(TRI_RECORD_SPEC, shown->spec, &spec, NULL) != TRI_OK) {
        tri_json_raw(out, "null");
        return;
    }
    tri_record_json(TRI_RECORD_SPEC, &spec, out);
    lists->is_items = spec.source == TRI_SOURCE_ITEMS;
    lists->is_range = !lists->is_items;
    lists->first = (uint64_t)spec.first;
    lists->step = (uint64_t)spec.step;
}

/* ---- brokers that know TASKS ---------------------------------------------------------------- */

/* The last try in the fields that a task has had before there was a history. */
static void write_last(const struct tri_rec_task_info *task, struct tri_buffer *out)
{
    struct tri_rec_attempt attempt = {
        .outcome = TRI_OUTCOME_FAILED,
        .error = tri_bytes_of("only the broker's store knows what happened to it"),
    };
    struct tri_list history = task->history;
    struct tri_rec_entry entry;

    while (tri_list_next(&history, TRI_RECORD_ATTEMPT, &attempt))
        continue;
    entry = tri_entry_of(task->index, &attempt);
    tri_record_json(TRI_RECORD_ENTRY, &entry, out);
    if (!out->failed)
        out->size--; /* its closing brace: more follows */
}

/* Its argument, and all tries that are kept. `arguments` is NULL when the broker cannot tell. */
static enum tri_status write_task(const struct tri_rec_task_info *task,
                                  const struct lists *lists,
                                  struct tri_arguments *arguments,
                                  bool *any,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    bool any_attempt = false;

    tri_json_raw(out, *any ? "," : "");
    *any = true;
    write_last(task, out);
    if (lists->is_range) {
        tri_json_raw(out, ",\"argument\":");
        tri_json_int(out, (int64_t)(lists->first + task->index * lists->step));
    } else if (arguments != NULL) {
        enum tri_status status = tri_arguments_write(arguments, task->index, out, error);

        if (status != TRI_OK)
            return status;
    }
    tri_json_raw(out, ",\"history\":[");
    tri_list_json(task->history, TRI_RECORD_ATTEMPT, &any_attempt, out);
    tri_json_raw(out, "]}");
    return TRI_OK;
}

/* Append a page to the lists; `*next` is where the next one begins. */
static enum tri_status write_tasks(struct tri_list tasks,
                                   struct lists *lists,
                                   struct tri_arguments *arguments,
                                   uint64_t *next,
                                   struct tri_error *error)
{
    struct tri_rec_task_info task = { 0 };
    enum tri_status status = TRI_OK;

    while (status == TRI_OK && tri_list_next(&tasks, TRI_RECORD_TASK_INFO, &task)) {
        if (task.state == TRI_TASK_DEAD)
            status = write_task(&task, lists, arguments, &lists->any_dead, &lists->dead, error);
        else if (task.state == TRI_TASK_RETRYING)
            status =
                write_task(&task, lists, arguments, &lists->any_retrying, &lists->retrying, error);
    }
    *next = task.index + 1;
    return status;
}

/* A page, with the arguments if the broker can tell them. */
static enum tri_status read_page(struct tri_client *client,
                                 uint64_t number,
                                 struct tri_list tasks,
                                 struct lists *lists,
                                 uint64_t *next,
                                 struct tri_error *error)
{
    struct tri_arguments arguments;
    bool has_arguments = (tri_session_features(client->session) & TRI_FEATURE_ARGUMENTS) != 0;
    enum tri_status status;

    if (!lists->is_items || !has_arguments)
        return write_tasks(tasks, lists, NULL, next, error);
    status = tri_arguments_open(&arguments, client, number, tasks, error);
    if (status == TRI_OK)
        status = write_tasks(tasks, lists, &arguments, next, error);
    tri_arguments_close(&arguments);
    return status;
}

/* Of a page what is not beyond the range that was asked for. */
static struct tri_list tasks_below(struct tri_list tasks, uint64_t end)
{
    struct tri_list rest = tasks;
    struct tri_rec_task_info task;

    tasks.count = 0;
    while (tri_list_next(&rest, TRI_RECORD_TASK_INFO, &task) && task.index < end)
        tasks.count++;
    return tasks;
}

static enum tri_status read_tasks(struct tri_client *client,
                                  uint64_t number,
                                  struct tri_range range,
                                  struct lists *lists,
                                  struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_TASKS };
    bool more = true;

    message.tasks.number = number;
    message.tasks.after = range.first;
    message.tasks.limit = range.count < PAGE_MAX ? range.count : 0;
    while (more) {
        struct tri_request *request;
        struct tri_message answer;
        struct tri_list tasks;
        enum tri_status status =
            tri_ask_for(client, &message, TRI_MESSAGE_TASKS_INFO, &request, &answer, error);

        if (status != TRI_OK)
            return status;
        tasks = tasks_below(answer.tasks_info.tasks, range.first + range.count);
        more = answer.tasks_info.more != 0 && tasks.count != 0
               && tasks.count == answer.tasks_info.tasks.count;
        status = read_page(client, number, tasks, lists, &message.tasks.after, error);
        more = more && message.tasks.after < range.first + range.count;
        tri_request_close(&request);
        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

static enum tri_status read_ranges(struct tri_client *client,
                                   uint64_t number,
                                   const struct tri_range *ranges,
                                   size_t count,
                                   struct lists *lists,
                                   struct tri_error *error)
{
    enum tri_status status = TRI_OK;

    if (count == 0)
        return read_tasks(client, number, (struct tri_range){ 0, INT64_MAX }, lists, error);
    for (size_t i = 0; i < count && status == TRI_OK; i++)
        status = read_tasks(client, number, ranges[i], lists, error);
    return status;
}

/* ---- those that only know SHOW -------------------------------------------------------------- */

static uint64_t last_index(struct tri_list entries)
{
    struct tri_rec_entry entry = { 0 };

    while (tri_list_next(&entries, TRI_RECORD_ENTRY, &entry))
        continue;
    return entry.index;
}

/* The entries of a page of SHOWN: dead or not, it does not say. */
static uint64_t write_entries(struct tri_list entries, struct lists *lists)
{
    tri_list_json(entries, TRI_RECORD_ENTRY, &lists->any_dead, &lists->dead);
    return last_index(entries) + 1;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* SHOW once for the batch, and as often as there are entries if they are wanted. */
static enum tri_status read_shown(struct tri_client *client,
                                  uint64_t number,
                                  bool entries,
                                  struct lists *lists,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_SHOW };
    bool more = true;

    message.show.number = number;
    message.show.limit = entries ? 0 : 1;
    while (more) {
        struct tri_request *request;
        struct tri_message answer;
        enum tri_status status =
            tri_ask_for(client, &message, TRI_MESSAGE_SHOWN, &request, &answer, error);

        if (status != TRI_OK)
            return status;
        if (out->size == 0)
            write_batch(&answer.shown, lists, out);
        more = entries && answer.shown.more != 0 && answer.shown.entries.count != 0;
        if (entries)
            message.show.after = write_entries(answer.shown.entries, lists);
        tri_request_close(&request);
    }
    return TRI_OK;
}

static void write_list(const char *name, const struct tri_buffer *list, struct tri_buffer *out)
{
    tri_json_raw(out, ",");
    tri_json_string(out, name);
    tri_json_raw(out, ":[");
    tri_buffer_append(out, list->data, list->size);
    tri_json_raw(out, "]");
    out->failed = out->failed || list->failed;
}

enum tri_status tri_client_describe(struct tri_client *client,
                                    uint64_t number,
                                    char **json,
                                    struct tri_error *error)
{
    struct tri_buffer out = { 0 };
    struct lists lists = { 0 };
    enum tri_status status;

    if (number > INT64_MAX)
        return tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    status = read_shown(client, number, false, &lists, &out, error);
    tri_json_raw(&out, "}");
    return tri_give_json(status, &out, json, error);
}

/* The last range is one task, the greatest. */
static enum tri_status look_for(uint64_t number,
                                const struct tri_range *ranges,
                                size_t range_count,
                                const struct lists *lists,
                                struct tri_error *error)
{
    if (range_count == 0 || ranges[range_count - 1].first < lists->count)
        return TRI_OK;
    return tri_fail(error, TRI_NOTFOUND, "batch %llu has %llu task%s: there is no %llu/%llu",
                    (unsigned long long)number, (unsigned long long)lists->count,
                    tri_plural(lists->count), (unsigned long long)number,
                    (unsigned long long)ranges[range_count - 1].first);
}

enum tri_status tri_client_show(struct tri_client *client,
                                uint64_t number,
                                const uint64_t *tasks,
                                size_t task_count,
                                char **json,
                                struct tri_error *error)
{
    struct tri_buffer out = { 0 };
    struct lists lists = { 0 };
    bool has_tasks = (tri_session_features(client->session) & TRI_FEATURE_TASKS) != 0;
    struct tri_range *ranges;
    size_t range_count;
    enum tri_status status = tri_pick(tasks, task_count, &ranges, &range_count, error);

    if (status == TRI_OK && number > INT64_MAX)
        status = tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    if (status == TRI_OK)
        status = read_shown(client, number, !has_tasks, &lists, &out, error);
    if (status == TRI_OK)
        status = look_for(number, ranges, range_count, &lists, error);
    if (status == TRI_OK && has_tasks)
        status = read_ranges(client, number, ranges, range_count, &lists, error);
    write_list("dead", &lists.dead, &out);
    if (has_tasks)
        write_list("retrying", &lists.retrying, &out);
    tri_json_raw(&out, "}");
    tri_buffer_deinit(&lists.dead);
    tri_buffer_deinit(&lists.retrying);
    free(ranges);
    return tri_give_json(status, &out, json, error);
}
