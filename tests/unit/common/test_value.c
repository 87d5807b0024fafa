/* Values: msgpack both ways, text, JSON both ways. */
#include "common/prng.h"
#include "common/value.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tri_bytes bytes_of(const char *text)
{
    return (struct tri_bytes){ (const uint8_t *)text, strlen(text) };
}

static void expect_round_trip(const struct tri_value *value)
{
    struct tri_buffer out;
    struct tri_value got;
    size_t size;

    tri_buffer_init(&out);
    tri_value_pack(&out, value);
    ck_assert(!out.failed);
    ck_assert_int_eq(tri_value_unpack(tri_buffer_bytes(&out), &got, &size, NULL), TRI_OK);
    ck_assert_uint_eq(size, out.size);
    ck_assert(tri_value_equals(value, &got));
    for (size_t cut = 0; cut < out.size && cut < 70; cut++) {
        /* An exact allocation, so that a read past the end is seen. */
        uint8_t *part = malloc(cut != 0 ? cut : 1);

        memcpy(part, out.data, cut);
        ck_assert_int_eq(tri_value_unpack((struct tri_bytes){ part, cut }, &got, &size, NULL),
                         TRI_INVALID);
        free(part);
    }
    tri_buffer_deinit(&out);
}

START_TEST(integers_of_every_width_survive_msgpack)
{
    for (int bit = 0; bit < 64; bit++) {
        for (int64_t near = -2; near <= 2; near++) {
            struct tri_value value =
                tri_value_int((int64_t)((UINT64_C(1) << bit) + (uint64_t)near));

            expect_round_trip(&value);
            value = tri_value_int((int64_t) - ((UINT64_C(1) << bit) + (uint64_t)near));
            expect_round_trip(&value);
        }
    }
}
END_TEST

START_TEST(integers_take_the_shortest_form)
{
    static const struct {
        int64_t integer;
        size_t size;
    } cases[] = {
        { 0, 1 },
        { 127, 1 },
        { 128, 2 },
        { 255, 2 },
        { 256, 3 },
        { 65535, 3 },
        { 65536, 5 },
        { UINT32_MAX, 5 },
        { 1LL << 32, 9 },
        { INT64_MAX, 9 },
        { -1, 1 },
        { -32, 1 },
        { -33, 2 },
        { -128, 2 },
        { -129, 3 },
        { -32768, 3 },
        { -32769, 5 },
        { INT32_MIN, 5 },
        { INT32_MIN - 1LL, 9 },
        { INT64_MIN, 9 },
    };
    struct tri_buffer out;

    tri_buffer_init(&out);
    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        tri_buffer_clear(&out);
        tri_pack_int(&out, cases[i].integer);
        ck_assert_uint_eq(out.size, cases[i].size);
    }
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(scalars_and_bytes_of_every_length_survive_msgpack)
{
    static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536, 100000 };
    static uint8_t data[100000];
    struct tri_value scalars[] = {
        tri_value_nil(),      tri_value_bool(true),    tri_value_bool(false),
        tri_value_float(0.5), tri_value_float(-0.0),   tri_value_float(INFINITY),
        tri_value_float(NAN), tri_value_float(5e-324),
    };

    memset(data, 0xfe, sizeof(data));
    for (size_t i = 0; i < TRI_COUNT_OF(scalars); i++)
        expect_round_trip(&scalars[i]);
    for (size_t i = 0; i < TRI_COUNT_OF(sizes); i++) {
        struct tri_value text = tri_value_string(data, sizes[i]);
        struct tri_value binary = tri_value_binary(data, sizes[i]);

        expect_round_trip(&text);
        expect_round_trip(&binary);
    }
}
END_TEST

/* Arrays inside each other, `depth` deep. */
static void nest(struct tri_buffer *out, int depth)
{
    for (int i = 1; i < depth; i++)
        tri_pack_array(out, 1);
    tri_pack_array(out, 0);
}

