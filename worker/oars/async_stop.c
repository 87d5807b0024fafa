/* The loop's tasks told to stop, and looked after while one of them holds the loop. */
#include "worker/oars/async.h"

#include "worker/host_flush.h"
#include "worker/host_lease.h"

#define MS UINT64_C(1000000)

static struct async_loop *loop_of(const uv_loop_t *uv)
{
    return tri_container_of(uv, struct async_loop, uv);
}

/* Wake everything that was told to stop. */
void loop_wake_stopped(struct async_loop *self)
{
    tri_dlist_foreach(&self->in_flight, node)
    {
        struct oar *oar = tri_container_of(node, struct oar, node);

        if (task_is_stopped(&oar->task) && !oar->deaf)
            oar_wake(oar, TRI_CANCELLED);
    }
}

static uint64_t timeout_ns(const struct async_loop *self)
{
    return self->rower.host->batch.spec.timeout_ms * MS;
}

/* Refuse the tasks past their time; they stand at the front. */
static void on_deadline(uv_timer_t *timer)
{
    struct async_loop *self = loop_of(timer->loop);
    struct host *host = self->rower.host;
    uint64_t now = loop_clock(self);

    pthread_mutex_lock(&host->lock);
    tri_dlist_foreach(&self->in_flight, node)
    {
        struct oar *oar = tri_container_of(node, struct oar, node);

        if (now - oar->started_ns < timeout_ns(self))
            break;
        if (!oar->task.refused) {
            rower_refuse(host, oar->box, &oar->task, true);
            self->dirty = true;
        }
    }
    pthread_mutex_unlock(&host->lock);
    loop_wake_stopped(self);
    loop_arm_deadline(self);
}

void loop_arm_deadline(struct async_loop *self)
{
    tri_dlist_foreach(&self->in_flight, node)
    {
        const struct oar *oar = tri_container_of(node, struct oar, node);
        uint64_t end = oar->started_ns + timeout_ns(self);
        uint64_t left = end > self->now_ns ? end - self->now_ns : 0;

        if (oar->task.refused)
            continue;
        uv_update_time(&self->uv);
        uv_timer_start(&self->deadline, on_deadline, left / MS + 1, 0);
        return;
    }
}

/* Under host->lock; what the loop has is the caller's at the moment. */
void loop_obey(struct async_loop *self)
{
    struct host *host = self->rower.host;
    struct lease *lease = self->rower.lease;

    if (lease != NULL
        && tri_rangeset_intersects(&lease->cancelled, self->rower.next,
                                   self->rower.end - self->rower.next)) {
        lease_ungrab(host, &self->rower);
        lease_drop_cancelled(host, lease);
    }
    tri_dlist_foreach(&self->in_flight, node)
    {
        struct oar *oar = tri_container_of(node, struct oar, node);

        if (!oar->task.refused
            && tri_rangeset_contains(&oar->task.lease->cancelled, oar->task.index))
            rower_refuse(host, oar->box, &oar->task, false);
    }
}

void async_obey(struct host *host, struct rower *self)
{
    struct async_loop *loop = host->loop;

    if (loop == NULL)
        return;
    if (self == &loop->rower) {
        loop_obey(loop);
        loop_wake_stopped(loop);
        return;
    }
    if (gate_take(&loop->rower)) {
        loop_obey(loop);
        gate_give(&loop->rower);
    }
    atomic_store_explicit(&loop->rower.knock, 1, memory_order_relaxed);
    uv_async_send(&loop->wake);
}

bool async_reads(const struct host *host)
{
    return host->loop != NULL && !host->loop->held;
}

void async_watch(struct host *host, uint64_t now, bool partials, struct tri_dlist_head *parcels)
{
    struct async_loop *loop = host->loop;
    uint64_t turns = atomic_load_explicit(&host->table->turns, memory_order_relaxed);

    (void)now;
    if (loop == NULL)
        return;
    loop->held = false;
    if (gate_take(&loop->rower)) {
        loop->held = turns == loop->watched_turns;
        if (loop->held) {
            lease_ungrab(host, &loop->rower);
            flush_take_all(host, &loop->rower, partials, parcels);
        }
        gate_give(&loop->rower);
    }
    loop->watched_turns = turns;
}
