/* deferred.h - acknowledgements that nobody waits for.
 *
 * Each would wake two threads here and two at its peer, often in the middle of something that is
 * waited for. So one is kept for DEFERRED_MS, and a later one of the same subject to the same peer
 * takes its place: of a thousand a few leave. What must not be seen before it pushes it out
 * (enum haste).
 *
 * Order:   what is kept for a peer leaves in the order of its subjects' first.
 * Time:    O(DEFERRED_MAX) a message.
 * Threads: one owner.
 * Memory:  owns frame 0 of what it keeps; an acknowledgement has no other.
 * Limits:  DEFERRED_MAX messages; whoever puts one more sends the oldest first.
 */
#ifndef BROKER_DEFERRED_H
#define BROKER_DEFERRED_H

#include "broker/engine/event.h"
#include "common/list.h"

#include <zmq.h>

#define DEFERRED_MAX 64
#define DEFERRED_MS 5

struct deferred_message {
    struct tri_dlist_node node;
    struct peer_id peer;
    uint64_t subject;
    tri_time due;
    zmq_msg_t frame;
};

struct deferred {
    struct tri_dlist_head kept; /* oldest first */
    struct tri_dlist_head free;
    struct deferred_message messages[DEFERRED_MAX];
};

void deferred_init(struct deferred *self);

/* Drop what is still kept. */
void deferred_deinit(struct deferred *self);

static inline bool deferred_is_empty(const struct deferred *self)
{
    return tri_dlist_is_empty(&self->kept);
}

static inline bool deferred_is_full(const struct deferred *self)
{
    return tri_dlist_is_empty(&self->free);
}

/* Keep a message for `peer`, in the place of an older one of that subject if there is one. Not when
 * it is full. The frame is taken. */
void deferred_put(struct deferred *self,
                  tri_time now,
                  const struct peer_id *peer,
                  uint64_t subject,
                  zmq_msg_t *frame);

/* When the oldest has been kept for long enough; TRI_NEVER: nothing is kept. */
tri_time deferred_deadline(const struct deferred *self);

/* Take the oldest message, of all or of one peer. `*frame` is initialised when there is one; false:
 * there is none. */
bool deferred_take(struct deferred *self, struct peer_id *peer, zmq_msg_t *frame);
bool deferred_take_for(struct deferred *self, const struct peer_id *peer, zmq_msg_t *frame);

#endif
