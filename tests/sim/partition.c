#include "tests/sim/partition.h"

#include "common/assert.h"
#include "tests/sim/client.h"
#include "tests/sim/host.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#include <stdlib.h>

#define PARTITION UINT64_C(0x706172746974696f) /* any number: another stream of chance */
#define EVERY_US (20 * SIM_S)

enum way { WAY_BOTH, WAY_UP, WAY_DOWN };

struct partition {
    struct tri_prng prng;
    struct sim_timer next;
};

static uint64_t between(struct partition *self, uint64_t low, uint64_t high)
{
    return tri_prng_between(&self->prng, low, high);
}

static void cut_off(
    struct sim *sim, struct sim_node *node, struct net_socket *socket, enum way way, uint64_t us)
{
    if (way == WAY_BOTH)
        node->cut_until = sim->now + us;
    if (socket == NULL)
        return;
    if (way == WAY_BOTH)
        net_cut(sim, socket, us);
    else
        net_stall(sim, socket, us, way == WAY_UP, way == WAY_DOWN);
}

/* Each with an even chance; who is chosen is seen from the broker's side as one. */
static void divide(struct sim *sim, struct partition *self, enum way way, uint64_t us)
{
    const struct plan *plan = sim->plan;
    uint64_t chosen = tri_prng_next(&self->prng);

    for (uint64_t i = 0; i < plan->worker_count + plan->client_count; i++, chosen >>= 1) {
        bool is_worker = i < plan->worker_count;

        if (chosen % 2 == 0)
            continue;
        if (is_worker)
            cut_off(sim, &sim->workers[i]->node, sim->workers[i]->socket, way, us);
        else
            cut_off(sim, &sim->clients[i - plan->worker_count]->node,
                    sim->clients[i - plan->worker_count]->socket, way, us);
    }
}

static void on_next(struct sim *sim, void *context)
{
    static const char *const texts[] = { "half of the peers are cut off",
                                         "the broker does not hear half of the peers",
                                         "half of the peers do not hear the broker" };
    struct partition *self = context;
    enum way way = (enum way)between(self, WAY_BOTH, WAY_DOWN);
    uint64_t us_max = 2 * sim->plan->options.limits.lease_ms * SIM_MS;
    uint64_t us = between(self, 10 * SIM_MS, us_max >> between(self, 0, 4));

    if (sim->calm)
        return;
    sim_tell(sim, "FAULT", "%s for %.3f s", texts[way], (double)us / 1e6);
    sim->counts.faults++;
    sim_trouble(sim, sim->now + us);
    divide(sim, self, way, us);
    sim_after(sim, &self->next, us + between(self, 1, EVERY_US));
}

void partition_begin(struct sim *sim)
{
    struct partition *self = tri_alloc(1, sizeof(*self));

    tri_prng_init(&self->prng, tri_mix64(sim->seed + PARTITION));
    self->next = (struct sim_timer){ .fire = on_next, .context = self };
    sim_after(sim, &self->next, between(self, 1, EVERY_US));
    sim->partition = self;
}

void partition_end(struct sim *sim)
{
    if (sim->partition == NULL)
        return;
    sim_cancel(sim, &sim->partition->next);
    free(sim->partition);
    sim->partition = NULL;
}
