/* dispatch.c - settle what a step has touched.
 *
 * Workers first: those whose oars came free take what is ready. Then batches: those with more to
 * lease than before look for workers with free oars. Both stop when nobody wants anything. The
 * work done is in proportion to what was touched, never to what there is. */
#include "broker/engine/state.h"

/* Workers tried in one step on behalf of batches; the rest follows in the next. */
#define TRIES_MAX 64

/* Busy workers tried for one batch: they come by themselves when they have done something. */
#define ROOMY_TRIES_MAX 2

/* PROGRESS of a batch at most this often. */
#define PROGRESS_MS 250

/* ---- one batch ------------------------------------------------------------------------------ */

/* Enough are asked: their answers go on from there. */
static bool has_asked_enough(const struct batch *batch)
{
    return batch->pending != 0 && batch->asked_oars >= batch->pending;
}

bool batch_may_be_leased(const struct engine *engine, struct batch *batch)
{
    const struct pool *pool;

    if (batch->pending == 0 || engine->stopping || batch->halting || batch->cancelling
        || batch->held_back)
        return false;
    if (batch->oars == 0 && has_asked_enough(batch))
        return false;
    if (credit_tasks(engine, batch, credit_room(engine, batch)) != 0)
        return true;
    pool = batch_first_pool(batch, false);
    return tri_rangeset_contains(&pool->tasks, batch_oldest(batch))
           && credit_reserve_is_free(batch);
}

bool batch_is_ready(struct engine *engine, struct batch *batch)
{
    if (batch->pending != 0 && memory_is_short(engine, batch))
        credit_starve(engine, batch);
    return batch_may_be_leased(engine, batch);
}

static void settle_ready(struct engine *engine, struct batch *batch)
{
    if (!batch_is_ready(engine, batch)) {
        fair_unlink(batch);
        if (tri_dlist_is_linked(&batch->seeking))
            tri_dlist_remove(&engine->seeking_batches, &batch->seeking);
        return;
    }
    fair_link(engine, batch);
    if (!batch->gained)
        return;
    batch->seek_left = batch->class->hungry.count + ROOMY_TRIES_MAX;
    batch->idle_left = batch->berths.count;
    if (!tri_dlist_is_linked(&batch->seeking))
        tri_dlist_push_back(&engine->seeking_batches, &batch->seeking);
}

/* Nothing is pending but somebody has more than its oars hold: others may help. */
static void settle_draining(struct engine *engine, struct batch *batch)
{
    struct tri_dlist_head *draining = &batch->class->draining;
    bool drains =
        batch->pending == 0 && batch->victims.count != 0 && !batch->halting && !batch->cancelling;

    if (drains == tri_dlist_is_linked(&batch->draining))
        return;
    if (!drains) {
        tri_dlist_remove(draining, &batch->draining);
        return;
    }
    tri_dlist_push_back(draining, &batch->draining);
    batch->seek_left = batch->class->hungry.count;
    if (!tri_dlist_is_linked(&batch->seeking))
        tri_dlist_push_back(&engine->seeking_batches, &batch->seeking);
}

static void end_batch(struct engine *engine, struct batch *batch)
{
    batch_set_state(batch, batch->cancelling ? TRI_BATCH_CANCELLED
                           : batch->halting  ? TRI_BATCH_HALTED
                                             : TRI_BATCH_DONE);
    batch->ended_at = engine->now;
    batch->held_back = false;
    tri_dlist_push_back(&engine->ended_batches, &batch->ended);
    out_trace(&engine->out, "batch.ended batch=%llu state=%s done=%llu dead=%llu cancelled=%llu",
              (unsigned long long)batch->number, batch_state_text(batch->state),
              (unsigned long long)tri_rangeset_count(&batch->done),
              (unsigned long long)tri_rangeset_count(&batch->dead),
              (unsigned long long)tri_rangeset_count(&batch->cancelled));
    if (engine->clock_put_at != engine->now)
        stored_put_meta(engine); /* the clock is never behind what goes by it */
    batch_put(engine, batch);
    while (!tri_dlist_is_empty(&batch->berths))
        berth_destroy(engine,
                      tri_container_of(tri_dlist_first(&batch->berths), struct berth, of_batch),
                      true);
    post_pump_all(engine, batch);
}

static void settle_progress(struct engine *engine, struct batch *batch)
{
    if (tri_dlist_is_empty(&batch->attachments) || tri_dlist_is_linked(&batch->progress))
        return;
    if (batch->progress_at + PROGRESS_MS < engine->now)
        batch->progress_at = engine->now;
    batch->progress_at += PROGRESS_MS;
    tri_dlist_push_back(&engine->progress_batches, &batch->progress);
}

