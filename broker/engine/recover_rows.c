/* recover_rows.c - what the rows of a batch say.
 *
 * BATCH, then CHUNKs, ROWs and TASKs. Each is checked by itself and against what was read before
 * it; recover_finish.c looks at all of them together. */
#include "broker/engine/recover.h"

#include "broker/engine/resume.h"
#include "broker/engine/state.h"
#include "common/planted.h"

/* ---- BATCH ---------------------------------------------------------------------------------- */

static bool is_ended_state(uint64_t state)
{
    return state == TRI_BATCH_DONE || state == TRI_BATCH_HALTED || state == TRI_BATCH_CANCELLED;
}

static const char *fault_of(const struct engine *engine,
                            uint64_t number,
                            const struct stored_batch *stored,
                            const struct tri_rec_spec *spec)
{
    bool is_range = spec->source == TRI_SOURCE_RANGE;

    if (number == 0 || number >= engine->next_number)
        return "its number has not been given out";
    if (tri_bytemap_find(&engine->uuids, stored->uuid) != NULL)
        return "another batch has its uuid";
    if (submit_fault(spec) != NULL)
        return submit_fault(spec);
    if ((stored->state == TRI_BATCH_OPEN) != (stored->sealed == 0)
        || (stored->sealed == 0 && is_range))
        return "its state contradicts itself";
    if (is_ended_state(stored->state) ? stored->ended < stored->submitted : stored->ended != 0)
        return "its times contradict its state";
    if (stored->cancelling != 0 && !is_ended_state(stored->state))
        return "it was cancelled and has not ended";
    if (stored->halting != 0 && stored->sealed == 0)
        return "it was halted and is open";
    if (stored->generation == 0
        || stored->epoch >= engine->options.epoch + PLANTED_VALUE(EPOCH_FORGOTTEN, 1, 0))
        return "it is of a time to come";
    if (is_range ? stored->hash.size != 0 || stored->count != spec->count : stored->hash.size != 16)
        return "its source contradicts itself";
    return NULL;
}

enum tri_status recover_batch(struct engine *engine,
                              struct store_key key,
                              struct tri_bytes head,
                              struct tri_error *error)
{
    struct stored_batch stored;
    struct tri_rec_spec spec;
    struct batch *batch;
    const char *fault;
    enum tri_status status = stored_open_batch(head, &stored, error);

    if (status != TRI_OK)
        return status;
    if (tri_record_decode(TRI_RECORD_SPEC, stored.spec, &spec, error) != TRI_OK)
        return TRI_STORE;
    fault = key.key != 0 ? "its key is not 0" : fault_of(engine, key.batch, &stored, &spec);
    if (fault != NULL)
        return tri_fail(error, TRI_STORE, "%s", fault);
    batch = batch_restore(engine, key.batch, &stored, &spec);
    if (batch == NULL)
        return tri_fail(error, TRI_STORE, "too many combinations of handler and labels");
    batch->recovering = tri_alloc(1, sizeof(*batch->recovering));
    batch->recovering->rows = stored.rows;
    tri_map_init(&batch->recovering->acknowledged);
    tri_map_init(&batch->recovering->dead);
    if (spec.plugin.size == 0 && engine->handlers.count < HANDLERS_KNOWN_MAX)
        tri_bytemap_at(&engine->handlers, spec.handler, NULL)->number = 1;
    if (batch->source == TRI_SOURCE_ITEMS
        && !stock_restore(batch, stored.hash, stored.hashing, stored.appended_bytes))
        return tri_fail(error, TRI_STORE, "the state of its hash is damaged");
    status = stored_open_ranges(stored.settled, &batch->folded_settled, error);
    if (status == TRI_OK)
        status = stored_open_ranges(stored.cancelled, &batch->folded_cancelled, error);
    if (status == TRI_OK)
        status = stored_open_ranges(stored.served_by, &batch->served_by, error);
    tri_rangeset_copy(&batch->cancelled, &batch->folded_cancelled);
    return status;
}

/* The batch that a row belongs to. */
static struct batch *batch_of(const struct engine *engine,
                              struct store_key key,
                              struct tri_error *error)
{
    struct batch *batch = tri_map_find(&engine->batches, key.batch);

    if (batch == NULL)
        tri_fail(error, TRI_STORE, "there is no such batch");
    return batch;
}

/* ---- CHUNK ---------------------------------------------------------------------------------- */

