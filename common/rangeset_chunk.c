/* Chunks of segments in the tree: seeking, and the one place where segments come and go. */
#include "common/rangeset_parts.h"

#include <stdlib.h>
#include <string.h>

#define MERGE_AT 16   /* a chunk that has shrunk to this looks for a neighbour to join */
#define MERGED_MAX 32 /* ... when both together stay below this */

struct chunk *tri_segment_alloc(size_t capacity)
{
    struct chunk *chunk = calloc(1, sizeof(*chunk) + capacity * sizeof(struct segment));

    if (chunk != NULL)
        chunk->capacity = (uint32_t)capacity;
    return chunk;
}

/* The spare is only for those who must not fail. */
static struct chunk *chunk_get(struct tri_rangeset *self, size_t segments, bool must)
{
    size_t capacity = 4;
    struct chunk *chunk;

    while (capacity < segments)
        capacity *= 2;
    chunk = tri_segment_alloc(capacity);
    if (chunk == NULL && must) {
        chunk = self->spare;
        self->spare = NULL;
        if (chunk == NULL)
            tri_out_of_memory();
    }
    return chunk;
}

static uint64_t members_of(const struct segment *segments, size_t count)
{
    uint64_t members = 0;

    for (size_t i = 0; i < count; i++)
        members += segment_members(&segments[i]);
    return members;
}

/* ---- seek ----------------------------------------------------------------------------------- */

struct position tri_segment_seek(const struct tri_rangeset *self, uint64_t index)
{
    struct chunk *chunk = chunk_of(tri_ordered_at_most(&self->chunks, index));
    size_t low = 0;
    size_t high;

    if (chunk == NULL)
        return (struct position){ NULL, 0 };
    high = chunk->used;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (segment_first(&chunk->segments[middle]) <= index)
            low = middle;
        else
            high = middle;
    }
    return (struct position){ chunk, low };
}

struct position tri_segment_begin(const struct tri_rangeset *self)
{
    return (struct position){ chunk_of(tri_ordered_first(&self->chunks)), 0 };
}

struct position tri_segment_next(struct position at)
{
    tri_assert(at.chunk != NULL);
    if (++at.at < at.chunk->used)
        return at;
    return (struct position){ chunk_of(tri_ordered_next(&at.chunk->node)), 0 };
}

struct position tri_segment_prev(struct position at)
{
    if (at.at > 0) {
        at.at--;
        return at;
    }
    at.chunk = chunk_of(tri_ordered_prev(&at.chunk->node));
    at.at = at.chunk != NULL ? at.chunk->used - 1 : 0;
    return at;
}

struct position tri_segment_seek_over(const struct tri_rangeset *self, uint64_t index)
{
    struct position at = tri_segment_seek(self, index);

    if (at.chunk == NULL)
        return tri_segment_begin(self);
    return segment_end(position_segment(at)) > index ? at : tri_segment_next(at);
}

/* ---- change --------------------------------------------------------------------------------- */

/* Fill a chunk from scratch and hang it into the tree. */
static void chunk_fill(struct tri_rangeset *self,
                       struct chunk *chunk,
                       const struct segment *segments,
                       size_t count)
{
    if (tri_ordered_is_linked(&chunk->node))
        tri_ordered_remove(&self->chunks, &chunk->node);
    memmove(chunk->segments, segments, count * sizeof(*segments));
    chunk->used = (uint32_t)count;
    chunk->members = members_of(segments, count);
    tri_ordered_insert(&self->chunks, &chunk->node, segment_first(&segments[0]));
}

static void chunk_drop(struct tri_rangeset *self, struct chunk *chunk)
{
    tri_ordered_remove(&self->chunks, &chunk->node);
    free(chunk);
}

/* Move the segments of `right` behind those of `left` when both are few. */
static bool chunk_merge(struct tri_rangeset *self, struct chunk *left, struct chunk *right)
{
    struct segment both[MERGED_MAX];
    size_t used;
    struct chunk *keep;

    if (left == NULL || right == NULL || left->used + right->used > MERGED_MAX)
        return false;
    used = left->used + right->used;
    keep = left->capacity >= used ? left : right;
    if (keep->capacity < used)
        return false;
    memcpy(both, left->segments, left->used * sizeof(*both));
    memcpy(both + left->used, right->segments, right->used * sizeof(*both));
    chunk_drop(self, keep == left ? right : left);
    chunk_fill(self, keep, both, used);
    return true;
}

static void chunk_shrunk(struct tri_rangeset *self, struct chunk *chunk)
{
    if (chunk->used == 0) {
        chunk_drop(self, chunk);
        return;
    }
    if (chunk->used <= MERGE_AT
        && !chunk_merge(self, chunk, chunk_of(tri_ordered_next(&chunk->node))))
        chunk_merge(self, chunk_of(tri_ordered_prev(&chunk->node)), chunk);
}

