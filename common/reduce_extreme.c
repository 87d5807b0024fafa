/* min and max. There is one order over everything, so that no slicing can change the outcome:
 * numbers by exact value, and behind them strings bytewise; of equal numbers -0.0 comes before an
 * integer and that before a float; of equal bytes text before binary. */
#include "common/reduce_ops.h"

#include <math.h>
#include <stdlib.h>

struct extreme {
    struct tri_reducer head;
    bool nan;
    struct tri_value best; /* NIL: none yet. Bytes are in `bytes` */
    uint8_t *bytes;
    size_t capacity;
};

static struct extreme *extreme_at(struct tri_reducer *self)
{
    return (struct extreme *)(void *)self;
}

static const struct extreme *extreme_of(const struct tri_reducer *self)
{
    return (const struct extreme *)(const void *)self;
}

/* ---- the order ------------------------------------------------------------------------------ */

static bool is_bytes(const struct tri_value *value)
{
    return value->type == TRI_STRING || value->type == TRI_BINARY;
}

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Exactly, not by rounding the integer. `number` is not NaN. */
static int compare_int_float(int64_t integer, double number)
{
    int64_t whole;
    int order;

    if (number >= 0x1p63)
        return -1;
    if (number < -0x1p63)
        return 1;
    whole = (int64_t)number;
    order = compare_int(integer, whole);
    if (order != 0)
        return order;
    return (number < (double)whole) - (number > (double)whole);
}

/* The rank among equal numbers. */
static int number_rank(const struct tri_value *value)
{
    if (value->type == TRI_INT)
        return 1;
    return value->number == 0 && signbit(value->number) ? 0 : 2;
}

static int compare_numbers(const struct tri_value *a, const struct tri_value *b)
{
    int order;

    if (a->type == TRI_INT)
        order = b->type == TRI_INT ? compare_int(a->integer, b->integer)
                                   : compare_int_float(a->integer, b->number);
    else if (b->type == TRI_INT)
        order = -compare_int_float(b->integer, a->number);
    else
        order = (a->number > b->number) - (a->number < b->number);
    return order != 0 ? order : number_rank(a) - number_rank(b);
}

static int compare(const struct tri_value *a, const struct tri_value *b)
{
    size_t common = a->bytes.size;
    int order;

    if (is_bytes(a) != is_bytes(b))
        return is_bytes(a) ? 1 : -1;
    if (!is_bytes(a))
        return compare_numbers(a, b);
    if (b->bytes.size < common)
        common = b->bytes.size;
    order = common != 0 ? memcmp(a->bytes.data, b->bytes.data, common) : 0;
    if (order == 0)
        order = (a->bytes.size > b->bytes.size) - (a->bytes.size < b->bytes.size);
    return order != 0 ? order : (int)a->type - (int)b->type;
}

/* ---- the reducer ---------------------------------------------------------------------------- */

/* Keep `value` when it comes before (after) what is kept. */
static enum tri_status offer(struct extreme *self,
                             const struct tri_value *value,
                             struct tri_error *error)
{
    if (self->best.type != TRI_NIL) {
        int order = compare(value, &self->best);

        if (self->head.kind == TRI_REDUCE_MIN ? order >= 0 : order <= 0)
            return TRI_OK;
    }
    if (is_bytes(value)) {
        if (value->bytes.size > self->capacity) {
            uint8_t *bytes = realloc(self->bytes, value->bytes.size);

            if (bytes == NULL)
                return tri_reduce_memory(error);
            self->bytes = bytes;
            self->capacity = value->bytes.size;
        }
        if (value->bytes.size != 0)
            memcpy(self->bytes, value->bytes.data, value->bytes.size);
    }
    self->best = *value;
    if (is_bytes(value))
        self->best.bytes.data = self->bytes;
    return TRI_OK;
}

static enum tri_status extreme_fold(struct tri_reducer *self,
                                    uint64_t index,
                                    const struct tri_value *value,
                                    struct tri_error *error)
{
    (void)index;
    if (value->type == TRI_FLOAT && isnan(value->number)) {
        extreme_at(self)->nan = true;
        return TRI_OK;
    }
    if (value->type != TRI_INT && value->type != TRI_FLOAT && !is_bytes(value))
        return tri_reduce_wrong(error, self, "a number or a string", value);
    return offer(extreme_at(self), value, error);
}

static void extreme_reset(struct tri_reducer *self)
{
    extreme_at(self)->nan = false;
    extreme_at(self)->best = tri_value_nil();
}

static void extreme_deinit(struct tri_reducer *self)
{
    free(extreme_at(self)->bytes);
}

static size_t extreme_partial_bytes(const struct tri_reducer *self)
{
    const struct tri_value *best = &extreme_of(self)->best;

    return 10 + (is_bytes(best) ? best->bytes.size : 0);
}

static uint32_t extreme_encoded_values(const struct tri_reducer *self)
{
    (void)self;
    return 2;
}

static enum tri_status extreme_encode(const struct tri_reducer *self,
                                      struct tri_buffer *out,
                                      struct tri_error *error)
{
    (void)error;
    tri_pack_uint(out, extreme_of(self)->nan);
    tri_value_pack(out, &extreme_of(self)->best);
    return TRI_OK;
}

static enum tri_status extreme_merge(struct tri_reducer *self,
                                     struct reduce_partial *partial,
                                     struct tri_error *error)
{
    struct tri_value best;
    uint64_t nan = 0;
    bool some;
    enum tri_status status = tri_reduce_next_count(self, partial, &nan, error);

    if (status == TRI_OK)
        status = tri_reduce_next(self, partial, TRI_ANY, &best, error);
    if (status != TRI_OK)
        return status;
    some =
        best.type == TRI_INT || is_bytes(&best) || (best.type == TRI_FLOAT && !isnan(best.number));
    if (nan > 1 || partial->values != 0 || (!some && best.type != TRI_NIL)
        || (some || nan != 0) != (partial->count > 0))
        return tri_reduce_broken(error, self);
    if (some)
        status = offer(extreme_at(self), &best, error);
    if (status == TRI_OK && nan != 0)
        extreme_at(self)->nan = true;
    return status;
}

static enum tri_status extreme_finish(const struct tri_reducer *self,
                                      struct tri_buffer *out,
                                      struct tri_error *error)
{
    (void)error;
    if (extreme_of(self)->nan)
        tri_pack_float(out, NAN);
    else
        tri_value_pack(out, &extreme_of(self)->best);
    return TRI_OK;
}

static struct tri_reducer *extreme_new(struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .bounded = true,
        .fold = extreme_fold,
        .reset = extreme_reset,
        .deinit = extreme_deinit,
        .partial_bytes = extreme_partial_bytes,
        .encode = extreme_encode,
        .encoded_values = extreme_encoded_values,
        .merge = extreme_merge,
        .finish = extreme_finish,
    };
    struct extreme *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        tri_reduce_memory(error);
        return NULL;
    }
    self->head.ops = &ops;
    self->best = tri_value_nil();
    return &self->head;
}

struct tri_reducer *tri_reduce_min_new(const struct reduce_spec *spec, struct tri_error *error)
{
    (void)spec;
    return extreme_new(error);
}

struct tri_reducer *tri_reduce_max_new(const struct reduce_spec *spec, struct tri_error *error)
{
    (void)spec;
    return extreme_new(error);
}
