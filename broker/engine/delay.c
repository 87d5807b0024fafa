#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

void delay_new(struct engine *engine,
               struct batch *batch,
               const struct grade *grade,
               const struct tri_rangeset *tasks,
               uint64_t wait_ms)
{
    struct delay *self;

    if (tri_rangeset_is_empty(tasks))
        return;
    if (batch->halting || batch->cancelling) {
        batch_add_cancelled(engine, batch, tasks);
        return;
    }
    self = tri_alloc(1, sizeof(*self));
    self->batch = batch;
    self->grade = *grade;
    tri_rangeset_copy(&self->tasks, tasks);
    tri_heap_insert(&engine->delays, &self->due, engine->now + wait_ms);
    tri_dlist_push_back(&batch->delays, &self->node);
    batch->delayed += tri_rangeset_count(tasks);
    batch_touch(engine, batch);
}

void delay_restore(struct engine *engine,
                   struct batch *batch,
                   const struct grade *grade,
                   uint64_t index,
                   uint64_t wait_ms)
{
    struct tri_dlist_node *last = tri_dlist_last(&batch->delays);
    struct delay *self = last != NULL ? tri_container_of(last, struct delay, node) : NULL;

    if (self == NULL || self->due.key != engine->now + wait_ms
        || !grade_equals(&self->grade, grade)) {
        self = tri_alloc(1, sizeof(*self));
        self->batch = batch;
        self->grade = *grade;
        tri_heap_insert(&engine->delays, &self->due, engine->now + wait_ms);
        tri_dlist_push_back(&batch->delays, &self->node);
    }
    batch->delayed += tri_rangeset_add(&self->tasks, index, 1);
}

void delay_free(struct engine *engine, struct delay *self)
{
    self->batch->delayed -= tri_rangeset_count(&self->tasks);
    tri_heap_remove(&engine->delays, &self->due);
    tri_dlist_remove(&self->batch->delays, &self->node);
    tri_rangeset_deinit(&self->tasks);
    free(self);
}

uint64_t delay_pull(struct engine *engine, struct batch *batch, struct tri_range range)
{
    uint64_t pulled = 0;

    tri_dlist_foreach(&batch->delays, node)
    {
        struct delay *delay = tri_container_of(node, struct delay, node);
        uint64_t count = tri_rangeset_remove(&delay->tasks, range.first, range.count);

        batch->delayed -= count;
        pulled += count;
        if (tri_rangeset_is_empty(&delay->tasks))
            delay_free(engine, delay);
    }
    return pulled;
}

void delay_cancel_all(struct engine *engine, struct batch *batch, struct tri_rangeset *cancelled)
{
    while (!tri_dlist_is_empty(&batch->delays)) {
        struct delay *delay = tri_container_of(tri_dlist_first(&batch->delays), struct delay, node);

        tri_rangeset_union(cancelled, &delay->tasks);
        delay_free(engine, delay);
    }
}

void delay_expire(struct engine *engine)
{
    for (struct tri_heap_node *due = tri_heap_peek(&engine->delays);
         due != NULL && due->key <= engine->now; due = tri_heap_peek(&engine->delays)) {
        struct delay *delay = tri_container_of(due, struct delay, due);
        struct batch *batch = delay->batch;
        struct tri_rangeset tasks = { 0 };
        struct grade grade = delay->grade;

        tri_rangeset_swap(&tasks, &delay->tasks);
        batch->delayed -= tri_rangeset_count(&tasks);
        delay_free(engine, delay);
        batch_add_pending(engine, batch, &grade, &tasks);
        tri_rangeset_deinit(&tasks);
    }
}
