#include "worker/shell.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/shell_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define BYE_MS 1000 /* how long the last words may take */
#define WAIT_MS_MAX 60000

/* ---- effects -------------------------------------------------------------------------------- */

static const struct tri_log_rank ranks[] = {
    { "broker.welcomed", TRI_LOG_INFO },  { "broker.lost", TRI_LOG_INFO },
    { "broker.changed", TRI_LOG_INFO },   { "broker.refused", TRI_LOG_INFO },
    { "broker.misspoken", TRI_LOG_INFO }, { "worker.draining", TRI_LOG_INFO },
    { "batch.clamped", TRI_LOG_WARN },    { "batch.refused", TRI_LOG_INFO },
    { "host.gone", TRI_LOG_INFO },        { "host.stalled", TRI_LOG_INFO },
    { "host.broken", TRI_LOG_INFO },      { "lease.expired", TRI_LOG_INFO },
    { "lease.abandoned", TRI_LOG_INFO },
};

static void perform(struct shell *self, const struct session_effect *effect)
{
    switch (effect->type) {
    case SESSION_DO_SEND:
        shell_send(self, effect);
        break;
    case SESSION_DO_CONNECT:
        shell_connect_after(self, effect->after_ms);
        break;
    case SESSION_DO_HOST_START:
        shell_host_start(self, effect);
        break;
    case SESSION_DO_HOST_SEND:
        shell_host_send(self, effect);
        break;
    case SESSION_DO_HOST_KILL:
        shell_host_kill(self, effect);
        break;
    case SESSION_DO_HOST_END:
        shell_host_end(self, effect->host);
        break;
    case SESSION_DO_EXIT:
        self->exiting = true;
        self->status = effect->status;
        break;
    case SESSION_DO_TRACE:
        tri_log_trace(effect->text, ranks, TRI_COUNT_OF(ranks));
        break;
    }
}

void shell_apply(struct shell *self, struct session_event *event)
{
    struct session_effects effects;

    if (self->exiting)
        return;
    event->now = tri_clock_now_ms();
    effects = session_step(self->session, event);
    for (size_t i = 0; i < effects.count; i++)
        perform(self, &effects.items[i]);
    if (self->options->check && !self->exiting)
        session_check(self->session);
}

struct tri_frame **shell_frames(struct shell *self, size_t count)
{
    if (count > self->frame_capacity) {
        self->frame_capacity = count;
        self->frames = tri_realloc(self->frames, count, sizeof(*self->frames));
    }
    return self->frames;
}

void shell_release_frames(struct shell *self, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tri_frame_unref(self->frames[i]);
}

/* ---- signals and the owner ------------------------------------------------------------------ */

static void stop(struct shell *self, const char *why)
{
    tri_log(TRI_LOG_INFO, "worker.stopping", "why=%s", TRI_QUOTE(why));
    shell_apply(self, &(struct session_event){ .type = SESSION_STOP });
}

