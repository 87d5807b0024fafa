/* task_state.h - a task while it runs. Private to worker/oars.
 *
 * Threads: the task's own call; `stop` may be set by anybody, everything else under the gate.
 */
#ifndef TASK_STATE_H
#define TASK_STATE_H

#include "common/clock.h"
#include "worker/host_state.h"
#include "worker/oars/arena.h"
#include "worker/task.h"

struct command_call;
struct transfer;

/* How a kind of oars waits. Each returns what the tri_* function of that name does. */
struct task_ops {
    enum tri_status (*sleep)(struct tri_task *task, double seconds);
    enum tri_status (*wait_fd)(
        struct tri_task *task, int fd, short events, int timeout_ms, short *ready);
    enum tri_status (*offload)(struct tri_task *task, void (*work)(void *context), void *context);
    /* Until the command has ended; TRI_CANCELLED when it was stopped. */
    enum tri_status (*command)(struct tri_task *task,
                               const struct tri_command *command,
                               uint64_t output_bytes_max,
                               struct command_call *call);
    /* Until the transfer is over (transfer->code); TRI_CANCELLED when it was given up. */
    enum tri_status (*transfer)(struct tri_task *task, struct transfer *transfer);
    void (*breathe)(struct tri_task *task); /* from tri_cancelled: let others run */
    void (*progress)(struct tri_task *task, uint64_t ppm);
};

struct tri_task {
    const struct task_ops *ops;
    struct rower *rower;
    struct lease *lease;
    uint64_t index;
    uint64_t started_ns;    /* 0: not timed */
    uint64_t cpu_extra_ns;  /* of commands */
    struct host_slot *slot; /* async: its coroutine's, for good */
    unsigned slot_number;
    atomic_bool stop;       /* it is to end: cancelled, or past its time */
    atomic_bool winding_up; /* it was stopped, and waits for its command to end */
    bool refused;           /* accounted for already; what it gives is dropped */
    const char *error;      /* why it fails, or NULL */
    struct arena arena;
};

static inline bool task_is_stopped(const struct tri_task *task)
{
    return atomic_load_explicit(&task->stop, memory_order_relaxed);
}

/* Ready for its next task. */
static inline void task_begin(struct tri_task *task, struct lease *lease, uint64_t index)
{
    task->lease = lease;
    task->index = index;
    task->error = NULL;
    task->cpu_extra_ns = 0;
    arena_reset(&task->arena);
}

#endif
