/* recover.c - the engine rebuilt from the rows of its store.
 *
 * Rows come in the order of (table, batch, key), so a batch is known before its chunks, those
 * before its results, and those before its exceptional tasks. A task is pending unless a row says
 * otherwise. What rows claim is checked before it is believed: bytes from a disk come from outside,
 * and the invariants of check.c hold for whatever is accepted. */
#include "broker/engine/recover.h"

#include "broker/engine/resume.h"
#include "broker/engine/state.h"
#include "common/assert.h"
#include "common/planted.h"

#include <stdio.h>
#include <stdlib.h>

/* From the first row that was not acknowledged to the last one. */
#define ROW_SPAN_MAX (UINT64_C(1) << 26)

/* ---- what lives only meanwhile -------------------------------------------------------------- */

struct recovery {
    struct store_key last;
    bool has_rows;
    bool has_meta;
    struct recovery_counts counts;
};

/* Maps from generations to the tasks that died in them, as rangesets. */
struct recovering {
    uint64_t rows;               /* from here on no row can be missing */
    struct tri_map acknowledged; /* settled if the task has not been retried since */
    struct tri_map dead;         /* as the TASKs say, of a batch that was retried */
};

void recovery_free(struct engine *engine)
{
    free(engine->recovery);
    engine->recovery = NULL;
}

static struct tri_rangeset *deaths_at(struct tri_map *map, uint64_t generation)
{
    struct tri_rangeset *tasks = tri_map_find(map, generation);

    if (tasks == NULL) {
        tasks = tri_alloc(1, sizeof(*tasks));
        tri_map_put(map, generation, tasks);
    }
    return tasks;
}

static void deaths_free(struct tri_map *map)
{
    uint64_t generation;
    void *tasks;

    for (size_t at = 0; tri_map_next(map, &at, &generation, &tasks);) {
        tri_rangeset_deinit(tasks);
        free(tasks);
    }
    tri_map_deinit(map);
}

void recovering_free(struct batch *batch)
{
    struct recovering *self = batch->recovering;

    if (self == NULL)
        return;
    deaths_free(&self->acknowledged);
    deaths_free(&self->dead);
    free(self);
    batch->recovering = NULL;
}

/* ---- META ----------------------------------------------------------------------------------- */

static enum tri_status recover_note(struct engine *engine,
                                    uint64_t key,
                                    struct tri_bytes head,
                                    struct tri_error *error)
{
    struct stored_note note;
    enum tri_status status = stored_open_note(head, &note, error);

    if (status != TRI_OK)
        return status;
    if (key >= STORE_KEY_END - 1)
        return tri_fail(error, TRI_STORE, "its key is over its limit");
    engine->next_note = key + 1;
    if (note.kind == NOTE_WORKER)
        tri_bytemap_at(&engine->known, note.name, NULL)->number = key;
    else if (engine->handlers.count < HANDLERS_KNOWN_MAX)
        tri_bytemap_at(&engine->handlers, note.name, NULL)->number = 1;
    return TRI_OK;
}

static enum tri_status recover_meta(struct engine *engine,
                                    struct tri_bytes head,
                                    struct tri_error *error)
{
    struct stored_meta meta;
    enum tri_status status = stored_open_meta(head, &meta, error);

    if (status != TRI_OK)
        return status;
    if (meta.next_number == 0)
        return tri_fail(error, TRI_STORE, "batches are numbered from 1");
    engine->recovery->has_meta = true;
    engine->options.epoch = meta.epoch + PLANTED_VALUE(EPOCH_FORGOTTEN, 0, 1);
    engine->next_number = meta.next_number;
    memcpy(engine->options.cluster.bytes, meta.cluster.data, meta.cluster.size);
    engine->clock_offset = meta.clock_ms - engine->now;
    return TRI_OK;
}

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

