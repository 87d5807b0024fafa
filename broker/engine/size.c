/* size.c - how many tasks one lease holds (docs/spec/2-lifecycle.md, "Lease size").
 *
 * First the free oars, so that everything that can run runs at once. Then work beyond the oars, by
 * time: as much as takes lease_target_ms, twice the previous lease at most, and (once no more
 * can come) a half of this worker's share of what is left, so that the last leases are small and
 * all end together. */
#include "broker/engine/state.h"

#define TASKS_MAX UINT64_C(1048576)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t ceil_part(uint64_t total, uint64_t part, uint64_t whole)
{
    double share = (double)total * (double)part / (double)whole;
    uint64_t floor = (uint64_t)share;

    return (double)floor < share ? floor + 1 : floor;
}

/* Oars of the batch that nothing is leased for: as far as the worker is free at all. */
uint64_t size_free_oars(const struct berth *berth)
{
    uint64_t load = berth_load(berth);
    uint64_t unleased = berth->width > load ? berth->width - load : 0;
    double part = (double)worker_free(berth->worker) / (double)WORKER_WHOLE;

    return least(unleased, (uint64_t)(part * (double)berth->width + 0.001));
}

static uint64_t eligible_oars(const struct berth *berth)
{
    return berth->batch->oars + berth->batch->asked_oars;
}

/* min(free oars, ceil(remaining x own oars / all eligible oars)) less what it already has. */
static uint64_t oars_share(const struct berth *berth, uint64_t oars)
{
    const struct batch *batch = berth->batch;
    uint64_t share = ceil_part(batch->pending + batch->leased, berth->width, eligible_oars(berth));

    if (share > berth_load(berth))
        return least(oars, share - berth_load(berth));
    return batch->asked_oars != 0 ? 0 : 1;
}

/* Work beyond the oars, by measured time. */
static uint64_t ahead(const struct engine *engine, const struct berth *berth)
{
    const struct worker *worker = berth->worker;
    uint64_t target = engine->options.limits.lease_target_ms * 1000000;
    uint64_t task_ns = berth_task_ns(berth);
    /* More comes to an open batch: what is there now is not its tail. */
    uint64_t parts = berth->batch->sealed ? 2 : 1;
    /* Workers that have been asked come first: their oars may be free. */
    uint64_t pending =
        berth->batch->pending - least(berth->batch->pending, berth->batch->asked_oars);
    uint64_t share = ceil_part(pending, berth->width, parts * eligible_oars(berth));
    double count;

    if (worker->queue_ns >= target / 2)
        return 0;
    if (berth_load(berth) < berth->width && worker->slow != 0)
        return 0; /* others have its oars, for nobody knows how long */
    if (task_ns == 0 && (berth->contributed || berth_load(berth) > berth->width))
        return 0; /* what has ended there has timed out or crashed: others have their turn first */
    if (task_ns == 0)
        return least(berth->width, share);
    count = (double)(target - worker->queue_ns) * (double)berth->width / (double)task_ns;
    return least(count < (double)berth->growth ? (uint64_t)count : berth->growth, share);
}

struct size size_lease(const struct engine *engine,
                       const struct berth *berth,
                       const struct pool *pool)
{
    uint64_t oars = size_free_oars(berth);
    struct size size = { 0, "has enough work" };

    if (oars != 0) {
        size.count = oars_share(berth, oars);
        size.why = size.count != 0 ? "filled its free oars" : "left to others that are free";
        if (size.count == oars && berth_task_ns(berth) != 0)
            size.count += ahead(engine, berth);
    } else {
        size.count = ahead(engine, berth);
        if (size.count != 0)
            size.why = "queued ahead of its oars, by time";
    }
    if (pool->grade.cap != 0)
        size.count = least(size.count, pool->grade.cap);
    size.count = least(size.count, TASKS_MAX);
    return size;
}
