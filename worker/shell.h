/* shell.h - the session's hands: one thread between the broker's socket and the hosts.
 *
 * It turns what sockets, links and the launcher bring into events, and performs the effects that
 * come back (session.h). Everything that is ready is taken before it sleeps again; it sleeps in one
 * place, with no fixed intervals except the watch over hosts that have a timeout.
 *
 * Threads: the calling thread, and libzmq's own.
 * Memory:  what the options point to must outlive the run.
 */
#ifndef SHELL_H
#define SHELL_H

#include "common/net/endpoint.h"
#include "worker/launcher.h"
#include "worker/session.h"

enum {
    WORKER_EXIT_OK = 0,
    WORKER_EXIT_FAILED = 1,
    WORKER_EXIT_USAGE = 2,
};

struct shell_options {
    struct session_options session;
    const struct tri_endpoint *endpoints; /* tried in turn */
    size_t endpoint_count;
    int private_fd; /* -1: a daemon; else its end is ours */
    bool check;     /* session_check after every event */
    struct launcher_options launcher;
};

/* Serve until drained, stopped, or the owner is gone. Must be called before the process has any
 * other thread. Leaves no process behind. Returns the exit status. */
int shell_run(const struct shell_options *options);

#endif
