/* Oars that are threads; the process model is this with one oar.
 *
 * A rower takes a run of tasks and calls the handler for each. Nothing of that costs a lock, a
 * clock or an atomic read-modify-write but the one that re-enters the gate. Of rowers without work
 * one reads the link, so that a task that comes alone meets the thread that runs it: no thread
 * wakes another on its way in or out. */
#include "worker/oars/thread.h"
#include "worker/host_control.h"
#include "worker/host_crash.h"
#include "worker/host_lease.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <unistd.h>

#define STACK_BYTES (1u << 20)

struct thread_rower {
    struct rower rower;
    struct tri_task task;
};

/* ---- the run -------------------------------------------------------------------------------- */

/* When the task at hand began; kept across tasks, so that each costs one reading. */
struct stopwatch {
    uint64_t wall_ns;
    uint64_t cpu_ns;
};

static struct stopwatch stopwatch_read(void)
{
    return (struct stopwatch){ tri_clock_now_ns(), tri_clock_thread_cpu_ns() };
}

static struct task_cost stopwatch_lap(struct stopwatch *self, uint64_t cpu_extra_ns)
{
    struct stopwatch now = stopwatch_read();
    struct task_cost cost = { now.wall_ns - self->wall_ns,
                              now.cpu_ns - self->cpu_ns + cpu_extra_ns };

    *self = now;
    return cost;
}

/* Call the handler for the task at hand. */
static inline enum tri_status call(struct thread_rower *self,
                                   uint64_t index,
                                   struct tri_result *out,
                                   struct tri_error *error)
{
    struct rower *rower = &self->rower;
    struct tri_task *task = &self->task;
    const struct batch *batch = &rower->host->batch;
    struct tri_value argument;
    enum tri_status status;

    task_begin(task, rower->lease, index);
    if (unlikely(!rower_argument(batch, rower->chunk, index, &argument, error))) {
        task->error = error->text;
        return TRI_INVALID;
    }
    crash_task = task;
    gate_leave(rower);
    status = batch->handler->run(task, &argument, out);
    gate_enter(rower);
    crash_task = NULL;
    return status;
}

/* Run every task of the run. False when the task at hand was refused meanwhile and the oar given
 * to another thread. */
static inline __attribute__((always_inline)) bool row(struct thread_rower *self, bool timed)
{
    struct rower *rower = &self->rower;
    struct tri_task *task = &self->task;
    struct host_slot *slot = rower->slot;
    uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    struct stopwatch watch = { 0, 0 };

    if (timed)
        watch = stopwatch_read();
    while (rower->next < rower->end) {
        uint64_t index = rower->next++;
        struct tri_result out;
        struct task_cost cost;
        struct tri_error error;
        enum tri_status status;

        atomic_store_explicit(&slot->task, index + 1, memory_order_relaxed);
        atomic_store_explicit(&slot->seq, ++seq, memory_order_relaxed);
        out.value.type = TRI_NIL;
        status = call(self, index, &out, &error);
        if (unlikely(task->refused))
            return false;
        if (timed)
            cost = stopwatch_lap(&watch, task->cpu_extra_ns);
        rower_finish(rower->host, rower->box, task, status, &out.value, timed ? &cost : NULL);
        if (unlikely(box_is_full(rower->box)
                     || atomic_load_explicit(&rower->knock, memory_order_relaxed) != 0)) {
            thread_send_own(rower);
            if (timed)
                watch = stopwatch_read();
        }
    }
    return true;
}

/* A run whose tasks are too short to be timed one by one: together. */
static bool row_untimed(struct thread_rower *self, uint64_t *elapsed_ns)
{
    uint64_t start = tri_clock_now_ns();
    bool back = row(self, false);

    *elapsed_ns = tri_clock_now_ns() - start;
    if (back) {
        self->rower.box->haul.wall_ns += *elapsed_ns;
        self->rower.box->haul.sampled = true;
    }
    return back;
}

static bool row_timed(struct thread_rower *self, uint64_t *elapsed_ns)
{
    uint64_t start = tri_clock_now_ns();
    bool back = row(self, true);

    *elapsed_ns = tri_clock_now_ns() - start;
    return back;
}

