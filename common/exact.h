/* exact.h - sums of doubles without rounding: a fixed-point number wide enough for all of them.
 *
 * Adding is exact, so any order and any grouping gives the same sum; it is rounded once, at the end
 * (to nearest, ties to even). NaN and infinities are remembered apart. Signed zeros sum to +0.
 *
 * The sum is digits of 32 bits with the weights 2^(32 i - 1088). Each digit is kept in 64 bits, so
 * that an addition touches three of them and carries are settled only now and then.
 *
 * Threads: one owner at a time.   Memory: none.
 * Limits:  2^63 additions and merges.
 */
#ifndef TRI_EXACT_H
#define TRI_EXACT_H

#include "common/buffer.h"
#include "common/types.h"

#define TRI_EXACT_DIGITS 68 /* up to 2^1088: 2^63 times the largest double, and more */

struct tri_exact {
    int64_t digits[TRI_EXACT_DIGITS + 2]; /* the last one holds the sign */
    uint32_t unsettled;                   /* additions since carries were settled */
    bool nan;
    bool plus_infinity;
    bool minus_infinity;
};

static inline void tri_exact_init(struct tri_exact *self)
{
    *self = (struct tri_exact){ 0 };
}

void tri_exact_add(struct tri_exact *self, double number);
void tri_exact_add_int(struct tri_exact *self, __int128 integer);
void tri_exact_merge(struct tri_exact *self, const struct tri_exact *other);

/* The sum, rounded. Beyond the largest double it is an infinity although none was added. */
double tri_exact_sum(const struct tri_exact *self);

/* The sum divided by `count` (at least 1), rounded once. */
double tri_exact_mean(const struct tri_exact *self, uint64_t count);

/* True when a NaN or an infinity was added. */
static inline bool tri_exact_is_special(const struct tri_exact *self)
{
    return self->nan || self->plus_infinity || self->minus_infinity;
}

#define TRI_EXACT_VALUES 4

/* Append TRI_EXACT_VALUES msgpack values: special flags, sign, lowest digit, digits, trimmed. The
 * same sum gives the same bytes. */
void tri_exact_encode(const struct tri_exact *self, struct tri_buffer *out);

/* Read back what was encoded. TRI_INVALID when they cannot be that. */
enum tri_status tri_exact_decode(struct tri_exact *self,
                                 const struct tri_value values[TRI_EXACT_VALUES],
                                 struct tri_error *error);
#endif
