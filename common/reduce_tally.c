/* tally and top:K. Both keep every key: which ones are the largest is known at the end only. */
#include "common/clock.h"
#include "common/map.h"
#include "common/parse.h"
#include "common/reduce_ops.h"
#include "common/show.h"

#include <stdlib.h>

struct tally {
    struct tri_reducer head;
    uint64_t total; /* of all counts: at most INT64_MAX, so that no single one can overflow */
    uint64_t shown; /* K of top; 0 for tally */
    struct tri_bytemap counts;
    struct tri_buffer text; /* scratch */
};

struct row {
    struct tri_bytes key;
    uint64_t count;
};

static struct tally *tally_at(struct tri_reducer *self)
{
    return (struct tally *)(void *)self;
}

static const struct tally *tally_of(const struct tri_reducer *self)
{
    return (const struct tally *)(const void *)self;
}

/* ---- fold ----------------------------------------------------------------------------------- */

static enum tri_status over_limit(struct tri_error *error)
{
    return tri_fail(error, TRI_OVERFLOW, "the counts add up to more than 64 bits");
}

static enum tri_status fold_text(struct tally *self, struct tri_bytes key, struct tri_error *error)
{
    union tri_bytemap_value *count;

    if (self->total >= INT64_MAX)
        return over_limit(error);
    count = tri_bytemap_at(&self->counts, key, NULL);
    if (count == NULL)
        return tri_reduce_memory(error);
    count->number++;
    self->total++;
    return TRI_OK;
}

/* Verify a map of word -> count and say what adding it takes. */
static bool map_measure(struct tri_value_walk walk, uint64_t *total, size_t *key_bytes)
{
    *total = 0;
    *key_bytes = 0;
    for (uint32_t i = 0; i < walk.count; i++) {
        struct tri_value key;
        struct tri_value count;

        if (tri_value_walk_next(&walk, &key, NULL) != TRI_OK
            || tri_value_walk_next(&walk, &count, NULL) != TRI_OK
            || (key.type != TRI_STRING && key.type != TRI_BINARY) || count.type != TRI_INT
            || count.integer < 0 || __builtin_add_overflow(*total, (uint64_t)count.integer, total))
            return false;
        *key_bytes += key.bytes.size;
    }
    return walk.rest.size == 0;
}

/* Add a map of word -> count: all of it or nothing. `*good` says whether it is one. */
static enum tri_status map_add(struct tally *self,
                               const struct tri_value *map,
                               bool *good,
                               struct tri_error *error)
{
    struct tri_value_walk walk;
    uint64_t total;
    size_t key_bytes;

    *good = tri_value_walk(map, &walk, NULL) == TRI_OK && walk.is_map
            && map_measure(walk, &total, &key_bytes);
    if (!*good)
        return TRI_OK;
    if (total > INT64_MAX - self->total)
        return over_limit(error);
    if (!tri_bytemap_reserve(&self->counts, walk.count, key_bytes))
        return tri_reduce_memory(error);
    for (uint32_t i = 0; i < walk.count; i++) {
        struct tri_value key;
        struct tri_value count;

        tri_value_walk_next(&walk, &key, NULL);
        tri_value_walk_next(&walk, &count, NULL);
        if (count.integer > 0)
            tri_bytemap_at(&self->counts, key.bytes, NULL)->number += (uint64_t)count.integer;
    }
    self->total += total;
    return TRI_OK;
}

static enum tri_status tally_fold(struct tri_reducer *self,
                                  uint64_t index,
                                  const struct tri_value *value,
                                  struct tri_error *error)
{
    struct tally *tally = tally_at(self);
    bool good;
    enum tri_status status;

    (void)index;
    if (value->type == TRI_STRING || value->type == TRI_BINARY)
        return fold_text(tally, value->bytes, error);
    if (value->type == TRI_COMPOUND) {
        status = map_add(tally, value, &good, error);
        if (status == TRI_OK && !good)
            return tri_reduce_wrong(error, self, "a scalar or a map of words and counts", value);
        return status;
    }
    tri_buffer_clear(&tally->text);
    status = tri_value_to_text(value, &tally->text, error);
    if (status == TRI_OK && tally->text.failed)
        status = tri_reduce_memory(error);
    return status == TRI_OK ? fold_text(tally, tri_buffer_bytes(&tally->text), error) : status;
}

static void tally_reset(struct tri_reducer *self)
{
    tally_at(self)->total = 0;
    tri_bytemap_clear(&tally_at(self)->counts);
}

static void tally_deinit(struct tri_reducer *self)
{
    tri_bytemap_deinit(&tally_at(self)->counts);
    tri_buffer_deinit(&tally_at(self)->text);
}

