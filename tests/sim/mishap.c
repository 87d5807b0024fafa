#include "tests/sim/mishap.h"

#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/client.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#include <stdlib.h>

struct mishap {
    struct sim_timer timers[PLAN_EVILS_MAX];
};

static void suspend(struct sim *sim, const struct plan_mishap *mishap)
{
    uint64_t workers = sim->plan->worker_count;
    struct sim_node *node;

    if (mishap->whom == 0) {
        broker_pause(sim, mishap->us, true);
        return;
    }
    node = mishap->whom <= workers ? &sim->workers[mishap->whom - 1]->node
                                   : &sim->clients[mishap->whom - workers - 1]->node;
    sim_pause(sim, node, mishap->us, true);
    sim_tell(sim, "FAULT", "%s is suspended", node->name);
}

static void befall(struct sim *sim, void *context)
{
    const struct plan_mishap *mishap = context;
    struct doom doom = { DOOM_KILL, mishap->us };

    switch (mishap->kind) {
    case MISHAP_KILL:
    case MISHAP_POWER:
        doom.how = mishap->kind == MISHAP_POWER ? DOOM_POWER : DOOM_KILL;
        if (mishap->in_commit)
            broker_await(sim, &doom);
        else
            broker_crash(sim, &doom);
        break;
    case MISHAP_ERROR:
        doom.how = DOOM_ERROR;
        broker_await(sim, &doom);
        break;
    case MISHAP_FULL:
        broker_fill(sim, mishap->us);
        break;
    case MISHAP_READ:
        broker_await_read(sim, mishap->us);
        break;
    case MISHAP_ROT:
        broker_rot(sim, mishap->whom);
        break;
    case MISHAP_ROT_ROW:
        broker_await_rot(sim, mishap->whom);
        break;
    case MISHAP_SUSPEND:
        sim->counts.faults++;
        suspend(sim, mishap);
        break;
    }
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