static enum tri_status recover_batch(struct engine *engine,
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

static enum tri_status recover_chunk(struct engine *engine,
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

static enum tri_status recover_result(struct engine *engine,
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

static enum tri_status recover_task(struct engine *engine,
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

/* ---- the rest of a batch -------------------------------------------------------------------- */

/* What was acknowledged and folded, and neither is dead nor cancelled, is done. */
static void settle_folded(struct batch *batch)
{
    struct tri_rangeset done = { 0 };

    tri_rangeset_copy(&done, &batch->folded_settled);
    tri_rangeset_subtract(&done, &batch->dead);
    tri_rangeset_subtract(&done, &batch->cancelled);
    tri_rangeset_union(&batch->done, &done);
    tri_rangeset_union(&batch->settled, &batch->folded_settled);
    tri_rangeset_deinit(&done);
}

/* Everything that has a place; false when something has two. */
static bool gather(const struct batch *batch, struct tri_rangeset *all)
{
    uint64_t count = tri_rangeset_union(all, &batch->done);

    count += tri_rangeset_union(all, &batch->dead);
    count += tri_rangeset_union(all, &batch->cancelled);
    count += tri_rangeset_union(all, &batch->fresh.tasks);
    tri_dlist_foreach(&batch->pools, node)
    {
        count += tri_rangeset_union(all, &tri_container_of(node, struct pool, node)->tasks);
    }
    tri_dlist_foreach(&batch->delays, node)
    {
        count += tri_rangeset_union(all, &tri_container_of(node, struct delay, node)->tasks);
    }
    return count
           == tri_rangeset_count(&batch->done) + tri_rangeset_count(&batch->dead)
                  + tri_rangeset_count(&batch->cancelled) + batch->pending + batch->delayed;
}

/* What has no place is pending. False when places were taken twice or beyond the end. */
static bool add_fresh(struct batch *batch)
{
    static const struct grade fresh;
    struct tri_rangeset all = { 0 };
    struct tri_range gap;
    bool is_sound = gather(batch, &all);
    uint64_t last;

    is_sound = is_sound && (!tri_rangeset_last(&all, &last) || last < batch->count);
    for (uint64_t at = 0; is_sound && tri_rangeset_next_gap(&all, at, &gap);) {
        if (gap.first >= batch->count)
            break;
        if (gap.count > batch->count - gap.first)
            gap.count = batch->count - gap.first;
        batch_restore_pending(batch, &fresh, gap.first, gap.count);
        at = gap.first + gap.count;
    }
    tri_rangeset_deinit(&all);
    return is_sound;
}

/* Whatever may run has its argument. */
static bool has_items(const struct batch *batch)
{
    struct tri_rangeset undone = { 0 };
    bool has = true;

    if (batch->stock == NULL)
        return true;
    for (struct tri_range range = { 0, 0 };
         has && batch_next_undone(batch, range.first + range.count, batch->count, &range);) {
        tri_rangeset_clear(&undone);
        tri_rangeset_add(&undone, range.first, range.count);
        has = stock_has(batch->stock, &undone);
    }
    tri_rangeset_deinit(&undone);
    return has;
}

/* The last rows before its own was written have been acknowledged. */
static bool skip_acknowledged(struct batch *batch)
{
    uint64_t rows = batch->recovering->rows;

    if (batch->row_next >= rows)
        return true;
    if (batch->row_next != batch->row_base && rows - batch->row_base > ROW_SPAN_MAX)
        return false;
    row_restore_end(batch, rows);
    return true;
}

/* The tasks that died in that generation, and are dead. */
static const struct tri_rangeset *dead_of(const struct batch *batch, uint64_t generation)
{
    if (batch->generation == 1)
        return &batch->dead;
    return tri_map_find(&batch->recovering->dead, generation);
}

/* A row of failures shows those that still hold. False: some do not, and nothing was retried. */
static bool cut_retried(struct engine *engine, struct batch *batch)
{
    bool is_sound = true;

    for (uint64_t id = batch->row_base; is_sound && id < batch->row_next; id++) {
        struct row *row = row_find(batch, id);
        struct tri_rangeset tasks = { 0 };
        struct tri_rangeset retried = { 0 };
        const struct tri_rangeset *dead;

        if (row == NULL || row->what != ROW_DEAD)
            continue;
        row_tasks(row, &tasks);
        tri_rangeset_copy(&retried, &tasks);
        dead = dead_of(batch, row->generation);
        if (dead != NULL)
            tri_rangeset_subtract(&retried, dead);
        is_sound = batch->generation != 1 || tri_rangeset_is_empty(&retried);
        tri_rangeset_subtract(&tasks, &retried);
        entry_bury(batch, &tasks, id);
        if (is_sound && !row_cut(engine, row, &retried))
            row_drop(engine, batch, row);
        tri_rangeset_deinit(&tasks);
        tri_rangeset_deinit(&retried);
    }
    return is_sound;
}

/* Those that died before the last retry by hand. */
static uint64_t count_forgiven(const struct batch *batch)
{
    const struct tri_rangeset *dead = dead_of(batch, batch->generation);

    return tri_rangeset_count(&batch->dead) - (dead != NULL ? tri_rangeset_count(dead) : 0);
}

static const char *finish(struct engine *engine, struct batch *batch)
{
    bool ended = batch_has_ended(batch);
    uint64_t open;

    if (!skip_acknowledged(batch))
        return "too many of its rows are missing";
    settle_folded(batch);
    if (!cut_retried(engine, batch))
        return "tasks have failed that are not dead";
    if (!add_fresh(batch))
        return "its tasks have ended in more than one way";
    open = batch->pending + batch->delayed;
    if (ended ? open != 0 : batch->sealed && open == 0)
        return "its tasks contradict its state";
    if (batch->stock != NULL)
        stock_recovered(engine, batch);
    if (!has_items(batch))
        return "items of it are missing";
    if (!suspects_restore(batch))
        return "the list of its suspects is damaged";
    batch->forgiven = count_forgiven(batch);
    batch->held_back = !ended;
    batch->deserted = true; /* whoever had accepted it may only not be back yet */
    batch->recovered_count = batch->count;
    if (!batch->sealed)
        batch_set_feeder(engine, batch, NULL);
    recovering_free(batch);
    return NULL;
}

/* ---- engine.h ------------------------------------------------------------------------------- */

void engine_recover_begin(struct engine *self, tri_time now)
{
    tri_assert(self->recovery == NULL && self->now == 0 && self->batches.count == 0);
    self->now = now;
    self->clock_offset = 0 - now;
    self->recovery = tri_alloc(1, sizeof(*self->recovery));
}

static bool comes_after(struct store_key key, struct store_key before)
{
    if (key.table != before.table)
        return key.table > before.table;
    if (key.batch != before.batch)
        return key.batch > before.batch;
    return key.key > before.key;
}

static enum tri_status recover(struct engine *self,
                               struct store_key key,
                               struct tri_bytes head,
                               uint64_t payload_bytes,
                               struct tri_error *error)
{
    switch (key.table) {
    case STORE_META:
        if (key.batch != 0)
            return tri_fail(error, TRI_STORE, "it is of no batch");
        return key.key == 0 ? recover_meta(self, head, error)
                            : recover_note(self, key.key, head, error);
    case STORE_BATCH:
        return recover_batch(self, key, head, error);
    case STORE_CHUNK:
        return recover_chunk(self, key, head, payload_bytes, error);
    case STORE_ROW:
        return recover_result(self, key, head, payload_bytes, error);
    case STORE_TASK:
        return recover_task(self, key, head, payload_bytes, error);
    }
    return tri_fail(error, TRI_STORE, "there is no such table");
}

enum tri_status engine_recover_row(struct engine *self,
                                   struct store_key key,
                                   struct tri_bytes head,
                                   uint64_t payload_bytes,
                                   struct tri_error *error)
{
    static const char *const tables[] = { "META", "BATCH", "CHUNK", "ROW", "TASK" };
    struct recovery *recovery = self->recovery;
    struct tri_error why = { TRI_OK, "" };
    enum tri_status status = TRI_OK;

    if (recovery->has_rows && !comes_after(key, recovery->last))
        status = tri_fail(&why, TRI_STORE, "it is out of order");
    else if (!recovery->has_meta && (key.table != STORE_META || key.key != 0))
        status = tri_fail(&why, TRI_STORE, "the row that comes first is missing");
    recovery->has_rows = true;
    recovery->last = key;
    if (status == TRI_OK)
        status = recover(self, key, head, payload_bytes, &why);
    if (status == TRI_OK)
        return TRI_OK;
    return tri_fail(error, TRI_STORE, "row %s %llu/%llu: %.400s",
                    key.table <= STORE_TASK ? tables[key.table] : "?",
                    (unsigned long long)key.batch, (unsigned long long)key.key, why.text);
}

/* Ended batches stand in the order in which they ended, however long ago that is. */
static void link_ended(struct engine *self)
{
    uint64_t retention_ms = self->options.limits.retention_ms;
    struct tri_heap order;
    struct tri_heap_node *node;
    uint64_t number;
    void *value;

    tri_heap_init(&order);
    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &value);) {
        struct batch *batch = value;
        uint64_t age_ms = self->now - batch->ended_at;

        if (!batch_has_ended(batch))
            continue;
        if (age_ms > retention_ms) {
            batch->submitted_at += age_ms - retention_ms;
            batch->ended_at += age_ms - retention_ms;
            age_ms = retention_ms;
        }
        tri_heap_insert(&order, &batch->ready, retention_ms - age_ms);
    }
    while ((node = tri_heap_pop(&order)) != NULL)
        tri_dlist_push_back(&self->ended_batches,
                            &tri_container_of(node, struct batch, ready)->ended);
    tri_heap_deinit(&order);
}

enum tri_status engine_recover_end(struct engine *self,
                                   struct recovery_counts *counts,
                                   struct tri_error *error)
{
    uint64_t number;
    void *batch;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &batch);) {
        const char *fault = finish(self, batch);

        if (fault != NULL)
            return tri_fail(error, TRI_STORE, "batch %llu: %s", (unsigned long long)number, fault);
    }
    link_ended(self);
    *counts = self->recovery->counts;
    counts->batches = self->batches.count;
    counts->workers = self->known.count;
    recovery_free(self);
    reclaim_begin(self);
    return TRI_OK;
}
