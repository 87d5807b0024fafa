/* append.c - items arrive, by position. */
#include "broker/engine/state.h"

#include "common/proto/chunk.h"

/* How long a client may wait before it asks again for room. */
#define APPEND_RETRY_MS 100

void append_tell(struct engine *engine, struct session *session, struct batch *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_APPENDED };
    struct stock *stock = batch->stock;
    bool is_short = credit_append_is_short(engine, batch);

    stock->told_bytes = stock->credit_bytes;
    message.appended.number = batch->number;
    message.appended.count = batch->count;
    message.appended.hash = stock_hash(stock);
    message.appended.append_bytes_max = stock->credit_bytes;
    if (is_short)
        out_send(engine, session, &message, true);
    else
        out_acknowledge(engine, session, &message, batch->number);
}

void append_refuse(struct engine *engine, struct batch *batch)
{
    if (batch->feeder == NULL)
        return;
    if (batch->halting || batch->cancelling)
        out_error(engine, batch->feeder, batch->feed_request, TRI_CANCELLED,
                  "the batch has been stopped");
    else
        out_error(engine, batch->feeder, batch->feed_request, TRI_CLOSED, "the batch is sealed");
}

/* ---- what cannot be taken ------------------------------------------------------------------- */

static bool items_fit(const struct engine *engine, const struct tri_chunk *chunk)
{
    if (chunk->blob_bytes <= engine->options.limits.item_bytes_max)
        return true;
    for (uint32_t i = 0; i < chunk->count; i++)
        if (tri_chunk_at(chunk, i).size > engine->options.limits.item_bytes_max)
            return false;
    return true;
}

static bool batch_takes_items(struct engine *engine,
                              struct session *session,
                              const struct batch *batch,
                              uint64_t request)
{
    if (batch->stock == NULL) {
        out_error(engine, session, request, TRI_INVALID, "a range batch takes no items");
        return false;
    }
    if (memcmp(&batch->deposed, &session->instance, sizeof(batch->deposed)) == 0) {
        out_error(engine, session, request, TRI_STALE, "the batch has another owner now");
        return false;
    }
    if (batch->halting || batch->cancelling || batch_has_ended(batch)) {
        out_error(engine, session, request, TRI_CANCELLED, "the batch has been stopped");
        return false;
    }
    if (batch->sealed && batch->reason != NULL) {
        out_error(engine, session, request, TRI_CLOSED, "the batch is sealed: %s", batch->reason);
        return false;
    }
    return true;
}

/* Items that are there already: the very same chunk is no conflict. */
static void append_again(struct engine *engine,
                         struct session *session,
                         const struct tri_msg_append *append,
                         struct batch *batch,
                         const struct tri_chunk *items)
{
    const struct chunk *chunk = stock_find(batch->stock, append->first);

    if (chunk == NULL && !batch->sealed)
        append_tell(engine, session, batch); /* gone before a restart: the hash tells the client */
    else if (chunk != NULL && chunk->first == append->first && chunk->count == items->count
             && chunk->hash == XXH3_64bits(items->blob, items->blob_bytes))
        append_tell(engine, session, batch);
    else
        out_error(engine, session, append->request, TRI_CONFLICT,
                  "items from %llu on differ from what was accepted: resume at %llu",
                  (unsigned long long)append->first, (unsigned long long)batch->count);
}

static bool has_room(struct engine *engine,
                     struct session *session,
                     const struct tri_msg_append *append,
                     struct batch *batch,
                     uint64_t bytes)
{
    const struct stock *stock = batch->stock;

    if (credit_refuse_append(engine, session, batch, append->request))
        return false;
    if (bytes <= stock->credit_bytes - stock->appended_bytes)
        return true;
    if (bytes > engine->options.limits.batch_bytes_max)
        out_error(engine, session, append->request, TRI_FULL,
                  "a chunk of %llu bytes is over the %llu that a batch may queue",
                  (unsigned long long)bytes,
                  (unsigned long long)engine->options.limits.batch_bytes_max);
    else
        out_busy(engine, session, append->request, APPEND_RETRY_MS,
                 "the append credit is used up: wait for APPENDED");
    return false;
}

