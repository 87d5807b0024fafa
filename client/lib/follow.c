/* The life of one followed batch: accepted, lost, found again, ended. */
#include "client/lib/state.h"
#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 200
#define HAVE_RANGES_MAX 65536

static const char *state_text(uint64_t state)
{
    static const char *const texts[] = {
#define X(name, code, text) [code] = text,
        TRI_BATCH_STATE_MAP(X)
#undef X
    };

    return state < TRI_COUNT_OF(texts) ? texts[state] : "?";
}

static void set_state(struct tri_follow *self, uint64_t state)
{
    self->summary.state = (int)state;
    self->summary.state_text = state_text(state);
}

static struct tri_follow *follow_new(struct tri_session *session,
                                     const struct tri_follow_options *options,
                                     tri_time now)
{
    struct tri_follow *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->session = session;
    self->uuid = options->uuid;
    self->number = options->number;
    self->owner = options->owner;
    self->unordered = options->unordered;
    self->window_bytes = options->window_bytes;
    self->not_before = now;
    self->request = tri_session_request_id(session);
    set_state(self, TRI_BATCH_OPEN);
    tri_dlist_init(&self->rows);
    tri_heap_init(&self->turns);
    tri_rangeset_init(&self->received);
    tri_rangeset_init(&self->consumed);
    tri_rangeset_init(&self->to_ack);
    tri_dlist_push_back(&session->follows, &self->node);
    return self;
}

void tri_follow_close(struct tri_follow **self)
{
    struct tri_follow *follow = *self;

    if (follow == NULL)
        return;
    tri_rows_drop(follow);
    tri_dlist_remove(&follow->session->follows, &follow->node);
    tri_append_deinit(&follow->append);
    tri_heap_deinit(&follow->turns);
    tri_rangeset_deinit(&follow->received);
    tri_rangeset_deinit(&follow->consumed);
    tri_rangeset_deinit(&follow->to_ack);
    tri_reducer_destroy(&follow->reducer);
    tri_buffer_deinit(&follow->scratch);
    tri_buffer_deinit(&follow->submit);
    free(follow);
    *self = NULL;
}

/* The spec names a reducer: make it. A spec of several kilobytes needs no copy for that. */
static enum tri_status make_reducer(struct tri_follow *self,
                                    struct tri_bytes spec,
                                    struct tri_error *error)
{
    struct tri_rec_spec record;
    struct tri_error local = { .status = TRI_INVALID };
    char name[257];
    enum tri_status status = tri_record_decode(TRI_RECORD_SPEC, spec, &record, error);

    if (status != TRI_OK || record.reducer.size == 0 || self->reducer != NULL)
        return status;
    snprintf(name, sizeof(name), "%.*s", (int)record.reducer.size,
             (const char *)record.reducer.data);
    self->reducer = tri_reducer_new(name, &local);
    return self->reducer != NULL ? TRI_OK : tri_fail(error, local.status, "%s", local.text);
}

static enum tri_status encode_submit(struct tri_follow *self,
                                     struct tri_bytes name,
                                     struct tri_bytes spec,
                                     bool open)
{
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };

    message.submit.request = self->request;
    message.submit.batch = (struct tri_bytes){ self->uuid.bytes, 16 };
    message.submit.name = name;
    message.submit.open = open;
    message.submit.window_bytes = self->window_bytes;
    message.submit.spec = spec;
    tri_message_encode(&message, &self->submit);
    return self->submit.failed ? TRI_MEMORY : TRI_OK;
}

enum tri_status tri_follow_submit(struct tri_session *session,
                                  const struct tri_follow_options *options,
                                  tri_time now,
                                  struct tri_bytes name,
                                  struct tri_bytes spec,
                                  bool open,
                                  struct tri_follow **follow,
                                  struct tri_error *error)
{
    struct tri_follow *self = follow_new(session, options, now);
    enum tri_status status;

