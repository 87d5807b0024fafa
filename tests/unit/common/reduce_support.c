#include "tests/unit/common/reduce_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

const char *const reduce_specs[REDUCE_SPECS] = { "count", "sum",   "min",
                                                 "max",   "mean",  "histogram:-10:10:7",
                                                 "tally", "top:3", "concat" };

struct tri_reducer *reducer(const char *spec)
{
    struct tri_error error;
    struct tri_reducer *self = tri_reducer_new(spec, &error);

    ck_assert_msg(self != NULL, "%s", error.text);
    return self;
}

void expect_json(struct tri_reducer *self, const char *json)
{
    struct tri_buffer out;

    tri_buffer_init(&out);
    ck_assert_int_eq(tri_reducer_finish_json(self, &out, NULL), TRI_OK);
    ck_assert_msg(out.size == strlen(json) && memcmp(out.data, json, out.size) == 0,
                  "got %.*s, wanted %s", (int)out.size, (char *)out.data, json);
    tri_buffer_deinit(&out);
}

void fold_text(struct tri_reducer *self, uint64_t index, const char *text)
{
    struct tri_value value = tri_value_string(text, strlen(text));

    ck_assert_int_eq(tri_reducer_fold(self, index, &value, NULL), TRI_OK);
}

void fold_float(struct tri_reducer *self, uint64_t index, double number)
{
    struct tri_value value = tri_value_float(number);

    ck_assert_int_eq(tri_reducer_fold(self, index, &value, NULL), TRI_OK);
}

struct tri_value random_value(const char *spec, struct tri_prng *prng, char text[8])
{
    bool strings = strcmp(spec, "concat") == 0 || spec[0] == 't' || spec[0] == 'm';
    double wide;

    if (strcmp(spec, "mean") == 0)
        strings = false;
    if (strings && tri_prng_below(prng, 2) == 0) {
        size_t size = tri_prng_below(prng, 3);

        for (size_t i = 0; i < size; i++)
            text[i] = (char)('a' + tri_prng_below(prng, 3));
        return tri_value_string(text, size);
    }
    if (tri_prng_below(prng, 2) == 0)
        return tri_value_int((int64_t)tri_prng_below(prng, 30) - 15);
    wide = ldexp(tri_prng_unit(prng) - 0.5, (int)tri_prng_below(prng, 200) - 100);
    return tri_value_float(tri_prng_below(prng, 40) == 0 ? -0.0 : wide);
}
