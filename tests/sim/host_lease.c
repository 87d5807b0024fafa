/* A slice in a host: its arguments, and what is to be said of its tasks. */
#include "tests/sim/host_state.h"

#include "common/assert.h"
#include "common/value.h"

#include <stdlib.h>

/* ---- coming and going ----------------------------------------------------------------------- */

static void open_chunks(struct sim *sim,
                        struct lease *lease,
                        struct tri_frame *const *frames,
                        size_t count)
{
    uint64_t at = lease->first;

    lease->frames = tri_alloc(count, sizeof(lease->frames[0]));
    lease->chunks = tri_alloc(count, sizeof(lease->chunks[0]));
    lease->firsts = tri_alloc(count, sizeof(lease->firsts[0]));
    lease->frame_count = count;
    for (size_t i = 0; i < count; i++) {
        lease->frames[i] = tri_frame_ref(frames[i]);
        lease->firsts[i] = at;
        if (tri_items_open(frames[i]->bytes, &lease->chunks[i], NULL) != TRI_OK)
            sim_fail(sim, "a host cannot read the items of a slice");
        at += lease->chunks[i].count;
    }
    if (at != lease->first + lease->count)
        sim_fail(sim, "a host got %llu items for %llu tasks",
                 (unsigned long long)(at - lease->first), (unsigned long long)lease->count);
}

struct lease *lease_open(struct sim *sim,
                         struct host *host,
                         const struct tri_msg_lease *message,
                         struct tri_frame *const *frames,
                         size_t count)
{
    struct lease *lease = tri_alloc(1, sizeof(*lease));

    lease->id = message->lease;
    lease->number = message->number;
    lease->generation = message->generation;
    lease->attempt = message->attempt;
    lease->first = lease->cursor = message->first;
    lease->count = lease->left = message->count;
    lease->states = tri_alloc(lease->count, 1);
    if (host->spec.source == TRI_SOURCE_ITEMS)
        open_chunks(sim, lease, frames, count);
    tri_dlist_push_back(&host->leases, &lease->node);
    return lease;
}

void lease_free(struct host *host, struct lease *lease)
{
    tri_dlist_remove(&host->leases, &lease->node);
    for (size_t i = 0; i < lease->frame_count; i++)
        tri_frame_unref(lease->frames[i]);
    free(lease->frames);
    free(lease->chunks);
    free(lease->firsts);
    free(lease->states);
    free(lease->done);
    tri_buffer_deinit(&lease->values);
    tri_buffer_deinit(&lease->entries);
    free(lease);
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

void lease_argument(const struct host *host,
                    const struct lease *lease,
                    uint64_t index,
                    struct tri_buffer *out)
{
    size_t i = lease->frame_count;
    struct tri_bytes value;

    if (host->spec.source == TRI_SOURCE_RANGE) {
        tri_pack_int(out, host->spec.first + (int64_t)index * host->spec.step);
        return;
    }
    while (lease->firsts[i - 1] > index)
        i--;
    value = tri_chunk_at(&lease->chunks[i - 1], (uint32_t)(index - lease->firsts[i - 1]));
    tri_buffer_append(out, value.data, value.size);
}

/* ---- giving back ---------------------------------------------------------------------------- */

void lease_release(struct sim *sim, struct host *host, struct lease *lease, struct tri_range range)
{
    struct tri_message message = { .type = TRI_MESSAGE_RELEASED };
    struct tri_buffer pairs = { 0 };
    struct tri_range run = { 0, 0 };
    size_t count = 0;

    for (uint64_t i = range.first; i <= range.first + range.count; i++) {
        bool is_queued = i - lease->first < lease->count && i < range.first + range.count
                         && lease->states[i - lease->first] == TASK_QUEUED;

        if (is_queued && run.count++ == 0)
            run.first = i;
        if (is_queued)
            lease->states[i - lease->first] = TASK_OVER;
        if (is_queued || run.count == 0)
            continue;
        tri_buffer_append(&pairs, &run, sizeof(run));
        lease->left -= run.count;
        run.count = 0;
        count++;
    }
    message.released.lease = lease->id;
    message.released.ranges = (struct tri_ranges){ pairs.data, count };
    host_say(sim, host, &message, NULL);
    tri_buffer_deinit(&pairs);
}

/* ---- finished ------------------------------------------------------------------------------- */

void lease_succeed(struct host *host, struct lease *lease, uint64_t index, uint64_t us)
{
    struct done *done;

    if (lease->done_count == lease->done_capacity) {
        lease->done_capacity = lease->done_capacity * 2 + 16;
        lease->done = tri_realloc(lease->done, lease->done_capacity, sizeof(*lease->done));
    }
    done = &lease->done[lease->done_count++];
    *done = (struct done){ .index = index, .offset = lease->values.size };
    lease_argument(host, lease, index, &lease->values);
    done->size = lease->values.size - done->offset;
    lease->wall_ns += us * 1000;
    lease->states[index - lease->first] = TASK_OVER;
    lease->left--;
}

void lease_fail(struct lease *lease, uint64_t index, uint64_t outcome, const char *text)
{
    const struct tri_rec_entry entry = {
        .index = index,
        .outcome = outcome,
        .attempts = lease->attempt,
        .error = tri_bytes_of(text),
        .model = TRI_MODEL_THREAD,
    };

    tri_record_encode(TRI_RECORD_ENTRY, &entry, &lease->entries);
    lease->entry_count++;
    lease->states[index - lease->first] = TASK_OVER;
    lease->left--;
}

static int compare(const void *a, const void *b)
{
    const struct done *left = a;
    const struct done *right = b;

    return left->index < right->index ? -1 : left->index > right->index;
}

/* The indexes of what is done, as sorted ranges. */
static size_t runs_of(const struct lease *lease, struct tri_buffer *pairs)
{
    struct tri_range run = { lease->done[0].index, 0 };
    size_t count = 1;

    for (size_t i = 0; i < lease->done_count; i++) {
        if (lease->done[i].index != run.first + run.count) {
            tri_buffer_append(pairs, &run, sizeof(run));
            run = (struct tri_range){ lease->done[i].index, 0 };
            count++;
        }
        run.count++;
    }
    tri_buffer_append(pairs, &run, sizeof(run));
    return count;
}

static void say_results(struct sim *sim,
                        struct host *host,
                        struct lease *lease,
                        struct tri_ranges runs)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_rec_result head = { .runs = runs, .model = host->model, .wall_ns = lease->wall_ns };
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };
    struct tri_frame *body;

    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < lease->done_count; i++) {
        tri_buffer_append(&builder.blob, lease->values.data + lease->done[i].offset,
                          lease->done[i].size);
        tri_chunk_builder_close_value(&builder);
    }
    tri_result_encode(&builder, &head, &frame);
    tri_assert(!frame.failed);
    body = tri_frame_take(&frame);
    message.results.lease = lease->id;
    message.results.number = lease->number;
    message.results.generation = lease->generation;
    host_say(sim, host, &message, body);
    tri_frame_unref(body);
    tri_chunk_builder_deinit(&builder);
}

