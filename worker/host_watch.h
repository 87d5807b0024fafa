/* host_watch.h - the host's first thread: it looks after what the rowers are too busy for.
 *
 * Every HOST_FLUSH_NS, while there are leases: sends finished results of oars that are inside slow
 * tasks, puts back the rest of their runs, ends tasks past their time, replaces oars that do not
 * come back. While no rower reads the link, it does.
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

#include "worker/host_state.h"

/* Under host->lock: there is something to look after. */
void watch_kick(struct host *host);

/* Under host->lock: look again at who reads the link. */
void watch_wake(struct host *host);

/* Never returns: the process ends with its link. */
_Noreturn void watch_run(struct host *host);

#endif
