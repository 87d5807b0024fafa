/* Workers that the broker has not heard of for a lease's time, and what stood alone on them. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "tests/sim/broker.h"

#include <stdlib.h>

static bool same_peer(const struct peer_id *a, const struct peer_id *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static bool is_silent(const struct sim *sim, const struct mate *mate)
{
    uint64_t lease_ms = sim->plan->options.limits.lease_ms - 1;

    if (sim->mortal)
        lease_ms -= lease_ms * 2 * BROKER_DRIFT_PPM_MAX / SIM_ALWAYS;
    return sim->now - mate->heard >= lease_ms * SIM_MS;
}

struct mate *vanish_mate(const struct sim *sim, const struct peer_id *peer)
{
    const struct checker *self = sim->checker;

    for (size_t i = self->route_count; i-- > 0;)
        if (same_peer(&self->routes[i].peer, peer))
            return &self->mates[self->routes[i].mate];
    return NULL;
}

static void add_route(struct checker *self, const struct peer_id *peer, const struct mate *mate)
{
    self->routes = tri_realloc(self->routes, self->route_count + 1, sizeof(*self->routes));
    self->routes[self->route_count++] = (struct route){ *peer, (size_t)(mate - self->mates) };
}

struct mate *vanish_mate_of(struct checker *self, struct tri_bytes instance)
{
    struct mate *mate;

    for (size_t i = 0; i < self->mate_count; i++)
        if (memcmp(self->mates[i].instance, instance.data, sizeof(self->mates[i].instance)) == 0)
            return &self->mates[i];
    self->mates = tri_realloc(self->mates, self->mate_count + 1, sizeof(*self->mates));
    mate = &self->mates[self->mate_count++];
    *mate = (struct mate){ .heard = UINT64_MAX };
    memcpy(mate->instance, instance.data, sizeof(mate->instance));
    return mate;
}

void vanish_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    const struct tri_msg_hello *hello = &message->hello;
    bool arrives = message->type == TRI_MESSAGE_HELLO && hello->role == TRI_ROLE_WORKER;
    struct mate *mate =
        arrives ? vanish_mate_of(sim->checker, hello->instance) : vanish_mate(sim, peer);

    if (mate == NULL)
        return;
    if (arrives)
        add_route(sim->checker, peer, mate);
    if (mate->heard != UINT64_MAX && is_silent(sim, mate))
        mate->gaps++;
    mate->heard = sim->now;
}

/* It has gone from there: has the worker vanished since? */
static void settle(const struct sim *sim, struct task *task)
{
    const struct mate *mate;

    if (task->alone_with == 0)
        return;
    mate = &sim->checker->mates[task->alone_with - 1];
    if ((mate->gaps != task->alone_gaps || is_silent(sim, mate)) && task->vanished < UINT8_MAX)
        task->vanished++;
    task->alone_with = 0;
}

void vanish_lends(struct sim *sim, const struct peer_id *peer, struct task *task)
{
    const struct mate *mate = vanish_mate(sim, peer);

    settle(sim, task);
    if (mate == NULL)
        sim_fail(sim, "a LEASE goes to who has never said HELLO");
    task->alone_with = (uint16_t)(mate - sim->checker->mates + 1);
    task->alone_gaps = mate->gaps;
}

uint64_t vanish_count(const struct sim *sim, struct task *task)
{
    settle(sim, task);
    return task->vanished;
}

void vanish_end(struct checker *self)
{
    for (size_t i = 0; i < self->mate_count; i++) {
        tri_map_deinit(&self->mates[i].names);
        tri_map_deinit(&self->mates[i].lost);
        tri_map_deinit(&self->mates[i].kept);
    }
    free(self->mates);
    free(self->routes);
}