/* ---- the life of a thread ------------------------------------------------------------------- */

static bool take_slot(struct rower *self)
{
    struct host *host = self->host;

    for (unsigned i = 0; i < host->width; i++) {
        if (host->slots[i] != NULL)
            continue;
        host->slots[i] = self;
        self->slot_number = i;
        self->slot = &host->table->slots[i];
        self->watched_seq = 0;
        tri_dlist_push_back(&host->rowers, &self->node);
        host->rower_count++;
        return true;
    }
    return false;
}

void thread_leave_slot(struct rower *self)
{
    struct host *host = self->host;

    atomic_store_explicit(&self->slot->task, 0, memory_order_relaxed);
    host->slots[self->slot_number] = NULL;
    host->rower_count--;
    tri_dlist_remove(&host->rowers, &self->node);
}

/* The task that was refused has ended at last. The thread may go on when an oar is free. */
static bool come_back(struct thread_rower *self)
{
    struct rower *rower = &self->rower;
    struct host *host = rower->host;
    bool again;

    pthread_mutex_lock(&host->lock);
    lease_unhold(host, self->task.lease);
    tri_dlist_remove(&host->abandoned, &rower->node);
    again = take_slot(rower);
    self->task.slot_number = rower->slot_number;
    pthread_mutex_unlock(&host->lock);
    self->task.refused = false;
    atomic_store(&self->task.stop, false);
    rower_drain(rower);
    return again;
}

static void *thread_main(void *context)
{
    struct thread_rower *self = context;
    struct rower *rower = &self->rower;
    bool goes_on = true;

    crash_thread_init(&rower->signal_stack);
    while (goes_on) {
        uint64_t elapsed_ns = 0;
        uint64_t count = 0;

        do {
            thread_next_run(rower, elapsed_ns, count);
            count = rower->end - rower->next;
        } while (rower->timed ? row_timed(self, &elapsed_ns) : row_untimed(self, &elapsed_ns));
        goes_on = come_back(self);
    }
    crash_thread_deinit(&rower->signal_stack);
    arena_free(&self->task.arena);
    http_pool_deinit(&rower->http);
    close(rower->wake_fd);
    free(self);
    return NULL;
}

static bool start(struct thread_rower *self)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool started;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    started = pthread_create(&thread, &attributes, thread_main, self) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

/* Under host->lock. One rower more. False when there is no thread or descriptor left for it. */
static bool spawn(struct host *host)
{
    struct thread_rower *self = tri_alloc(1, sizeof(*self));

    if (!rower_init(&self->rower, host)) {
        free(self);
        return false;
    }
    self->rower.task = &self->task;
    self->task.ops = &thread_ops;
    self->task.rower = &self->rower;
    tri_assert(take_slot(&self->rower));
    self->task.slot_number = self->rower.slot_number;
    if (start(self))
        return true;
    thread_leave_slot(&self->rower);
    close(self->rower.wake_fd);
    free(self);
    return false;
}

/* Under host->lock. What the machine does not give is done without, down to one. */
static void spawn_up_to(struct host *host, unsigned count)
{
    for (unsigned i = 0; i < count && host->rower_count < host->width; i++) {
        if (spawn(host))
            continue;
        if (host->rower_count == 0)
            host_fail("not even one thread can be started");
        tri_log(TRI_LOG_WARN, "host.clamped", "width=%u wanted=%u", host->rower_count, host->width);
        host->width = host->rower_count;
    }
}

void thread_rouse(struct host *host, const struct rower *self)
{
    bool self_is_idle = self != NULL && self->lease == NULL;
    unsigned wanted = host->draining ? 0 : lease_rowers_wanted(host);
    unsigned idle = host->idle_count;

    if (self_is_idle) {
        idle--;
        wanted -= wanted != 0;
    }
    if (host->reader != NULL && host->reader != self && wanted >= idle && idle != 0)
        rower_wake(host->reader);
    for (unsigned i = 0; i < wanted && i < idle; i++)
        pthread_cond_signal(&host->work);
    if (wanted > idle)
        spawn_up_to(host, wanted - idle);
}
