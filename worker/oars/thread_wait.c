/* How a task waits when it has a thread to itself: it blocks, on its eventfd beside whatever else.
 */
#include "worker/oars/thread.h"

#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define FOREVER_S 3e9 /* no deadline further away than this: sums stay in range */

/* Wait for `fd` (-1: nothing) or the deadline: TRI_OK ready, TRI_TIMEOUT, TRI_CANCELLED. */
static enum tri_status wait_until(
    struct tri_task *task, int fd, short events, uint64_t deadline_ns, short *ready)
{
    struct pollfd fds[2] = { { .fd = task->rower->wake_fd, .events = POLLIN },
                             { .fd = fd, .events = events } };

    for (;;) {
        uint64_t now = tri_clock_now_ns();
        uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
        struct timespec limit = { (time_t)(left / SECOND_NS), (long)(left % SECOND_NS) };
        int count;

        if (task_is_stopped(task))
            return TRI_CANCELLED;
        count = ppoll(fds, 2, deadline_ns != UINT64_MAX ? &limit : NULL, NULL);
        if (count < 0 && errno != EINTR)
            return tri_task_fail(task, TRI_SYSTEM, "poll: %s", strerror(errno));
        if (count > 0 && fds[1].revents != 0) {
            if (ready != NULL)
                *ready = fds[1].revents;
            return TRI_OK;
        }
        if (count > 0)
            rower_drain(task->rower);
        else if (count == 0 && tri_clock_now_ns() >= deadline_ns)
            return TRI_TIMEOUT;
    }
}

static enum tri_status thread_sleep(struct tri_task *task, double seconds)
{
    double ns = (seconds < FOREVER_S ? seconds : FOREVER_S) * 1e9;
    enum tri_status status = wait_until(task, -1, 0, tri_clock_now_ns() + (uint64_t)ns, NULL);

    return status == TRI_TIMEOUT ? TRI_OK : status;
}

static enum tri_status thread_wait_fd(
    struct tri_task *task, int fd, short events, int timeout_ms, short *ready)
{
    uint64_t deadline_ns = UINT64_MAX;

    if (timeout_ms >= 0)
        deadline_ns = tri_clock_now_ns() + (uint64_t)timeout_ms * UINT64_C(1000000);
    return wait_until(task, fd, events, deadline_ns, ready);
}

static enum tri_status thread_offload(struct tri_task *task,
                                      void (*work)(void *context),
                                      void *context)
{
    if (task_is_stopped(task))
        return TRI_CANCELLED;
    work(context);
    return TRI_OK;
}

/* The slot may be given to another thread meanwhile: only as the rower it belongs to. */
static void thread_progress(struct tri_task *task, uint64_t ppm)
{
    gate_enter(task->rower);
    if (!task->refused)
        atomic_store_explicit(&task->rower->slot->progress, ppm, memory_order_relaxed);
    gate_leave(task->rower);
}

const struct task_ops thread_ops = {
    .sleep = thread_sleep,
    .wait_fd = thread_wait_fd,
    .offload = thread_offload,
    .command = thread_command,
    .transfer = thread_transfer,
    .progress = thread_progress,
};
