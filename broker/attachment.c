#include "broker/attachment.h"

#include "common/assert.h"
#include "common/net/parts.h"
#include "common/proto/chunk.h"

/* The view tri_items_open made, without its pass over the offsets. */
static struct tri_chunk view_of(struct tri_bytes frame)
{
    struct tri_rec_items head;
    size_t size = 0;
    size_t table;
    enum tri_status status = tri_record_decode_head(TRI_RECORD_ITEMS, frame, &head, &size, NULL);

    tri_assert(status == TRI_OK);
    table = ((size_t)head.count + 1) * 4;
    tri_assert(frame.size - size >= table);
    return (struct tri_chunk){
        .count = (uint32_t)head.count,
        .offsets = frame.data + size,
        .blob = frame.data + size + table,
        .blob_bytes = (uint32_t)(frame.size - size - table),
    };
}

/* Room for the part, so that the buffer grows once and is as large as the frame. */
static size_t part_bytes(const struct tri_chunk *chunk, uint32_t first, uint32_t count)
{
    uint32_t begin;
    uint32_t end;

    memcpy(&begin, chunk->offsets + (size_t)first * 4, sizeof(begin));
    memcpy(&end, chunk->offsets + ((size_t)first + count) * 4, sizeof(end));
    return ((size_t)count + 1) * 4 + (end - begin) + 32;
}

/* The buffer is the frame now. */
static void take(struct tri_buffer *buffer, zmq_msg_t *frame)
{
    size_t size;
    uint8_t *data;
    enum tri_status status;

    tri_assert(!buffer->failed);
    data = tri_buffer_give(buffer, &size);
    status = tri_msg_take(frame, data, size);
    tri_assert(status == TRI_OK);
}

static void cut(const struct tri_chunk *chunk, uint32_t first, uint32_t count, zmq_msg_t *frame)
{
    struct tri_buffer buffer;

    tri_buffer_init(&buffer);
    tri_buffer_reserve(&buffer, part_bytes(chunk, first, count));
    tri_items_cut(chunk, first, count, &buffer);
    take(&buffer, frame);
}

enum tri_status attachment_open(struct store *store,
                                const struct attachment *attachment,
                                zmq_msg_t *frame)
{
    zmq_msg_t stored;
    struct tri_chunk chunk;
    enum tri_status status = store->operations->read(store, attachment->key, &stored);

    if (status != TRI_OK)
        return status;
    zmq_msg_init(frame);
    if (attachment->key.table == STORE_CHUNK) {
        chunk = view_of(tri_msg_bytes(&stored));
        tri_assert(attachment->first <= chunk.count
                   && attachment->count <= chunk.count - attachment->first);
        if (attachment->count < chunk.count) {
            zmq_msg_close(frame);
            cut(&chunk, attachment->first, attachment->count, frame);
            zmq_msg_close(&stored);
            return TRI_OK;
        }
    }
    zmq_msg_move(frame, &stored);
    zmq_msg_close(&stored);
    return TRI_OK;
}

enum tri_status attachment_open_cut(struct store *store,
                                    const struct attachment *attachments,
                                    size_t count,
                                    uint32_t item_bytes_max,
                                    zmq_msg_t *frame)
{
    struct tri_chunk_builder builder;
    struct tri_buffer buffer;
    struct tri_chunk chunk;
    zmq_msg_t stored;
    enum tri_status status = store->operations->read(store, attachments[0].key, &stored);

    if (status != TRI_OK)
        return status;
    chunk = view_of(tri_msg_bytes(&stored));
    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < count; i++)
        tri_items_pick(&chunk, attachments[i].first, attachments[i].count, item_bytes_max,
                       &builder);
    tri_buffer_init(&buffer);
    tri_items_encode(&builder, &buffer);
    take(&buffer, frame);
    tri_chunk_builder_deinit(&builder);
    zmq_msg_close(&stored);
    return TRI_OK;
}
