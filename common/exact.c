#include "common/exact.h"

#include "common/value.h"

#include <math.h>

#define LOW_EXPONENT 1088 /* digit 0 counts 2^-1088; the least double is 2^-1074 */
#define DIGIT_MASK INT64_C(0xffffffff)
#define ALL (TRI_EXACT_DIGITS + 2)
#define UNSETTLED_MAX (UINT32_C(1) << 30) /* an addition changes a digit by less than 2^32 */

/* Magnitude and sign of a sum: digits within [0, 2^32). */
struct magnitude {
    uint32_t digits[ALL];
    bool negative;
};

/* Carry, so that all digits but the last are within [0, 2^32) and the last one has the sign. */
static void settle(struct tri_exact *self)
{
    int64_t carry = 0;

    for (size_t i = 0; i < ALL - 1; i++) {
        int64_t digit = self->digits[i] + carry;

        self->digits[i] = digit & DIGIT_MASK;
        carry = digit >> 32;
    }
    self->digits[ALL - 1] += carry;
    self->unsettled = 0;
}

/* Room for one more addition. */
static void settle_in_time(struct tri_exact *self)
{
    if (++self->unsettled >= UNSETTLED_MAX)
        settle(self);
}

/* Add digits of `magnitude` from digit `at` on. */
static void add_digits(struct tri_exact *self,
                       size_t at,
                       unsigned __int128 magnitude,
                       bool negative)
{
    settle_in_time(self);
    for (; magnitude != 0; magnitude >>= 32, at++) {
        int64_t digit = (int64_t)((uint64_t)magnitude & (uint64_t)DIGIT_MASK);

        self->digits[at] += negative ? -digit : digit;
    }
}

void tri_exact_add(struct tri_exact *self, double number)
{
    uint64_t bits;
    uint64_t mantissa;
    unsigned exponent;
    unsigned place;

    memcpy(&bits, &number, sizeof(bits));
    mantissa = bits & ((UINT64_C(1) << 52) - 1);
    exponent = (unsigned)(bits >> 52) & 0x7ff;
    if (exponent == 0x7ff) {
        self->nan = self->nan || mantissa != 0;
        self->plus_infinity = self->plus_infinity || (mantissa == 0 && number > 0);
        self->minus_infinity = self->minus_infinity || (mantissa == 0 && number < 0);
        return;
    }
    if (exponent == 0)
        exponent = 1;
    else
        mantissa |= UINT64_C(1) << 52;
    /* number = mantissa * 2^(exponent - 1075) */
    place = exponent + LOW_EXPONENT - 1075;
    add_digits(self, place / 32, (unsigned __int128)mantissa << (place % 32), bits >> 63);
}

void tri_exact_add_int(struct tri_exact *self, __int128 integer)
{
    bool negative = integer < 0;

    add_digits(self, LOW_EXPONENT / 32,
               negative ? -(unsigned __int128)integer : (unsigned __int128)integer, negative);
}

void tri_exact_merge(struct tri_exact *self, const struct tri_exact *other)
{
    struct tri_exact settled = *other;

    settle(&settled);
    settle_in_time(self);
    for (size_t i = 0; i < ALL; i++)
        self->digits[i] += settled.digits[i];
    self->nan = self->nan || other->nan;
    self->plus_infinity = self->plus_infinity || other->plus_infinity;
    self->minus_infinity = self->minus_infinity || other->minus_infinity;
}

static struct magnitude magnitude_of(const struct tri_exact *self)
{
    struct tri_exact settled = *self;
    struct magnitude magnitude = { .negative = false };

    settle(&settled);
    if (settled.digits[ALL - 1] < 0) {
        magnitude.negative = true;
        for (size_t i = 0; i < ALL; i++)
            settled.digits[i] = -settled.digits[i];
        settle(&settled);
    }
    for (size_t i = 0; i < ALL; i++)
        magnitude.digits[i] = (uint32_t)settled.digits[i];
    return magnitude;
}

/* The bits [place, place + count) of the digits, count <= 64. */
static uint64_t bits_at(const struct magnitude *magnitude, int place, int count)
{
    uint64_t bits = 0;

    for (int i = count; i-- > 0;)
        bits = bits << 1 | ((magnitude->digits[(place + i) / 32] >> ((place + i) % 32)) & 1);
    return bits;
}

