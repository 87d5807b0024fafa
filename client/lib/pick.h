/* pick.h - single tasks that somebody named, as ranges. Private.
 *
 * Threads: pure.
 */
#ifndef TRI_CLIENT_PICK_H
#define TRI_CLIENT_PICK_H

#include "common/types.h"
#include "trireme/status.h"

#include <stddef.h>

/* Numbers in any order as ranges, ascending; the caller frees `*ranges`, also after a failure. The
 * greatest is never joined to what is before it: a broker refuses a range that begins behind the
 * last task, and takes of one that ends there what there is. TRI_INVALID, TRI_MEMORY. */
enum tri_status tri_pick(const uint64_t *tasks,
                         size_t count,
                         struct tri_range **ranges,
                         size_t *range_count,
                         struct tri_error *error);

#endif
