/* feed.c - give a worker what it should do next. */
#include "broker/engine/state.h"

/* BATCH messages whose OARS are awaited from one worker. */
#define ASKED_MAX 16

/* Batches that are of no use to a worker are passed over, so many at a time; fewer when all that
 * it could take is work beyond its oars, or of batches that it has answered for before. */
#define PASSED_MAX 32
#define PASSED_FEW_MAX 2

enum outcome { TOOK, PASSED };

static enum outcome pass(struct berth *berth, const char *why)
{
    berth->why = why;
    return PASSED;
}

/* Tasks that wait: pending ones, or ones that could be stolen. */
static uint64_t waiting(const struct batch *batch)
{
    const struct tri_heap_node *most = tri_heap_peek(&batch->victims);

    if (batch->pending != 0 || most == NULL)
        return batch->pending;
    return berth_excess(tri_container_of(most, struct berth, victim));
}

/* Oars that are free, by what HELLO says. */
static uint64_t free_width(const struct worker *worker)
{
    double part = (double)worker_free(worker) / (double)WORKER_WHOLE;
    uint64_t oars = (uint64_t)(part * (double)worker->width);

    return oars != 0 ? oars : 1;
}

/* As many tasks as it has free oars: more would be taken by others before it comes to them. */
static bool has_asked_enough(const struct worker *worker)
{
    return worker->asked >= ASKED_MAX || worker->asked_tasks >= free_width(worker);
}

bool feed_ask(struct engine *engine, struct worker *worker, struct batch *batch)
{
    uint64_t tasks = waiting(batch);

    if (has_asked_enough(worker) || batch->asked_oars >= tasks)
        return false;
    berth_ask(engine, worker, batch, tasks < worker->width ? tasks : worker->width);
    return true;
}

/* The reserve lease: the oldest undone task alone. */
static enum outcome lease_oldest(struct engine *engine, struct berth *berth, struct pool *pool)
{
    struct batch *batch = berth->batch;
    struct tri_range oldest = { batch_oldest(batch), 1 };

    if (!tri_rangeset_contains(&pool->tasks, oldest.first) || !credit_reserve_is_free(batch))
        return pass(berth, "the result window is full");
    lease_new(engine, berth, pool, oldest, engine->options.limits.item_bytes_max, true);
    berth->why = "has the oldest task: the result window is full";
    return TOOK;
}

static enum outcome lease_some(struct engine *engine,
                               struct berth *berth,
                               struct pool *pool,
                               struct size size)
{
    struct batch *batch = berth->batch;
    uint64_t fitting = credit_tasks(engine, batch, credit_room(engine, batch));
    struct tri_range range;

    if (fitting == 0)
        return lease_oldest(engine, berth, pool);
    tri_rangeset_next(&pool->tasks, 0, &range);
    if (size.count < range.count)
        range.count = size.count;
    if (fitting < range.count)
        range.count = fitting;
    if (batch->stock != NULL)
        range.count =
            stock_cut(batch->stock, range.first, range.count, engine->options.payloads_stored);
    if (berth->growth < range.count * 2)
        berth->growth = range.count * 2;
    lease_new(engine, berth, pool, range, credit_need(engine, batch, range.count), false);
    berth->why = size.why;
    return TOOK;
}

static enum outcome serve(struct engine *engine, struct worker *worker, struct batch *batch)
{
    struct berth *berth = berth_find(worker, batch);
    struct pool *pool;
    struct size size;

    if (berth == NULL) {
        feed_ask(engine, worker, batch);
        return PASSED;
    }
    if (berth->state != BERTH_MANNED || berth->width == 0)
        return PASSED;
    pool = batch_first_pool(batch, worker->suspects != 0);
    if (pool == NULL)
        return pass(berth, "has one suspect already");
    size = size_lease(engine, berth, pool);
    if (size.count == 0)
        return pass(berth, size.why);
    return lease_some(engine, berth, pool, size);
}

static enum worker_appetite appetite(const struct engine *engine, const struct worker *worker)
{
    if (!worker->session->connected || engine->stopping || worker->leases >= LEASES_OF_WORKER_MAX)
        return WORKER_FULL;
    if (worker_free(worker) != 0)
        return WORKER_HUNGRY;
    if (worker->slow != 0 && worker->eager == 0)
        return WORKER_FULL; /* size.c would queue nothing behind them */
    if (worker->queue_ns < engine->options.limits.lease_target_ms * 1000000 / 2)
        return WORKER_ROOMY;
    return WORKER_FULL;
}

/* How many batches behind the fairest one are worth a look. */
static size_t patience(const struct engine *engine, const struct worker *worker)
{
    bool asks = !has_asked_enough(worker);

    if (!asks && worker->idle <= worker->asked && worker->leases == 0)
        return 0; /* everything that it knows of waits for its own answer */
    return appetite(engine, worker) == WORKER_HUNGRY && asks ? PASSED_MAX : PASSED_FEW_MAX;
}

static bool serve_behind(struct engine *engine, struct worker *worker, struct batch *batch)
{
    return serve(engine, worker, batch) == TOOK;
}

/* The batch that it was asked for: its turn was decided then. */
static void serve_answered(struct engine *engine, struct worker *worker)
{
    struct batch *batch = worker->answered;

    worker->answered = NULL;
    while (batch != NULL && tri_heap_is_linked(&batch->ready)
           && appetite(engine, worker) != WORKER_FULL && serve(engine, worker, batch) == TOOK)
        if (!batch_is_ready(engine, batch))
            fair_unlink(batch);
}

static void feed_all(struct engine *engine, struct worker *worker)
{
    serve_answered(engine, worker);
    while (appetite(engine, worker) != WORKER_FULL) {
        struct batch *batch = fair_pick(worker);
        bool passes;

        if (batch == NULL)
            break;
        passes = serve(engine, worker, batch) == PASSED;
        if (!batch_is_ready(engine, batch))
            fair_unlink(batch);
        else if (passes && !fair_search(engine, worker, patience(engine, worker), serve_behind))
            break;
    }
    if (appetite(engine, worker) == WORKER_HUNGRY)
        steal_for(engine, worker);
}

void feed(struct engine *engine, struct worker *worker)
{
    enum worker_appetite before = worker->appetite;

    feed_all(engine, worker);
    worker->appetite = appetite(engine, worker);
    if (has_asked_enough(worker))
        worker->appetite = WORKER_FULL; /* for batches that it does not know yet */
    if (worker->appetite != before)
        class_place_worker(worker);
}
