/* The operations that change a set. Each has a fast path for the single range, then works on
 * segments: what lies in bitmaps at its two ends is done bit by bit, what lies between is replaced
 * as a whole. Then a block that has fragmented becomes a bitmap, or a bitmap that has healed
 * becomes ranges; both are only savings, so they are skipped when there is no memory for them. */
#include "common/rangeset_parts.h"

#include <stdlib.h>
#include <string.h>

void tri_rangeset_init(struct tri_rangeset *self)
{
    *self = (struct tri_rangeset){ 0 };
}

void tri_rangeset_clear(struct tri_rangeset *self)
{
    tri_segment_free_all(self);
    self->count = 0;
    self->first = 0;
}

void tri_rangeset_deinit(struct tri_rangeset *self)
{
    tri_rangeset_clear(self);
    free(self->spare);
    self->spare = NULL;
}

bool tri_rangeset_prepare(struct tri_rangeset *self)
{
    if (self->spare == NULL)
        self->spare = tri_segment_alloc(CHUNK_MAX);
    return self->spare != NULL;
}

/* ---- bitmaps come and go -------------------------------------------------------------------- */

/* How many segments reach into the block; 0 when it has a bitmap. */
static size_t segments_in_block(const struct tri_rangeset *self, uint64_t block)
{
    struct position at = tri_segment_seek_over(self, block);
    size_t count = 0;

    while (at.chunk != NULL && count <= FRAGMENT_OVER) {
        const struct segment *segment = position_segment(at);
        const struct segment *last = &at.chunk->segments[at.chunk->used - 1];

        if (segment_first(segment) >= block + BLOCK_SIZE)
            break;
        if (segment_is_bitmap(segment))
            return 0;
        if (segment_first(last) < block + BLOCK_SIZE && !segment_is_bitmap(last)) {
            count += at.chunk->used - at.at;
            at.at = at.chunk->used - 1;
        } else {
            count++;
        }
        at = tri_segment_next(at);
    }
    return count;
}

/* Cut the ranges that reach out of [first, end) back to their outer parts; neither of them spans
 * all of it. Returns how many members were cut off. */
static uint64_t ranges_cut(struct tri_rangeset *self, uint64_t first, uint64_t end)
{
    struct position at =
        first > 0 ? tri_segment_seek(self, first - 1) : (struct position){ NULL, 0 };
    uint64_t cut = 0;

    if (at.chunk != NULL && segment_end(position_segment(at)) > first) {
        uint64_t begin = segment_first(position_segment(at));

        cut += segment_end(position_segment(at)) - first;
        tri_segment_set_range(at, begin, first - begin);
    }
    at = tri_segment_seek(self, end - 1);
    if (at.chunk != NULL && segment_end(position_segment(at)) > end) {
        uint64_t rest = segment_end(position_segment(at)) - end;

        cut += end - segment_first(position_segment(at));
        tri_segment_set_range(at, end, rest);
    }
    return cut;
}

/* Turn the block into a bitmap when it has too many ranges. */
static void fragment(struct tri_rangeset *self, uint64_t block)
{
    struct segment segment = { .key = block | SEGMENT_BITMAP };
    struct position at;

    if (segments_in_block(self, block) <= FRAGMENT_OVER)
        return;
    segment.bitmap = calloc(1, sizeof(*segment.bitmap));
    if (segment.bitmap == NULL)
        return;
    segment.bitmap->low_word = BLOCK_WORDS - 1;
    for (at = tri_segment_seek_over(self, block); at.chunk != NULL; at = tri_segment_next(at)) {
        uint64_t first = segment_first(position_segment(at));
        uint64_t end = segment_end(position_segment(at));

        if (first >= block + BLOCK_SIZE)
            break;
        tri_bitmap_set(segment.bitmap, first > block ? (uint32_t)(first - block) : 0,
                       end < block + BLOCK_SIZE ? (uint32_t)(end - block) : BLOCK_SIZE);
    }
    ranges_cut(self, block, block + BLOCK_SIZE);
    tri_segment_replace(self, block, block + BLOCK_SIZE, &segment);
}

