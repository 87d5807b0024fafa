/* reduce.h - folding results where they are made: count sum min max mean histogram tally top
 * concat.
 *
 * A worker folds task results into a reducer and gives partials (msgpack bytes); the client merges
 * partials and finishes. Whatever the slicing and the order of merging, the result has the same
 * bits, and so does the partial of the same tasks.
 *
 *   count                 how many tasks were folded
 *   sum, mean             of integers exactly (128 bits), of numbers exactly and rounded once; a
 *                         sum is an integer while all values are; mean of nothing is null. A NaN,
 *                         or both infinities, make NaN; one infinity makes that infinity; a finite
 *                         sum beyond the largest double is TRI_OVERFLOW
 *   min, max              of numbers and strings, null for nothing: every number is before every
 *                         string, strings go bytewise, numbers by exact value (of equal ones -0.0
 *                         before an integer before a float); a NaN wins both
 *   histogram:LO:HI:BINS  counts of numbers in BINS equal bins of [LO, HI), and of those under LO,
 *                         at or over HI, and NaN
 *   tally                 value -> count, by the value's text; a map of word -> count is merged key
 *                         by key; keys sorted bytewise
 *   top:K                 a tally of which the K largest counts are shown, equal ones by key
 *   concat                the texts of all values joined in index order
 *
 * Threads: one owner at a time; give each thread its own and merge.
 * Memory:  count to histogram are bounded; tally, top and concat grow with what they hold.
 * Errors:  fold and merge either do all of it or nothing: TRI_INVALID names what was got,
 *          TRI_OVERFLOW, TRI_MEMORY, TRI_CONFLICT (concat: an index folded before).
 */
#ifndef TRI_REDUCE_H
#define TRI_REDUCE_H

#include "common/buffer.h"
#include "common/types.h"
#include "common/value.h"

#define TRI_REDUCE_BINS_MAX 65536
#define TRI_REDUCE_TOP_MAX 1000000

#define TRI_REDUCE_MAP(X)        \
    X(COUNT, 0, "count")         \
    X(SUM, 1, "sum")             \
    X(MIN, 2, "min")             \
    X(MAX, 3, "max")             \
    X(MEAN, 4, "mean")           \
    X(HISTOGRAM, 5, "histogram") \
    X(TALLY, 6, "tally")         \
    X(TOP, 7, "top")             \
    X(CONCAT, 8, "concat")

enum tri_reduce_kind {
#define X(name, code, text) TRI_REDUCE_##name = (code),
    TRI_REDUCE_MAP(X)
#undef X
};

struct tri_reduce_ops;

/* The head of every reducer. Only the fast path below touches it; hands off elsewhere. */
struct tri_reducer {
    const struct tri_reduce_ops *ops;
    enum tri_reduce_kind kind;
    uint64_t count;   /* tasks folded or merged */
    __int128 integer; /* SUM and MEAN: the integers */
};

/* A reducer for `spec`, as in "top:10". NULL with `*error`: TRI_INVALID for a spec that is not
 * one (the text lists what there is), TRI_MEMORY. */
struct tri_reducer *tri_reducer_new(const char *spec, struct tri_error *error);
void tri_reducer_destroy(struct tri_reducer **self);

/* Only validate. */
enum tri_status tri_reducer_check(const char *spec, struct tri_error *error);

/* May partials cover scattered ranges? Otherwise (concat) each run of indexes stays a piece. */
bool tri_reducer_is_commutative(const struct tri_reducer *self);

/* Does a partial stay small whatever is folded? */
bool tri_reducer_is_bounded(const struct tri_reducer *self);

/* How many tasks it holds, and about how large its partial would be now. */
uint64_t tri_reducer_count(const struct tri_reducer *self);
size_t tri_reducer_partial_bytes(const struct tri_reducer *self);

/* Fold the result of task `index`. */
enum tri_status tri_reducer_fold(struct tri_reducer *self,
                                 uint64_t index,
                                 const struct tri_value *value,
                                 struct tri_error *error);

/* The same for an integer; count, sum and mean are a few instructions. 2^63 values of 64 bits
 * cannot overflow the sum. */
static inline enum tri_status tri_reducer_fold_int(struct tri_reducer *self,
                                                   uint64_t index,
                                                   int64_t integer)
{
    if (self->kind == TRI_REDUCE_SUM || self->kind == TRI_REDUCE_MEAN) {
        self->integer += integer;
        self->count++;
        return TRI_OK;
    }
    if (self->kind == TRI_REDUCE_COUNT) {
        self->count++;
        return TRI_OK;
    }
    return tri_reducer_fold(self, index, &(struct tri_value){ .type = TRI_INT, .integer = integer },
                            NULL);
}

/* Append the partial: the same tasks give the same bytes. */
enum tri_status tri_reducer_encode(const struct tri_reducer *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error);

/* Forget everything folded, keep the spec. */
void tri_reducer_reset(struct tri_reducer *self);

/* tri_reducer_encode, then reset when that worked: the partial is the caller's now. */
enum tri_status tri_reducer_give(struct tri_reducer *self,
                                 struct tri_buffer *out,
                                 struct tri_error *error);

/* Merge a partial made by a reducer of the same spec. The bytes are not trusted. When `ranges` is
 * not NULL, they say which indexes the partial must cover (sorted, disjoint): another number of
 * tasks, or for concat other indexes, is TRI_INVALID. */
enum tri_status tri_reducer_merge(struct tri_reducer *self,
                                  struct tri_bytes partial,
                                  const struct tri_range *ranges,
                                  size_t range_count,
                                  struct tri_error *error);

/* The result, appended to `out`, as JSON: sums of integers with all their digits; histogram
 * {"low":0.0,"high":10.0,"bins":[1,2],"under":0,"over":0,"nan":0}; tally {"key":count}; top
 * [["key",count],...]. The reducer is unchanged: progress can be shown at any time. */
enum tri_status tri_reducer_finish_json(struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error);

/* The same as text: concat (and a string min or max) raw, everything else JSON. */
enum tri_status tri_reducer_finish_text(struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error);

/* The same as a value that borrows from `storage` (cleared first). An integer sum beyond 64 bits is
 * TRI_OVERFLOW here. */
enum tri_status tri_reducer_finish(struct tri_reducer *self,
                                   struct tri_buffer *storage,
                                   struct tri_value *value,
                                   struct tri_error *error);

#endif
