/* What happens to a followed batch: accepted, attached, refused, ended, lost. */
#include "client/lib/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUSY_MS 200
#define WINDOW_BYTES_END (UINT64_C(1) << 50)

static const char *state_text(uint64_t state)
{
    static const char *const texts[] = {
#define X(name, code, text) [code] = text,
        TRI_BATCH_STATE_MAP(X)
#undef X
    };

    return state < TRI_COUNT_OF(texts) ? texts[state] : "?";
}

void tri_follow_set_state(struct tri_follow *self, uint64_t state)
{
    self->summary.state = (int)state;
    self->summary.state_text = state_text(state);
}

void tri_follow_fail(struct tri_follow *self, enum tri_status status, const char *format, ...)
{
    va_list args;

    self->state = FOLLOW_FAILED;
    self->failure.status = status;
    va_start(args, format);
    vsnprintf(self->failure.text, sizeof(self->failure.text), format, args);
    va_end(args);
    tri_append_stop(&self->append, status, self->failure.text);
}

/* TRI_CONFLICT and what cannot be read are the end of this batch, not of the connection. */
static enum tri_status settle_resume(struct tri_follow *self,
                                     enum tri_status status,
                                     const struct tri_error *error)
{
    if (status == TRI_OK || status == TRI_MEMORY)
        return status;
    tri_follow_fail(self, status, "%s", error->text);
    return TRI_OK;
}

void tri_follow_on_accepted(struct tri_follow *self, const struct tri_msg_accepted *message)
{
    struct tri_error error;

    if (self->state != FOLLOW_SUBMITTING || message->request != self->request)
        return;
    self->state = FOLLOW_FOLLOWED;
    self->not_before = 0;
    self->accepted = true;
    self->cluster = self->session->cluster;
    self->number = message->number;
    self->absent = message->absent != 0;
    if (self->append.sealed)
        tri_follow_set_state(self, TRI_BATCH_RUNNING);
    settle_resume(self,
                  tri_append_resume(&self->append, message->count, message->hash,
                                    message->append_bytes_max, true, &error),
                  &error);
}

/* The batch may have been sealed while we were away: by our own SEAL, or because we were. */
static void check_sealed(struct tri_follow *self, const struct tri_msg_attached *message)
{
    struct tri_append *append = &self->append;
    char text[128];

    if (append->hash == NULL || append->sealed || message->state == TRI_BATCH_OPEN)
        return;
    if (append->seal_wanted && message->count == append->chunked) {
        append->sealed = true;
        return;
    }
    snprintf(text, sizeof(text),
             "the batch was sealed at %llu arguments while this client was away",
             (unsigned long long)message->count);
    tri_append_stop(append, TRI_CLOSED, text);
}

/* What others have had already does not come to us. */
static enum tri_status pass_settled(struct tri_follow *self, struct tri_ranges settled)
{
    for (size_t i = 0; i < settled.count; i++) {
        struct tri_range range = tri_ranges_at(settled, i);

        if (range.first + range.count <= self->cursor)
            continue;
        if (!tri_rangeset_prepare(&self->settled) || !tri_rangeset_prepare(&self->seen))
            return TRI_MEMORY;
        tri_rangeset_add(&self->settled, range.first, range.count);
        tri_rangeset_add(&self->seen, range.first, range.count);
    }
    return TRI_OK;
}

enum tri_status tri_follow_on_attached(struct tri_follow *self,
                                       tri_time now,
                                       const struct tri_msg_attached *message,
                                       struct tri_error *error)
{
    enum tri_status status;