static const char *chunk_fault(const struct batch *batch,
                               uint64_t first,
                               const struct stored_chunk *stored,
                               uint64_t payload_bytes)
{
    const struct stock *stock = batch->stock;
    const struct chunk *last = NULL;

    if (stock == NULL)
        return "a range batch has no items";
    if (stock->count != 0)
        last = stock->chunks[stock->count - 1];
    if (first >= TRI_INDEX_END - UINT32_MAX || (last != NULL && first < last->first + last->count))
        return "it overlaps the one before";
    if (first + stored->count > batch->count && batch->sealed)
        return "it does not follow on";
    if (payload_bytes > CHUNK_BYTES_MAX)
        return "it is too large";
    return NULL;
}

enum tri_status recover_chunk(struct engine *engine,
                              struct store_key key,
                              struct tri_bytes head,
                              uint64_t payload_bytes,
                              struct tri_error *error)
{
    struct batch *batch = batch_of(engine, key, error);
    struct stored_chunk stored;
    struct chunk chunk;
    const char *fault;
    enum tri_status status;

    if (batch == NULL)
        return TRI_STORE;
    status = stored_open_chunk(head, &stored, error);
    if (status != TRI_OK)
        return status;
    fault = chunk_fault(batch, key.key, &stored, payload_bytes);
    if (fault != NULL)
        return tri_fail(error, TRI_STORE, "%s", fault);
    chunk = (struct chunk){
        .first = key.key,
        .count = (uint32_t)stored.count,
        .bytes = (uint32_t)payload_bytes,
        .hash = stored.hash,
    };
    stock_add(engine, batch, &chunk);
    engine->recovery->counts.chunks++;
    if (chunk.first + chunk.count < batch->count || batch->sealed || PLANTED(LAST_CHUNK))
        return TRI_OK;
    batch->count = chunk.first + chunk.count;
    batch->stock->appended_bytes = stored.appended_bytes;
    batch->stock->credit_bytes = batch->stock->told_bytes = stored.appended_bytes;
    if (!resume_open(stored.hashing, batch->stock->state))
        return tri_fail(error, TRI_STORE, "the state of the hash is damaged");
    return TRI_OK;
}

/* ---- ROW ------------------------------------------------------------------------------------ */

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add_deaths(struct batch *batch, uint64_t generation, struct tri_ranges ranges)
{
    struct tri_rangeset *tasks = deaths_at(&batch->recovering->acknowledged, generation);

    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        tri_rangeset_add(tasks, range.first, range.count);
    }
}

/* What the row says of its tasks. False: another row says something else. */
static bool believe(struct batch *batch, const struct stored_row *row, struct tri_ranges ranges)
{
    bool is_acknowledged = (row->flags & ROW_ACKNOWLEDGED) != 0;

    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        if (row->what == ROW_CANCELLED)
            tri_rangeset_add(&batch->cancelled, range.first, range.count);
        else if (tri_rangeset_add(&batch->done, range.first, range.count) != range.count)
            return false;
        if (is_acknowledged)
            tri_rangeset_add(&batch->settled, range.first, range.count);
    }
    return true;
}

static const char *row_fault(const struct batch *batch,
                             uint64_t id,
                             const struct stored_row *stored,
                             const struct tri_msg_row *row)
{
    struct tri_range last;

    if (row->number != batch->number || row->row != id || row->generation == 0
        || row->generation > batch->generation || row->kind != row_kind(stored->what))
        return "it announces another row";
    if (row->ranges.count == 0)
        return "it has no tasks";
    last = tri_ranges_at(row->ranges, row->ranges.count - 1);
    if (last.first >= batch->count || last.count > batch->count - last.first)
        return "it has tasks that the batch has not";
    return NULL;
}

/* Where the row stands among those of its batch. */
static const char *place_fault(const struct batch *batch, uint64_t id)
{
    uint64_t next = most(batch->row_next, batch->recovering->rows);

    if (id >= STORE_KEY_END - 1 || (id >= batch->recovering->rows && id != next))
        return "rows before it are missing";
    if (batch->row_next != batch->row_base && id >= batch->row_next
        && id - batch->row_base > ROW_SPAN_MAX)
        return "too many rows before it are missing";
    return NULL;
}

static enum tri_status open_row(const struct batch *batch,
                                uint64_t id,
                                struct tri_bytes head,
                                struct stored_row *stored,
                                struct tri_message *message,
                                struct tri_error *error)
{
    enum tri_status status = stored_open_row(head, stored, error);
    const char *fault;

