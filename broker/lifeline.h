/* lifeline.h - what ends the broker: a signal, or the end of a private run's descriptor.
 *
 * SIGTERM, SIGINT and SIGHUP are blocked and read from a signalfd, so that they arrive as one more
 * thing to poll and never in the middle of anything. In a private run SIGINT and SIGHUP are
 * ignored: a terminal sends them to everybody, and it is the owner who decides. SIGPIPE is ignored.
 *
 * Threads: open before any thread exists: threads inherit the mask.
 * Errors:  TRI_SYSTEM with a text.
 */
#ifndef BROKER_LIFELINE_H
#define BROKER_LIFELINE_H

#include "common/types.h"

struct lifeline {
    int signal_fd;
    int owner_fd; /* -1: a daemon */
};

/* `private_fd`: the descriptor whose end is ours, or -1. */
enum tri_status lifeline_open(struct lifeline *self, int private_fd, struct tri_error *error);

/* Give the signals their default meaning back: the next one ends the process at once. */
void lifeline_let_go(struct lifeline *self);

/* Is it over? A text for the log ("SIGTERM", "the owner is gone"), or NULL. Never blocks. */
const char *lifeline_check(struct lifeline *self);

#endif
