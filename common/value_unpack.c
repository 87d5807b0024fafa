/* Unpacking msgpack. Every length is compared with the bytes left before it is believed. */
#include "common/value.h"

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t get_number(const uint8_t *at, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (size) {
    case 1:
        return at[0];
    case 2:
        memcpy(&two, at, size);
        return __builtin_bswap16(two);
    case 4:
        memcpy(&four, at, size);
        return __builtin_bswap32(four);
    default:
        memcpy(&eight, at, sizeof(eight));
        return __builtin_bswap64(eight);
    }
}

/* What a head says: a scalar is in `value`, `size` is all of it; of a compound `size` is only the
 * head, and `children` values follow. */
struct head {
    struct tri_value value;
    size_t size;
    uint64_t children;
    bool is_map;
};

static enum tri_status cut_off(struct tri_error *error)
{
    return tri_fail(error, TRI_INVALID, "msgpack: the value is cut off");
}

/* A big-endian number of `size` bytes behind the head byte. */
static bool number_after(struct tri_bytes bytes, size_t size, uint64_t *number)
{
    if (bytes.size < 1 + size)
        return false;
    *number = get_number(bytes.data + 1, size);
    return true;
}

static enum tri_status read_payload(struct tri_bytes bytes,
                                    enum tri_type type,
                                    size_t head_size,
                                    uint64_t size,
                                    struct head *head,
                                    struct tri_error *error)
{
    if (bytes.size - head_size < size)
        return cut_off(error);
    head->value = (struct tri_value){ .type = type, .bytes = { bytes.data + head_size, size } };
    head->size = head_size + size;
    return TRI_OK;
}

static enum tri_status read_children(size_t head_size,
                                     uint64_t count,
                                     bool is_map,
                                     struct tri_bytes bytes,
                                     struct head *head,
                                     struct tri_error *error)
{
    head->value.type = TRI_COMPOUND;
    head->size = head_size;
    head->is_map = is_map;
    head->children = is_map ? 2 * count : count;
    /* Every child takes a byte at least: a claim beyond that is refused at once. */
    return head->children > bytes.size - head_size ? cut_off(error) : TRI_OK;
}

static enum tri_status read_number(struct tri_bytes bytes,
                                   struct head *head,
                                   struct tri_error *error)
{
    uint8_t byte = bytes.data[0];
    int log2_size = byte == 0xca ? 2 : byte == 0xcb ? 3 : byte & 3;
    size_t size = (size_t)1 << log2_size;
    uint64_t number;

    if (!number_after(bytes, size, &number))
        return cut_off(error);
    head->size = 1 + size;
    if (byte == 0xca) {
        uint32_t bits = (uint32_t)number;
        float single;

        memcpy(&single, &bits, sizeof(single));
        head->value = tri_value_float((double)single);
    } else if (byte == 0xcb) {
        head->value.type = TRI_FLOAT;
        memcpy(&head->value.number, &number, sizeof(number));
    } else if (byte >= 0xd0) {
        int shift = 64 - 8 * (int)size;

        head->value = tri_value_int((int64_t)(number << shift) >> shift);
    } else if (number > INT64_MAX) {
        return tri_fail(error, TRI_INVALID, "msgpack: the integer %llu is beyond 64 signed bits",
                        (unsigned long long)number);
    } else {
        head->value = tri_value_int((int64_t)number);
    }
    return TRI_OK;
}

/* Heads 0xc0 to 0xdf. */
static enum tri_status read_typed(struct tri_bytes bytes,
                                  struct head *head,
                                  struct tri_error *error)
{
    uint8_t byte = bytes.data[0];
    uint64_t number = 0;
    size_t size = 1;

    switch (byte) {
    case 0xc0:
        head->value = tri_value_nil();
        head->size = 1;
        return TRI_OK;
    case 0xc2:
    case 0xc3:
        head->value = tri_value_bool(byte == 0xc3);
        head->size = 1;
        return TRI_OK;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        size = (size_t)1 << (byte - 0xc4);
        if (!number_after(bytes, size, &number))
            return cut_off(error);
        return read_payload(bytes, TRI_BINARY, 1 + size, number, head, error);
    case 0xca:
    case 0xcb:
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_number(bytes, head, error);
    case 0xd9:
    case 0xda:
    case 0xdb:
        size = (size_t)1 << (byte - 0xd9);
        if (!number_after(bytes, size, &number))
            return cut_off(error);
        return read_payload(bytes, TRI_STRING, 1 + size, number, head, error);
    case 0xdc:
    case 0xdd:
    case 0xde:
    case 0xdf:
        size = (byte & 1) != 0 ? 4 : 2;
        if (!number_after(bytes, size, &number))
            return cut_off(error);
        return read_children(1 + size, number, byte >= 0xde, bytes, head, error);
    default:
        return tri_fail(error, TRI_INVALID, "msgpack: type 0x%02x is not supported", byte);
    }
}

