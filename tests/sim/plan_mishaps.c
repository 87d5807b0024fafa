/* Drawing what befalls the broker. */
#include "tests/sim/plan.h"

static void draw_mishap(struct sim *sim, const struct plan *plan, struct plan_mishap *mishap)
{
    mishap->kind = sim_other_chance(sim, SIM_ALWAYS / 2) ? MISHAP_KILL : MISHAP_POWER;
    mishap->at = sim_other_skewed(sim, SIM_S / 4, plan->calm_at);
    mishap->in_commit = sim_other_chance(sim, SIM_ALWAYS / 2);
    mishap->down_us = sim_other_skewed(sim, SIM_MS, 10 * SIM_S);
}

void plan_draw_mishaps(struct sim *sim, struct plan *plan)
{
    struct engine_limits *limits = &plan->options.limits;

    plan->is_durable = true;
    plan->options.payloads_stored = true;
    limits->reclaim_ms = sim_other_between(sim, limits->lease_ms / 2, limits->lease_ms * 2);
    if (plan->commit_us_max == 0 && sim_other_chance(sim, SIM_ALWAYS * 3 / 4))
        plan->commit_us_max = sim_other_skewed(sim, 500, 100 * SIM_MS);
    plan->mishap_count = sim_other_between(sim, 1, PLAN_MISHAPS_MAX);
    for (uint64_t i = 0; i < plan->mishap_count; i++)
        draw_mishap(sim, plan, &plan->mishaps[i]);
    plan->end_at += plan->mishap_count * (limits->reclaim_ms * SIM_MS + 20 * SIM_S);
}
