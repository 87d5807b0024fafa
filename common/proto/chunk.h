/* chunk.h - thousands of values in one frame.
 *
 * Layout of an item chunk and of a result chunk:
 *     head     one record: ITEMS or RESULT (message.h), format 1
 *     offsets  little-endian u32[count + 1]; offsets[0] = 0, each next one greater
 *     blob     offsets[count] bytes: msgpack values back to back, none of them empty
 * and nothing after it. Value i is blob[offsets[i] .. offsets[i+1]). Nobody between the maker and
 * the handler decodes values; cutting a slice is arithmetic on offsets.
 *
 * Threads: plain data.   Memory: views borrow the frame.   Errors: TRI_INVALID with a text.
 * Limits:  count <= 1 048 576, blob < 4 GiB, a frame <= ZMQ_MAXMSGSIZE.
 */
#ifndef TRI_PROTO_CHUNK_H
#define TRI_PROTO_CHUNK_H

#include "common/proto/codec.h"

#define TRI_CHUNK_COUNT_MAX 1048576u

/* A view of the values of a chunk. */
struct tri_chunk {
    uint32_t count;
    const uint8_t *offsets; /* unaligned; read with tri_chunk_at */
    const uint8_t *blob;
    uint32_t blob_bytes;
};

/* Open an item chunk: verifies head, count and that offsets ascend inside the frame; O(count).
 * Values themselves are not walked (see tri_msgpack_guard). */
enum tri_status tri_items_open(struct tri_bytes frame,
                               struct tri_chunk *chunk,
                               struct tri_error *error);

/* Open a result chunk: the same, head->runs name exactly `count` indexes,
 * and head->task_us is empty or holds times for as many. */
enum tri_status tri_result_open(struct tri_bytes frame,
                                struct tri_rec_result *head,
                                struct tri_chunk *chunk,
                                struct tri_error *error);

/* The bytes of value i, i < count. */
static inline struct tri_bytes tri_chunk_at(const struct tri_chunk *chunk, uint32_t i)
{
    uint32_t bounds[2];

    memcpy(bounds, chunk->offsets + (size_t)i * 4, sizeof(bounds));
    return (struct tri_bytes){ chunk->blob + bounds[0], bounds[1] - bounds[0] };
}

/* Builds the offsets and blob of a chunk, value by value; the head is written last. */
struct tri_chunk_builder {
    struct tri_buffer offsets; /* u32 ends: offsets[1..count] */
    struct tri_buffer blob;
    uint32_t count;
};

void tri_chunk_builder_init(struct tri_chunk_builder *self);
void tri_chunk_builder_deinit(struct tri_chunk_builder *self);
void tri_chunk_builder_clear(struct tri_chunk_builder *self);

/* Write one value into builder->blob (with value.h's tri_value_pack or raw bytes), then call this
 * once: it closes value number `count` at the blob's current end. A blob that outgrows its limit
 * marks the builder as out of memory. */
static inline void tri_chunk_builder_close_value(struct tri_chunk_builder *self)
{
    uint32_t end = (uint32_t)self->blob.size;

    if (self->blob.size > UINT32_MAX)
        self->blob.failed = true;
    tri_buffer_append(&self->offsets, &end, sizeof(end));
    self->count++;
}

/* Append an item chunk / result chunk frame to `out`. `head->count`, `head->format` are set by
 * the callee. The builder is unchanged. */
void tri_items_encode(const struct tri_chunk_builder *self, struct tri_buffer *out);
void tri_result_encode(const struct tri_chunk_builder *self,
                       struct tri_rec_result *head,
                       struct tri_buffer *out);

/* Append an item chunk frame holding values [first, first+count) of an open chunk. */
void tri_items_cut(const struct tri_chunk *chunk,
                   uint32_t first,
                   uint32_t count,
                   struct tri_buffer *out);

/* Add values [first, first+count) of an open chunk, of each the first `bytes_max` bytes. */
void tri_items_pick(const struct tri_chunk *chunk,
                    uint32_t first,
                    uint32_t count,
                    uint32_t bytes_max,
                    struct tri_chunk_builder *builder);

#endif
