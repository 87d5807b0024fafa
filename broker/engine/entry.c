#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

static struct store_key task_key(const struct batch *batch, uint64_t index)
{
    return (struct store_key){ STORE_TASK, batch->number, index };
}

/* The store has it, or nobody needs it any more. */
static void drop_history(struct engine *engine, struct entry *entry)
{
    engine->history_bytes -= entry->history.size;
    history_deinit(&entry->history);
}

static void entry_free(struct engine *engine, struct entry *entry)
{
    drop_history(engine, entry);
    free(entry);
    engine->entry_count--;
}

/* The task in memory, if there is room for it. */
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
static void charge(struct engine *engine, struct entry *entry, const struct tri_rec_entry *record)
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

    engine->history_bytes -= entry->history.size;
    history_add(&entry->history, &attempt);
    engine->history_bytes += entry->history.size;
    entry->attempt = record->attempts;
    entry->outcome = (uint8_t)record->outcome;
}

/* Only what the next failure will be added to is kept in memory, as far as there is room. */
static bool has_room(const struct engine *engine)
{
    return engine->history_bytes <= engine->options.limits.history_bytes_max;
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
    struct tri_bytes payload = { 0 };
    bool stays;

    entry->dead = dead;
    charge(engine, entry, record);
    stays = kept != NULL && !dead && has_room(engine);
    if (!stays)
        payload = (struct tri_bytes){ entry->history.data, entry->history.size };
    tri_buffer_clear(&engine->scratch);
    stored_task(engine, batch, entry, grade, wait_ms, stays, &engine->scratch);
    out_put_payload(&engine->out, task_key(batch, record->index),
                    tri_buffer_bytes(&engine->scratch), payload);
    tri_rangeset_add(&batch->entry_indexes, record->index, 1);
    if (!stays)
        drop_history(engine, entry);
}

/* The history as the row has it: in the head, or, of format 3, in the payload. */
static enum tri_status open_history(const struct stored_task *stored,
                                    uint64_t payload_bytes,
                                    struct history *history,
                                    struct tri_error *error)
{
    if (payload_bytes > HISTORY_BYTES_MAX)
        return tri_fail(error, TRI_STORE, "its history is too long");
    if (stored->format == 1)
        history_add(history, &stored->last);
    else if ((stored->history.size == 0) == (payload_bytes == 0))
        return tri_fail(error, TRI_STORE, "its history contradicts itself");
    if (stored->history.size == 0)
        return TRI_OK;
    return history_open(history, stored->history, error);
}

enum tri_status entry_restore(struct engine *engine,
                              struct batch *batch,
                              uint64_t index,
                              const struct stored_task *stored,
                              uint64_t payload_bytes,
                              struct tri_error *error)
{
    struct entry passing = { .index = index };
    struct tri_rec_attempt last = stored->last;
    enum tri_status status = open_history(stored, payload_bytes, &passing.history, error);
    struct entry *entry;

    if (status != TRI_OK)
        return status;
    tri_rangeset_add(&batch->entry_indexes, index, 1);
    entry = entry_at(engine, batch, index);
    if (entry == NULL)
        entry = &passing;
    history_last(&passing.history, &last);
    entry->attempt = last.attempt;
    entry->outcome = (uint8_t)last.outcome;
    entry->dead = stored->dead != 0;
    entry->history = passing.history;
    engine->history_bytes += entry->history.size;
    if (entry == &passing || !has_room(engine))
        drop_history(engine, entry);
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
    entry_free(engine, entry);
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

    for (size_t at = 0; tri_map_next(&batch->entries, &at, &index, &value);)
        entry_free(engine, value);
    tri_map_deinit(&batch->entries);
    tri_rangeset_deinit(&batch->entry_indexes);
}
