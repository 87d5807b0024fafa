/* What a set is asked, and operations on whole sets. A cursor walks segments and hides where the
 * single range stands. */
#include "common/rangeset_parts.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    struct position at; /* chunk == NULL for the single range */
    struct segment segment;
    bool valid;
};

static struct cursor cursor_at(struct position at)
{
    if (at.chunk == NULL)
        return (struct cursor){ .valid = false };
    return (struct cursor){ .at = at, .segment = *position_segment(at), .valid = true };
}

static struct cursor cursor_single(const struct tri_rangeset *self)
{
    return (struct cursor){ .segment = { .key = self->first, .count = self->count },
                            .valid = self->count > 0 };
}

/* At the first segment that ends after `index`. */
static struct cursor cursor_over(const struct tri_rangeset *self, uint64_t index)
{
    struct cursor cursor;

    if (!tri_ordered_is_empty(&self->chunks))
        return cursor_at(tri_segment_seek_over(self, index));
    cursor = cursor_single(self);
    cursor.valid = cursor.valid && self->first + self->count > index;
    return cursor;
}

/* At the last segment that begins before `end`, which is not 0. */
static struct cursor cursor_before(const struct tri_rangeset *self, uint64_t end)
{
    struct cursor cursor;

    if (!tri_ordered_is_empty(&self->chunks))
        return cursor_at(tri_segment_seek(self, end - 1));
    cursor = cursor_single(self);
    cursor.valid = cursor.valid && self->first < end;
    return cursor;
}

static void cursor_next(struct cursor *self)
{
    *self = self->at.chunk != NULL ? cursor_at(tri_segment_next(self->at))
                                   : (struct cursor){ .valid = false };
}

static void cursor_prev(struct cursor *self)
{
    *self = self->at.chunk != NULL ? cursor_at(tri_segment_prev(self->at))
                                   : (struct cursor){ .valid = false };
}

/* The first run of a segment at or after `from`: false when it has none. */
static bool run_after(const struct segment *segment, uint64_t from, uint64_t *first, uint64_t *end)
{
    uint64_t begin = segment_first(segment);

    if (!segment_is_bitmap(segment)) {
        *first = from > begin ? from : begin;
        *end = begin + segment->count;
    } else {
        uint32_t bit = from > begin ? (uint32_t)(from - begin) : 0;

        bit = tri_bitmap_next_set(segment->bitmap, bit);
        *first = begin + bit;
        *end = begin + tri_bitmap_next_clear(segment->bitmap, bit);
    }
    return *first < *end;
}

/* The last run of a segment below `limit`: false when it has none. */
static bool run_before(const struct segment *segment,
                       uint64_t limit,
                       uint64_t *first,
                       uint64_t *end)
{
    uint64_t begin = segment_first(segment);

    if (!segment_is_bitmap(segment)) {
        *first = begin;
        *end = limit < begin + segment->count ? limit : begin + segment->count;
    } else {
        uint32_t bit = limit < begin + BLOCK_SIZE ? (uint32_t)(limit - begin) : BLOCK_SIZE;

        bit = tri_bitmap_prev_set(segment->bitmap, bit);
        *end = begin + bit;
        *first = begin + tri_bitmap_prev_clear(segment->bitmap, bit);
    }
    return *first < *end;
}

bool tri_rangeset_next(const struct tri_rangeset *self, uint64_t from, struct tri_range *out)
{
    struct cursor cursor = cursor_over(self, from);
    uint64_t first = 0;
    uint64_t end = 0;
    uint64_t more_first;
    uint64_t more_end;

    while (cursor.valid && !run_after(&cursor.segment, from, &first, &end))
        cursor_next(&cursor);
    if (!cursor.valid)
        return false;
    /* A run may go on in the next segment: from or into a bitmap, so three times at most. */
    while (end == segment_end(&cursor.segment)) {
        cursor_next(&cursor);
        if (!cursor.valid || !run_after(&cursor.segment, 0, &more_first, &more_end)
            || more_first != end)
            break;
        end = more_end;
    }
    *out = (struct tri_range){ first, end - first };
    return true;
}

bool tri_rangeset_prev(const struct tri_rangeset *self, uint64_t end, struct tri_range *out)
{
    struct cursor cursor;
    uint64_t first = 0;
    uint64_t stop = 0;
    uint64_t more_first;
    uint64_t more_end;

    if (end == 0)
        return false;
    cursor = cursor_before(self, end);
    while (cursor.valid && !run_before(&cursor.segment, end, &first, &stop))
        cursor_prev(&cursor);
    if (!cursor.valid)
        return false;
    while (first == segment_first(&cursor.segment)) {
        cursor_prev(&cursor);
        if (!cursor.valid || !run_before(&cursor.segment, TRI_INDEX_END, &more_first, &more_end)
            || more_end != first)
            break;
        first = more_first;
    }
    *out = (struct tri_range){ first, stop - first };
    return true;
}

bool tri_rangeset_next_gap(const struct tri_rangeset *self, uint64_t from, struct tri_range *out)
{
    struct tri_range range;
    uint64_t end;

    if (tri_rangeset_next(self, from, &range) && range.first == from)
        from += range.count;
    if (from >= TRI_INDEX_END)
        return false;
    end = tri_rangeset_next(self, from, &range) ? range.first : TRI_INDEX_END;
    *out = (struct tri_range){ from, end - from };
    return true;
}

bool tri_rangeset_contains(const struct tri_rangeset *self, uint64_t index)
{
    struct cursor cursor = cursor_over(self, index);
    uint64_t first;
    uint64_t end;

    return cursor.valid && run_after(&cursor.segment, index, &first, &end) && first == index;
}

