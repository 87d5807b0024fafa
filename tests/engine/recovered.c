#include "tests/engine/recovered.h"

#include "broker/engine/state.h"

#include <check.h>

#define SAME(condition, batch, what)                                                           \
    do {                                                                                       \
        if (!(condition))                                                                      \
            ck_abort_msg("batch %llu: another %s", (unsigned long long)(batch)->number, what); \
    } while (0)

/* Of a run of tasks that have not ended. */
#define TASKS_COMPARED 1000

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Time that has passed since the durable clock was written does not count after a restart. */
static uint64_t lag_ms(const struct engine *live, const struct engine *again)
{
    return engine_clock(live, live->now) - engine_clock(again, again->now);
}

/* ---- where a task is ------------------------------------------------------------------------ */

struct place {
    struct grade grade;
    uint64_t wait_ms; /* 0: pending or leased */
    bool found;
};

static struct place place_of(const struct engine *engine, const struct batch *batch, uint64_t index)
{
    if (tri_rangeset_contains(&batch->fresh.tasks, index))
        return (struct place){ .found = true };
    tri_dlist_foreach(&batch->pools, node)
    {
        const struct pool *pool = tri_container_of(node, struct pool, node);

        if (tri_rangeset_contains(&pool->tasks, index))
            return (struct place){ pool->grade, 0, true };
    }
    tri_dlist_foreach(&batch->delays, node)
    {
        const struct delay *delay = tri_container_of(node, struct delay, node);

        if (tri_rangeset_contains(&delay->tasks, index))
            return (struct place){ delay->grade, delay->due.key - engine->now, true };
    }
    tri_dlist_foreach(&batch->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            const struct lease *lease = tri_container_of(lease_node, struct lease, node);

            if (tri_rangeset_contains(&lease->undone, index))
                return (struct place){ lease->grade, 0, true };
        }
    }
    return (struct place){ .found = false };
}

static void same_place(const struct engine *live,
                       const struct batch *a,
                       const struct engine *again,
                       const struct batch *b,
                       uint64_t index)
{
    struct place was = place_of(live, a, index);
    struct place is = place_of(again, b, index);

    SAME(was.found && is.found, a, "task that has not ended");
    SAME(grade_equals(&was.grade, &is.grade), a, "grade of a task");
    if (is.wait_ms == 0)
        SAME(was.wait_ms <= live->options.limits.backoff_ms_min, a, "wait of a task: it is over");
    /* Leased, or pending: its wait is over, which nobody has written down. */
    if (was.wait_ms == 0 || is.wait_ms == 0)
        return;
    /* Given back: the least wait, which nobody has written down; what is written is over by now. */
    if (was.wait_ms <= live->options.limits.backoff_ms_min && is.wait_ms <= lag_ms(live, again))
        return;
    SAME(is.wait_ms
             == least(was.wait_ms + lag_ms(live, again), live->options.limits.backoff_ms_max),
         a, "wait of a task");
}

static void same_tasks(const struct engine *live,
                       const struct batch *a,
                       const struct engine *again,
                       const struct batch *b)
{
    struct tri_range undone;

    SAME(tri_rangeset_equals(&a->done, &b->done), a, "set of done tasks");
    SAME(tri_rangeset_equals(&a->dead, &b->dead), a, "set of dead tasks");
    SAME(tri_rangeset_equals(&a->cancelled, &b->cancelled), a, "set of cancelled tasks");
    SAME(tri_rangeset_equals(&a->settled, &b->settled), a, "set of settled tasks");
    SAME(a->pending + a->delayed + a->leased == b->pending + b->delayed, a, "number undone");
    SAME(b->leased == 0, a, "lease");
    for (uint64_t at = 0; batch_next_undone(a, at, a->count, &undone);) {
        for (uint64_t i = 0; i < undone.count; i += 1 + undone.count / TASKS_COMPARED)
            same_place(live, a, again, b, undone.first + i);
        at = undone.first + undone.count;
    }
}

