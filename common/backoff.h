/* backoff.h - how long to wait before the next try: exponential with jitter.
 *
 * The wait before retry n (1 is the first) is uniform over [ceil(full/2), full], where full =
 * min(max_ms, base_ms * 2^(n-1)): never below half of the exponential step, never above max_ms, and
 * two peers that failed together do not come back together.
 *
 * Threads: pure.
 */
#ifndef TRI_BACKOFF_H
#define TRI_BACKOFF_H

#include "common/prng.h"
#include "common/types.h"

struct tri_backoff {
    uint64_t base_ms; /* at least 1 */
    uint64_t max_ms;  /* at least base_ms */
};

/* The bounds of the wait before retry `retry` (at least 1). */
uint64_t tri_backoff_min_ms(const struct tri_backoff *self, uint64_t retry);
uint64_t tri_backoff_max_ms(const struct tri_backoff *self, uint64_t retry);

/* A wait within those bounds, in milliseconds. */
uint64_t tri_backoff_ms(const struct tri_backoff *self, uint64_t retry, struct tri_prng *prng);

#endif
