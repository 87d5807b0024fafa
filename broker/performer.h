/* performer.h - carries out what the engine wants done.
 *
 * PUT and DELETE go to the store at once and become durable with the next commit. A SEND that
 * waits is queued until all writes of its step and before it are durable; one that does not wait
 * leaves at once: heartbeats and leases overtake commits. An acknowledgement stays behind once more
 * (deferred.h). A commit begins when somebody waits for it; what nobody waits for, rows that go and
 * acknowledgements, goes along, and only begins one when it has waited for PERFORMER_IDLE_MS or has
 * grown large.
 *
 * What comes of it (a peer is gone, a payload is there) is given back as events.
 *
 * Threads: one owner, the ROUTER's.
 * Memory:  payload frames are shared by reference with the store; nothing is copied but frame 0
 *          and parts of chunks.
 * Errors:  performer_apply and performer_commit: TRI_STORE: the broker must stop.
 */
#ifndef BROKER_PERFORMER_H
#define BROKER_PERFORMER_H

#include "broker/deferred.h"
#include "broker/engine/effect.h"
#include "broker/inbox.h"
#include "broker/net/gauge.h"
#include "broker/outbox.h"
#include "broker/store/store.h"

#define PERFORMER_IDLE_MS 5

struct performer {
    void *router;
    struct store *store;
    struct gauges *gauges;
    struct outbox outbox;
    struct deferred deferred;
    zmq_msg_t loaded; /* what the engine itself read last, kept until it reads the next */
    struct tri_bytes loaded_frame;
    zmq_msg_t *frames; /* of the message being built; those past `frame_count` are not open */
    size_t frame_count;
    size_t frame_capacity;
    struct peer_id *lost; /* to be reported */
    size_t lost_count;
    size_t lost_capacity;
    uint64_t room_told; /* of the store, to the engine */
    uint64_t ticket;    /* of the last commit */
    bool is_dirty;      /* rows were written since */
    bool is_awaited;    /* and somebody waits for that */
    uint64_t put_bytes; /* payloads among them */
    tri_time commit_at; /* at the latest; TRI_NEVER: none is needed, or it is not known yet */
    uint64_t sent;
    bool has_stirred;   /* the router was used: its descriptor may have lost a signal */
    uint64_t overflows; /* peers that did not read what they asked for */
};

void performer_init(struct performer *self,
                    void *router,
                    struct store *store,
                    struct gauges *gauges);
void performer_deinit(struct performer *self);

/* Perform the effects of one step, in order. `inbox` holds the frames of its event (NULL when it
 * had none). */
enum tri_status performer_apply(struct performer *self,
                                struct effects effects,
                                struct inbox *inbox,
                                struct tri_error *error);

/* Make everything written so far one transaction; nothing happens when nothing was. */
enum tri_status performer_commit(struct performer *self, struct tri_error *error);

/* The same, when it is time for it. */
enum tri_status performer_commit_due(struct performer *self, tri_time now, struct tri_error *error);

/* Send what has become durable, and what was deferred until `now`. */
void performer_flush(struct performer *self, tri_time now);

/* When there will be something to commit, or something deferred to flush. */
tri_time performer_deadline(const struct performer *self);

/* Take the next event that performing has caused: PEER_LOST, LOADED, LOAD_FAILED or, when the room
 * of the store is no longer about what was said last, ROOM; without time.
 * A payload that was loaded can be sent until the next call. False: none. */
bool performer_take_event(struct performer *self, struct event *event);

#endif