static enum tri_status read_head(struct tri_bytes bytes, struct head *head, struct tri_error *error)
{
    uint8_t byte;

    *head = (struct head){ .size = 1 };
    if (bytes.size == 0)
        return cut_off(error);
    byte = bytes.data[0];
    if (byte < 0x80 || byte >= 0xe0) {
        head->value = tri_value_int((int8_t)byte);
        return TRI_OK;
    }
    if (byte < 0xa0)
        return read_children(1, byte & 15, byte < 0x90, bytes, head, error);
    if (byte < 0xc0)
        return read_payload(bytes, TRI_STRING, 1, byte & 31, head, error);
    return read_typed(bytes, head, error);
}

/* Walk what follows the head of a compound: `left[depth]` values are still to come at each depth.
 */
static enum tri_status compound_size(struct tri_bytes bytes,
                                     const struct head *top,
                                     size_t *size,
                                     struct tri_error *error)
{
    uint64_t left[TRI_VALUE_DEPTH_MAX] = { top->children };
    size_t depth = 0;
    size_t at = top->size;
    struct head head;
    enum tri_status status;

    for (;;) {
        while (left[depth] == 0) {
            if (depth-- == 0) {
                *size = at;
                return TRI_OK;
            }
        }
        left[depth]--;
        status = read_head((struct tri_bytes){ bytes.data + at, bytes.size - at }, &head, error);
        if (status != TRI_OK)
            return status;
        at += head.size;
        if (head.value.type != TRI_COMPOUND)
            continue;
        if (++depth == TRI_VALUE_DEPTH_MAX)
            return tri_fail(error, TRI_INVALID, "msgpack: nested deeper than %d",
                            TRI_VALUE_DEPTH_MAX);
        left[depth] = head.children;
    }
}

/* The commonest of what the inline path leaves: unsigned numbers of more than 7 bits. */
static bool unpack_unsigned(struct tri_bytes bytes, struct tri_value *value, size_t *size)
{
    uint64_t number;
    size_t width;

    if (bytes.size == 0 || bytes.data[0] < 0xcc || bytes.data[0] > 0xcf)
        return false;
    width = (size_t)1 << (bytes.data[0] - 0xcc);
    if (!number_after(bytes, width, &number) || number > INT64_MAX)
        return false;
    *value = tri_value_int((int64_t)number);
    *size = 1 + width;
    return true;
}

enum tri_status tri_value_unpack_slow(struct tri_bytes bytes,
                                      struct tri_value *value,
                                      size_t *size,
                                      struct tri_error *error)
{
    struct head head;
    enum tri_status status;

    if (unpack_unsigned(bytes, value, size))
        return TRI_OK;
    status = read_head(bytes, &head, error);
    if (status == TRI_OK && head.value.type == TRI_COMPOUND) {
        status = compound_size(bytes, &head, &head.size, error);
        head.value.bytes = (struct tri_bytes){ bytes.data, head.size };
    }
    if (status != TRI_OK)
        return status;
    *value = head.value;
    *size = head.size;
    return TRI_OK;
}

enum tri_status tri_value_unpack_whole(struct tri_bytes bytes,
                                       struct tri_value *value,
                                       struct tri_error *error)
{
    size_t size = 0;
    enum tri_status status = tri_value_unpack(bytes, value, &size, error);

    if (status == TRI_OK && size != bytes.size)
        return tri_fail(error, TRI_INVALID, "msgpack: %zu bytes too many behind the value",
                        bytes.size - size);
    return status;
}

enum tri_status tri_value_walk(const struct tri_value *compound,
                               struct tri_value_walk *walk,
                               struct tri_error *error)
{
    struct head head;
    enum tri_status status;

    if (compound->type != TRI_COMPOUND)
        return tri_fail(error, TRI_INVALID, "%s is not an array or map",
                        tri_type_text(compound->type));
    status = read_head(compound->bytes, &head, error);
    if (status != TRI_OK)
        return status;
    if (head.value.type != TRI_COMPOUND)
        return tri_fail(error, TRI_INVALID, "msgpack: neither an array nor a map");
    *walk = (struct tri_value_walk){
        .rest = { compound->bytes.data + head.size, compound->bytes.size - head.size },
        .count = (uint32_t)(head.is_map ? head.children / 2 : head.children),
        .is_map = head.is_map,
    };
    return TRI_OK;
}

enum tri_status tri_value_walk_next(struct tri_value_walk *walk,
                                    struct tri_value *value,
                                    struct tri_error *error)
{
    size_t size = 0;
    enum tri_status status = tri_value_unpack(walk->rest, value, &size, error);

    if (status == TRI_OK) {
        walk->rest.data += size;
        walk->rest.size -= size;
    }
    return status;
}
