/* rangeset.h - a set of task indexes, kept as ranges: what lets a batch of 10^9 tasks cost what a
 * batch of 10 costs.
 *
 * Orderly sets are sorted ranges, each two words however long. Where one aligned block of 65 536
 * indexes fragments into more ranges than a bitmap of it would cost, that block becomes a bitmap,
 * and goes back to ranges when it heals. One single range needs no allocation at all.
 *
 * Time:    n = ranges. add, remove, contains, next, take O(log n), plus what is erased (amortised
 *          against its insertion). count and is_empty O(1). count_in and contains_all O(log n) plus
 *          1/16 per range inside. Whole-set operations: O(log n) per range of the second set.
 * Threads: one owner at a time; reading from several threads is fine while nobody writes.
 * Memory:  at most about 1 bit an index of the blocks in use; 32 bytes when it is one range.
 * Errors:  aborts when memory is out. After a successful tri_rangeset_prepare the next add, remove
 *          or take cannot run out of memory.
 * Limits:  indexes are below TRI_INDEX_END; adding one above is our own bug (asserted). Queries and
 *          removals accept any range, overflowing ones end at TRI_INDEX_END.
 */
#ifndef TRI_RANGESET_H
#define TRI_RANGESET_H

#include "common/ordered.h"
#include "common/types.h"

#define TRI_INDEX_END (UINT64_C(1) << 63)

struct tri_rangeset {
    uint64_t count;
    uint64_t first;            /* of the single range, while there are no chunks */
    struct tri_ordered chunks; /* sorted arrays of ranges and bitmaps, by their first index */
    void *spare;               /* a chunk set aside by tri_rangeset_prepare */
};

/* An all-zero struct is an initialised empty set, too. */
void tri_rangeset_init(struct tri_rangeset *self);
void tri_rangeset_deinit(struct tri_rangeset *self);

/* Remove everything and free the memory. */
void tri_rangeset_clear(struct tri_rangeset *self);

/* Set aside memory so that the next add, remove or take cannot run out. False when memory is out.
 */
bool tri_rangeset_prepare(struct tri_rangeset *self);

/* ---- change --------------------------------------------------------------------------------- */

/* Add [first, first+count). Returns how many were not in the set before. */
uint64_t tri_rangeset_add(struct tri_rangeset *self, uint64_t first, uint64_t count);

/* Remove [first, first+count). Returns how many were in the set. */
uint64_t tri_rangeset_remove(struct tri_rangeset *self, uint64_t first, uint64_t count);

/* Remove up to `limit` indexes from the front of the first maximal range (or from the end of the
 * last one) and say which in `*out`. False, with a zero count, when the set is empty or limit 0. */
bool tri_rangeset_take_first(struct tri_rangeset *self, uint64_t limit, struct tri_range *out);
bool tri_rangeset_take_last(struct tri_rangeset *self, uint64_t limit, struct tri_range *out);

/* Add (remove) all of `other`, which is another set. Returns how many were added (removed). */
uint64_t tri_rangeset_union(struct tri_rangeset *self, const struct tri_rangeset *other);
uint64_t tri_rangeset_subtract(struct tri_rangeset *self, const struct tri_rangeset *other);

/* Make `self` (initialised; what it held is freed) equal to `other`. */
void tri_rangeset_copy(struct tri_rangeset *self, const struct tri_rangeset *other);

/* Swap the contents of two sets. */
void tri_rangeset_swap(struct tri_rangeset *self, struct tri_rangeset *other);

/* ---- ask ------------------------------------------------------------------------------------ */

static inline uint64_t tri_rangeset_count(const struct tri_rangeset *self)
{
    return self->count;
}

static inline bool tri_rangeset_is_empty(const struct tri_rangeset *self)
{
    return self->count == 0;
}

bool tri_rangeset_contains(const struct tri_rangeset *self, uint64_t index);

/* The smallest and the largest member; false when empty. */
bool tri_rangeset_first(const struct tri_rangeset *self, uint64_t *index);
bool tri_rangeset_last(const struct tri_rangeset *self, uint64_t *index);

/* The first range of members at or after `from`, cut at `from` on the left and maximal on the
 * right. False when there is none. Walk:
 *     for (uint64_t at = 0; tri_rangeset_next(set, at, &r); at = r.first + r.count) */
bool tri_rangeset_next(const struct tri_rangeset *self, uint64_t from, struct tri_range *out);

/* The last range of members below `end`, cut at `end` on the right and maximal on the left. */
bool tri_rangeset_prev(const struct tri_rangeset *self, uint64_t end, struct tri_range *out);

/* The first gap at or after `from`: indexes that are not members, up to the next member or
 * TRI_INDEX_END. False when `from` is at or past TRI_INDEX_END. */
bool tri_rangeset_next_gap(const struct tri_rangeset *self, uint64_t from, struct tri_range *out);

/* True when every (any) index of [first, first+count) is a member. An empty range: true (false). */
bool tri_rangeset_contains_all(const struct tri_rangeset *self, uint64_t first, uint64_t count);
bool tri_rangeset_intersects(const struct tri_rangeset *self, uint64_t first, uint64_t count);

/* How many of [first, first+count) are members. */
uint64_t tri_rangeset_count_in(const struct tri_rangeset *self, uint64_t first, uint64_t count);

/* True when the sets have no member in common. Leaps from range to range of either. */
bool tri_rangeset_disjoint(const struct tri_rangeset *a, const struct tri_rangeset *b);

bool tri_rangeset_equals(const struct tri_rangeset *a, const struct tri_rangeset *b);

/* Heap bytes in use, the struct itself not counted. */
size_t tri_rangeset_memory_bytes(const struct tri_rangeset *self);

/* Verify order, disjointness, maximality, counts and thresholds; assert on the first broken. */
void tri_rangeset_check(const struct tri_rangeset *self);

#endif
