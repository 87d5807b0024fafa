#include "common/backoff.h"

#include "common/assert.h"

uint64_t tri_backoff_max_ms(const struct tri_backoff *self, uint64_t retry)
{
    uint64_t full = self->base_ms;

    tri_assert(retry >= 1 && self->base_ms >= 1 && self->max_ms >= self->base_ms);
    while (--retry > 0 && full < self->max_ms)
        full = full > self->max_ms / 2 ? self->max_ms : full * 2;
    return full;
}

uint64_t tri_backoff_min_ms(const struct tri_backoff *self, uint64_t retry)
{
    uint64_t full = tri_backoff_max_ms(self, retry);

    return full - full / 2;
}

uint64_t tri_backoff_ms(const struct tri_backoff *self, uint64_t retry, struct tri_prng *prng)
{
    return tri_prng_between(prng, tri_backoff_min_ms(self, retry), tri_backoff_max_ms(self, retry));
}
