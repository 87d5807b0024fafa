/* host_flush.h - finished tasks leave the host.
 *
 * In two steps: under host->lock hauls are moved out of boxes (cheap), without it they are encoded
 * and sent (may block while the session is slow: that is what bounds a host's memory).
 *
 * Hauls of one lease are joined on the way, so that oars that took turns in a lease send one run of
 * results and not each its scraps.
 *
 * Threads: any.
 * Errors:  when the session is gone the process ends; nothing comes back.
 */
#ifndef HOST_FLUSH_H
#define HOST_FLUSH_H

#include "worker/host_state.h"

/* A haul on its way. */
struct parcel {
    struct tri_dlist_node node;
    uint64_t lease;
    uint64_t number;
    uint64_t generation;
    struct haul haul;
};

/* Under host->lock. Empty one box, or every box of nobody (and of `self`), into `parcels`.
 * `partials` says whether folded results go too. A lease may be freed by it. */
void flush_take(struct host *host, struct box *box, struct tri_dlist_head *parcels);
void flush_take_all(struct host *host,
                    const struct rower *self,
                    bool partials,
                    struct tri_dlist_head *parcels);

/* Without host->lock. Send and free them. */
void flush_send(struct host *host, struct tri_dlist_head *parcels);

/* Send one message. */
void host_send(struct host *host,
               const struct tri_message *message,
               const struct tri_bytes *frames,
               size_t frame_count);

/* RELEASED: these are given back unstarted. */
void host_send_released(struct host *host, uint64_t lease, const struct tri_rangeset *ranges);

#endif
