#include "broker/performer.h"

#include "broker/attachment.h"
#include "broker/trace.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/net/parts.h"

#include <stdlib.h>
#include <string.h>

/* So much is written without waiting for more. */
#define COMMIT_BYTES (UINT64_C(256) << 10)

void performer_init(struct performer *self,
                    void *router,
                    struct store *store,
                    struct gauges *gauges)
{
    *self = (struct performer){
        .router = router,
        .store = store,
        .gauges = gauges,
        .room_told = UINT64_MAX,
        .commit_at = TRI_NEVER,
        .has_stirred = true,
    };
    zmq_msg_init(&self->loaded);
    outbox_init(&self->outbox);
    deferred_init(&self->deferred);
}

void performer_deinit(struct performer *self)
{
    zmq_msg_close(&self->loaded);
    outbox_deinit(&self->outbox);
    deferred_deinit(&self->deferred);
    free(self->frames);
    free(self->lost);
    *self = (struct performer){ 0 };
}

/* Room for one more element in an array that doubles. */
static void *room(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return tri_realloc(array, *capacity, size);
}

static void lose(struct performer *self, const struct peer_id *peer)
{
    const struct peer_id *last = self->lost_count > 0 ? &self->lost[self->lost_count - 1] : NULL;

    if (last != NULL && last->size == peer->size
        && memcmp(last->bytes, peer->bytes, peer->size) == 0)
        return;
    self->lost = room(self->lost, self->lost_count, &self->lost_capacity, sizeof(*self->lost));
    self->lost[self->lost_count++] = *peer;
}

/* ---- SEND ------------------------------------------------------------------------------------ */

static void reserve_frames(struct performer *self, size_t count)
{
    if (count <= self->frame_capacity)
        return;
    self->frames = tri_realloc(self->frames, count * 2, sizeof(*self->frames));
    self->frame_capacity = count * 2;
}

static void drop_frames(struct performer *self)
{
    for (size_t i = 0; i < self->frame_count; i++)
        zmq_msg_close(&self->frames[i]);
    self->frame_count = 0;
}

static void open_id(zmq_msg_t *frame, const struct peer_id *peer)
{
    tri_assert(tri_msg_copy(frame, (struct tri_bytes){ peer->bytes, peer->size }) == TRI_OK);
}

static enum tri_status open_payload(struct performer *self,
                                    const struct effect *effect,
                                    uint64_t *bytes)
{
    const struct attachment *attachments = effect->send.attachments;
    uint32_t cut = effect->send.item_bytes_max;
    size_t count = cut != 0 ? 1 : effect->send.attachment_count;

    for (size_t i = 0; i < count; i++) {
        zmq_msg_t *frame = &self->frames[self->frame_count];
        enum tri_status status =
            cut != 0 ? attachment_open_cut(self->store, attachments, effect->send.attachment_count,
                                           cut, frame)
                     : attachment_open(self->store, &attachments[i], frame);

        if (status != TRI_OK)
            return status;
        self->frame_count++;
        *bytes += zmq_msg_size(frame);
    }
    return TRI_OK;
}

/* Open `self->frames`: routing id, frame 0, payload. TRI_FULL: the peer is over its limits. */
static enum tri_status build(struct performer *self,
                             const struct effect *effect,
                             struct tri_error *error)
{
    const struct peer_id *peer = &effect->send.peer;
    uint64_t bytes = effect->send.frame.size;
    enum tri_status status;

    reserve_frames(self, effect->send.attachment_count + 2);
    zmq_msg_init(&self->frames[1]);
    open_id(&self->frames[0], peer);
    self->frame_count = 2;
    status = open_payload(self, effect, &bytes);
    if (status != TRI_OK)
        return tri_fail(error, TRI_STORE, "a payload cannot be read from the store: %s",
                        tri_status_text(status));
    return gauges_frame(self->gauges, peer, effect->send.frame, bytes, &self->frames[1]);
}

/* Give frames to libzmq; they are gone afterwards in any case. */
static void give(struct performer *self,
                 const struct peer_id *peer,
                 zmq_msg_t *frames,
                 size_t count)
{
    struct tri_error error;
    enum tri_status status = tri_parts_send(self->router, frames, count, &error);

    self->has_stirred = true;
    if (status == TRI_OK) {
        self->sent++;
        return;
    }
    for (size_t i = 0; i < count; i++)
        zmq_msg_close(&frames[i]);
    if (status == TRI_UNREACHABLE || status == TRI_BUSY)
        lose(self, peer);
    else
        tri_log(TRI_LOG_ERROR, "send.failed", "why=%s", TRI_QUOTE(error.text));
}

static void overflow(struct performer *self, const struct peer_id *peer)
{
    self->overflows++;
    lose(self, peer);
}

/* Send what was only frame 0 so far, and take it. */
static void give_acknowledgement(struct performer *self,
                                 const struct peer_id *peer,
                                 zmq_msg_t *frame)
{
    struct tri_bytes bytes = tri_msg_bytes(frame);
    zmq_msg_t frames[2];
    enum tri_status status = gauges_frame(self->gauges, peer, bytes, bytes.size, &frames[1]);

    zmq_msg_close(frame);
    if (status != TRI_OK) {
        overflow(self, peer);
        return;
    }
    open_id(&frames[0], peer);
    give(self, peer, frames, 2);
}

