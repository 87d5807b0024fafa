#include "broker/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* SIGTERM is always ours. The other two are not when whoever started us ignores them (nohup, a
 * shell's background), and not in a private run; they must stay unblocked then, because a blocked
 * signal is kept even when it is ignored. */
static void fill(sigset_t *set)
{
    static const int others[] = { SIGINT, SIGHUP };

    sigemptyset(set);
    sigaddset(set, SIGTERM);
    for (size_t i = 0; i < TRI_COUNT_OF(others); i++) {
        struct sigaction action;

        if (sigaction(others[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(set, others[i]);
    }
}

enum tri_status lifeline_open(struct lifeline *self, int private_fd, struct tri_error *error)
{
    sigset_t set;

    *self = (struct lifeline){ .signal_fd = -1, .owner_fd = private_fd };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write over the limit fails, which says more */
    signal(SIGTERM, SIG_DFL);
    if (private_fd >= 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        if (fcntl(private_fd, F_SETFD, FD_CLOEXEC) != 0
            || fcntl(private_fd, F_SETFL, O_NONBLOCK) != 0)
            return tri_fail(error, TRI_SYSTEM, "descriptor %d: %s", private_fd, strerror(errno));
    }
    fill(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return tri_fail(error, TRI_SYSTEM, "signals cannot be blocked: %s", strerror(errno));
    self->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (self->signal_fd < 0)
        return tri_fail(error, TRI_SYSTEM, "signals cannot be read: %s", strerror(errno));
    return TRI_OK;
}

void lifeline_let_go(struct lifeline *self)
{
    sigset_t set;

    if (self->signal_fd >= 0)
        close(self->signal_fd);
    self->signal_fd = -1;
    fill(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static const char *signal_text(uint32_t number)
{
    switch (number) {
    case SIGINT:
        return "SIGINT";
    case SIGHUP:
        return "SIGHUP";
    default:
        return "SIGTERM";
    }
}

const char *lifeline_check(struct lifeline *self)
{
    struct signalfd_siginfo info;
    char bytes[256];
    ssize_t size;

    if (read(self->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        return signal_text(info.ssi_signo);
    if (self->owner_fd < 0)
        return NULL;
    do {
        size = read(self->owner_fd, bytes, sizeof(bytes));
    } while (size > 0 || (size < 0 && errno == EINTR));
    if (size < 0 && errno == EAGAIN)
        return NULL;
    return "the owner is gone";
}
