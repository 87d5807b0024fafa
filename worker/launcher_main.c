/* The launcher's loop: one thread, epoll, nothing in it ever blocks but the start of a process. */
#include "worker/launcher_parts.h"

#include "common/assert.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define FDS_KEPT 64           /* for links and tables, however many commands run: at most, ... */
#define FDS_KEPT_PART 4       /* ... and of few descriptors this part */
#define PARENT_SIGNAL SIGUSR1 /* the thread that started us has ended */

void launcher_free_later(struct launcher_state *self, void *memory)
{
    if (self->dead_count == self->dead_capacity) {
        self->dead_capacity = 2 * self->dead_capacity + 64;
        self->dead = tri_realloc(self->dead, self->dead_capacity, sizeof(*self->dead));
    }
    self->dead[self->dead_count++] = memory;
}

static void free_dead(struct launcher_state *self)
{
    while (self->dead_count > 0)
        free(self->dead[--self->dead_count]);
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_signal(struct launcher_state *self)
{
    struct signalfd_siginfo info[4];
    ssize_t size = read(self->signal_fd, info, sizeof(info));

    for (ssize_t i = 0; i < size / (ssize_t)sizeof(info[0]); i++) {
        if (info[i].ssi_signo == SIGCHLD)
            self->reap = true;
        else if (getppid() != self->parent)
            self->stop = true;
    }
}

static void on_session_message(struct launcher_state *self)
{
    const struct tri_message *message = &self->message.message;
    struct link *link = &self->session.link;

    if (message->type == TRI_MESSAGE_HOST_START && link->fd_count == 2
        && tri_map_find(&self->hosts, message->host_start.host) == NULL) {
        launcher_host_start(self, &message->host_start, link->fds[0], link->fds[1]);
        return;
    }
    for (size_t i = 0; i < link->fd_count; i++)
        close(link->fds[i]);
    if (message->type == TRI_MESSAGE_HOST_KILL)
        launcher_host_kill(self, &message->host_kill);
}

static void on_session(struct launcher_state *self, uint32_t events)
{
    enum tri_status status;

    if ((events & EPOLLOUT) != 0)
        launcher_channel_flush(self, &self->session);
    do {
        status = link_receive(&self->session.link, false, &self->message, NULL);
        if (status == TRI_OK)
            on_session_message(self);
    } while (status == TRI_OK);
    self->stop = self->stop || status != TRI_EMPTY;
}

static void dispatch(struct launcher_state *self, struct watch *watch, uint32_t events)
{
    switch (watch->kind) {
    case WATCH_NOTHING:
        break;
    case WATCH_SIGNAL:
        on_signal(self);
        break;
    case WATCH_SESSION:
        on_session(self, events);
        break;
    case WATCH_ZYGOTE:
        launcher_zygote_event(self, watch->owner, events);
        break;
    case WATCH_HOST:
        launcher_host_event(self, watch->owner, events);
        break;
    case WATCH_INPUT:
    case WATCH_OUTPUT:
    case WATCH_ERROR:
        launcher_command_event(self, watch);
        break;
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static int timeout_of(const struct launcher_state *self)
{
    tri_time deadline = launcher_command_deadline(self);
    tri_time now;

    if (self->sweep_at < deadline)
        deadline = self->sweep_at;
    if (deadline == TRI_NEVER)
        return -1;
    now = tri_clock_now_ms();
    if (deadline <= now)
        return 0;
    return deadline - now < INT_MAX ? (int)(deadline - now) : INT_MAX;
}

static void turn(struct launcher_state *self)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(self->epoll_fd, events, EVENTS_MAX, timeout_of(self));

    for (int i = 0; i < count; i++)
        dispatch(self, events[i].data.ptr, events[i].events);
    if (self->reap) {
        self->reap = false;
        launcher_tree_reap(self);
    }
    if (self->sweep_at != TRI_NEVER && self->sweep_at <= tri_clock_now_ms())
        self->sweep = true;
    while (self->sweep)
        launcher_tree_sweep(self);
    if (launcher_command_deadline(self) != TRI_NEVER)
        launcher_command_tick(self, tri_clock_now_ms());
    free_dead(self);
}

static bool open_signals(struct launcher_state *self)
{
    sigset_t set;

    /* All are blocked: whoever wants to end a launcher closes its link, or kills it. */
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, PARENT_SIGNAL);
    self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0)
        return false;
    self->signal_watch = (struct watch){ .kind = WATCH_SIGNAL, .fd = self->signal_fd };
    launcher_watch(self, &self->signal_watch, EPOLLIN);
    return true;
}

/* Pipes of commands have descriptors below this. */
static int fd_end_of(rlim_t limit)
{
    rlim_t kept = limit / FDS_KEPT_PART < FDS_KEPT ? limit / FDS_KEPT_PART : FDS_KEPT;

    return limit < INT_MAX ? (int)(limit - kept) : INT_MAX;
}

static bool begin(struct launcher_state *self, int link_fd)
{
    struct rlimit more;

    self->parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, PARENT_SIGNAL) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0
        || prctl(PR_SET_NAME, "trireme-launch") != 0)
        return false;
    /* Descriptors 3 to 5 are what children are given: occupied, so that no pipe gets them. */
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0 || !open_signals(self))
        return false;
    self->children_fd = launcher_children_open();
    if (fcntl(link_fd, F_SETFD, FD_CLOEXEC) != 0 || getrlimit(RLIMIT_NOFILE, &self->files) != 0)
        return false;
    more = (struct rlimit){ self->files.rlim_max, self->files.rlim_max };
    self->files_raised =
        more.rlim_cur != self->files.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0;
    self->fd_end = fd_end_of(more.rlim_max);
    for (size_t i = 0; i < TRI_COUNT_OF(self->running); i++)
        tri_dlist_init(&self->running[i]);
    tri_dlist_init(&self->ending);
    tri_dlist_init(&self->zygotes);
    tri_dlist_init(&self->stopping);
    tri_dlist_init(&self->fresh);
    self->kill_at = TRI_NEVER;
    self->sweep_at = TRI_NEVER;
    launcher_tree_begin(self);
    launcher_channel_open(self, &self->session, link_fd, WATCH_SESSION, NULL);
    return true;
}

int launcher_main(int link_fd, const struct launcher_options *options)
{
    struct launcher_state *self = tri_alloc(1, sizeof(*self));

    self->options = *options;
    if (!begin(self, link_fd))
        return EXIT_FAILURE;
    while (!self->stop)
        turn(self);
    launcher_bury();
    return EXIT_SUCCESS;
}