/* A splice whose outcome does not fit the chunk: `all` goes into a larger one, or into two. */
static bool chunk_outgrow(struct tri_rangeset *self,
                          struct chunk *chunk,
                          const struct segment *all,
                          size_t total,
                          bool at_end,
                          bool must)
{
    size_t keep = total;
    struct chunk *left = chunk;
    struct chunk *right = NULL;

    /* A set that grows at its end leaves full chunks behind. */
    if (total > CHUNK_MAX)
        keep = at_end && tri_ordered_next(&chunk->node) == NULL ? CHUNK_MAX : total / 2;
    if (keep > chunk->capacity)
        left = chunk_get(self, keep, must);
    if (left != NULL && keep < total)
        right = chunk_get(self, total - keep, must);
    if (left == NULL || (keep < total && right == NULL)) {
        if (left != chunk)
            free(left);
        return false;
    }
    if (left != chunk)
        chunk_drop(self, chunk);
    chunk_fill(self, left, all, keep);
    if (right != NULL)
        chunk_fill(self, right, all + keep, total - keep);
    return true;
}

bool tri_segment_splice(struct tri_rangeset *self,
                        struct position at,
                        size_t erase,
                        const struct segment *with,
                        size_t count,
                        bool must)
{
    struct chunk *chunk = at.chunk;
    struct segment *place = &chunk->segments[at.at];
    size_t behind = chunk->used - at.at - erase;
    size_t total = at.at + count + behind;

    tri_assert(at.at + erase <= chunk->used && total <= 2 * CHUNK_MAX);
    if (total > chunk->capacity) {
        struct segment all[2 * CHUNK_MAX];

        memcpy(all, chunk->segments, at.at * sizeof(*all));
        if (count != 0)
            memcpy(all + at.at, with, count * sizeof(*all));
        memcpy(all + at.at + count, place + erase, behind * sizeof(*all));
        return chunk_outgrow(self, chunk, all, total, behind == 0, must);
    }
    chunk->members -= members_of(place, erase);
    memmove(place + count, place + erase, behind * sizeof(*place));
    if (count > 0)
        memcpy(place, with, count * sizeof(*place));
    chunk->members += members_of(place, count);
    chunk->used = (uint32_t)total;
    if (total > 0)
        chunk->node.key = segment_first(&chunk->segments[0]);
    if (count < erase)
        chunk_shrunk(self, chunk);
    return true;
}

void tri_segment_set_range(struct position at, uint64_t first, uint64_t count)
{
    struct segment *segment = position_segment(at);

    at.chunk->members += count - segment->count;
    *segment = (struct segment){ .key = first, .count = count };
    if (at.at == 0)
        at.chunk->node.key = first;
}

/* How many segments from `at` on, in its chunk, end at or before `end`. Frees their bitmaps; what
 * is left in their place only counts their members until it is erased. */
static size_t segments_release(struct position at, uint64_t end, uint64_t *members)
{
    size_t i = at.at;

    tri_assert(at.chunk != NULL);
    for (; i < at.chunk->used && segment_end(&at.chunk->segments[i]) <= end; i++) {
        struct segment *segment = &at.chunk->segments[i];
        uint64_t count = segment_members(segment);

        if (segment_is_bitmap(segment))
            free(segment->bitmap);
        *segment = (struct segment){ .key = segment_first(segment), .count = count };
        *members += count;
    }
    return i - at.at;
}

/* Where a segment that begins at `first` goes: before the first segment that begins there or later.
 * That may be behind the end of a chunk, but not when the next one begins inside [first, end). */
static struct position place_for(const struct tri_rangeset *self, uint64_t first, uint64_t end)
{
    struct position at = tri_segment_seek(self, first);

    if (at.chunk == NULL)
        return tri_segment_begin(self);
    if (segment_first(position_segment(at)) < first && ++at.at == at.chunk->used) {
        struct chunk *next = chunk_of(tri_ordered_next(&at.chunk->node));

        if (next != NULL && segment_first(&next->segments[0]) < end)
            return (struct position){ next, 0 };
    }
    return at;
}

uint64_t tri_segment_replace(struct tri_rangeset *self,
                             uint64_t first,
                             uint64_t end,
                             const struct segment *with)
{
    struct position at = place_for(self, first, end);
    uint64_t members = 0;

    if (with != NULL) {
        size_t erase = segments_release(at, end, &members);

        tri_segment_splice(self, at, erase, with, 1, true);
    }
    for (;;) {
        size_t erase;

        at = with != NULL ? tri_segment_next(tri_segment_seek(self, first))
                          : place_for(self, first, end);
        if (at.chunk == NULL || at.at == at.chunk->used)
            break;
        erase = segments_release(at, end, &members);
        if (erase == 0)
            break;
        tri_segment_splice(self, at, erase, NULL, 0, true);
    }
    return members;
}

void tri_segment_promote(struct tri_rangeset *self)
{
    struct segment single = { .key = self->first, .count = self->count };
    struct chunk *chunk = chunk_get(self, 1, true);

    chunk_fill(self, chunk, &single, 1);
}

void tri_segment_demote(struct tri_rangeset *self)
{
    struct chunk *chunk = chunk_of(self->chunks.root);

    if (chunk == NULL || chunk->used != 1 || chunk->node.left != NULL || chunk->node.right != NULL
        || segment_is_bitmap(&chunk->segments[0]))
        return;
    self->first = chunk->segments[0].key;
    chunk_drop(self, chunk);
}

void tri_segment_free_all(struct tri_rangeset *self)
{
    struct chunk *chunk;

    while ((chunk = chunk_of(self->chunks.root)) != NULL) {
        for (size_t i = 0; i < chunk->used; i++) {
            if (segment_is_bitmap(&chunk->segments[i]))
                free(chunk->segments[i].bitmap);
        }
        chunk_drop(self, chunk);
    }
}
