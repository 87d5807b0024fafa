/* gauge.h - how much is on its way to each peer: given to libzmq or waiting for a commit, and not
 * yet handed to the kernel.
 *
 * Credit keeps an honest peer far below the limits: a client by its window, a worker by its
 * leases. A peer that asks and never reads, or reads too slowly for what it asked, is treated as
 * lost once it is over them; it may come back with a HELLO when it has caught up. libzmq counts
 * messages only, and blocks or drops at its mark; this counts bytes and does neither, so
 * ZMQ_SNDHWM is off.
 *
 * It works without a word from libzmq: frame 0 of every message is memory of ours, and its free
 * function, which libzmq calls in its own thread once the frame is written or thrown away, takes
 * the message off the gauge. Frames are written in order, so all earlier messages are gone then.
 *
 * Time:    O(1) expected.
 * Threads: one owner; frames may be freed in any thread.
 * Memory:  a gauge lives while anything is on its way; idle ones are swept as new ones are made.
 *          Every message must be gone (the context terminated) before gauges_deinit.
 */
#ifndef BROKER_NET_GAUGE_H
#define BROKER_NET_GAUGE_H

#include "broker/engine/event.h"
#include "common/map.h"

#include <zmq.h>

struct gauge_limits {
    uint64_t messages_max;
    uint64_t bytes_max;
};

struct gauges {
    struct gauge_limits limits;
    struct tri_bytemap table; /* routing id -> struct gauge */
    size_t sweep_at;
};

void gauges_init(struct gauges *self, const struct gauge_limits *limits, uint64_t seed);
void gauges_deinit(struct gauges *self);

/* Make frame 0 of a message to `peer` from a copy of `bytes`; `bytes_total` is what the message
 * weighs with all its frames. TRI_FULL, and no frame: the peer is over a limit. One message is
 * always allowed to a peer that has nothing on its way. */
enum tri_status gauges_frame(struct gauges *self,
                             const struct peer_id *peer,
                             struct tri_bytes bytes,
                             uint64_t bytes_total,
                             zmq_msg_t *frame);

/* What is on its way to `peer` now. */
struct gauge_limits gauges_read(const struct gauges *self, const struct peer_id *peer);

#endif
