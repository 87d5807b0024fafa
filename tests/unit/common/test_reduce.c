/* Reducers: whatever the slicing and the order of merging, the same bits; partials are not trusted.
 */
#include "tests/unit/common/reduce_support.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

START_TEST(nothing_folded_has_a_result_too)
{
    static const char *const results[] = {
        "0",
        "0",
        "null",
        "null",
        "null",
        "{\"low\":-10.0,\"high\":10.0,\"bins\":[0,0,0,0,0,0,0],\"under\":0,\"over\":0,\"nan\":0}",
        "{}",
        "[]",
        "\"\"",
    };

    for (size_t i = 0; i < REDUCE_SPECS; i++) {
        struct tri_reducer *self = reducer(reduce_specs[i]);
        struct tri_reducer *other = reducer(reduce_specs[i]);
        struct tri_buffer partial;

        expect_json(self, results[i]);
        tri_buffer_init(&partial);
        ck_assert_int_eq(tri_reducer_encode(self, &partial, NULL), TRI_OK);
        ck_assert_int_eq(tri_reducer_merge(other, tri_buffer_bytes(&partial), NULL, 0, NULL),
                         TRI_OK);
        expect_json(other, results[i]);
        tri_buffer_deinit(&partial);
        tri_reducer_destroy(&self);
        tri_reducer_destroy(&other);
    }
}
END_TEST

