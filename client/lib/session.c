/* The connection: greeting, heartbeats, and what happens when it is lost. */
#include "client/lib/internal.h"
#include "common/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define GREET_MS 1000 /* for the first try; the double each time up to GREET_MS_MAX */
#define GREET_MS_MAX 8000
#define HEARTBEATS_LOST 3
#define ITEM_BYTES_MAX (UINT64_C(16) << 20)

static const struct tri_backoff retry_backoff = { .base_ms = 50, .max_ms = 5000 };

static void set_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text != NULL ? text : "");
}

enum tri_status tri_session_new(struct tri_session **session,
                                const struct tri_session_options *options,
                                tri_time now)
{
    struct tri_session *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return TRI_MEMORY;
    tri_assert(options->endpoint_count > 0);
    self->instance = options->instance;
    set_text(self->name, sizeof(self->name), options->name);
    set_text(self->software, sizeof(self->software), options->software);
    self->pid = options->pid;
    self->endpoint_count = options->endpoint_count;
    self->give_up_ms = options->give_up_ms;
    self->item_bytes_max = ITEM_BYTES_MAX;
    self->retry_at = now;
    self->down_since = now;
    tri_prng_init(&self->prng, options->seed);
    tri_dlist_init(&self->requests);
    tri_dlist_init(&self->follows);
    tri_dlist_init(&self->released);
    tri_buffer_init(&self->out);
    *session = self;
    return TRI_OK;
}

void tri_session_close(struct tri_session *self)
{
    tri_dlist_foreach(&self->requests, node)
    {
        struct tri_request *request = tri_container_of(node, struct tri_request, node);

        tri_request_close(&request);
    }
    self->closing = true;
    tri_dlist_foreach(&self->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        tri_follow_close(&follow);
    }
    self->bye_wanted = self->link == TRI_LINK_UP;
}

void tri_session_destroy(struct tri_session **self)
{
    struct tri_session *session = *self;

    if (session == NULL)
        return;
    tri_assert(tri_dlist_is_empty(&session->requests) && tri_dlist_is_empty(&session->follows));
    tri_assert(tri_dlist_is_empty(&session->released));
    free(session->releasing);
    tri_buffer_deinit(&session->out);
    free(session);
    *self = NULL;
}

void tri_session_notice(struct tri_session *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(self->notice, sizeof(self->notice), format, args);
    va_end(args);
    self->notice_wanted = true;
}

uint64_t tri_session_request_id(struct tri_session *self)
{
    return ++self->next_request;
}

void tri_session_release(struct tri_session *self, struct tri_row *row)
{
    free(row->entries);
    free(row->runs);
    row->entries = NULL;
    row->runs = NULL;
    tri_dlist_push_back(&self->released, &row->node);
}

/* ---- losing and finding a broker ------------------------------------------------------------ */

/* Everything on its way may be lost: whatever has no answer goes out again. */
void tri_session_forget_connection(struct tri_session *self, tri_time now)
{
    if (self->link == TRI_LINK_UP)
        self->down_since = now;
    self->link = TRI_LINK_DOWN;
    self->connect_wanted = false;
    self->heartbeats_unanswered = 0;
    tri_dlist_foreach(&self->requests, node)
        tri_request_lost(tri_container_of(node, struct tri_request, node));
    tri_dlist_foreach(&self->follows, node)
        tri_follow_lost(tri_container_of(node, struct tri_follow, node));
}

void tri_session_lose(struct tri_session *self, tri_time now, const char *why)
{
    if (self->link == TRI_LINK_REFUSED || self->link == TRI_LINK_DOWN)
        return;
    if (self->link == TRI_LINK_UP)
        tri_session_notice(self, "the broker is lost (%s): waiting for it", why);
    else
        self->endpoint = (self->endpoint + 1) % self->endpoint_count;
    tri_session_forget_connection(self, now);
    self->failures++;
    self->retry_at = now;
    if (self->failures > 1)
        self->retry_at += tri_backoff_ms(&retry_backoff, self->failures - 1, &self->prng);
}

