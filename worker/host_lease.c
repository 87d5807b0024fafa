#include "worker/host_lease.h"

#include "common/assert.h"
#include "worker/host_box.h"

#include <stdlib.h>
#include <string.h>

#define GRAIN_GROWTH 4 /* how much longer a run may be than the one before */

static void lease_free(struct lease *lease)
{
    tri_dlist_foreach(&lease->boxes, node)
    {
        struct box *box = tri_container_of(node, struct box, node);

        box_destroy(&box);
    }
    tri_rangeset_deinit(&lease->cancelled);
    free(lease->chunks);
    free(lease->bytes);
    free(lease);
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum tri_status adopt_frames(struct lease *lease,
                                    const struct tri_bytes *frames,
                                    size_t frame_count,
                                    struct tri_error *error)
{
    size_t size = 0;
    uint64_t at = lease->first;
    uint8_t *to;

    for (size_t i = 0; i < frame_count; i++)
        size += frames[i].size;
    to = lease->bytes = tri_alloc(size + 1, 1);
    lease->chunks = tri_alloc(frame_count, sizeof(lease->chunks[0]));
    lease->chunk_count = frame_count;
    for (size_t i = 0; i < frame_count; i++) {
        enum tri_status status;

        if (frames[i].size != 0)
            memcpy(to, frames[i].data, frames[i].size);
        status = tri_items_open((struct tri_bytes){ to, frames[i].size }, &lease->chunks[i].chunk,
                                error);
        if (status != TRI_OK)
            return status;
        to += frames[i].size;
        lease->chunks[i].first = at;
        at += lease->chunks[i].chunk.count;
    }
    if (at != lease->first + lease->count)
        return tri_fail(error, TRI_INVALID, "a lease of %llu tasks came with %llu items",
                        (unsigned long long)lease->count, (unsigned long long)(at - lease->first));
    return TRI_OK;
}

enum tri_status lease_open(const struct batch *batch,
                           const struct tri_msg_lease *message,
                           const struct tri_bytes *frames,
                           size_t frame_count,
                           struct lease **lease,
                           struct tri_error *error)
{
    struct lease *self;
    enum tri_status status = TRI_OK;

    *lease = NULL;
    if (message->count == 0 || message->first > INT64_MAX - message->count)
        return tri_fail(error, TRI_INVALID, "a lease of no tasks, or past the last");
    self = tri_alloc(1, sizeof(*self));
    self->id = message->lease;
    self->number = message->number;
    self->generation = message->generation;
    self->attempt = message->attempt;
    self->first = message->first;
    self->count = self->left = message->count;
    tri_rangeset_init(&self->cancelled);
    tri_dlist_init(&self->boxes);
    if (batch->spec.source == TRI_SOURCE_ITEMS)
        status = adopt_frames(self, frames, frame_count, error);
    if (status != TRI_OK) {
        lease_free(self);
        return status;
    }
    *lease = self;
    return TRI_OK;
}

/* ---- the queue ------------------------------------------------------------------------------ */

static struct slice *slice_new(struct lease *lease, uint64_t next, uint64_t end)
{
    struct slice *slice = tri_alloc(1, sizeof(*slice));

    *slice = (struct slice){ .lease = lease, .next = next, .end = end };
    return slice;
}

void lease_enqueue(struct host *host, struct lease *lease)
{
    struct slice *slice = slice_new(lease, lease->first, lease->first + lease->count);

    tri_dlist_push_back(&host->leases, &lease->node);
    tri_dlist_push_back(&host->slices, &slice->node);
    host->queued += lease->count;
}

struct lease *lease_find(struct host *host, uint64_t id)
{
    tri_dlist_foreach(&host->leases, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, node);

        if (lease->id == id)
            return lease;
    }
    return NULL;
}

static void free_if_done(struct host *host, struct lease *lease)
{
    if (lease->left != 0 || lease->holders != 0)
        return;
    tri_dlist_remove(&host->leases, &lease->node);
    lease_free(lease);
}

void lease_settle(struct host *host, struct lease *lease, uint64_t count)
{
    tri_assert(count <= lease->left);
    lease->left -= count;
    free_if_done(host, lease);
}

void lease_hold(struct lease *lease)
{
    lease->holders++;
}

void lease_unhold(struct host *host, struct lease *lease)
{
    tri_assert(lease->holders != 0);
    lease->holders--;
    free_if_done(host, lease);
}

/* ---- grabbing ------------------------------------------------------------------------------- */

unsigned lease_rowers_wanted(const struct host *host)
{
    uint64_t wanted = host->queued;

    if (host->task_ns != 0 && host->task_ns < HOST_GRAB_NS && wanted < UINT32_MAX)
        wanted = (wanted * host->task_ns + HOST_GRAB_NS - 1) / HOST_GRAB_NS;
    return wanted < host->width ? (unsigned)wanted : host->width;
}

void lease_learn(struct host *host, uint64_t elapsed_ns, uint64_t count)
{
    uint64_t each = elapsed_ns / count;

    if (each == 0)
        each = 1;
    if (each > INT32_MAX)
        each = INT32_MAX;
    /* Believe at once that tasks are long, slowly that they are short: a run too long makes its
     * tasks wait for each other, one too short costs a lock. */
    host->task_ns = each > host->task_ns ? each : (host->task_ns * 3 + each) / 4;
    if (host->task_ns == 0)
        host->task_ns = 1;
}

/* About HOST_GRAB_NS of work; at the tail no more than leaves something for the others, as long as
 * that is worth a lock. */
