/* How a task waits on the loop: its coroutine is put aside. */
#include "worker/oars/async.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FOREVER_MS 3e12
#define BREATHS 64         /* calls of tri_cancelled between two looks at the clock */
#define BREATH_NS 1000000u /* how long a task may go on before others are let run */

static void on_timer(uv_timer_t *timer)
{
    oar_wake(tri_container_of(timer, struct oar, timer), TRI_TIMEOUT);
}

/* The loop's idea of now is rounded down and may be old: never wake early because of it. */
static void start_timer(struct oar *self, double ms)
{
    uv_update_time(&self->loop->uv);
    uv_timer_start(&self->timer, on_timer, (uint64_t)ceil(ms < FOREVER_MS ? ms : FOREVER_MS) + 1,
                   0);
}

static enum tri_status async_sleep(struct tri_task *task, double seconds)
{
    struct oar *self = oar_of(task);
    enum tri_status status = TRI_CANCELLED;

    oar_enter(self);
    if (!task_is_stopped(task)) {
        start_timer(self, seconds * 1000);
        status = oar_wait(self);
        uv_timer_stop(&self->timer);
    }
    oar_leave(self);
    return status == TRI_TIMEOUT ? TRI_OK : status;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

struct fd_wait {
    uv_poll_t poll;
    struct oar *oar;
    int copy; /* of a descriptor that another task waits for already, or -1 */
    int status;
    short ready;
};

static void on_fd(uv_poll_t *poll, int status, int events)
{
    struct fd_wait *self = tri_container_of(poll, struct fd_wait, poll);

    self->status = status;
    self->ready =
        (short)((events & UV_READABLE ? POLLIN : 0) | (events & UV_WRITABLE ? POLLOUT : 0)
                | (events & UV_PRIORITIZED ? POLLPRI : 0) | (events & UV_DISCONNECT ? POLLHUP : 0));
    oar_wake(self->oar, TRI_OK);
}

static void on_closed(uv_handle_t *handle)
{
    struct fd_wait *self = tri_container_of(handle, struct fd_wait, poll);

    oar_wake(self->oar, TRI_OK);
}

/* libuv watches a descriptor once: the second task gets a duplicate. */
static int open_poll(struct fd_wait *self, int fd)
{
    uv_loop_t *uv = &self->oar->loop->uv;
    int status = uv_poll_init(uv, &self->poll, fd);

    if (status != UV_EEXIST)
        return status;
    self->copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return self->copy < 0 ? UV_EMFILE : uv_poll_init(uv, &self->poll, self->copy);
}

static enum tri_status wait_open(struct fd_wait *self, short events, int timeout_ms)
{
    struct oar *oar = self->oar;
    enum tri_status status;
    int wanted = UV_DISCONNECT | (events & POLLIN ? UV_READABLE : 0)
                 | (events & POLLOUT ? UV_WRITABLE : 0) | (events & POLLPRI ? UV_PRIORITIZED : 0);

    self->status = uv_poll_start(&self->poll, wanted, on_fd);
    if (self->status == 0) {
        if (timeout_ms >= 0)
            start_timer(oar, timeout_ms);
        status = oar_wait(oar);
        uv_timer_stop(&oar->timer);
    } else {
        status = TRI_OK;
    }
    uv_close((uv_handle_t *)&self->poll, on_closed);
    oar->deaf = true;
    oar_wait(oar);
    oar->deaf = false;
    return status;
}

static enum tri_status async_wait_fd(
    struct tri_task *task, int fd, short events, int timeout_ms, short *ready)
{
    struct oar *oar = oar_of(task);
    struct fd_wait wait = { .oar = oar, .copy = -1 };
    enum tri_status status = TRI_CANCELLED;

    oar_enter(oar);
    if (!task_is_stopped(task)) {
        wait.status = open_poll(&wait, fd);
        if (wait.status == UV_EPERM) {
            /* Regular files are always ready, and epoll does not take them. */
            wait.status = 0;
            wait.ready = events & (POLLIN | POLLOUT);
            status = TRI_OK;
        } else if (wait.status == 0) {
            status = wait_open(&wait, events, timeout_ms);
        } else {
            status = TRI_OK;
        }
        if (wait.copy >= 0)
            close(wait.copy);
    }
    oar_leave(oar);
    if (status == TRI_OK && wait.status != 0)
        return tri_task_fail(task, TRI_SYSTEM, "poll: %s", uv_strerror(wait.status));
    if (status == TRI_OK && ready != NULL)
        *ready = wait.ready;
    return status;
}

/* ---- beside the loop ------------------------------------------------------------------------ */

struct offload {
    uv_work_t work;
    struct oar *oar;
    void (*function)(void *context);
    void *context;
};

static void on_offload(uv_work_t *work)
{
    struct offload *self = tri_container_of(work, struct offload, work);

    self->function(self->context);
}

static void on_offloaded(uv_work_t *work, int status)
{
    struct offload *self = tri_container_of(work, struct offload, work);

    (void)status;
    oar_wake(self->oar, TRI_OK);
}

/* The context is the caller's: whatever happens, it is waited for. */
static enum tri_status async_offload(struct tri_task *task,
                                     void (*work)(void *context),
                                     void *context)
{
    struct oar *oar = oar_of(task);
    struct offload offload = { .oar = oar, .function = work, .context = context };
    enum tri_status status = TRI_CANCELLED;

    oar_enter(oar);
    if (!task_is_stopped(task)) {
        uv_queue_work(&oar->loop->uv, &offload.work, on_offload, on_offloaded);
        oar->deaf = true;
        status = oar_wait(oar);
        oar->deaf = false;
    }
    oar_leave(oar);
    return status;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void async_breathe(struct tri_task *task)
{
    struct oar *self = oar_of(task);

    if (++self->breaths % BREATHS != 0)
        return;
    oar_enter(self);
    if (self->breaths == BREATHS)
        self->breath_ns = tri_clock_now_ns();
    else if (tri_clock_now_ns() - self->breath_ns > BREATH_NS)
        oar_yield(self);
    oar_leave(self);
}

static void async_progress(struct tri_task *task, uint64_t ppm)
{
    atomic_store_explicit(&task->slot->progress, ppm, memory_order_relaxed);
}

const struct task_ops async_ops = {
    .sleep = async_sleep,
    .wait_fd = async_wait_fd,
    .offload = async_offload,
    .command = async_command,
    .transfer = async_transfer,
    .breathe = async_breathe,
    .progress = async_progress,
};