    if (self == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    self->state = FOLLOW_SUBMITTING;
    status = tri_append_init(&self->append, session, open);
    if (status == TRI_OK)
        status = encode_submit(self, name, spec, open);
    if (status == TRI_OK)
        status = make_reducer(self, spec, error);
    else
        tri_fail(error, status, "out of memory");
    if (status != TRI_OK) {
        tri_follow_close(&self);
        return status;
    }
    *follow = self;
    return TRI_OK;
}

enum tri_status tri_follow_attach(struct tri_session *session,
                                  const struct tri_follow_options *options,
                                  tri_time now,
                                  struct tri_follow **follow)
{
    struct tri_follow *self = follow_new(session, options, now);

    if (self == NULL)
        return TRI_MEMORY;
    self->state = FOLLOW_ATTACHING;
    if (tri_append_init(&self->append, session, false) != TRI_OK) {
        tri_follow_close(&self);
        return TRI_MEMORY;
    }
    *follow = self;
    return TRI_OK;
}

enum tri_status tri_follow_state(const struct tri_follow *self, struct tri_error *error)
{
    if (self->state == FOLLOW_FAILED)
        return tri_fail(error, self->failure.status, "%s", self->failure.text);
    return self->accepted ? TRI_OK : TRI_EMPTY;
}

uint64_t tri_follow_number(const struct tri_follow *self)
{
    return self->number;
}

const struct tri_uuid *tri_follow_uuid(const struct tri_follow *self)
{
    return &self->uuid;
}

bool tri_follow_is_absent(const struct tri_follow *self)
{
    return self->absent;
}

/* ---- finding -------------------------------------------------------------------------------- */

struct tri_follow *tri_follow_by_request(struct tri_session *session, uint64_t id)
{
    tri_dlist_foreach(&session->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (follow->request == id || follow->append.request == id
            || (id != 0 && follow->append.seal_request == id))
            return follow;
    }
    return NULL;
}

struct tri_follow *tri_follow_by_number(struct tri_session *session, uint64_t number)
{
    tri_dlist_foreach(&session->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (follow->accepted && follow->state != FOLLOW_FAILED && follow->number == number)
            return follow;
    }
    return NULL;
}

/* ---- what the broker says ------------------------------------------------------------------- */

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
    self->accepted = true;
    self->number = message->number;
    self->absent = message->absent != 0;
    if (self->append.sealed)
        set_state(self, TRI_BATCH_RUNNING);
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

enum tri_status tri_follow_on_attached(struct tri_follow *self,
                                       const struct tri_msg_attached *message,
                                       struct tri_error *error)
{
    enum tri_status status;

