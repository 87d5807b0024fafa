/* Closed chunks on their way out: under the broker's credit, which is never overdrawn, and kept
 * until they are durable. */
#include "client/lib/internal.h"
#include "common/assert.h"
#include "common/planted.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 200

enum tri_status tri_append_init(struct tri_append *self, struct tri_session *session, bool open)
{
    *self = (struct tri_append){ .open = open, .sealed = !open };
    tri_dlist_init(&self->chunks);
    tri_chunk_builder_init(&self->builder);
    self->task_limit = TRI_CHUNK_TASKS_FIRST;
    self->request = tri_session_request_id(session);
    if (!open)
        return TRI_OK;
    self->hash = XXH3_createState();
    if (self->hash == NULL || XXH3_128bits_reset(self->hash) != XXH_OK)
        return TRI_MEMORY;
    XXH128_canonicalFromHash((XXH128_canonical_t *)self->durable_hash,
                             XXH3_128bits_digest(self->hash));
    return TRI_OK;
}

static void chunk_free(struct tri_append *self, struct tri_append_chunk *chunk)
{
    tri_dlist_remove(&self->chunks, &chunk->node);
    tri_buffer_deinit(&chunk->frame);
    free(chunk);
}

void tri_append_deinit(struct tri_append *self)
{
    tri_dlist_foreach(&self->chunks, node)
        chunk_free(self, tri_container_of(node, struct tri_append_chunk, node));
    tri_chunk_builder_deinit(&self->builder);
    XXH3_freeState(self->hash);
    self->hash = NULL;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* How far the builder may grow before add_slow looks again. */
void tri_append_limits(struct tri_append *self)
{
    uint64_t credit = self->credit > self->made_bytes ? self->credit - self->made_bytes : 0;

    credit = credit > TRI_CHUNK_HEAD_BYTES ? credit - TRI_CHUNK_HEAD_BYTES : 0;
    if (self->flight_bytes >= TRI_FLIGHT_BYTES_MAX || self->failure.status != TRI_OK)
        credit = 0;
    self->builder_limit = credit < TRI_CHUNK_BYTES ? (size_t)credit : TRI_CHUNK_BYTES;
}

enum tri_status tri_append_close_chunk(struct tri_append *self)
{
    struct tri_append_chunk *chunk;

    if (self->builder.count == 0)
        return TRI_OK;
    chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL)
        return TRI_MEMORY;
    tri_buffer_reserve(&chunk->frame, tri_append_builder_bytes(self) + TRI_CHUNK_HEAD_BYTES);
    tri_items_encode(&self->builder, &chunk->frame);
    if (chunk->frame.failed) {
        tri_buffer_deinit(&chunk->frame);
        free(chunk);
        return TRI_MEMORY;
    }
    chunk->first = self->chunked;
    chunk->count = self->builder.count;
    XXH3_128bits_update(self->hash, self->builder.blob.data, self->builder.blob.size);
    XXH128_canonicalFromHash((XXH128_canonical_t *)chunk->hash, XXH3_128bits_digest(self->hash));
    tri_dlist_push_back(&self->chunks, &chunk->node);
    self->unsent++;
    self->chunked += chunk->count;
    self->made_bytes += chunk->frame.size;
    self->flight_bytes += chunk->frame.size;
    tri_chunk_builder_clear(&self->builder);
    if (self->task_limit < TRI_CHUNK_TASKS)
        self->task_limit =
            self->task_limit * 2 < TRI_CHUNK_TASKS ? self->task_limit * 2 : TRI_CHUNK_TASKS;
    tri_append_limits(self);
    return TRI_OK;
}

void tri_append_stop(struct tri_append *self, enum tri_status status, const char *text)
{
    if (self->failure.status == TRI_OK)
        tri_fail(&self->failure, status, "%s", text);
    tri_append_limits(self);
}

/* ---- what the broker has -------------------------------------------------------------------- */

/* Drop the chunks that end at or before `count`; true when `count` is the end of one of them or
 * nothing new, and then `*expected` is the hash there. */
static bool drop_durable(struct tri_append *self, uint64_t count, const uint8_t **expected)
{
    *expected = NULL;
    if (count == self->durable)
        *expected = self->durable_hash;
    tri_dlist_foreach(&self->chunks, node)
    {
        struct tri_append_chunk *chunk = tri_container_of(node, struct tri_append_chunk, node);

        if (chunk->first + chunk->count > count)
            break;
        self->durable = chunk->first + chunk->count;
        memcpy(self->durable_hash, chunk->hash, sizeof(self->durable_hash));
        self->flight_bytes -= chunk->frame.size;
        if (!chunk->sent)
            self->unsent--;
        chunk_free(self, chunk);
    }
    if (count == self->durable)
        *expected = self->durable_hash;
    return *expected != NULL;
}