    if (self->state != FOLLOW_ATTACHING || message->request != self->request)
        return TRI_OK;
    status = settle_resume(self, tri_follow_make_reducer(self, message->spec, error), error);
    if (status != TRI_OK || self->state == FOLLOW_FAILED)
        return status;
    if (pass_settled(self, message->settled) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    self->state = FOLLOW_FOLLOWED;
    self->not_before = 0;
    self->accepted = true;
    self->cluster = self->session->cluster;
    self->heard_at = now;
    self->number = message->number;
    if (message->batch.size == sizeof(self->uuid.bytes))
        memcpy(self->uuid.bytes, message->batch.data, sizeof(self->uuid.bytes));
    self->summary.count = message->count;
    self->still_since = TRI_NEVER;
    if (!self->ended)
        self->lost.status = TRI_OK; /* it is read again; the text tells what is said again */
    tri_follow_set_state(self, message->state);
    status = settle_resume(self,
                           tri_append_resume(&self->append, message->count, message->hash,
                                             message->append_bytes_max, true, error),
                           error);
    check_sealed(self, message);
    return status;
}

/* Who sealed it does not matter: all of it is there. */
static bool is_whole(const struct tri_append *append)
{
    return append->seal_wanted && append->durable == append->chunked;
}

/* The broker does not have the batch any more: somebody has forgotten it, or it is another broker's
 * memory. Before END, all results came. */
static void on_gone(struct tri_follow *self)
{
    unsigned long long number = self->number;

    self->known = false;
    if (self->ended)
        self->state = FOLLOW_FOLLOWED;
    else if (memcmp(&self->cluster, &self->session->cluster, sizeof(self->cluster)) == 0)
        tri_follow_fail(self, TRI_NOTFOUND,
                        "batch %llu was forgotten before all of its results were read", number);
    else
        tri_follow_fail(self, TRI_STORE, "the broker has come back without batch %llu: it is lost",
                        number);
}

void tri_follow_on_error(struct tri_follow *self, tri_time now, const struct tri_msg_error *message)
{
    enum tri_status status;

    if (message->request != self->request) {
        tri_append_on_error(self, now, message);
        return;
    }
    /* The batch was sealed by others. SUBMIT and ATTACH are never refused so: this is about an
     * earlier one of the same request, and comes again when that is answered. */
    if (message->status == TRI_CANCELLED || message->status == TRI_CLOSED) {
        if (self->state == FOLLOW_FOLLOWED && !self->append.sealed && !is_whole(&self->append))
            tri_append_on_error(self, now, message);
        return;
    }
    /* About a row, and perhaps before an earlier one of the same request is answered. */
    if (self->state != FOLLOW_FAILED && message->status == TRI_STORE) {
        if (message->text.size != strlen(self->lost.text)
            || memcmp(message->text.data, self->lost.text, message->text.size) != 0)
            self->asked_for_lost = false;
        tri_fail(&self->lost, TRI_STORE, "%.*s", (int)message->text.size,
                 (const char *)message->text.data);
        return;
    }
    if (self->accepted && message->status == TRI_NOTFOUND) {
        on_gone(self);
        return;
    }
    if (self->state == FOLLOW_FOLLOWED && message->status != TRI_STALE)
        return;
    if (tri_error_is_temporary(message->status)
        && (self->accepted || now - self->busy_since < self->session->give_up_ms)) {
        self->asked = false;
        tri_patience_refuse(self, now, message->text);
        self->not_before = now + (message->retry_after_ms != 0 ? message->retry_after_ms : BUSY_MS);
        return;
    }
    self->known = false;
    status = message->status != TRI_OK ? (enum tri_status)message->status : TRI_INVALID;
    tri_follow_fail(self, status, "%.*s", (int)message->text.size,
                    (const char *)message->text.data);
}

void tri_follow_on_progress(struct tri_session *session,
                            tri_time now,
                            const struct tri_msg_progress *message)
{
    struct tri_follow *self = tri_follow_by_number(session, message->number);
    struct tri_batch_summary *summary;

    if (self == NULL || self->ended)
        return; /* a later generation is under way: what END said is what this one waits for */
    summary = &self->summary;
    summary->count = message->count;
    summary->pending = message->pending + message->delayed;
    summary->running = message->leased;
    if (message->pending == 0 || message->delayed + message->leased != 0)
        self->still_since = TRI_NEVER;
    else if (self->still_since == TRI_NEVER)
        self->still_since = now;
    summary->ok = message->done;
    summary->failed = message->dead;
    summary->cancelled = message->cancelled;
    summary->workers = message->workers;
}

void tri_follow_on_end(struct tri_session *session, const struct tri_msg_end *message)
{
    struct tri_follow *self = tri_follow_by_number(session, message->number);
    struct tri_batch_summary *summary;

    if (self == NULL)
        return;
    summary = &self->summary;
    tri_follow_set_state(self, message->state);
    summary->count = message->count;
    summary->pending = summary->running = 0;
    summary->ok = message->done;
    summary->failed = message->dead;
    summary->cancelled = message->cancelled;
    summary->wall_ns = message->wall_ns;
    summary->cpu_ns = message->cpu_ns;
    summary->elapsed_ms = message->elapsed_ms;
    summary->workers = message->workers;
    snprintf(summary->reason, sizeof(summary->reason), "%.*s", (int)message->reason.size,
             (const char *)message->reason.data);
    if (!self->append.sealed)
        tri_append_stop(&self->append, TRI_CLOSED,
                        "the batch has ended: it takes no more arguments");
    self->ended = true;
    self->end_generation = message->generation;
}

/* ---- losing and finding the broker ---------------------------------------------------------- */

/* Without a window nothing is attached: asking for the same SUBMIT again says where we stand. When
 * nothing more is to be said, a SUBMIT could only make a new batch of one that was forgotten. */
void tri_follow_ask_again(struct tri_follow *self)
{
    bool is_whole = self->append.sealed || self->append.failure.status != TRI_OK;

    self->asked = false;
    if (self->state != FOLLOW_FOLLOWED || (self->window_bytes == 0 && is_whole))
        return;
    self->state = self->window_bytes != 0 ? FOLLOW_ATTACHING : FOLLOW_SUBMITTING;
}

void tri_follow_lost(struct tri_follow *self)
{
    tri_follow_ask_again(self);
    self->asked_for_lost = false; /* a broker that was restarted finds out again */
    self->not_before = 0;
    self->append.resync = false;
    self->append.not_before = 0;
}

bool tri_follow_is_impatient(const struct tri_follow *self)
{
    return !self->accepted && self->state != FOLLOW_FAILED && self->state != FOLLOW_LEAVING;
}

void tri_follow_give_up(struct tri_follow *self)
{
    if (tri_follow_is_impatient(self))
        tri_follow_fail(self, TRI_UNREACHABLE, "%s%s%s", "no broker answers: is it running?",
                        self->session->last_word[0] != '\0' ? " It said: " : "",
                        self->session->last_word);
}

/* A reader has what it has been sent; an owner's word would delete it, so it asks for more room. */
static void make_room(struct tri_follow *self)
{
    if (self->owner && self->window_bytes < WINDOW_BYTES_END)
        self->window_bytes *= 2;
    self->asked_for_lost = self->lost.status != TRI_OK;
    tri_follow_ask_again(self);
}

void tri_follow_tick(struct tri_follow *self, tri_time now)
{
    if (now >= tri_rows_jam_at(self))
        make_room(self);
    tri_patience_tick(self, now);
}

tri_time tri_follow_deadline(const struct tri_follow *self)
{
    tri_time deadline = TRI_NEVER;
    tri_time jam_at = tri_rows_jam_at(self);

    if ((self->state == FOLLOW_SUBMITTING || self->state == FOLLOW_ATTACHING) && !self->asked)
        return self->not_before;
    if (self->state != FOLLOW_FOLLOWED)
        return TRI_NEVER;
    if (!tri_rangeset_is_empty(&self->to_ack))
        deadline = self->ack_at;
    if (self->append.resync && self->append.not_before < deadline)
        deadline = self->append.not_before;
    return jam_at < deadline ? jam_at : deadline;
}
