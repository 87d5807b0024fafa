/* host.h - a process that carries oars.
 *
 * A host serves one batch under one model. Over its link it gets, in this order: BATCH (the spec),
 * OARS (model and width), then LEASE, REVOKE, CANCEL_LEASE as the broker's protocol has them; it
 * answers RESULTS, PARTIAL, ENDED, RELEASED (seq 0: the session numbers them). OARS with width 0
 * from the host means: replace me (oars are lost to tasks past their timeout that do not stop);
 * it then gives back by RELEASED what it has not started, and its session ends it once nothing
 * else is in flight, or after a grace. End of file on the link, or BYE: exit at once.
 *
 * Finished results leave when there is nothing else to do, at 64 KiB, or after 20 ms, whichever
 * comes first, also while other tasks run on.
 */
#ifndef HOST_H
#define HOST_H

#include "trireme/status.h"

#include <stdbool.h>

struct host_setup {
    int link_fd;        /* to the session */
    int table_fd;       /* memfd of struct host_table, to be mapped */
    int command_fd;     /* to the launcher, for RUN, RAN and STOP */
    const char *plugin; /* shared object already loaded by the zygote, or to be loaded; may be "" */
    bool test_handlers;
};

/* Serve until the link ends. Returns the exit status of the process. Called in a single-threaded
 * process; may start threads. */
int host_main(const struct host_setup *setup);

#endif
