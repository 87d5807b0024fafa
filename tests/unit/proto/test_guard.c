#include "common/proto/codec.h"
#include "tests/unit/proto/suite.h"
#include "tests/vectors/structs.h"

#include <msgpack.h>
#include <stdlib.h>

#define GUARD(bytes, size, error)                                                              \
    tri_msgpack_guard((struct tri_bytes){ (const uint8_t *)(bytes), sizeof(bytes) - 1 }, size, \
                      error)

START_TEST(the_size_of_one_value_is_told_and_what_follows_is_left_alone)
{
    struct tri_error error;
    size_t size = 0;

    ck_assert_int_eq(GUARD("\x05\xc1\xc1", &size, &error), TRI_OK);
    ck_assert_uint_eq(size, 1);
    ck_assert_int_eq(GUARD("\xa3"
                           "abc\xc1",
                           &size, &error),
                     TRI_OK);
    ck_assert_uint_eq(size, 4);
    ck_assert_int_eq(GUARD("\x92\x01\x81\xa1k\xc4\x01x\xc1", &size, &error), TRI_OK);
    ck_assert_uint_eq(size, 8);
    ck_assert_int_eq(GUARD("\x90\xc1", &size, &error), TRI_OK);
    ck_assert_uint_eq(size, 1);
}
END_TEST

