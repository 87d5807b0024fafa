/* Leases: what of them is queued here, what may have killed a host, and when one is over. */
#include "worker/session/parts.h"

#include <stdlib.h>

/* ---- places --------------------------------------------------------------------------------- */

/* By number: what was leased first runs first, also when it comes back from a host. */
static void wait_in_order(struct lease *lease)
{
    struct tri_dlist_head *waiting = &lease->batch->waiting;
    struct tri_dlist_node *at = tri_dlist_last(waiting);

    if (tri_dlist_is_linked(&lease->waiting))
        return;
    while (at != NULL && tri_container_of(at, struct lease, waiting)->id > lease->id)
        at = tri_dlist_prev(waiting, at);
    if (at == NULL)
        tri_dlist_push_front(waiting, &lease->waiting);
    else if (at == tri_dlist_last(waiting))
        tri_dlist_push_back(waiting, &lease->waiting);
    else
        tri_dlist_insert_before(waiting, tri_dlist_next(waiting, at), &lease->waiting);
}

static void unlink_empty(struct lease *lease)
{
    if (tri_rangeset_is_empty(&lease->queued) && tri_dlist_is_linked(&lease->waiting))
        tri_dlist_remove(&lease->batch->waiting, &lease->waiting);
    if (tri_rangeset_is_empty(&lease->suspects) && tri_dlist_is_linked(&lease->suspected))
        tri_dlist_remove(&lease->batch->suspected, &lease->suspected);
}

void leases_queue(struct session *self, struct lease *lease, struct tri_range range)
{
    if (lease->isolated) {
        leases_suspect(self, lease, range);
        return;
    }
    lease->batch->queued += tri_rangeset_add(&lease->queued, range.first, range.count);
    wait_in_order(lease);
    batches_touch(self, lease->batch);
}

void leases_suspect(struct session *self, struct lease *lease, struct tri_range range)
{
    lease->batch->suspect_count += tri_rangeset_add(&lease->suspects, range.first, range.count);
    if (!tri_dlist_is_linked(&lease->suspected))
        tri_dlist_push_back(&lease->batch->suspected, &lease->suspected);
    batches_touch(self, lease->batch);
}

bool leases_take(struct lease *lease, uint64_t limit, struct tri_range *range)
{
    bool taken = tri_rangeset_take_first(&lease->queued, limit, range);

    lease->batch->queued -= range->count;
    unlink_empty(lease);
    return taken;
}

void leases_take_within(struct lease *lease, struct tri_range range, struct tri_rangeset *out)
{
    uint64_t end = range.first + range.count;
    struct tri_range part;

    for (uint64_t at = range.first;
         at < end && tri_rangeset_next(&lease->queued, at, &part) && part.first < end;
         at = part.first + part.count)
        tri_rangeset_add(out, part.first,
                         part.count < end - part.first ? part.count : end - part.first);
    tri_rangeset_subtract(&lease->queued, out);
    lease->batch->queued -= out->count;
    unlink_empty(lease);
}

bool leases_take_suspects(struct lease *lease, uint64_t limit, struct tri_range *range)
{
    bool taken = tri_rangeset_take_first(&lease->suspects, limit, range);

    lease->batch->suspect_count -= range->count;
    unlink_empty(lease);
    return taken;
}

/* Take `range` out of the queue and the suspects. */
static void unqueue(struct lease *lease, struct tri_range range)
{
    lease->batch->queued -= tri_rangeset_remove(&lease->queued, range.first, range.count);
    lease->batch->suspect_count -= tri_rangeset_remove(&lease->suspects, range.first, range.count);
    unlink_empty(lease);
}

/* ---- coming --------------------------------------------------------------------------------- */

static struct lease *lease_new(struct session *self,
                               struct batch *batch,
                               const struct session_event *event)
{
    const struct tri_msg_lease *message = &event->message->lease;
    struct lease *lease = tri_alloc(1, sizeof(*lease));

    lease->id = message->lease;
    lease->batch = batch;
    lease->range = (struct tri_range){ message->first, message->count };
    lease->generation = message->generation;
    lease->attempt = message->attempt;
    lease->isolated = (message->flags & TRI_LEASE_ISOLATED) != 0;
    lease->credit_bytes = message->result_bytes;
    if (event->frame_count != 0) {
        lease->frame_count = event->frame_count;
        lease->frames = tri_alloc(lease->frame_count, sizeof(struct tri_frame *));
        for (size_t i = 0; i < lease->frame_count; i++)
            lease->frames[i] = tri_frame_ref(event->frames[i]);
    }
    tri_rangeset_add(&lease->unreported, message->first, message->count);
    tri_dlist_init(&lease->slices);
    tri_dlist_init(&lease->held);
    tri_dlist_init(&lease->revokes);
    tri_map_put(&self->leases, lease->id, lease);
    batch->leases++;
    return lease;
}

