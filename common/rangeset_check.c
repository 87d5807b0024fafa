/* What a set costs, and whether it keeps its promises to itself. */
#include "common/rangeset_parts.h"

size_t tri_rangeset_memory_bytes(const struct tri_rangeset *self)
{
    size_t bytes = 0;

    if (self->spare != NULL)
        bytes += sizeof(struct chunk) + CHUNK_MAX * sizeof(struct segment);
    for (struct position at = tri_segment_begin(self); at.chunk != NULL;
         at = tri_segment_next(at)) {
        if (at.at == 0)
            bytes += sizeof(struct chunk) + at.chunk->capacity * sizeof(struct segment);
        if (segment_is_bitmap(position_segment(at)))
            bytes += sizeof(struct bitmap);
    }
    return bytes;
}

static void bitmap_check(const struct bitmap *self)
{
    uint32_t count = 0;
    uint32_t runs = 0;
    uint32_t end = 0;

    for (uint32_t first; (first = tri_bitmap_next_set(self, end)) < BLOCK_SIZE; runs++) {
        tri_assert(first / 64 >= self->low_word);
        end = tri_bitmap_next_clear(self, first);
        count += end - first;
    }
    for (uint32_t i = 0; i < self->low_word; i++)
        tri_assert(self->words[i] == 0);
    tri_assert(count > 0 && count == self->count && runs == self->runs);
}

void tri_rangeset_check(const struct tri_rangeset *self)
{
    uint64_t count = 0;
    uint64_t end = 0;
    bool was_bitmap = true;

    tri_ordered_check(&self->chunks);
    tri_assert(self->count <= TRI_INDEX_END);
    if (tri_ordered_is_empty(&self->chunks)) {
        tri_assert(self->count == 0 || self->first <= TRI_INDEX_END - self->count);
        return;
    }
    for (struct position at = tri_segment_begin(self); at.chunk != NULL;
         at = tri_segment_next(at)) {
        const struct segment *segment = position_segment(at);
        uint64_t first = segment_first(segment);
        bool is_bitmap = segment_is_bitmap(segment);

        if (at.at == 0) {
            uint64_t members = 0;

            tri_assert(at.chunk->used >= 1 && at.chunk->used <= at.chunk->capacity);
            tri_assert(at.chunk->capacity <= CHUNK_MAX && at.chunk->node.key == first);
            for (size_t i = 0; i < at.chunk->used; i++)
                members += segment_members(&at.chunk->segments[i]);
            tri_assert(members == at.chunk->members);
        }
        tri_assert(segment_members(segment) > 0);
        tri_assert(first > end || (first == end && (is_bitmap || was_bitmap)));
        if (is_bitmap) {
            tri_assert(block_of(first) == first);
            bitmap_check(segment->bitmap);
        }
        end = segment_end(segment);
        tri_assert(end <= TRI_INDEX_END);
        was_bitmap = is_bitmap;
        count += segment_members(segment);
    }
    tri_assert(count == self->count);
}
