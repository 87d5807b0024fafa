/* What all reducers have in common: specs, the envelope of partials, and dispatch. */
#include "common/reduce.h"

#include "common/json.h"
#include "common/reduce_ops.h"
#include "common/show.h"

#include <stdlib.h>

static const struct {
    const char *name;
    const char *parameters; /* how many, and how they are called */
    size_t count;
    struct tri_reducer *(*make)(const struct reduce_spec *spec, struct tri_error *error);
} table[] = {
    [TRI_REDUCE_COUNT] = { "count", "", 0, tri_reduce_count_new },
    [TRI_REDUCE_SUM] = { "sum", "", 0, tri_reduce_sum_new },
    [TRI_REDUCE_MIN] = { "min", "", 0, tri_reduce_min_new },
    [TRI_REDUCE_MAX] = { "max", "", 0, tri_reduce_max_new },
    [TRI_REDUCE_MEAN] = { "mean", "", 0, tri_reduce_mean_new },
    [TRI_REDUCE_HISTOGRAM] = { "histogram", ":LO:HI:BINS", 3, tri_reduce_histogram_new },
    [TRI_REDUCE_TALLY] = { "tally", "", 0, tri_reduce_tally_new },
    [TRI_REDUCE_TOP] = { "top", ":K", 1, tri_reduce_top_new },
    [TRI_REDUCE_CONCAT] = { "concat", "", 0, tri_reduce_concat_new },
};

/* ---- specs ---------------------------------------------------------------------------------- */

static size_t find_kind(const char *name, size_t size)
{
    for (size_t i = 0; i < TRI_COUNT_OF(table); i++) {
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return i;
    }
    return TRI_COUNT_OF(table);
}

/* Split what stands behind the name at its colons. */
static bool split(const char *rest, struct reduce_spec *spec)
{
    while (*rest == ':') {
        size_t size = strcspn(++rest, ":");

        if (spec->count == REDUCE_PARAMETERS_MAX || size >= sizeof(spec->parameters[0]))
            return false;
        memcpy(spec->parameters[spec->count++], rest, size);
        rest += size;
    }
    return true;
}

struct tri_reducer *tri_reducer_new(const char *spec, struct tri_error *error)
{
    size_t name_size = strcspn(spec, ":");
    size_t kind = find_kind(spec, name_size);
    struct reduce_spec parts = { .text = spec };
    struct tri_reducer *self;

    if (kind == TRI_COUNT_OF(table)) {
        tri_fail(error, TRI_INVALID,
                 "there is no reducer %s; there are count, sum, min, max, mean, "
                 "histogram:LO:HI:BINS, tally, top:K and concat",
                 TRI_SHOW_TEXT(spec));
        return NULL;
    }
    if (!split(spec + name_size, &parts) || parts.count != table[kind].count) {
        tri_fail(error, TRI_INVALID, "the reducer %s is not of the form %s%s", TRI_SHOW_TEXT(spec),
                 table[kind].name, table[kind].parameters);
        return NULL;
    }
    self = table[kind].make(&parts, error);
    if (self != NULL)
        self->kind = (enum tri_reduce_kind)kind;
    return self;
}

void tri_reducer_destroy(struct tri_reducer **self)
{
    if (*self == NULL)
        return;
    (*self)->ops->deinit(*self);
    free(*self);
    *self = NULL;
}

enum tri_status tri_reducer_check(const char *spec, struct tri_error *error)
{
    struct tri_error local = { .status = TRI_OK };
    struct tri_reducer *self = tri_reducer_new(spec, &local);

    if (self == NULL) {
        if (error != NULL)
            *error = local;
        return local.status;
    }
    tri_reducer_destroy(&self);
    return TRI_OK;
}

/* ---- ask and fold --------------------------------------------------------------------------- */

bool tri_reducer_is_commutative(const struct tri_reducer *self)
{
    return self->ops->commutative;
}

bool tri_reducer_is_bounded(const struct tri_reducer *self)
{
    return self->ops->bounded;
}

uint64_t tri_reducer_count(const struct tri_reducer *self)
{
    return self->count;
}

size_t tri_reducer_partial_bytes(const struct tri_reducer *self)
{
    return 16 + self->ops->partial_bytes(self);
}

enum tri_status tri_reducer_fold(struct tri_reducer *self,
                                 uint64_t index,
                                 const struct tri_value *value,
                                 struct tri_error *error)
{
    enum tri_status status = self->ops->fold(self, index, value, error);

    if (status == TRI_OK)
        self->count++;
    return status;
}

void tri_reducer_reset(struct tri_reducer *self)
{
    self->ops->reset(self);
    self->count = 0;
    self->integer = 0;
}

/* ---- partials ------------------------------------------------------------------------------- */

enum tri_status tri_reducer_encode(const struct tri_reducer *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error)
{
    size_t start = out->size;
    enum tri_status status;

    tri_pack_array(out, 2 + self->ops->encoded_values(self));
    tri_pack_uint(out, self->kind);
    tri_pack_uint(out, self->count);
    status = self->ops->encode(self, out, error);
    if (status == TRI_OK && out->failed)
        status = tri_reduce_memory(error);
    if (status != TRI_OK)
        out->size = start;
    return status;
}

enum tri_status tri_reducer_give(struct tri_reducer *self,
                                 struct tri_buffer *out,
                                 struct tri_error *error)
{
    enum tri_status status = tri_reducer_encode(self, out, error);

    if (status == TRI_OK)
        tri_reducer_reset(self);
    return status;
}

