/* worker.h - a worker program in the simulated world: the shell around the real session. It joins
 * late, crashes and comes back as another instance, drains when it is told to, and stands still.
 *
 * Memory: workers live as long as the world; what they hold of one life ends with it.
 */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/sim.h"
#include "worker/session.h"

struct worker {
    struct sim_node node;
    const struct plan_worker *plan;
    uint64_t number;
    uint64_t lives;
    struct tri_uuid instance;
    struct session *session; /* NULL: it is not running */
    struct net_socket *socket;
    struct sim_timer tick;
    struct sim_timer connect;
    struct sim_timer start;
    struct tri_dlist_head hosts;
    uint64_t launchers_lost; /* in this life */
    bool is_unlucky;         /* in some life it lost more than it bears: it may give batches up */
    bool is_leaving;
    bool is_over; /* it has said EXIT: to be buried once the step is over */
};

void worker_begin(struct sim *sim);
void worker_end(struct sim *sim);

/* Give its session an event (now is filled in) and perform what it wants. */
void worker_step(struct sim *sim, struct worker *self, struct session_event *event);

/* ---- faults --------------------------------------------------------------------------------- */

/* SIGKILL of the session, and with it of everything; it starts again after a while. */
void worker_crash(struct sim *sim, struct worker *self, uint64_t down_us);

/* SIGTERM (and a second one): finish and leave; it starts again after a while. */
void worker_drain(struct sim *sim, struct worker *self);
void worker_stop(struct sim *sim, struct worker *self);

/* SIGKILL of the launcher. */
void worker_lose_launcher(struct sim *sim, struct worker *self);

/* Whoever is not running starts now. */
void worker_revive(struct sim *sim, struct worker *self);

#endif