START_TEST(a_sum_of_integers_is_exact_beyond_64_bits)
{
    struct tri_reducer *self = reducer("sum");
    struct tri_buffer storage;
    struct tri_value value;
    struct tri_error error;

    tri_buffer_init(&storage);
    for (uint64_t i = 0; i < 3; i++)
        tri_reducer_fold_int(self, i, INT64_MAX);
    expect_json(self, "27670116110564327421");
    ck_assert_int_eq(tri_reducer_finish(self, &storage, &value, &error), TRI_OVERFLOW);
    ck_assert_str_eq(error.text, "the sum does not fit 64 bits");
    for (uint64_t i = 3; i < 5; i++)
        tri_reducer_fold_int(self, i, -INT64_MAX);
    ck_assert_int_eq(tri_reducer_finish(self, &storage, &value, &error), TRI_OK);
    ck_assert(value.type == TRI_INT && value.integer == INT64_MAX);
    tri_buffer_deinit(&storage);
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(a_sum_with_a_float_is_rounded_once_over_everything)
{
    struct tri_reducer *self = reducer("sum");

    tri_reducer_fold_int(self, 0, (INT64_C(1) << 53) + 1);
    fold_float(self, 1, 1e300);
    fold_float(self, 2, -1e300);
    fold_float(self, 3, 0.5);
    expect_json(self, "9007199254740994.0");
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(a_sum_beyond_the_largest_number_is_an_overflow)
{
    struct tri_reducer *self = reducer("sum");
    struct tri_buffer out;

    fold_float(self, 0, 1.7e308);
    fold_float(self, 1, 1.7e308);
    tri_buffer_init(&out);
    ck_assert_int_eq(tri_reducer_finish_json(self, &out, NULL), TRI_OVERFLOW);
    ck_assert_uint_eq(out.size, 0);
    fold_float(self, 2, INFINITY);
    expect_json(self, "\"Infinity\"");
    fold_float(self, 3, NAN);
    expect_json(self, "\"NaN\"");
    tri_buffer_deinit(&out);
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(a_mean_is_the_exact_sum_divided_once)
{
    struct tri_reducer *self = reducer("mean");

    tri_reducer_fold_int(self, 0, 1);
    tri_reducer_fold_int(self, 1, 2);
    expect_json(self, "1.5");
    fold_float(self, 2, 0.1);
    expect_json(self, "1.0333333333333334");
    tri_reducer_reset(self);
    expect_json(self, "null");
    tri_reducer_fold_int(self, 0, INT64_MAX);
    tri_reducer_fold_int(self, 1, INT64_MAX);
    expect_json(self, "9.223372036854776e+18");
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(extremes_compare_numbers_exactly_and_put_strings_last)
{
    struct tri_reducer *min = reducer("min");
    struct tri_reducer *max = reducer("max");

    tri_reducer_fold_int(min, 0, (INT64_C(1) << 53) + 1);
    fold_float(min, 1, 0x1p53);
    expect_json(min, "9007199254740992.0");
    tri_reducer_fold_int(max, 0, (INT64_C(1) << 53) + 1);
    fold_float(max, 1, 0x1p53);
    expect_json(max, "9007199254740993");
    tri_reducer_fold_int(max, 2, INT64_MAX);
    fold_float(max, 3, 0x1p63);
    expect_json(max, "9.223372036854776e+18");
    fold_float(min, 2, -0.0);
    tri_reducer_fold_int(min, 3, 0);
    fold_float(min, 4, 0.0);
    expect_json(min, "-0.0");
    fold_float(min, 5, -INFINITY);
    expect_json(min, "\"-Infinity\"");
    fold_text(max, 4, "zebra");
    fold_text(max, 5, "zeb");
    expect_json(max, "\"zebra\"");
    fold_text(min, 6, "");
    expect_json(min, "\"-Infinity\"");
    fold_float(max, 6, NAN);
    expect_json(max, "\"NaN\"");
    tri_reducer_destroy(&min);
    tri_reducer_destroy(&max);
}
END_TEST

START_TEST(a_histogram_counts_what_is_inside_and_outside)
{
    struct tri_reducer *self = reducer("histogram:0:49:49");
    struct tri_buffer out;

    for (int64_t i = -2; i < 52; i++)
        tri_reducer_fold_int(self, (uint64_t)(i + 2), i);
    fold_float(self, 54, NAN);
    fold_float(self, 55, 48.999999999999993);
    tri_buffer_init(&out);
    ck_assert_int_eq(tri_reducer_finish_json(self, &out, NULL), TRI_OK);
    tri_buffer_append(&out, "", 1);
    ck_assert_str_eq(
        (char *)out.data,
        "{\"low\":0.0,\"high\":49.0,\"bins\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],\"under\":2,\"over\":3,"
        "\"nan\":1}");
    tri_buffer_deinit(&out);
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(a_tally_counts_texts_and_merges_maps_of_counts)
{
    struct tri_reducer *self = reducer("tally");
    struct tri_value map = { .type = TRI_COMPOUND,
                             .bytes = { (const uint8_t *)"\x82\xa1"
                                                         "b\x05\xa1z\x02",
                                        7 } };
    struct tri_value bad = { .type = TRI_COMPOUND,
                             .bytes = { (const uint8_t *)"\x82\xa1"
                                                         "b\x05\xa1z\xff",
                                        7 } };
    struct tri_error error;

    fold_text(self, 0, "b");
    fold_text(self, 1, "a");
    fold_text(self, 2, "b");
    tri_reducer_fold_int(self, 3, 7);
    ck_assert_int_eq(tri_reducer_fold(self, 4, &map, NULL), TRI_OK);
    expect_json(self, "{\"7\":1,\"a\":1,\"b\":7,\"z\":2}");
    ck_assert_int_eq(tri_reducer_fold(self, 5, &bad, &error), TRI_INVALID);
    ck_assert_str_eq(error.text,
                     "tally: wanted a scalar or a map of words and counts, got an array or map");
    expect_json(self, "{\"7\":1,\"a\":1,\"b\":7,\"z\":2}");
    fold_text(self, 5, "\xff");
    expect_json(self, "{\"map\":[[\"7\",1],[\"a\",1],[\"b\",7],[\"z\",2],"
                      "[{\"base64\":\"/w==\"},1]]}");
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(top_shows_the_largest_counts_and_breaks_ties_by_key)
{
    struct tri_reducer *self = reducer("top:2");

    for (uint64_t i = 0; i < 9; i++)
        fold_text(self, i, i % 3 == 0 ? "b" : i % 3 == 1 ? "a" : "c");
    expect_json(self, "[[\"a\",3],[\"b\",3]]");
    fold_text(self, 9, "c");
    expect_json(self, "[[\"c\",4],[\"a\",3]]");
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(concat_joins_in_index_order_whatever_came_first)
{
    struct tri_reducer *self = reducer("concat");
    struct tri_value again = tri_value_int(1);
    struct tri_buffer out;
    struct tri_error error;

    ck_assert(!tri_reducer_is_commutative(self) && !tri_reducer_is_bounded(self));
    fold_text(self, 7, "d\n");
    fold_text(self, 3, "a\n");
    fold_text(self, 5, "c\n");
    tri_reducer_fold_int(self, 4, 8);
    expect_json(self, "\"a\\n8c\\nd\\n\"");
    ck_assert_int_eq(tri_reducer_fold(self, 4, &again, &error), TRI_CONFLICT);
    ck_assert_str_eq(error.text, "concat: task 4 is folded already");
    tri_buffer_init(&out);
    ck_assert_int_eq(tri_reducer_finish_text(self, &out, NULL), TRI_OK);
    ck_assert(out.size == 7 && memcmp(out.data, "a\n8c\nd\n", 7) == 0);
    tri_buffer_deinit(&out);
    tri_reducer_destroy(&self);
}
END_TEST

START_TEST(values_of_the_wrong_type_are_named)
{
    static const struct {
        const char *spec;
        const char *reason;
    } cases[] = {
        { "sum", "sum: wanted a number, got the string \"abc\"" },
        { "mean", "mean: wanted a number, got the string \"abc\"" },
        { "histogram:0:1:2", "histogram: wanted a number, got the string \"abc\"" },
    };
    struct tri_value text = tri_value_string("abc", 3);
    struct tri_value nil = tri_value_nil();
    struct tri_error error;

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_reducer *self = reducer(cases[i].spec);

        ck_assert_int_eq(tri_reducer_fold(self, 0, &text, &error), TRI_INVALID);
        ck_assert_str_eq(error.text, cases[i].reason);
        ck_assert_uint_eq(tri_reducer_count(self), 0);
        tri_reducer_destroy(&self);
    }
    {
        struct tri_reducer *self = reducer("min");

        ck_assert_int_eq(tri_reducer_fold(self, 0, &nil, &error), TRI_INVALID);
        ck_assert_str_eq(error.text, "min: wanted a number or a string, got nil");
        tri_reducer_destroy(&self);
    }
}
END_TEST

START_TEST(bad_specs_are_refused_with_what_is_wanted)
{
    static const struct {
        const char *spec;
        const char *reason;
    } cases[] = {
        { "total", "there is no reducer \"total\"; there are count, sum, min, max, mean, "
                   "histogram:LO:HI:BINS, tally, top:K and concat" },
        { "", "there is no reducer \"\"; there are" },
        { "sum:3", "the reducer \"sum:3\" is not of the form sum" },
        { "top", "the reducer \"top\" is not of the form top:K" },
        { "top:0", "the reducer \"top:0\": K \"0\" is not between 1 and 1000000" },
        { "top:x", "the reducer \"top:x\": K \"x\" is not a whole number" },
        { "top:1:2", "the reducer \"top:1:2\" is not of the form top:K" },
        { "histogram:5:1:10", "the reducer \"histogram:5:1:10\": LO must be below HI" },
        { "histogram:0:1", "the reducer \"histogram:0:1\" is not of the form "
                           "histogram:LO:HI:BINS" },
        { "histogram:0:1:0", "the reducer \"histogram:0:1:0\": \"0\" is not between 1 and 65536" },
        { "histogram:a:1:2", "the reducer \"histogram:a:1:2\": \"a\" is not a number" },
        { "histogram:-1e308:1e308:2",
          "the reducer \"histogram:-1e308:1e308:2\": LO and HI are too far apart" },
        { "histogram:0:1:2:3", "the reducer \"histogram:0:1:2:3\" is not of the form" },
    };
    struct tri_error error;

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        ck_assert_int_eq(tri_reducer_check(cases[i].spec, &error), TRI_INVALID);
        ck_assert_msg(strncmp(error.text, cases[i].reason, strlen(cases[i].reason)) == 0, "%s",
                      error.text);
    }
    for (size_t i = 0; i < REDUCE_SPECS; i++)
        ck_assert_int_eq(tri_reducer_check(reduce_specs[i], NULL), TRI_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reduce");

    tcase_add_test(tcase, nothing_folded_has_a_result_too);
    tcase_add_test(tcase, a_sum_of_integers_is_exact_beyond_64_bits);
    tcase_add_test(tcase, a_sum_with_a_float_is_rounded_once_over_everything);
    tcase_add_test(tcase, a_sum_beyond_the_largest_number_is_an_overflow);
    tcase_add_test(tcase, a_mean_is_the_exact_sum_divided_once);
    tcase_add_test(tcase, extremes_compare_numbers_exactly_and_put_strings_last);
    tcase_add_test(tcase, a_histogram_counts_what_is_inside_and_outside);
    tcase_add_test(tcase, a_tally_counts_texts_and_merges_maps_of_counts);
    tcase_add_test(tcase, top_shows_the_largest_counts_and_breaks_ties_by_key);
    tcase_add_test(tcase, concat_joins_in_index_order_whatever_came_first);
    tcase_add_test(tcase, values_of_the_wrong_type_are_named);
    tcase_add_test(tcase, bad_specs_are_refused_with_what_is_wanted);
    return unit_run("reduce", tcase);
}