enum tri_status tri_reduce_wrong(struct tri_error *error,
                                 const struct tri_reducer *self,
                                 const char *wanted,
                                 const struct tri_value *value)
{
    const char *name = table[self->kind].name;

    if (value->type == TRI_STRING || value->type == TRI_BINARY)
        return tri_fail(error, TRI_INVALID, "%s: wanted %s, got %s %s", name, wanted,
                        value->type == TRI_STRING ? "the string" : "the bytes",
                        TRI_SHOW(value->bytes));
    return tri_fail(error, TRI_INVALID, "%s: wanted %s, got %s", name, wanted,
                    value->type == TRI_BOOL    ? "a truth value"
                    : value->type == TRI_NIL   ? "nil"
                    : value->type == TRI_INT   ? "an integer"
                    : value->type == TRI_FLOAT ? "a number"
                                               : "an array or map");
}

enum tri_status tri_reduce_broken(struct tri_error *error, const struct tri_reducer *self)
{
    return tri_fail(error, TRI_INVALID, "malformed partial of %s", table[self->kind].name);
}

enum tri_status tri_reduce_next(const struct tri_reducer *self,
                                struct reduce_partial *partial,
                                enum tri_type type,
                                struct tri_value *value,
                                struct tri_error *error)
{
    if (partial->values == 0 || tri_value_walk_next(&partial->rest, value, NULL) != TRI_OK
        || (type != TRI_ANY && value->type != type))
        return tri_reduce_broken(error, self);
    partial->values--;
    return TRI_OK;
}

enum tri_status tri_reduce_next_count(const struct tri_reducer *self,
                                      struct reduce_partial *partial,
                                      uint64_t *count,
                                      struct tri_error *error)
{
    struct tri_value value;
    enum tri_status status = tri_reduce_next(self, partial, TRI_INT, &value, error);

    if (status != TRI_OK)
        return status;
    if (value.integer < 0)
        return tri_reduce_broken(error, self);
    *count = (uint64_t)value.integer;
    return TRI_OK;
}

/* Open the envelope. */
static enum tri_status partial_open(const struct tri_reducer *self,
                                    struct tri_bytes bytes,
                                    struct reduce_partial *partial,
                                    struct tri_error *error)
{
    struct tri_value all;
    uint64_t kind;
    enum tri_status status;

    if (tri_value_unpack_whole(bytes, &all, NULL) != TRI_OK || all.type != TRI_COMPOUND
        || tri_value_walk(&all, &partial->rest, NULL) != TRI_OK || partial->rest.is_map)
        return tri_reduce_broken(error, self);
    partial->values = partial->rest.count;
    status = tri_reduce_next_count(self, partial, &kind, error);
    if (status == TRI_OK && kind != (uint64_t)self->kind)
        status = tri_reduce_broken(error, self);
    if (status == TRI_OK)
        status = tri_reduce_next_count(self, partial, &partial->count, error);
    return status;
}

/* Do the ranges have as many indexes as the partial claims? */
static bool ranges_match(const struct reduce_partial *partial)
{
    uint64_t total = 0;

    if (partial->ranges == NULL)
        return true;
    for (size_t i = 0; i < partial->range_count; i++) {
        if (__builtin_add_overflow(total, partial->ranges[i].count, &total))
            return false;
    }
    return total == partial->count;
}

enum tri_status tri_reducer_merge(struct tri_reducer *self,
                                  struct tri_bytes bytes,
                                  const struct tri_range *ranges,
                                  size_t range_count,
                                  struct tri_error *error)
{
    struct reduce_partial partial = { .ranges = ranges, .range_count = range_count };
    enum tri_status status = partial_open(self, bytes, &partial, error);

    if (status != TRI_OK)
        return status;
    if (!ranges_match(&partial))
        return tri_fail(error, TRI_INVALID, "a partial of %s covers %llu tasks, not those it names",
                        table[self->kind].name, (unsigned long long)partial.count);
    if (partial.count > (uint64_t)INT64_MAX - self->count)
        return tri_fail(error, TRI_OVERFLOW, "%s: more than 2^63 tasks", table[self->kind].name);
    status = self->ops->merge(self, &partial, error);
    if (status == TRI_OK)
        self->count += partial.count;
    return status;
}

/* ---- finish --------------------------------------------------------------------------------- */

enum tri_status tri_reducer_finish(struct tri_reducer *self,
                                   struct tri_buffer *storage,
                                   struct tri_value *value,
                                   struct tri_error *error)
{
    enum tri_status status;

    tri_buffer_clear(storage);
    status = self->ops->finish(self, storage, error);
    if (status == TRI_OK && storage->failed)
        status = tri_reduce_memory(error);
    if (status == TRI_OK)
        status = tri_value_unpack_whole(tri_buffer_bytes(storage), value, error);
    return status;
}

static enum tri_status finish_as(struct tri_reducer *self,
                                 bool text,
                                 struct tri_buffer *out,
                                 struct tri_error *error)
{
    struct tri_buffer storage;
    struct tri_value value;
    size_t start = out->size;
    enum tri_status status;

    if (self->ops->finish_json != NULL)
        return self->ops->finish_json(self, out, error);
    tri_buffer_init(&storage);
    status = tri_reducer_finish(self, &storage, &value, error);
    if (status == TRI_OK)
        status =
            text ? tri_value_to_text(&value, out, error) : tri_value_to_json(&value, out, error);
    if (status == TRI_OK && out->failed)
        status = tri_reduce_memory(error);
    if (status != TRI_OK)
        out->size = start;
    tri_buffer_deinit(&storage);
    return status;
}

enum tri_status tri_reducer_finish_json(struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error)
{
    return finish_as(self, false, out, error);
}

enum tri_status tri_reducer_finish_text(struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error)
{
    return finish_as(self, true, out, error);
}
