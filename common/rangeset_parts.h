/* rangeset_parts.h - the inside of a rangeset: segments in chunks in a tree. Private to
 * rangeset*.c.
 *
 * A segment is a range of any length, or the bitmap of one aligned block. Segments are sorted and
 * disjoint; two ranges never touch; where a block has a bitmap no range reaches into it. Chunks are
 * sorted arrays of segments, hung in the tree by the first index of their first segment.
 */
#ifndef TRI_RANGESET_PARTS_H
#define TRI_RANGESET_PARTS_H

#include "common/assert.h"
#include "common/rangeset.h"

#define BLOCK_SIZE 65536u
#define BLOCK_WORDS (BLOCK_SIZE / 64)
#define CHUNK_MAX 64 /* segments */

/* A block of more segments than this becomes a bitmap (8 KiB; segments take 16 to 32 bytes); a
 * bitmap of at most that many runs becomes ranges. Far apart, so that it pays for itself. */
#define FRAGMENT_OVER 256
#define HEAL_AT 60

struct bitmap {
    uint32_t count;    /* bits set */
    uint32_t runs;     /* maximal runs of set bits, inside the block */
    uint32_t low_word; /* no word below this one has a bit */
    uint64_t words[BLOCK_WORDS];
};

#define SEGMENT_BITMAP (UINT64_C(1) << 63) /* flag in key: indexes are below it */

struct segment {
    uint64_t key; /* first index, and the flag */
    union {
        uint64_t count;
        struct bitmap *bitmap;
    };
};

struct chunk {
    struct tri_ordered_node node; /* key: the first index of segments[0] */
    uint64_t members;
    uint32_t used; /* at least 1 while in the tree */
    uint32_t capacity;
    struct segment segments[];
};

/* A segment's place. chunk == NULL: none. */
struct position {
    struct chunk *chunk;
    size_t at;
};

static inline bool segment_is_bitmap(const struct segment *self)
{
    return (self->key & SEGMENT_BITMAP) != 0;
}

static inline uint64_t segment_first(const struct segment *self)
{
    return self->key & ~SEGMENT_BITMAP;
}

static inline uint64_t segment_end(const struct segment *self)
{
    return segment_is_bitmap(self) ? segment_first(self) + BLOCK_SIZE : self->key + self->count;
}

static inline uint64_t segment_members(const struct segment *self)
{
    return segment_is_bitmap(self) ? self->bitmap->count : self->count;
}

static inline struct segment *position_segment(struct position at)
{
    return &at.chunk->segments[at.at];
}

static inline struct chunk *chunk_of(const struct tri_ordered_node *node)
{
    return node != NULL ? tri_container_of(node, struct chunk, node) : NULL;
}

static inline uint64_t block_of(uint64_t index)
{
    return index & ~(uint64_t)(BLOCK_SIZE - 1);
}

/* ---- rangeset_bitmap.c: bits [low, high) of a block ----------------------------------------- */

/* Set (clear) them. Returns how many changed. */
uint32_t tri_bitmap_set(struct bitmap *self, uint32_t low, uint32_t high);
uint32_t tri_bitmap_clear(struct bitmap *self, uint32_t low, uint32_t high);
uint32_t tri_bitmap_count_in(const struct bitmap *self, uint32_t low, uint32_t high);

/* The first bit at or after `from` that is set (clear), or BLOCK_SIZE. */
uint32_t tri_bitmap_next_set(const struct bitmap *self, uint32_t from);
uint32_t tri_bitmap_next_clear(const struct bitmap *self, uint32_t from);

/* One past the last bit below `end` that is set (clear), or 0. */
uint32_t tri_bitmap_prev_set(const struct bitmap *self, uint32_t end);
uint32_t tri_bitmap_prev_clear(const struct bitmap *self, uint32_t end);

/* ---- rangeset_chunk.c ----------------------------------------------------------------------- */

/* The last segment whose first index is at most `index`. */
struct position tri_segment_seek(const struct tri_rangeset *self, uint64_t index);

/* The first segment of all; the neighbours of a segment. */
struct position tri_segment_begin(const struct tri_rangeset *self);
struct position tri_segment_next(struct position at);
struct position tri_segment_prev(struct position at);

/* The first segment that ends after `index`. */
struct position tri_segment_seek_over(const struct tri_rangeset *self, uint64_t index);

/* Put the single range of the struct into a chunk. The set holds at least one index. */
void tri_segment_promote(struct tri_rangeset *self);

/* Back to the struct alone when one range or nothing is left. */
void tri_segment_demote(struct tri_rangeset *self);

/* Replace `erase` segments of one chunk by `count` others. A bitmap that goes is the caller's to
 * free afterwards. False, with nothing changed, when memory is out; with `must` it aborts instead,
 * and at most one chunk is allocated when count <= erase + 1. */
bool tri_segment_splice(struct tri_rangeset *self,
                        struct position at,
                        size_t erase,
                        const struct segment *with,
                        size_t count,
                        bool must);

/* Change a range in place: still between its neighbours. */
void tri_segment_set_range(struct position at, uint64_t first, uint64_t count);

/* Erase the segments that lie wholly inside [first, end), and put `with` in their place when it is
 * not NULL. Returns how many members were erased. Segments that reach out of it stay. */
uint64_t tri_segment_replace(struct tri_rangeset *self,
                             uint64_t first,
                             uint64_t end,
                             const struct segment *with);

/* Free every chunk and bitmap. */
void tri_segment_free_all(struct tri_rangeset *self);

/* A chunk outside the tree, or NULL. */
struct chunk *tri_segment_alloc(size_t capacity);

#endif
