/* Fields one by one: the limit and one past it, every wrong type, extensions. The frames are made
 * by msgpack-c, because our own encoder would not make them. */
#include "common/proto/codec.h"
#include "tests/unit/proto/suite.h"
#include "tests/vectors/cases.h"

#include <msgpack.h>
#include <stdio.h>

static enum tri_status decode(const struct vector *vector,
                              struct tri_bytes bytes,
                              struct tri_error *error)
{
    struct tri_message message;
    union tri_any_record record;

    if (vector->kind == VECTOR_MESSAGE)
        return tri_message_decode(bytes, &message, error);
    return tri_record_decode((enum tri_record_type)vector->type, bytes, &record, error);
}

/* ---- limits -----------------------------------------
 */

static int append(void *buffer, const char *data, size_t size)
{
    tri_buffer_append(buffer, data, size);
    return 0;
}

static void pack_empty(msgpack_packer *packer, const struct tri_field *field)
{
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
    case TRI_FIELD_SIGNED:
        msgpack_pack_int(packer, 0);
        break;
    case TRI_FIELD_STRING:
        msgpack_pack_str(packer, 0);
        break;
    case TRI_FIELD_BINARY:
    case TRI_FIELD_RANGES:
        msgpack_pack_bin(packer, 0);
        break;
    case TRI_FIELD_LIST:
        msgpack_pack_array(packer, 0);
        break;
    }
}

static void pack_empty_record(msgpack_packer *packer, const struct tri_shape *shape)
{
    msgpack_pack_array(packer, shape->count);
    for (size_t i = 0; i < shape->count; i++)
        pack_empty(packer, &shape->fields[i]);
}

static void pack_zeros(msgpack_packer *packer, size_t size)
{
    struct tri_buffer *buffer = packer->data;
    uint8_t *zeros = tri_buffer_reserve(buffer, size);

    ck_assert_ptr_nonnull(zeros);
    memset(zeros, 0, size);
    buffer->size += size;
}

/* A field of this size: the number itself, or that many bytes, ranges or records. */
static void pack_sized(msgpack_packer *packer, const struct tri_field *field, uint64_t size)
{
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
    case TRI_FIELD_SIGNED:
        msgpack_pack_uint64(packer, size);
        break;
    case TRI_FIELD_STRING:
        msgpack_pack_str(packer, size);
        pack_zeros(packer, size);
        break;
    case TRI_FIELD_BINARY:
        msgpack_pack_bin(packer, size);
        pack_zeros(packer, size);
        break;
    case TRI_FIELD_RANGES:
        msgpack_pack_bin(packer, size * sizeof(struct tri_range));
        for (uint64_t i = 0; i < size; i++)
            append(packer->data, (const char *)&(struct tri_range){ i, 1 },
                   sizeof(struct tri_range));
        break;
    case TRI_FIELD_LIST:
        msgpack_pack_array(packer, size);
        for (uint64_t i = 0; i < size; i++)
            pack_empty_record(packer, tri_record_shape(field->record));
        break;
    }
}

/* Decode the shape with all fields empty but `chosen`, which has `size`. */
static enum tri_status decode_sized(const struct vector *vector,
                                    const struct tri_shape *shape,
                                    size_t chosen,
                                    uint64_t size,
                                    struct tri_error *error)
{
    struct tri_buffer frame = { 0 };
    msgpack_packer packer;
    enum tri_status status;

    msgpack_packer_init(&packer, &frame, append);
    msgpack_pack_array(&packer, shape->count + (vector->kind == VECTOR_MESSAGE));
    if (vector->kind == VECTOR_MESSAGE)
        msgpack_pack_uint64(&packer, vector->type);
    for (size_t i = 0; i < shape->count; i++) {
        if (i == chosen)
            pack_sized(&packer, &shape->fields[i], size);
        else
            pack_empty(&packer, &shape->fields[i]);
    }
    ck_assert(!frame.failed);
    status = decode(vector, tri_buffer_bytes(&frame), error);
    tri_buffer_deinit(&frame);
    return status;
}

static void check_limits(const struct vector *vector, const struct tri_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct tri_field *field = &shape->fields[i];
        struct tri_error error = { 0 };
        char place[128];

        if (field->kind == TRI_FIELD_SIGNED)
            continue;
        snprintf(place, sizeof(place), "%s.%s: ", shape->name, field->name);
        ck_assert_msg(decode_sized(vector, shape, i, field->max, &error) == TRI_OK, "%s",
                      error.text);
        ck_assert_int_eq(decode_sized(vector, shape, i, field->max + 1, &error), TRI_INVALID);
        if (field->max == INT64_MAX)
            ck_assert_ptr_nonnull(strstr(error.text, "an integer over 2^63 - 1"));
        else
            ck_assert_msg(strncmp(error.text, place, strlen(place)) == 0
                              && strstr(error.text, "over the limit") != NULL,
                          "%s %s", place, error.text);
    }
}

START_TEST(every_limit_of_a_message_holds_exactly)
{
#define X(name, code, lower) \
    check_limits(&(struct vector){ .kind = VECTOR_MESSAGE, .type = code }, tri_message_shape(code));
    TRI_MESSAGE_MAP(X)
#undef X
}
END_TEST

