/* check.c - what must hold between steps, whatever peers have sent. */
#include "broker/engine/state.h"

#include "common/assert.h"

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Add a set to `all`: it must be disjoint from what is there already. */
static void add_disjoint(struct tri_rangeset *all, const struct tri_rangeset *set)
{
    tri_rangeset_check(set);
    tri_assert(tri_rangeset_union(all, set) == tri_rangeset_count(set));
}

static uint64_t add_pending(const struct batch *batch, struct tri_rangeset *all)
{
    uint64_t before = tri_rangeset_count(all);

    add_disjoint(all, &batch->fresh.tasks);
    tri_dlist_foreach(&batch->pools, node)
    {
        const struct pool *pool = tri_container_of(node, struct pool, node);

        tri_assert(!tri_rangeset_is_empty(&pool->tasks));
        tri_assert(!grade_equals(&pool->grade, &batch->fresh.grade));
        add_disjoint(all, &pool->tasks);
    }
    return tri_rangeset_count(all) - before;
}

static uint64_t add_delayed(const struct batch *batch, struct tri_rangeset *all)
{
    uint64_t before = tri_rangeset_count(all);

    tri_dlist_foreach(&batch->delays, node)
    {
        const struct delay *delay = tri_container_of(node, struct delay, node);

        tri_assert(delay->batch == batch && tri_heap_is_linked(&delay->due));
        tri_assert(!tri_rangeset_is_empty(&delay->tasks));
        add_disjoint(all, &delay->tasks);
    }
    return tri_rangeset_count(all) - before;
}

static uint64_t add_leased(const struct batch *batch, struct tri_rangeset *all)
{
    uint64_t before = tri_rangeset_count(all);

    tri_dlist_foreach(&batch->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            const struct lease *lease = tri_container_of(lease_node, struct lease, node);

            add_disjoint(all, &lease->undone);
        }
    }
    return tri_rangeset_count(all) - before;
}

/* Guarantee 2. */
static void check_conservation(const struct batch *batch)
{
    struct tri_rangeset all = { 0 };

    tri_assert(add_pending(batch, &all) == batch->pending);
    tri_assert(add_delayed(batch, &all) == batch->delayed);
    tri_assert(add_leased(batch, &all) == batch->leased);
    add_disjoint(&all, &batch->done);
    add_disjoint(&all, &batch->dead);
    add_disjoint(&all, &batch->cancelled);
    tri_assert(tri_rangeset_count(&all) == batch->count);
    tri_assert(tri_rangeset_contains_all(&all, 0, batch->count));
    tri_rangeset_deinit(&all);
}

static void check_settled(const struct batch *batch)
{
    struct tri_range range;
    struct tri_range undone;

    for (uint64_t at = 0; tri_rangeset_next(&batch->settled, at, &range);) {
        at = range.first + range.count;
        tri_assert(!batch_next_undone(batch, range.first, at, &undone));
    }
}

/* ---- leases and berths ---------------------------------------------------------------------- */

struct sums {
    uint64_t leases;
    uint64_t leased;
    uint64_t stalled;
    uint64_t reserved;
    uint64_t revoking;
    bool has_reserve;
};

static void check_lease(const struct engine *engine,
                        const struct berth *berth,
                        const struct lease *lease,
                        struct sums *sums)
{
    const struct batch *batch = berth->batch;
    struct tri_range outside;

    tri_assert(lease->berth == berth && lease->batch == batch);
    tri_assert(tri_map_find(&engine->leases, lease->number) == lease);
    tri_assert(tri_dlist_is_linked(&lease->clock));
    tri_assert(!tri_rangeset_is_empty(&lease->undone));
    tri_rangeset_check(&lease->started);
    tri_assert(!tri_rangeset_next(&lease->undone, lease->first + lease->count, &outside));
    tri_assert(tri_rangeset_count_in(&lease->undone, 0, lease->first) == 0);
    tri_assert(lease->thief == NULL || lease->thief->robs == lease);
    tri_assert((lease->wanted_bytes != 0) == tri_dlist_is_linked(&lease->wanting));
    tri_assert(lease->stalled <= tri_rangeset_count(&lease->undone));
    tri_assert(lease->wanted_bytes != 0 || lease->stalled == 0);
    tri_assert(lease->on_trial
               == (grade_is_suspect(&lease->grade)
                   && tri_rangeset_count(&lease->undone) > lease->stalled));
    tri_assert(grade_attempt(&lease->grade) >= 1);
    sums->leases++;
    sums->leased += tri_rangeset_count(&lease->undone);
    sums->stalled += lease->stalled;
    sums->reserved += lease->reserved_bytes;
    sums->revoking += lease->revoking;
    sums->has_reserve = sums->has_reserve || batch->reserve_lease == lease;
}