static bool any_below(const struct magnitude *magnitude, int place)
{
    for (int i = 0; i < place / 32; i++) {
        if (magnitude->digits[i] != 0)
            return true;
    }
    return place % 32 != 0 && bits_at(magnitude, place / 32 * 32, place % 32) != 0;
}

/* Round to nearest, ties to even. `more` says that there is something below the last digit. */
static double round_magnitude(const struct magnitude *magnitude, bool more)
{
    const int least = LOW_EXPONENT - 1074; /* the place of the least double */
    int top = ALL * 32 - 1;
    int place;
    uint64_t mantissa;
    double result;

    while (top >= 0 && bits_at(magnitude, top, 1) == 0)
        top--;
    place = top - 52 > least ? top - 52 : least;
    mantissa = top >= place ? bits_at(magnitude, place, top - place + 1) : 0;
    if (bits_at(magnitude, place - 1, 1) != 0
        && (more || any_below(magnitude, place - 1) || (mantissa & 1) != 0))
        mantissa++;
    result = ldexp((double)mantissa, place - LOW_EXPONENT);
    return magnitude->negative ? -result : result;
}

/* NaN, or the infinity that was added. */
static double special_of(const struct tri_exact *self)
{
    if (self->nan || (self->plus_infinity && self->minus_infinity))
        return NAN;
    return self->plus_infinity ? INFINITY : -INFINITY;
}

double tri_exact_sum(const struct tri_exact *self)
{
    struct magnitude magnitude;

    if (tri_exact_is_special(self))
        return special_of(self);
    magnitude = magnitude_of(self);
    return round_magnitude(&magnitude, false);
}

double tri_exact_mean(const struct tri_exact *self, uint64_t count)
{
    struct magnitude magnitude;
    uint64_t rest = 0;

    if (tri_exact_is_special(self))
        return special_of(self);
    magnitude = magnitude_of(self);
    for (size_t i = ALL; i-- > 0;) {
        unsigned __int128 part = ((unsigned __int128)rest << 32) | magnitude.digits[i];

        magnitude.digits[i] = (uint32_t)(part / count);
        rest = (uint64_t)(part % count);
    }
    return round_magnitude(&magnitude, rest != 0);
}

void tri_exact_encode(const struct tri_exact *self, struct tri_buffer *out)
{
    struct magnitude magnitude = magnitude_of(self);
    size_t low = 0;
    size_t high = ALL;

    while (high > 0 && magnitude.digits[high - 1] == 0)
        high--;
    while (low < high && magnitude.digits[low] == 0)
        low++;
    tri_pack_uint(out, (self->nan ? 1u : 0) | (self->plus_infinity ? 2u : 0)
                           | (self->minus_infinity ? 4u : 0));
    tri_pack_uint(out, high > 0 && magnitude.negative);
    tri_pack_uint(out, low);
    tri_pack_binary(out, magnitude.digits + low, (high - low) * sizeof(uint32_t));
}

enum tri_status tri_exact_decode(struct tri_exact *self,
                                 const struct tri_value values[TRI_EXACT_VALUES],
                                 struct tri_error *error)
{
    const struct tri_bytes *bytes = &values[3].bytes;
    bool numbers = values[0].type == TRI_INT && values[1].type == TRI_INT
                   && values[2].type == TRI_INT && values[3].type == TRI_BINARY;

    tri_exact_init(self);
    if (!numbers || values[0].integer < 0 || values[0].integer > 7 || values[1].integer < 0
        || values[1].integer > 1 || values[2].integer < 0 || values[2].integer > TRI_EXACT_DIGITS
        || bytes->size % sizeof(uint32_t) != 0
        || bytes->size / sizeof(uint32_t) > TRI_EXACT_DIGITS - (uint64_t)values[2].integer)
        return tri_fail(error, TRI_INVALID, "partial: not an exact sum");
    self->nan = (values[0].integer & 1) != 0;
    self->plus_infinity = (values[0].integer & 2) != 0;
    self->minus_infinity = (values[0].integer & 4) != 0;
    for (size_t i = 0; i < bytes->size / sizeof(uint32_t); i++) {
        uint32_t digit;

        memcpy(&digit, bytes->data + i * sizeof(digit), sizeof(digit));
        self->digits[(size_t)values[2].integer + i] =
            values[1].integer != 0 ? -(int64_t)digit : (int64_t)digit;
    }
    return TRI_OK;
}
