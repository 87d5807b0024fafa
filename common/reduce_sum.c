/* count, sum and mean. Integers are summed in the head's 128 bits, other numbers exactly. */
#include "common/exact.h"
#include "common/json.h"
#include "common/reduce_ops.h"

#include <math.h>
#include <stdlib.h>

struct sum {
    struct tri_reducer head;
    uint64_t floats; /* how many of the values were not integers */
    struct tri_exact exact;
};

static const struct sum *sum_of(const struct tri_reducer *self)
{
    return (const struct sum *)(const void *)self;
}

static struct sum *sum_at(struct tri_reducer *self)
{
    return (struct sum *)(void *)self;
}

static void nothing(struct tri_reducer *self)
{
    (void)self;
}

/* ---- count ---------------------------------------------------------------------------------- */

static enum tri_status count_fold(struct tri_reducer *self,
                                  uint64_t index,
                                  const struct tri_value *value,
                                  struct tri_error *error)
{
    (void)self, (void)index, (void)value, (void)error;
    return TRI_OK;
}

static size_t count_partial_bytes(const struct tri_reducer *self)
{
    (void)self;
    return 0;
}

static enum tri_status count_encode(const struct tri_reducer *self,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    (void)self, (void)out, (void)error;
    return TRI_OK;
}

static uint32_t count_encoded_values(const struct tri_reducer *self)
{
    (void)self;
    return 0;
}

static enum tri_status count_merge(struct tri_reducer *self,
                                   struct reduce_partial *partial,
                                   struct tri_error *error)
{
    return partial->values == 0 ? TRI_OK : tri_reduce_broken(error, self);
}

static enum tri_status count_finish(const struct tri_reducer *self,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    (void)error;
    tri_pack_uint(out, self->count);
    return TRI_OK;
}

struct tri_reducer *tri_reduce_count_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .bounded = true,
        .fold = count_fold,
        .reset = nothing,
        .deinit = nothing,
        .partial_bytes = count_partial_bytes,
        .encode = count_encode,
        .encoded_values = count_encoded_values,
        .merge = count_merge,
        .finish = count_finish,
    };
    struct tri_reducer *self = calloc(1, sizeof(*self));

    (void)spec;
    if (self == NULL)
        tri_reduce_memory(error);
    else
        self->ops = &ops;
    return self;
}

/* ---- sum and mean --------------------------------------------------------------------------- */

static enum tri_status sum_fold(struct tri_reducer *self,
                                uint64_t index,
                                const struct tri_value *value,
                                struct tri_error *error)
{
    (void)index;
    if (value->type == TRI_INT) {
        self->integer += value->integer; /* cannot overflow: see sum_merge */
        return TRI_OK;
    }
    if (value->type != TRI_FLOAT)
        return tri_reduce_wrong(error, self, "a number", value);
    sum_at(self)->floats++;
    tri_exact_add(&sum_at(self)->exact, value->number);
    return TRI_OK;
}

static void sum_reset(struct tri_reducer *self)
{
    sum_at(self)->floats = 0;
    tri_exact_init(&sum_at(self)->exact);
}

static size_t sum_partial_bytes(const struct tri_reducer *self)
{
    return sum_of(self)->floats == 0 ? 18 : 32 + 4 * TRI_EXACT_DIGITS;
}

static uint32_t sum_encoded_values(const struct tri_reducer *self)
{
    return sum_of(self)->floats == 0 ? 1 : 2 + TRI_EXACT_VALUES;
}

/* The integers as 16 bytes, then, where there are any, the number of floats and their sum. */
static enum tri_status sum_encode(const struct tri_reducer *self,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    (void)error;
    tri_pack_binary(out, &self->integer, sizeof(self->integer));
    if (sum_of(self)->floats > 0) {
        tri_pack_uint(out, sum_of(self)->floats);
        tri_exact_encode(&sum_of(self)->exact, out);
    }
    return TRI_OK;
}

/* Read the floats of a partial. */
static enum tri_status floats_read(const struct tri_reducer *self,
                                   struct reduce_partial *partial,
                                   uint64_t *floats,
                                   struct tri_exact *exact,
                                   struct tri_error *error)
{
    struct tri_value values[TRI_EXACT_VALUES];
    enum tri_status status = tri_reduce_next_count(self, partial, floats, error);

    for (size_t i = 0; i < TRI_EXACT_VALUES && status == TRI_OK; i++)
        status = tri_reduce_next(self, partial, TRI_ANY, &values[i], error);
    if (status == TRI_OK)
        status = tri_exact_decode(exact, values, error);
    if (status == TRI_OK && (*floats == 0 || *floats > partial->count || partial->values != 0))
        status = tri_reduce_broken(error, self);
    return status;
}

