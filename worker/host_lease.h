/* host_lease.h - leases, the queue of what nobody has begun, and who gets how much of it.
 *
 * Time:    a grab is O(1) (O(log n) in the chunks of an items lease).
 * Threads: all but lease_open under host->lock.
 */
#ifndef HOST_LEASE_H
#define HOST_LEASE_H

#include "worker/host_state.h"

/* A lease as its message has it; the frames are copied. TRI_INVALID when the frames do not hold
 * exactly its tasks. Not yet known to the host. */
enum tri_status lease_open(const struct batch *batch,
                           const struct tri_msg_lease *message,
                           const struct tri_bytes *frames,
                           size_t frame_count,
                           struct lease **lease,
                           struct tri_error *error);

/* Know it, and queue all of its tasks. */
void lease_enqueue(struct host *host, struct lease *lease);

/* The lease of that number, or NULL. */
struct lease *lease_find(struct host *host, uint64_t id);

/* Give the rower its next run, stepping from lease to lease as needed. False when nothing is
 * queued (the rower then stands on no lease). */
bool lease_grab(struct host *host, struct rower *rower);

/* The rower steps off its lease: the rest of its run is queued again, its box is nobody's. */
void lease_leave(struct host *host, struct rower *rower);

/* Put back what the rower has not begun, in front of the queue. Returns how many tasks. */
uint64_t lease_ungrab(struct host *host, struct rower *rower);

/* Take tasks [first, first+count) of `lease` out of the queue, as far as they are there, into
 * `taken`. */
void lease_unqueue(struct host *host,
                   struct lease *lease,
                   uint64_t first,
                   uint64_t count,
                   struct tri_rangeset *taken);

/* Drop what of it is queued and cancelled. */
void lease_drop_cancelled(struct host *host, struct lease *lease);

/* Free a lease that was opened and not enqueued. */
void lease_discard(struct lease **lease);

/* `count` more tasks of it are accounted for. */
void lease_settle(struct host *host, struct lease *lease, uint64_t count);

/* One more, one less who stands on it; the last may free it. */
void lease_hold(struct lease *lease);
void lease_unhold(struct host *host, struct lease *lease);

/* How many rowers what is queued is worth, as far as can be told. */
unsigned lease_rowers_wanted(const struct host *host);

/* A run of `count` tasks took `elapsed_ns` of a rower. */
void lease_learn(struct host *host, uint64_t elapsed_ns, uint64_t count);

#endif