START_TEST(every_limit_of_a_record_holds_exactly)
{
#define X(name, lower)                                                                 \
    check_limits(&(struct vector){ .kind = VECTOR_RECORD, .type = TRI_RECORD_##name }, \
                 tri_record_shape(TRI_RECORD_##name));
    TRI_RECORD_MAP(X)
#undef X
}
END_TEST

/* ---- wrong types --------------------------------------------------------------------------------
 */

/* One value of each type of msgpack, and which kinds of field take it. */
static const struct {
    const char *bytes;
    size_t size;
    bool takes[6];
} samples[] = {
#define SAMPLE(bytes, ...)        \
    {                             \
        bytes, sizeof(bytes) - 1, \
        {                         \
            __VA_ARGS__           \
        }                         \
    }
    SAMPLE("\xc0", 0), /* nil */
    SAMPLE("\xc2", 0), /* false */
    SAMPLE("\xcb\x3f\xf0\0\0\0\0\0\0", 0),
    SAMPLE("\x00", [TRI_FIELD_UNSIGNED] = 1, [TRI_FIELD_SIGNED] = 1),
    SAMPLE("\xff", [TRI_FIELD_SIGNED] = 1),
    SAMPLE("\xa0", [TRI_FIELD_STRING] = 1),
    SAMPLE("\xc4\x00", [TRI_FIELD_BINARY] = 1, [TRI_FIELD_RANGES] = 1),
    SAMPLE("\x90", [TRI_FIELD_LIST] = 1),
    SAMPLE("\x80", 0),         /* map */
    SAMPLE("\xd4\x01\x00", 0), /* extension type */
    SAMPLE("\xc1", 0),
#undef SAMPLE
};

static void check_types(const struct vector *vector, const struct tri_shape *shape, size_t chosen)
{
    for (size_t i = 0; i < TRI_COUNT_OF(samples); i++) {
        struct tri_buffer frame = { 0 };
        struct tri_error error;
        msgpack_packer packer;
        enum tri_status status;
        bool right = samples[i].takes[shape->fields[chosen].kind];

        msgpack_packer_init(&packer, &frame, append);
        msgpack_pack_array(&packer, shape->count + 1);
        msgpack_pack_uint64(&packer, vector->type);
        for (size_t k = 0; k < shape->count; k++) {
            if (k == chosen)
                append(&frame, samples[i].bytes, samples[i].size);
            else
                pack_empty(&packer, &shape->fields[k]);
        }
        status = decode(vector, tri_buffer_bytes(&frame), &error);
        ck_assert_msg(status == (right ? TRI_OK : TRI_INVALID), "%s.%s sample %zu", shape->name,
                      shape->fields[chosen].name, i);
        tri_buffer_deinit(&frame);
    }
}

START_TEST(every_field_takes_its_own_type_only)
{
#define X(name, code, lower)                                                  \
    for (size_t i = 0; i < tri_message_shape(code)->count; i++)               \
        check_types(&(struct vector){ .kind = VECTOR_MESSAGE, .type = code }, \
                    tri_message_shape(code), i);
    TRI_MESSAGE_MAP(X)
#undef X
}
END_TEST

/* ---- extensions ---------------------------------------------------------------------------------
 */

static enum tri_status decode_extended(const void *map, size_t size, struct tri_error *error)
{
    struct tri_buffer frame = { 0 };
    struct tri_message message;
    enum tri_status status;

    tri_buffer_append(&frame, "\x93\x33\x01", 3);
    tri_buffer_append(&frame, map, size);
    status = tri_message_decode(tri_buffer_bytes(&frame), &message, error);
    tri_buffer_deinit(&frame);
    return status;
}

START_TEST(unknown_optional_extensions_are_ignored)
{
    struct tri_error error;

    ck_assert_int_eq(decode_extended("\x80", 1, &error), TRI_OK);
    ck_assert_int_eq(decode_extended("\x82\x00\xc0\x02\x92\x01\x02", 7, &error), TRI_OK);
    ck_assert_int_eq(decode_extended("\x81\xcd\x10\x00\xa1x", 6, &error), TRI_OK);
}
END_TEST

START_TEST(a_critical_extension_behind_optional_ones_is_found)
{
    struct tri_error error;

    ck_assert_int_eq(decode_extended("\x82\x02\xc0\x03\xc0", 5, &error), TRI_UNSUPPORTED);
}
END_TEST

START_TEST(extensions_are_bounded_in_number_and_size)
{
    struct tri_buffer map = { 0 };
    struct tri_error error;
    msgpack_packer packer;

    msgpack_packer_init(&packer, &map, append);
    msgpack_pack_map(&packer, TRI_EXTENSION_COUNT_MAX);
    for (unsigned i = 0; i < TRI_EXTENSION_COUNT_MAX; i++) {
        msgpack_pack_uint64(&packer, 2 * i);
        msgpack_pack_nil(&packer);
    }
    ck_assert_int_eq(decode_extended(map.data, map.size, &error), TRI_OK);
    tri_buffer_clear(&map);
    msgpack_pack_map(&packer, TRI_EXTENSION_COUNT_MAX + 1);
    for (unsigned i = 0; i < TRI_EXTENSION_COUNT_MAX + 1; i++) {
        msgpack_pack_uint64(&packer, 2 * i);
        msgpack_pack_nil(&packer);
    }
    ck_assert_int_eq(decode_extended(map.data, map.size, &error), TRI_INVALID);
    tri_buffer_clear(&map);
    msgpack_pack_map(&packer, 1);
    msgpack_pack_uint64(&packer, 2);
    msgpack_pack_bin(&packer, TRI_EXTENSION_BYTES_MAX);
    pack_zeros(&packer, TRI_EXTENSION_BYTES_MAX);
    ck_assert_int_eq(decode_extended(map.data, map.size, &error), TRI_INVALID);
    tri_buffer_deinit(&map);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_limit_of_a_message_holds_exactly,
        every_limit_of_a_record_holds_exactly,
        every_field_takes_its_own_type_only,
        unknown_optional_extensions_are_ignored,
        a_critical_extension_behind_optional_ones_is_found,
        extensions_are_bounded_in_number_and_size,
    };

    return suite_run("limits", tests, TRI_COUNT_OF(tests));
}
