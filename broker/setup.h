/* setup.h - what the shell is made of, opened in the one order that works and closed in reverse.
 *
 * Listening sockets come first (the umask, and nothing to undo when they are refused), libzmq and
 * its threads after the signals are blocked, the engine last.
 *
 * Threads: one owner, the first thread.
 */
#ifndef BROKER_SETUP_H
#define BROKER_SETUP_H

#include "broker/inbox.h"
#include "broker/lifeline.h"
#include "broker/net/door.h"
#include "broker/options.h"
#include "broker/performer.h"

#include <limits.h>

struct broker {
    const struct options *options;
    struct listener *listeners[OPTIONS_LISTEN_MAX];
    void *context;
    void *router;
    int router_fd;
    struct door *door;
    struct lifeline lifeline;
    struct store *store;
    char store_file[PATH_MAX]; /* "": in memory */
    struct engine *engine;
    struct gauges gauges;
    struct inbox inbox;
    struct performer performer;
    tri_time now;
    uint64_t cpu_ns; /* of this thread, at `cpu_at` */
    tri_time cpu_at;
    tri_time quiet_until; /* no TICK before */
    bool more;            /* the last turn left messages unread */
    bool is_exhausted;    /* the store, as logged */
    uint64_t received;
    uint64_t overflows;        /* logged so far */
    tri_time overflows_logged; /* when */
    struct tri_error error;
};

/* Open everything and tell --ready-fd. Returns an exit status (broker.h), BROKER_EXIT_OK when all
 * is open; otherwise self->error says why. setup_close in either case. */
int setup_open(struct broker *self, const struct options *options);

/* Close everything. New peers find nobody from then on; what was sent has ZMQ_LINGER to leave,
 * unless another signal ends the process at once. */
void setup_close(struct broker *self);

#endif
