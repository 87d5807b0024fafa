/* ended.c - tasks that did not succeed: charged, tried again, or dead.
 *
 * A failure, timeout or too large value uses up a retry and waits; a crash uses up one of
 * crash_limit runs and is run again alone. Only what the lease still holds, and only its own
 * attempt, counts; what was charged before a restart waits as it did. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/backoff.h"
#include "common/planted.h"

/* What becomes of the tasks of one ENDED. */
struct verdict {
    struct tri_rangeset failed;  /* wait and try again */
    struct tri_rangeset crashed; /* try again alone */
    struct tri_rangeset given_back;
    struct tri_rangeset dead;
    struct tri_buffer entries; /* of the dead, for their row */
    struct grade after_failure;
    struct grade after_crash;
    uint64_t wait_ms;
    uint64_t count; /* of them all */
    uint64_t wall_us;
    uint64_t cpu_us;
    uint64_t model;
    uint64_t timed_count; /* those that ran to their own end, and how long together */
    uint64_t timed_ns;
};

static void verdict_init(struct engine *engine, struct verdict *self, const struct grade *grade)
{
    struct tri_backoff backoff = { engine->options.limits.backoff_ms_min,
                                   engine->options.limits.backoff_ms_max };

    *self = (struct verdict){ 0 };
    self->after_failure = (struct grade){ grade->failures + 1, grade->crashes, 0, 0 };
    self->after_crash = (struct grade){ grade->failures, grade->crashes + 1, 0, 0 };
    self->wait_ms = tri_backoff_ms(&backoff, self->after_failure.failures, &engine->prng);
}

static void verdict_deinit(struct verdict *self)
{
    tri_rangeset_deinit(&self->failed);
    tri_rangeset_deinit(&self->crashed);
    tri_rangeset_deinit(&self->given_back);
    tri_rangeset_deinit(&self->dead);
    tri_buffer_deinit(&self->entries);
}

static bool is_charged(const struct tri_rec_entry *entry)
{
    return (entry->flags & TRI_ENTRY_UNCHARGED) == 0 && entry->outcome != TRI_OUTCOME_OK
           && entry->outcome != TRI_OUTCOME_CANCELLED;
}

static bool is_final(const struct batch *batch,
                     const struct verdict *verdict,
                     const struct tri_rec_entry *entry)
{
    if (batch->halting || batch->cancelling)
        return true;
    if (entry->outcome == TRI_OUTCOME_CRASHED && !PLANTED(CRASH_USES_RETRY))
        return verdict->after_crash.crashes >= batch->crash_limit;
    return verdict->after_failure.failures > batch->retries;
}

/* A failure takes as long as a success would, for all that is known: without it leases of a batch
 * that only fails would never grow. A timeout or a crash says nothing of the others. Times are in
 * whole microseconds, so half of one is missing on the average. */
static void time_it(struct verdict *verdict, const struct tri_rec_entry *entry)
{
    if (entry->outcome != TRI_OUTCOME_FAILED && entry->outcome != TRI_OUTCOME_TOO_LARGE)
        return;
    verdict->timed_count++;
    verdict->timed_ns += entry->wall_us * 1000 + 500;
}

static void judge(struct engine *engine,
                  struct batch *batch,
                  struct verdict *verdict,
                  const struct tri_rec_entry *entry)
{
    bool crashed = entry->outcome == TRI_OUTCOME_CRASHED;
    bool dead = is_final(batch, verdict, entry);
    const struct grade *grade = crashed ? &verdict->after_crash : &verdict->after_failure;

    if (!is_charged(entry)) {
        tri_rangeset_add(&verdict->given_back, entry->index, 1);
        return;
    }
    entry_note(engine, batch, entry, grade, crashed || dead ? 0 : verdict->wait_ms, dead);
    if (dead) {
        tri_rangeset_add(&verdict->dead, entry->index, 1);
        tri_record_encode(TRI_RECORD_ENTRY, entry, &verdict->entries);
    } else {
        tri_rangeset_add(crashed ? &verdict->crashed : &verdict->failed, entry->index, 1);
    }
}

/* Charged before a restart by a report that was never acknowledged: its worker has come back with
 * what it is about. */
static bool is_repeated(const struct engine *engine,
                        const struct lease *lease,
                        const struct tri_rec_entry *entry)
{
    return reclaim_is_from_before(engine, lease->number) && is_charged(entry)
           && entry->attempts < grade_attempt(&lease->grade);
}

static void read_entries(struct engine *engine,
                         struct session *session,
                         struct lease *lease,
                         struct tri_list list,
                         struct verdict *verdict)
{
    struct tri_rec_entry entry;

    while (tri_list_next(&list, TRI_RECORD_ENTRY, &entry)) {
        struct tri_range task = { entry.index, 1 };
        bool is_stale = entry.attempts != grade_attempt(&lease->grade) && !PLANTED(STALE_FAILURE);

        if (is_stale && is_repeated(engine, lease, &entry))
            lease_give_back(engine, lease, task, &lease->grade);
        if (is_stale || lease_take(engine, lease, task) == 0)
            continue;
        entry.worker = tri_bytes_of(session->name);
        verdict->count++;
        verdict->wall_us += entry.wall_us;
        verdict->cpu_us += entry.cpu_us;
        verdict->model = entry.model;
        time_it(verdict, &entry);
        judge(engine, lease->batch, verdict, &entry);
    }
}