static void check_berth(const struct engine *engine,
                        const struct berth *berth,
                        struct sums *of_batch)
{
    struct sums sums = { 0 };

    tri_assert(berth_find(berth->worker, berth->batch) == berth);
    tri_dlist_foreach(&berth->leases, node)
    {
        check_lease(engine, berth, tri_container_of(node, struct lease, node), &sums);
    }
    tri_assert(sums.leased == berth->leased && sums.stalled == berth->stalled);
    tri_assert(sums.revoking == berth->revoking);
    tri_assert(berth->robs == NULL || berth->robs->thief == berth);
    tri_assert((berth_excess(berth) != 0) == tri_heap_is_linked(&berth->victim));
    tri_assert(berth->state != BERTH_REFUSED || berth->width == 0);
    of_batch->leases += sums.leases;
    of_batch->leased += sums.leased;
    of_batch->reserved += sums.reserved;
    of_batch->has_reserve = of_batch->has_reserve || sums.has_reserve;
}

static void check_berths(const struct engine *engine, const struct batch *batch)
{
    struct sums sums = { 0 };
    uint64_t oars = 0;
    uint64_t asked = 0;
    uint64_t refusals = 0;

    tri_dlist_foreach(&batch->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_batch);

        check_berth(engine, berth, &sums);
        oars += berth->width;
        asked += berth->state == BERTH_ASKED ? berth->asked_oars : 0;
        refusals += berth->state == BERTH_REFUSED;
    }
    tri_assert(sums.reserved == batch->reserved_bytes);
    tri_assert(sums.has_reserve == (batch->reserve_lease != NULL));
    tri_assert(oars == batch->oars && asked == batch->asked_oars && refusals == batch->refusals);
    tri_heap_check(&batch->victims);
}

/* ---- rows, chunks --------------------------------------------------------------------------- */

static void check_post(const struct post *post)
{
    uint64_t bytes = 0;
    uint64_t last = 0;

    for (size_t i = 0; i < post->flight_count; i++) {
        const struct flight *flight = &post->flights[post->flight_first + i];

        tri_assert(i == 0 || flight->row > last);
        tri_assert(flight->row < post->next);
        last = flight->row;
        bytes += flight->landed ? 0 : flight->bytes;
    }
    tri_assert(bytes == post->flight_bytes);
    tri_assert(post_find(post->session, post->batch) == post);
}

/* Failures that still hold; those that do not are not in memory any longer than they have to be. */
static void check_failures(const struct batch *batch, const struct row *row)
{
    struct tri_rangeset tasks = { 0 };

    row_tasks(row, &tasks);
    tri_rangeset_subtract(&tasks, &batch->dead);
    tri_assert(row->retried || tri_rangeset_is_empty(&tasks));
    tri_assert(!row->retried
               || (post_owner(batch) != NULL && post_awaits(post_owner(batch), row->id)));
    tri_rangeset_deinit(&tasks);
}

static void check_rows(const struct batch *batch)
{
    uint64_t bytes = 0;
    size_t owners = 0;
    size_t reserves = 0;

    for (uint64_t id = batch->row_base; id < batch->row_next; id++) {
        const struct row *row = row_find(batch, id);

        if (row == NULL)
            continue;
        tri_assert(row->id == id);
        if (row->what == ROW_DEAD)
            check_failures(batch, row);
        bytes += row->bytes;
        reserves += row->on_reserve;
    }
    tri_assert(bytes == batch->row_bytes);
    tri_assert(reserves == batch->reserve_rows.count);
    tri_dlist_foreach(&batch->attachments, node)
    {
        const struct post *post = tri_container_of(node, struct post, of_batch);

        check_post(post);
        owners += post->is_owner;
    }
    tri_assert(owners <= 1 && (owners == 0 || post_owner(batch) != NULL));
}

