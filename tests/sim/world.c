/* One world, from its first instant to its last. */
#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/checker.h"
#include "tests/sim/client.h"
#include "tests/sim/coda.h"
#include "tests/sim/confused.h"
#include "tests/sim/fault.h"
#include "tests/sim/mishap.h"
#include "tests/sim/net.h"
#include "tests/sim/partition.h"
#include "tests/sim/plan.h"
#include "tests/sim/rough.h"
#include "tests/sim/stranger.h"
#include "tests/sim/vault.h"
#include "tests/sim/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define OTHER UINT64_C(0x6f74686572) /* any number: another stream of chance */
#define CODA UINT64_C(0x636f6461)
#define MESSAGES_MIN 2000
#define FORGET_US (20 * SIM_S) /* what may follow when all was read */

static void begin(struct sim *sim, uint64_t seed, const struct sim_options *options)
{
    *sim = (struct sim){ .seed = seed, .trace = options->trace, .mortal = !options->memory };
    sim_remember(seed, options);
    tri_prng_init(&sim->prng, seed);
    tri_prng_init(&sim->other, tri_mix64(seed + OTHER));
    tri_prng_init(&sim->coda, tri_mix64(seed + CODA));
    tri_heap_init(&sim->queue);
    sim->plan = tri_alloc(1, sizeof(*sim->plan));
    plan_draw(sim, sim->plan);
    if (sim->mortal)
        plan_draw_mishaps(sim, sim->plan);
    if (options->disk)
        vault_begin(sim);
    if (options->rough)
        rough_begin(sim);
    checker_begin(sim);
    net_begin(sim);
    broker_begin(sim);
    worker_begin(sim);
    client_begin(sim);
    fault_begin(sim);
    mishap_begin(sim);
    if (options->hostile) {
        stranger_begin(sim);
        confused_begin(sim);
    }
    if (options->disk || options->rough)
        partition_begin(sim);
}

static void end(struct sim *sim)
{
    coda_end(sim);
    partition_end(sim);
    confused_end(sim);
    stranger_end(sim);
    mishap_end(sim);
    fault_end(sim);
    client_end(sim);
    worker_end(sim);
    net_end(sim);
    broker_end(sim);
    rough_end(sim);
    vault_end(sim);
    checker_end(sim);
    free(sim->plan);
    sim->plan = NULL;
    tri_heap_deinit(&sim->queue);
}

static bool has_seen_enough(const struct sim *sim)
{
    return !sim->mortal || sim->counts.messages >= MESSAGES_MIN;
}

static bool is_read(const struct sim *sim)
{
    return sim->calm && has_seen_enough(sim) && client_all_read(sim);
}

/* Until `is_done`, or it takes too long. */
static void live(struct sim *sim, bool (*is_done)(const struct sim *), uint64_t until)
{
    while (!is_done(sim)) {
        struct tri_heap_node *node = tri_heap_pop(&sim->queue);
        struct sim_timer *timer;

        tri_assert(node != NULL);
        sim->now = node->key;
        if (sim->now > until) {
            client_tell(sim);
            sim_fail(sim, "not everything has ended %.0f s after the last fault had begun",
                     (double)(sim->now - sim->plan->calm_at) / 1e6);
        }
        timer = tri_container_of(node, struct sim_timer, node);
        timer->fire(sim, timer->context);
        if (sim->mortal && !is_read(sim) && client_all_read(sim))
            client_encore(sim);
    }
}

/* What is not asked for any more is kept nowhere. */
static void check_rest(struct sim *sim)
{
    if (sim->mortal && (sim->counts.faults < 3 || sim->counts.crashes < 1))
        sim_fail(sim, "this world was too quiet to prove anything");
    if (broker_rows(sim) != 0)
        sim_fail(sim, "everything is forgotten, and the store has %zu rows", broker_rows(sim));
    vault_check_rest(sim);
    checker_finish(sim);
}

void sim_run(uint64_t seed, const struct sim_options *options, struct sim *sim)
{
    begin(sim, seed, options);
    live(sim, is_read, sim->plan->end_at);
    coda_begin(sim);
    live(sim, is_read, sim->plan->end_at);
    rough_looks_again(sim);
    live(sim, is_read, sim->plan->end_at);
    client_forget_all(sim);
    live(sim, client_all_over,
         (sim->now > sim->troubled_until ? sim->now : sim->troubled_until) + FORGET_US);
    check_rest(sim);
    end(sim);
}