/* ---- rows, chunks, entries ------------------------------------------------------------------ */

static uint64_t same_rows(const struct batch *a, const struct batch *b)
{
    uint64_t retried_bytes = 0; /* on their way to an owner who is not there after a restart */

    SAME(a->row_next == b->row_next, a, "next row");
    SAME(tri_rangeset_equals(&a->unfolded, &b->unfolded), a, "set of unfolded rows");
    for (uint64_t id = a->row_base < b->row_base ? a->row_base : b->row_base; id < a->row_next;
         id++) {
        const struct row *was = row_find(a, id);
        const struct row *is = row_find(b, id);

        if (was != NULL && was->retried) {
            retried_bytes += was->bytes;
            was = NULL;
        }
        SAME((was == NULL) == (is == NULL), a, "row owed");
        if (was == NULL)
            continue;
        SAME(same_bytes(was->frame, was->frame_size, is->frame, is->frame_size), a, "ROW");
        SAME(was->what == is->what && was->generation == is->generation && was->bytes == is->bytes
                 && was->last == is->last,
             a, "row");
        SAME(was->on_reserve == is->on_reserve, a, "row on the reserve");
    }
    SAME(a->row_bytes == b->row_bytes + retried_bytes, a, "size of its rows");
    return retried_bytes;
}

static const struct chunk *next_kept(const struct stock *stock, size_t *at)
{
    while (*at < stock->count && stock->chunks[*at]->dropped)
        ++*at;
    return *at < stock->count ? stock->chunks[(*at)++] : NULL;
}

static void same_stock(const struct batch *a, const struct batch *b)
{
    size_t was_at = a->stock != NULL ? a->stock->first : 0;
    size_t is_at = b->stock != NULL ? b->stock->first : 0;

    SAME((a->stock == NULL) == (b->stock == NULL), a, "source");
    if (a->stock == NULL)
        return;
    SAME(memcmp(stock_hash(a->stock).data, stock_hash(b->stock).data, 16) == 0, a, "hash");
    SAME(a->stock->appended_bytes == b->stock->appended_bytes, a, "number of bytes appended");
    SAME(a->stock->live_bytes == b->stock->live_bytes, a, "size of its items");
    for (;;) {
        const struct chunk *was = next_kept(a->stock, &was_at);
        const struct chunk *is = next_kept(b->stock, &is_at);

        SAME((was == NULL) == (is == NULL), a, "number of chunks");
        if (was == NULL)
            return;
        SAME(was->first == is->first && was->count == is->count && was->bytes == is->bytes
                 && was->hash == is->hash && was->left == is->left && was->dead == is->dead,
             a, "chunk");
    }
}

static void same_entries(const struct batch *a, const struct batch *b)
{
    uint64_t index;
    void *value;

    SAME(tri_rangeset_equals(&a->entry_indexes, &b->entry_indexes), a, "set of entries");
    for (size_t at = 0; tri_map_next(&b->entries, &at, &index, &value);) {
        const struct entry *is = value;
        const struct entry *was = tri_map_find(&a->entries, index);

        if (was == NULL)
            continue; /* there was no room for it then */
        SAME(was->dead == is->dead && was->attempt == is->attempt && was->outcome == is->outcome, a,
             "entry");
        SAME(row_find(a, was->row) == NULL || was->row == is->row, a, "row of a dead task");
        SAME(same_bytes(was->history.data, was->history.size, is->history.data, is->history.size)
                 && was->history.count == is->history.count
                 && was->history.last == is->history.last,
             a, "history");
    }
}

/* ---- batches -------------------------------------------------------------------------------- */

static void same_age(const struct engine *live,
                     const struct engine *again,
                     const struct batch *batch,
                     tri_time was,
                     tri_time is)
{
    uint64_t age_ms = live->now - was;
    uint64_t lag = lag_ms(live, again);

    if (batch_has_ended(batch) && live->now - batch->ended_at >= live->options.limits.retention_ms)
        return; /* it will be forgotten at once */
    SAME(again->now - is == (age_ms > lag ? age_ms - lag : 0), batch, "age");
}