static void connect_next(struct tri_session *self, tri_time now)
{
    uint64_t shift = self->failures / self->endpoint_count;
    uint64_t greet_ms = shift > 3 ? GREET_MS_MAX : (uint64_t)GREET_MS << shift;

    self->link = TRI_LINK_GREETING;
    self->connect_wanted = true;
    self->hello_sent = false;
    self->greet_deadline = now + greet_ms + tri_prng_below(&self->prng, greet_ms / 4);
}

static void give_up_waiting(struct tri_session *self)
{
    tri_dlist_foreach(&self->requests, node)
        tri_request_give_up(tri_container_of(node, struct tri_request, node));
    tri_dlist_foreach(&self->follows, node)
        tri_follow_give_up(tri_container_of(node, struct tri_follow, node));
}

void tri_session_tick(struct tri_session *self, tri_time now)
{
    if (self->link == TRI_LINK_UP && now >= self->heartbeat_at
        && self->heartbeats_unanswered >= HEARTBEATS_LOST)
        tri_session_lose(self, now, "it does not answer");
    if (self->link == TRI_LINK_GREETING && now >= self->greet_deadline)
        tri_session_lose(self, now, "no answer to the greeting");
    if (self->link == TRI_LINK_DOWN && now >= self->retry_at)
        connect_next(self, now);
    if (self->link != TRI_LINK_UP && now - self->down_since >= self->give_up_ms)
        give_up_waiting(self);
    tri_dlist_foreach(&self->follows, node)
        tri_follow_tick(tri_container_of(node, struct tri_follow, node), now);
}

static tri_time earlier(tri_time a, tri_time b)
{
    return a < b ? a : b;
}

static bool has_impatient(const struct tri_session *self)
{
    tri_dlist_foreach(&self->requests, node)
    {
        if (tri_container_of(node, struct tri_request, node)->status == TRI_EMPTY)
            return true;
    }
    tri_dlist_foreach(&self->follows, node)
    {
        const struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (tri_follow_is_impatient(follow))
            return true;
    }
    return false;
}

static tri_time work_deadline(const struct tri_session *self)
{
    tri_time deadline = self->heartbeat_at;

    tri_dlist_foreach(&self->requests, node)
    {
        const struct tri_request *request = tri_container_of(node, struct tri_request, node);

        if (request->status == TRI_EMPTY && !request->sent)
            deadline = earlier(deadline, request->not_before);
    }
    tri_dlist_foreach(&self->follows, node) deadline =
        earlier(deadline, tri_follow_deadline(tri_container_of(node, struct tri_follow, node)));
    return deadline;
}

tri_time tri_session_deadline(const struct tri_session *self)
{
    tri_time deadline = TRI_NEVER;

    switch (self->link) {
    case TRI_LINK_UP:
        return work_deadline(self);
    case TRI_LINK_REFUSED:
        return TRI_NEVER;
    case TRI_LINK_GREETING:
        deadline = self->greet_deadline;
        break;
    case TRI_LINK_DOWN:
        deadline = self->retry_at;
        break;
    }
    if (has_impatient(self))
        deadline = earlier(deadline, self->down_since + self->give_up_ms);
    return deadline;
}

enum tri_link tri_session_link(const struct tri_session *self)
{
    return self->link;
}

enum tri_status tri_session_failure(const struct tri_session *self, struct tri_error *error)
{
    if (self->link != TRI_LINK_REFUSED)
        return TRI_OK;
    return tri_fail(error, self->refusal.status, "%s", self->refusal.text);
}

const char *tri_session_last_word(const struct tri_session *self)
{
    return self->last_word;
}

uint64_t tri_session_item_bytes_max(const struct tri_session *self)
{
    return self->item_bytes_max;
}

uint64_t tri_session_features(const struct tri_session *self)
{
    return self->features;
}
