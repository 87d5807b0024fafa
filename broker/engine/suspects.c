/* suspects.c - what was in flight on vanished workers, kept over a restart: with the batch's own
 * row, because it can be whole leases and has no history of its own. */
#include "broker/engine/state.h"

/* Runs of suspects in a BATCH head; what is beyond is forgotten by a restart. */
#define SUSPECTS_MAX 1024

static void note_set(struct tri_buffer *out,
                     const struct grade *grade,
                     const struct tri_rangeset *tasks)
{
    struct tri_range range;

    if (grade->vanished == 0)
        return;
    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count) {
        struct stored_suspect suspect = {
            .first = range.first,
            .count = range.count,
            .charges = (uint64_t)grade->failures + grade->crashes,
            .vanished = grade->vanished,
            .cap = grade->cap,
        };

        if (out->size >= SUSPECTS_MAX * sizeof(suspect))
            return;
        tri_buffer_append(out, &suspect, sizeof(suspect));
    }
}

void suspects_note(struct engine *engine, struct batch *batch)
{
    if (!batch->suspects_changed)
        return;
    batch->suspects_changed = false;
    tri_buffer_clear(&batch->suspects);
    tri_dlist_foreach(&batch->pools, node)
    {
        const struct pool *pool = tri_container_of(node, struct pool, node);

        note_set(&batch->suspects, &pool->grade, &pool->tasks);
    }
    tri_dlist_foreach(&batch->delays, node)
    {
        const struct delay *delay = tri_container_of(node, struct delay, node);

        note_set(&batch->suspects, &delay->grade, &delay->tasks);
    }
    tri_dlist_foreach(&batch->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            const struct lease *lease = tri_container_of(lease_node, struct lease, node);

            note_set(&batch->suspects, &lease->grade, &lease->undone);
        }
    }
    batch_put_later(engine, batch);
}

/* The part of a pool that a suspect run covers. */
static void move(struct batch *batch, struct pool *pool, const struct stored_suspect *suspect)
{
    struct grade grade = pool->grade;
    uint64_t end = suspect->first + suspect->count;
    struct tri_range part;

    if (grade.vanished != 0 || (uint64_t)grade.failures + grade.crashes != suspect->charges)
        return;
    grade.vanished = (uint32_t)suspect->vanished;
    grade.cap = suspect->cap;
    for (uint64_t at = suspect->first; at < end && tri_rangeset_next(&pool->tasks, at, &part);) {
        if (part.first >= end)
            break;
        if (part.count > end - part.first)
            part.count = end - part.first;
        tri_rangeset_remove(&pool->tasks, part.first, part.count);
        batch->pending -= part.count;
        batch_restore_pending(batch, &grade, part.first, part.count);
        at = part.first + part.count;
    }
    pool_free_if_empty(batch, pool);
}

static bool is_sound(const struct stored_suspect *suspect)
{
    return suspect->first < TRI_INDEX_END && suspect->count <= TRI_INDEX_END - suspect->first
           && suspect->vanished != 0 && suspect->vanished <= INT32_MAX && suspect->cap <= INT64_MAX;
}

bool suspects_restore(struct batch *batch)
{
    struct stored_suspect suspect;

    if (batch->suspects.size % sizeof(suspect) != 0
        || batch->suspects.size > SUSPECTS_MAX * sizeof(suspect))
        return false;
    for (size_t at = 0; at < batch->suspects.size; at += sizeof(suspect)) {
        memcpy(&suspect, batch->suspects.data + at, sizeof(suspect));
        if (!is_sound(&suspect))
            return false;
        move(batch, &batch->fresh, &suspect);
        tri_dlist_foreach(&batch->pools, node)
        {
            move(batch, tri_container_of(node, struct pool, node), &suspect);
        }
    }
    return true;
}
