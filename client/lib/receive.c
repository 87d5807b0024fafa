/* What the broker says: each message to the one it is for. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"

#include <stdio.h>

/* For good: no other connection to this broker would be better. */
static void refuse(struct tri_session *self, tri_time now, const struct tri_error *why)
{
    tri_session_forget_connection(self, now);
    self->link = TRI_LINK_REFUSED;
    self->refusal = *why;
}

/* One of the two cannot read what the other says. It would say the same on every connection. */
static void refuse_language(struct tri_session *self, tri_time now, const char *what)
{
    struct tri_error why;

    tri_fail(&why, TRI_VERSION,
             "the broker and this program speak different versions of the protocol (%.300s): use "
             "the same version of both",
             what);
    refuse(self, now, &why);
}

/* The broker's ERROR about the session itself. What time may mend is tried again. A request that
 * the broker cannot read is never answered by any other word. */
static void on_session_error(struct tri_session *self,
                             tri_time now,
                             const struct tri_msg_error *message)
{
    char text[sizeof(self->last_word)];
    struct tri_error why;

    snprintf(text, sizeof(text), "%.*s", (int)message->text.size, (const char *)message->text.data);
    if (self->link == TRI_LINK_UP
        && (message->status == TRI_INVALID || message->status == TRI_UNSUPPORTED)) {
        refuse_language(self, now, text);
        return;
    }
    if (self->link == TRI_LINK_UP)
        tri_session_notice(self, "the broker says: %s", text);
    if (self->link == TRI_LINK_UP && message->status == TRI_NO_SPACE)
        tri_patience_hear(self, now);
    if (self->link != TRI_LINK_GREETING)
        return;
    memcpy(self->last_word, text, sizeof(text));
    if (tri_error_is_temporary(message->status) || message->status == TRI_FULL) {
        tri_session_lose(self, now, self->last_word);
        if (self->retry_at < now + message->retry_after_ms)
            self->retry_at = now + message->retry_after_ms;
        return;
    }
    tri_fail(&why, (enum tri_status)message->status, "the broker refused: %.480s", text);
    refuse(self, now, &why);
}

/* ---- what the broker says ------------------------------------------------------------------- */

static void on_welcome(struct tri_session *self,
                       tri_time now,
                       const struct tri_msg_welcome *message)
{
    if (self->link != TRI_LINK_GREETING)
        return;
    if (message->version != TRI_PROTOCOL_VERSION) {
        refuse_language(self, now, "it chose one that was not offered");
        return;
    }
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
    self->features = message->features;
    if (message->cluster.size == sizeof(self->cluster.bytes))
        memcpy(self->cluster.bytes, message->cluster.data, sizeof(self->cluster.bytes));
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

static void on_answer(struct tri_session *self,
                      uint64_t id,
                      struct tri_bytes head,
                      struct tri_bytes body)
{
    struct tri_request *request = tri_request_find(self, id);

    if (request != NULL)
        tri_request_answer(request, head, body);
}

static void on_done(struct tri_session *self,
                    const struct tri_msg_done *message,
                    struct tri_bytes head)
{
    struct tri_follow *follow = tri_follow_by_request(self, message->request);

    if (follow == NULL) {
        on_answer(self, message->request, head, (struct tri_bytes){ 0 });
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
                                   tri_time now,
                                   const struct tri_msg_attached *message,
                                   struct tri_error *error)
{
    struct tri_follow *follow = tri_follow_by_request(self, message->request);

    return follow != NULL ? tri_follow_on_attached(follow, now, message, error) : TRI_OK;
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
    case TRI_MESSAGE_TASKS:        \
    case TRI_MESSAGE_ARGUMENTS:    \
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
                                const struct tri_bytes *body,
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
        return on_attached(self, now, &message->attached, error);
    case TRI_MESSAGE_APPENDED:
        return on_appended(tri_follow_by_number(self, message->appended.number), &message->appended,
                           error);
    case TRI_MESSAGE_DONE:
        on_done(self, &message->done, head);
        return TRI_OK;
    case TRI_MESSAGE_PROGRESS:
        tri_follow_on_progress(self, now, &message->progress);
        return TRI_OK;
    case TRI_MESSAGE_END:
        tri_follow_on_end(self, &message->end);
        return TRI_OK;
    case TRI_MESSAGE_LISTED:
    case TRI_MESSAGE_SHOWN:
    case TRI_MESSAGE_EXPLAINED:
    case TRI_MESSAGE_WORKERS_INFO:
    case TRI_MESSAGE_TASKS_INFO:
    case TRI_MESSAGE_ARGUMENTS_INFO:
        on_answer(self, message->listed.request, head,
                  body != NULL ? *body : (struct tri_bytes){ 0 });
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
        status = dispatch(self, now, &message, head, body, &local);
    if (status == TRI_OK)
        return TRI_OK;
    if (status == TRI_MEMORY) /* wherever it ran out, nothing more was said */
        tri_fail(&local, TRI_MEMORY, "out of memory");
    if (status == TRI_INVALID)
        refuse_language(self, now, local.text);
    else
        tri_session_lose(self, now, local.text);
    return status == TRI_MEMORY ? tri_fail(error, TRI_MEMORY, "%s", local.text) : TRI_OK;
}