/* Make one range of two that meet at `index`. */
static void join(struct tri_rangeset *self, uint64_t index)
{
    struct position right = tri_segment_seek(self, index);
    struct position left;
    uint64_t count;

    if (right.chunk == NULL || position_segment(right)->key != index)
        return;
    left = tri_segment_prev(right);
    if (left.chunk == NULL || segment_is_bitmap(position_segment(left))
        || segment_end(position_segment(left)) != index)
        return;
    count = position_segment(right)->count;
    tri_segment_set_range(left, position_segment(left)->key, position_segment(left)->count + count);
    tri_segment_splice(self, right, 1, NULL, 0, true);
}

/* Turn a bitmap with few runs back into ranges. */
static void heal(struct tri_rangeset *self, struct position at)
{
    struct bitmap *bitmap = position_segment(at)->bitmap;
    uint64_t block = segment_first(position_segment(at));
    struct segment runs[HEAL_AT];
    uint32_t low = 0;

    if (bitmap->runs > HEAL_AT)
        return;
    for (uint32_t i = 0; i < bitmap->runs; i++) {
        uint32_t first = tri_bitmap_next_set(bitmap, low);

        low = tri_bitmap_next_clear(bitmap, first);
        runs[i] = (struct segment){ .key = block + first, .count = low - first };
    }
    if (!tri_segment_splice(self, at, 1, runs, bitmap->runs, false))
        return;
    free(bitmap);
    join(self, block);
    join(self, block + BLOCK_SIZE);
}

/* Set (or clear) the part of [first, end) that lies in the bitmap at `at`. Returns how many
 * changed. */
static uint64_t bits_change(
    struct tri_rangeset *self, struct position at, uint64_t first, uint64_t end, bool set)
{
    struct bitmap *bitmap = position_segment(at)->bitmap;
    uint64_t block = segment_first(position_segment(at));
    uint32_t low = first > block ? (uint32_t)(first - block) : 0;
    uint32_t high = end < block + BLOCK_SIZE ? (uint32_t)(end - block) : BLOCK_SIZE;
    uint32_t changed =
        set ? tri_bitmap_set(bitmap, low, high) : tri_bitmap_clear(bitmap, low, high);

    at.chunk->members += set ? changed : -(uint64_t)changed;
    heal(self, at);
    return changed;
}

/* Do what lies in a bitmap that is only partly inside [*first, *end), at either end, and move that
 * end inwards past it. Returns how many changed. */
static uint64_t ends_change(struct tri_rangeset *self, uint64_t *first, uint64_t *end, bool set)
{
    struct position at = tri_segment_seek(self, *first);
    uint64_t changed = 0;

    if (at.chunk != NULL && segment_is_bitmap(position_segment(at))) {
        uint64_t block = segment_first(position_segment(at));
        uint64_t stop = block + BLOCK_SIZE < *end ? block + BLOCK_SIZE : *end;

        if (*first > block && *first < stop) {
            changed += bits_change(self, at, *first, stop, set);
            *first = stop;
        }
    }
    if (*first == *end)
        return changed;
    at = tri_segment_seek(self, *end - 1);
    if (at.chunk != NULL && segment_is_bitmap(position_segment(at))) {
        uint64_t block = segment_first(position_segment(at));

        if (*end - block < BLOCK_SIZE) {
            changed += bits_change(self, at, block, *end, set);
            *end = block;
        }
    }
    return changed;
}

/* ---- add ------------------------------------------------------------------------------------ */

/* Add to ranges: nothing in [first, end) is a bitmap that reaches out of it. */
static uint64_t add_range(struct tri_rangeset *self, uint64_t first, uint64_t end)
{
    struct position left =
        first > 0 ? tri_segment_seek(self, first - 1) : (struct position){ NULL, 0 };
    struct position right = tri_segment_seek(self, end);
    struct segment range;
    uint64_t erased;
    uint64_t low = first;
    uint64_t high = end;

    if (left.chunk != NULL && !segment_is_bitmap(position_segment(left))
        && segment_end(position_segment(left)) >= first)
        low = segment_first(position_segment(left));
    if (right.chunk != NULL && !segment_is_bitmap(position_segment(right))
        && segment_end(position_segment(right)) > end)
        high = segment_end(position_segment(right));
    if (left.chunk != NULL && left.chunk == right.chunk && left.at == right.at && low < first) {
        if (high > end || segment_end(position_segment(left)) == end)
            return 0; /* all there */
        erased = segment_end(position_segment(left)) - low;
        tri_segment_set_range(left, low, high - low);
        return high - low - erased;
    }
    range = (struct segment){ .key = low, .count = high - low };
    erased = tri_segment_replace(self, low, high, &range);
    fragment(self, block_of(first));
    if (block_of(end - 1) != block_of(first))
        fragment(self, block_of(end - 1));
    return high - low - erased;
}

