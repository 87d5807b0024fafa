/* host_join.h - several hauls of one lease as one result chunk, or one partial.
 *
 * Time:    linear in the bytes; hauls whose runs do not ascend, or that interleave, are sorted.
 * Threads: plain data.   Memory: appends to `frame`.
 */
#ifndef HOST_JOIN_H
#define HOST_JOIN_H

#include "worker/host_state.h"

/* The values of `count` hauls, runs sorted. */
void haul_encode_results(struct haul *const *hauls,
                         size_t count,
                         enum tri_model model,
                         struct tri_buffer *frame);

/* The reducers of `count` hauls, merged into the first. Fills ranges, flags and costs of `message`;
 * its ranges borrow from `ranges`. */
void haul_encode_partial(struct haul *const *hauls,
                         size_t count,
                         struct tri_msg_partial *message,
                         struct host_runs *ranges,
                         struct tri_buffer *frame);

#endif
