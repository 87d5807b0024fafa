#include "tests/sim/fault.h"

#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/client.h"
#include "tests/sim/host.h"
#include "tests/sim/worker.h"

#include <stdlib.h>

#define FAULT_MAP(X)                             \
    X(CUT, "a connection is cut")                \
    X(STALL, "nothing passes in one direction")  \
    X(PARTITION, "a peer cannot be reached")     \
    X(HOST, "a host is killed")                  \
    X(WORKER, "a worker's session is killed")    \
    X(LAUNCHER, "a worker's launcher is killed") \
    X(DRAIN, "a worker is asked to leave")       \
    X(STOP, "a worker is told to leave now")     \
    X(CLIENT, "a client is killed")              \
    X(PAUSE_WORKER, "a worker stands still")     \
    X(PAUSE_CLIENT, "a client stands still")     \
    X(PAUSE_BROKER, "the broker stands still")

enum fault_kind {
#define X(name, text) FAULT_##name,
    FAULT_MAP(X)
#undef X
};

static const struct {
    const char *text;
} faults[] = {
#define X(name, text) { text },
    FAULT_MAP(X)
#undef X
};

struct fault {
    struct sim_timer next;
    struct sim_timer calm;
};

/* ---- whom it meets -------------------------------------------------------------------------- */

static struct worker *some_worker(struct sim *sim)
{
    return sim->workers[sim_between(sim, 0, sim->plan->worker_count - 1)];
}

static struct client *some_client(struct sim *sim)
{
    return sim->clients[sim_between(sim, 0, sim->plan->client_count - 1)];
}

static struct net_socket *some_socket(struct sim *sim)
{
    uint64_t workers = sim->plan->worker_count;
    uint64_t who = sim_between(sim, 0, workers + sim->plan->client_count - 1);

    return who < workers ? sim->workers[who]->socket : sim->clients[who - workers]->socket;
}

/* ---- the faults ----------------------------------------------------------------------------- */

static uint64_t lease_us(const struct sim *sim)
{
    return sim->plan->options.limits.lease_ms * SIM_MS;
}

/* Mostly shorter than a lease, now and then longer. */
static uint64_t while_us(struct sim *sim)
{
    return sim_chance(sim, SIM_ALWAYS / 6) ? sim_between(sim, lease_us(sim), 2 * lease_us(sim))
                                           : sim_skewed(sim, 10 * SIM_MS, lease_us(sim) / 2);
}

static bool pause(struct sim *sim, struct sim_node *node)
{
    return node->paused_until <= sim->now && sim_pause(sim, node, while_us(sim), false);
}

static bool trouble_network(struct sim *sim, enum fault_kind kind)
{
    struct net_socket *socket = some_socket(sim);
    bool up = sim_chance(sim, SIM_ALWAYS / 2);

    if (socket == NULL)
        return false;
    if (kind == FAULT_CUT)
        net_cut(sim, socket, 0);
    else if (kind == FAULT_PARTITION)
        net_cut(sim, socket, while_us(sim));
    else
        net_stall(sim, socket, sim_skewed(sim, 10 * SIM_MS, lease_us(sim) / 2), up, !up);
    return true;
}

static bool trouble_worker(struct sim *sim, enum fault_kind kind)
{
    struct worker *worker = some_worker(sim);

    if (worker->session == NULL)
        return false;
    if (kind == FAULT_HOST)
        return host_strike(sim, &worker->hosts);
    if (kind == FAULT_WORKER)
        worker_crash(sim, worker, sim_skewed(sim, 10 * SIM_MS, 15 * SIM_S));
    else if (kind == FAULT_LAUNCHER)
        worker_lose_launcher(sim, worker);
    else if (kind == FAULT_DRAIN)
        worker_drain(sim, worker);
    else if (kind == FAULT_STOP)
        worker_stop(sim, worker);
    else
        return pause(sim, &worker->node);
    return true;
}

static bool trouble_client(struct sim *sim, enum fault_kind kind)
{
    struct client *client = some_client(sim);

    if (client->session == NULL)
        return false;
    if (kind == FAULT_PAUSE_CLIENT)
        return pause(sim, &client->node);
    client_crash(sim, client, sim_skewed(sim, 10 * SIM_MS, 15 * SIM_S));
    return true;
}

static bool happen(struct sim *sim, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_CUT:
    case FAULT_STALL:
    case FAULT_PARTITION:
        return trouble_network(sim, kind);
    case FAULT_HOST:
    case FAULT_WORKER:
    case FAULT_LAUNCHER:
    case FAULT_DRAIN:
    case FAULT_STOP:
    case FAULT_PAUSE_WORKER:
        return trouble_worker(sim, kind);
    case FAULT_CLIENT:
    case FAULT_PAUSE_CLIENT:
        return trouble_client(sim, kind);
    case FAULT_PAUSE_BROKER:
        return broker_pause(sim, while_us(sim), false);
    }
    return false;
}

static bool is_crash(enum fault_kind kind)
{
    return kind == FAULT_HOST || kind == FAULT_WORKER || kind == FAULT_LAUNCHER
           || kind == FAULT_CLIENT;
}

static void on_next(struct sim *sim, void *context)
{
    struct fault *self = context;
    enum fault_kind kind = (enum fault_kind)sim_between(sim, 0, TRI_COUNT_OF(faults) - 1);

    sim_after(sim, &self->next, sim_between(sim, 1, 2 * sim->plan->fault_us));
    if (!happen(sim, kind))
        return;
    sim_tell(sim, "FAULT", "%s", faults[kind].text);
    sim->counts.faults++;
    sim->counts.crashes += is_crash(kind);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* From now on nothing new goes wrong, and who is down gets up. */
static void on_calm(struct sim *sim, void *context)
{
    struct fault *self = context;

    sim_tell(sim, "FAULT", "no more of them");
    sim->calm = true;
    sim_cancel(sim, &self->next);
    broker_revive(sim);
    for (uint64_t i = 0; i < sim->plan->worker_count; i++)
        worker_revive(sim, sim->workers[i]);
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        client_revive(sim, sim->clients[i]);
}

void fault_begin(struct sim *sim)
{
    struct fault *self = tri_alloc(1, sizeof(*self));

    self->next = (struct sim_timer){ .fire = on_next, .context = self };
    self->calm = (struct sim_timer){ .fire = on_calm, .context = self };
    if (sim->plan->fault_us != 0)
        sim_after(sim, &self->next, sim_between(sim, 1, 2 * sim->plan->fault_us));
    sim_at(sim, &self->calm, sim->plan->calm_at);
    sim->fault = self;
}

void fault_end(struct sim *sim)
{
    sim_cancel(sim, &sim->fault->next);
    sim_cancel(sim, &sim->fault->calm);
    free(sim->fault);
    sim->fault = NULL;
}
