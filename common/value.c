/* Packing values as msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md), and types. */
#include "common/value.h"

/* ---- pack ----------------------------------------------------------------------------------- */

/* Write a head byte and a big-endian number of 1 << log2_size bytes; up to 9 bytes at `at` may be
 * written over. Returns the size. */
static size_t put_head(uint8_t *at, uint8_t head, uint64_t number, int log2_size)
{
    int size = 1 << log2_size;

    at[0] = (uint8_t)(head + log2_size);
    number = __builtin_bswap64(number << (64 - 8 * size));
    memcpy(at + 1, &number, sizeof(number));
    return 1 + (size_t)size;
}

static int log2_size_of(uint64_t number)
{
    return number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
}

size_t tri_pack_int_wide(uint8_t *at, int64_t integer)
{
    if (integer >= 0)
        return put_head(at, 0xcc, (uint64_t)integer, log2_size_of((uint64_t)integer));
    if (integer >= INT8_MIN)
        return put_head(at, 0xd0, (uint64_t)integer, 0);
    if (integer >= INT16_MIN)
        return put_head(at, 0xd0, (uint64_t)integer, 1);
    return put_head(at, 0xd0, (uint64_t)integer, integer >= INT32_MIN ? 2 : 3);
}

void tri_pack_uint(struct tri_buffer *out, uint64_t integer)
{
    uint8_t *at = tri_buffer_reserve(out, 9);

    if (at == NULL)
        return;
    if (integer < 128) {
        *at = (uint8_t)integer;
        out->size++;
    } else {
        out->size += put_head(at, 0xcc, integer, log2_size_of(integer));
    }
}

void tri_pack_float(struct tri_buffer *out, double number)
{
    uint8_t *at = tri_buffer_reserve(out, 9);
    uint64_t bits;

    if (at == NULL)
        return;
    memcpy(&bits, &number, sizeof(bits));
    out->size += put_head(at, 0xcb - 3, bits, 3);
}

void tri_pack_text(struct tri_buffer *out, const char *text)
{
    tri_pack_string(out, text, strlen(text));
}

/* The head for a size, of 1, 2 or 4 bytes. */
static void pack_head(struct tri_buffer *out, uint8_t head, uint32_t size)
{
    uint8_t *at = tri_buffer_reserve(out, 9);

    if (at != NULL)
        out->size += put_head(at, head, size, log2_size_of(size));
}

void tri_pack_string_head(struct tri_buffer *out, uint32_t size)
{
    uint8_t fix = (uint8_t)(0xa0 | size);

    if (size < 32)
        tri_buffer_append(out, &fix, 1);
    else
        pack_head(out, 0xd9, size);
}

void tri_pack_binary_head(struct tri_buffer *out, uint32_t size)
{
    pack_head(out, 0xc4, size);
}

/* msgpack has no lengths above 32 bits; nobody builds such a value, the caps are far below. */
static bool size_fits(struct tri_buffer *out, size_t size)
{
    if (size > UINT32_MAX)
        out->failed = true;
    return size <= UINT32_MAX;
}

void tri_pack_binary(struct tri_buffer *out, const void *data, size_t size)
{
    if (!size_fits(out, size))
        return;
    tri_pack_binary_head(out, (uint32_t)size);
    tri_buffer_append(out, data, size);
}

/* Arrays and maps have no 8-bit count. */
static void pack_count(struct tri_buffer *out, uint8_t fix, uint8_t head, uint32_t count)
{
    uint8_t *at = tri_buffer_reserve(out, 9);

    if (at == NULL)
        return;
    if (count < 16) {
        *at = (uint8_t)(fix | count);
        out->size++;
    } else {
        out->size += put_head(at, (uint8_t)(head - 1), count, count <= UINT16_MAX ? 1 : 2);
    }
}

void tri_pack_array(struct tri_buffer *out, uint32_t count)
{
    pack_count(out, 0x90, 0xdc, count);
}

void tri_pack_map(struct tri_buffer *out, uint32_t count)
{
    pack_count(out, 0x80, 0xde, count);
}

static void pack_byte(struct tri_buffer *out, uint8_t byte)
{
    tri_buffer_append(out, &byte, 1);
}

void tri_value_pack_slow(struct tri_buffer *out, const struct tri_value *value)
{
    switch (value->type) {
    case TRI_ANY:
    case TRI_NIL:
        pack_byte(out, 0xc0);
        break;
    case TRI_BOOL:
        pack_byte(out, value->boolean ? 0xc3 : 0xc2);
        break;
    case TRI_INT:
        tri_pack_int(out, value->integer);
        break;
    case TRI_FLOAT:
        tri_pack_float(out, value->number);
        break;
    case TRI_STRING:
        if (!size_fits(out, value->bytes.size))
            break;
        tri_pack_string_head(out, (uint32_t)value->bytes.size);
        tri_buffer_append(out, value->bytes.data, value->bytes.size);
        break;
    case TRI_BINARY:
        tri_pack_binary(out, value->bytes.data, value->bytes.size);
        break;
    case TRI_COMPOUND:
        tri_buffer_append(out, value->bytes.data, value->bytes.size);
        break;
    }
}

/* ---- types ---------------------------------------------------------------------------------- */

/* "an integer", "a string", "nil". */
static const char *type_phrase(enum tri_type type)
{
    static const char *const phrases[] = {
        "anything", "nil",      "a truth value", "an integer",
        "a number", "a string", "binary",        "an array or map",
    };

    return (size_t)type < TRI_COUNT_OF(phrases) ? phrases[type] : "?";
}

enum tri_status tri_value_check(enum tri_type declared,
                                const struct tri_value *value,
                                struct tri_error *error)
{
    if (tri_value_accepts(declared, value))
        return TRI_OK;
    return tri_fail(error, TRI_INVALID, "the argument is %s, wanted %s", type_phrase(value->type),
                    type_phrase(declared));
}

/* As bits, a NaN equals itself and the zeros differ. */
static uint64_t bits_of(double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

bool tri_value_equals(const struct tri_value *a, const struct tri_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TRI_ANY:
    case TRI_NIL:
        return true;
    case TRI_BOOL:
        return a->boolean == b->boolean;
    case TRI_INT:
        return a->integer == b->integer;
    case TRI_FLOAT:
        return bits_of(a->number) == bits_of(b->number);
    case TRI_STRING:
    case TRI_BINARY:
    case TRI_COMPOUND:
        break;
    }
    return a->bytes.size == b->bytes.size
           && (a->bytes.size == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0);
}
