/* host_control.h - what the session says to its host. */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include "worker/host_state.h"

/* Something that no session that is in its mind can have caused: say it, end the process. */
_Noreturn void host_fail(const char *text);

/* Read the link until it is empty and do what the messages say; at its end, end the process. When
 * another thread is reading, return at once. Called without host->lock; `self` is the calling
 * rower, or NULL. */
void control_receive(struct host *host, struct rower *self);

/* Say OARS with width 0: this host runs nothing (any more), and why. */
void control_refuse(struct host *host, enum tri_status status, const char *reason);

/* Give back everything queued. Without host->lock. */
void control_give_back(struct host *host);

#endif
