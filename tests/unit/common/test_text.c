/* json.h, parse.h, show.h, log.h, clock.h: text in and out. */
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/prng.h"
#include "common/show.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct tri_bytes bytes_of(const char *text)
{
    return (struct tri_bytes){ (const uint8_t *)text, strlen(text) };
}

START_TEST(doubles_read_back_to_the_same_bits)
{
    struct tri_prng prng;
    struct tri_buffer out;

    tri_prng_init(&prng, 5);
    tri_buffer_init(&out);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = tri_prng_next(&prng);
        double number;
        double back = 0;

        memcpy(&number, &bits, sizeof(number));
        if (number != number || number - number != 0)
            continue;
        tri_buffer_clear(&out);
        tri_json_double(&out, number);
        ck_assert_int_eq(tri_parse_bytes_double(tri_buffer_bytes(&out), &back, NULL), TRI_OK);
        ck_assert(memcmp(&back, &number, sizeof(back)) == 0);
    }
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(base64_survives_and_refuses_what_it_would_not_write)
{
    static const char *const bad[] = { "A",
                                       "AB",
                                       "ABC",
                                       "A===",
                                       "====",
                                       "AB=C",
                                       "AB==AB==",
                                       "AB*=",
                                       "AC=="
                                       "x",
                                       "AB==",
                                       "ABC=",
                                       "A\nBC" };
    uint8_t data[32];
    struct tri_buffer text;
    struct tri_buffer back;
    struct tri_prng prng;

    tri_buffer_init(&text);
    tri_buffer_init(&back);
    tri_prng_init(&prng, 1);
    for (size_t size = 0; size < sizeof(data); size++) {
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)tri_prng_next(&prng);
        tri_buffer_clear(&text);
        tri_buffer_clear(&back);
        tri_base64_encode(&text, (struct tri_bytes){ data, size });
        ck_assert_uint_eq(text.size, (size + 2) / 3 * 4);
        ck_assert_int_eq(tri_base64_decode(tri_buffer_bytes(&text), &back, NULL), TRI_OK);
        ck_assert(back.size == size && (size == 0 || memcmp(back.data, data, size) == 0));
    }
    tri_buffer_clear(&back);
    for (size_t i = 0; i < TRI_COUNT_OF(bad); i++)
        ck_assert_msg(tri_base64_decode(bytes_of(bad[i]), &back, NULL) == TRI_INVALID, "%s",
                      bad[i]);
    ck_assert_uint_eq(back.size, 0);
    tri_buffer_deinit(&text);
    tri_buffer_deinit(&back);
}
END_TEST

START_TEST(utf8_is_what_the_unicode_table_says)
{
    static const char *const good[] = { "",
                                        "a",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "eight by\xc3\xa9 bytes" };
    static const char *const bad[] = { "\x80",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xe2\x82",
                                       "12345678\xff" };

    for (size_t i = 0; i < TRI_COUNT_OF(good); i++)
        ck_assert(tri_utf8_is_valid(bytes_of(good[i])));
    for (size_t i = 0; i < TRI_COUNT_OF(bad); i++)
        ck_assert(!tri_utf8_is_valid(bytes_of(bad[i])));
}
END_TEST

START_TEST(integers_of_128_bits_are_written_in_full)
{
    __int128 least = (__int128)((unsigned __int128)1 << 127);
    struct tri_buffer out;

    tri_buffer_init(&out);
    tri_json_int128(&out, least);
    tri_json_raw(&out, " ");
    tri_json_int128(&out, -(least + 1));
    tri_json_raw(&out, " ");
    tri_json_int128(&out, 0);
    tri_buffer_append(&out, "", 1);
    ck_assert_str_eq((char *)out.data, "-170141183460469231731687303715884105728 "
                                       "170141183460469231731687303715884105727 0");
    tri_buffer_deinit(&out);
}
END_TEST

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

START_TEST(shown_bytes_are_one_quoted_cut_line)
{
    char long_text[300];
    struct tri_shown shown = tri_show((struct tri_bytes){ (const uint8_t *)"a\"\n\xff\0", 5 });

    ck_assert_str_eq(shown.text, "\"a\\\"\\n\\xff\\x00\"");
    memset(long_text, 'x', sizeof(long_text));
    long_text[299] = '\0';
    shown = tri_show(bytes_of(long_text));
    ck_assert_uint_eq(strlen(shown.text), sizeof(shown.text) - 1);
    ck_assert_str_eq(shown.text + sizeof(shown.text) - 6, "x...\"");
    memset(long_text, 1, 24); /* 24 * 4 = 96: fits only just */
    long_text[24] = '\0';
    shown = tri_show(bytes_of(long_text));
    ck_assert_str_eq(shown.text + 95, "01\"");
}
END_TEST

