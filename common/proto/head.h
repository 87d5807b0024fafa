/* head.h - one msgpack header: what follows and how much of it. Private to common/proto.
 *
 * The only place that reads msgpack's lead bytes; the guard, the decoder and the list cursor stand
 * on it. A header that does not fit into the bytes left is TRI_HEAD_SHORT; whether its *body* fits
 * is the caller's check.
 *
 * Time: O(1).   Threads: pure functions.   Memory: borrows the bytes.
 */
#ifndef TRI_PROTO_HEAD_H
#define TRI_PROTO_HEAD_H

#include "trireme/status.h"
#include "trireme/value.h"

#include <string.h>

#define TRI_DEPTH_MAX 16

enum tri_head {
    TRI_HEAD_SHORT,   /* the bytes end inside the header */
    TRI_HEAD_REFUSED, /* 0xc1 and msgpack's extension types: nothing here gives them a meaning */
    TRI_HEAD_NIL,
    TRI_HEAD_BOOL,
    TRI_HEAD_UNSIGNED, /* number: the value, not negative however it was written */
    TRI_HEAD_NEGATIVE, /* number: the value as two's complement */
    TRI_HEAD_FLOAT,
    TRI_HEAD_STRING, /* number: bytes that follow */
    TRI_HEAD_BINARY,
    TRI_HEAD_ARRAY, /* number: values that follow */
    TRI_HEAD_MAP,   /* number: pairs of values that follow */
};

/* Bytes [at, end) are still to be read. */
struct tri_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* A lead byte in 0xc0..0xdf: what it opens and how many bytes its number has. */
struct tri_lead {
    uint8_t head;
    uint8_t width;
};

extern const struct tri_lead tri_leads[32];

static inline struct tri_cursor tri_cursor_of(struct tri_bytes bytes)
{
    /* An empty view may be NULL, and NULL + 0 is not C. */
    static const uint8_t nothing;
    const uint8_t *at = bytes.data != NULL ? bytes.data : &nothing;

    return (struct tri_cursor){ at, at + bytes.size };
}

static inline size_t tri_cursor_left(const struct tri_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline uint64_t tri_big_endian(const uint8_t *bytes, unsigned width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (width) {
    case 1:
        return bytes[0];
    case 2:
        memcpy(&two, bytes, sizeof(two));
        return __builtin_bswap16(two);
    case 4:
        memcpy(&four, bytes, sizeof(four));
        return __builtin_bswap32(four);
    case 8:
        memcpy(&eight, bytes, sizeof(eight));
        return __builtin_bswap64(eight);
    }
    return 0;
}

/* Signed numbers keep their sign; one that is not negative is as good as an unsigned one. */
static inline enum tri_head tri_signed_head(uint64_t *number, unsigned width)
{
    unsigned shift = 64 - 8 * width;
    int64_t value = (int64_t)(*number << shift) >> shift;

    *number = (uint64_t)value;
    return value < 0 ? TRI_HEAD_NEGATIVE : TRI_HEAD_UNSIGNED;
}

/* Take one header off the cursor. When it is SHORT or REFUSED the cursor has not moved. */
static inline enum tri_head tri_head_read(struct tri_cursor *cursor, uint64_t *number)
{
    struct tri_lead lead;
    uint8_t byte;

    *number = 0;
    if (cursor->at == cursor->end)
        return TRI_HEAD_SHORT;
    byte = *cursor->at;
    if (byte < 0xc0 || byte >= 0xe0) {
        cursor->at++;
        *number = byte;
        if (byte < 0x80)
            return TRI_HEAD_UNSIGNED;
        *number = byte & (byte < 0xa0 ? 15u : 31u);
        if (byte < 0xc0)
            return byte < 0x90 ? TRI_HEAD_MAP : byte < 0xa0 ? TRI_HEAD_ARRAY : TRI_HEAD_STRING;
        *number = UINT64_MAX - 31 + *number;
        return TRI_HEAD_NEGATIVE;
    }
    lead = tri_leads[byte - 0xc0];
    if (lead.head == TRI_HEAD_REFUSED)
        return TRI_HEAD_REFUSED;
    if (tri_cursor_left(cursor) - 1 < lead.width)
        return TRI_HEAD_SHORT;
    *number = tri_big_endian(cursor->at + 1, lead.width);
    cursor->at += 1 + lead.width;
    if (lead.head == TRI_HEAD_NEGATIVE)
        return tri_signed_head(number, lead.width);
    return (enum tri_head)lead.head;
}

/* "a text", "an array", ...: for sentences about what was found. */
const char *tri_head_text(enum tri_head head);

/* tri_msgpack_guard, with `what` in front of the error's text. */
enum tri_status tri_guard(const char *what,
                          struct tri_bytes bytes,
                          size_t *size,
                          struct tri_error *error);

#endif