    if (self->state != FOLLOW_ATTACHING || message->request != self->request)
        return TRI_OK;
    status = settle_resume(self, make_reducer(self, message->spec, error), error);
    if (status != TRI_OK || self->state == FOLLOW_FAILED)
        return status;
    self->state = FOLLOW_FOLLOWED;
    self->accepted = true;
    self->number = message->number;
    if (message->batch.size == sizeof(self->uuid.bytes))
        memcpy(self->uuid.bytes, message->batch.data, sizeof(self->uuid.bytes));
    self->summary.count = message->count;
    set_state(self, message->state);
    status = settle_resume(self,
                           tri_append_resume(&self->append, message->count, message->hash,
                                             message->append_bytes_max, true, error),
                           error);
    check_sealed(self, message);
    return status;
}

void tri_follow_on_error(struct tri_follow *self, tri_time now, const struct tri_msg_error *message)
{
    if (message->request != self->request) {
        tri_append_on_error(self, now, message);
        return;
    }
    if (self->state != FOLLOW_SUBMITTING && self->state != FOLLOW_ATTACHING)
        return;
    if (tri_error_is_temporary(message->status)
        && (self->accepted || now - self->busy_since < self->session->give_up_ms)) {
        self->asked = false;
        self->not_before = now + (message->retry_after_ms != 0 ? message->retry_after_ms : BUSY_MS);
        return;
    }
    tri_follow_fail(self,
                    message->status != TRI_OK ? (enum tri_status)message->status : TRI_INVALID,
                    "%.*s", (int)message->text.size, (const char *)message->text.data);
}

void tri_follow_on_progress(struct tri_session *session, const struct tri_msg_progress *message)
{
    struct tri_follow *self = tri_follow_by_number(session, message->number);
    struct tri_batch_summary *summary;

    if (self == NULL)
        return;
    summary = &self->summary;
    summary->count = message->count;
    summary->pending = message->pending + message->delayed;
    summary->running = message->leased;
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
    set_state(self, message->state);
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

/* Without a window nothing is attached: asking for the same SUBMIT again says where we stand. */
static void ask_again(struct tri_follow *self)
{
    self->asked = false;
    if (self->state == FOLLOW_FOLLOWED)
        self->state = self->window_bytes != 0 ? FOLLOW_ATTACHING : FOLLOW_SUBMITTING;
}

void tri_follow_lost(struct tri_follow *self)
{
    ask_again(self);
    self->not_before = 0;
    self->append.resync = false;
    self->append.not_before = 0;
}

void tri_follow_give_up(struct tri_follow *self)
{
    if (!self->accepted && self->state != FOLLOW_FAILED)
        tri_follow_fail(self, TRI_UNREACHABLE, "%s%s%s", "no broker answers: is it running?",
                        self->session->last_word[0] != '\0' ? " It said: " : "",
                        self->session->last_word);
}

tri_time tri_follow_deadline(const struct tri_follow *self)
{
    tri_time deadline = TRI_NEVER;

    if ((self->state == FOLLOW_SUBMITTING || self->state == FOLLOW_ATTACHING) && !self->asked)
        return self->not_before;
    if (self->state != FOLLOW_FOLLOWED)
        return TRI_NEVER;
    if (!tri_rangeset_is_empty(&self->to_ack))
        deadline = self->ack_at;
    if (self->append.resync && self->append.not_before < deadline)
        deadline = self->append.not_before;
    return deadline;
}

/* ---- what goes out -------------------------------------------------------------------------- */

static enum tri_status submit_effect(struct tri_follow *self)
{
    struct tri_buffer *out = &self->session->out;

    tri_buffer_append(out, self->submit.data, self->submit.size);
    return out->failed ? TRI_MEMORY : TRI_OK;
}

/* Rows consumed so far, as far as they fit into one message: what is left out comes again and is
 * recognised. */
static enum tri_status have_ranges(struct tri_follow *self, struct tri_ranges *ranges)
{
    struct tri_range range;
    size_t count = 0;

    tri_buffer_clear(&self->scratch);
    for (uint64_t at = 0; count < HAVE_RANGES_MAX && tri_rangeset_next(&self->consumed, at, &range);
         at = range.first + range.count, count++)
        tri_buffer_append(&self->scratch, &range, sizeof(range));
    *ranges = (struct tri_ranges){ self->scratch.data, count };
    return self->scratch.failed ? TRI_MEMORY : TRI_OK;
}

static enum tri_status attach_effect(struct tri_follow *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACH };
    uint64_t request = tri_session_request_id(self->session);

    message.attach.request = request;
    message.attach.number = self->number;
    if (self->accepted)
        message.attach.batch = (struct tri_bytes){ self->uuid.bytes, 16 };
    message.attach.owner = self->owner;
    message.attach.window_bytes = self->window_bytes;
    if (have_ranges(self, &message.attach.have) != TRI_OK)
        return TRI_MEMORY;
    tri_message_encode(&message, &self->session->out);
    if (self->session->out.failed)
        return TRI_MEMORY;
    self->request = request;
    self->ack_all = self->accepted;
    return TRI_OK;
}

enum tri_status tri_follow_effect(struct tri_follow *self, tri_time now, struct tri_bytes *body)
{
    enum tri_status status = TRI_EMPTY;

    tri_buffer_clear(&self->session->out);
    if (self->state == FOLLOW_FAILED || now < self->not_before)
        return TRI_EMPTY;
    if (self->state == FOLLOW_FOLLOWED) {
        if (self->append.resync && now >= self->append.not_before)
            ask_again(self);
        else
            status = tri_append_effect(self, now, body);
    }
    if (self->state == FOLLOW_FOLLOWED)
        return status == TRI_EMPTY ? tri_rows_ack_effect(self, now) : status;
    if (self->asked)
        return TRI_EMPTY;
    status = self->state == FOLLOW_SUBMITTING ? submit_effect(self) : attach_effect(self);
    if (status == TRI_OK) {
        self->asked = true;
        if (self->busy_since == 0)
            self->busy_since = now;
    }
    return status;
}