static void check_chunk(const struct batch *batch, const struct chunk *chunk)
{
    uint64_t gone = tri_rangeset_count_in(&batch->done, chunk->first, chunk->count)
                    + tri_rangeset_count_in(&batch->cancelled, chunk->first, chunk->count);

    tri_assert(chunk->left == chunk->count - gone);
    tri_assert(chunk->dead == tri_rangeset_count_in(&batch->dead, chunk->first, chunk->count));
    tri_assert(chunk->dropped || chunk->left != 0);
    tri_assert(tri_dlist_is_linked(&chunk->spent)
               == (!chunk->dropped && chunk->left == chunk->dead));
}

static uint64_t check_stock(const struct batch *batch, struct memory *memory)
{
    const struct stock *stock = batch->stock;
    uint64_t live = 0;

    for (size_t i = stock->first; i < stock->count; i++) {
        const struct chunk *chunk = stock->chunks[i];

        check_chunk(batch, chunk);
        if (chunk->dropped)
            continue;
        memory->chunk_bytes += chunk->bytes;
        live += tri_dlist_is_linked(&chunk->spent) ? 0 : chunk->bytes;
    }
    tri_assert(live == stock->live_bytes);
    tri_assert(stock->credit_bytes >= stock->appended_bytes);
    tri_assert(!batch->sealed || stock->credit_bytes == stock->appended_bytes);
    memory->granted_bytes += stock->credit_bytes - stock->appended_bytes;
    return live;
}

/* ---- batches -------------------------------------------------------------------------------- */

static void check_state(const struct engine *engine, const struct batch *batch)
{
    bool ended = batch_has_ended(batch);
    uint64_t open = batch->pending + batch->delayed + batch->leased;

    tri_assert((batch->state == TRI_BATCH_OPEN) == !batch->sealed);
    tri_assert(!ended || open == 0);
    tri_assert(ended || !batch->sealed || open != 0);
    tri_assert(ended == tri_dlist_is_linked(&batch->ended));
    tri_assert(!ended || tri_dlist_is_empty(&batch->berths));
    tri_assert(batch->forgiven <= tri_rangeset_count(&batch->dead));
    tri_assert(!batch->halting || batch->held_back || batch->pending + batch->delayed == 0);
    tri_assert(!batch->held_back || (engine->reclaiming && !ended));
    tri_assert(!batch->put_due && !batch->suspects_changed);
    tri_assert(!batch->cancelling || open == 0);
    tri_assert(tri_dlist_is_linked(&batch->unfed) == (!batch->sealed && batch->feeder == NULL));
    tri_assert(!tri_dlist_is_linked(&batch->touched));
    tri_assert(tri_map_find(&engine->batches, batch->number) == batch);
    tri_assert(tri_rangeset_contains(&batch->principal->numbers, batch->number));
}

static void check_batch(const struct engine *engine, struct batch *batch, struct memory *memory)
{
    check_conservation(batch);
    check_settled(batch);
    check_berths(engine, batch);
    check_rows(batch);
    check_state(engine, batch);
    if (batch->stock != NULL)
        check_stock(batch, memory);
    memory->row_bytes += batch->row_bytes;
    memory->reserved_bytes += batch->reserved_bytes;
    /* Others may have taken the memory since: whoever finds out unlinks it (feed.c). */
    tri_assert(!tri_heap_is_linked(&batch->ready) || batch_may_be_leased(engine, batch)
               || memory_is_short(engine, batch));
}

/* ---- workers -------------------------------------------------------------------------------- */

static void check_links(const struct worker *worker)
{
    tri_dlist_foreach(&worker->links, node)
    {
        const struct link *link = tri_container_of(node, struct link, of_worker);
        char text[160];

        tri_assert(link->worker == worker);
        tri_assert(class_mismatch(link->class, worker, text, sizeof(text)) == NULL);
        tri_assert(tri_dlist_is_linked(&link->idle) == (worker->appetite != WORKER_FULL));
        tri_assert(worker->appetite == WORKER_FULL
                   || link->is_hungry == (worker->appetite == WORKER_HUNGRY));
    }
}

