/* steal.c - idle oars take untouched work back from where it waits. */
#include "broker/engine/state.h"

/* Batches looked at for one worker, and berths of one batch. */
#define BATCHES_TRIED 4
#define VICTIMS_TRIED 8

/* Work that is over sooner is not worth the way. */
#define STEAL_NS_MIN 5000000

/* ---- REVOKE --------------------------------------------------------------------------------- */

void lease_revoke(struct engine *engine, struct lease *self, struct tri_range tasks)
{
    struct tri_message message = { .type = TRI_MESSAGE_REVOKE };
    uint64_t count = tri_rangeset_count_in(&self->undone, tasks.first, tasks.count);

    if (self->revoking != 0 || self->loading || count == 0)
        return;
    message.revoke.lease = self->number;
    message.revoke.first = tasks.first;
    message.revoke.count = tasks.count;
    if (!out_send(engine, self->berth->worker->session, &message, false))
        return;
    self->revoking = count;
    self->berth->revoking += count;
    berth_update(engine, self->berth);
}

void lease_unrevoke(struct engine *engine, struct lease *self)
{
    self->berth->revoking -= self->revoking;
    self->revoking = 0;
    if (self->thief == NULL)
        return;
    self->thief->robs = NULL;
    worker_touch(engine, self->thief->worker);
    self->thief = NULL;
}

void lease_revoke_again(struct engine *engine, struct lease *self)
{
    if (self->revoking == 0)
        return;
    lease_unrevoke(engine, self);
    berth_update(engine, self->berth);
    if (self->batch->halting)
        lease_revoke(engine, self, (struct tri_range){ self->first, self->count });
}

/* ---- RELEASED ------------------------------------------------------------------------------- */

void on_released(struct engine *engine,
                 struct session *session,
                 const struct tri_msg_released *released)
{
    struct lease *lease;
    uint64_t count = 0;

    if (!report_is_next(engine, session, released->seq))
        return;
    lease = lease_find(engine, session->worker, released->lease);
    if (lease != NULL) {
        for (size_t i = 0; i < released->ranges.count; i++)
            count +=
                lease_give_back(engine, lease, tri_ranges_at(released->ranges, i), &lease->grade);
        lease->unstealable = count < lease->revoking; /* the rest of it has begun */
        lease->berth->untouched = 0;
        lease_unrevoke(engine, lease);
        lease_settle(engine, &lease);
    }
    report_take(engine, session, released->seq);
}

/* ---- stealing ------------------------------------------------------------------------------- */

/* The newest lease there that can give something. */
static struct lease *stealable(const struct berth *berth)
{
    for (struct tri_dlist_node *node = tri_dlist_last(&berth->leases); node != NULL;
         node = tri_dlist_prev(&berth->leases, node)) {
        struct lease *lease = tri_container_of(node, struct lease, node);

        if (lease->revoking == 0 && !lease->unstealable && !lease->loading)
            return lease;
    }
    return NULL;
}

/* The shortest end of a lease that holds `count` undone tasks. */
static struct tri_range tail(const struct lease *lease, uint64_t count)
{
    uint64_t end = lease->first + lease->count;
    uint64_t start = end;
    struct tri_range range;

    while (count != 0 && tri_rangeset_prev(&lease->undone, start, &range)) {
        uint64_t part = range.count < count ? range.count : count;

        start = range.first + range.count - part;
        count -= part;
    }
    return (struct tri_range){ start, end - start };
}

/* So much that both end together. */
static uint64_t loot(const struct berth *victim, uint64_t oars)
{
    uint64_t excess = berth_excess(victim);
    double share = (double)excess * (double)oars / (double)(oars + victim->width);
    uint64_t count = (uint64_t)share;

    return (double)count < share ? count + 1 : count;
}

/* Nothing has been heard from there for longer than its work should have taken. */
static bool is_stuck(const struct engine *engine, const struct berth *victim)
{
    uint64_t quiet_ms = engine->now - victim->active_at;

    return quiet_ms * 1000000
           > berth_task_ns(victim) + 1000000 * engine->options.limits.lease_target_ms;
}

static bool is_worth_it(const struct engine *engine, const struct berth *victim)
{
    uint64_t task_ns = berth_task_ns(victim);
    uint64_t width = victim->width != 0 ? victim->width : 1;

    return task_ns == 0 || is_stuck(engine, victim)
           || (double)berth_excess(victim) * (double)task_ns / (double)width >= STEAL_NS_MIN;
}

static bool rob(struct engine *engine, struct berth *thief, struct berth *victim)
{
    struct lease *lease = stealable(victim);
    uint64_t oars = size_free_oars(thief);

    if (lease == NULL || victim->worker == thief->worker || oars == 0
        || !is_worth_it(engine, victim) || !victim->worker->session->connected)
        return false;
    if (grade_is_suspect(&lease->grade) && thief->worker->suspects != 0)
        return false;
    lease_revoke(engine, lease, tail(lease, loot(victim, oars)));
    if (lease->revoking == 0)
        return false;
    lease->thief = thief;
    thief->robs = lease;
    thief->why = "waits for work that was asked back elsewhere";
    return true;
}

static bool steal_from(struct engine *engine, struct worker *worker, struct batch *batch)
{
    struct berth *thief = berth_find(worker, batch);
    size_t count = batch->victims.count < VICTIMS_TRIED ? batch->victims.count : VICTIMS_TRIED;

    if (thief == NULL)
        return feed_ask(engine, worker, batch);
    if (thief->state != BERTH_MANNED || thief->robs != NULL)
        return thief->robs != NULL;
    for (size_t i = 0; i < count; i++)
        if (rob(engine, thief,
                tri_container_of(tri_heap_at(&batch->victims, i), struct berth, victim)))
            return true;
    return false;
}

bool steal_for(struct engine *engine, struct worker *worker)
{
    size_t tries = BATCHES_TRIED;

    tri_dlist_foreach(&worker->links, node)
    {
        struct class *class = tri_container_of(node, struct link, of_worker)->class;

        tri_dlist_foreach(&class->draining, batch_node)
        {
            if (tries-- == 0)
                return false;
            if (steal_from(engine, worker, tri_container_of(batch_node, struct batch, draining)))
                return true;
        }
    }
    return false;
}
