/* codec.h - bytes to messages and back, driven by the table in message.h.
 *
 * Decoding is strict and total: any bytes give a message or TRI_INVALID / TRI_UNSUPPORTED with a
 * text, never a read outside the frame and never memory in proportion to a claimed length. Every
 * msgpack header is walked by the guard first (depth <= 16, each length <= bytes left, the whole
 * buffer used, integers in range, ranges sorted and disjoint and not overflowing).
 *
 * Threads: pure functions.   Memory: decoding allocates nothing.
 */
#ifndef TRI_PROTO_CODEC_H
#define TRI_PROTO_CODEC_H

#include "common/buffer.h"
#include "common/proto/message.h"

/* Decode frame 0. On success `*message` borrows from `frame`. A type outside the table is
 * TRI_UNSUPPORTED. */
enum tri_status tri_message_decode(struct tri_bytes frame,
                                   struct tri_message *message,
                                   struct tri_error *error);

/* Append the encoding of `message` to `out`. Only memory can fail (out->failed); a field over its
 * limit is our own bug (asserted). */
void tri_message_encode(const struct tri_message *message, struct tri_buffer *out);

/* The same for records. `record` points to the struct tri_rec_* that `type` names. Decoding uses
 * the whole of `bytes`; tri_record_decode_head stops after the record and says its size. */
enum tri_status tri_record_decode(enum tri_record_type type,
                                  struct tri_bytes bytes,
                                  void *record,
                                  struct tri_error *error);
enum tri_status tri_record_decode_head(enum tri_record_type type,
                                       struct tri_bytes bytes,
                                       void *record,
                                       size_t *size,
                                       struct tri_error *error);
void tri_record_encode(enum tri_record_type type, const void *record, struct tri_buffer *out);

/* Take the next record off a list (by value: the list is a cursor). The list was validated when
 * its message was decoded, so this cannot fail; false at the end. */
bool tri_list_next(struct tri_list *list, enum tri_record_type type, void *record);

/* Build a list: encode records into a buffer, then view it as a list of `count` records. */
static inline struct tri_list tri_list_of(const struct tri_buffer *buffer, size_t count)
{
    return (struct tri_list){ buffer->data, buffer->size, count };
}

/* The i-th range, i < ranges.count. */
static inline struct tri_range tri_ranges_at(struct tri_ranges ranges, size_t i)
{
    struct tri_range range;

    memcpy(&range, ranges.data + i * sizeof(range), sizeof(range));
    return range;
}

/* Ranges that borrow an array of struct tri_range (the layouts are the same on little-endian
 * machines, the only ones supported; a static assertion says so). */
static inline struct tri_ranges tri_ranges_of(const struct tri_range *ranges, size_t count)
{
    return (struct tri_ranges){ (const uint8_t *)ranges, count };
}

static inline struct tri_bytes tri_bytes_of(const char *text)
{
    return (struct tri_bytes){ (const uint8_t *)text, strlen(text) };
}

/* Walk one msgpack value at the start of `bytes`: its size, or TRI_INVALID. Depth <= 16. */
enum tri_status tri_msgpack_guard(struct tri_bytes bytes, size_t *size, struct tri_error *error);

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian machines only");

#endif
