/* What the decoder refuses, and how it says so. Frames are copied into blocks of exactly their
 * size, so that the sanitizer sees every read past the end. */
#include "common/assert.h"
#include "common/proto/codec.h"
#include "tests/unit/proto/suite.h"
#include "tests/vectors/cases.h"

#include <stdio.h>
#include <stdlib.h>

static bool survives(enum vector_kind kind, uint64_t type, struct tri_bytes bytes)
{
    switch (kind) {
    case VECTOR_MESSAGE:
        return message_survives(bytes);
    case VECTOR_RECORD:
        return record_survives((enum tri_record_type)type, bytes);
    case VECTOR_ITEMS:
        return items_survive(bytes);
    case VECTOR_RESULT:
        return result_survives(bytes);
    }
    return false;
}

static enum tri_status decode(enum vector_kind kind,
                              uint64_t type,
                              struct tri_bytes bytes,
                              struct tri_error *error)
{
    struct tri_message message;
    union tri_any_record record;
    struct tri_chunk chunk;

    switch (kind) {
    case VECTOR_MESSAGE:
        return tri_message_decode(bytes, &message, error);
    case VECTOR_RECORD:
        return tri_record_decode((enum tri_record_type)type, bytes, &record, error);
    case VECTOR_ITEMS:
        return tri_items_open(bytes, &chunk, error);
    case VECTOR_RESULT:
        return tri_result_open(bytes, &record.result, &chunk, error);
    }
    return TRI_INVALID;
}

static struct tri_bytes exact_copy(struct tri_bytes bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes.data, size);
    return (struct tri_bytes){ copy, size };
}

START_TEST(every_truncation_of_every_vector_is_refused)
{
    struct maker maker;
    size_t count;
    const struct vector *vectors;

    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t size = 0; size < vectors[i].bytes.size; size++) {
            struct tri_bytes part = exact_copy(vectors[i].bytes, size);

            ck_assert_msg(!survives(vectors[i].kind, vectors[i].type, part), "%s %s at %zu",
                          vectors[i].name, vectors[i].title, size);
            free((void *)part.data);
        }
    }
    maker_deinit(&maker);
}
END_TEST

START_TEST(no_corrupted_byte_reads_outside_the_frame)
{
    struct maker maker;
    size_t count;
    size_t accepted = 0;
    size_t refused = 0;
    const struct vector *vectors;

    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        struct tri_bytes frame = exact_copy(vectors[i].bytes, vectors[i].bytes.size);
        uint8_t *bytes = (uint8_t *)frame.data;

        for (size_t at = 0; at < frame.size; at++) {
            uint8_t right = bytes[at];

            for (unsigned flip = 1; flip < 256; flip++) {
                bytes[at] = (uint8_t)(right ^ flip);
                if (survives(vectors[i].kind, vectors[i].type, frame))
                    accepted++;
                else
                    refused++;
            }
            bytes[at] = right;
        }
        free(bytes);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(accepted, 0);
    maker_deinit(&maker);
}
END_TEST

START_TEST(bytes_after_a_message_are_refused)
{
    struct maker maker;
    size_t count;
    const struct vector *vectors;

    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        struct tri_buffer longer = { 0 };

        tri_buffer_append(&longer, vectors[i].bytes.data, vectors[i].bytes.size);
        tri_buffer_append(&longer, "\xc0", 1);
        ck_assert_msg(!survives(vectors[i].kind, vectors[i].type, tri_buffer_bytes(&longer)),
                      "%s %s", vectors[i].name, vectors[i].title);
        tri_buffer_deinit(&longer);
    }
    maker_deinit(&maker);
}
END_TEST

START_TEST(the_refused_vectors_are_refused_with_their_status)
{
    struct maker maker;
    size_t count;
    const struct refusal *refusals;

    maker_init(&maker, 1);
    refusals = refusals_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        struct tri_bytes frame = exact_copy(refusals[i].bytes, refusals[i].bytes.size);
        struct tri_error error = { 0 };
        enum tri_status status = decode(refusals[i].kind, refusals[i].type, frame, &error);

        ck_assert_msg(status == refusals[i].status, "%s: %s %s", refusals[i].title,
                      tri_status_name(status), error.text);
        ck_assert_int_eq(error.status, status);
        ck_assert_str_ne(error.text, "");
        ck_assert_int_eq(decode(refusals[i].kind, refusals[i].type, frame, NULL), status);
        free((void *)frame.data);
    }
    maker_deinit(&maker);
}
END_TEST

START_TEST(an_error_names_the_message_the_field_and_the_limit)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
#define CASE(bytes, text) { bytes, sizeof(bytes) - 1, text }
        CASE("", "message: byte 0: the bytes end here"),
        CASE("\xc0", "message: an array with a type expected"),
        CASE("\x91\x63", "message: type 99 is not known here"),
        CASE("\x91\x33", "RESULTS_OK: 0 fields, expected 1"),
        CASE("\x92\x33\x01\x00", "message: 1 bytes follow it"),
        CASE("\xdd\x10\0\0\0", "message: byte 0: a count over the bytes left"),
        CASE("\x92\x05\xdb\xff\xff\xff\xff", "message: byte 2: a length over the bytes left"),
        CASE("\x96\x29\x07\xce\x00\x1e\x84\x80\x00\x00\xa0",
             "OARS.width: 2000000 is over the limit 1000000"),
        CASE("\x92\x33\xff",
             "RESULTS_OK.seq: an unsigned integer expected, a negative integer found"),
        CASE("\x92\x05\xc4\x01"
             "a",
             "BYE.text: text expected, binary found"),
        CASE("\x93\x07\x01\x92\x91\x05\x91\xa0",
             "HEARTBEAT_OK.lost[1].lease: an unsigned integer expected, text found"),
        CASE("\x93\x13\x07\xc4\x01"
             "a",
             "ACK.rows: 1 bytes are not whole ranges"),
        CASE("\x93\x33\x01\x81\x03\xc0",
             "RESULTS_OK.extensions: critical extension 3 is not known here"),
#undef CASE
    };

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_message message;
        struct tri_error error;

        ck_assert_int_ne(
            tri_message_decode((struct tri_bytes){ (const uint8_t *)cases[i].bytes, cases[i].size },
                               &message, &error),
            TRI_OK);
        ck_assert_str_eq(error.text, cases[i].text);
    }
}
END_TEST

/* ---- our own mistakes
 * ---------------------------------------------------------------------------- */

START_TEST(encoding_a_field_over_its_limit_is_an_assertion)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS, .oars = { .width = 1000001 } };
    struct tri_buffer frame = { 0 };

    tri_message_encode(&message, &frame);
}
END_TEST

START_TEST(encoding_ranges_out_of_order_is_an_assertion)
{
    static const struct tri_range ranges[] = { { 5, 1 }, { 1, 1 } };
    struct tri_message message = { .type = TRI_MESSAGE_ACK,
                                   .ack = { 1, tri_ranges_of(ranges, 2) } };
    struct tri_buffer frame = { 0 };

    tri_message_encode(&message, &frame);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_truncation_of_every_vector_is_refused,
        no_corrupted_byte_reads_outside_the_frame,
        bytes_after_a_message_are_refused,
        the_refused_vectors_are_refused_with_their_status,
        an_error_names_the_message_the_field_and_the_limit,
    };
    const TTest *const mistakes[] = {
        encoding_a_field_over_its_limit_is_an_assertion,
        encoding_ranges_out_of_order_is_an_assertion,
    };

    return suite_run_aborting("strict", tests, TRI_COUNT_OF(tests), mistakes,
                              TRI_COUNT_OF(mistakes));
}
