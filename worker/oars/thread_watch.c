/* Threads looked after by others: what they are told while they are inside a handler. */
#include "worker/oars/thread.h"

#include "common/clock.h"
#include "worker/host_flush.h"
#include "worker/host_lease.h"

/* Under host->lock, the gate taken: the task at hand is accounted for, its oar given up. */
static void abandon(struct rower *self, bool timeout, uint64_t now)
{
    struct host *host = self->host;

    rower_refuse(host, self->box, self->task, timeout);
    lease_leave(host, self);
    thread_leave_slot(self);
    tri_dlist_push_back(&host->abandoned, &self->node);
    self->watched_ns = now;
    rower_wake(self);
}

void thread_obey_one(struct rower *self, bool inside)
{
    struct host *host = self->host;
    struct lease *lease = self->lease;

    if (lease == NULL || tri_rangeset_is_empty(&lease->cancelled))
        return;
    if (tri_rangeset_intersects(&lease->cancelled, self->next, self->end - self->next)) {
        lease_ungrab(host, self);
        lease_drop_cancelled(host, lease);
    }
    if (inside && tri_rangeset_contains(&lease->cancelled, self->task->index))
        abandon(self, false, tri_clock_now_ns());
}

void thread_obey(struct host *host, struct rower *self)
{
    tri_dlist_foreach(&host->rowers, node)
    {
        struct rower *rower = tri_container_of(node, struct rower, node);

        if (rower == self) {
            thread_obey_one(rower, false);
        } else if (gate_take(rower)) {
            thread_obey_one(rower, true);
            gate_give(rower);
        } else if (rower->lease != NULL) {
            atomic_store_explicit(&rower->knock, 1, memory_order_relaxed);
        }
    }
    host_rouse(host, self);
}

/* One rower that is inside a handler since `stuck_ns` at least. */
static void look_after(struct rower *self,
                       uint64_t now,
                       uint64_t stuck_ns,
                       bool partials,
                       struct tri_dlist_head *parcels)
{
    struct host *host = self->host;
    uint64_t timeout_ns = host->batch.spec.timeout_ms * UINT64_C(1000000);
    bool same = atomic_load_explicit(&self->slot->seq, memory_order_relaxed) == self->watched_seq;

    if (stuck_ns >= HOST_FLUSH_NS && same)
        lease_ungrab(host, self);
    if (timeout_ns != 0 && stuck_ns >= timeout_ns && same) {
        struct box *box = self->box;

        /* The box is nobody's after this; the lease stays, for the task that still runs. */
        abandon(self, true, now);
        flush_take(host, box, parcels);
    } else if (partials || self->box->haul.reducer == NULL || self->box->haul.entry_count != 0) {
        flush_take(host, self->box, parcels);
    }
}

void thread_watch(struct host *host, uint64_t now, bool partials, struct tri_dlist_head *parcels)
{
    tri_dlist_foreach(&host->rowers, node)
    {
        struct rower *rower = tri_container_of(node, struct rower, node);
        uint64_t seq = atomic_load_explicit(&rower->slot->seq, memory_order_relaxed);

        if (seq != rower->watched_seq
            || atomic_load_explicit(&rower->slot->task, memory_order_relaxed) == 0) {
            rower->watched_seq = seq;
            rower->watched_ns = now;
        }
        if (gate_take(rower)) {
            look_after(rower, now, now - rower->watched_ns, partials, parcels);
            gate_give(rower);
        } else if (rower->lease != NULL && (partials || host->batch.reducer == NULL)) {
            atomic_store_explicit(&rower->knock, 1, memory_order_relaxed);
        }
    }
    if (host->queued != 0)
        host_rouse(host, NULL);
}
