/* Drawing a plan. Half of the worlds are gentle in any one respect, so that every kind of trouble
 * also happens alone. */
#include "tests/sim/plan.h"

#include <stdio.h>
#include <string.h>

#define TASKS_MAX 3000
#define BATCHES_MAX (PLAN_BATCHES_MAX - PLAN_ENCORES_MAX - PLAN_CODAS_MAX)
#define MANY_TASKS 60000 /* now and then, of ranges of very short tasks */

static bool coin(struct sim *sim)
{
    return sim_chance(sim, SIM_ALWAYS / 2);
}

static bool seldom(struct sim *sim, uint64_t of)
{
    return sim_between(sim, 1, of) == 1;
}

/* ---- the broker and the network ------------------------------------------------------------- */

static void draw_limits(struct sim *sim, struct plan *plan)
{
    struct engine_limits *limits = &plan->options.limits;

    engine_options_init(&plan->options);
    limits->heartbeat_ms = coin(sim) ? 1000 : sim_between(sim, 200, 2000);
    limits->lease_ms = limits->heartbeat_ms * sim_between(sim, 5, 12);
    limits->lease_target_ms = coin(sim) ? 100 : sim_skewed(sim, 5, 1000);
    limits->open_grace_ms = sim_between(sim, 2000, 20000);
    limits->refusal_grace_ms = limits->open_grace_ms / 2;
    limits->backoff_ms_max = sim_between(sim, 100, 3000);
    limits->memory_bytes_max = sim_skewed(sim, 1 << 20, 64 << 20);
    limits->batch_bytes_max = sim_skewed(sim, 16 << 10, 1 << 20);
    limits->entries_max = seldom(sim, 4) ? sim_between(sim, 0, 8) : limits->entries_max;
    limits->history_bytes_max = 2000;
    limits->result_bytes_guess = coin(sim) ? 64 : sim_skewed(sim, 1, 4096);
    plan->options.seed = tri_prng_next(&sim->prng);
    plan->options.epoch = sim_skewed(sim, 1, 1 << 24);
    plan->options.payloads_stored = coin(sim);
    snprintf((char *)plan->options.cluster.bytes, 16, "cluster");
    plan->commit_us_max = coin(sim) ? 0 : sim_skewed(sim, 500, 100 * SIM_MS);
    plan->load_us_max = sim_skewed(sim, 100, 50 * SIM_MS);
}

static void draw_network(struct sim *sim, struct plan *plan)
{
    plan->delay_us_min = sim_skewed(sim, 20, 2 * SIM_MS);
    plan->delay_us_max = plan->delay_us_min * sim_skewed(sim, 1, 64);
    plan->calm_at = sim_between(sim, 40, 75) * SIM_S;
    plan->fault_us = seldom(sim, 8) ? 0 : sim_skewed(sim, 300 * SIM_MS, 15 * SIM_S);
}

/* ---- workers -------------------------------------------------------------------------------- */

/* The first one can do everything: somebody must. */
static void draw_worker(struct sim *sim, struct plan_worker *worker, bool capable)
{
    worker->cores = sim_between(sim, 1, 6);
    worker->width_max = sim_skewed(sim, 1, 32);
    worker->has_label = capable || coin(sim);
    worker->has_rare = capable || coin(sim);
    worker->recycle_count = seldom(sim, 3) ? sim_skewed(sim, 1, 64) : 0;
    worker->join_at =
        capable || coin(sim) ? sim_between(sim, 0, SIM_S) : sim_between(sim, 0, 30 * SIM_S);
    if (!capable && seldom(sim, 4))
        worker->model = (enum tri_model)sim_between(sim, TRI_MODEL_PROCESS, TRI_MODEL_ASYNC);
}

/* ---- batches -------------------------------------------------------------------------------- */

static void draw_source(struct sim *sim, struct plan_batch *batch)
{
    bool many = seldom(sim, 12);

    batch->range = coin(sim) || many;
    batch->first = (int64_t)sim_between(sim, 0, 2000) - 1000;
    batch->step = (int64_t)sim_skewed(sim, 1, 1000) * (coin(sim) ? 1 : -1);
    batch->count = seldom(sim, 20) ? 0 : sim_skewed(sim, 1, many ? MANY_TASKS : TASKS_MAX);
    if (seldom(sim, 3))
        batch->reducer = coin(sim) ? "sum" : "count";
}

static void draw_lengths(struct sim *sim, struct plan_batch *batch)
{
    uint64_t work_us = sim_skewed(sim, SIM_MS, 30 * SIM_S);
    uint64_t mean = work_us / (batch->count + 1) + 2;

    mean = mean < 3 * SIM_S ? mean : 3 * SIM_S;
    batch->task_us_min = coin(sim) ? mean : sim_between(sim, 1, mean);
    batch->task_us_max = mean * 2 - batch->task_us_min;
    if (seldom(sim, 3)) {
        batch->slow_us = sim_skewed(sim, 100 * SIM_MS, 8 * SIM_S);
        batch->slow_ppm = (uint32_t)(sim_between(sim, 1, 4) * SIM_ALWAYS / (batch->count + 4));
    }
}

