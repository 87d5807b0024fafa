/* pool.c - moving tasks between pending, done, dead and cancelled. */
#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* ---- pending -------------------------------------------------------------------------------- */

static struct pool *pool_of(struct batch *batch, const struct grade *grade)
{
    struct pool *pool;

    if (grade_equals(grade, &batch->fresh.grade))
        return &batch->fresh;
    tri_dlist_foreach(&batch->pools, node)
    {
        pool = tri_container_of(node, struct pool, node);
        if (grade_equals(grade, &pool->grade))
            return pool;
    }
    pool = tri_alloc(1, sizeof(*pool));
    pool->grade = *grade;
    tri_dlist_push_back(&batch->pools, &pool->node);
    return pool;
}

void pool_free_if_empty(struct batch *batch, struct pool *pool)
{
    if (pool == &batch->fresh || !tri_rangeset_is_empty(&pool->tasks))
        return;
    tri_dlist_remove(&batch->pools, &pool->node);
    tri_rangeset_deinit(&pool->tasks);
    free(pool);
}

void batch_add_pending(struct engine *engine,
                       struct batch *self,
                       const struct grade *grade,
                       const struct tri_rangeset *tasks)
{
    if (tri_rangeset_is_empty(tasks))
        return;
    if (self->halting || self->cancelling) {
        batch_add_cancelled(engine, self, tasks);
        return;
    }
    self->pending += tri_rangeset_union(&pool_of(self, grade)->tasks, tasks);
    self->suspects_changed = self->suspects_changed || grade->vanished != 0;
    batch_gain(engine, self);
}

void batch_restore_pending(struct batch *self,
                           const struct grade *grade,
                           uint64_t first,
                           uint64_t count)
{
    self->pending += tri_rangeset_add(&pool_of(self, grade)->tasks, first, count);
}

void batch_add_fresh(struct engine *engine, struct batch *self, uint64_t first, uint64_t count)
{
    self->pending += tri_rangeset_add(&self->fresh.tasks, first, count);
    batch_gain(engine, self);
}

struct pool *batch_first_pool(struct batch *self, bool no_suspects)
{
    struct pool *best = NULL;
    uint64_t best_first = 0;
    uint64_t first;

    if (tri_rangeset_first(&self->fresh.tasks, &best_first))
        best = &self->fresh;
    tri_dlist_foreach(&self->pools, node)
    {
        struct pool *pool = tri_container_of(node, struct pool, node);

        if (no_suspects && grade_is_suspect(&pool->grade))
            continue;
        if (tri_rangeset_first(&pool->tasks, &first) && (best == NULL || first < best_first)) {
            best = pool;
            best_first = first;
        }
    }
    return best;
}

void batch_take(struct batch *self, struct pool *pool, uint64_t first, uint64_t count)
{
    uint64_t taken = tri_rangeset_remove(&pool->tasks, first, count);

    tri_assert(taken == count);
    self->pending -= count;
    pool_free_if_empty(self, pool);
}

/* ---- from anywhere -------------------------------------------------------------------------- */

static uint64_t pull_pending(struct batch *batch, struct tri_range range)
{
    uint64_t pulled = tri_rangeset_remove(&batch->fresh.tasks, range.first, range.count);

    tri_dlist_foreach(&batch->pools, node)
    {
        struct pool *pool = tri_container_of(node, struct pool, node);

        pulled += tri_rangeset_remove(&pool->tasks, range.first, range.count);
        pool_free_if_empty(batch, pool);
    }
    batch->pending -= pulled;
    return pulled;
}

static uint64_t pull_leased(struct engine *engine, struct batch *batch, struct tri_range range)
{
    uint64_t pulled = 0;

    tri_dlist_foreach(&batch->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            struct lease *lease = tri_container_of(lease_node, struct lease, node);

            pulled += lease_cancel(engine, lease, range);
        }
    }
    return pulled;
}

uint64_t batch_pull(struct engine *engine, struct batch *self, struct tri_range range)
{
    uint64_t pulled = pull_pending(self, range);

    if (pulled < range.count && self->delayed != 0)
        pulled += delay_pull(engine, self, range);
    if (pulled < range.count && self->leased != 0)
        pulled += pull_leased(engine, self, range);
    batch_touch(engine, self);
    return pulled;
}

/* ---- where tasks end ------------------------------------------------------------------------ */

void batch_add_done(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks)
{
    uint64_t added = tri_rangeset_union(&self->done, tasks);

    tri_assert(added == tri_rangeset_count(tasks));
    if (self->stock != NULL)
        stock_end_tasks(engine, self, tasks, false);
    if (!tri_rangeset_is_empty(&self->entry_indexes))
        entry_forget(engine, self, tasks);
    batch_touch(engine, self);
}

void batch_add_dead(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks)
{
    uint64_t added = tri_rangeset_union(&self->dead, tasks);

    tri_assert(added == tri_rangeset_count(tasks));
    if (self->stock != NULL)
        stock_end_tasks(engine, self, tasks, true);
    batch_touch(engine, self);
}

void batch_add_cancelled(struct engine *engine,
                         struct batch *self,
                         const struct tri_rangeset *tasks)
{
    uint64_t added = tri_rangeset_union(&self->cancelled, tasks);

    tri_assert(added == tri_rangeset_count(tasks));
    if (self->stock != NULL)
        stock_end_tasks(engine, self, tasks, false);
    cancel_report(engine, self, tasks);
    batch_touch(engine, self);
}

/* The end of the run of `set` that `index` is in, or `index`. */
static uint64_t past(const struct tri_rangeset *set, uint64_t index)
{
    struct tri_range gap;

    return tri_rangeset_next_gap(set, index, &gap) ? gap.first : index;
}

static uint64_t past_ended(const struct batch *batch, uint64_t index)
{
    uint64_t before;

    do {
        before = index;
        index = past(&batch->done, index);
        index = past(&batch->dead, index);
        index = past(&batch->cancelled, index);
    } while (index != before);
    return index;
}

static uint64_t until(const struct tri_rangeset *set, uint64_t from, uint64_t end)
{
    struct tri_range range;

    return tri_rangeset_next(set, from, &range) && range.first < end ? range.first : end;
}

bool batch_next_undone(const struct batch *self, uint64_t at, uint64_t end, struct tri_range *out)
{
    if (end > self->count)
        end = self->count;
    at = at < end ? past_ended(self, at) : end;
    if (at >= end)
        return false;
    end = until(&self->done, at, end);
    end = until(&self->dead, at, end);
    end = until(&self->cancelled, at, end);
    *out = (struct tri_range){ at, end - at };
    return true;
}

uint64_t batch_oldest(struct batch *self)
{
    self->oldest = past_ended(self, self->oldest);
    return self->oldest;
}
