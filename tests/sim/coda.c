#include "tests/sim/coda.h"

#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/checker.h"
#include "tests/sim/client.h"
#include "tests/sim/plan.h"

#include <stdlib.h>

#define KILLS_MAX 3
#define KILL_US (20 * SIM_S) /* until the last one */

struct coda {
    struct sim_timer kills[KILLS_MAX];
};

static uint64_t between(struct sim *sim, uint64_t low, uint64_t high)
{
    return tri_prng_between(&sim->coda, low, high);
}

static void kill_broker(struct sim *sim, void *context)
{
    const struct doom doom = { DOOM_KILL, between(sim, SIM_MS, 2 * SIM_S) };

    (void)context;
    if (between(sim, 0, 1) != 0)
        broker_await(sim, &doom);
    else
        broker_crash(sim, &doom);
}

void coda_begin(struct sim *sim)
{
    struct coda *self;
    uint64_t kills;

    if (!plan_draw_coda(sim, sim->plan))
        return;
    self = tri_alloc(1, sizeof(*self));
    kills = sim->mortal ? between(sim, 0, KILLS_MAX) : 0;
    for (uint64_t i = 0; i < KILLS_MAX; i++)
        self->kills[i] = (struct sim_timer){ .fire = kill_broker, .context = self };
    for (uint64_t i = 0; i < kills; i++)
        sim_after(sim, &self->kills[i], between(sim, 1, KILL_US));
    sim->coda_begun = self;
    checker_follow(sim, &sim->plan->batches[sim->plan->encore_from]);
    client_add_jobs(sim);
    client_encore(sim);
}

void coda_end(struct sim *sim)
{
    for (size_t i = 0; sim->coda_begun != NULL && i < KILLS_MAX; i++)
        sim_cancel(sim, &sim->coda_begun->kills[i]);
    free(sim->coda_begun);
    sim->coda_begun = NULL;
}

uint64_t coda_hurry(struct sim *sim)
{
    return between(sim, 0, 2) == 0 ? sim->now + between(sim, SIM_MS, 3 * SIM_S) : UINT64_MAX;
}

struct tri_range coda_choose(struct sim *sim, uint64_t count)
{
    struct tri_range all = { 0, 0 };
    uint64_t first;

    if (count == 0 || between(sim, 0, 2) == 0)
        return all;
    first = between(sim, 0, count - 1);
    return (struct tri_range){ first, between(sim, 1, count - first) };
}
