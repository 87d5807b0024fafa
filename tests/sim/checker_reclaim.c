/* What was running goes on when the broker comes back: a worker that had a lease, and is there in
 * time, keeps it. Only what cannot but be so is watched: tasks of which nothing is known but that
 * this worker had them last, of a broker that surely knew the worker. */
#include "tests/sim/checker_parts.h"

#include "tests/sim/broker.h"

#include <stdlib.h>

static bool is_silent(const struct sim *sim, const struct mate *mate)
{
    uint64_t lease_us = sim->plan->options.limits.lease_ms * SIM_MS;

    return sim->now - mate->heard >= lease_us - lease_us / 50;
}

/* The acknowledgement of a report comes after all that was written before. */
void reclaim_sends(const struct sim *sim, struct mate *mate, const struct tri_message *message)
{
    struct tri_list dropped = message->welcome.dropped;
    struct tri_rec_lease_ref reference;

    if (message->type == TRI_MESSAGE_RESULTS_OK)
        mate->is_known = true;
    if (message->type != TRI_MESSAGE_WELCOME)
        return;
    while (tri_list_next(&dropped, TRI_RECORD_LEASE_REF, &reference))
        if (tri_map_find(&mate->kept, reference.lease) != NULL)
            sim_fail(sim, "%.16s comes back with lease %llu in time, and has to drop it",
                     (const char *)mate->instance, (unsigned long long)reference.lease);
    tri_map_clear(&mate->kept);
}

void reclaim_dies(struct sim *sim)
{
    struct checker *self = sim->checker;

    for (size_t i = 0; i < self->mate_count; i++) {
        struct mate *mate = &self->mates[i];

        mate->was_known = mate->is_known && !is_silent(sim, mate);
        mate->is_known = false;
        tri_map_clear(&mate->kept);
    }
    for (size_t i = 0; i < sim->plan->batch_count; i++)
        for (uint64_t j = 0; j < sim->plan->batches[i].count; j++) {
            struct task *task = &self->watches[i].tasks[j];

            task->lease_before = task->returned ? 0 : task->lease;
        }
}

void checker_broker_starts(struct sim *sim)
{
    sim->checker->begun_at = sim->now;
}

static bool is_its_own(const struct sim *sim,
                       const struct loan *loan,
                       const struct tri_rec_held *held,
                       uint64_t index)
{
    const struct task *task = &loan->watch->tasks[index];

    return index - loan->first < loan->count && promise_is_sure(sim, loan, loan->watch, index)
           && !task->reported && task->lease == 0 && task->lease_before == held->lease
           && (task->claimed == 0 || task->claimed == held->lease);
}

static bool must_keep(const struct sim *sim, const struct tri_rec_held *held)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, held->lease);
    uint64_t count = 0;

    if (loan == NULL || loan->life + 1 != sim->checker->life || loan->watch->number == 0
        || loan->watch->number != held->number)
        return false;
    for (size_t i = 0; i < held->ranges.count; i++) {
        struct tri_range range = tri_ranges_at(held->ranges, i);

        for (uint64_t j = range.first; j - range.first < range.count; j++, count++)
            if (!is_its_own(sim, loan, held, j))
                return false;
    }
    return count != 0;
}

static bool do_meet(struct tri_ranges a, struct tri_ranges b)
{
    for (size_t i = 0; i < a.count; i++)
        for (size_t j = 0; j < b.count; j++) {
            struct tri_range one = tri_ranges_at(a, i);
            struct tri_range other = tri_ranges_at(b, j);

            if (one.first < other.first + other.count && other.first < one.first + one.count)
                return true;
        }
    return false;
}

/* A worker that says HELLO again on its connection, without leases, is given the tasks of those
 * that it holds once more: either lease may be the one that it keeps. */
static bool has_rival(struct tri_list leases, const struct tri_rec_held *held)
{
    struct tri_rec_held other;

    while (tri_list_next(&leases, TRI_RECORD_HELD, &other))
        if (other.lease != held->lease && other.number == held->number
            && do_meet(other.ranges, held->ranges))
            return true;
    return false;
}

/* Before that its leases of an earlier life are nobody's. */
void reclaim_gets(struct sim *sim, struct mate *mate, const struct tri_msg_hello *hello)
{
    uint64_t reclaim_us = sim->plan->options.limits.reclaim_ms * SIM_MS;
    struct tri_list leases = hello->held;
    struct tri_rec_held held;

    mate->is_known = false;
    if (!mate->was_known
        || sim->now - sim->checker->begun_at
               >= reclaim_us - reclaim_us * 2 * BROKER_DRIFT_PPM_MAX / SIM_ALWAYS - SIM_MS)
        return;
    mate->was_known = false;
    while (tri_list_next(&leases, TRI_RECORD_HELD, &held))
        if (must_keep(sim, &held) && !has_rival(hello->held, &held))
            tri_map_put(&mate->kept, held.lease, mate);
}
