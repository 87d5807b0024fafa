#include "common/proto/codec.h"
#include "tests/unit/proto/suite.h"
#include "tests/vectors/cases.h"

#include <msgpack.h>
#include <stdio.h>

#define ROUNDS 40

/* Every message type, each wire number once. */
static const uint64_t types[] = {
#define X(name, code, lower) code,
    TRI_MESSAGE_MAP(X)
#undef X
};

START_TEST(every_message_decodes_to_what_was_encoded)
{
    for (size_t i = 0; i < TRI_COUNT_OF(types) * ROUNDS; i++) {
        const struct tri_shape *shape = tri_message_shape(types[i / ROUNDS]);
        struct tri_message message = { .type = (enum tri_message_type)types[i / ROUNDS] };
        struct tri_message decoded;
        struct tri_error error;
        struct tri_bytes frame;
        struct maker maker;

        maker_init(&maker, i);
        struct_make(&maker, shape, &message.hello);
        frame = keep_message(&maker, &message);
        ck_assert_msg(tri_message_decode(frame, &decoded, &error) == TRI_OK, "seed %zu: %s", i,
                      error.text);
        ck_assert_uint_eq(decoded.type, message.type);
        ck_assert_msg(struct_same(shape, &message.hello, &decoded.hello), "seed %zu", i);
        maker_deinit(&maker);
    }
}
END_TEST

START_TEST(every_record_decodes_to_what_was_encoded)
{
    for (size_t i = 0; tri_record_shape((enum tri_record_type)(i / ROUNDS)) != NULL; i++) {
        enum tri_record_type type = (enum tri_record_type)(i / ROUNDS);
        const struct tri_shape *shape = tri_record_shape(type);
        union tri_any_record record;
        union tri_any_record decoded;
        struct tri_error error;
        struct tri_bytes bytes;
        struct maker maker;

        maker_init(&maker, i);
        struct_make(&maker, shape, &record);
        bytes = keep_record(&maker, type, &record);
        ck_assert_msg(tri_record_decode(type, bytes, &decoded, &error) == TRI_OK, "seed %zu: %s", i,
                      error.text);
        ck_assert_msg(struct_same(shape, &record, &decoded), "seed %zu", i);
        maker_deinit(&maker);
    }
}
END_TEST

/* An independent reader agrees on the number of fields and on where the message ends. */
START_TEST(a_library_reads_the_same_values)
{
    struct maker maker;
    size_t count;
    const struct vector *vectors;

    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        msgpack_unpacked unpacked;
        size_t at = 0;

        if (vectors[i].kind != VECTOR_MESSAGE)
            continue;
        msgpack_unpacked_init(&unpacked);
        ck_assert_int_eq(msgpack_unpack_next(&unpacked, (const char *)vectors[i].bytes.data,
                                             vectors[i].bytes.size, &at),
                         MSGPACK_UNPACK_SUCCESS);
        ck_assert_uint_eq(at, vectors[i].bytes.size);
        ck_assert_int_eq(unpacked.data.type, MSGPACK_OBJECT_ARRAY);
        ck_assert_uint_ge(unpacked.data.via.array.size,
                          tri_message_shape(vectors[i].type)->count + 1);
        ck_assert_uint_eq(unpacked.data.via.array.ptr[0].via.u64, vectors[i].type);
        msgpack_unpacked_destroy(&unpacked);
    }
    maker_deinit(&maker);
}
END_TEST

START_TEST(every_vector_survives_decoding_and_encoding)
{
    struct maker maker;
    size_t count;
    const struct vector *vectors;

    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    for (size_t i = 0; i < count; i++) {
        struct tri_bytes bytes = vectors[i].bytes;
        enum tri_record_type type = (enum tri_record_type)vectors[i].type;
        bool survives = vectors[i].kind == VECTOR_MESSAGE  ? message_survives(bytes)
                        : vectors[i].kind == VECTOR_RECORD ? record_survives(type, bytes)
                        : vectors[i].kind == VECTOR_ITEMS  ? items_survive(bytes)
                                                           : result_survives(bytes);

        ck_assert_msg(survives, "%s %s", vectors[i].name, vectors[i].title);
    }
    maker_deinit(&maker);
}
END_TEST

