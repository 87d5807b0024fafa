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

void recovery_free(struct engine *engine)
{
    free(engine->recovery);
    engine->recovery = NULL;
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
        const char *fault = recover_finish(self, batch);

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
