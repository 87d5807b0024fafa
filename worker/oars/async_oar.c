/* One coroutine: how it takes tasks, waits and is woken. */
#include "worker/oars/async.h"

#include "common/assert.h"
#include "common/clock.h"
#include "worker/host_crash.h"
#include "worker/host_lease.h"

/* ---- switching ------------------------------------------------------------------------------ */

void oar_resume(struct oar *self)
{
    struct async_loop *loop = self->loop;
    struct host_table *table = loop->rower.host->table;

    self->state = OAR_RUNS;
    self->breaths = 0;
    if (self->timed)
        self->resumed_ns = loop_clock(loop);
    loop->current = self;
    atomic_store_explicit(&table->running, (int32_t)self->coroutine.number, memory_order_relaxed);
    coroutine_resume(&self->coroutine);
    atomic_store_explicit(&table->running, -1, memory_order_relaxed);
    loop->current = NULL;
}

static void stop_here(struct oar *self)
{
    if (self->timed)
        self->busy_ns += loop_clock(self->loop) - self->resumed_ns;
    self->loop->waits_seen = true;
    coroutine_suspend(&self->coroutine);
}

enum tri_status oar_wait(struct oar *self)
{
    self->state = OAR_WAITS;
    stop_here(self);
    return self->woken;
}

void oar_wake(struct oar *self, enum tri_status why)
{
    if (self->state != OAR_WAITS)
        return;
    self->state = OAR_READY;
    self->woken = why;
    tri_dlist_push_back(&self->loop->ready, &self->ready);
}

void oar_yield(struct oar *self)
{
    self->state = OAR_READY;
    tri_dlist_push_back(&self->loop->ready, &self->ready);
    stop_here(self);
}

void oar_enter(struct oar *self)
{
    gate_enter(&self->loop->rower);
    crash_task = NULL;
}

void oar_leave(struct oar *self)
{
    crash_task = &self->task;
    gate_leave(&self->loop->rower);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

/* The next task of the loop's run. False at its end. */
static bool take_task(struct oar *self)
{
    struct async_loop *loop = self->loop;
    struct rower *rower = &loop->rower;
    struct host_slot *slot = self->task.slot;
    uint64_t index;

    if (rower->next == rower->end)
        return false;
    index = rower->next++;
    task_begin(&self->task, rower->lease, index);
    self->box = rower->box;
    self->timed = rower->timed;
    self->busy_ns = 0;
    self->started_ns = self->resumed_ns = self->timed ? loop_clock(loop) : loop->now_ns;
    atomic_store_explicit(&slot->task, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->lease, rower->lease->id, memory_order_relaxed);
    atomic_store_explicit(&slot->task, index + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->seq, atomic_load_explicit(&slot->seq, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    tri_dlist_push_back(&loop->in_flight, &self->node);
    if (loop->in_flight.count == 1 && rower->host->batch.spec.timeout_ms != 0)
        loop_arm_deadline(loop);
    return true;
}

/* What was refused while it ran gives nothing; the lease was kept for it. */
static void finish_refused(struct oar *self)
{
    struct host *host = self->loop->rower.host;

    pthread_mutex_lock(&host->lock);
    lease_unhold(host, self->task.lease);
    pthread_mutex_unlock(&host->lock);
    self->task.refused = false;
    atomic_store_explicit(&self->task.stop, false, memory_order_relaxed);
}

/* Apart, so that what it needs of the stack is not needed by a task that waits. */
static __attribute__((noinline)) void finish(struct oar *self,
                                             enum tri_status status,
                                             const struct tri_value *value)
{
    struct async_loop *loop = self->loop;

    tri_dlist_remove(&loop->in_flight, &self->node);
    if (unlikely(self->task.refused)) {
        finish_refused(self);
        return;
    }
    if (self->timed) {
        uint64_t now = loop_clock(loop);
        struct task_cost cost = { now - self->started_ns, self->busy_ns + now - self->resumed_ns
                                                              + self->task.cpu_extra_ns };

        self->resumed_ns = now;
        rower_finish(loop->rower.host, self->box, &self->task, status, value, &cost);
    } else {
        rower_finish(loop->rower.host, self->box, &self->task, status, value, NULL);
        self->box->haul.sampled = true;
    }
    loop->dirty = true;
    loop->full |= box_is_full(self->box);
}

static __attribute__((noinline)) void refuse_argument(struct oar *self)
{
    const struct rower *rower = &self->loop->rower;
    struct tri_value argument;
    struct tri_error error;

    rower_argument(&rower->host->batch, rower->chunk, self->task.index, &argument, &error);
    self->task.error = error.text;
    finish(self, TRI_INVALID, NULL);
}

static void run_task(struct oar *self)
{
    struct rower *rower = &self->loop->rower;
    const struct batch *batch = &rower->host->batch;
    struct tri_value argument;
    struct tri_result out;
    enum tri_status status;

    if (unlikely(!rower_argument(batch, rower->chunk, self->task.index, &argument, NULL))) {
        refuse_argument(self);
        return;
    }
    out.value.type = TRI_NIL;
    oar_leave(self);
    status = batch->handler->run(&self->task, &argument, &out);
    oar_enter(self);
    finish(self, status, &out.value);
}

void oar_run(struct coroutine *coroutine)
{
    struct oar *self = tri_container_of(coroutine, struct oar, coroutine);

    for (;;) {
        while (!self->loop->full && take_task(self))
            run_task(self);
        atomic_store_explicit(&self->task.slot->task, 0, memory_order_relaxed);
        arena_reset(&self->task.arena);
        self->state = OAR_REST;
        coroutine_suspend(coroutine);
    }
}
