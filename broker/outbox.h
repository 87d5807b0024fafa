/* outbox.h - messages that wait until what they reveal is durable.
 *
 * One queue for all peers, released from its front: a later commit never overtakes an earlier one,
 * so the order of the queue is the order of the commits, and order per peer follows.
 *
 * Time:    O(1) a message, amortised.
 * Threads: one owner.
 * Memory:  owns the frames of what waits; two rings that grow and are kept.
 */
#ifndef BROKER_OUTBOX_H
#define BROKER_OUTBOX_H

#include "broker/engine/effect.h"

#include <zmq.h>

/* The ticket of the commit that is not yet started. */
#define OUTBOX_NEXT_COMMIT UINT64_MAX

/* Given back with the message. */
struct outbox_manner {
    enum haste haste;
    uint64_t subject;
    bool informs; /* may be taken before its commit is durable; it has three frames at most */
};

#define OUTBOX_INFORMING_FRAMES 3

struct outbox_entry {
    uint64_t ticket;
    struct peer_id peer;
    size_t frame_count;
    struct outbox_manner manner;
    bool is_gone; /* it was taken out of turn; never the first */
};

struct outbox {
    struct outbox_entry *entries; /* ring of entry_capacity, a power of two */
    size_t entry_first;
    size_t entry_count;
    size_t entry_capacity;
    zmq_msg_t *frames; /* ring of frame_capacity, a power of two; all initialised */
    size_t frame_first;
    size_t frame_count;
    size_t frame_capacity;
    size_t open_count;      /* entries at the end that wait for the next commit */
    size_t informing_count; /* that wait */
};

void outbox_init(struct outbox *self);

/* Drop what still waits. */
void outbox_deinit(struct outbox *self);

/* Queue a message for `peer`; its frames are taken. It waits for commit `ticket`, or for the next
 * one: then outbox_ticket says which that was. */
void outbox_put(struct outbox *self,
                const struct peer_id *peer,
                zmq_msg_t *frames,
                size_t count,
                uint64_t ticket,
                struct outbox_manner manner);

/* The commit that OUTBOX_NEXT_COMMIT meant has been started: its ticket. */
void outbox_ticket(struct outbox *self, uint64_t ticket);

/* Does anything wait? */
static inline bool outbox_is_empty(const struct outbox *self)
{
    return self->entry_count == 0;
}

/* Take the first message whose commit is durable: its peer and the number of its frames, which are
 * moved into `frames` (room for outbox_peek_frames). False: nothing is ready. */
size_t outbox_peek_frames(const struct outbox *self);
bool outbox_take(struct outbox *self,
                 uint64_t durable,
                 struct peer_id *peer,
                 zmq_msg_t *frames,
                 struct outbox_manner *manner);

/* Take the first message that only informs, out of turn: its peer and the number of its frames.
 * 0: there is none. O(messages that wait). */
size_t outbox_take_informing(struct outbox *self, struct peer_id *peer, zmq_msg_t *frames);

#endif