START_TEST(numbers_take_the_fewest_bytes)
{
    static const struct {
        uint64_t number;
        size_t size;
    } cases[] = {
        { 0, 1 },     { 127, 1 },   { 128, 2 },        { 255, 2 },        { 256, 3 },
        { 65535, 3 }, { 65536, 5 }, { UINT32_MAX, 5 }, { 1ull << 32, 9 }, { INT64_MAX, 9 }
    };

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_message message = { .type = TRI_MESSAGE_RESULTS_OK,
                                       .results_ok = { cases[i].number } };
        struct tri_buffer buffer = { 0 };

        tri_message_encode(&message, &buffer);
        ck_assert_uint_eq(buffer.size, 2 + cases[i].size);
        tri_buffer_deinit(&buffer);
    }
}
END_TEST

START_TEST(wider_numbers_than_needed_are_read)
{
    static const struct {
        const char *bytes;
        size_t size;
        uint64_t number;
    } forms[] = {
#define FORM(bytes, number) { bytes, sizeof(bytes) - 1, number }
        FORM("\x92\x33\xcc\x05", 5),
        FORM("\x92\x33\xcd\0\x05", 5),
        FORM("\x92\x33\xce\0\0\0\x05", 5),
        FORM("\x92\x33\xcf\0\0\0\0\0\0\0\x05", 5),
        FORM("\x92\x33\xd0\x05", 5),
        FORM("\x92\x33\xd0\0", 0),
        FORM("\x92\x33\xd1\0\x05", 5),
        FORM("\x92\x33\xd2\0\0\0\x05", 5),
        FORM("\x92\x33\xd3\0\0\0\0\0\0\0\x05", 5),
#undef FORM
    };

    for (size_t i = 0; i < TRI_COUNT_OF(forms); i++) {
        struct tri_message message;
        struct tri_error error;

        ck_assert_msg(
            tri_message_decode((struct tri_bytes){ (const uint8_t *)forms[i].bytes, forms[i].size },
                               &message, &error)
                == TRI_OK,
            "form %zu: %s", i, error.text);
        ck_assert_uint_eq(message.results_ok.seq, forms[i].number);
    }
}
END_TEST

START_TEST(signed_fields_keep_their_sign_in_every_width)
{
    static const int64_t numbers[] = { 0,         -1,        -32,      -33,     -128,
                                       -129,      -32768,    -32769,   1048576, -1048576,
                                       INT32_MIN, INT64_MIN, INT64_MAX };

    for (size_t i = 0; i < TRI_COUNT_OF(numbers); i++) {
        struct tri_rec_spec spec = { .first = numbers[i], .step = -1 };
        struct tri_rec_spec decoded;
        struct tri_buffer buffer = { 0 };
        struct tri_error error;

        tri_record_encode(TRI_RECORD_SPEC, &spec, &buffer);
        ck_assert_int_eq(
            tri_record_decode(TRI_RECORD_SPEC, tri_buffer_bytes(&buffer), &decoded, &error),
            TRI_OK);
        ck_assert_int_eq(decoded.first, numbers[i]);
        ck_assert_int_eq(decoded.step, -1);
        tri_buffer_deinit(&buffer);
    }
}
END_TEST