/* ---- partials and results ------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    const struct tri_bytes *left = &((const struct row *)a)->key;
    const struct tri_bytes *right = &((const struct row *)b)->key;
    size_t common = left->size < right->size ? left->size : right->size;
    int order = common != 0 ? memcmp(left->data, right->data, common) : 0;

    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static int compare_counts(const void *a, const void *b)
{
    uint64_t left = ((const struct row *)a)->count;
    uint64_t right = ((const struct row *)b)->count;

    return left != right ? (left < right ? 1 : -1) : compare_keys(a, b);
}

/* All rows, sorted. Free with free(); NULL when memory is out. */
static struct row *rows_sorted(const struct tally *self, int (*compare)(const void *, const void *))
{
    struct row *rows = malloc((self->counts.count + 1) * sizeof(*rows));
    union tri_bytemap_value value;
    struct tri_bytes key;
    size_t count = 0;

    if (rows == NULL)
        return NULL;
    for (size_t cursor = 0; tri_bytemap_next(&self->counts, &cursor, &key, &value);)
        rows[count++] = (struct row){ key, value.number };
    qsort(rows, count, sizeof(*rows), compare);
    return rows;
}

static enum tri_status map_write(const struct tally *self,
                                 struct tri_buffer *out,
                                 struct tri_error *error)
{
    struct row *rows = rows_sorted(self, compare_keys);

    if (rows == NULL)
        return tri_reduce_memory(error);
    tri_pack_map(out, (uint32_t)self->counts.count);
    for (size_t i = 0; i < self->counts.count; i++) {
        tri_pack_string(out, rows[i].key.data, rows[i].key.size);
        tri_pack_uint(out, rows[i].count);
    }
    free(rows);
    return TRI_OK;
}

static size_t tally_partial_bytes(const struct tri_reducer *self)
{
    return 5 + tally_of(self)->counts.keys_size + 6 * tally_of(self)->counts.count;
}

static uint32_t tally_encoded_values(const struct tri_reducer *self)
{
    (void)self;
    return 1;
}

static enum tri_status tally_encode(const struct tri_reducer *self,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    return map_write(tally_of(self), out, error);
}

static enum tri_status tally_merge(struct tri_reducer *self,
                                   struct reduce_partial *partial,
                                   struct tri_error *error)
{
    struct tri_value map;
    bool good;
    enum tri_status status = tri_reduce_next(self, partial, TRI_COMPOUND, &map, error);

    if (status == TRI_OK && partial->values != 0)
        status = tri_reduce_broken(error, self);
    if (status == TRI_OK)
        status = map_add(tally_at(self), &map, &good, error);
    if (status == TRI_OK && !good)
        status = tri_reduce_broken(error, self);
    return status;
}

static enum tri_status tally_finish(const struct tri_reducer *self,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    return map_write(tally_of(self), out, error);
}

static enum tri_status top_finish(const struct tri_reducer *self,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    const struct tally *tally = tally_of(self);
    struct row *rows = rows_sorted(tally, compare_counts);
    size_t count = tally->counts.count < tally->shown ? tally->counts.count : tally->shown;

    if (rows == NULL)
        return tri_reduce_memory(error);
    tri_pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        tri_pack_array(out, 2);
        tri_pack_string(out, rows[i].key.data, rows[i].key.size);
        tri_pack_uint(out, rows[i].count);
    }
    free(rows);
    return TRI_OK;
}

static struct tri_reducer *tally_new(const struct tri_reduce_ops *ops,
                                     uint64_t shown,
                                     struct tri_error *error)
{
    struct tally *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        tri_reduce_memory(error);
        return NULL;
    }
    self->head.ops = ops;
    self->shown = shown;
    tri_bytemap_init(&self->counts, tri_clock_now_ns());
    tri_buffer_init(&self->text);
    return &self->head;
}

struct tri_reducer *tri_reduce_tally_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .fold = tally_fold,
        .reset = tally_reset,
        .deinit = tally_deinit,
        .partial_bytes = tally_partial_bytes,
        .encode = tally_encode,
        .encoded_values = tally_encoded_values,
        .merge = tally_merge,
        .finish = tally_finish,
    };

    (void)spec;
    return tally_new(&ops, 0, error);
}

struct tri_reducer *tri_reduce_top_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .fold = tally_fold,
        .reset = tally_reset,
        .deinit = tally_deinit,
        .partial_bytes = tally_partial_bytes,
        .encode = tally_encode,
        .encoded_values = tally_encoded_values,
        .merge = tally_merge,
        .finish = top_finish,
    };
    struct tri_error why;
    uint64_t shown;

    if (tri_parse_u64(spec->parameters[0], 1, TRI_REDUCE_TOP_MAX, &shown, &why) != TRI_OK) {
        tri_fail(error, TRI_INVALID, "the reducer %s: K %.200s", TRI_SHOW_TEXT(spec->text),
                 why.text);
        return NULL;
    }
    return tally_new(&ops, shown, error);
}
