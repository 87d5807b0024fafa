/* shape.h - the tables of message.h as data: what the one generic codec walks.
 *
 * A struct made from a table has its members in wire order, each a multiple of eight bytes and so
 * without padding: the codec steps through the fields and the struct side by side and needs no
 * offsets (shape.c asserts the sum).
 *
 * Threads: constants.   Memory: static storage.
 */
#ifndef TRI_PROTO_SHAPE_H
#define TRI_PROTO_SHAPE_H

#include "common/proto/message.h"

enum tri_field_kind {
    TRI_FIELD_UNSIGNED,
    TRI_FIELD_SIGNED,
    TRI_FIELD_STRING,
    TRI_FIELD_BINARY,
    TRI_FIELD_RANGES,
    TRI_FIELD_LIST,
};

struct tri_field {
    const char *name;
    enum tri_field_kind kind;
    enum tri_record_type record; /* lists: what they hold */
    uint64_t max;                /* value, bytes, pairs or records, by kind */
};

struct tri_shape {
    const char *name;
    const struct tri_field *fields;
    size_t count; /* fields */
    size_t size;  /* bytes of the struct */
};

/* NULL for a number outside the table. */
const struct tri_shape *tri_message_shape(uint64_t type);
const struct tri_shape *tri_record_shape(enum tri_record_type type);

/* The bytes that a field of this kind takes in its struct. */
static inline size_t tri_field_size(enum tri_field_kind kind)
{
    static const uint8_t sizes[] = {
        [TRI_FIELD_UNSIGNED] = sizeof(uint64_t),
        [TRI_FIELD_SIGNED] = sizeof(int64_t),
        [TRI_FIELD_STRING] = sizeof(struct tri_bytes),
        [TRI_FIELD_BINARY] = sizeof(struct tri_bytes),
        [TRI_FIELD_RANGES] = sizeof(struct tri_ranges),
        [TRI_FIELD_LIST] = sizeof(struct tri_list),
    };

    return sizes[kind];
}

/* Extensions of one message or record: keys at most, bytes of the whole map at most. */
#define TRI_EXTENSION_COUNT_MAX 64
#define TRI_EXTENSION_BYTES_MAX 65536

/* A range ends at or before this, so that no sum of first and count can wrap. */
#define TRI_RANGE_END_MAX INT64_MAX

/* The number of the first pair that breaks the rules of ranges (empty, past the end, not after the
 * one before); ranges.count when all hold. Time: O(pairs). */
size_t tri_ranges_check(struct tri_ranges ranges);

/* Room for any record. */
union tri_any_record {
#define X(name, lower) struct tri_rec_##lower lower;
    TRI_RECORD_MAP(X)
#undef X
};

#endif
