/* Slices: the part of a lease that one host has. */
#include "common/planted.h"
#include "worker/session/parts.h"

#include <stdlib.h>

static struct tri_range intersection(struct tri_range a, struct tri_range b)
{
    uint64_t a_end = a.first + a.count;
    uint64_t b_end = b.first + b.count;
    uint64_t first = a.first > b.first ? a.first : b.first;
    uint64_t end = a_end < b_end ? a_end : b_end;

    return (struct tri_range){ first, end > first ? end - first : 0 };
}

static struct slice *slice_new(struct session *self,
                               struct lease *lease,
                               struct host *host,
                               struct tri_range range)
{
    struct slice *slice = tri_alloc(1, sizeof(*slice));

    slice->id = ++self->last_slice;
    slice->lease = lease;
    slice->host = host;
    slice->range = range;
    tri_rangeset_add(&slice->outstanding, range.first, range.count);
    tri_dlist_push_back(&lease->slices, &slice->of_lease);
    tri_dlist_push_back(&host->slices, &slice->of_host);
    tri_map_put(&self->slices, slice->id, slice);
    host->outstanding += range.count;
    host->fed_at = self->now;
    host->barren = false;
    hosts_touch(self, host);
    return slice;
}

bool slices_give(struct session *self,
                 struct lease *lease,
                 struct host *host,
                 struct tri_range range,
                 struct tri_range *rest)
{
    struct tri_message message = { .type = TRI_MESSAGE_LEASE };
    struct tri_range cut = range;
    struct tri_frame *const *frames;
    size_t frame_count;

    if (!items_cut(self, lease, &cut, &frames, &frame_count))
        return false;
    *rest = (struct tri_range){ cut.first + cut.count, range.count - cut.count };
    message.lease.lease = slice_new(self, lease, host, cut)->id;
    message.lease.number = lease->batch->number;
    message.lease.generation = lease->generation;
    message.lease.first = cut.first;
    message.lease.count = cut.count;
    message.lease.attempt = lease->attempt;
    message.lease.flags = lease->isolated ? TRI_LEASE_ISOLATED : 0;
    message.lease.result_bytes = lease->credit_bytes;
    effects_host_send(self, host, &message, frames, frame_count);
    return true;
}

uint64_t slices_remove(struct slice *slice, struct tri_range range)
{
    uint64_t removed = tri_rangeset_remove(&slice->outstanding, range.first, range.count);

    slice->host->outstanding -= removed;
    return removed;
}

void slices_cancel(struct session *self, struct slice *slice, struct tri_range range)
{
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL_LEASE };
    struct tri_range *ranges;
    uint64_t before = slice->outstanding.count;
    uint64_t removed = slices_remove(slice, range);

    if (removed == 0)
        return;
    message.cancel_lease.lease = slice->id;
    if (removed != before) {
        ranges = effects_alloc(self, sizeof(*ranges));
        *ranges = intersection(range, slice->range);
        message.cancel_lease.ranges = tri_ranges_of(ranges, 1);
    }
    if (!PLANTED(CANCEL_UNHEARD))
        effects_host_send(self, slice->host, &message, NULL, 0);
    slice->host->cancelled = true;
    slices_settle(self, slice);
}

void slices_settle(struct session *self, struct slice *slice)
{
    hosts_touch(self, slice->host);
    leases_touch(self, slice->lease);
    if (tri_rangeset_is_empty(&slice->outstanding))
        slices_free(self, slice);
}

void slices_free(struct session *self, struct slice *slice)
{
    revokes_answered(self, slice);
    hosts_touch(self, slice->host);
    leases_touch(self, slice->lease);
    slice->host->outstanding -= slice->outstanding.count;
    tri_dlist_remove(&slice->lease->slices, &slice->of_lease);
    tri_dlist_remove(&slice->host->slices, &slice->of_host);
    tri_map_remove(&self->slices, slice->id);
    tri_rangeset_deinit(&slice->outstanding);
    free(slice);
}
