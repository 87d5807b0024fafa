/* Structs to bytes: msgpack-c's packer writes every header in its smallest form straight into the
 * buffer. Limits are asserted: what is encoded is our own. */
#include "common/assert.h"
#include "common/proto/codec.h"
#include "common/proto/shape.h"

#include <msgpack/pack.h>

static int append(void *buffer, const char *data, size_t size)
{
    struct tri_buffer *out = buffer;

    tri_buffer_append(out, data, size);
    return out->failed ? -1 : 0;
}

static void encode_binary(msgpack_packer *packer, const void *data, size_t size)
{
    msgpack_pack_bin(packer, size);
    msgpack_pack_bin_body(packer, data, size);
}

static void encode_string(msgpack_packer *packer, struct tri_bytes bytes, uint64_t max)
{
    tri_assert(bytes.size <= max);
    msgpack_pack_str(packer, bytes.size);
    msgpack_pack_str_body(packer, bytes.data, bytes.size);
}

static void encode_ranges(msgpack_packer *packer, struct tri_ranges ranges, uint64_t max)
{
    tri_assert(ranges.count <= max);
    tri_assert(tri_ranges_check(ranges) == ranges.count);
    encode_binary(packer, ranges.data, ranges.count * sizeof(struct tri_range));
}

static void encode_list(msgpack_packer *packer, struct tri_list list, uint64_t max)
{
    tri_assert(list.count <= max);
    msgpack_pack_array(packer, list.count);
    append(packer->data, (const char *)list.data, list.size);
}

static void encode_field(msgpack_packer *packer, const struct tri_field *field, const void *slot)
{
    const struct tri_bytes *bytes = slot;
    const uint64_t *number = slot;

    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        tri_assert(*number <= field->max);
        msgpack_pack_uint64(packer, *number);
        break;
    case TRI_FIELD_SIGNED:
        msgpack_pack_int64(packer, *(const int64_t *)slot);
        break;
    case TRI_FIELD_STRING:
        encode_string(packer, *bytes, field->max);
        break;
    case TRI_FIELD_BINARY:
        tri_assert(bytes->size <= field->max);
        encode_binary(packer, bytes->data, bytes->size);
        break;
    case TRI_FIELD_RANGES:
        encode_ranges(packer, *(const struct tri_ranges *)slot, field->max);
        break;
    case TRI_FIELD_LIST:
        encode_list(packer, *(const struct tri_list *)slot, field->max);
        break;
    }
}

static void encode_fields(msgpack_packer *packer,
                          const struct tri_shape *shape,
                          const uint8_t *slot)
{
    for (size_t i = 0; i < shape->count; i++) {
        encode_field(packer, &shape->fields[i], slot);
        slot += tri_field_size(shape->fields[i].kind);
    }
}

void tri_message_encode(const struct tri_message *message, struct tri_buffer *out)
{
    const struct tri_shape *shape = tri_message_shape(message->type);
    msgpack_packer packer;

    tri_assert(shape != NULL);
    msgpack_packer_init(&packer, out, append);
    msgpack_pack_array(&packer, shape->count + 1);
    msgpack_pack_uint64(&packer, message->type);
    encode_fields(&packer, shape, (const uint8_t *)&message->hello);
}

void tri_record_encode(enum tri_record_type type, const void *record, struct tri_buffer *out)
{
    const struct tri_shape *shape = tri_record_shape(type);
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_array(&packer, shape->count);
    encode_fields(&packer, shape, record);
}
