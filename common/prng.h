/* prng.h - seeded pseudo-random numbers: xoshiro256** (Blackman and Vigna), seeded through
 * splitmix64. The same seed gives the same numbers on every machine. Never for secrets.
 *
 * Threads: one owner at a time.   Memory: four words, by value.
 */
#ifndef TRI_PRNG_H
#define TRI_PRNG_H

#include <stdint.h>

struct tri_prng {
    uint64_t state[4];
};

void tri_prng_init(struct tri_prng *self, uint64_t seed);

/* Uniform over all of 64 bits. */
uint64_t tri_prng_next(struct tri_prng *self);

/* Uniform over [0, bound), without bias. `bound` > 0. */
uint64_t tri_prng_below(struct tri_prng *self, uint64_t bound);

/* Uniform over [low, high], both included. `low` <= `high`. */
uint64_t tri_prng_between(struct tri_prng *self, uint64_t low, uint64_t high);

/* Uniform over [0, 1), 53 bits. */
double tri_prng_unit(struct tri_prng *self);

/* A well-mixed function of `value`: for hashes and for seeds derived from seeds. */
static inline uint64_t tri_mix64(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

#endif
