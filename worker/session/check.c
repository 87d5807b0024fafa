/* Every invariant that spans structures. */
#include "worker/session/parts.h"

static void check_slice(const struct session *self, const struct slice *slice)
{
    struct tri_range range;

    tri_assert(tri_map_find(&self->slices, slice->id) == slice);
    tri_assert(slice->lease->batch == slice->host->batch);
    tri_assert(slice->host->state == HOST_SERVING || slice->host->state == HOST_LEAVING);
    tri_assert(!tri_rangeset_is_empty(&slice->outstanding));
    tri_assert(slice->revoke == NULL || slice->revoking);
    for (uint64_t at = 0; tri_rangeset_next(&slice->outstanding, at, &range);
         at = range.first + range.count)
        tri_assert(range.first >= slice->range.first
                   && range.first + range.count <= slice->range.first + slice->range.count);
}

/* What is not reported is in exactly one place. */
static void check_lease(const struct session *self, const struct lease *lease)
{
    struct tri_rangeset places = { 0 };
    uint64_t count = lease->queued.count + lease->suspects.count;
    uint64_t held_bytes = 0;

    tri_assert(tri_map_find(&self->leases, lease->id) == lease);
    tri_rangeset_union(&places, &lease->queued);
    tri_rangeset_union(&places, &lease->suspects);
    tri_dlist_foreach(&lease->slices, node)
    {
        const struct slice *slice = tri_container_of(node, struct slice, of_lease);

        check_slice(self, slice);
        tri_rangeset_union(&places, &slice->outstanding);
        count += slice->outstanding.count;
    }
    tri_dlist_foreach(&lease->revokes, node)
    {
        const struct revoke *revoke = tri_container_of(node, struct revoke, node);

        tri_rangeset_union(&places, &revoke->given);
        count += revoke->given.count;
    }
    tri_dlist_foreach(&lease->held, node) held_bytes +=
        tri_container_of(node, struct report, node)->body->bytes.size;
    tri_assert(places.count == count);
    tri_assert(tri_rangeset_equals(&places, &lease->unreported));
    tri_assert(held_bytes == lease->held_bytes);
    tri_assert(lease->starved == (lease->held.count != 0));
    tri_assert(tri_dlist_is_linked(&lease->waiting) == (lease->queued.count != 0));
    tri_assert(tri_dlist_is_linked(&lease->suspected) == (lease->suspects.count != 0));
    tri_assert(!tri_dlist_is_linked(&lease->touched));
    tri_assert(count != 0 || lease->held.count != 0);
    tri_rangeset_deinit(&places);
}

static void check_host(const struct session *self, const struct host *host)
{
    uint64_t outstanding = 0;
    size_t revoking = 0;

    tri_assert(tri_map_find(&self->hosts, host->id) == host);
    tri_dlist_foreach(&host->slices, node)
    {
        const struct slice *slice = tri_container_of(node, struct slice, of_host);

        outstanding += slice->outstanding.count;
        revoking += slice->revoking;
    }
    tri_assert(outstanding == host->outstanding);
    tri_assert(revoking == host->revoking);
    tri_assert(host->kind != HOST_ISOLATED || host->outstanding <= 1);
    tri_assert(host->state == HOST_SERVING || host->state == HOST_LEAVING || outstanding == 0);
    tri_assert(!tri_dlist_is_linked(&host->hungry) || host->state == HOST_SERVING);
    tri_assert(host->batch != NULL || host->state == HOST_ENDING || host->state == HOST_KILLED);
}

static void check_batch(const struct session *self, const struct batch *batch)
{
    uint64_t leases = 0;
    uint64_t queued = 0;
    uint64_t suspects = 0;
    uint64_t ones = 0;
    uint64_t isolated = 0;
    uint64_t groups = 0;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);) {
        const struct lease *lease = value;

        if (lease->batch != batch)
            continue;
        leases++;
        queued += lease->queued.count;
        suspects += lease->suspects.count;
    }
    tri_dlist_foreach(&batch->hosts, node)
    {
        const struct host *host = tri_container_of(node, struct host, of_batch);

        tri_assert(host->batch == batch);
        ones += host->kind == HOST_ONE && host->state == HOST_SERVING;
        isolated += host->kind == HOST_ISOLATED && host->state == HOST_SERVING;
        groups += host->kind == HOST_GROUP && host->state == HOST_SERVING;
    }
    tri_assert(leases == batch->leases);
    tri_assert(queued == batch->queued);
    tri_assert(suspects == batch->suspect_count);
    tri_assert(ones == batch->ones);
    tri_assert(isolated == batch->isolated);
    tri_assert(groups == batch->groups);
    tri_assert(batch->shared == NULL || batch->shared->state == HOST_SERVING);
    tri_assert(ones <= (batch_has_a_host_per_oar(batch) ? batch->choice.width : 0));
    tri_assert(queued + suspects == 0 || (batch->choice.status == TRI_OK && !self->draining));
}

void session_check(const struct session *self)
{
    uint64_t key;
    void *value;
    uint64_t last = 0;

    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);)
        check_lease(self, value);
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);)
        check_host(self, value);
    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);)
        check_batch(self, value);
    tri_dlist_foreach(&self->unacked, node)
    {
        const struct report *report = tri_container_of(node, struct report, node);

        tri_assert(report->seq > last);
        last = report->seq;
    }
    tri_assert(last <= self->seq);
    tri_heap_check(&self->timers);
}
