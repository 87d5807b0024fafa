/* reduce_ops.h - what each family of reducers implements. Private to reduce*.c.
 *
 * A partial is a msgpack array [kind, count, ...]; encode and merge of a family see only the rest.
 */
#ifndef TRI_REDUCE_OPS_H
#define TRI_REDUCE_OPS_H

#include "common/reduce.h"

/* A partial that is being merged: its values after the first two, not yet looked at. */
struct reduce_partial {
    struct tri_value_walk rest;
    uint32_t values; /* how many are left in it */
    uint64_t count;  /* tasks that it claims */
    const struct tri_range *ranges;
    size_t range_count;
};

struct tri_reduce_ops {
    bool commutative;
    bool bounded;
    enum tri_status (*fold)(struct tri_reducer *self,
                            uint64_t index,
                            const struct tri_value *value,
                            struct tri_error *error);
    void (*reset)(struct tri_reducer *self);
    void (*deinit)(struct tri_reducer *self);
    size_t (*partial_bytes)(const struct tri_reducer *self);

    /* How many values follow, and append them. */
    enum tri_status (*encode)(const struct tri_reducer *self,
                              struct tri_buffer *out,
                              struct tri_error *error);
    uint32_t (*encoded_values)(const struct tri_reducer *self);

    /* All of it or nothing. The head of the reducer (count) is the caller's. */
    enum tri_status (*merge)(struct tri_reducer *self,
                             struct reduce_partial *partial,
                             struct tri_error *error);

    /* Append the msgpack of the result. */
    enum tri_status (*finish)(const struct tri_reducer *self,
                              struct tri_buffer *out,
                              struct tri_error *error);

    /* Append JSON; NULL where the msgpack of `finish` says it all. */
    enum tri_status (*finish_json)(const struct tri_reducer *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error);
};

/* The parameters of a spec, as text. */
#define REDUCE_PARAMETERS_MAX 3
struct reduce_spec {
    const char *text; /* all of it, for error texts */
    char parameters[REDUCE_PARAMETERS_MAX][64];
    size_t count;
};

/* Constructors: zeroed but for ops, kind is the caller's. NULL with `*error`. */
struct tri_reducer *tri_reduce_count_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_sum_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_mean_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_min_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_max_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_histogram_new(const struct reduce_spec *spec,
                                             struct tri_error *error);
struct tri_reducer *tri_reduce_tally_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_top_new(const struct reduce_spec *spec, struct tri_error *error);
struct tri_reducer *tri_reduce_concat_new(const struct reduce_spec *spec, struct tri_error *error);

/* TRI_INVALID: `sum: wanted a number, got a string "abc"`. */
enum tri_status tri_reduce_wrong(struct tri_error *error,
                                 const struct tri_reducer *self,
                                 const char *wanted,
                                 const struct tri_value *value);

/* TRI_INVALID: a partial that is not one of this reducer. */
enum tri_status tri_reduce_broken(struct tri_error *error, const struct tri_reducer *self);

/* The next value of a partial, or tri_reduce_broken when there is none or it is of another type. */
enum tri_status tri_reduce_next(const struct tri_reducer *self,
                                struct reduce_partial *partial,
                                enum tri_type type,
                                struct tri_value *value,
                                struct tri_error *error);

/* The same for a count: an integer that is not negative. */
enum tri_status tri_reduce_next_count(const struct tri_reducer *self,
                                      struct reduce_partial *partial,
                                      uint64_t *count,
                                      struct tri_error *error);

static inline enum tri_status tri_reduce_memory(struct tri_error *error)
{
    return tri_fail(error, TRI_MEMORY, "out of memory");
}

#endif