/* Add to the single range when the outcome is one, too. */
static bool add_single(struct tri_rangeset *self, uint64_t first, uint64_t end, uint64_t *added)
{
    uint64_t low = self->first;
    uint64_t high = self->first + self->count;

    if (self->count == 0)
        low = high = first;
    if (first > high || end < low)
        return false;
    self->first = first < low ? first : low;
    *added = (end > high ? end : high) - self->first - self->count;
    self->count += *added;
    return true;
}

uint64_t tri_rangeset_add(struct tri_rangeset *self, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;
    uint64_t added;

    tri_assert(first <= TRI_INDEX_END && count <= TRI_INDEX_END - first);
    if (count == 0)
        return 0;
    if (tri_ordered_is_empty(&self->chunks)) {
        if (add_single(self, first, end, &added))
            return added;
        tri_segment_promote(self);
    }
    added = ends_change(self, &first, &end, true);
    if (first < end)
        added += add_range(self, first, end);
    self->count += added;
    tri_segment_demote(self);
    return added;
}

/* ---- remove --------------------------------------------------------------------------------- */

/* Remove from ranges: nothing in [first, end) is a bitmap that reaches out of it. */
static uint64_t remove_range(struct tri_rangeset *self, uint64_t first, uint64_t end)
{
    struct position at = tri_segment_seek(self, first);
    uint64_t removed;

    if (at.chunk != NULL && segment_first(position_segment(at)) < first
        && segment_end(position_segment(at)) > end) {
        uint64_t low = segment_first(position_segment(at));
        uint64_t high = segment_end(position_segment(at));
        struct segment both[2] = { { .key = low, .count = first - low },
                                   { .key = end, .count = high - end } };

        tri_segment_splice(self, at, 1, both, 2, true);
        fragment(self, block_of(first));
        if (block_of(end) != block_of(first))
            fragment(self, block_of(end));
        return end - first;
    }
    removed = ranges_cut(self, first, end);
    return removed + tri_segment_replace(self, first, end, NULL);
}

/* Remove from the single range when at most one is left. */
static bool remove_single(struct tri_rangeset *self,
                          uint64_t first,
                          uint64_t end,
                          uint64_t *removed)
{
    uint64_t low = self->first;
    uint64_t high = self->first + self->count;

    *removed = 0;
    if (end <= low || first >= high)
        return true;
    if (first > low && end < high)
        return false;
    *removed = (end < high ? end : high) - (first > low ? first : low);
    if (first <= low)
        self->first = low + *removed;
    self->count -= *removed;
    return true;
}

uint64_t tri_rangeset_remove(struct tri_rangeset *self, uint64_t first, uint64_t count)
{
    uint64_t end = count < TRI_INDEX_END - first ? first + count : TRI_INDEX_END;
    uint64_t removed;

    if (first >= TRI_INDEX_END || count == 0)
        return 0;
    if (tri_ordered_is_empty(&self->chunks)) {
        if (remove_single(self, first, end, &removed))
            return removed;
        tri_segment_promote(self);
    }
    removed = ends_change(self, &first, &end, false);
    if (first < end)
        removed += remove_range(self, first, end);
    self->count -= removed;
    tri_segment_demote(self);
    return removed;
}

bool tri_rangeset_take_first(struct tri_rangeset *self, uint64_t limit, struct tri_range *out)
{
    if (limit == 0 || !tri_rangeset_next(self, 0, out)) {
        *out = (struct tri_range){ 0, 0 };
        return false;
    }
    if (out->count > limit)
        out->count = limit;
    tri_rangeset_remove(self, out->first, out->count);
    return true;
}

bool tri_rangeset_take_last(struct tri_rangeset *self, uint64_t limit, struct tri_range *out)
{
    if (limit == 0 || !tri_rangeset_prev(self, TRI_INDEX_END, out)) {
        *out = (struct tri_range){ 0, 0 };
        return false;
    }
    if (out->count > limit) {
        out->first += out->count - limit;
        out->count = limit;
    }
    tri_rangeset_remove(self, out->first, out->count);
    return true;
}