    if (status != TRI_OK)
        return status;
    if (tri_message_decode(stored->message, message, error) != TRI_OK)
        return TRI_STORE;
    fault = message->type != TRI_MESSAGE_ROW ? "it announces nothing"
                                             : row_fault(batch, id, stored, &message->row);
    if (fault == NULL)
        fault = place_fault(batch, id);
    return fault != NULL ? tri_fail(error, TRI_STORE, "%s", fault) : TRI_OK;
}

enum tri_status recover_result(struct engine *engine,
                               struct store_key key,
                               struct tri_bytes head,
                               uint64_t payload_bytes,
                               struct tri_error *error)
{
    struct batch *batch = batch_of(engine, key, error);
    struct stored_row stored;
    struct tri_message message;
    enum tri_status status;

    if (batch == NULL)
        return TRI_STORE;
    status = open_row(batch, key.key, head, &stored, &message, error);
    if (status != TRI_OK)
        return status;
    if (stored.what != ROW_DEAD && !believe(batch, &stored, message.row.ranges))
        return tri_fail(error, TRI_STORE, "its tasks have other results, too");
    if ((stored.flags & ROW_ACKNOWLEDGED) == 0) {
        row_restore(engine, batch, &message.row, stored.message, (enum row_what)stored.what,
                    payload_bytes, (stored.flags & ROW_ON_RESERVE) != 0);
        engine->recovery->counts.rows++;
    } else {
        row_restore_gap(batch, key.key);
        if (stored.what == ROW_DEAD)
            add_deaths(batch, message.row.generation, message.row.ranges);
    }
    batch->wall_ns = most(batch->wall_ns, stored.wall_ns);
    batch->cpu_ns = most(batch->cpu_ns, stored.cpu_ns);
    batch->workers = most(batch->workers, stored.workers);
    return TRI_OK;
}

/* ---- TASK ----------------------------------------------------------------------------------- */

static void add_dead(struct batch *batch, uint64_t index, uint64_t generation)
{
    struct recovering *recovering = batch->recovering;
    const struct tri_rangeset *acknowledged = tri_map_find(&recovering->acknowledged, generation);

    tri_rangeset_add(&batch->dead, index, 1);
    if (acknowledged != NULL && tri_rangeset_contains(acknowledged, index))
        tri_rangeset_add(&batch->settled, index, 1);
    if (batch->generation != 1)
        tri_rangeset_add(deaths_at(&recovering->dead, generation), index, 1);
}

static uint64_t time_left(const struct engine *engine, const struct stored_task *stored)
{
    uint64_t now = engine_clock(engine, engine->now);
    uint64_t left = stored->due > now ? stored->due - now : 0;
    uint64_t max = engine->options.limits.backoff_ms_max;

    return left < max ? left : max;
}

static void restore_undone(struct engine *engine,
                           struct batch *batch,
                           uint64_t index,
                           const struct stored_task *stored)
{
    struct grade grade = { (uint32_t)stored->failures, (uint32_t)stored->crashes,
                           (uint32_t)stored->vanished, stored->cap };
    uint64_t wait_ms = PLANTED_VALUE(BACKOFF_LOST, 0, time_left(engine, stored));

    if (wait_ms != 0 && !batch->halting)
        delay_restore(engine, batch, &grade, index, wait_ms);
    else
        batch_restore_pending(batch, &grade, index, 1);
}

enum tri_status recover_task(struct engine *engine,
                             struct store_key key,
                             struct tri_bytes head,
                             uint64_t payload_bytes,
                             struct tri_error *error)
{
    struct batch *batch = batch_of(engine, key, error);
    struct stored_task stored;
    enum tri_status status;

    if (batch == NULL)
        return TRI_STORE;
    status = stored_open_task(head, &stored, error);
    if (status != TRI_OK)
        return status;
    if (key.key >= batch->count)
        return tri_fail(error, TRI_STORE, "the batch has no such task");
    if (tri_rangeset_contains(&batch->done, key.key)
        || (stored.dead != 0 && tri_rangeset_contains(&batch->cancelled, key.key)))
        return tri_fail(error, TRI_STORE, "its task has ended in another way");
    status = entry_restore(engine, batch, key.key, &stored, payload_bytes, error);
    if (status != TRI_OK)
        return status;
    if (stored.dead != 0) {
        add_dead(batch, key.key, stored.generation);
    } else if (!tri_rangeset_contains(&batch->cancelled, key.key)) {
        restore_undone(engine, batch, key.key, &stored);
    }
    return TRI_OK;
}