/* Returns the size of the rows that only the living one has. */
static uint64_t same_batch(struct engine *live,
                           struct batch *a,
                           struct engine *again,
                           struct batch *b)
{
    uint64_t retried_bytes;

    SAME(memcmp(&a->uuid, &b->uuid, sizeof(a->uuid)) == 0, a, "uuid");
    SAME(same_text(a->name, b->name), a, "name");
    SAME(same_text(a->principal->name, b->principal->name), a, "owner");
    SAME(same_bytes(a->spec, a->spec_size, b->spec, b->spec_size), a, "spec");
    SAME(a->state == b->state && a->sealed == b->sealed && a->halting == b->halting
             && a->cancelling == b->cancelling,
         a, "state");
    SAME(a->generation == b->generation, a, "generation");
    SAME(a->forgiven == b->forgiven, a, "number of forgiven tasks");
    SAME(a->count == b->count, a, "count");
    SAME(same_text(a->reason, b->reason), a, "reason");
    SAME(a->epoch == b->epoch, a, "epoch");
    SAME(a->wall_ns == b->wall_ns && a->cpu_ns == b->cpu_ns, a, "sum of times");
    SAME(a->workers == b->workers, a, "number of workers");
    SAME(tri_rangeset_equals(&a->served_by, &b->served_by), a, "its workers");
    SAME(a->sealed || memcmp(&a->fed_by, &b->fed_by, sizeof(a->fed_by)) == 0, a, "feeder");
    same_age(live, again, a, a->submitted_at, b->submitted_at);
    if (batch_has_ended(a))
        same_age(live, again, a, a->ended_at, b->ended_at);
    same_tasks(live, a, again, b);
    retried_bytes = same_rows(a, b);
    same_stock(a, b);
    same_entries(a, b);
    return retried_bytes;
}

/* Whoever has a session as a worker is waited for. */
static void same_workers(const struct engine *live, const struct engine *again)
{
    ck_assert_uint_eq(live->workers.count + live->known.count, again->known.count);
    tri_dlist_foreach(&live->workers, node)
    {
        const struct worker *worker = tri_container_of(node, struct worker, node);
        struct tri_bytes instance = { worker->session->instance.bytes, 16 };

        ck_assert_ptr_nonnull(tri_bytemap_find(&again->known, instance));
    }
}

void recovered_equals(struct engine *live, struct engine *again)
{
    struct tri_bytes name;
    union tri_bytemap_value known;
    uint64_t retried_bytes = 0;
    uint64_t number;
    void *batch;

    ck_assert_uint_eq(live->batches.count, again->batches.count);
    ck_assert_uint_eq(live->next_number, again->next_number);
    ck_assert_uint_eq(live->options.epoch + 1, again->options.epoch);
    ck_assert_mem_eq(&live->options.cluster, &again->options.cluster, 16);
    ck_assert_uint_eq(live->handlers.count, again->handlers.count);
    for (size_t at = 0; tri_bytemap_next(&live->handlers, &at, &name, &known);)
        ck_assert_ptr_nonnull(tri_bytemap_find(&again->handlers, name));
    same_workers(live, again);
    for (size_t at = 0; tri_map_next(&live->batches, &at, &number, &batch);) {
        struct batch *other = tri_map_find(&again->batches, number);

        SAME(other != NULL, (struct batch *)batch, "batch: it is gone");
        retried_bytes += same_batch(live, batch, again, other);
    }
    ck_assert_uint_eq(live->memory.row_bytes, again->memory.row_bytes + retried_bytes);
    ck_assert_uint_eq(live->memory.chunk_bytes, again->memory.chunk_bytes);
}

unsigned long long engine_history_bytes(const struct engine *engine)
{
    return engine->history_bytes;
}

unsigned long long engine_rows_searched(const struct engine *engine)
{
    return engine->rows_searched;
}
