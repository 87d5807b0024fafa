#include "broker/engine/reclaim.h"

#include "broker/engine/state.h"
#include "common/planted.h"

static struct store_key note_key(uint64_t key)
{
    return (struct store_key){ STORE_META, 0, key };
}

static struct tri_bytes instance_of(const struct session *session)
{
    return (struct tri_bytes){ session->instance.bytes, sizeof(session->instance.bytes) };
}

/* ---- known workers -------------------------------------------------------------------------- */

void reclaim_begin(struct engine *engine)
{
    engine->reclaiming = true;
    engine->reclaim_until =
        engine->known.count != 0 ? engine->now + engine->options.limits.reclaim_ms : engine->now;
}

void reclaim_join(struct engine *engine, struct session *session)
{
    struct worker *worker = session->worker;
    union tri_bytemap_value *known = tri_bytemap_find(&engine->known, instance_of(session));

    if (known != NULL) {
        worker->note = known->number;
        tri_bytemap_remove(&engine->known, instance_of(session));
        return;
    }
    worker->note = engine->next_note++;
    stored_put_note(engine, worker->note, NOTE_WORKER, instance_of(session));
}

void reclaim_leave(struct engine *engine, struct session *session)
{
    out_delete(&engine->out, note_key(session->worker->note));
}

/* Who has not come back is not known any more. */
static void forget_known(struct engine *engine)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&engine->known, &at, &key, &value);)
        out_delete(&engine->out, note_key(value.number));
    tri_bytemap_clear(&engine->known);
}

static void let_go(struct engine *engine, struct batch *batch)
{
    batch->held_back = false;
    if (batch->halting)
        halt_again(engine, batch);
    if (batch->stock != NULL && !batch->sealed)
        credit_append(engine, batch);
    batch_gain(engine, batch);
}

void reclaim_settle(struct engine *engine)
{
    uint64_t number;
    void *value;

    if (!engine->reclaiming || (engine->known.count != 0 && engine->now < engine->reclaim_until))
        return;
    engine->reclaiming = false;
    out_trace(&engine->out, "reclaim.ended leases=%llu absent=%llu",
              (unsigned long long)engine->leases.count, (unsigned long long)engine->known.count);
    forget_known(engine);
    for (size_t at = 0; tri_map_next(&engine->batches, &at, &number, &value);)
        if (((struct batch *)value)->held_back)
            let_go(engine, value);
}

/* ---- their leases --------------------------------------------------------------------------- */

static uint64_t epoch_of(uint64_t lease)
{
    return lease >> LEASE_EPOCH_SHIFT;
}

bool reclaim_is_from_before(const struct engine *engine, uint64_t lease)
{
    return epoch_of(lease) != (engine->options.epoch & LEASE_EPOCH_MASK);
}

/* An older copy of the store was put back: its epoch has come before, with other leases. */
static bool is_of_another_life(const struct engine *engine, uint64_t lease)
{
    uint64_t counter = lease & LEASE_COUNTER_MASK;

    return !reclaim_is_from_before(engine, lease)
           && (counter < engine->options.first_lease || counter >= engine->next_lease);
}

bool reclaim_covers(const struct engine *engine,
                    const struct batch *batch,
                    uint64_t lease,
                    uint64_t *end)
{
    uint64_t now = engine->options.epoch & LEASE_EPOCH_MASK;
    uint64_t then = epoch_of(lease);

    *end = then == now ? UINT64_MAX : batch->recovered_count;
    return then <= now && then >= (batch->epoch & LEASE_EPOCH_MASK)
           && !is_of_another_life(engine, lease);
}

/* The part of a set that lies in these ranges. */
static void part_of(const struct tri_rangeset *set,
                    struct tri_ranges ranges,
                    uint64_t end,
                    struct tri_rangeset *out)
{
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);
        uint64_t stop = range.first + range.count < end ? range.first + range.count : end;
        struct tri_range part;

        for (uint64_t at = range.first; at < stop && tri_rangeset_next(set, at, &part);) {
            if (part.first >= stop)
                break;
            if (part.count > stop - part.first)
                part.count = stop - part.first;
            tri_rangeset_add(out, part.first, part.count);
            at = part.first + part.count;
        }
    }
}

/* The tasks of a lease have one history, so they wait in one place: a pool, or a delay that was
 * over before the restart, for all that its worker knows: `due` is when it is. False: nothing of
 * them is there. */
static bool find(struct batch *batch,
                 struct tri_ranges ranges,
                 uint64_t end,
                 struct grade *grade,
                 tri_time *due,
                 struct tri_rangeset *tasks)
{
    *due = 0;
    part_of(&batch->fresh.tasks, ranges, end, tasks);
    *grade = batch->fresh.grade;
    tri_dlist_foreach(&batch->pools, node)
    {
        const struct pool *pool = tri_container_of(node, struct pool, node);

        if (!tri_rangeset_is_empty(tasks))
            break;
        part_of(&pool->tasks, ranges, end, tasks);
        *grade = pool->grade;
    }
    tri_dlist_foreach(&batch->delays, node)
    {
        const struct delay *delay = tri_container_of(node, struct delay, node);

        if (!tri_rangeset_is_empty(tasks))
            break;
        part_of(&delay->tasks, ranges, end, tasks);
        *grade = delay->grade;
        *due = delay->due.key;
    }
    return !tri_rangeset_is_empty(tasks);
}

static void pull(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        batch_pull(engine, batch, range);
}

static bool may_hold(const struct worker *worker, const struct grade *grade)
{
    return worker->leases < LEASES_OF_WORKER_MAX
           && (worker->suspects == 0 || !grade_is_suspect(grade));
}

static struct lease *adopt(struct engine *engine,
                           struct session *session,
                           struct batch *batch,
                           uint64_t number,
                           const struct grade *grade,
                           const struct tri_rangeset *tasks)
{
    struct worker *worker = session->worker;
    struct berth *berth = berth_find(worker, batch);

    if (berth == NULL)
        berth = berth_reclaim(engine, worker, batch);
    pull(engine, batch, tasks);
    out_trace(&engine->out, "lease.reclaimed lease=%llu worker=%s tasks=%llu",
              (unsigned long long)number, session->name,
              (unsigned long long)tri_rangeset_count(tasks));
    return lease_adopt(engine, berth, grade, number, tasks);
}

struct lease *reclaim_lease(struct engine *engine,
                            struct session *session,
                            const struct tri_rec_held *held)
{
    struct batch *batch = tri_map_find(&engine->batches, held->number);
    struct tri_rangeset tasks = { 0 };
    struct lease *lease = NULL;
    struct grade grade;
    tri_time due;
    uint64_t end;

    if (batch == NULL || PLANTED(NOT_RECLAIMED)
        || tri_map_find(&engine->leases, held->lease) != NULL
        || !reclaim_covers(engine, batch, held->lease, &end) || end == UINT64_MAX)
        return NULL;
    if (find(batch, held->ranges, end, &grade, &due, &tasks) && may_hold(session->worker, &grade))
        lease = adopt(engine, session, batch, held->lease, &grade, &tasks);
    if (lease != NULL)
        lease->due = due;
    tri_rangeset_deinit(&tasks);
    return lease;
}