/* Can so many 64-bit integers add up to this? What passes keeps all sums below 2^126, since there
 * are never more than 2^63 tasks. */
static bool is_sum_of(__int128 integer, uint64_t count)
{
    __int128 most = (__int128)count << 63;

    return integer >= -most && integer <= most;
}

static enum tri_status sum_merge(struct tri_reducer *self,
                                 struct reduce_partial *partial,
                                 struct tri_error *error)
{
    struct tri_exact exact;
    struct tri_value value;
    uint64_t floats = 0;
    __int128 integer;
    enum tri_status status = tri_reduce_next(self, partial, TRI_BINARY, &value, error);

    if (status == TRI_OK && value.bytes.size != sizeof(integer))
        status = tri_reduce_broken(error, self);
    if (status == TRI_OK && partial->values > 0)
        status = floats_read(self, partial, &floats, &exact, error);
    if (status != TRI_OK)
        return status;
    memcpy(&integer, value.bytes.data, sizeof(integer));
    if (!is_sum_of(integer, partial->count - floats))
        return tri_reduce_broken(error, self);
    if (__builtin_add_overflow(self->integer, integer, &integer))
        return tri_fail(error, TRI_OVERFLOW, "the sum does not fit 128 bits");
    self->integer = integer;
    if (floats > 0) {
        sum_at(self)->floats += floats;
        tri_exact_merge(&sum_at(self)->exact, &exact);
    }
    return TRI_OK;
}

/* Integers and floats together. */
static struct tri_exact total_of(const struct tri_reducer *self)
{
    struct tri_exact total = sum_of(self)->exact;

    tri_exact_add_int(&total, self->integer);
    return total;
}

static enum tri_status float_sum(const struct tri_reducer *self,
                                 double *sum,
                                 struct tri_error *error)
{
    struct tri_exact total = total_of(self);

    *sum = tri_exact_sum(&total);
    if (isinf(*sum) && !tri_exact_is_special(&total))
        return tri_fail(error, TRI_OVERFLOW, "the sum is beyond the largest number");
    return TRI_OK;
}

static enum tri_status sum_finish(const struct tri_reducer *self,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    double sum;
    enum tri_status status;

    if (sum_of(self)->floats == 0) {
        if (self->integer < INT64_MIN || self->integer > INT64_MAX)
            return tri_fail(error, TRI_OVERFLOW, "the sum does not fit 64 bits");
        tri_pack_int(out, (int64_t)self->integer);
        return TRI_OK;
    }
    status = float_sum(self, &sum, error);
    if (status == TRI_OK)
        tri_pack_float(out, sum);
    return status;
}

static enum tri_status sum_finish_json(const struct tri_reducer *self,
                                       struct tri_buffer *out,
                                       struct tri_error *error)
{
    double sum;
    enum tri_status status = TRI_OK;

    if (sum_of(self)->floats == 0) {
        tri_json_int128(out, self->integer);
    } else {
        status = float_sum(self, &sum, error);
        if (status == TRI_OK)
            tri_json_double(out, sum);
    }
    return status == TRI_OK && out->failed ? tri_reduce_memory(error) : status;
}

static enum tri_status mean_finish(const struct tri_reducer *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error)
{
    struct tri_value nil = tri_value_nil();
    struct tri_exact total = total_of(self);

    (void)error;
    if (self->count == 0)
        tri_value_pack(out, &nil);
    else
        tri_pack_float(out, tri_exact_mean(&total, self->count));
    return TRI_OK;
}

static struct tri_reducer *sum_new(const struct tri_reduce_ops *ops, struct tri_error *error)
{
    struct sum *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        tri_reduce_memory(error);
        return NULL;
    }
    self->head.ops = ops;
    return &self->head;
}

struct tri_reducer *tri_reduce_sum_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .bounded = true,
        .fold = sum_fold,
        .reset = sum_reset,
        .deinit = nothing,
        .partial_bytes = sum_partial_bytes,
        .encode = sum_encode,
        .encoded_values = sum_encoded_values,
        .merge = sum_merge,
        .finish = sum_finish,
        .finish_json = sum_finish_json,
    };

    (void)spec;
    return sum_new(&ops, error);
}

struct tri_reducer *tri_reduce_mean_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .bounded = true,
        .fold = sum_fold,
        .reset = sum_reset,
        .deinit = nothing,
        .partial_bytes = sum_partial_bytes,
        .encode = sum_encode,
        .encoded_values = sum_encoded_values,
        .merge = sum_merge,
        .finish = mean_finish,
    };

    (void)spec;
    return sum_new(&ops, error);
}
