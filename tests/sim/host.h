/* host.h - hosts as a worker's session knows them: they run tasks in virtual time, as the plan says
 * (plan_deed), and report as worker/host.h promises: results when ready, what failed, what is given
 * back. A task that crashes takes its host with it; so does a fault.
 *
 * Memory: a host belongs to its worker's list and frees itself once HOST_GONE has been told.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "tests/sim/sim.h"
#include "worker/session.h"

struct host;

/* HOST_START. */
void host_start(struct sim *sim, struct worker *worker, const struct session_effect *effect);

/* HOST_SEND, HOST_KILL, HOST_END, to a host that may have gone. */
void host_hear(struct sim *sim, struct worker *worker, const struct session_effect *effect);
void host_kill(struct sim *sim, struct worker *worker, const struct session_effect *effect);
void host_end(struct sim *sim, struct worker *worker, uint64_t id);

/* What all hosts of a worker are on. `*tasks` is freed by the caller. */
size_t host_gather(const struct sim *sim,
                   struct tri_dlist_head *hosts,
                   struct session_task **tasks);

/* When the last of what they are on now will have ended; 0: they are on nothing. */
uint64_t host_busy_until(const struct tri_dlist_head *hosts);

/* A fault: some host of these that is busy dies. False: none is. */
bool host_strike(struct sim *sim, struct tri_dlist_head *hosts);

/* All of them are gone at once, and nobody is told. */
void host_clear(struct sim *sim, struct tri_dlist_head *hosts);

#endif