enum tri_status tri_append_resume(struct tri_append *self,
                                  uint64_t count,
                                  struct tri_bytes hash,
                                  uint64_t credit,
                                  bool resend,
                                  struct tri_error *error)
{
    const uint8_t *expected;

    if (self->hash == NULL)
        return TRI_OK; /* a range, or somebody else's batch */
    if (count > self->chunked)
        return tri_fail(error, TRI_CONFLICT,
                        "the broker has %llu arguments of this batch, %llu were sent: somebody "
                        "else adds to it",
                        (unsigned long long)count, (unsigned long long)self->chunked);
    if (resend && count < self->durable)
        return tri_fail(error, TRI_CONFLICT,
                        "the broker has %llu arguments, and had acknowledged %llu",
                        (unsigned long long)count, (unsigned long long)self->durable);
    if (count >= self->durable && drop_durable(self, count, &expected) && count != 0
        && hash.size == 16 && memcmp(hash.data, expected, 16) != 0)
        return tri_fail(error, TRI_CONFLICT,
                        "the broker's first %llu arguments are not the ones that were sent",
                        (unsigned long long)count);
    if (credit > self->credit)
        self->credit = credit;
    if (resend && !PLANTED(RESUME_BLIND)) {
        self->unsent = 0;
        tri_dlist_foreach(&self->chunks, node)
        {
            tri_container_of(node, struct tri_append_chunk, node)->sent = false;
            self->unsent++;
        }
        self->resync = false;
        self->seal_sent = false;
    }
    tri_append_limits(self);
    return TRI_OK;
}

/* An APPEND or SEAL was refused. Those on their way behind it will be refused too, as gaps; so the
 * true count is learned first, and only a refusal at the same count as before is final. */
void tri_append_on_error(struct tri_follow *self, tri_time now, const struct tri_msg_error *message)
{
    struct tri_append *append = &self->append;
    bool again = append->resync_count == append->durable + 1;
    enum tri_status status;
    char text[509];

    if (append->resync)
        return;
    if (!tri_error_is_temporary(message->status) && (message->status != TRI_CONFLICT || again)) {
        /* A batch that was stopped ends like one that was sealed: its results go on. */
        status = message->status == TRI_CANCELLED ? TRI_CLOSED : (enum tri_status)message->status;
        snprintf(text, sizeof(text), "%.*s", (int)message->text.size,
                 (const char *)message->text.data);
        tri_append_stop(append, status, text);
        return;
    }
    if (!tri_error_is_temporary(message->status))
        append->resync_count = append->durable + 1;
    append->resync = true;
    append->not_before = now;
    if (tri_error_is_temporary(message->status))
        append->not_before += message->retry_after_ms != 0 ? message->retry_after_ms : BUSY_MS;
}

/* They are the last ones of the list. */
static struct tri_append_chunk *next_unsent(struct tri_append *self)
{
    struct tri_dlist_node *node = tri_dlist_last(&self->chunks);

    if (self->unsent == 0)
        return NULL;
    for (size_t i = 1; i < self->unsent; i++)
        node = tri_dlist_prev(&self->chunks, node);
    return tri_container_of(node, struct tri_append_chunk, node);
}

static enum tri_status seal_effect(struct tri_follow *self)
{
    struct tri_append *append = &self->append;
    struct tri_session *session = self->session;
    struct tri_message message = { .type = TRI_MESSAGE_SEAL };

    append->seal_request = tri_session_request_id(session);
    message.seal.request = append->seal_request;
    message.seal.number = self->number;
    message.seal.count = append->chunked;
    tri_message_encode(&message, &session->out);
    if (session->out.failed)
        return TRI_MEMORY;
    append->seal_sent = true;
    return TRI_OK;
}

enum tri_status tri_append_effect(struct tri_follow *self, tri_time now, struct tri_bytes *body)
{
    struct tri_append *append = &self->append;
    struct tri_session *session = self->session;
    struct tri_append_chunk *chunk = next_unsent(append);
    struct tri_message message = { .type = TRI_MESSAGE_APPEND };

    if (append->resync || append->failure.status != TRI_OK || now < append->not_before)
        return TRI_EMPTY;
    if (chunk == NULL)
        return append->seal_wanted && !append->seal_sent && !append->sealed ? seal_effect(self)
                                                                            : TRI_EMPTY;
    message.append.request = append->request;
    message.append.number = self->number;
    message.append.first = chunk->first;
    tri_message_encode(&message, &session->out);
    if (session->out.failed)
        return TRI_MEMORY;
    chunk->sent = true;
    append->unsent--;
    *body = tri_buffer_bytes(&chunk->frame);
    return TRI_OK;
}
