/* value_inline.h - the inline halves of value.h; include that one. */
#ifndef TRI_VALUE_INLINE_H
#define TRI_VALUE_INLINE_H

#ifndef TRI_COMMON_VALUE_H
#error "include common/value.h"
#endif

/* The rest of tri_value_pack and tri_value_unpack, for what is not a small scalar. */
void tri_value_pack_slow(struct tri_buffer *out, const struct tri_value *value);
enum tri_status tri_value_unpack_slow(struct tri_bytes bytes,
                                      struct tri_value *value,
                                      size_t *size,
                                      struct tri_error *error);
/* Write the shortest msgpack of `integer` at `at` (room for 9). Returns the size. */
size_t tri_pack_int_wide(uint8_t *at, int64_t integer);

static inline void tri_pack_int(struct tri_buffer *out, int64_t integer)
{
    uint8_t *at = tri_buffer_reserve(out, 9);

    if (at == NULL)
        return;
    if (integer >= -32 && integer < 128) {
        *at = (uint8_t)integer;
        out->size++;
    } else {
        out->size += tri_pack_int_wide(at, integer);
    }
}

static inline void tri_pack_string(struct tri_buffer *out, const void *data, size_t size)
{
    struct tri_value value = tri_value_string(data, size);
    uint8_t *at;

    if (size >= 256) {
        tri_value_pack_slow(out, &value);
        return;
    }
    at = tri_buffer_reserve(out, size + 2);
    if (at == NULL)
        return;
    if (size < 32) {
        *at++ = (uint8_t)(0xa0 | size);
        out->size += size + 1;
    } else {
        *at++ = 0xd9;
        *at++ = (uint8_t)size;
        out->size += size + 2;
    }
    if (size != 0)
        memcpy(at, data, size);
}

static inline void tri_value_pack(struct tri_buffer *out, const struct tri_value *value)
{
    if (value->type == TRI_INT)
        tri_pack_int(out, value->integer);
    else if (value->type == TRI_STRING)
        tri_pack_string(out, value->bytes.data, value->bytes.size);
    else
        tri_value_pack_slow(out, value);
}

static inline enum tri_status tri_value_unpack(struct tri_bytes bytes,
                                               struct tri_value *value,
                                               size_t *size,
                                               struct tri_error *error)
{
    uint8_t head;

    if (bytes.size == 0)
        return tri_value_unpack_slow(bytes, value, size, error);
    head = bytes.data[0];
    if (head < 0x80 || head >= 0xe0) {
        *value = tri_value_int((int8_t)head);
        *size = 1;
        return TRI_OK;
    }
    if ((head & 0xe0) == 0xa0 && bytes.size > (head & 0x1fu)) {
        *value = tri_value_string(bytes.data + 1, head & 0x1fu);
        *size = 1u + (head & 0x1fu);
        return TRI_OK;
    }
    return tri_value_unpack_slow(bytes, value, size, error);
}

#endif