static void settle_batch(struct engine *engine, struct batch *batch)
{
    bool is_over;

    halt_if_due(engine, batch);
    halt_if_refused(engine, batch);
    is_over = batch->sealed && batch->pending + batch->delayed + batch->leased == 0;
    if (batch->stock != NULL && credit_append_is_news(engine, batch))
        append_tell(engine, batch->feeder, batch);
    if (batch->stock != NULL)
        credit_tell_feeder(engine, batch);
    if (is_over && !batch_has_ended(batch))
        end_batch(engine, batch);
    suspects_note(engine, batch);
    if (batch->put_due)
        batch_put(engine, batch);
    if (!tri_dlist_is_empty(&batch->wanting))
        credit_serve(engine, batch);
    settle_ready(engine, batch);
    settle_draining(engine, batch);
    if (!batch_has_ended(batch))
        settle_progress(engine, batch);
    else if (tri_dlist_is_linked(&batch->progress))
        tri_dlist_remove(&engine->progress_batches, &batch->progress);
    batch->gained = false;
}

/* ---- batches look for workers --------------------------------------------------------------- */

static bool wants_workers(const struct batch *batch)
{
    if (batch->seek_left == 0)
        return false;
    if (tri_dlist_is_linked(&batch->draining))
        return true;
    return tri_heap_is_linked(&batch->ready) && !has_asked_enough(batch);
}

/* A worker that mans the batch and has nothing of it: those stand first among the berths. It goes
 * to the back, in case that it does not take anything; each has one try, which is none of those
 * that others have. */
static struct worker *idle_worker(struct batch *batch)
{
    struct tri_dlist_node *first = tri_dlist_first(&batch->berths);
    const struct berth *berth =
        first != NULL ? tri_container_of(first, struct berth, of_batch) : NULL;

    if (batch->idle_left == 0 || berth == NULL || berth->leased != 0 || berth->state != BERTH_MANNED
        || berth->width == 0 || worker_free(berth->worker) == 0
        || !berth->worker->session->connected || !tri_heap_is_linked(&batch->ready))
        return NULL;
    batch->idle_left--;
    tri_dlist_remove(&batch->berths, first);
    tri_dlist_push_back(&batch->berths, first);
    return berth->worker;
}

/* The next worker to try for a batch; it goes to the back of its line. */
static struct worker *next_worker(struct class *class, bool hungry_only)
{
    struct tri_dlist_head *line =
        !tri_dlist_is_empty(&class->hungry) ? &class->hungry : &class->roomy;
    struct tri_dlist_node *node;

    if (tri_dlist_is_empty(line) || (hungry_only && line == &class->roomy))
        return NULL;
    node = tri_dlist_pop_front(line);
    tri_dlist_push_back(line, node);
    return tri_container_of(node, struct link, idle)->worker;
}

/* Free oars first: whoever only wants more than its oars hold comes after all that are hungry. */
static void feed_or_postpone(struct engine *engine, struct worker *worker)
{
    if (worker_free(worker) != 0 || tri_dlist_is_empty(&worker->links))
        feed(engine, worker);
    else
        tri_dlist_push_back(&engine->postponed_workers, &worker->touched);
}

static void settle_touched(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->touched_batches)
           || !tri_dlist_is_empty(&engine->touched_workers)) {
        while (!tri_dlist_is_empty(&engine->touched_batches))
            settle_batch(engine, tri_container_of(tri_dlist_pop_front(&engine->touched_batches),
                                                  struct batch, touched));
        if (!tri_dlist_is_empty(&engine->touched_workers))
            feed_or_postpone(engine, tri_container_of(tri_dlist_pop_front(&engine->touched_workers),
                                                      struct worker, touched));
    }
}

static void feed_postponed(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->postponed_workers)) {
        feed(engine, tri_container_of(tri_dlist_pop_front(&engine->postponed_workers),
                                      struct worker, touched));
        settle_touched(engine);
    }
}

static void seek(struct engine *engine)
{
    for (unsigned tries = 0; tries < TRIES_MAX;) {
        struct tri_dlist_node *first = tri_dlist_first(&engine->seeking_batches);
        struct batch *batch = first != NULL ? tri_container_of(first, struct batch, seeking) : NULL;
        struct worker *worker;

        if (batch == NULL)
            break;
        worker = batch->seek_left != 0 ? idle_worker(batch) : NULL;
        if (worker == NULL && wants_workers(batch)) {
            worker = next_worker(batch->class, tri_dlist_is_linked(&batch->draining));
            batch->seek_left--;
        }
        if (worker == NULL) {
            tri_dlist_remove(&engine->seeking_batches, &batch->seeking);
            continue;
        }
        tries++;
        feed(engine, worker);
        settle_touched(engine);
    }
}

static void settle(struct engine *engine)
{
    settle_touched(engine);
    seek(engine);
    feed_postponed(engine);
}

void dispatch(struct engine *engine)
{
    settle(engine);
    if (engine->starved_left == 0)
        return;
    memory_serve(engine);
    settle(engine);
}

bool dispatch_is_unfinished(const struct engine *engine)
{
    return !tri_dlist_is_empty(&engine->seeking_batches)
           || (engine->starved_left != 0 && !tri_dlist_is_empty(&engine->starved_batches));
}
