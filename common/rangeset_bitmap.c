/* Bitmaps of one block. `runs` is kept by looking only at the bits that change: a run starts at a
 * set bit whose lower neighbour is clear, and changing [low, high) moves starts only within
 * [low, high]. */
#include "common/rangeset_parts.h"

/* Bits [low, high) of one word, high <= 64. */
static uint64_t word_mask(uint32_t low, uint32_t high)
{
    uint64_t mask = high == 64 ? UINT64_MAX : (UINT64_C(1) << high) - 1;

    return mask & (UINT64_MAX << low);
}

/* Bits set. Written out: the compiler's builtin would call into its library. */
static uint32_t popcount(uint64_t word)
{
    word -= (word >> 1) & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + ((word >> 2) & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (uint32_t)((word * UINT64_C(0x0101010101010101)) >> 56);
}

static bool is_set(const struct bitmap *self, uint32_t bit)
{
    return (self->words[bit / 64] >> (bit % 64)) & 1;
}

/* The mask of [low, high) within word `i`. */
static uint64_t mask_in(uint32_t i, uint32_t low, uint32_t high)
{
    return word_mask(i == low / 64 ? low % 64 : 0, i == (high - 1) / 64 ? (high - 1) % 64 + 1 : 64);
}

/* Runs that start at a bit of [low, high). */
static uint32_t starts_in(const struct bitmap *self, uint32_t low, uint32_t high)
{
    uint32_t starts = 0;

    for (uint32_t i = low / 64; i <= (high - 1) / 64; i++) {
        uint64_t word = self->words[i];
        uint64_t below = i == 0 ? 0 : self->words[i - 1] >> 63;

        starts += popcount(word & ~((word << 1) | below) & mask_in(i, low, high));
    }
    return starts;
}

uint32_t tri_bitmap_set(struct bitmap *self, uint32_t low, uint32_t high)
{
    uint32_t end = high < BLOCK_SIZE ? high + 1 : high;
    uint32_t before = starts_in(self, low, end);
    uint32_t changed = 0;

    for (uint32_t i = low / 64; i <= (high - 1) / 64; i++) {
        uint64_t mask = mask_in(i, low, high);

        changed += popcount(mask & ~self->words[i]);
        self->words[i] |= mask;
    }
    self->count += changed;
    self->runs += (low == 0 || !is_set(self, low - 1)) - before;
    if (low / 64 < self->low_word)
        self->low_word = low / 64;
    return changed;
}

uint32_t tri_bitmap_clear(struct bitmap *self, uint32_t low, uint32_t high)
{
    uint32_t end = high < BLOCK_SIZE ? high + 1 : high;
    uint32_t before = starts_in(self, low, end);
    uint32_t changed = 0;

    for (uint32_t i = low / 64; i <= (high - 1) / 64; i++) {
        uint64_t mask = mask_in(i, low, high);

        changed += popcount(mask & self->words[i]);
        self->words[i] &= ~mask;
    }
    self->count -= changed;
    self->runs += (high < BLOCK_SIZE && is_set(self, high)) - before;
    while (self->low_word < BLOCK_WORDS - 1 && self->words[self->low_word] == 0)
        self->low_word++;
    return changed;
}

uint32_t tri_bitmap_count_in(const struct bitmap *self, uint32_t low, uint32_t high)
{
    uint32_t count = 0;

    if (low >= high)
        return 0;
    for (uint32_t i = low / 64; i <= (high - 1) / 64; i++)
        count += popcount(self->words[i] & mask_in(i, low, high));
    return count;
}

/* The first set bit at or after `from` of the words XORed with `flip`. */
static uint32_t next_bit(const struct bitmap *self, uint32_t from, uint64_t flip)
{
    uint32_t i = from / 64;
    uint64_t word;

    if (from >= BLOCK_SIZE)
        return BLOCK_SIZE;
    word = (self->words[i] ^ flip) & (UINT64_MAX << (from % 64));
    while (word == 0) {
        if (++i == BLOCK_WORDS)
            return BLOCK_SIZE;
        word = self->words[i] ^ flip;
    }
    return i * 64 + (uint32_t)__builtin_ctzll(word);
}

/* One past the last set bit below `end` of the words XORed with `flip`. */
static uint32_t prev_bit(const struct bitmap *self, uint32_t end, uint64_t flip)
{
    uint32_t i;
    uint64_t word;

    if (end == 0)
        return 0;
    i = (end - 1) / 64;
    word = (self->words[i] ^ flip) & word_mask(0, (end - 1) % 64 + 1);
    while (word == 0) {
        if (i == 0)
            return 0;
        word = self->words[--i] ^ flip;
    }
    return i * 64 + 64 - (uint32_t)__builtin_clzll(word);
}

uint32_t tri_bitmap_next_set(const struct bitmap *self, uint32_t from)
{
    return next_bit(self, from > self->low_word * 64 ? from : self->low_word * 64, 0);
}

uint32_t tri_bitmap_next_clear(const struct bitmap *self, uint32_t from)
{
    return next_bit(self, from, UINT64_MAX);
}

uint32_t tri_bitmap_prev_set(const struct bitmap *self, uint32_t end)
{
    return prev_bit(self, end, 0);
}

uint32_t tri_bitmap_prev_clear(const struct bitmap *self, uint32_t end)
{
    return prev_bit(self, end, UINT64_MAX);
}