static void send_deferred(struct performer *self, const struct peer_id *peer)
{
    zmq_msg_t frame;

    while (deferred_take_for(&self->deferred, peer, &frame))
        give_acknowledgement(self, peer, &frame);
}

/* Send `self->frames`, not before what was deferred for the same peer unless it may overtake. */
static void transmit(struct performer *self, const struct peer_id *peer, enum haste haste)
{
    if (haste != HASTE_OVERTAKES && !deferred_is_empty(&self->deferred))
        send_deferred(self, peer);
    give(self, peer, self->frames, self->frame_count);
    self->frame_count = 0;
}

static void send_oldest(struct performer *self)
{
    zmq_msg_t frame;
    struct peer_id peer;

    if (deferred_take(&self->deferred, &peer, &frame))
        give_acknowledgement(self, &peer, &frame);
}

/* Keep `self->frames` for a while. */
static void defer(struct performer *self,
                  tri_time now,
                  const struct peer_id *peer,
                  uint64_t subject)
{
    tri_assert(self->frame_count == 1);
    if (deferred_is_full(&self->deferred))
        send_oldest(self);
    deferred_put(&self->deferred, now, peer, subject, &self->frames[0]);
    self->frame_count = 0;
}

/* Queue `self->frames` until what was written so far is durable. */
static void queue(struct performer *self, const struct effect *effect)
{
    outbox_put(&self->outbox, &effect->send.peer, self->frames, self->frame_count,
               self->is_dirty ? OUTBOX_NEXT_COMMIT : self->ticket,
               (struct outbox_manner){ .haste = effect->send.haste,
                                       .subject = effect->send.subject,
                                       .informs = effect->send.informs });
    self->frame_count = 0;
    self->is_awaited = self->is_awaited || (self->is_dirty && effect->send.haste != HASTE_NONE);
}

/* Mostly it never leaves: another takes its place. So it is frame 0 alone until it does. */
static void perform_acknowledgement(struct performer *self, const struct effect *effect)
{
    reserve_frames(self, 1);
    tri_assert(tri_msg_copy(&self->frames[0], effect->send.frame) == TRI_OK);
    self->frame_count = 1;
    queue(self, effect);
}

/* A store that is full may stay so. What only informs does not wait for it, once something of this
 * life is durable: the epoch is in the first commit. */
static bool is_stuck(const struct performer *self)
{
    const struct store_operations *store = self->store->operations;

    return store->stats(self->store).is_full && store->durable(self->store) > 0;
}

static bool must_wait(const struct performer *self, const struct effect *effect)
{
    return effect->send.waits && !(effect->send.informs && is_stuck(self));
}

static enum tri_status perform_send(struct performer *self,
                                    const struct effect *effect,
                                    struct tri_error *error)
{
    bool waits = must_wait(self, effect);
    enum tri_status status;

    if (waits && effect->send.haste == HASTE_NONE) {
        perform_acknowledgement(self, effect);
        return TRI_OK;
    }
    status = build(self, effect, error);
    if (status != TRI_OK) {
        drop_frames(self);
        if (status != TRI_FULL)
            return status;
        overflow(self, &effect->send.peer);
        return TRI_OK;
    }
    if (waits)
        queue(self, effect);
    else
        transmit(self, &effect->send.peer, effect->send.haste);
    return TRI_OK;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* A payload of our own is copied; one that came with the event is shared: an event's frame may be
 * put more than once. */
static enum tri_status perform_put(struct performer *self,
                                   const struct effect *effect,
                                   struct inbox *inbox,
                                   struct tri_error *error)
{
    const struct store_operations *store = self->store->operations;
    zmq_msg_t payload;
    enum tri_status status;

    if (effect->put.frame < 0 && effect->put.payload.size == 0)
        return store->put(self->store, effect->put.key, effect->put.head, NULL, error);
    if (effect->put.frame >= 0) {
        tri_assert(inbox != NULL && (size_t)effect->put.frame < inbox->event.frame_count);
        zmq_msg_init(&payload);
        zmq_msg_copy(&payload, inbox_payload(inbox, (size_t)effect->put.frame));
    } else {
        status = tri_msg_copy(&payload, effect->put.payload);
        tri_assert(status == TRI_OK);
    }
    self->put_bytes += zmq_msg_size(&payload);
    status = store->put(self->store, effect->put.key, effect->put.head, &payload, error);
    zmq_msg_close(&payload);
    return status;
}

static enum tri_status perform_delete(struct performer *self, const struct effect *effect)
{
    return self->store->operations->remove(self->store, effect->delete.key,
                                           effect->delete.whole_batch);
}

enum tri_status performer_apply(struct performer *self,
                                struct effects effects,
                                struct inbox *inbox,
                                struct tri_error *error)
{
    enum tri_status status = TRI_OK;