/* What a log call writes, without its time. */
static void expect_line(int pipe_end, const char *line)
{
    char got[4096];
    ssize_t size = read(pipe_end, got, sizeof(got) - 1);

    ck_assert_int_gt(size, 25);
    got[size] = '\0';
    ck_assert_int_eq(got[23], 'Z');
    ck_assert_str_eq(got + 25, line);
}

START_TEST(a_log_line_is_one_escaped_line)
{
    char long_text[5000];
    char want[2100] = "warn a.b x=";
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    tri_log_fd_set(ends[1]);
    errno = 42;
    tri_log(TRI_LOG_INFO, "worker.joined", "name=%s oars=%d", TRI_QUOTE("w1"), 8);
    ck_assert_int_eq(errno, 42);
    expect_line(ends[0], "info worker.joined name=w1 oars=8\n");
    tri_log(TRI_LOG_ERROR, "store.failed", "%s", "");
    expect_line(ends[0], "error store.failed\n");
    tri_log(TRI_LOG_WARN, "a.b", "x=%s y=%s", TRI_QUOTE("a b=\"c\"\n"), "raw\n\x1b");
    expect_line(ends[0], "warn a.b x=\"a b=\\\"c\\\"\\n\" y=raw\\x0a\\x1b\n");
    tri_log(TRI_LOG_WARN, "a.b", "x=%s", TRI_QUOTE(""));
    expect_line(ends[0], "warn a.b x=\"\"\n");
    memset(long_text, 'z', sizeof(long_text));
    long_text[4999] = '\0';
    tri_log(TRI_LOG_WARN, "a.b", "x=%s", long_text);
    memset(want + strlen(want), 'z', 2044 - 25 - 11);
    strcat(want, "...\n");
    expect_line(ends[0], want);
    tri_log(TRI_LOG_DEBUG, "not.shown", "x=1");
    tri_log_level_set(TRI_LOG_DEBUG);
    tri_log(TRI_LOG_DEBUG, "now.shown", "x=1");
    expect_line(ends[0], "debug now.shown x=1\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(log_levels_have_words)
{
    enum tri_log_level level;

    ck_assert_int_eq(tri_log_level_parse("debug", &level), TRI_OK);
    ck_assert_int_eq(level, TRI_LOG_DEBUG);
    ck_assert_int_eq(tri_log_level_parse("loud", &level), TRI_INVALID);
}
END_TEST

START_TEST(clocks_do_not_go_back)
{
    char text[TRI_CLOCK_TEXT_SIZE];
    tri_time ms = tri_clock_now_ms();
    uint64_t ns = tri_clock_now_ns();

    ck_assert_uint_le(ms, ns / 1000000);
    ck_assert_uint_le(ns, tri_clock_now_ns());
    ck_assert_uint_gt(tri_clock_process_cpu_ns(), 0);
    ck_assert_uint_gt(tri_clock_thread_cpu_ns(), 0);
    ck_assert_uint_gt(tri_clock_wall_ms(), 0);
    ck_assert_str_eq(tri_clock_text(0, text), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(tri_clock_text(1769903999123, text), "2026-01-31T23:59:59.123Z");
    ck_assert_str_eq(tri_clock_text(UINT64_MAX, text), "@18446744073709551615ms");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, doubles_read_back_to_the_same_bits);
    tcase_add_test(tcase, base64_survives_and_refuses_what_it_would_not_write);
    tcase_add_test(tcase, utf8_is_what_the_unicode_table_says);
    tcase_add_test(tcase, integers_of_128_bits_are_written_in_full);
    tcase_add_test(tcase, whole_numbers_may_be_grouped_and_keep_their_bounds);
    tcase_add_test(tcase, decimal_numbers_do_not_depend_on_the_locale);
    tcase_add_test(tcase, durations_add_up_in_milliseconds);
    tcase_add_test(tcase, sizes_are_powers_of_1024);
    tcase_add_test(tcase, ranges_include_both_ends);
    tcase_add_test(tcase, shown_bytes_are_one_quoted_cut_line);
    tcase_add_test(tcase, a_log_line_is_one_escaped_line);
    tcase_add_test(tcase, log_levels_have_words);
    tcase_add_test(tcase, clocks_do_not_go_back);
    return unit_run("text", tcase);
}