START_TEST(decoding_a_head_says_where_it_ends)
{
    struct tri_rec_items head = { 1, 3 };
    struct tri_rec_items decoded;
    struct tri_buffer buffer = { 0 };
    struct tri_error error;
    size_t size;
    size_t head_size;

    tri_record_encode(TRI_RECORD_ITEMS, &head, &buffer);
    head_size = buffer.size;
    tri_buffer_append(&buffer, "\xc1payload", 8);
    ck_assert_int_eq(tri_record_decode_head(TRI_RECORD_ITEMS, tri_buffer_bytes(&buffer), &decoded,
                                            &size, &error),
                     TRI_OK);
    ck_assert_uint_eq(size, head_size);
    ck_assert_int_eq(
        tri_record_decode(TRI_RECORD_ITEMS, tri_buffer_bytes(&buffer), &decoded, &error),
        TRI_INVALID);
    ck_assert_str_eq(error.text, "ITEMS: 8 bytes follow it");
    tri_buffer_deinit(&buffer);
}
END_TEST

START_TEST(a_list_is_taken_record_by_record)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT_OK };
    struct tri_message decoded;
    struct tri_rec_lease_ref lease;
    struct tri_buffer records = { 0 };
    struct tri_buffer frame = { 0 };
    struct tri_error error;

    for (uint64_t i = 0; i < 1000; i++) {
        lease.lease = i * i * i;
        tri_record_encode(TRI_RECORD_LEASE_REF, &lease, &records);
    }
    message.heartbeat_ok.lost = tri_list_of(&records, 1000);
    tri_message_encode(&message, &frame);
    ck_assert_int_eq(tri_message_decode(tri_buffer_bytes(&frame), &decoded, &error), TRI_OK);
    ck_assert_uint_eq(decoded.heartbeat_ok.lost.count, 1000);
    for (uint64_t i = 0; i < 1000; i++) {
        ck_assert(tri_list_next(&decoded.heartbeat_ok.lost, TRI_RECORD_LEASE_REF, &lease));
        ck_assert_uint_eq(lease.lease, i * i * i);
    }
    ck_assert(!tri_list_next(&decoded.heartbeat_ok.lost, TRI_RECORD_LEASE_REF, &lease));
    tri_buffer_deinit(&records);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(a_list_may_be_empty)
{
    struct tri_list none = { 0 };
    struct tri_rec_text text;

    ck_assert(!tri_list_next(&none, TRI_RECORD_TEXT, &text));
}
END_TEST

START_TEST(a_decoded_message_borrows_from_its_frame)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE, .bye = { tri_bytes_of("so long") } };
    struct tri_message decoded;
    struct tri_buffer frame = { 0 };
    struct tri_error error;

    tri_message_encode(&message, &frame);
    ck_assert_int_eq(tri_message_decode(tri_buffer_bytes(&frame), &decoded, &error), TRI_OK);
    ck_assert_ptr_eq(decoded.bye.text.data, frame.data + 3);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(encoding_without_memory_only_marks_the_buffer)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE, .bye = { tri_bytes_of("so long") } };
    struct tri_buffer frame = { .failed = true };

    tri_message_encode(&message, &frame);
    ck_assert(frame.failed);
    ck_assert_uint_eq(frame.size, 0);
}
END_TEST

START_TEST(messages_are_named_by_their_number)
{
    ck_assert_str_eq(tri_message_name(1), "HELLO");
    ck_assert_str_eq(tri_message_name(TRI_MESSAGE_RESULTS_OK), "RESULTS_OK");
    ck_assert_str_eq(tri_message_name(0), "?");
    ck_assert_str_eq(tri_message_name(8), "?");
    ck_assert_str_eq(tri_message_name(UINT64_MAX), "?");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_message_decodes_to_what_was_encoded,
        every_record_decodes_to_what_was_encoded,
        a_library_reads_the_same_values,
        every_vector_survives_decoding_and_encoding,
        numbers_take_the_fewest_bytes,
        wider_numbers_than_needed_are_read,
        signed_fields_keep_their_sign_in_every_width,
        decoding_a_head_says_where_it_ends,
        a_list_is_taken_record_by_record,
        a_list_may_be_empty,
        a_decoded_message_borrows_from_its_frame,
        encoding_without_memory_only_marks_the_buffer,
        messages_are_named_by_their_number,
    };

    return suite_run("codec", tests, TRI_COUNT_OF(tests));
}
