/* Drawing what befalls the broker. */
#include "tests/sim/plan.h"

#define SURE 3 /* mishaps that wait for nothing, and are over before the next */
#define CALM_US_MIN (60 * SIM_S)
#define DISK_MISHAPS_MIN 3

static enum mishap_kind draw_kind(struct sim *sim, uint64_t n)
{
    static const enum mishap_kind kinds[] = { MISHAP_KILL,    MISHAP_POWER, MISHAP_FULL,
                                              MISHAP_SUSPEND, MISHAP_ERROR, MISHAP_KILL };
    uint64_t last = n == 0 ? 1 : n < SURE ? 3 : TRI_COUNT_OF(kinds) - 1;

    return kinds[sim_other_between(sim, 0, last)];
}

/* One after the other: the first one is a crash. Returns when it is over. */
static uint64_t draw_mishap(
    struct sim *sim, const struct plan *plan, struct plan_mishap *mishap, uint64_t n, uint64_t from)
{
    uint64_t until = plan->calm_at * (n + 1) / plan->mishap_count;
    uint64_t us_max = n < SURE ? 5 * SIM_S : 10 * SIM_S;

    from = from < until ? from : until;
    mishap->kind = draw_kind(sim, n);
    mishap->at = sim_other_between(sim, from, until);
    mishap->in_commit = n >= SURE && sim_other_chance(sim, SIM_ALWAYS / 2);
    mishap->us = sim_other_skewed(sim, SIM_MS, us_max);
    mishap->whom = sim_other_between(sim, 0, plan->worker_count + plan->client_count);
    return mishap->at + mishap->us + 1;
}

void plan_draw_mishaps(struct sim *sim, struct plan *plan)
{
    struct engine_limits *limits = &plan->options.limits;
    uint64_t at = SIM_S / 4;

    plan->is_durable = true;
    if (plan->calm_at < CALM_US_MIN)
        plan->calm_at = CALM_US_MIN;
    plan_draw_encores(sim, plan);
    plan->options.payloads_stored = true;
    plan->disk_bytes = sim_other_chance(sim, SIM_ALWAYS / 4)
                           ? limits->memory_bytes_max + sim_other_skewed(sim, 1 << 20, 64 << 20)
                           : UINT64_C(1) << 40;
    plan->reserve_bytes = sim_other_skewed(sim, 64 << 10, 1 << 20);
    limits->reclaim_ms = sim_other_between(sim, limits->lease_ms / 2, limits->lease_ms * 2);
    if (plan->commit_us_max == 0 && sim_other_chance(sim, SIM_ALWAYS * 3 / 4))
        plan->commit_us_max = sim_other_skewed(sim, 500, 100 * SIM_MS);
    plan->mishap_count = sim_other_between(sim, 3, PLAN_MISHAPS_MAX);
    for (uint64_t i = 0; i < plan->mishap_count; i++)
        at = draw_mishap(sim, plan, &plan->mishaps[i], i, at);
    plan->end_at += plan->mishap_count * (limits->reclaim_ms * SIM_MS + 20 * SIM_S);
}

/* At any time, also while the others go on. */
void plan_draw_disk(struct tri_prng *prng, struct plan *plan)
{
    static const enum mishap_kind kinds[] = { MISHAP_POWER, MISHAP_POWER, MISHAP_KILL, MISHAP_ERROR,
                                              MISHAP_READ };
    uint64_t more = tri_prng_between(prng, DISK_MISHAPS_MIN, PLAN_DISK_MISHAPS_MAX);

    if (plan->commit_us_max == 0)
        plan->commit_us_max = SIM_MS << tri_prng_between(prng, 0, 6);
    for (uint64_t i = 0; i < more; i++)
        plan->mishaps[plan->mishap_count++] = (struct plan_mishap){
            .kind = kinds[tri_prng_between(prng, 0, TRI_COUNT_OF(kinds) - 1)],
            .at = tri_prng_between(prng, SIM_S / 4, plan->calm_at),
            .in_commit = true,
            .us = SIM_MS << tri_prng_between(prng, 0, 12),
        };
    plan->end_at += more * (plan->options.limits.reclaim_ms * SIM_MS + 20 * SIM_S);
}

void plan_draw_rots(struct tri_prng *prng, enum mishap_kind kind, struct plan *plan)
{
    uint64_t rots = tri_prng_between(prng, 0, PLAN_ROTS_MAX);

    for (uint64_t i = 0; i < rots; i++)
        plan->mishaps[plan->mishap_count++] = (struct plan_mishap){
            .kind = kind,
            .at = tri_prng_between(prng, SIM_S / 4, plan->calm_at),
            .whom = tri_prng_next(prng),
        };
}