START_TEST(nothing_is_not_a_value)
{
    struct tri_error error;
    size_t size;

    ck_assert_int_eq(tri_msgpack_guard((struct tri_bytes){ NULL, 0 }, &size, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "value: byte 0: the bytes end here");
}
END_TEST

/* What any lead byte needs at least to be a value; 0 for those that are refused. */
static size_t least_size(unsigned lead)
{
    static const uint8_t sizes[32] = { 1, 0, 1, 1, 2, 3, 5, 0, 0, 0, 5, 9, 2, 3, 5, 9,
                                       2, 3, 5, 9, 0, 0, 0, 0, 0, 2, 3, 5, 3, 5, 3, 5 };

    if (lead < 0x80 || lead >= 0xe0)
        return 1;
    if (lead < 0x90)
        return 1 + 2 * (lead & 15u);
    if (lead < 0xa0)
        return 1 + (lead & 15u);
    if (lead < 0xc0)
        return 1 + (lead & 31u);
    return sizes[lead - 0xc0];
}

START_TEST(every_lead_byte_takes_what_the_format_says)
{
    for (unsigned lead = 0; lead < 256; lead++) {
        size_t least = least_size(lead);

        for (size_t given = 1; given <= 40; given++) {
            uint8_t *bytes = calloc(given, 1);
            struct tri_error error;
            size_t size = 0;
            enum tri_status status;

            ck_assert_ptr_nonnull(bytes);
            bytes[0] = (uint8_t)lead;
            status = tri_msgpack_guard((struct tri_bytes){ bytes, given }, &size, &error);
            ck_assert_msg((status == TRI_OK) == (least != 0 && given >= least), "%02x in %zu", lead,
                          given);
            if (status == TRI_OK)
                ck_assert_uint_eq(size, least);
            free(bytes);
        }
    }
}
END_TEST

static void nest(struct tri_buffer *buffer, unsigned depth, uint8_t lead)
{
    tri_buffer_clear(buffer);
    for (unsigned i = 1; i < depth; i++) {
        tri_buffer_append(buffer, &lead, 1);
        if (lead == 0x81)
            tri_buffer_append(buffer, "\x01", 1);
    }
    tri_buffer_append(buffer, lead == 0x81 ? "\x80" : "\x90", 1);
}

START_TEST(sixteen_levels_are_the_limit)
{
    static const uint8_t leads[] = { 0x81, 0x91 };

    for (size_t i = 0; i < TRI_COUNT_OF(leads); i++) {
        struct tri_buffer buffer = { 0 };
        struct tri_error error;
        size_t size = 0;

        nest(&buffer, 16, leads[i]);
        ck_assert_int_eq(tri_msgpack_guard(tri_buffer_bytes(&buffer), &size, &error), TRI_OK);
        ck_assert_uint_eq(size, buffer.size);
        nest(&buffer, 17, leads[i]);
        ck_assert_int_eq(tri_msgpack_guard(tri_buffer_bytes(&buffer), &size, &error), TRI_INVALID);
        ck_assert_ptr_nonnull(strstr(error.text, "nested deeper than 16"));
        nest(&buffer, 1000000, leads[i]);
        ck_assert_int_eq(tri_msgpack_guard(tri_buffer_bytes(&buffer), &size, &error), TRI_INVALID);
        tri_buffer_deinit(&buffer);
    }
}
END_TEST

START_TEST(claimed_lengths_are_not_believed)
{
    struct tri_error error;
    size_t size;

    ck_assert_int_eq(GUARD("\xdd\x10\0\0\0", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\xdf\xff\xff\xff\xff", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\xdb\xff\xff\xff\xff", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\xc6\xff\xff\xff\xff", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\xdc\xff\xff\x01\x02", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\x92\xdb\x00\x00\x00\x02"
                           "ab",
                           &size, &error),
                     TRI_INVALID);
}
END_TEST

START_TEST(integers_stop_at_what_a_value_can_hold)
{
    struct tri_error error;
    size_t size;

    ck_assert_int_eq(GUARD("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", &size, &error), TRI_OK);
    ck_assert_int_eq(GUARD("\xcf\x80\0\0\0\0\0\0\0", &size, &error), TRI_INVALID);
    ck_assert_int_eq(GUARD("\xd3\x80\0\0\0\0\0\0\0", &size, &error), TRI_OK);
}
END_TEST

static void pack_random(struct maker *maker, msgpack_packer *packer, unsigned depth)
{
    uint64_t pick = maker_below(maker, depth < 15 ? 8 : 6);

    switch (pick) {
    case 0:
        msgpack_pack_nil(packer);
        break;
    case 1:
        msgpack_pack_int64(packer, (int64_t)maker_next(maker));
        break;
    case 2:
        msgpack_pack_double(packer, (double)maker_next(maker));
        break;
    case 3:
        msgpack_pack_true(packer);
        break;
    case 4:
    case 5: {
        static const char letters[70000];
        size_t size =
            maker_below(maker, 20) == 0 ? maker_below(maker, 70000) : maker_below(maker, 9);

        msgpack_pack_str(packer, size);
        msgpack_pack_str_body(packer, letters, size);
        break;
    }
    default: {
        uint64_t count = maker_below(maker, 4);

        if (pick == 6)
            msgpack_pack_array(packer, count);
        else
            msgpack_pack_map(packer, count);
        for (uint64_t i = 0; i < count * (pick - 5); i++)
            pack_random(maker, packer, depth + 1);
    }
    }
}

static int append(void *buffer, const char *data, size_t size)
{
    tri_buffer_append(buffer, data, size);
    return 0;
}

START_TEST(whatever_a_library_packs_is_walked_to_its_end)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct tri_buffer buffer = { 0 };
        struct tri_error error;
        struct maker maker;
        msgpack_packer packer;
        size_t size = 0;

        maker_init(&maker, seed);
        msgpack_packer_init(&packer, &buffer, append);
        pack_random(&maker, &packer, 0);
        ck_assert_msg(tri_msgpack_guard(tri_buffer_bytes(&buffer), &size, &error) == TRI_OK,
                      "seed %lu: %s", (unsigned long)seed, error.text);
        ck_assert_uint_eq(size, buffer.size);
        ck_assert_int_eq(
            tri_msgpack_guard((struct tri_bytes){ buffer.data, buffer.size - 1 }, &size, &error),
            TRI_INVALID);
        tri_buffer_deinit(&buffer);
        maker_deinit(&maker);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_size_of_one_value_is_told_and_what_follows_is_left_alone,
        nothing_is_not_a_value,
        every_lead_byte_takes_what_the_format_says,
        sixteen_levels_are_the_limit,
        claimed_lengths_are_not_believed,
        integers_stop_at_what_a_value_can_hold,
        whatever_a_library_packs_is_walked_to_its_end,
    };

    return suite_run("guard", tests, TRI_COUNT_OF(tests));
}
