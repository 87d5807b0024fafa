/* Making, finding and closing followed batches. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>

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
    self->still_since = TRI_NEVER;
    self->request = tri_session_request_id(session);
    tri_follow_set_state(self, TRI_BATCH_OPEN);
    tri_dlist_init(&self->rows);
    tri_heap_init(&self->turns);
    tri_rangeset_init(&self->settled);
    tri_rangeset_init(&self->seen);
    tri_rangeset_init(&self->received);
    tri_rangeset_init(&self->consumed);
    tri_rangeset_init(&self->withheld);
    tri_rangeset_init(&self->to_ack);
    tri_dlist_push_back(&session->follows, &self->node);
    return self;
}

void tri_follow_free(struct tri_follow *self)
{
    tri_dlist_remove(&self->session->follows, &self->node);
    tri_append_deinit(&self->append);
    tri_heap_deinit(&self->turns);
    tri_rangeset_deinit(&self->settled);
    tri_rangeset_deinit(&self->seen);
    tri_rangeset_deinit(&self->received);
    tri_rangeset_deinit(&self->consumed);
    tri_rangeset_deinit(&self->withheld);
    tri_rangeset_deinit(&self->to_ack);
    tri_reducer_destroy(&self->reducer);
    tri_buffer_deinit(&self->scratch);
    tri_buffer_deinit(&self->submit);
    free(self);
}

/* By another than `self`: to the broker all of a session's word on a batch is one client's. */
static bool is_followed(const struct tri_session *session,
                        uint64_t number,
                        const struct tri_follow *self)
{
    tri_dlist_foreach(&session->follows, node)
    {
        const struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (follow != self && follow->state != FOLLOW_FAILED && follow->state != FOLLOW_LEAVING
            && follow->number == number && number != 0)
            return true;
    }
    return false;
}

/* As long as we are its owner, the broker holds back results, and in the end work, for us: of what
 * ended, too, when it is retried by hand. As long as we may add to a batch, it is not sealed. */
static bool must_tell(const struct tri_follow *self)
{
    bool is_fed = self->append.hash != NULL && !self->append.sealed;

    return self->known && !self->session->closing && !is_followed(self->session, self->number, self)
           && (self->window_bytes != 0 ? self->owner || !self->ended : is_fed);
}

void tri_follow_close(struct tri_follow **self)
{
    struct tri_follow *follow = *self;

    if (follow == NULL)
        return;
    tri_rows_drop(follow);
    if (must_tell(follow))
        follow->state = FOLLOW_LEAVING;
    else
        tri_follow_free(follow);
    *self = NULL;
}

/* The spec names a reducer: make it. A spec of several kilobytes needs no copy for that. */
enum tri_status tri_follow_make_reducer(struct tri_follow *self,
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
        status = tri_follow_make_reducer(self, spec, error);
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
    struct tri_follow *self;

    if (is_followed(session, options->number, NULL))
        return TRI_CONFLICT;
    self = follow_new(session, options, now);
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

        if (follow->state != FOLLOW_LEAVING
            && (follow->request == id || follow->append.request == id
                || (id != 0 && follow->append.seal_request == id)))
            return follow;
    }
    return NULL;
}

struct tri_follow *tri_follow_by_number(struct tri_session *session, uint64_t number)
{
    tri_dlist_foreach(&session->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (follow->accepted && follow->state != FOLLOW_FAILED && follow->state != FOLLOW_LEAVING
            && follow->number == number)
            return follow;
    }
    return NULL;
}
