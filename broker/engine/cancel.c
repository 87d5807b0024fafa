/* cancel.c - tasks that shall not run, or not run on. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

/* ---- telling clients ------------------------------------------------------------------------ */

/* One entry each for a few. One row for more, however many: its only entry stands for every index
 * of the row's ranges, so that it takes next to nothing of a window that cannot be emptied yet. */
#define ENTRIES_EACH_MAX 64

static size_t encode_entries(const struct tri_rangeset *tasks, struct tri_buffer *list)
{
    struct tri_rec_entry entry = { .outcome = TRI_OUTCOME_CANCELLED };
    struct tri_range range;
    size_t count = 0;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        for (uint64_t i = 0; i < range.count; i++, count++) {
            entry.index = range.first + i;
            tri_record_encode(TRI_RECORD_ENTRY, &entry, list);
            if (tri_rangeset_count(tasks) > ENTRIES_EACH_MAX)
                return 1;
        }
    return count;
}

static void report_some(struct engine *engine,
                        struct batch *batch,
                        const struct tri_rangeset *tasks)
{
    const struct row_origin origin = { .what = ROW_CANCELLED };
    struct tri_rec_entries entries;
    struct tri_buffer list = { 0 };
    struct tri_buffer body = { 0 };
    size_t count = encode_entries(tasks, &list);

    entries.entries = tri_list_of(&list, count);
    tri_record_encode(TRI_RECORD_ENTRIES, &entries, &body);
    tri_assert(!body.failed);
    row_add(engine, batch, &origin, tasks, tri_buffer_bytes(&body), -1, false);
    tri_buffer_deinit(&list);
    tri_buffer_deinit(&body);
}

void cancel_report(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct tri_rangeset some = { 0 };
    struct tri_range range;
    size_t ranges = 0;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count) {
        tri_rangeset_add(&some, range.first, range.count);
        if (++ranges % ROW_RANGES_MAX == 0) {
            report_some(engine, batch, &some);
            tri_rangeset_clear(&some);
        }
    }
    if (!tri_rangeset_is_empty(&some))
        report_some(engine, batch, &some);
    tri_rangeset_deinit(&some);
}

/* ---- taking tasks out ----------------------------------------------------------------------- */

static void take_pending(struct batch *batch, struct tri_rangeset *cancelled)
{
    tri_rangeset_union(cancelled, &batch->fresh.tasks);
    tri_rangeset_clear(&batch->fresh.tasks);
    while (!tri_dlist_is_empty(&batch->pools)) {
        struct pool *pool = tri_container_of(tri_dlist_first(&batch->pools), struct pool, node);

        tri_rangeset_union(cancelled, &pool->tasks);
        tri_rangeset_clear(&pool->tasks);
        pool_free_if_empty(batch, pool);
    }
    batch->pending = 0;
}

static void take_leased(struct engine *engine, struct batch *batch, struct tri_rangeset *cancelled)
{
    tri_dlist_foreach(&batch->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            struct lease *lease = tri_container_of(lease_node, struct lease, node);

            tri_rangeset_union(cancelled, &lease->undone);
            lease_cancel(engine, lease, (struct tri_range){ lease->first, lease->count });
        }
    }
}

uint64_t cancel_rest(struct engine *engine, struct batch *batch, bool running)
{
    struct tri_rangeset cancelled = { 0 };
    uint64_t count;

    take_pending(batch, &cancelled);
    delay_cancel_all(engine, batch, &cancelled);
    if (running)
        take_leased(engine, batch, &cancelled);
    count = tri_rangeset_count(&cancelled);
    if (count != 0)
        batch_add_cancelled(engine, batch, &cancelled);
    tri_rangeset_deinit(&cancelled);
    return count;
}

static uint64_t cancel_tasks(struct engine *engine, struct batch *batch, struct tri_ranges ranges)
{
    struct tri_rangeset cancelled = { 0 };
    struct tri_range undone;
    uint64_t count;

    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);
        uint64_t end = range.first + range.count;

        for (uint64_t at = range.first; batch_next_undone(batch, at, end, &undone);) {
            uint64_t pulled = batch_pull(engine, batch, undone);

            tri_assert(pulled == undone.count);
            tri_rangeset_add(&cancelled, undone.first, undone.count);
            at = undone.first + undone.count;
        }
    }
    count = tri_rangeset_count(&cancelled);
    if (count != 0)
        batch_add_cancelled(engine, batch, &cancelled);
    tri_rangeset_deinit(&cancelled);
    return count;
}

/* ---- CANCEL --------------------------------------------------------------------------------- */

static uint64_t cancel_batch(struct engine *engine, struct batch *batch)
{
    uint64_t count;

    if (batch_has_ended(batch))
        return 0;
    batch->cancelling = true;
    if (batch->reason == NULL)
        batch_set_reason(batch, "cancelled");
    batch_seal(engine, batch, NULL);
    count = cancel_rest(engine, batch, !PLANTED(CANCEL_LATE));
    out_trace(&engine->out, "batch.cancelled batch=%llu tasks=%llu",
              (unsigned long long)batch->number, (unsigned long long)count);
    return count;
}

void on_cancel(struct engine *engine, struct session *session, const struct tri_msg_cancel *cancel)
{
    struct batch *batch = batch_find(engine, session, cancel->number, cancel->request);
    uint64_t count;

    if (batch == NULL || !batch_has_tasks(engine, session, batch, cancel->tasks, cancel->request))
        return;
    if (cancel->tasks.count == 0)
        count = cancel_batch(engine, batch);
    else
        count = cancel_tasks(engine, batch, cancel->tasks);
    batch_put(engine, batch);
    batch_touch(engine, batch);
    out_done(engine, session, cancel->request, count);
}

/* ---- FORGET --------------------------------------------------------------------------------- */

void on_forget(struct engine *engine, struct session *session, const struct tri_msg_forget *forget)
{
    struct batch *batch = batch_find(engine, session, forget->number, forget->request);

    if (batch == NULL)
        return;
    if (!batch_has_ended(batch)) {
        out_error(engine, session, forget->request, TRI_CONFLICT,
                  "batch %llu has not ended: cancel it first", (unsigned long long)batch->number);
        return;
    }
    batch_forget(engine, batch);
    out_done(engine, session, forget->request, 1);
}
