/* Chunks: a head record, an offset table, a blob. Checking the table is one pass without branches
 * on the data; cutting is a subtraction per value and one copy. */
#include "common/proto/chunk.h"

#include "common/assert.h"

#define FORMAT 1

/* offsets[0] = 0, each next one greater (a value has at least one byte), the last one the end of
 * the frame. */
static bool offsets_hold(const struct tri_chunk *chunk)
{
    uint32_t wrong = 0;
    uint32_t bound;

    memcpy(&bound, chunk->offsets, sizeof(bound));
    if (bound != 0)
        return false;
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t pair[2];

        memcpy(pair, chunk->offsets + (size_t)i * 4, sizeof(pair));
        wrong |= pair[1] <= pair[0];
    }
    memcpy(&bound, chunk->offsets + (size_t)chunk->count * 4, sizeof(bound));
    return wrong == 0 && bound == chunk->blob_bytes;
}

/* Everything after the head: `count` + 1 offsets and the blob. */
static enum tri_status chunk_open(struct tri_bytes rest,
                                  uint64_t count,
                                  struct tri_chunk *chunk,
                                  struct tri_error *error)
{
    size_t table = ((size_t)count + 1) * 4;

    if (rest.size < table)
        return tri_fail(error, TRI_INVALID, "chunk: %zu bytes do not hold %zu bytes of offsets",
                        rest.size, table);
    if (rest.size - table > UINT32_MAX)
        return tri_fail(error, TRI_INVALID, "chunk: a blob of %zu bytes", rest.size - table);
    *chunk = (struct tri_chunk){ .count = (uint32_t)count,
                                 .offsets = rest.data,
                                 .blob = rest.data + table,
                                 .blob_bytes = (uint32_t)(rest.size - table) };
    if (!offsets_hold(chunk))
        return tri_fail(error, TRI_INVALID,
                        "chunk: offsets do not ascend from 0 to the end of the blob (%u bytes)",
                        chunk->blob_bytes);
    return TRI_OK;
}

static enum tri_status check_format(uint64_t format, struct tri_error *error)
{
    if (format != FORMAT)
        return tri_fail(error, TRI_INVALID, "chunk: format 0 is not known here");
    return TRI_OK;
}

enum tri_status tri_items_open(struct tri_bytes frame,
                               struct tri_chunk *chunk,
                               struct tri_error *error)
{
    struct tri_rec_items head;
    size_t size;
    enum tri_status status = tri_record_decode_head(TRI_RECORD_ITEMS, frame, &head, &size, error);

    if (status == TRI_OK)
        status = check_format(head.format, error);
    if (status != TRI_OK)
        return status;
    return chunk_open((struct tri_bytes){ frame.data + size, frame.size - size }, head.count, chunk,
                      error);
}

static uint64_t ranges_total(struct tri_ranges ranges)
{
    uint64_t total = 0;

    for (size_t i = 0; i < ranges.count; i++)
        total += tri_ranges_at(ranges, i).count;
    return total;
}

enum tri_status tri_result_open(struct tri_bytes frame,
                                struct tri_rec_result *head,
                                struct tri_chunk *chunk,
                                struct tri_error *error)
{
    size_t size;
    enum tri_status status = tri_record_decode_head(TRI_RECORD_RESULT, frame, head, &size, error);

    if (status == TRI_OK)
        status = check_format(head->format, error);
    if (status != TRI_OK)
        return status;
    if (ranges_total(head->runs) != head->count)
        return tri_fail(error, TRI_INVALID, "chunk: the runs name another number of tasks than %u",
                        (unsigned)head->count);
    if (head->task_us.size != 0 && head->task_us.size != head->count * 8)
        return tri_fail(error, TRI_INVALID, "chunk: times of another number of tasks than %u",
                        (unsigned)head->count);
    return chunk_open((struct tri_bytes){ frame.data + size, frame.size - size }, head->count,
                      chunk, error);
}

void tri_chunk_builder_init(struct tri_chunk_builder *self)
{
    *self = (struct tri_chunk_builder){ 0 };
}

void tri_chunk_builder_deinit(struct tri_chunk_builder *self)
{
    tri_buffer_deinit(&self->offsets);
    tri_buffer_deinit(&self->blob);
    self->count = 0;
}

void tri_chunk_builder_clear(struct tri_chunk_builder *self)
{
    tri_buffer_clear(&self->offsets);
    tri_buffer_clear(&self->blob);
    self->count = 0;
}

/* The builder's part of a frame, after the head. */
static void append_builder(const struct tri_chunk_builder *self, struct tri_buffer *out)
{
    static const uint8_t zero[4];

    tri_assert(self->count <= TRI_CHUNK_COUNT_MAX);
    if (self->offsets.failed || self->blob.failed) {
        out->failed = true;
        return;
    }
    tri_buffer_append(out, zero, sizeof(zero));
    tri_buffer_append(out, self->offsets.data, self->offsets.size);
    tri_buffer_append(out, self->blob.data, self->blob.size);
}

void tri_items_encode(const struct tri_chunk_builder *self, struct tri_buffer *out)
{
    struct tri_rec_items head = { .format = FORMAT, .count = self->count };

    tri_record_encode(TRI_RECORD_ITEMS, &head, out);
    append_builder(self, out);
}

void tri_result_encode(const struct tri_chunk_builder *self,
                       struct tri_rec_result *head,
                       struct tri_buffer *out)
{
    head->format = FORMAT;
    head->count = self->count;
    tri_assert(ranges_total(head->runs) == head->count);
    tri_assert(head->task_us.size == 0 || head->task_us.size == head->count * 8);
    tri_record_encode(TRI_RECORD_RESULT, head, out);
    append_builder(self, out);
}

void tri_items_cut(const struct tri_chunk *chunk,
                   uint32_t first,
                   uint32_t count,
                   struct tri_buffer *out)
{
    struct tri_rec_items head = { .format = FORMAT, .count = count };
    const uint8_t *table = chunk->offsets + (size_t)first * 4;
    size_t table_bytes = ((size_t)count + 1) * 4;
    uint32_t base;
    uint32_t end;
    uint8_t *to;

    tri_assert(first <= chunk->count && count <= chunk->count - first);
    memcpy(&base, table, sizeof(base));
    memcpy(&end, table + (size_t)count * 4, sizeof(end));
    tri_record_encode(TRI_RECORD_ITEMS, &head, out);
    to = tri_buffer_reserve(out, table_bytes + (end - base));
    if (to == NULL)
        return;
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t bound;

        memcpy(&bound, table + (size_t)i * 4, sizeof(bound));
        bound -= base;
        memcpy(to + (size_t)i * 4, &bound, sizeof(bound));
    }
    memcpy(to + table_bytes, chunk->blob + base, end - base);
    out->size += table_bytes + (end - base);
}

void tri_items_pick(const struct tri_chunk *chunk,
                    uint32_t first,
                    uint32_t count,
                    uint32_t bytes_max,
                    struct tri_chunk_builder *builder)
{
    tri_assert(first <= chunk->count && count <= chunk->count - first);
    for (uint32_t i = first; i < first + count; i++) {
        struct tri_bytes value = tri_chunk_at(chunk, i);

        tri_buffer_append(&builder->blob, value.data,
                          value.size < bytes_max ? value.size : bytes_max);
        tri_chunk_builder_close_value(builder);
    }
}
