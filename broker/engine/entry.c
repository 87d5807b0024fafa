#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* Of a task's error, in memory; the store and the client's row have all of it. */
#define ERROR_KEPT_BYTES 500

static struct store_key task_key(const struct batch *batch, uint64_t index)
{
    return (struct store_key){ STORE_TASK, batch->number, index };
}

static void entry_free(struct entry *entry)
{
    free(entry->error);
    free(entry);
}

/* The history of a task in memory, if there is room for it. */
static struct entry *entry_at(struct engine *engine, struct batch *batch, uint64_t index)
{
    struct entry *entry = tri_map_find(&batch->entries, index);

    if (entry != NULL || engine->entry_count >= engine->options.limits.entries_max)
        return entry;
    entry = tri_alloc(1, sizeof(*entry));
    entry->index = index;
    tri_map_put(&batch->entries, index, entry);
    engine->entry_count++;
    return entry;
}

static void fill(struct entry *entry, const struct tri_rec_entry *record, bool dead)
{
    size_t size = record->error.size < ERROR_KEPT_BYTES ? record->error.size : ERROR_KEPT_BYTES;

    entry->outcome = (uint32_t)record->outcome;
    entry->model = (uint32_t)record->model;
    entry->attempts = record->attempts;
    entry->wall_us = record->wall_us;
    entry->cpu_us = record->cpu_us;
    entry->dead = dead;
    free(entry->error);
    entry->error = tri_alloc(1, size + 1);
    if (size != 0)
        memcpy(entry->error, record->error.data, size);
    out_printable(record->worker, entry->worker, sizeof(entry->worker));
}

void entry_note(struct engine *engine,
                struct batch *batch,
                const struct tri_rec_entry *record,
                const struct grade *grade,
                uint64_t wait_ms,
                bool dead)
{
    struct entry *kept = entry_at(engine, batch, record->index);
    struct entry passing = { .index = record->index };
    struct entry *entry = kept != NULL ? kept : &passing;

    fill(entry, record, dead);
    tri_buffer_clear(&engine->scratch);
    stored_task(engine, batch, entry, grade, wait_ms, &engine->scratch);
    out_put(&engine->out, task_key(batch, record->index), tri_buffer_bytes(&engine->scratch));
    tri_rangeset_add(&batch->entry_indexes, record->index, 1);
    if (kept == NULL)
        free(passing.error);
}

void entry_restore(struct engine *engine,
                   struct batch *batch,
                   uint64_t index,
                   const struct stored_task *stored)
{
    struct entry *entry = entry_at(engine, batch, index);
    struct tri_rec_entry record = {
        .index = index,
        .outcome = stored->outcome,
        .attempts = stored->attempts,
        .error = stored->error,
        .wall_us = stored->wall_us,
        .cpu_us = stored->cpu_us,
        .model = stored->model,
        .worker = stored->worker,
    };

    tri_rangeset_add(&batch->entry_indexes, index, 1);
    if (entry != NULL)
        fill(entry, &record, stored->dead != 0);
}

static void forget_one(struct engine *engine, struct batch *batch, uint64_t index)
{
    struct entry *entry = tri_map_remove(&batch->entries, index);

    out_delete(&engine->out, task_key(batch, index));
    if (entry == NULL)
        return;
    entry_free(entry);
    engine->entry_count--;
}

static void forget_range(struct engine *engine, struct batch *batch, struct tri_range range)
{
    uint64_t end = range.first + range.count;
    struct tri_range noted;

    for (uint64_t at = range.first; tri_rangeset_next(&batch->entry_indexes, at, &noted);) {
        if (noted.first >= end)
            break;
        if (noted.count > end - noted.first)
            noted.count = end - noted.first;
        for (uint64_t i = 0; i < noted.count; i++)
            forget_one(engine, batch, noted.first + i);
        at = noted.first + noted.count;
    }
    tri_rangeset_remove(&batch->entry_indexes, range.first, range.count);
}

void entry_forget(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        forget_range(engine, batch, range);
}

void entry_free_all(struct engine *engine, struct batch *batch)
{
    uint64_t index;
    void *value;

    for (size_t at = 0; tri_map_next(&batch->entries, &at, &index, &value);) {
        entry_free(value);
        engine->entry_count--;
    }
    tri_map_deinit(&batch->entries);
    tri_rangeset_deinit(&batch->entry_indexes);
}