    self->is_dirty = self->is_dirty || effects.writes;
    for (size_t i = 0; i < effects.count && status == TRI_OK; i++) {
        const struct effect *effect = &effects.items[i];

        switch (effect->type) {
        case EFFECT_PUT:
            status = perform_put(self, effect, inbox, error);
            break;
        case EFFECT_DELETE:
            status = perform_delete(self, effect);
            break;
        case EFFECT_GET:
            self->store->operations->fetch(self->store, effect->get);
            break;
        case EFFECT_SEND:
            status = perform_send(self, effect, error);
            break;
        case EFFECT_TRACE:
            trace_log(effect->trace);
            break;
        }
    }
    return status;
}

enum tri_status performer_commit(struct performer *self, struct tri_error *error)
{
    uint64_t ticket;

    if (!self->is_dirty)
        return TRI_OK;
    ticket = self->store->operations->commit(self->store, error);
    if (ticket == 0)
        return error->status;
    self->ticket = ticket;
    self->is_dirty = false;
    self->is_awaited = false;
    self->put_bytes = 0;
    self->commit_at = TRI_NEVER;
    outbox_ticket(&self->outbox, ticket);
    return TRI_OK;
}

enum tri_status performer_commit_due(struct performer *self, tri_time now, struct tri_error *error)
{
    if (self->is_dirty && self->commit_at == TRI_NEVER)
        self->commit_at = now + PERFORMER_IDLE_MS;
    if (self->is_awaited || self->put_bytes >= COMMIT_BYTES || self->commit_at <= now)
        return performer_commit(self, error);
    return TRI_OK;
}

/* Send or defer the next message that is durable. False: none. */
static bool flush_next(struct performer *self, tri_time now, uint64_t durable)
{
    size_t count = outbox_peek_frames(&self->outbox);
    struct peer_id peer;
    struct outbox_manner manner;

    reserve_frames(self, count);
    for (size_t i = 0; i < count; i++)
        zmq_msg_init(&self->frames[i]);
    if (!outbox_take(&self->outbox, durable, &peer, self->frames, &manner))
        return false;
    self->frame_count = count;
    if (manner.haste == HASTE_NONE)
        defer(self, now, &peer, manner.subject);
    else
        transmit(self, &peer, manner.haste);
    return true;
}

/* Send the next message that need not wait for a store that is full. False: none. */
static bool flush_informing(struct performer *self)
{
    struct peer_id peer;

    reserve_frames(self, OUTBOX_INFORMING_FRAMES);
    for (size_t i = 0; i < OUTBOX_INFORMING_FRAMES; i++)
        zmq_msg_init(&self->frames[i]);
    self->frame_count = outbox_take_informing(&self->outbox, &peer, self->frames);
    if (self->frame_count == 0)
        return false;
    transmit(self, &peer, HASTE_NORMAL);
    return true;
}

void performer_flush(struct performer *self, tri_time now)
{
    uint64_t durable = self->store->operations->durable(self->store);

    while (self->outbox.informing_count > 0 && is_stuck(self) && flush_informing(self))
        continue;
    while (flush_next(self, now, durable))
        continue;
    while (deferred_deadline(&self->deferred) <= now)
        send_oldest(self);
}

tri_time performer_deadline(const struct performer *self)
{
    tri_time deferred = deferred_deadline(&self->deferred);

    return deferred < self->commit_at ? deferred : self->commit_at;
}

/* A sixteenth is left out: what the engine puts in it counts by itself. */
static bool room_has_changed(const struct performer *self, uint64_t room)
{
    uint64_t told = self->room_told;

    return (room > told ? room - told : told - room) > told / 16;
}

/* The history of a task is not passed on, it is read. */
static void open_loaded(struct performer *self, struct event *event)
{
    zmq_msg_t payload;

    if (event->type != EVENT_LOADED || event->key.table != STORE_TASK
        || self->store->operations->read(self->store, event->key, &payload) != TRI_OK)
        return;
    zmq_msg_move(&self->loaded, &payload);
    zmq_msg_close(&payload);
    self->loaded_frame =
        (struct tri_bytes){ zmq_msg_data(&self->loaded), zmq_msg_size(&self->loaded) };
    event->frames = &self->loaded_frame;
    event->frame_count = 1;
}

bool performer_take_event(struct performer *self, struct event *event)
{
    struct store_key key;
    enum tri_status status;
    uint64_t room;

    if (self->store->operations->fetched(self->store, &key, &status)) {
        *event = (struct event){
            .type = status == TRI_OK ? EVENT_LOADED : EVENT_LOAD_FAILED,
            .key = key,
            .status = status,
            .text = tri_status_text(status),
        };
        open_loaded(self, event);
        return true;
    }
    if (self->lost_count > 0) {
        *event = (struct event){ .type = EVENT_PEER_LOST, .peer = self->lost[--self->lost_count] };
        return true;
    }
    room = self->store->operations->room(self->store);
    if (room_has_changed(self, room)) {
        self->room_told = room;
        *event = (struct event){ .type = EVENT_ROOM, .room_bytes = room };
        return true;
    }
    return false;
}