/* ---- APPEND --------------------------------------------------------------------------------- */

static void take_chunk(struct engine *engine,
                       struct batch *batch,
                       const struct tri_chunk *items,
                       struct tri_bytes frame)
{
    struct stock *stock = batch->stock;
    struct chunk chunk = {
        .first = batch->count,
        .count = items->count,
        .bytes = (uint32_t)frame.size,
        .hash = XXH3_64bits(items->blob, items->blob_bytes),
    };

    XXH3_128bits_update(stock->state, items->blob, items->blob_bytes);
    stock_add(engine, batch, &chunk);
    stock->appended_bytes += frame.size;
    engine->memory.granted_bytes -= frame.size;
    tri_buffer_clear(&engine->scratch);
    stored_chunk(batch, &chunk, &engine->scratch);
    out_put_frame(&engine->out, (struct store_key){ STORE_CHUNK, batch->number, chunk.first },
                  tri_buffer_bytes(&engine->scratch), frame, 0);
    batch_add_fresh(engine, batch, batch->count, items->count);
    batch->count += items->count;
    credit_append(engine, batch);
}

static bool open_chunk(struct engine *engine,
                       struct session *session,
                       uint64_t request,
                       const struct event *event,
                       struct tri_chunk *items)
{
    struct tri_error error;

    if (event->frame_count != 1) {
        out_error(engine, session, request, TRI_INVALID, "APPEND needs one payload frame");
        return false;
    }
    if (tri_items_open(event->frames[0], items, &error) != TRI_OK) {
        out_error(engine, session, request, TRI_INVALID, "%.400s", error.text);
        return false;
    }
    if (items->count == 0) {
        out_error(engine, session, request, TRI_INVALID, "a chunk without items");
        return false;
    }
    if (!items_fit(engine, items)) {
        out_error(engine, session, request, TRI_TOO_LARGE, "an item is over %llu bytes",
                  (unsigned long long)engine->options.limits.item_bytes_max);
        return false;
    }
    return true;
}

void on_append(struct engine *engine,
               struct session *session,
               const struct tri_msg_append *append,
               const struct event *event)
{
    struct batch *batch = batch_find(engine, session, append->number, append->request);
    struct tri_chunk items;

    if (batch == NULL || !batch_takes_items(engine, session, batch, append->request)
        || !open_chunk(engine, session, append->request, event, &items))
        return;
    if (!batch->sealed)
        batch_set_feeder(engine, batch, session);
    batch->feed_request = append->request;
    if (append->first < batch->count) {
        append_again(engine, session, append, batch, &items);
        return;
    }
    if (append->first > batch->count || batch->sealed) {
        out_error(engine, session, append->request, TRI_CONFLICT,
                  "items must follow on: the batch has %llu", (unsigned long long)batch->count);
        return;
    }
    if (!has_room(engine, session, append, batch, event->frames[0].size))
        return;
    take_chunk(engine, batch, &items, event->frames[0]);
    append_tell(engine, session, batch);
}

/* ---- SEAL ----------------------------------------------------------------------------------- */

void on_seal(struct engine *engine, struct session *session, const struct tri_msg_seal *seal)
{
    struct batch *batch = batch_find(engine, session, seal->number, seal->request);

    if (batch == NULL)
        return;
    if (seal->count != batch->count) {
        out_error(engine, session, seal->request, TRI_CONFLICT,
                  "the batch has %llu items, not %llu", (unsigned long long)batch->count,
                  (unsigned long long)seal->count);
        return;
    }
    if (batch->feeder != session)
        append_refuse(engine, batch);
    batch_seal(engine, batch, NULL);
    out_done(engine, session, seal->request, batch->count);
}