/* About `tasks` of the batch, as a share. */
static uint32_t share_of(const struct plan_batch *batch, uint64_t tasks)
{
    return (uint32_t)(tasks * (SIM_ALWAYS / 8) / (batch->count + tasks));
}

static void draw_troubles(struct sim *sim, struct plan_batch *batch)
{
    uint64_t longest = batch->slow_us > batch->task_us_max ? batch->slow_us : batch->task_us_max;

    batch->retries = coin(sim) ? 0 : sim_between(sim, 1, 4);
    batch->crash_limit = sim_between(sim, 1, 3);
    if (coin(sim))
        batch->timeout_ms = longest / SIM_MS * 2 + sim_skewed(sim, 50, 2000);
    for (int kind = DEED_FAIL; kind <= DEED_KILL; kind++) {
        bool can_spin = batch->timeout_ms != 0 || (kind != DEED_SPIN && kind != DEED_STUCK);

        if (can_spin && seldom(sim, 5))
            batch->bad[kind] = share_of(batch, sim_skewed(sim, 1, 6));
        if (can_spin && seldom(sim, 5))
            batch->flaky[kind] = share_of(batch, sim_skewed(sim, 1, 12));
    }
    if (seldom(sim, 4)) {
        batch->halt = coin(sim) ? TRI_HALT_SOON : TRI_HALT_NOW;
        if (coin(sim))
            batch->halt_fail_count = sim_between(sim, 1, 5);
        else
            batch->halt_fail_percent = sim_between(sim, 1, 50);
    }
}

/* Nobody reads the results of a detached batch before all of it is added: they must fit. */
static bool can_be_kept(const struct plan *plan, const struct plan_batch *batch)
{
    uint64_t bytes = (batch->value_bytes_max + 64) * (batch->count + 1);

    return bytes * 4 * plan->batch_count < plan->options.limits.memory_bytes_max;
}

static void draw_client(struct sim *sim, const struct plan *plan, struct plan_batch *batch)
{
    batch->client = sim_between(sim, 0, plan->client_count - 1);
    batch->submit_at = sim_between(sim, 0, coin(sim) ? 3 * SIM_S : plan->calm_at / 2);
    batch->ordered = coin(sim);
    batch->by_runs = coin(sim);
    batch->detached = seldom(sim, 6) && can_be_kept(plan, batch);
    /* One task at a time passes through the smallest windows. */
    batch->window_bytes = sim_skewed(sim, batch->count > TASKS_MAX / 4 ? 8192 : 512, 4 << 20);
    batch->add_burst = sim_skewed(sim, 1, 2000);
    batch->add_every_us = sim_skewed(sim, 100, 500 * SIM_MS);
    if (batch->count / batch->add_burst * batch->add_every_us > 20 * SIM_S)
        batch->add_every_us = 20 * SIM_S / (batch->count / batch->add_burst + 1);
    batch->take_burst = sim_skewed(sim, 1, 5000);
    batch->take_every_us = sim_skewed(sim, 100, 300 * SIM_MS);
    if (batch->count / batch->take_burst * batch->take_every_us > 20 * SIM_S)
        batch->take_every_us = 20 * SIM_S / (batch->count / batch->take_burst + 1);
    if (seldom(sim, 6)) {
        batch->cancel_at = batch->submit_at + sim_skewed(sim, SIM_MS, 10 * SIM_S);
        batch->cancel_first = sim_between(sim, 0, batch->count);
        batch->cancel_count = coin(sim) ? 0 : sim_between(sim, 1, batch->count + 1);
    }
    batch->retry = seldom(sim, 3);
    batch->watcher = seldom(sim, 4) ? sim_between(sim, 0, plan->client_count - 1) : batch->client;
    batch->watch_at = batch->submit_at + sim_skewed(sim, SIM_MS, 20 * SIM_S);
    batch->takeover = seldom(sim, 3);
}

