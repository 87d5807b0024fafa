/* json.h, show.h, log.h, clock.h: text in and out. */
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/prng.h"
#include "common/show.h"
#include "tests/unit/unit.h"

#include <errno.h>
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
        uint64_t again;

        memcpy(&number, &bits, sizeof(number));
        if (number != number || number - number != 0)
            continue;
        tri_buffer_clear(&out);
        tri_json_double(&out, number);
        ck_assert_int_eq(tri_parse_bytes_double(tri_buffer_bytes(&out), &back, NULL), TRI_OK);
        memcpy(&again, &back, sizeof(again));
        ck_assert_uint_eq(again, bits);
    }
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(base64_survives_and_refuses_what_it_would_not_write)
{
    static const char *const bad[] = { "A",        "AB",   "ABC",   "A===", "====", "AB=C",
                                       "AB==AB==", "AB*=", "AC==x", "AB==", "ABC=", "A\nBC" };
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
    tcase_add_test(tcase, shown_bytes_are_one_quoted_cut_line);
    tcase_add_test(tcase, a_log_line_is_one_escaped_line);
    tcase_add_test(tcase, log_levels_have_words);
    tcase_add_test(tcase, clocks_do_not_go_back);
    return unit_run("text", tcase);
}