bool tri_rangeset_first(const struct tri_rangeset *self, uint64_t *index)
{
    struct tri_range range;

    if (!tri_rangeset_next(self, 0, &range))
        return false;
    *index = range.first;
    return true;
}

bool tri_rangeset_last(const struct tri_rangeset *self, uint64_t *index)
{
    struct tri_range range;

    if (!tri_rangeset_prev(self, TRI_INDEX_END, &range))
        return false;
    *index = range.first + range.count - 1;
    return true;
}

bool tri_rangeset_contains_all(const struct tri_rangeset *self, uint64_t first, uint64_t count)
{
    struct tri_range range;

    return count == 0
           || (tri_rangeset_next(self, first, &range) && range.first == first
               && range.count >= count);
}

bool tri_rangeset_intersects(const struct tri_rangeset *self, uint64_t first, uint64_t count)
{
    struct tri_range range;

    return count > 0 && tri_rangeset_next(self, first, &range) && range.first - first < count;
}

/* Members of one segment in [first, end). */
static uint64_t segment_count_in(const struct segment *segment, uint64_t first, uint64_t end)
{
    uint64_t low = segment_first(segment);
    uint64_t high = segment_end(segment);

    if (first <= low && end >= high)
        return segment_members(segment);
    if (first > low)
        low = first;
    if (end < high)
        high = end;
    if (low >= high)
        return 0;
    if (!segment_is_bitmap(segment))
        return high - low;
    first = segment_first(segment);
    return tri_bitmap_count_in(segment->bitmap, (uint32_t)(low - first), (uint32_t)(high - first));
}

uint64_t tri_rangeset_count_in(const struct tri_rangeset *self, uint64_t first, uint64_t count)
{
    struct cursor cursor = cursor_over(self, first);
    uint64_t end;
    uint64_t members = 0;

    if (first >= TRI_INDEX_END)
        return 0;
    end = count < TRI_INDEX_END - first ? first + count : TRI_INDEX_END;
    while (cursor.valid && segment_first(&cursor.segment) < end) {
        const struct chunk *chunk = cursor.at.chunk;

        if (chunk != NULL && cursor.at.at == 0 && first <= chunk->node.key
            && segment_end(&chunk->segments[chunk->used - 1]) <= end) {
            members += chunk->members;
            cursor.at.at = chunk->used - 1;
        } else {
            members += segment_count_in(&cursor.segment, first, end);
        }
        cursor_next(&cursor);
    }
    return members;
}

/* ---- whole sets ----------------------------------------------------------------------------- */

bool tri_rangeset_disjoint(const struct tri_rangeset *a, const struct tri_rangeset *b)
{
    struct tri_range in_a;
    struct tri_range in_b;

    for (uint64_t at = 0; tri_rangeset_next(a, at, &in_a); at = in_b.first) {
        if (!tri_rangeset_next(b, in_a.first, &in_b))
            return true;
        if (in_b.first < in_a.first + in_a.count)
            return false;
    }
    return true;
}

bool tri_rangeset_equals(const struct tri_rangeset *a, const struct tri_rangeset *b)
{
    struct tri_range in_a;
    struct tri_range in_b;

    if (a->count != b->count)
        return false;
    for (uint64_t at = 0; tri_rangeset_next(a, at, &in_a); at = in_a.first + in_a.count) {
        if (!tri_rangeset_next(b, at, &in_b) || in_a.first != in_b.first
            || in_a.count != in_b.count)
            return false;
    }
    return true;
}

uint64_t tri_rangeset_union(struct tri_rangeset *self, const struct tri_rangeset *other)
{
    struct tri_range range;
    uint64_t added = 0;

    tri_assert(self != other);
    if (self->count == 0) {
        tri_rangeset_copy(self, other);
        return self->count;
    }
    for (uint64_t at = 0; tri_rangeset_next(other, at, &range); at = range.first + range.count)
        added += tri_rangeset_add(self, range.first, range.count);
    return added;
}

uint64_t tri_rangeset_subtract(struct tri_rangeset *self, const struct tri_rangeset *other)
{
    struct tri_range mine;
    struct tri_range theirs;
    uint64_t removed = 0;

    tri_assert(self != other);
    for (uint64_t at = 0; tri_rangeset_next(self, at, &mine); at = theirs.first + theirs.count) {
        if (!tri_rangeset_next(other, mine.first, &theirs))
            break;
        removed += tri_rangeset_remove(self, theirs.first, theirs.count);
    }
    return removed;
}

void tri_rangeset_copy(struct tri_rangeset *self, const struct tri_rangeset *other)
{
    tri_assert(self != other);
    tri_rangeset_clear(self);
    self->count = other->count;
    self->first = other->first;
    for (struct position at = tri_segment_begin(other); at.chunk != NULL;) {
        struct chunk *copy = tri_segment_alloc(at.chunk->capacity);

        if (copy == NULL)
            tri_out_of_memory();
        copy->used = at.chunk->used;
        copy->members = at.chunk->members;
        memcpy(copy->segments, at.chunk->segments, copy->used * sizeof(*copy->segments));
        for (size_t i = 0; i < copy->used; i++) {
            if (!segment_is_bitmap(&copy->segments[i]))
                continue;
            copy->segments[i].bitmap = tri_alloc(1, sizeof(struct bitmap));
            *copy->segments[i].bitmap = *at.chunk->segments[i].bitmap;
        }
        tri_ordered_insert(&self->chunks, &copy->node, at.chunk->node.key);
        at.at = at.chunk->used - 1;
        at = tri_segment_next(at);
    }
}

void tri_rangeset_swap(struct tri_rangeset *self, struct tri_rangeset *other)
{
    struct tri_rangeset third = *self;

    *self = *other;
    *other = third;
}
