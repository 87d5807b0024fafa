#include "tests/sim/confused.h"

#include "common/assert.h"
#include "tests/sim/checker.h"
#include "tests/sim/client.h"
#include "tests/sim/host.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#include <stdlib.h>

#define CONFUSED UINT64_C(0x636f6e6675736564) /* any number: another stream of chance */
#define KEPT 32
#define FRAMES_MAX 4 /* more is not remembered */
#define PEERS_MAX (PLAN_WORKERS_MAX + PLAN_CLIENTS_MAX)
#define LAGS_MAX 4
#define WATCH_US (10 * SIM_MS)
#define CUT_US (2 * SIM_MS) /* after what was late has come */

struct saying {
    enum tri_message_type type;
    uint64_t batch; /* of OARS */
    struct tri_frame *frames[FRAMES_MAX];
    size_t count;
};

/* What somebody has said on the connection that it has. */
struct memory {
    uint64_t connection; /* 0: not connected yet */
    struct saying sayings[KEPT];
    uint64_t said;
};

struct confused {
    struct tri_prng prng;
    struct sim_timer next;
    struct sim_timer look; /* for a worker with long tasks */
    struct sim_timer cut;
    struct sim_timer watch; /* while the victim is cut off */
    uint64_t victim;
    tri_time watch_until;
    uint64_t lags;
    struct memory peers[PEERS_MAX];
};

static uint64_t between(struct confused *self, uint64_t low, uint64_t high)
{
    return tri_prng_between(&self->prng, low, high);
}

/* ---- remembering ---------------------------------------------------------------------------- */

static void forget(struct saying *saying)
{
    for (size_t i = 0; i < saying->count; i++)
        tri_frame_unref(saying->frames[i]);
    saying->count = 0;
}

static void forget_all(struct memory *memory)
{
    for (size_t i = 0; i < KEPT; i++)
        forget(&memory->sayings[i]);
    memory->said = memory->connection = 0;
}

static struct net_socket *socket_of(const struct sim *sim, uint64_t who)
{
    return who < sim->plan->worker_count ? sim->workers[who]->socket
                                         : sim->clients[who - sim->plan->worker_count]->socket;
}

/* What was said on another connection is forgotten. */
static void follow(const struct sim *sim, struct memory *memory, uint64_t who)
{
    uint64_t connection = net_connection(socket_of(sim, who));

    if (memory->connection != 0 && memory->connection != connection)
        forget_all(memory);
    memory->connection = connection;
}

void confused_says(struct sim *sim,
                   bool is_worker,
                   uint64_t number,
                   const struct tri_message *message,
                   struct tri_frame *const *frames,
                   size_t count)
{
    struct confused *self = sim->confused;
    uint64_t who = is_worker ? number : sim->plan->worker_count + number;
    struct memory *memory;
    struct saying *saying;

    if (self == NULL)
        return;
    memory = &self->peers[who];
    if (message->type == TRI_MESSAGE_HELLO)
        forget_all(memory);
    follow(sim, memory, who);
    saying = &memory->sayings[memory->said++ % KEPT];
    forget(saying);
    saying->type = message->type;
    saying->batch = message->type == TRI_MESSAGE_OARS ? message->oars.number : 0;
    for (size_t i = 0; i < count && count <= FRAMES_MAX; i++)
        saying->frames[saying->count++] = tri_frame_ref(frames[i]);
}

/* ---- saying it again ------------------------------------------------------------------------ */

static bool is_last_of_its_kind(const struct memory *memory, uint64_t at)
{
    const struct saying *saying = &memory->sayings[at % KEPT];

    for (uint64_t i = at + 1; i < memory->said; i++)
        if (memory->sayings[i % KEPT].type == saying->type
            && memory->sayings[i % KEPT].batch == saying->batch)
            return false;
    return true;
}

static bool may_be_repeated(const struct memory *memory, uint64_t at)
{
    switch ((int)memory->sayings[at % KEPT].type) {
    case TRI_MESSAGE_BYE:
    case TRI_MESSAGE_ATTACH:
        return false;
    case TRI_MESSAGE_OARS:
        return is_last_of_its_kind(memory, at);
    case TRI_MESSAGE_CANCEL:
    case TRI_MESSAGE_RETRY:
    case TRI_MESSAGE_FORGET:
        return at + 1 == memory->said;
    default:
        return memory->sayings[at % KEPT].count != 0;
    }
}

