/* Revokes: what has not started comes back, to the queue here or to the broker. A slice has at most
 * one REVOKE under way; one of the broker's that finds another under way shares its answer. */
#include "worker/session/parts.h"

#include <stdlib.h>

void revokes_ask(struct session *self, struct slice *slice, struct tri_range range)
{
    struct tri_message message = { .type = TRI_MESSAGE_REVOKE };

    tri_assert(!slice->revoking);
    slice->revoking = true;
    slice->host->revoking++;
    message.revoke.lease = slice->id;
    message.revoke.first = range.first;
    message.revoke.count = range.count;
    effects_host_send(self, slice->host, &message, NULL, 0);
}

void revokes_ask_all(struct session *self, struct lease *lease)
{
    tri_dlist_foreach(&lease->slices, node)
    {
        struct slice *slice = tri_container_of(node, struct slice, of_lease);

        if (!slice->revoking && slice->host->kind != HOST_ISOLATED)
            revokes_ask(self, slice, slice->range);
    }
}

/* The part of `range` that is in `set`, moved out of it into `*out`. */
static void move_range(struct tri_rangeset *set, struct tri_range range, struct tri_rangeset *out)
{
    uint64_t end = range.first + range.count;
    struct tri_range part;

    for (uint64_t at = range.first;
         at < end && tri_rangeset_next(set, at, &part) && part.first < end;
         at = part.first + part.count) {
        if (part.count > end - part.first)
            part.count = end - part.first;
        tri_rangeset_add(out, part.first, part.count);
    }
    tri_rangeset_subtract(set, out);
}

/* ---- the broker's --------------------------------------------------------------------------- */

void revokes_on_revoke(struct session *self, const struct tri_msg_revoke *message)
{
    const struct tri_range range = { message->first, message->count };
    struct lease *lease = tri_map_find(&self->leases, message->lease);
    struct revoke *revoke;

    if (lease == NULL) {
        reports_released_range(self, message->lease, (struct tri_range){ 0, 0 });
        return;
    }
    revoke = tri_alloc(1, sizeof(*revoke));
    revoke->range = range;
    tri_dlist_push_back(&lease->revokes, &revoke->node);
    tri_dlist_foreach(&lease->slices, node)
    {
        struct slice *slice = tri_container_of(node, struct slice, of_lease);

        if (slice->revoke != NULL || slice->host->kind == HOST_ISOLATED
            || slice->host->kind == HOST_GROUP
            || !tri_rangeset_intersects(&slice->outstanding, range.first, range.count))
            continue;
        if (!slice->revoking)
            revokes_ask(self, slice, range);
        slice->revoke = revoke;
        revoke->waiting++;
    }
    leases_touch(self, lease);
}

static void revoke_answer(struct session *self, struct lease *lease, struct revoke *revoke)
{
    struct tri_rangeset queued = { 0 };

    tri_dlist_remove(&lease->revokes, &revoke->node);
    leases_take_within(lease, revoke->range, &queued);
    tri_rangeset_union(&revoke->given, &queued);
    leases_release(self, lease, &revoke->given);
    tri_rangeset_deinit(&queued);
    tri_rangeset_deinit(&revoke->given);
    free(revoke);
}

void revokes_settle(struct session *self, struct lease *lease, bool all)
{
    tri_dlist_foreach(&lease->revokes, node)
    {
        struct revoke *revoke = tri_container_of(node, struct revoke, node);

        if (revoke->waiting == 0 || all)
            revoke_answer(self, lease, revoke);
    }
}

/* ---- the hosts' ----------------------------------------------------------------------------- */

void revokes_answered(struct session *self, struct slice *slice)
{
    if (slice->revoking)
        slice->host->revoking--;
    slice->revoking = false;
    if (slice->revoke != NULL) {
        slice->revoke->waiting--;
        slice->revoke = NULL;
        leases_touch(self, slice->lease);
    }
}

void revokes_on_released(struct session *self,
                         struct slice *slice,
                         const struct tri_msg_released *message)
{
    struct tri_rangeset back = { 0 };
    struct tri_range range;

    for (size_t i = 0; i < message->ranges.count; i++)
        move_range(&slice->outstanding, tri_ranges_at(message->ranges, i), &back);
    slice->host->outstanding -= back.count;
    if (!slice->revoking)
        hosts_leave(self, slice->host); /* nobody asked: it is about to say so itself */
    slice->host->barren = slice->revoking && back.count == 0;
    if (slice->revoke != NULL)
        move_range(&back, slice->revoke->range, &slice->revoke->given);
    for (uint64_t at = 0; tri_rangeset_next(&back, at, &range); at = range.first + range.count)
        hosts_put_back(self, slice, range);
    tri_rangeset_deinit(&back);
    revokes_answered(self, slice);
    batches_touch(self, slice->lease->batch);
    slices_settle(self, slice);
}
