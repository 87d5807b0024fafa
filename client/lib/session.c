/* The connection: greeting, heartbeats, loss, and who gets which message. */
#include "client/lib/state.h"
#include "common/assert.h"
#include "common/proto/codec.h"

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
static void forget_connection(struct tri_session *self, tri_time now)
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
    forget_connection(self, now);
    self->failures++;
    self->retry_at = now;
    if (self->failures > 1)
        self->retry_at += tri_backoff_ms(&retry_backoff, self->failures - 1, &self->prng);
}

/* The broker's ERROR about the session itself. What time may mend is tried again. */
static void on_session_error(struct tri_session *self,
                             tri_time now,
                             const struct tri_msg_error *message)
{
    if (self->link != TRI_LINK_GREETING)
        return;
    snprintf(self->last_word, sizeof(self->last_word), "%.*s", (int)message->text.size,
             (const char *)message->text.data);
    if (tri_error_is_temporary(message->status) || message->status == TRI_FULL) {
        tri_session_lose(self, now, self->last_word);
        if (self->retry_at < now + message->retry_after_ms)
            self->retry_at = now + message->retry_after_ms;
        return;
    }
    forget_connection(self, now);
    self->link = TRI_LINK_REFUSED;
    tri_fail(&self->refusal, (enum tri_status)message->status, "the broker refused: %s",
             self->last_word);
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

        if (!follow->accepted && follow->state != FOLLOW_FAILED)
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

/* ---- what the broker says ------------------------------------------------------------------- */

static void on_welcome(struct tri_session *self,
                       tri_time now,
                       const struct tri_msg_welcome *message)
{
    if (self->link != TRI_LINK_GREETING)
        return;
    self->link = TRI_LINK_UP;
    if (self->was_up)
        tri_session_notice(self, "the broker is back");
    self->was_up = true;
    self->failures = 0;
    self->heartbeat_ms = message->heartbeat_ms != 0 ? message->heartbeat_ms : 1000;
    self->heartbeat_at = now + self->heartbeat_ms;
    self->heartbeat_seq = 0;
    self->heartbeats_unanswered = 0;
    if (message->item_bytes_max != 0)
        self->item_bytes_max = message->item_bytes_max;
    self->message_bytes_max = message->message_bytes_max;
}

static void on_error(struct tri_session *self, tri_time now, const struct tri_msg_error *message)
{
    struct tri_request *request = tri_request_find(self, message->request);
    struct tri_follow *follow;

    if (message->request == 0) {
        on_session_error(self, now, message);
        return;
    }
    if (request != NULL) {
        tri_request_refuse(request, now, message, self->give_up_ms);
        return;
    }
    follow = tri_follow_by_request(self, message->request);
    if (follow != NULL)
        tri_follow_on_error(follow, now, message);
}

static void on_answer(struct tri_session *self, uint64_t id, struct tri_bytes head)
{
    struct tri_request *request = tri_request_find(self, id);

    if (request != NULL)
        tri_request_answer(request, head);
}

static void on_done(struct tri_session *self,
                    const struct tri_msg_done *message,
                    struct tri_bytes head)
{
    struct tri_follow *follow = tri_follow_by_request(self, message->request);

    if (follow == NULL) {
        on_answer(self, message->request, head);
        return;
    }
    if (message->request == follow->append.seal_request)
        follow->append.sealed = true;
}

static enum tri_status on_appended(struct tri_follow *follow,
                                   const struct tri_msg_appended *message,
                                   struct tri_error *error)
{
    enum tri_status status;

    if (follow == NULL || follow->state != FOLLOW_FOLLOWED)
        return TRI_OK;
    status = tri_append_resume(&follow->append, message->count, message->hash,
                               message->append_bytes_max, false, error);
    if (status == TRI_CONFLICT) {
        tri_follow_fail(follow, status, "%s", error->text);
        return TRI_OK;
    }
    return status;
}

static void on_accepted(struct tri_session *self, const struct tri_msg_accepted *message)
{
    struct tri_follow *follow = tri_follow_by_request(self, message->request);

    if (follow != NULL)
        tri_follow_on_accepted(follow, message);
}

static enum tri_status on_attached(struct tri_session *self,
                                   const struct tri_msg_attached *message,
                                   struct tri_error *error)
{
    struct tri_follow *follow = tri_follow_by_request(self, message->request);

    return follow != NULL ? tri_follow_on_attached(follow, message, error) : TRI_OK;
}

static void on_heartbeat_ok(struct tri_session *self, const struct tri_msg_heartbeat_ok *message)
{
    if (message->seq <= self->heartbeat_seq)
        self->heartbeats_unanswered = self->heartbeat_seq - message->seq;
}

/* What only brokers, workers and hosts are told, and ROW, which has a way of its own. */
#define FOR_OTHERS                 \
    TRI_MESSAGE_HELLO:             \
    case TRI_MESSAGE_HEARTBEAT:    \
    case TRI_MESSAGE_SUBMIT:       \
    case TRI_MESSAGE_APPEND:       \
    case TRI_MESSAGE_SEAL:         \
    case TRI_MESSAGE_ATTACH:       \
    case TRI_MESSAGE_ROW:          \
    case TRI_MESSAGE_ACK:          \
    case TRI_MESSAGE_CANCEL:       \
    case TRI_MESSAGE_RETRY:        \
    case TRI_MESSAGE_FORGET:       \
    case TRI_MESSAGE_LIST:         \
    case TRI_MESSAGE_SHOW:         \
    case TRI_MESSAGE_EXPLAIN:      \
    case TRI_MESSAGE_WORKERS:      \
    case TRI_MESSAGE_BATCH:        \
    case TRI_MESSAGE_OARS:         \
    case TRI_MESSAGE_BATCH_END:    \
    case TRI_MESSAGE_LEASE:        \
    case TRI_MESSAGE_CREDIT:       \
    case TRI_MESSAGE_REVOKE:       \
    case TRI_MESSAGE_CANCEL_LEASE: \
    case TRI_MESSAGE_RESULTS:      \
    case TRI_MESSAGE_PARTIAL:      \
    case TRI_MESSAGE_ENDED:        \
    case TRI_MESSAGE_RELEASED:     \
    case TRI_MESSAGE_RESULTS_OK:   \
    case TRI_MESSAGE_HOST_START:   \
    case TRI_MESSAGE_HOST_UP:      \
    case TRI_MESSAGE_HOST_GONE:    \
    case TRI_MESSAGE_HOST_KILL:    \
    case TRI_MESSAGE_RUN:          \
    case TRI_MESSAGE_RAN:          \
    case TRI_MESSAGE_STOP

static enum tri_status dispatch(struct tri_session *self,
                                tri_time now,
                                const struct tri_message *message,
                                struct tri_bytes head,
                                struct tri_error *error)
{
    switch (message->type) {
    case TRI_MESSAGE_WELCOME:
        on_welcome(self, now, &message->welcome);
        return TRI_OK;
    case TRI_MESSAGE_NO_SESSION:
        tri_session_lose(self, now, "it has forgotten this client");
        return TRI_OK;
    case TRI_MESSAGE_BYE:
        tri_session_lose(self, now, "it is shutting down");
        return TRI_OK;
    case TRI_MESSAGE_ERROR:
        on_error(self, now, &message->error);
        return TRI_OK;
    case TRI_MESSAGE_HEARTBEAT_OK:
        on_heartbeat_ok(self, &message->heartbeat_ok);
        return TRI_OK;
    case TRI_MESSAGE_ACCEPTED:
        on_accepted(self, &message->accepted);
        return TRI_OK;
    case TRI_MESSAGE_ATTACHED:
        return on_attached(self, &message->attached, error);
    case TRI_MESSAGE_APPENDED:
        return on_appended(tri_follow_by_number(self, message->appended.number), &message->appended,
                           error);
    case TRI_MESSAGE_DONE:
        on_done(self, &message->done, head);
        return TRI_OK;
    case TRI_MESSAGE_PROGRESS:
        tri_follow_on_progress(self, &message->progress);
        return TRI_OK;
    case TRI_MESSAGE_END:
        tri_follow_on_end(self, &message->end);
        return TRI_OK;
    case TRI_MESSAGE_LISTED:
    case TRI_MESSAGE_SHOWN:
    case TRI_MESSAGE_EXPLAINED:
    case TRI_MESSAGE_WORKERS_INFO:
        on_answer(self, message->listed.request, head);
        return TRI_OK;
    case FOR_OTHERS:
        return TRI_OK;
    }
    return TRI_OK;
}

static enum tri_status receive_row(struct tri_session *self,
                                   tri_time now,
                                   const struct tri_msg_row *row,
                                   const struct tri_bytes *body,
                                   void *token,
                                   bool *taken,
                                   struct tri_error *error)
{
    struct tri_follow *follow = tri_follow_by_number(self, row->number);

    if (follow == NULL)
        return TRI_OK;
    if (body == NULL)
        return tri_fail(error, TRI_INVALID, "a ROW without its body");
    return tri_rows_receive(follow, now, row, *body, token, taken, error);
}

enum tri_status tri_session_receive(struct tri_session *self,
                                    tri_time now,
                                    struct tri_bytes head,
                                    const struct tri_bytes *body,
                                    void *token,
                                    bool *taken,
                                    struct tri_error *error)
{
    struct tri_message message;
    struct tri_error local;
    enum tri_status status;

    *taken = false;
    if (self->link != TRI_LINK_UP && self->link != TRI_LINK_GREETING)
        return TRI_OK;
    status = tri_message_decode(head, &message, &local);
    if (status == TRI_UNSUPPORTED)
        return TRI_OK; /* a later version may say more than we understand */
    if (status == TRI_OK && message.type == TRI_MESSAGE_ROW)
        status = receive_row(self, now, &message.row, body, token, taken, &local);
    else if (status == TRI_OK)
        status = dispatch(self, now, &message, head, &local);
    if (status == TRI_OK)
        return TRI_OK;
    tri_session_lose(self, now, local.text);
    return status == TRI_MEMORY ? tri_fail(error, TRI_MEMORY, "out of memory") : TRI_OK;
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
