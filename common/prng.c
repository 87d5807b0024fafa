#include "common/prng.h"

#include "common/assert.h"

static uint64_t rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void tri_prng_init(struct tri_prng *self, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        self->state[i] = tri_mix64(seed);
    }
}

uint64_t tri_prng_next(struct tri_prng *self)
{
    uint64_t *s = self->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Lemire, "Fast random integer generation in an interval" (2019): the high half of a product is
 * uniform once the few low halves that would be counted once too often are refused. */
uint64_t tri_prng_below(struct tri_prng *self, uint64_t bound)
{
    unsigned __int128 product;
    uint64_t refuse_below;

    tri_assert(bound > 0);
    product = (unsigned __int128)tri_prng_next(self) * bound;
    if ((uint64_t)product < bound) {
        refuse_below = -bound % bound;
        while ((uint64_t)product < refuse_below)
            product = (unsigned __int128)tri_prng_next(self) * bound;
    }
    return (uint64_t)(product >> 64);
}

uint64_t tri_prng_between(struct tri_prng *self, uint64_t low, uint64_t high)
{
    tri_assert(low <= high);
    if (high - low == UINT64_MAX)
        return tri_prng_next(self);
    return low + tri_prng_below(self, high - low + 1);
}

double tri_prng_unit(struct tri_prng *self)
{
    return (double)(tri_prng_next(self) >> 11) * 0x1p-53;
}
