/* broker.h - the shell: everything the engine must not know. One thread owns the ROUTER, the store
 * and the engine; it receives, steps, commits, sends, in turns.
 *
 * A turn takes at most 256 messages, gives each to the engine, commits what they wrote as one
 * transaction, and sends what has become durable. Time passes for the engine (TICK) only when
 * nothing is left to read, so that no lease expires whose renewal has already arrived.
 *
 * Threads: call from the first thread, before any other exists.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "broker/options.h"

/* Exit statuses (docs/man/trireme-broker.1). */
enum {
    BROKER_EXIT_OK = 0,           /* stopped by a signal, or the owner of a private run is gone */
    BROKER_EXIT_USAGE = 2,        /* options, configuration, or an endpoint that is not allowed */
    BROKER_EXIT_UNAVAILABLE = 69, /* an endpoint cannot be listened on, a store not be opened */
    BROKER_EXIT_INTERNAL = 70,    /* the store or the operating system failed meanwhile */
};

/* Serve until told to stop. Errors are one line on stderr. Returns an exit status. */
int broker_run(const struct options *options);

#endif