static void on_signal(struct shell *self)
{
    struct signalfd_siginfo info;

    while (read(self->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (self->draining) {
            stop(self, "a second signal");
            return;
        }
        self->draining = true;
        shell_apply(self, &(struct session_event){ .type = SESSION_DRAIN });
    }
}

static void on_owner(struct shell *self)
{
    char bytes[256];
    ssize_t size;

    do {
        size = read(self->options->private_fd, bytes, sizeof(bytes));
    } while (size > 0 || (size < 0 && errno == EINTR));
    if (size == 0 || errno != EAGAIN)
        stop(self, "the owner is gone");
}

/* A terminal's signals in a private run are the owner's business. */
static enum tri_status open_signals(struct shell *self, struct tri_error *error)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (self->options->private_fd < 0) {
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
    } else {
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    self->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (self->signal_fd < 0)
        return tri_fail(error, TRI_SYSTEM, "signals cannot be read: %s", strerror(errno));
    return TRI_OK;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static tri_time earliest(tri_time a, tri_time b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct shell *self)
{
    tri_time at = session_deadline(self->session);
    tri_time now = tri_clock_now_ms();

    at = earliest(at, self->connect_at);
    at = earliest(at, self->watch_at);
    if (at == TRI_NEVER)
        return -1;
    if (at <= now)
        return 0;
    return at - now < WAIT_MS_MAX ? (int)(at - now) : WAIT_MS_MAX;
}

static void dispatch(struct shell *self, const struct epoll_event *event)
{
    if (event->data.u64 == SHELL_WATCH_SIGNALS)
        on_signal(self);
    else if (event->data.u64 == SHELL_WATCH_OWNER)
        on_owner(self);
    else if (event->data.u64 == SHELL_WATCH_LAUNCHER)
        shell_launcher_ready(self, event->events);
    else if (event->data.u64 == SHELL_WATCH_MONITOR)
        shell_monitor_ready(self);
    else if (event->data.u64 != SHELL_WATCH_SOCKET)
        shell_host_ready(self, event->data.u64, event->events);
}

/* The inbox first: what has come is heard before anything expires. */
static void dispatch_all(struct shell *self,
                         const struct epoll_event *events,
                         int count,
                         bool has_mail)
{
    for (int i = 0; i < count; i++)
        has_mail = has_mail || events[i].data.u64 == SHELL_WATCH_SOCKET;
    if (has_mail)
        shell_receive(self);
    for (int i = 0; i < count && !self->exiting; i++)
        dispatch(self, &events[i]);
}

/* What could not be told in the middle of performing effects. */
static void tell_failures(struct shell *self)
{
    while (self->failure_count != 0 && !self->exiting) {
        struct shell_failure failure = self->failures[--self->failure_count];
        struct session_event event = { .type = SESSION_HOST_GONE,
                                       .host = failure.host,
                                       .status = failure.error.status,
                                       .text = failure.error.text };

        tri_log(TRI_LOG_ERROR, "host.failed", "host=%lu why=%s", (unsigned long)failure.host,
                TRI_QUOTE(failure.error.text));
        shell_apply(self, &event);
        shell_host_forget(self, failure.host);
    }
    if (self->socket_failed && !self->exiting) {
        self->socket_failed = false;
        shell_apply(self, &(struct session_event){ .type = SESSION_CONNECTION_LOST });
    }
}

static void tick(struct shell *self)
{
    tri_time now = tri_clock_now_ms();

    if (self->connect_at <= now && !self->exiting)
        shell_connect(self);
    if (self->watch_at <= now && !self->exiting)
        shell_watch(self);
    if (session_deadline(self->session) <= now && !self->exiting) {
        struct session_event event = { .type = SESSION_TICK };

        shell_gather(self, NULL);
        event.started = self->started;
        event.started_count = self->started_count;
        shell_apply(self, &event);
    }
}

static void serve(struct shell *self)
{
    while (!self->exiting) {
        struct epoll_event events[EVENTS_AT_ONCE];
        bool has_mail = shell_has_mail(self);
        int count =
            epoll_wait(self->epoll_fd, events, EVENTS_AT_ONCE, has_mail ? 0 : wait_ms(self));

        if (count < 0 && errno != EINTR) {
            tri_log(TRI_LOG_ERROR, "worker.failed", "why=%s", strerror(errno));
            self->status = WORKER_EXIT_FAILED;
            return;
        }
        dispatch_all(self, events, count, has_mail);
        tick(self);
        tell_failures(self);
    }
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void watch(struct shell *self, int fd, uint64_t what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = what };

    tri_assert(epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static enum tri_status open_all(struct shell *self, struct tri_error *error)
{
    int private_fd = self->options->private_fd;
    enum tri_status status;

    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0)
        return tri_fail(error, TRI_SYSTEM, "epoll: %s", strerror(errno));
    if (private_fd >= 0
        && (fcntl(private_fd, F_SETFD, FD_CLOEXEC) != 0
            || fcntl(private_fd, F_SETFL, O_NONBLOCK) != 0))
        return tri_fail(error, TRI_SYSTEM, "descriptor %d: %s", private_fd, strerror(errno));
    status = open_signals(self, error);
    if (status != TRI_OK)
        return status;
    status = shell_launcher_open(self, error);
    if (status != TRI_OK)
        return status;
    watch(self, self->signal_fd, SHELL_WATCH_SIGNALS);
    if (private_fd >= 0)
        watch(self, private_fd, SHELL_WATCH_OWNER);
    self->context = zmq_ctx_new();
    if (self->context == NULL)
        return tri_fail(error, TRI_SYSTEM, "zmq_ctx_new: %s", zmq_strerror(errno));
    return TRI_OK;
}

static void close_all(struct shell *self)
{
    /* First nothing runs any more, then the last words may leave. A private broker has the same
     * owner and needs none. */
    shell_hosts_close(self);
    launcher_close(&self->launcher);
    shell_disconnect(self, self->options->private_fd >= 0 ? 0 : BYE_MS);
    if (self->context != NULL)
        zmq_ctx_term(self->context);
    session_destroy(&self->session);
    tri_parts_deinit(&self->parts);
    tri_map_deinit(&self->hosts);
    free(self->frames);
    free(self->started);
    free(self->failures);
    if (self->signal_fd >= 0)
        close(self->signal_fd);
    if (self->epoll_fd >= 0)
        close(self->epoll_fd);
}

int shell_run(const struct shell_options *options)
{
    struct shell *self = tri_alloc(1, sizeof(*self));
    struct tri_error error;
    int status;

    self->options = options;
    self->session = session_new(&options->session);
    self->signal_fd = self->epoll_fd = -1;
    self->connect_at = 0;
    self->watch_at = TRI_NEVER;
    tri_map_init(&self->hosts);
    tri_parts_init(&self->parts);
    if (open_all(self, &error) != TRI_OK) {
        tri_log(TRI_LOG_ERROR, "worker.failed", "why=%s", TRI_QUOTE(error.text));
        self->status = WORKER_EXIT_FAILED;
    } else {
        serve(self);
    }
    close_all(self);
    status = self->status;
    free(self);
    return status;
}