static uint64_t grain_of(const struct host *host, const struct rower *rower)
{
    uint64_t grain = host->task_ns != 0 ? HOST_GRAB_NS / host->task_ns : 1;
    uint64_t least = grain / 8;
    uint64_t share = host->queued / (2 * (host->rower_count != 0 ? host->rower_count : 1));

    if (share < least)
        share = least;
    if (grain > share)
        grain = share;
    if (grain > rower->grain * GRAIN_GROWTH)
        grain = rower->grain * GRAIN_GROWTH;
    return grain != 0 ? grain : 1;
}

static struct box *adopt_box(struct host *host, struct lease *lease, struct rower *rower)
{
    struct box *box = NULL;

    tri_dlist_foreach(&lease->boxes, node)
    {
        struct box *candidate = tri_container_of(node, struct box, node);

        if (candidate->owner == NULL || candidate->owner == rower)
            box = candidate;
    }
    if (box == NULL)
        box = box_new(lease, host->batch.reducer);
    box->owner = rower;
    return box;
}

void lease_leave(struct host *host, struct rower *rower)
{
    struct lease *lease = rower->lease;

    if (lease == NULL)
        return;
    lease_ungrab(host, rower);
    if (!rower->keeps_boxes)
        rower->box->owner = NULL;
    rower->box = NULL;
    rower->lease = NULL;
    lease_unhold(host, lease);
}

static void step_onto(struct host *host, struct rower *rower, struct lease *lease)
{
    if (rower->lease == lease)
        return;
    lease_leave(host, rower);
    lease_hold(lease);
    rower->lease = lease;
    rower->box = adopt_box(host, lease, rower);
}

/* The last chunk that begins at or before `index`. */
static const struct lease_chunk *chunk_of(const struct lease *lease, uint64_t index)
{
    size_t low = 0;
    size_t high = lease->chunk_count;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (lease->chunks[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    /* Of chunks without items only the last that begins here holds it. */
    return &lease->chunks[low];
}

bool lease_grab(struct host *host, struct rower *rower)
{
    struct tri_dlist_node *node = host->draining ? NULL : tri_dlist_first(&host->slices);
    struct slice *slice;

    if (node == NULL) {
        lease_leave(host, rower);
        return false;
    }
    slice = tri_container_of(node, struct slice, node);
    step_onto(host, rower, slice->lease);
    rower->grain = grain_of(host, rower);
    rower->next = slice->next;
    rower->end = slice->end - slice->next > rower->grain ? slice->next + rower->grain : slice->end;
    rower->chunk = NULL;
    if (slice->lease->chunk_count != 0) {
        rower->chunk = chunk_of(slice->lease, rower->next);
        if (rower->end > rower->chunk->first + rower->chunk->chunk.count)
            rower->end = rower->chunk->first + rower->chunk->chunk.count;
    }
    host->queued -= rower->end - rower->next;
    slice->next = rower->end;
    if (slice->next == slice->end) {
        tri_dlist_remove(&host->slices, &slice->node);
        free(slice);
    }
    return true;
}

uint64_t lease_ungrab(struct host *host, struct rower *rower)
{
    uint64_t count = rower->end - rower->next;
    struct slice *slice;

    if (count == 0)
        return 0;
    slice = slice_new(rower->lease, rower->next, rower->end);
    tri_dlist_push_front(&host->slices, &slice->node);
    host->queued += count;
    rower->end = rower->next;
    return count;
}

/* ---- taking back ---------------------------------------------------------------------------- */

static void unqueue_slice(struct host *host,
                          struct slice *slice,
                          uint64_t first,
                          uint64_t end,
                          struct tri_rangeset *taken)
{
    uint64_t from = first > slice->next ? first : slice->next;
    uint64_t to = end < slice->end ? end : slice->end;

    if (from >= to)
        return;
    tri_rangeset_add(taken, from, to - from);
    host->queued -= to - from;
    if (to < slice->end) {
        struct slice *rest = slice_new(slice->lease, to, slice->end);
        struct tri_dlist_node *after = tri_dlist_next(&host->slices, &slice->node);

        if (after != NULL)
            tri_dlist_insert_before(&host->slices, after, &rest->node);
        else
            tri_dlist_push_back(&host->slices, &rest->node);
    }
    slice->end = from;
    if (slice->next == slice->end) {
        tri_dlist_remove(&host->slices, &slice->node);
        free(slice);
    }
}

void lease_unqueue(struct host *host,
                   struct lease *lease,
                   uint64_t first,
                   uint64_t count,
                   struct tri_rangeset *taken)
{
    uint64_t end = first + count < first ? UINT64_MAX : first + count;

    tri_dlist_foreach(&host->slices, node)
    {
        struct slice *slice = tri_container_of(node, struct slice, node);

        if (slice->lease == lease)
            unqueue_slice(host, slice, first, end, taken);
    }
}

void lease_drop_cancelled(struct host *host, struct lease *lease)
{
    struct tri_rangeset dropped;
    struct tri_range range;

    tri_rangeset_init(&dropped);
    for (uint64_t at = 0; tri_rangeset_next(&lease->cancelled, at, &range);
         at = range.first + range.count)
        lease_unqueue(host, lease, range.first, range.count, &dropped);
    lease_settle(host, lease, tri_rangeset_count(&dropped));
    tri_rangeset_deinit(&dropped);
}

void lease_discard(struct lease **lease)
{
    if (*lease != NULL)
        lease_free(*lease);
    *lease = NULL;
}
