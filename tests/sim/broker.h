/* broker.h - the broker's shell in the simulated world: events into the real engine, its effects
 * into a store and a network that are made up.
 *
 * As broker/performer.h: a SEND that waits leaves when the commit of everything written before it
 * is durable, which takes its time in worlds that are planned so; commits follow one another. The
 * inbox is heard before the clock. Payloads that the plan says are not kept in memory are loaded
 * with a delay. When it dies, a new engine is made of what its disk has (disk.h); a disk that is
 * full keeps commits waiting. In worlds of --disk all of that goes through the store that ships
 * (vault.h) as well, and what that has in its file is what counts.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include "broker/engine/engine.h"
#include "tests/sim/sim.h"

void broker_begin(struct sim *sim);
void broker_end(struct sim *sim);

/* By how much its clock may be wrong. */
#define BROKER_DRIFT_PPM_MAX 2000

struct sim_node *broker_node(struct sim *sim);

void broker_receive(struct sim *sim,
                    const struct peer_id *peer,
                    struct tri_frame *const *frames,
                    size_t count);

/* A fault: it stands still for a while, as sim_pause. False: it does already. */
bool broker_pause(struct sim *sim, uint64_t us, bool its_clock);

enum doom_how {
    DOOM_KILL,
    DOOM_POWER, /* of its machine, which has been started since */
    DOOM_ERROR, /* a commit failed, and it stopped */
};

struct doom {
    enum doom_how how;
    uint64_t down_us;
};

/* It dies, and is back after a while. False: it is dead already. */
bool broker_crash(struct sim *sim, const struct doom *doom);

/* The same in the middle of its next commit, or (ERROR) at the end of it. */
void broker_await(struct sim *sim, const struct doom *doom);

/* It dies when it has to read from its disk (vault.h), which fails. */
void broker_await_read(struct sim *sim, uint64_t down_us);

/* Arguments that its disk has are damaged there: some chunk of them, by any number. */
void broker_await_rot(struct sim *sim, uint64_t number);
void broker_rot(struct sim *sim, uint64_t number);

/* Its disk is filled by others for so long. */
void broker_fill(struct sim *sim, uint64_t us);

/* If it is dead it is back now. */
void broker_revive(struct sim *sim);

/* Verify the engine's invariants after every `steps`-th step only: 1 until told otherwise. */
void broker_check_every(uint64_t steps);

/* Rows in the store that belong to batches. */
size_t broker_rows(const struct sim *sim);

#endif
