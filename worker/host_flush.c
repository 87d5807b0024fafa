#include "worker/host_flush.h"

#include "common/assert.h"
#include "common/clock.h"
#include "worker/host_box.h"
#include "worker/host_control.h"
#include "worker/host_join.h"
#include "worker/host_lease.h"

#include <stdlib.h>
#include <unistd.h>

#define JOIN_BYTES 1048576u /* hauls are joined up to this size; one may be larger */
#define RUN_BYTES 18        /* of a range, encoded, at most */
#define RANGES_MAX 65536u   /* of one RELEASED */

/* ---- out of the boxes ----------------------------------------------------------------------- */

/* Returns how many tasks are accounted for by it. */
static uint64_t take(struct host *host,
                     struct box *box,
                     bool partials,
                     struct tri_dlist_head *parcels)
{
    struct lease *lease = box->lease;
    struct parcel *parcel;

    if (box_is_empty(box))
        return 0;
    if (tri_rangeset_contains_all(&lease->cancelled, lease->first, lease->count))
        return box_forget(box);
    if (!partials && box->haul.value_runs.count == 0 && box->haul.entry_count == 0)
        return 0;
    parcel = tri_alloc(1, sizeof(*parcel));
    parcel->lease = lease->id;
    parcel->number = lease->number;
    parcel->generation = lease->generation;
    box_give(box, host->batch.reducer, &parcel->haul);
    tri_dlist_push_back(parcels, &parcel->node);
    return haul_count(&parcel->haul);
}

void flush_take(struct host *host, struct box *box, struct tri_dlist_head *parcels)
{
    struct lease *lease = box->lease;
    uint64_t count = take(host, box, true, parcels);

    lease_settle(host, lease, count);
}

void flush_take_all(struct host *host,
                    const struct rower *self,
                    bool partials,
                    struct tri_dlist_head *parcels)
{
    tri_dlist_foreach(&host->leases, lease_node)
    {
        struct lease *lease = tri_container_of(lease_node, struct lease, node);
        uint64_t count = 0;

        tri_dlist_foreach(&lease->boxes, box_node)
        {
            struct box *box = tri_container_of(box_node, struct box, node);

            if (box->owner == NULL || box->owner == self)
                count += take(host, box, partials, parcels);
        }
        lease_settle(host, lease, count);
    }
}

/* ---- onto the link -------------------------------------------------------------------------- */

void host_send(struct host *host,
               const struct tri_message *message,
               const struct tri_bytes *frames,
               size_t frame_count)
{
    struct tri_error error;
    enum tri_status status;

    pthread_mutex_lock(&host->send_lock);
    status = link_send(&host->link, message, frames, frame_count, NULL, 0, &error);
    pthread_mutex_unlock(&host->send_lock);
    if (status == TRI_OK)
        return;
    if (status != TRI_CLOSED)
        host_fail(error.text);
    _exit(0);
}

void host_send_released(struct host *host, uint64_t lease, const struct tri_rangeset *ranges)
{
    struct tri_range *items = tri_alloc(RANGES_MAX, sizeof(*items));
    uint64_t at = 0;
    bool more = true;

    do {
        struct tri_message message = { .type = TRI_MESSAGE_RELEASED };
        size_t count = 0;

        while (count < RANGES_MAX && (more = tri_rangeset_next(ranges, at, &items[count]))) {
            at = items[count].first + items[count].count;
            count++;
        }
        message.released.lease = lease;
        message.released.ranges = tri_ranges_of(items, count);
        host_send(host, &message, NULL, 0);
    } while (more);
    free(items);
}

static void send_results(struct host *host,
                         const struct parcel *parcel,
                         struct haul *const *hauls,
                         size_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_buffer frame;
    struct tri_bytes bytes;

    message.results.lease = parcel->lease;
    message.results.number = parcel->number;
    message.results.generation = parcel->generation;
    tri_buffer_init(&frame);
    haul_encode_results(hauls, count, host->model, &frame);
    tri_assert(!frame.failed);
    bytes = tri_buffer_bytes(&frame);
    host_send(host, &message, &bytes, 1);
    tri_buffer_deinit(&frame);
}

static void send_partial(struct host *host,
                         const struct parcel *parcel,
                         struct haul *const *hauls,
                         size_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_PARTIAL };
    struct host_runs ranges = { 0 };
    struct tri_buffer frame;
    struct tri_bytes bytes;

    message.partial.lease = parcel->lease;
    message.partial.number = parcel->number;
    message.partial.generation = parcel->generation;
    message.partial.model = host->model;
    tri_buffer_init(&frame);
    haul_encode_partial(hauls, count, &message.partial, &ranges, &frame);
    tri_assert(!frame.failed);
    bytes = tri_buffer_bytes(&frame);
    host_send(host, &message, &bytes, 1);
    tri_buffer_deinit(&frame);
    free(ranges.items);
}

static void send_entries(struct host *host, const struct parcel *parcel, const struct haul *haul)
{
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };

    message.ended.lease = parcel->lease;
    message.ended.number = parcel->number;
    message.ended.generation = parcel->generation;
    message.ended.entries = tri_list_of(&haul->entries, haul->entry_count);
    host_send(host, &message, NULL, 0);
}

#define JOIN_MAX 64

/* Send what belongs to one lease: `count` hauls as few messages. */
static void send_group(struct host *host,
                       const struct parcel *parcel,
                       struct haul *const *hauls,
                       size_t count)
{
    struct haul *part[JOIN_MAX];
    size_t parts = 0;

    for (size_t i = 0; i < count; i++)
        if (hauls[i]->value_runs.count != 0)
            part[parts++] = hauls[i];
    if (parts != 0)
        send_results(host, parcel, part, parts);
    parts = 0;
    for (size_t i = 0; i < count; i++)
        if (hauls[i]->folded.count != 0)
            part[parts++] = hauls[i];
    if (parts != 0)
        send_partial(host, parcel, part, parts);
    for (size_t i = 0; i < count; i++)
        if (hauls[i]->entry_count != 0)
            send_entries(host, parcel, hauls[i]);
}

static bool same_lease(const struct parcel *a, const struct parcel *b)
{
    return a->lease == b->lease && a->generation == b->generation;
}

/* How much of a message it will be. */
static size_t haul_bytes(const struct haul *haul)
{
    size_t bytes = haul->values.blob.size + haul->values.offsets.size + haul->task_us.size
                   + (haul->value_runs.count + haul->folded.count) * RUN_BYTES;

    return haul->folded.count != 0 ? bytes + tri_reducer_partial_bytes(haul->reducer) : bytes;
}

void flush_send(struct host *host, struct tri_dlist_head *parcels)
{
    struct tri_dlist_node *node = tri_dlist_first(parcels);

    while (node != NULL) {
        struct parcel *first = tri_container_of(node, struct parcel, node);
        struct haul *hauls[JOIN_MAX];
        size_t count = 0;
        size_t bytes = 0;

        for (; node != NULL && count < JOIN_MAX; node = tri_dlist_next(parcels, node)) {
            struct parcel *parcel = tri_container_of(node, struct parcel, node);

            bytes += haul_bytes(&parcel->haul);
            if (!same_lease(first, parcel) || (count != 0 && bytes > JOIN_BYTES))
                break;
            hauls[count++] = &parcel->haul;
        }
        send_group(host, first, hauls, count);
    }
    while ((node = tri_dlist_pop_front(parcels)) != NULL) {
        struct parcel *parcel = tri_container_of(node, struct parcel, node);

        haul_deinit(&parcel->haul);
        free(parcel);
    }
}
