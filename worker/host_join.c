#include "worker/host_join.h"

#include "common/assert.h"

#include <stdlib.h>
#include <string.h>

/* ---- runs ----------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
    uint64_t left = ((const struct tri_range *)a)->first;
    uint64_t right = ((const struct tri_range *)b)->first;

    return (left > right) - (left < right);
}

/* Add a range after all others, joining it to the last when it touches. */
static void runs_append(struct host_runs *runs, struct tri_range range)
{
    if (runs->count != 0) {
        struct tri_range *last = &runs->items[runs->count - 1];

        if (last->first + last->count == range.first) {
            last->count += range.count;
            return;
        }
    }
    if (runs->count == runs->capacity) {
        runs->capacity = runs->capacity != 0 ? runs->capacity * 2 : 16;
        runs->items = tri_realloc(runs->items, runs->capacity, sizeof(runs->items[0]));
    }
    runs->items[runs->count++] = range;
}

/* Sort, and join what touches. */
static void runs_tidy(struct host_runs *runs)
{
    struct host_runs tidy = { .items = runs->items, .capacity = runs->capacity };

    qsort(runs->items, runs->count, sizeof(runs->items[0]), by_first);
    for (size_t i = 0; i < runs->count; i++)
        runs_append(&tidy, runs->items[i]);
    *runs = tidy;
}

/* ---- values --------------------------------------------------------------------------------- */

/* A run of values: where they stand. */
struct segment {
    struct tri_range range;
    const struct haul *haul;
    uint32_t at; /* its first value's number in the haul */
};

static uint32_t value_end(const struct haul *haul, uint32_t i)
{
    uint32_t end;

    memcpy(&end, haul->values.offsets.data + (size_t)i * sizeof(end), sizeof(end));
    return end;
}

static void copy_segment(const struct segment *segment,
                         struct tri_chunk_builder *values,
                         struct tri_buffer *task_us)
{
    const struct haul *haul = segment->haul;
    uint32_t start = segment->at != 0 ? value_end(haul, segment->at - 1) : 0;
    uint32_t base = (uint32_t)values->blob.size;
    uint32_t last = segment->at + (uint32_t)segment->range.count;

    for (uint32_t i = segment->at; i < last; i++) {
        uint32_t end = value_end(haul, i) - start + base;

        tri_buffer_append(&values->offsets, &end, sizeof(end));
    }
    values->count += last - segment->at;
    tri_buffer_append(&values->blob, haul->values.blob.data + start,
                      value_end(haul, last - 1) - start);
    if (haul->task_us.size == (size_t)haul->values.count * 8)
        tri_buffer_append(task_us, haul->task_us.data + (size_t)segment->at * 8,
                          (size_t)segment->range.count * 8);
}

static void add_costs(struct tri_rec_result *head, const struct haul *haul)
{
    head->wall_ns += haul->wall_ns;
    head->cpu_ns += haul->cpu_ns;
    head->switches += haul->switches;
}

static void finish(const struct tri_chunk_builder *values,
                   struct tri_bytes task_us,
                   const struct host_runs *runs,
                   struct tri_rec_result *head,
                   struct tri_buffer *frame)
{
    head->runs = tri_ranges_of(runs->items, runs->count);
    if (task_us.size == (size_t)values->count * 8)
        head->task_us = task_us;
    else
        head->flags |= TRI_RESULT_SAMPLED;
    tri_result_encode(values, head, frame);
}

static void encode_joined(struct haul *const *hauls,
                          size_t count,
                          struct tri_rec_result *head,
                          struct tri_buffer *frame)
{
    struct segment *segments;
    struct tri_chunk_builder values;
    struct host_runs runs = { 0 };
    struct tri_buffer task_us;
    size_t total = 0;
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        total += hauls[i]->value_runs.count;
    segments = tri_alloc(total, sizeof(*segments));
    for (size_t i = 0; i < count; i++) {
        uint32_t at = 0;

        for (size_t r = 0; r < hauls[i]->value_runs.count; r++) {
            segments[n] = (struct segment){ hauls[i]->value_runs.items[r], hauls[i], at };
            at += (uint32_t)segments[n++].range.count;
        }
    }
    /* The range stands first in a segment. */
    qsort(segments, total, sizeof(*segments), by_first);
    tri_chunk_builder_init(&values);
    tri_buffer_init(&task_us);
    for (size_t i = 0; i < total; i++) {
        copy_segment(&segments[i], &values, &task_us);
        runs_append(&runs, segments[i].range);
    }
    tri_assert(!task_us.failed);
    finish(&values, tri_buffer_bytes(&task_us), &runs, head, frame);
    tri_chunk_builder_deinit(&values);
    tri_buffer_deinit(&task_us);
    free(runs.items);
    free(segments);
}

void haul_encode_results(struct haul *const *hauls,
                         size_t count,
                         enum tri_model model,
                         struct tri_buffer *frame)
{
    struct tri_rec_result head = { .model = model };

    for (size_t i = 0; i < count; i++)
        add_costs(&head, hauls[i]);
    if (count == 1 && !hauls[0]->scattered)
        finish(&hauls[0]->values, tri_buffer_bytes(&hauls[0]->task_us), &hauls[0]->value_runs,
               &head, frame);
    else
        encode_joined(hauls, count, &head, frame);
}

/* ---- partials ------------------------------------------------------------------------------- */

static void merge(struct tri_reducer *into, struct tri_reducer *from)
{
    struct tri_buffer partial;

    tri_buffer_init(&partial);
    tri_assert(tri_reducer_give(from, &partial, NULL) == TRI_OK);
    tri_assert(tri_reducer_merge(into, tri_buffer_bytes(&partial), NULL, 0, NULL) == TRI_OK);
    tri_buffer_deinit(&partial);
}

void haul_encode_partial(struct haul *const *hauls,
                         size_t count,
                         struct tri_msg_partial *message,
                         struct host_runs *ranges,
                         struct tri_buffer *frame)
{
    for (size_t i = 0; i < count; i++) {
        const struct haul *haul = hauls[i];

        for (size_t r = 0; r < haul->folded.count; r++)
            runs_append(ranges, haul->folded.items[r]);
        message->wall_ns += haul->wall_ns;
        message->cpu_ns += haul->cpu_ns;
        message->switches += haul->switches;
        if (haul->sampled)
            message->flags |= TRI_RESULT_SAMPLED;
        if (i != 0)
            merge(hauls[0]->reducer, hauls[i]->reducer);
    }
    runs_tidy(ranges);
    message->ranges = tri_ranges_of(ranges->items, ranges->count);
    tri_assert(tri_reducer_give(hauls[0]->reducer, frame, NULL) == TRI_OK);
}