START_TEST(compounds_nest_sixteen_deep_and_no_deeper)
{
    struct tri_buffer out;
    struct tri_value value;
    struct tri_error error;

    tri_buffer_init(&out);
    nest(&out, 16);
    ck_assert_int_eq(tri_value_unpack_whole(tri_buffer_bytes(&out), &value, &error), TRI_OK);
    ck_assert_int_eq(value.type, TRI_COMPOUND);
    expect_round_trip(&value);
    tri_buffer_clear(&out);
    nest(&out, 17);
    ck_assert_int_eq(tri_value_unpack_whole(tri_buffer_bytes(&out), &value, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "msgpack: nested deeper than 16");
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(hostile_msgpack_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        { "", 0 },
        { "\xc1", 1 },                                 /* never used */
        { "\xd4\x01\x00", 3 },                         /* extension */
        { "\xc7\x00\x01", 3 },                         /* extension */
        { "\xdd\x10\x00\x00\x00", 5 },                 /* an array of 2^28 */
        { "\xdf\xff\xff\xff\xff", 5 },                 /* a map of 2^32 - 1 */
        { "\xdb\xff\xff\xff\xff", 5 },                 /* a string of 4 GiB */
        { "\xc6\xff\xff\xff\xff", 5 },                 /* binary of 4 GiB */
        { "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9 }, /* 2^63 */
        { "\x92\x01", 2 },
        { "\x81\x01", 2 },
        { "\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 10 },
    };
    struct tri_value value = { .type = TRI_NIL };

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_bytes bytes = { (const uint8_t *)cases[i].bytes, cases[i].size };
        size_t size = 77;
        struct tri_error error = { .text = "" };

        ck_assert_int_eq(tri_value_unpack(bytes, &value, &size, &error), TRI_INVALID);
        ck_assert(error.text[0] != '\0' && size == 77 && value.type == TRI_NIL);
    }
    ck_assert_int_eq(tri_value_unpack_whole(bytes_of("\x01\x02"), &value, NULL), TRI_INVALID);
}
END_TEST

START_TEST(random_bytes_never_read_past_their_end)
{
    struct tri_prng prng;

    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 20000; i++) {
        size_t size = tri_prng_below(&prng, 24);
        uint8_t *data = malloc(size != 0 ? size : 1);
        struct tri_value value;
        struct tri_buffer out;
        size_t used;

        for (size_t at = 0; at < size; at++)
            data[at] = (uint8_t)(tri_prng_below(&prng, 3) == 0 ? 0x80 + tri_prng_below(&prng, 96)
                                                               : tri_prng_below(&prng, 256));
        if (tri_value_unpack((struct tri_bytes){ data, size }, &value, &used, NULL) == TRI_OK) {
            ck_assert_uint_le(used, size);
            tri_buffer_init(&out);
            ck_assert_int_eq(tri_value_to_json(&value, &out, NULL), TRI_OK);
            tri_buffer_deinit(&out);
        }
        value = (struct tri_value){ .type = TRI_COMPOUND, .bytes = { data, size } };
        tri_buffer_init(&out);
        tri_value_to_json(&value, &out, NULL);
        tri_buffer_deinit(&out);
        free(data);
    }
}
END_TEST

static void expect_json(const struct tri_value *value, const char *json)
{
    struct tri_buffer out;

    tri_buffer_init(&out);
    ck_assert_int_eq(tri_value_to_json(value, &out, NULL), TRI_OK);
    ck_assert_msg(out.size == strlen(json) && memcmp(out.data, json, out.size) == 0,
                  "got %.*s, wanted %s", (int)out.size, (char *)out.data, json);
    tri_buffer_deinit(&out);
}

START_TEST(values_show_as_json)
{
    static const struct {
        struct tri_value value;
        const char *json;
    } cases[] = {
        { { .type = TRI_NIL }, "null" },
        { { .type = TRI_BOOL, .boolean = true }, "true" },
        { { .type = TRI_INT, .integer = INT64_MIN }, "-9223372036854775808" },
        { { .type = TRI_FLOAT, .number = 3 }, "3.0" },
        { { .type = TRI_FLOAT, .number = 0.1 }, "0.1" },
        { { .type = TRI_FLOAT, .number = 0.1 + 0.2 }, "0.30000000000000004" },
        { { .type = TRI_FLOAT, .number = -1e300 }, "-1e+300" },
        { { .type = TRI_FLOAT, .number = -0.0 }, "-0.0" },
        { { .type = TRI_FLOAT, .number = NAN }, "\"NaN\"" },
        { { .type = TRI_FLOAT, .number = -INFINITY }, "\"-Infinity\"" },
        { { .type = TRI_STRING, .bytes = { (const uint8_t *)"a\"b\\c\n\x01", 7 } },
          "\"a\\\"b\\\\c\\n\\u0001\"" },
        { { .type = TRI_STRING, .bytes = { (const uint8_t *)"\0", 1 } }, "\"\\u0000\"" },
        { { .type = TRI_STRING, .bytes = { (const uint8_t *)"\xc3\xa9t\xc3\xa9 long enough", 17 } },
          "\"\xc3\xa9t\xc3\xa9 long enough\"" },
        { { .type = TRI_STRING, .bytes = { (const uint8_t *)"\xff\xfe", 2 } },
          "{\"base64\":\"//4=\"}" },
        { { .type = TRI_BINARY, .bytes = { (const uint8_t *)"abc", 3 } }, "\"abc\"" },
        { { .type = TRI_BINARY, .bytes = { (const uint8_t *)"a\xff", 2 } },
          "{\"base64\":\"Yf8=\"}" },
        { { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x93\x01\xa1x\x90", 5 } },
          "[1,\"x\",[]]" },
        { { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x82\xa1k\x01\xa1l\x80", 7 } },
          "{\"k\":1,\"l\":{}}" },
        { { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x82\xa1k\x01\x05\xc0", 6 } },
          "{\"map\":[[\"k\",1],[5,null]]}" },
        { { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x81\xa1\xff\x01", 4 } },
          "{\"map\":[[{\"base64\":\"/w==\"},1]]}" },
        { { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x81\xa3k\0b\x01", 6 } },
          "{\"map\":[[\"k\\u0000b\",1]]}" },
    };

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++)
        expect_json(&cases[i].value, cases[i].json);
}
END_TEST

START_TEST(text_is_raw_for_strings_and_json_for_the_rest)
{
    struct tri_value text = tri_value_string("a\xff\n", 3);
    struct tri_value number = tri_value_int(-7);
    struct tri_buffer out;

    tri_buffer_init(&out);
    ck_assert_int_eq(tri_value_to_text(&text, &out, NULL), TRI_OK);
    ck_assert_int_eq(tri_value_to_text(&number, &out, NULL), TRI_OK);
    ck_assert(out.size == 5 && memcmp(out.data, "a\xff\n-7", 5) == 0);
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(a_broken_compound_leaves_the_output_as_it_was)
{
    struct tri_value broken = { .type = TRI_COMPOUND,
                                .bytes = { (const uint8_t *)"\x92\x01\xc1", 3 } };
    struct tri_buffer out;

    tri_buffer_init(&out);
    tri_buffer_append(&out, "x", 1);
    ck_assert_int_eq(tri_value_to_json(&broken, &out, NULL), TRI_INVALID);
    broken.bytes = (struct tri_bytes){ (const uint8_t *)"\x91\x01\x02", 3 };
    ck_assert_int_eq(tri_value_to_json(&broken, &out, NULL), TRI_INVALID);
    ck_assert_uint_eq(out.size, 1);
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(json_survives_msgpack)
{
    static const char *const cases[] = {
        "null",
        "true",
        "-9223372036854775808",
        "9223372036854775807",
        "0.1",
        "1e+300",
        "\"\"",
        "\"a\\u0000b\"",
        "\"\xc3\xa9\"",
        "{\"base64\":\"//4=\"}",
        "[]",
        "{}",
        "[1,[2,{\"z\":[true,null],\"a\":\"x\"}],-0.5]",
        "{\"base64\":\"//4=\",\"more\":1}",
    };
    struct tri_buffer out;
    struct tri_value value;
    struct tri_error error;

    tri_buffer_init(&out);
    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        tri_buffer_clear(&out);
        ck_assert_int_eq(tri_value_pack_json(bytes_of(cases[i]), &out, &error), TRI_OK);
        ck_assert_int_eq(tri_value_unpack_whole(tri_buffer_bytes(&out), &value, &error), TRI_OK);
        expect_json(&value, cases[i]);
    }
    tri_buffer_deinit(&out);
}
END_TEST

START_TEST(bad_json_is_refused_with_a_reason)
{
    static const struct {
        const char *json;
        const char *reason;
    } cases[] = {
        { "", "JSON: an empty line is no value" },
        { "{", "JSON: string or '}' expected near end of file at column 1" },
        { "1 2", "JSON: end of file expected near '2' at column 3" },
        { "9223372036854775808", "JSON: too big integer" },
        { "1e999", "JSON: real number overflow" },
        { "\"\xff\"", "JSON: unable to decode byte 0xff" },
        { "{\"a\":1,\"a\":2}", "JSON: duplicate object key" },
        { "NaN", "JSON: invalid token near 'NaN'" },
        { "{\"base64\":\"?\"}", "\"?\" is not base64" },
        { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "JSON: nested deeper than 16" },
    };
    struct tri_buffer out;
    struct tri_error error;

    tri_buffer_init(&out);
    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        ck_assert_int_eq(tri_value_pack_json(bytes_of(cases[i].json), &out, &error), TRI_INVALID);
        ck_assert_msg(strncmp(error.text, cases[i].reason, strlen(cases[i].reason)) == 0, "%s",
                      error.text);
        ck_assert_uint_eq(out.size, 0);
    }
    tri_buffer_deinit(&out);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("value");

    tcase_add_test(tcase, integers_of_every_width_survive_msgpack);
    tcase_add_test(tcase, integers_take_the_shortest_form);
    tcase_add_test(tcase, scalars_and_bytes_of_every_length_survive_msgpack);
    tcase_add_test(tcase, compounds_nest_sixteen_deep_and_no_deeper);
    tcase_add_test(tcase, hostile_msgpack_is_refused);
    tcase_add_loop_test(tcase, random_bytes_never_read_past_their_end, 0, 4);
    tcase_add_test(tcase, values_show_as_json);
    tcase_add_test(tcase, text_is_raw_for_strings_and_json_for_the_rest);
    tcase_add_test(tcase, a_broken_compound_leaves_the_output_as_it_was);
    tcase_add_test(tcase, json_survives_msgpack);
    tcase_add_test(tcase, bad_json_is_refused_with_a_reason);
    return unit_run("value", tcase);
}
