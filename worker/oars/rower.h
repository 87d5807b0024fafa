/* rower.h - what the kinds of oars have in common, and what the host asks of each kind.
 *
 * Threads: gate_leave and gate_enter by the rower itself; everything else as said.
 */
#ifndef ROWER_H
#define ROWER_H

#include "worker/host_box.h"
#include "worker/host_state.h"
#include "worker/oars/task_state.h"

/* ---- the gate ------------------------------------------------------------------------------- */

/* The rower goes into a handler: what is its own may be looked after by others. */
static inline void gate_leave(struct rower *self)
{
    atomic_store_explicit(&self->gate, GATE_OPEN, memory_order_release);
}

void gate_wait(struct rower *self);

/* The rower is back from a handler. */
static inline void gate_enter(struct rower *self)
{
    int open = GATE_OPEN;

    if (unlikely(!atomic_compare_exchange_strong_explicit(
            &self->gate, &open, GATE_OWNED, memory_order_acquire, memory_order_relaxed)))
        gate_wait(self);
}

/* Under host->lock, by another thread: what is the rower's is ours until gate_give. False when the
 * rower is not inside a handler. */
static inline bool gate_take(struct rower *self)
{
    int open = GATE_OPEN;

    return atomic_compare_exchange_strong_explicit(&self->gate, &open, GATE_TAKEN,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void gate_give(struct rower *self)
{
    atomic_store_explicit(&self->gate, GATE_OPEN, memory_order_release);
}

/* ---- every kind ----------------------------------------------------------------------------- */

/* False when there is no descriptor left. */
bool rower_init(struct rower *self, struct host *host);

/* Write the rower's eventfd: whatever it waits for, it looks again. */
void rower_wake(struct rower *self);
void rower_drain(struct rower *self);

/* The argument of task `index`, as the handler wants it: an item of `chunk`, or (NULL) a member of
 * the batch's range. False with an error when it is not what the handler wants. */
bool rower_item(const struct batch *batch,
                const struct lease_chunk *chunk,
                uint64_t index,
                struct tri_value *argument,
                struct tri_error *error);

static inline bool rower_argument(const struct batch *batch,
                                  const struct lease_chunk *chunk,
                                  uint64_t index,
                                  struct tri_value *argument,
                                  struct tri_error *error)
{
    if (unlikely(!batch->plain))
        return rower_item(batch, chunk, index, argument, error);
    /* The last member may be followed by nothing that fits: unsigned, it wraps quietly. Written
     * field by field: a copy of a struct just written in parts stalls. */
    argument->type = TRI_INT;
    argument->integer = (int64_t)((uint64_t)batch->spec.first + index * (uint64_t)batch->spec.step);
    return true;
}

/* Record a task that failed, with its error text. `value` may be NULL, `cost` too. */
void rower_fail(struct host *host,
                struct box *box,
                struct tri_task *task,
                enum tri_status status,
                const struct tri_value *value,
                const struct task_cost *cost);

/* Put what a task gave, or how it failed, into `box`. `cost`: NULL when it was not timed alone. */
static inline void rower_finish(struct host *host,
                                struct box *box,
                                struct tri_task *task,
                                enum tri_status status,
                                const struct tri_value *value,
                                const struct task_cost *cost)
{
    struct tri_error error;

    if (unlikely(status != TRI_OK)) {
        rower_fail(host, box, task, status, value, cost);
        return;
    }
    status = box_keep(box, task->index, value, &host->batch, &error);
    if (unlikely(status != TRI_OK)) {
        task->error = error.text;
        rower_fail(host, box, task, status, NULL, cost);
    } else if (cost != NULL) {
        box_cost(box, *cost);
    }
}

/* CPU time and switches of the calling rower since it was last asked, into `haul`. */
void rower_account(struct rower *self, struct haul *haul);

/* Under host->lock and the gate. Report a task that is at hand as past its time, or (timeout
 * false) drop it, cancelled: from now on its result is refused, and it is told to stop. */
void rower_refuse(struct host *host, struct box *box, struct tri_task *task, bool timeout);

/* ---- each kind ------------------------------------------------------------------------------ */

/* Under host->lock. Tasks are queued: start or wake rowers, but `self`, who looks by itself. */
void thread_rouse(struct host *host, const struct rower *self);
void async_rouse(struct host *host, const struct rower *self);

/* Under host->lock. Apply what leases say is cancelled to the runs and tasks of all rowers, `self`
 * included. */
void thread_obey(struct host *host, struct rower *self);
void async_obey(struct host *host, struct rower *self);

/* One pass of the watch over the kind, under host->lock: tasks past their time, oars stuck with a
 * run, boxes whose owner is inside a handler (into `parcels`). */
void thread_watch(struct host *host, uint64_t now, bool partials, struct tri_dlist_head *parcels);
void async_watch(struct host *host, uint64_t now, bool partials, struct tri_dlist_head *parcels);

/* Start the loop's thread. Whether it reads the link at the moment: under host->lock. */
enum tri_status async_start(struct host *host, struct tri_error *error);
bool async_reads(const struct host *host);

static inline void host_obey(struct host *host, struct rower *self)
{
    if (host->has_loop)
        async_obey(host, self);
    else
        thread_obey(host, self);
}

static inline void host_rouse(struct host *host, const struct rower *self)
{
    if (host->has_loop)
        async_rouse(host, self);
    else
        thread_rouse(host, self);
}

#endif
