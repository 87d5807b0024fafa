/* recover_finish.c - what follows when all rows of a batch have been read.
 *
 * What no row speaks of is pending; whatever is accepted keeps the invariants of check.c. */
#include "broker/engine/recover.h"

#include "broker/engine/state.h"

#include <stdlib.h>

/* ---- who died when -------------------------------------------------------------------------- */

struct tri_rangeset *deaths_at(struct tri_map *map, uint64_t generation)
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

const char *recover_finish(struct engine *engine, struct batch *batch)
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