static void check_worker(const struct worker *worker)
{
    uint64_t used = 0;
    uint64_t queue_ns = 0;
    uint64_t leases = 0;
    uint64_t suspects = 0;
    uint64_t asked = 0;
    uint64_t slow = 0;
    uint64_t asked_tasks = 0;
    uint64_t eager = 0;
    uint64_t idle = 0;

    tri_assert(!tri_dlist_is_linked(&worker->touched));
    check_links(worker);
    tri_dlist_foreach(&worker->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_worker);

        tri_assert(berth->worker == worker);
        used += berth->used;
        queue_ns += berth->queue_ns;
        slow += berth->is_slow;
        eager += berth->is_eager;
        idle += berth->leased == 0;
        asked += berth->state == BERTH_ASKED;
        asked_tasks += berth->state == BERTH_ASKED ? berth->asked_tasks : 0;
        leases += berth->leases.count;
        tri_dlist_foreach(&berth->leases, lease_node)
        {
            suspects += tri_container_of(lease_node, struct lease, node)->on_trial;
        }
    }
    tri_assert(used == worker->used && queue_ns == worker->queue_ns);
    tri_assert(leases == worker->leases && suspects == worker->suspects);
    tri_assert(asked == worker->asked && slow == worker->slow && eager == worker->eager);
    tri_assert(idle == worker->idle && asked_tasks == worker->asked_tasks);
}

static void check_sessions(const struct engine *engine)
{
    tri_time heard = 0;
    size_t connected = 0;

    tri_dlist_foreach(&engine->sessions, node)
    {
        const struct session *session = tri_container_of(node, struct session, node);

        tri_assert(session->heard >= heard && session->heard <= engine->now);
        heard = session->heard;
        tri_assert(!session->connected
                   || session_find((struct engine *)engine, &session->peer) == session);
        tri_assert((session->role == TRI_ROLE_WORKER) == (session->worker != NULL));
        connected += session->connected;
        question_check(session);
        if (session->worker != NULL)
            check_worker(session->worker);
    }
    tri_assert(connected == engine->routes.count);
    tri_assert(engine->sessions.count == engine->instances.count);
}

static void check_classes(const struct engine *engine)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&engine->classes, &at, &key, &value);) {
        const struct class *class = value.pointer;
        uint64_t above = UINT64_MAX;

        tri_assert((class->batch_count == 0) == tri_dlist_is_linked(&class->unused));
        tri_dlist_foreach(&class->ranks, node)
        {
            const struct rank *rank = tri_container_of(node, struct rank, node);

            tri_assert(rank->flows.count != 0 && rank->priority < above);
            above = rank->priority;
            tri_heap_check(&rank->flows);
        }
    }
}

static void check_entries(const struct engine *engine)
{
    uint64_t count = 0;
    uint64_t history_bytes = 0;
    uint64_t key;
    void *batch;
    void *value;

    for (size_t i = 0; tri_map_next(&engine->batches, &i, &key, &batch);)
        for (size_t at = 0; tri_map_next(&((struct batch *)batch)->entries, &at, &key, &value);) {
            count++;
            history_bytes += ((const struct entry *)value)->history.size;
        }
    tri_assert(count == engine->entry_count && count <= engine->options.limits.entries_max);
    tri_assert(history_bytes == engine->history_bytes);
    tri_assert(history_bytes <= engine->options.limits.history_bytes_max);
}

void engine_check(const struct engine *self)
{
    struct memory memory = { 0 };
    uint64_t number;
    void *batch;
    uint64_t leases = 0;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &batch);)
        check_batch(self, batch, &memory);
    check_sessions(self);
    check_classes(self);
    check_entries(self);
    tri_map_check(&self->leases);
    tri_heap_check(&self->delays);
    tri_assert(self->recovery == NULL);
    tri_assert(memory.chunk_bytes == self->memory.chunk_bytes);
    tri_assert(memory.row_bytes == self->memory.row_bytes);
    tri_assert(memory.granted_bytes == self->memory.granted_bytes);
    tri_assert(memory.reserved_bytes == self->memory.reserved_bytes);
    tri_dlist_foreach(&self->workers, node)
    {
        leases += tri_container_of(node, struct worker, node)->leases;
    }
    tri_assert(leases == self->leases.count && leases == self->lease_clock.count);
}
