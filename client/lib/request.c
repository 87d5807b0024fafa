/* Requests with one answer: encoded once, sent until answered. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 200 /* when BUSY does not say how long */

bool tri_error_is_temporary(uint64_t status)
{
    return status == TRI_BUSY || status == TRI_NO_SPACE;
}

enum tri_status tri_session_request(struct tri_session *self,
                                    tri_time now,
                                    const struct tri_message *message,
                                    bool repeatable,
                                    struct tri_request **request)
{
    struct tri_request *made = calloc(1, sizeof(*made));
    struct tri_message numbered = *message;

    if (made == NULL)
        return TRI_MEMORY;
    made->session = self;
    made->id = tri_session_request_id(self);
    made->type = message->type;
    made->repeatable = repeatable;
    made->not_before = now;
    made->status = TRI_EMPTY;
    numbered.list.request = made->id; /* every request begins with its number */
    tri_message_encode(&numbered, &made->frame);
    if (made->frame.failed) {
        tri_buffer_deinit(&made->frame);
        free(made);
        return TRI_MEMORY;
    }
    tri_dlist_push_back(&self->requests, &made->node);
    *request = made;
    return TRI_OK;
}

enum tri_status tri_request_outcome(const struct tri_request *self, struct tri_error *error)
{
    if (self->status == TRI_OK || self->status == TRI_EMPTY)
        return self->status;
    return tri_fail(error, self->status, "%s", self->text);
}

struct tri_bytes tri_request_reply(const struct tri_request *self)
{
    return tri_buffer_bytes(&self->reply);
}

struct tri_bytes tri_request_body(const struct tri_request *self)
{
    return tri_buffer_bytes(&self->body);
}

bool tri_request_was_repeated(const struct tri_request *self)
{
    return self->repeated;
}

void tri_request_close(struct tri_request **self)
{
    struct tri_request *request = *self;

    if (request == NULL)
        return;
    tri_dlist_remove(&request->session->requests, &request->node);
    tri_buffer_deinit(&request->frame);
    tri_buffer_deinit(&request->reply);
    tri_buffer_deinit(&request->body);
    free(request);
    *self = NULL;
}

struct tri_request *tri_request_find(struct tri_session *session, uint64_t id)
{
    tri_dlist_foreach(&session->requests, node)
    {
        struct tri_request *request = tri_container_of(node, struct tri_request, node);

        if (request->id == id && request->status == TRI_EMPTY)
            return request;
    }
    return NULL;
}

static void settle(struct tri_request *self, enum tri_status status, struct tri_bytes text)
{
    int size = text.size < sizeof(self->text) ? (int)text.size : (int)sizeof(self->text) - 1;

    self->status = status;
    snprintf(self->text, sizeof(self->text), "%.*s", size, (const char *)text.data);
}

void tri_request_answer(struct tri_request *self, struct tri_bytes reply, struct tri_bytes body)
{
    tri_buffer_clear(&self->reply);
    tri_buffer_append(&self->reply, reply.data, reply.size);
    tri_buffer_append(&self->body, body.data, body.size);
    if (self->reply.failed || self->body.failed)
        settle(self, TRI_MEMORY, tri_bytes_of("out of memory for the broker's answer"));
    else
        self->status = TRI_OK;
}

void tri_request_refuse(struct tri_request *self,
                        tri_time now,
                        const struct tri_msg_error *message,
                        uint64_t give_up_ms)
{
    uint64_t wait_ms = message->retry_after_ms != 0 ? message->retry_after_ms : BUSY_MS;

    if (tri_error_is_temporary(message->status) && self->repeatable && wait_ms <= give_up_ms
        && !self->repeated) {
        self->sent = false;
        self->repeated = true;
        self->not_before = now + wait_ms;
        return;
    }
    settle(self, message->status != TRI_OK ? (enum tri_status)message->status : TRI_INVALID,
           message->text);
}

void tri_request_lost(struct tri_request *self)
{
    if (self->status != TRI_EMPTY || !self->sent)
        return;
    if (!self->repeatable) {
        settle(self, TRI_UNREACHABLE,
               tri_bytes_of("the broker was lost before it answered: it may or may not have been "
                            "done; look at the batch before you ask again"));
        return;
    }
    self->sent = false;
    self->repeated = true;
}

void tri_request_give_up(struct tri_request *self)
{
    if (self->status == TRI_EMPTY)
        settle(self, TRI_UNREACHABLE, tri_bytes_of("no broker answers: is it running?"));
}
