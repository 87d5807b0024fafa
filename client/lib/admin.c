/* Asking and commanding: one request, one answer; long lists come in pages. */
#include "client/lib/ask.h"
#include "client/lib/pick.h"
#include "client/lib/record_json.h"
#include "client/lib/shell.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/proto/codec.h"

#include <stdlib.h>

/* Ask and wait for the answer; `*request` is closed by the caller when TRI_OK. */
static enum tri_status ask(struct tri_client *client,
                           const struct tri_message *message,
                           bool repeatable,
                           struct tri_request **request,
                           struct tri_error *error)
{
    enum tri_status status;

    client->now = tri_clock_now_ms();
    if (tri_session_request(client->session, client->now, message, repeatable, request) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    while ((status = tri_request_outcome(*request, error)) == TRI_EMPTY) {
        status = tri_client_wait(client, TRI_NEVER, error);
        if (status != TRI_OK)
            break;
    }
    if (status != TRI_OK)
        tri_request_close(request);
    return status;
}

enum tri_status tri_ask_for(struct tri_client *client,
                            const struct tri_message *message,
                            enum tri_message_type want,
                            struct tri_request **request,
                            struct tri_message *answer,
                            struct tri_error *error)
{
    enum tri_status status = ask(client, message, true, request, error);

    if (status != TRI_OK)
        return status;
    status = tri_message_decode(tri_request_reply(*request), answer, error);
    if (status == TRI_OK && answer->type != want)
        status = tri_fail(error, TRI_INVALID, "the broker answered %s with %s",
                          tri_message_name(message->type), tri_message_name(answer->type));
    if (status != TRI_OK)
        tri_request_close(request);
    return status;
}

enum tri_status tri_give_json(enum tri_status status,
                              struct tri_buffer *out,
                              char **json,
                              struct tri_error *error)
{
    size_t size;

    tri_buffer_append(out, "", 1);
    if (status == TRI_OK && out->failed)
        status = tri_fail(error, TRI_MEMORY, "out of memory");
    if (status != TRI_OK) {
        tri_buffer_deinit(out);
        return status;
    }
    *json = (char *)tri_buffer_give(out, &size);
    return TRI_OK;
}

/* ---- commands ------------------------------------------------------------------------------- */

/* CANCEL, RETRY and FORGET are answered by DONE. */
static enum tri_status command(struct tri_client *client,
                               const struct tri_message *message,
                               uint64_t *done,
                               struct tri_error *error)
{
    struct tri_request *request;
    struct tri_message answer;
    enum tri_status status =
        ask(client, message, message->type != TRI_MESSAGE_RETRY, &request, error);

    if (status != TRI_OK)
        return status;
    status = tri_message_decode(tri_request_reply(request), &answer, error);
    if (status == TRI_OK && answer.type != TRI_MESSAGE_DONE)
        status = tri_fail(error, TRI_INVALID, "the broker answered %s with %s",
                          tri_message_name(message->type), tri_message_name(answer.type));
    if (status == TRI_OK && done != NULL)
        *done = answer.done.count;
    tri_request_close(&request);
    return status;
}

static enum tri_status command_tasks(struct tri_client *client,
                                     enum tri_message_type type,
                                     uint64_t number,
                                     const uint64_t *tasks,
                                     size_t task_count,
                                     uint64_t *done,
                                     struct tri_error *error)
{
    struct tri_message message = { .type = type };
    struct tri_range *ranges;
    size_t count;
    enum tri_status status = tri_pick(tasks, task_count, &ranges, &count, error);

    if (status == TRI_OK && number > INT64_MAX)
        status = tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    if (status == TRI_OK) {
        message.cancel.number = number; /* RETRY has the same fields */
        message.cancel.tasks = tri_ranges_of(ranges, count);
        status = command(client, &message, done, error);
    }
    free(ranges);
    return status;
}

enum tri_status tri_client_cancel(struct tri_client *client,
                                  uint64_t number,
                                  const uint64_t *tasks,
                                  size_t task_count,
                                  uint64_t *cancelled,
                                  struct tri_error *error)
{
    return command_tasks(client, TRI_MESSAGE_CANCEL, number, tasks, task_count, cancelled, error);
}

enum tri_status tri_client_retry(struct tri_client *client,
                                 uint64_t number,
                                 const uint64_t *tasks,
                                 size_t task_count,
                                 uint64_t *retried,
                                 struct tri_error *error)
{
    return command_tasks(client, TRI_MESSAGE_RETRY, number, tasks, task_count, retried, error);
}

enum tri_status tri_client_forget(struct tri_client *client,
                                  uint64_t number,
                                  struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_FORGET };

    if (number > INT64_MAX)
        return tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    message.forget.number = number;
    return command(client, &message, NULL, error);
}

/* ---- questions ------------------------------------------------------------------------------ */

static uint64_t last_number(struct tri_list batches)
{
    struct tri_rec_batch_info info = { 0 };

    while (tri_list_next(&batches, TRI_RECORD_BATCH_INFO, &info))
        continue;
    return info.number;
}

enum tri_status tri_client_list(struct tri_client *client, char **json, struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_LIST };
    struct tri_buffer out = { 0 };
    enum tri_status status;
    bool any = false;
    bool more = true;

    tri_json_raw(&out, "{\"batches\":[");
    while (more) {
        struct tri_request *request;
        struct tri_message answer;

        status = tri_ask_for(client, &message, TRI_MESSAGE_LISTED, &request, &answer, error);
        if (status != TRI_OK)
            return tri_give_json(status, &out, json, error);
        tri_list_json(answer.listed.batches, TRI_RECORD_BATCH_INFO, &any, &out);
        more = answer.listed.more != 0 && answer.listed.batches.count != 0;
        message.list.after = last_number(answer.listed.batches);
        tri_request_close(&request);
    }
    tri_json_raw(&out, "]}");
    return tri_give_json(TRI_OK, &out, json, error);
}

enum tri_status tri_client_explain(struct tri_client *client,
                                   uint64_t number,
                                   char **json,
                                   struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_EXPLAIN };
    struct tri_buffer out = { 0 };
    struct tri_request *request;
    struct tri_message answer;
    enum tri_status status;
    bool any = false;

    if (number > INT64_MAX)
        return tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    message.explain.number = number;
    status = tri_ask_for(client, &message, TRI_MESSAGE_EXPLAINED, &request, &answer, error);
    if (status != TRI_OK)
        return status;
    tri_json_raw(&out, "{\"lines\":[");
    tri_list_json(answer.explained.lines, TRI_RECORD_TEXT, &any, &out);
    tri_json_raw(&out, "]}");
    tri_request_close(&request);
    return tri_give_json(TRI_OK, &out, json, error);
}

enum tri_status tri_client_workers(struct tri_client *client, char **json, struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_WORKERS };
    struct tri_buffer out = { 0 };
    struct tri_request *request;
    struct tri_message answer;
    enum tri_status status =
        tri_ask_for(client, &message, TRI_MESSAGE_WORKERS_INFO, &request, &answer, error);
    bool any = false;

    if (status != TRI_OK)
        return status;
    tri_json_raw(&out, "{\"workers\":[");
    tri_list_json(answer.workers_info.workers, TRI_RECORD_WORKER_INFO, &any, &out);
    tri_json_raw(&out, "]}");
    tri_request_close(&request);
    return tri_give_json(TRI_OK, &out, json, error);
}
