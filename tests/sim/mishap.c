#include "tests/sim/mishap.h"

#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/plan.h"

#include <stdlib.h>

struct mishap {
    struct sim_timer timers[PLAN_MISHAPS_MAX];
};

static void befall(struct sim *sim, void *context)
{
    const struct plan_mishap *mishap = context;
    bool power = mishap->kind == MISHAP_POWER;

    if (mishap->in_commit)
        broker_doom(sim, power, mishap->down_us);
    else
        broker_crash(sim, power, mishap->down_us);
}

void mishap_begin(struct sim *sim)
{
    struct mishap *self = tri_alloc(1, sizeof(*self));

    for (uint64_t i = 0; i < sim->plan->mishap_count; i++) {
        struct plan_mishap *mishap = &sim->plan->mishaps[i];

        self->timers[i] = (struct sim_timer){ .fire = befall, .context = mishap };
        sim_at(sim, &self->timers[i], mishap->at);
    }
    sim->mishap = self;
}

void mishap_end(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->mishap_count; i++)
        sim_cancel(sim, &sim->mishap->timers[i]);
    free(sim->mishap);
    sim->mishap = NULL;
}
