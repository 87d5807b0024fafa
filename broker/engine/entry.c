#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

static struct store_key task_key(const struct batch *batch, uint64_t index)
{
    return (struct store_key){ STORE_TASK, batch->number, index };
}

static void entry_free(struct entry *entry)
{
    history_deinit(&entry->history);
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
    entry->row = UINT64_MAX;
    tri_map_put(&batch->entries, index, entry);
    engine->entry_count++;
    return entry;
}

/* A try that has just ended. */
static void charge(const struct engine *engine,
                   struct history *history,
                   const struct tri_rec_entry *record)
{
    char worker[65];
    const struct tri_rec_attempt attempt = {
        .attempt = record->attempts,
        .outcome = record->outcome,
        .model = record->model,
        .worker = tri_bytes_of(out_printable(record->worker, worker, sizeof(worker))),
        .error = record->error,
        .wall_us = record->wall_us,
        .cpu_us = record->cpu_us,
        .age_ms = engine_clock(engine, engine->now),
        .restarts = engine->options.epoch,
    };

    history_add(history, &attempt);
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

    entry->dead = dead;
    charge(engine, &entry->history, record);
    tri_buffer_clear(&engine->scratch);
    stored_task(engine, batch, entry, grade, wait_ms, &engine->scratch);
    out_put(&engine->out, task_key(batch, record->index), tri_buffer_bytes(&engine->scratch));
    tri_rangeset_add(&batch->entry_indexes, record->index, 1);
    history_deinit(&passing.history);
}

enum tri_status entry_restore(struct engine *engine,
                              struct batch *batch,
                              uint64_t index,
                              const struct stored_task *stored,
                              struct tri_error *error)
{
    struct history history = { 0 };
    enum tri_status status = history_open(&history, stored->history, error);
    struct entry *entry;

    if (status != TRI_OK)
        return status;
    if (stored->history.size == 0)
        history_add(&history, &stored->only);
    tri_rangeset_add(&batch->entry_indexes, index, 1);
    entry = entry_at(engine, batch, index);
    if (entry == NULL) {
        history_deinit(&history);
        return TRI_OK;
    }
    entry->dead = stored->dead != 0;
    entry->history = history;
    return TRI_OK;
}

void entry_bury(struct batch *batch, const struct tri_rangeset *tasks, uint64_t row)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        for (uint64_t i = 0; i < range.count; i++) {
            struct entry *entry = tri_map_find(&batch->entries, range.first + i);

            if (entry != NULL)
                entry->row = row;
        }
}

bool entry_rows(const struct batch *batch,
                const struct tri_rangeset *tasks,
                struct tri_rangeset *rows)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        for (uint64_t i = 0; i < range.count; i++) {
            const struct entry *entry = tri_map_find(&batch->entries, range.first + i);

            if (entry == NULL)
                return false;
            if (entry->row != UINT64_MAX)
                tri_rangeset_add(rows, entry->row, 1);
        }
    return true;
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