static void add_entries_row(struct engine *engine,
                            struct batch *batch,
                            struct tri_bytes worker,
                            const struct tri_rangeset *tasks,
                            struct tri_list list,
                            bool on_reserve)
{
    const struct row_origin origin = { ROW_DEAD, worker, TRI_MODEL_AUTO };
    struct tri_rec_entries entries = { list };
    struct tri_buffer body = { 0 };

    tri_record_encode(TRI_RECORD_ENTRIES, &entries, &body);
    tri_assert(!body.failed);
    batch_add_dead(engine, batch, tasks);
    row_add(engine, batch, &origin, tasks, tri_buffer_bytes(&body), -1, on_reserve);
    tri_buffer_deinit(&body);
}

/* The next row of a lease that has the reserve takes it over. */
static bool hand_over_reserve(struct batch *batch, const struct lease *lease)
{
    if (batch->reserve_lease != lease)
        return false;
    batch->reserve_lease = NULL;
    return true;
}

void bury_tasks(struct engine *engine,
                const struct lease *lease,
                const struct tri_rangeset *tasks,
                const struct tri_rec_entry *entry)
{
    struct tri_buffer list = { 0 };

    tri_record_encode(TRI_RECORD_ENTRY, entry, &list);
    add_entries_row(engine, lease->batch, entry->worker, tasks, tri_list_of(&list, 1),
                    hand_over_reserve(lease->batch, lease));
    tri_buffer_deinit(&list);
}

static void bury(struct engine *engine,
                 struct session *session,
                 struct batch *batch,
                 const struct verdict *verdict,
                 bool on_reserve)
{
    uint64_t count = tri_rangeset_count(&verdict->dead);

    if (count == 0)
        return;
    session->worker->tasks_failed += count;
    add_entries_row(engine, batch, tri_bytes_of(session->name), &verdict->dead,
                    tri_list_of(&verdict->entries, count), on_reserve);
    out_trace(&engine->out, "task.died batch=%llu worker=%s tasks=%llu",
              (unsigned long long)batch->number, session->name, (unsigned long long)count);
}

static void carry_out(struct engine *engine,
                      struct session *session,
                      struct lease *lease,
                      const struct verdict *verdict)
{
    struct batch *batch = lease->batch;
    bool on_reserve = !tri_rangeset_is_empty(&verdict->dead) && hand_over_reserve(batch, lease);

    report_account(engine, session, batch, 0, verdict->wall_us * 1000, verdict->cpu_us * 1000,
                   verdict->model);
    report_measure(session, batch, verdict->timed_count, verdict->timed_ns);
    report_charge(batch, lease, verdict->count, verdict->wall_us * 1000);
    batch_put_later(engine, batch);
    batch_add_pending(engine, batch, &verdict->after_crash, &verdict->crashed);
    delay_new(engine, batch, &verdict->after_failure, &verdict->failed, verdict->wait_ms);
    delay_new(engine, batch, &lease->grade, &verdict->given_back,
              engine->options.limits.backoff_ms_min);
    bury(engine, session, batch, verdict, on_reserve);
}

/* Planted: whoever has the task now. */
static struct lease *planted_holder(const struct engine *engine, const struct tri_msg_ended *ended)
{
    struct tri_list entries = ended->entries;
    struct tri_rec_entry entry;
    uint64_t key;
    void *value;

    tri_list_next(&entries, TRI_RECORD_ENTRY, &entry);
    for (size_t at = 0; tri_map_next(&engine->leases, &at, &key, &value);) {
        struct lease *lease = value;

        if (lease->batch->number == ended->number
            && tri_rangeset_contains(&lease->undone, entry.index))
            return lease;
    }
    return NULL;
}

/* A task of a lease from before a restart may have died of the very failure that is reported again
 * now, and been retried by hand since: nothing but the generation tells that from a new one. */
static bool is_outdated(const struct engine *engine, const struct lease *lease)
{
    return reclaim_is_from_before(engine, lease->number)
           && lease->generation != lease->batch->generation;
}

void on_ended(struct engine *engine, struct session *session, const struct tri_msg_ended *ended)
{
    struct lease *lease;
    struct verdict verdict;

    if (!report_is_next(engine, session, ended->seq))
        return;
    lease = lease_find(engine, session->worker, ended->lease);
    if (PLANTED(STALE_FAILURE) && lease == NULL)
        lease = planted_holder(engine, ended);
    if (lease != NULL && lease_is_about(lease, ended->number, ended->generation)
        && !is_outdated(engine, lease)) {
        verdict_init(engine, &verdict, &lease->grade);
        read_entries(engine, session, lease, ended->entries, &verdict);
        carry_out(engine, session, lease, &verdict);
        verdict_deinit(&verdict);
        lease_settle(engine, &lease);
    }
    report_take(engine, session, ended->seq);
}
