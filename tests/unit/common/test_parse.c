/* parse.h: numbers, durations, sizes and ranges as people write them. */
#include "common/json.h"
#include "common/parse.h"
#include "tests/unit/unit.h"

#include <locale.h>
#include <string.h>

START_TEST(whole_numbers_may_be_grouped_and_keep_their_bounds)
{
    static const char *const bad[] = { "",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "_1",
                                       "1_",
                                       "1__0",
                                       "1.0",
                                       "0x1",
                                       "1e3",
                                       "18446744073709551616",
                                       "99999999999999999999999" };
    uint64_t u = 7;
    int64_t i = 7;
    struct tri_error error;

    ck_assert_int_eq(tri_parse_u64("1_000_000", 0, UINT64_MAX, &u, NULL), TRI_OK);
    ck_assert_uint_eq(u, 1000000);
    ck_assert_int_eq(tri_parse_u64("18446744073709551615", 0, UINT64_MAX, &u, NULL), TRI_OK);
    ck_assert_uint_eq(u, UINT64_MAX);
    for (size_t at = 0; at < TRI_COUNT_OF(bad); at++)
        ck_assert_int_eq(tri_parse_u64(bad[at], 0, UINT64_MAX, &u, NULL), TRI_INVALID);
    ck_assert_uint_eq(u, UINT64_MAX);
    ck_assert_int_eq(tri_parse_u64("0.5", 1, 9, &u, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "\"0.5\" is not a whole number");
    ck_assert_int_eq(tri_parse_u64("10", 1, 9, &u, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "\"10\" is not between 1 and 9");
    ck_assert_int_eq(tri_parse_i64("-9_223_372_036_854_775_808", INT64_MIN, INT64_MAX, &i, NULL),
                     TRI_OK);
    ck_assert_int_eq(i, INT64_MIN);
    ck_assert_int_eq(tri_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i, NULL),
                     TRI_INVALID);
    ck_assert_int_eq(tri_parse_i64("--1", INT64_MIN, INT64_MAX, &i, NULL), TRI_INVALID);
}
END_TEST

START_TEST(decimal_numbers_do_not_depend_on_the_locale)
{
    double number = 0;
    struct tri_buffer out;

    /* Not every machine has it; without it this is still the test of the form. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    ck_assert_int_eq(tri_parse_double("-1_000.25e1", &number, NULL), TRI_OK);
    ck_assert(number == -10002.5);
    ck_assert_int_eq(tri_parse_double(".5", &number, NULL), TRI_OK);
    ck_assert_int_eq(tri_parse_double("5.", &number, NULL), TRI_OK);
    ck_assert_int_eq(tri_parse_double("1,5", &number, NULL), TRI_INVALID);
    ck_assert_int_eq(tri_parse_double("inf", &number, NULL), TRI_INVALID);
    tri_buffer_init(&out);
    tri_json_double(&out, 0.5);
    ck_assert(out.size == 3 && memcmp(out.data, "0.5", 3) == 0);
    tri_buffer_deinit(&out);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(durations_add_up_in_milliseconds)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        { "1h 30m", 5400000 },
        { "1h30m", 5400000 },
        { "500ms", 500 },
        { "1.5s", 1500 },
        { "2d", 172800000 },
        { "0", 0 },
        { "5", 5000 },
        { "0.25", 250 },
        { "250us", 1 },
        { "1us", 1 },
        { "0s", 0 },
        { "1_000ms", 1000 },
        { "1.000000001s", 1001 },
        { "1m 0.5s", 60500 },
        { "100d 1ms", 8640000001 },
    };
    static const char *const bad[] = { "",
                                       " ",
                                       "s",
                                       "1x",
                                       "1 s",
                                       "1h 2h",
                                       "30m 1h",
                                       "1h 5",
                                       "-1s",
                                       " 1s",
                                       "1.s",
                                       "1.5.5s",
                                       "1S",
                                       "1e3s",
                                       "99999999999999999999d",
                                       "5000000000000000s",
                                       "18446744073709551615d 1h",
                                       "0.0000000000001s" };
    uint64_t ms = 7;

    for (size_t i = 0; i < TRI_COUNT_OF(good); i++) {
        ck_assert_int_eq(tri_parse_duration_ms(good[i].text, &ms, NULL), TRI_OK);
        ck_assert_uint_eq(ms, good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < TRI_COUNT_OF(bad); i++)
        ck_assert_msg(tri_parse_duration_ms(bad[i], &ms, NULL) == TRI_INVALID, "%s", bad[i]);
    ck_assert_uint_eq(ms, 7);
}
END_TEST

START_TEST(sizes_are_powers_of_1024)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "512", 512 },     { "0", 0 },          { "8M", 8 << 20 },
                 { "64KiB", 65536 }, { "64kB", 65536 },   { "1.5G", 3 << 29 },
                 { "10B", 10 },      { "1T", 1LL << 40 }, { "1_0K", 10240 } };
    static const char *const bad[] = { "", "M", "8 M", "8MM", "8iB", "-1", "8P", "9000000000T" };
    uint64_t bytes = 7;

    for (size_t i = 0; i < TRI_COUNT_OF(good); i++) {
        ck_assert_int_eq(tri_parse_size(good[i].text, &bytes, NULL), TRI_OK);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < TRI_COUNT_OF(bad); i++)
        ck_assert_msg(tri_parse_size(bad[i], &bytes, NULL) == TRI_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(ranges_include_both_ends)
{
    static const struct {
        const char *text;
        struct tri_span span;
    } good[] = {
        { "1-64", { 1, 1, 64 } },
        { "0-29", { 0, 1, 30 } },
        { "1-1_000_000_000", { 1, 1, 1000000000 } },
        { "7", { 7, 1, 1 } },
        { "-5", { -5, 1, 1 } },
        { "-5--1", { -5, 1, 5 } },
        { "-5-5", { -5, 1, 11 } },
        { "0-100:10", { 0, 10, 11 } },
        { "0-99:10", { 0, 10, 10 } },
        { "10-1:-3", { 10, -3, 4 } },
        { "5-5:-1", { 5, -1, 1 } },
        { "-9223372036854775808-9223372036854775807:3", { INT64_MIN, 3, 6148914691236517206 } },
        { "9223372036854775807--9223372036854775808:-9223372036854775808",
          { INT64_MAX, INT64_MIN, 2 } },
    };
    static const struct {
        const char *text;
        const char *reason;
    } bad[] = {
        { "", "\"\" is not a range, write it as 1-64 or 0-100:10" },
        { "1-", "\"1-\" is not a range, write it as 1-64 or 0-100:10" },
        { "a-b", "\"a-b\" is not a range, write it as 1-64 or 0-100:10" },
        { "1-2:", "\"1-2:\" is not a range, write it as 1-64 or 0-100:10" },
        { "1-2-3", "\"1-2-3\" is not a range, write it as 1-64 or 0-100:10" },
        { "1..2", "\"1..2\" is not a range, write it as 1-64 or 0-100:10" },
        { "10-1", "the range \"10-1\" runs downwards, give it a step as in 10-1:-1" },
        { "1-10:-1", "the step of the range \"1-10:-1\" leads away from its end" },
        { "1-10:0", "the range \"1-10:0\" has step 0" },
        { "1-9223372036854775808",
          "a number of the range \"1-9223372036854775808\" does not fit 64 bits" },
        { "-1-9223372036854775807", "the range \"-1-9223372036854775807\" is too long" },
        { "0-9223372036854775807", "the range \"0-9223372036854775807\" is too long" },
    };
    struct tri_span span;
    struct tri_error error;

    for (size_t i = 0; i < TRI_COUNT_OF(good); i++) {
        ck_assert_int_eq(tri_parse_range(good[i].text, &span, &error), TRI_OK);
        ck_assert_int_eq(span.first, good[i].span.first);
        ck_assert_int_eq(span.step, good[i].span.step);
        ck_assert_uint_eq(span.count, good[i].span.count);
    }
    for (size_t i = 0; i < TRI_COUNT_OF(bad); i++) {
        ck_assert_int_eq(tri_parse_range(bad[i].text, &span, &error), TRI_INVALID);
        ck_assert_str_eq(error.text, bad[i].reason);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("parse");

    tcase_add_test(tcase, whole_numbers_may_be_grouped_and_keep_their_bounds);
    tcase_add_test(tcase, decimal_numbers_do_not_depend_on_the_locale);
    tcase_add_test(tcase, durations_add_up_in_milliseconds);
    tcase_add_test(tcase, sizes_are_powers_of_1024);
    tcase_add_test(tcase, ranges_include_both_ends);
    return unit_run("parse", tcase);
}