static void repeat(struct sim *sim, struct confused *self)
{
    uint64_t who = between(self, 0, sim->plan->worker_count + sim->plan->client_count - 1);
    struct memory *memory = &self->peers[who];
    uint64_t oldest;
    uint64_t at;

    follow(sim, memory, who);
    if (memory->said == 0 || memory->connection == 0)
        return;
    oldest = memory->said > KEPT ? memory->said - KEPT : 0;
    at = between(self, between(self, 0, 1) == 0 ? oldest : memory->said - 1, memory->said - 1);
    if (!may_be_repeated(memory, at))
        return;
    sim_tell(sim, who < sim->plan->worker_count ? sim->workers[who]->node.name : "client",
             "says message %llu of %llu on this connection again", (unsigned long long)at + 1,
             (unsigned long long)memory->said);
    net_send(sim, socket_of(sim, who), memory->sayings[at % KEPT].frames,
             memory->sayings[at % KEPT].count);
}

static void on_next(struct sim *sim, void *context)
{
    struct confused *self = context;

    if (sim->calm)
        return;
    sim_after(sim, &self->next, between(self, 1, SIM_S));
    repeat(sim, self);
}

/* ---- the network at its worst --------------------------------------------------------------- */

/* Nobody answers it any more: what it does is looked at all the time. */
static void on_watch(struct sim *sim, void *context)
{
    struct confused *self = context;
    const struct worker *worker = sim->workers[self->victim];

    if (host_busy_until(&worker->hosts) > sim->now)
        checker_host_works(sim, worker);
    if (sim->now < self->watch_until)
        sim_after(sim, &self->watch, WATCH_US);
}

static void on_cut(struct sim *sim, void *context)
{
    struct confused *self = context;
    const struct worker *worker = sim->workers[self->victim];
    uint64_t lease_us = sim->plan->options.limits.lease_ms * SIM_MS;

    if (worker->socket == NULL || sim->calm)
        return;
    sim_tell(sim, "FAULT", "a peer cannot be reached");
    sim->counts.faults++;
    net_cut(sim, worker->socket, lease_us + between(self, lease_us / 4, lease_us));
    self->watch_until = sim->now + lease_us;
    sim_after(sim, &self->watch, WATCH_US);
}

static void on_look(struct sim *sim, void *context)
{
    struct confused *self = context;
    uint64_t heartbeat_us = sim->plan->options.limits.heartbeat_ms * SIM_MS;
    uint64_t lease_us = sim->plan->options.limits.lease_ms * SIM_MS;
    uint64_t us = between(self, heartbeat_us, 2 * heartbeat_us);
    struct worker *worker;

    if (sim->calm || self->lags == LAGS_MAX)
        return;
    sim_after(sim, &self->look, between(self, heartbeat_us / 4, heartbeat_us));
    self->victim = between(self, 0, sim->plan->worker_count - 1);
    worker = sim->workers[self->victim];
    if (worker->session == NULL || worker->socket == NULL
        || host_busy_until(&worker->hosts) < sim->now + us + lease_us)
        return;
    self->lags++;
    sim_tell(sim, "FAULT", "%s is answered late, and then not at all", worker->node.name);
    sim->counts.faults++;
    net_stall(sim, worker->socket, us, false, true);
    sim_after(sim, &self->cut, us + CUT_US);
    sim_after(sim, &self->look, us + lease_us);
}

/* ---- life ----------------------------------------------------------------------------------- */

void confused_begin(struct sim *sim)
{
    struct confused *self = tri_alloc(1, sizeof(*self));

    tri_prng_init(&self->prng, tri_mix64(sim->seed + CONFUSED));
    self->next = (struct sim_timer){ .fire = on_next, .context = self };
    self->look = (struct sim_timer){ .fire = on_look, .context = self };
    self->cut = (struct sim_timer){ .fire = on_cut, .context = self };
    self->watch = (struct sim_timer){ .fire = on_watch, .context = self };
    sim_after(sim, &self->next, between(self, 1, SIM_S));
    sim_after(sim, &self->look, between(self, 1, SIM_S));
    sim->confused = self;
}

void confused_end(struct sim *sim)
{
    struct confused *self = sim->confused;

    if (self == NULL)
        return;
    sim_cancel(sim, &self->next);
    sim_cancel(sim, &self->look);
    sim_cancel(sim, &self->cut);
    sim_cancel(sim, &self->watch);
    for (size_t i = 0; i < PEERS_MAX; i++)
        forget_all(&self->peers[i]);
    free(self);
    sim->confused = NULL;
}