void leases_on_lease(struct session *self, const struct session_event *event)
{
    const struct tri_msg_lease *message = &event->message->lease;
    const struct tri_range range = { message->first, message->count };
    struct batch *batch = tri_map_find(&self->batches, message->number);

    if (range.count == 0 || range.count > TRI_INDEX_END - range.first) {
        connection_lost(self, "a lease of no tasks");
        return;
    }
    if (tri_map_find(&self->leases, message->lease) != NULL)
        return;
    if (batch == NULL || batch->choice.status != TRI_OK || self->draining) {
        reports_released_range(self, message->lease, range);
        return;
    }
    if (connection_is_late(self)) {
        /* Before it began. It is not named in the heartbeat, and so goes back. */
        effects_trace(self, "lease.expired leases=1");
        connection_hurry(self);
        return;
    }
    leases_queue(self, lease_new(self, batch, event), range);
    connection_watch(self);
}

void leases_on_credit(struct session *self, const struct tri_msg_credit *message)
{
    struct lease *lease = tri_map_find(&self->leases, message->lease);

    if (lease == NULL)
        return;
    lease->credit_bytes += message->result_bytes;
    reports_continue(self, lease);
    leases_touch(self, lease);
    batches_touch(self, lease->batch);
}

/* ---- going ---------------------------------------------------------------------------------- */

/* Tell hosts to forget `range` and forget it here. */
static void cancel_range(struct session *self, struct lease *lease, struct tri_range range)
{
    unqueue(lease, range);
    tri_dlist_foreach(&lease->slices, node)
    {
        struct slice *slice = tri_container_of(node, struct slice, of_lease);

        slices_cancel(self, slice, range);
    }
    tri_dlist_foreach(&lease->revokes, node)
    {
        struct revoke *revoke = tri_container_of(node, struct revoke, node);

        tri_rangeset_remove(&revoke->given, range.first, range.count);
    }
    tri_rangeset_remove(&lease->unreported, range.first, range.count);
}

void leases_on_cancel(struct session *self, const struct tri_msg_cancel_lease *message)
{
    struct lease *lease = tri_map_find(&self->leases, message->lease);

    if (lease == NULL)
        return;
    if (message->ranges.count == 0) {
        leases_drop(self, lease);
        return;
    }
    for (size_t i = 0; i < message->ranges.count; i++)
        cancel_range(self, lease, tri_ranges_at(message->ranges, i));
    leases_touch(self, lease);
    batches_touch(self, lease->batch);
}

void leases_drop(struct session *self, struct lease *lease)
{
    cancel_range(self, lease, lease->range);
    batches_touch(self, lease->batch);
    leases_free(self, lease);
}

void leases_release(struct session *self, struct lease *lease, const struct tri_rangeset *ranges)
{
    struct tri_range range;

    reports_released(self, lease->id, ranges);
    for (uint64_t at = 0; tri_rangeset_next(ranges, at, &range); at = range.first + range.count) {
        unqueue(lease, range);
        tri_rangeset_remove(&lease->unreported, range.first, range.count);
    }
    leases_touch(self, lease);
}

void leases_release_waiting(struct session *self, struct lease *lease)
{
    struct tri_rangeset ranges = { 0 };

    tri_rangeset_union(&ranges, &lease->queued);
    tri_rangeset_union(&ranges, &lease->suspects);
    if (!tri_rangeset_is_empty(&ranges))
        leases_release(self, lease, &ranges);
    tri_rangeset_deinit(&ranges);
}

void leases_give_up(struct session *self, struct lease *lease)
{
    struct tri_rangeset ranges = { 0 };

    tri_rangeset_union(&ranges, &lease->unreported);
    cancel_range(self, lease, lease->range);
    if (!tri_rangeset_is_empty(&ranges))
        leases_release(self, lease, &ranges);
    tri_rangeset_deinit(&ranges);
    leases_touch(self, lease);
}

void leases_touch(struct session *self, struct lease *lease)
{
    if (!tri_dlist_is_linked(&lease->touched))
        tri_dlist_push_back(&self->touched_leases, &lease->touched);
}

void leases_settle(struct session *self, struct lease *lease)
{
    revokes_settle(self, lease, false);
    if (!tri_rangeset_is_empty(&lease->unreported) || lease->held.count != 0
        || lease->revokes.count != 0)
        return;
    leases_free(self, lease);
}

static void free_items(struct session *self, struct lease *lease)
{
    for (size_t i = 0; i < lease->frame_count; i++)
        effects_retire(self, lease->frames[i]);
    free(lease->frames);
    free(lease->chunks);
    free(lease->firsts);
}

void leases_free(struct session *self, struct lease *lease)
{
    struct batch *batch = lease->batch;
    struct tri_dlist_node *node;

    unqueue(lease, lease->range);
    while ((node = tri_dlist_first(&lease->slices)) != NULL)
        slices_free(self, tri_container_of(node, struct slice, of_lease));
    revokes_settle(self, lease, true);
    while ((node = tri_dlist_pop_front(&lease->held)) != NULL)
        reports_free(self, tri_container_of(node, struct report, node));
    if (tri_dlist_is_linked(&lease->touched))
        tri_dlist_remove(&self->touched_leases, &lease->touched);
    free_items(self, lease);
    tri_rangeset_deinit(&lease->unreported);
    tri_rangeset_deinit(&lease->queued);
    tri_rangeset_deinit(&lease->suspects);
    tri_map_remove(&self->leases, lease->id);
    batch->leases--;
    if (batch->leases == 0)
        batch->busy_at = self->now;
    batches_touch(self, batch);
    free(lease);
}
