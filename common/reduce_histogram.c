/* histogram:LO:HI:BINS. Which bin a number falls into depends on the number alone, so partials are
 * just counts. */
#include "common/parse.h"
#include "common/reduce_ops.h"
#include "common/show.h"

#include <math.h>
#include <stdlib.h>

struct histogram {
    struct tri_reducer head;
    double low;
    double high;
    uint64_t under;
    uint64_t over;
    uint64_t nan;
    size_t bin_count;
    uint64_t bins[];
};

static struct histogram *histogram_at(struct tri_reducer *self)
{
    return (struct histogram *)(void *)self;
}

static const struct histogram *histogram_of(const struct tri_reducer *self)
{
    return (const struct histogram *)(const void *)self;
}

/* Multiplied before it is divided, so that whole numbers hit whole bins exactly. */
static size_t bin_of(const struct histogram *self, double number)
{
    size_t bin =
        (size_t)((number - self->low) * (double)self->bin_count / (self->high - self->low));

    return bin < self->bin_count ? bin : self->bin_count - 1;
}

static enum tri_status histogram_fold(struct tri_reducer *self,
                                      uint64_t index,
                                      const struct tri_value *value,
                                      struct tri_error *error)
{
    struct histogram *histogram = histogram_at(self);
    double number = value->type == TRI_INT ? (double)value->integer : value->number;

    (void)index;
    if (value->type != TRI_INT && value->type != TRI_FLOAT)
        return tri_reduce_wrong(error, self, "a number", value);
    if (isnan(number))
        histogram->nan++;
    else if (number < histogram->low)
        histogram->under++;
    else if (number >= histogram->high)
        histogram->over++;
    else
        histogram->bins[bin_of(histogram, number)]++;
    return TRI_OK;
}

static void histogram_reset(struct tri_reducer *self)
{
    struct histogram *histogram = histogram_at(self);

    histogram->under = histogram->over = histogram->nan = 0;
    memset(histogram->bins, 0, histogram->bin_count * sizeof(*histogram->bins));
}

static void histogram_deinit(struct tri_reducer *self)
{
    (void)self;
}

static size_t histogram_partial_bytes(const struct tri_reducer *self)
{
    return 32 + 9 * histogram_of(self)->bin_count;
}

static uint32_t histogram_encoded_values(const struct tri_reducer *self)
{
    return (uint32_t)(3 + histogram_of(self)->bin_count);
}

static enum tri_status histogram_encode(const struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error)
{
    const struct histogram *histogram = histogram_of(self);

    (void)error;
    tri_pack_uint(out, histogram->under);
    tri_pack_uint(out, histogram->over);
    tri_pack_uint(out, histogram->nan);
    for (size_t i = 0; i < histogram->bin_count; i++)
        tri_pack_uint(out, histogram->bins[i]);
    return TRI_OK;
}

/* Walk the counts of a partial: add them when `apply`, else only verify that they are as many as
 * there are bins and add up to the tasks. They cannot overflow: the head's count does not. */
static enum tri_status counts_walk(struct tri_reducer *self,
                                   struct reduce_partial partial,
                                   bool apply,
                                   struct tri_error *error)
{
    struct histogram *histogram = histogram_at(self);
    uint64_t *outside[] = { &histogram->under, &histogram->over, &histogram->nan };
    uint64_t total = 0;

    if (partial.values != 3 + histogram->bin_count)
        return tri_reduce_broken(error, self);
    for (size_t i = 0; i < 3 + histogram->bin_count; i++) {
        uint64_t *place = i < 3 ? outside[i] : &histogram->bins[i - 3];
        uint64_t count;
        enum tri_status status = tri_reduce_next_count(self, &partial, &count, error);

        if (status != TRI_OK)
            return status;
        if (__builtin_add_overflow(total, count, &total) || total > partial.count)
            return tri_reduce_broken(error, self);
        if (apply)
            *place += count;
    }
    return total == partial.count ? TRI_OK : tri_reduce_broken(error, self);
}

static enum tri_status histogram_merge(struct tri_reducer *self,
                                       struct reduce_partial *partial,
                                       struct tri_error *error)
{
    enum tri_status status = counts_walk(self, *partial, false, error);

    return status == TRI_OK ? counts_walk(self, *partial, true, error) : status;
}

static enum tri_status histogram_finish(const struct tri_reducer *self,
                                        struct tri_buffer *out,
                                        struct tri_error *error)
{
    const struct histogram *histogram = histogram_of(self);

    (void)error;
    tri_pack_map(out, 6);
    tri_pack_text(out, "low");
    tri_pack_float(out, histogram->low);
    tri_pack_text(out, "high");
    tri_pack_float(out, histogram->high);
    tri_pack_text(out, "bins");
    tri_pack_array(out, (uint32_t)histogram->bin_count);
    for (size_t i = 0; i < histogram->bin_count; i++)
        tri_pack_uint(out, histogram->bins[i]);
    tri_pack_text(out, "under");
    tri_pack_uint(out, histogram->under);
    tri_pack_text(out, "over");
    tri_pack_uint(out, histogram->over);
    tri_pack_text(out, "nan");
    tri_pack_uint(out, histogram->nan);
    return TRI_OK;
}

static enum tri_status parameters_read(const struct reduce_spec *spec,
                                       double *low,
                                       double *high,
                                       uint64_t *bins,
                                       struct tri_error *error)
{
    struct tri_error why;

    if (tri_parse_double(spec->parameters[0], low, &why) != TRI_OK
        || tri_parse_double(spec->parameters[1], high, &why) != TRI_OK
        || tri_parse_u64(spec->parameters[2], 1, TRI_REDUCE_BINS_MAX, bins, &why) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "the reducer %s: %.200s", TRI_SHOW_TEXT(spec->text),
                        why.text);
    if (*low >= *high)
        return tri_fail(error, TRI_INVALID, "the reducer %s: LO must be below HI",
                        TRI_SHOW_TEXT(spec->text));
    if (isinf((*high - *low) * (double)*bins))
        return tri_fail(error, TRI_INVALID, "the reducer %s: LO and HI are too far apart",
                        TRI_SHOW_TEXT(spec->text));
    return TRI_OK;
}

struct tri_reducer *tri_reduce_histogram_new(const struct reduce_spec *spec,
                                             struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .commutative = true,
        .bounded = true,
        .fold = histogram_fold,
        .reset = histogram_reset,
        .deinit = histogram_deinit,
        .partial_bytes = histogram_partial_bytes,
        .encode = histogram_encode,
        .encoded_values = histogram_encoded_values,
        .merge = histogram_merge,
        .finish = histogram_finish,
    };
    struct histogram *self;
    double low;
    double high;
    uint64_t bins;

    if (parameters_read(spec, &low, &high, &bins, error) != TRI_OK)
        return NULL;
    self = calloc(1, sizeof(*self) + bins * sizeof(*self->bins));
    if (self == NULL) {
        tri_reduce_memory(error);
        return NULL;
    }
    self->head.ops = &ops;
    self->low = low;
    self->high = high;
    self->bin_count = bins;
    return &self->head;
}