static void draw_batch(struct sim *sim, const struct plan *plan, struct plan_batch *batch)
{
    static const enum tri_model models[] = { TRI_MODEL_AUTO, TRI_MODEL_PROCESS, TRI_MODEL_THREAD,
                                             TRI_MODEL_ASYNC };

    batch->key = tri_prng_next(&sim->prng);
    snprintf(batch->name, sizeof(batch->name), "b%llu", (unsigned long long)batch->id);
    memcpy(batch->uuid.bytes, &batch->key, sizeof(batch->key));
    memcpy(batch->uuid.bytes + 8, "-a batch", 8);
    batch->handler = seldom(sim, 4) ? "rare" : "echo";
    batch->label = seldom(sim, 5) ? "gpu" : NULL;
    batch->model = models[sim_between(sim, 0, 3)];
    batch->width = coin(sim) ? 0 : sim_skewed(sim, 1, 24);
    batch->priority = seldom(sim, 4) ? sim_between(sim, 0, 3) : 0;
    batch->value_bytes_max = sim_skewed(sim, 1, plan->options.limits.batch_bytes_max / 16);
    draw_source(sim, batch);
    draw_lengths(sim, batch);
    if (coin(sim))
        draw_troubles(sim, batch);
    else
        batch->crash_limit = 3;
    draw_client(sim, plan, batch);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* How many go wrong, of both generations: twice as many as to be expected, and ten. */
static uint64_t tasks_in_trouble(const struct plan_batch *batch)
{
    uint64_t ppm = 0;

    for (size_t i = 0; i <= DEED_KILL; i++)
        ppm += batch->bad[i] + batch->flaky[i];
    return 10 + 4 * batch->count * ppm / SIM_ALWAYS;
}

/* Everything once more for each attempt that a batch allows, one after the other, and time for
 * what was lost to be noticed. */
static uint64_t patience(const struct plan *plan)
{
    uint64_t us = 120 * SIM_S + plan->options.limits.lease_ms * 4 * SIM_MS;

    for (uint64_t i = 0; i < plan->batch_count; i++) {
        const struct plan_batch *batch = &plan->batches[i];
        uint64_t each = (batch->task_us_min + batch->task_us_max) / 2;

        us += (batch->count * each + 4 * batch->slow_us) * 2;
        us += (batch->retries + batch->crash_limit)
              * (batch->timeout_ms + plan->options.limits.backoff_ms_max + 5000) * SIM_MS
              * tasks_in_trouble(batch);
    }
    return us;
}

void plan_draw(struct sim *sim, struct plan *plan)
{
    *plan = (struct plan){ 0 };
    draw_limits(sim, plan);
    draw_network(sim, plan);
    plan->worker_count = sim_between(sim, 1, PLAN_WORKERS_MAX);
    plan->client_count = sim_between(sim, 1, PLAN_CLIENTS_MAX);
    plan->batch_count = sim_between(sim, 1, BATCHES_MAX);
    for (uint64_t i = 0; i < plan->worker_count; i++)
        draw_worker(sim, &plan->workers[i], i == 0);
    for (uint64_t i = 0; i < plan->batch_count; i++) {
        plan->batches[i].id = i;
        draw_batch(sim, plan, &plan->batches[i]);
    }
    plan->encore_from = plan->batch_count;
    plan->end_at = plan->calm_at + patience(plan);
}

void plan_draw_encores(struct sim *sim, struct plan *plan)
{
    struct tri_prng kept = sim->prng;

    sim->prng = sim->other;
    while (plan->batch_count < PLAN_BATCHES_MAX - PLAN_CODAS_MAX
           && plan->batch_count < plan->encore_from + PLAN_ENCORES_MAX) {
        struct plan_batch *batch = &plan->batches[plan->batch_count];

        batch->id = plan->batch_count++;
        draw_batch(sim, plan, batch);
    }
    sim->other = sim->prng;
    sim->prng = kept;
    plan->end_at = plan->calm_at + patience(plan);
}

/* Short, and with a failure here and there. Nobody has its rows for the time being: they must fit.
 */
static void draw_coda(struct sim *sim, const struct plan *plan, struct plan_batch *batch)
{
    draw_batch(sim, plan, batch);
    draw_troubles(sim, batch);
    batch->count = sim_skewed(sim, 1, 300);
    while (!can_be_kept(plan, batch) && batch->value_bytes_max > 1)
        batch->value_bytes_max /= 2;
    draw_lengths(sim, batch);
    batch->bad[DEED_FAIL] = (uint32_t)sim_skewed(sim, SIM_ALWAYS / 100, SIM_ALWAYS / 2);
    batch->mends = coin(sim);
    batch->detached = true;
    batch->window_bytes = sim_skewed(sim, 512, 64 << 10);
    batch->take_every_us = sim_skewed(sim, 100, 10 * SIM_MS);
    batch->retry = false;
    if (!seldom(sim, 4))
        batch->cancel_at = 0;
    batch->rounds = sim_between(sim, 1, 4);
    batch->watcher = sim_between(sim, 0, plan->client_count - 1);
    batch->watch_at = batch->submit_at + sim_skewed(sim, SIM_MS, 5 * SIM_S);
    batch->takeover = coin(sim);
}

bool plan_draw_coda(struct sim *sim, struct plan *plan)
{
    struct tri_prng kept = sim->prng;
    bool is_drawn;

    sim->prng = sim->coda;
    is_drawn = seldom(sim, 4);
    if (is_drawn) {
        plan->encore_from = plan->batches[plan->batch_count].id = plan->batch_count;
        draw_coda(sim, plan, &plan->batches[plan->batch_count++]);
        plan->end_at = sim->now + patience(plan);
    }
    sim->coda = sim->prng;
    sim->prng = kept;
    return is_drawn;
}