static void fold(const struct lease *lease, struct tri_reducer *reducer)
{
    for (size_t i = 0; i < lease->done_count; i++) {
        const struct done *done = &lease->done[i];
        struct tri_value value;
        enum tri_status status = tri_value_unpack_whole(
            (struct tri_bytes){ lease->values.data + done->offset, done->size }, &value, NULL);

        if (status == TRI_OK)
            status = tri_reducer_fold(reducer, done->index, &value, NULL);
        tri_assert(status == TRI_OK);
    }
}

static void say_partial(struct sim *sim,
                        struct host *host,
                        struct lease *lease,
                        struct tri_ranges runs)
{
    struct tri_message message = { .type = TRI_MESSAGE_PARTIAL };
    struct tri_reducer *reducer = tri_reducer_new(host->batch->reducer, NULL);
    struct tri_buffer frame = { 0 };
    struct tri_frame *body;

    fold(lease, reducer);
    tri_assert(tri_reducer_encode(reducer, &frame, NULL) == TRI_OK && !frame.failed);
    body = tri_frame_take(&frame);
    message.partial.lease = lease->id;
    message.partial.number = lease->number;
    message.partial.generation = lease->generation;
    message.partial.ranges = runs;
    message.partial.model = host->model;
    message.partial.wall_ns = lease->wall_ns;
    host_say(sim, host, &message, body);
    tri_frame_unref(body);
    tri_reducer_destroy(&reducer);
}

static void say_ended(struct sim *sim, struct host *host, struct lease *lease)
{
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };

    message.ended.lease = lease->id;
    message.ended.number = lease->number;
    message.ended.generation = lease->generation;
    message.ended.entries = tri_list_of(&lease->entries, lease->entry_count);
    host_say(sim, host, &message, NULL);
}

void lease_flush(struct sim *sim, struct host *host, struct lease *lease)
{
    struct tri_buffer pairs = { 0 };

    if (lease->done_count != 0) {
        struct tri_ranges runs;

        qsort(lease->done, lease->done_count, sizeof(*lease->done), compare);
        runs.count = runs_of(lease, &pairs);
        runs.data = pairs.data;
        if (host->batch->reducer != NULL)
            say_partial(sim, host, lease, runs);
        else
            say_results(sim, host, lease, runs);
    }
    if (lease->entry_count != 0)
        say_ended(sim, host, lease);
    tri_buffer_deinit(&pairs);
    tri_buffer_clear(&lease->values);
    tri_buffer_clear(&lease->entries);
    lease->done_count = lease->entry_count = 0;
    lease->wall_ns = 0;
}
