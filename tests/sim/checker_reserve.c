/* The reserve: CREDIT into a window that is full. It is there for the oldest task that has not
 * ended, once that has stopped running, and for one row at a time that its client can acknowledge
 * (docs/spec/2-lifecycle.md, "Credit"). What the broker takes for the oldest can be told from
 * outside within bounds: no task that has surely not ended is older, and none that has surely ended
 * is meant. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "tests/sim/plan.h"

#include <stdlib.h>

/* ---- what workers say ----------------------------------------------------------------------- */

static void note_started(struct loan *loan, struct tri_ranges started)
{
    loan->started = tri_realloc(loan->started, started.count + 1, sizeof(*loan->started));
    loan->started_count = started.count;
    for (size_t i = 0; i < started.count; i++)
        loan->started[i] = tri_ranges_at(started, i);
}

static void take_heartbeat(struct sim *sim, const struct tri_msg_heartbeat *heartbeat)
{
    struct tri_list leases = heartbeat->leases;
    struct tri_rec_renew renewal;

    while (tri_list_next(&leases, TRI_RECORD_RENEW, &renewal)) {
        struct loan *loan = tri_map_find(&sim->checker->lent, renewal.lease);

        if (loan != NULL)
            note_started(loan, renewal.started);
    }
}

/* All of it becomes a row. */
static bool is_taken(const struct sim *sim, const struct loan *loan, struct tri_ranges runs)
{
    for (size_t i = 0; i < runs.count; i++) {
        struct tri_range range = tri_ranges_at(runs, i);

        for (uint64_t j = range.first; j < range.first + range.count; j++)
            if (loan->watch->tasks[j].reported || !promise_is_sure(sim, loan, loan->watch, j))
                return false;
    }
    return runs.count != 0;
}

/* The reserve goes with these results: until they are acknowledged, if that can be. */
static void take_report(struct sim *sim, uint64_t lease, struct tri_ranges runs)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, lease);
    struct reserve *reserve = loan != NULL ? &loan->watch->reserve : NULL;
    struct tri_range last;

    if (reserve == NULL || reserve->lease != lease)
        return;
    *reserve = (struct reserve){ .has_row = is_taken(sim, loan, runs) };
    if (!reserve->has_row)
        return;
    last = tri_ranges_at(runs, runs.count - 1);
    reserve->last = last.first + last.count - 1;
}

/* On a new connection CREDIT may have been lost, and is given again. */
static void doubt(struct checker *self)
{
    for (size_t i = 0; i < PLAN_BATCHES_MAX; i++)
        self->watches[i].reserve.lease = 0;
}

void reserve_gets(struct sim *sim, const struct tri_message *message, struct tri_ranges runs)
{
    if (message->type == TRI_MESSAGE_HEARTBEAT)
        take_heartbeat(sim, &message->heartbeat);
    else if (message->type == TRI_MESSAGE_HELLO)
        doubt(sim->checker);
    else if (message->type == TRI_MESSAGE_RESULTS || message->type == TRI_MESSAGE_PARTIAL)
        take_report(sim, message->results.lease, runs);
    else if (message->type == TRI_MESSAGE_ENDED)
        take_report(sim, message->ended.lease, (struct tri_ranges){ 0 });
}

/* ---- what the broker does ------------------------------------------------------------------- */

/* Nothing that was said could have ended it. */
static bool is_surely_open(const struct task *task)
{
    return task->standing == STANDING_OPEN && !task->reported && !task->asked && !task->spoiled
           && task->charged == 0 && task->blamed == 0 && task->vanished == 0
           && task->alone_with == 0;
}

static bool has_started(const struct loan *loan, uint64_t index)
{
    for (size_t i = 0; i < loan->started_count; i++)
        if (index >= loan->started[i].first
            && index - loan->started[i].first < loan->started[i].count)
            return true;
    return false;
}

static void check_oldest(const struct sim *sim,
                         const struct watch *watch,
                         const struct loan *loan,
                         uint64_t lease)
{
    uint64_t from = 0; /* the oldest is in from..to */
    uint64_t to;

    while (from < watch->arrived && watch->tasks[from].standing != STANDING_OPEN)
        from++;
    for (to = from; to < watch->arrived && !is_surely_open(&watch->tasks[to]);)
        to++;
    if (loan->first > to || loan->first + loan->count <= from)
        sim_fail(sim, "lease %llu of %s gets CREDIT beyond the window, and has not the oldest task",
                 (unsigned long long)lease, watch->plan->name);
    if (from == to && has_started(loan, to))
        sim_fail(sim, "lease %llu of %s gets CREDIT beyond the window while task %llu runs",
                 (unsigned long long)lease, watch->plan->name, (unsigned long long)to);
    if (watch->reserve.has_row && watch->reserve.last < from
        && !row_may_be_gone(watch, &watch->tasks[watch->reserve.last])
        && !watch->rows[watch->tasks[watch->reserve.last].row].spoiled)
        sim_fail(sim, "%s gets CREDIT beyond the window, and its client has not taken the last",
                 watch->plan->name);
}

void reserve_lends(struct sim *sim, uint64_t lease)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, lease);
    struct watch *watch = loan->watch;
    uint64_t heartbeat_us = sim->plan->options.limits.heartbeat_ms * SIM_MS;

    if (watch->stopped || watch->retries != 0 || row_may_halt(sim, watch->plan))
        return;
    check_oldest(sim, watch, loan, lease);
    if (watch->reserve.lease == lease
        && sim->checker->decided_at - watch->reserve.at < heartbeat_us - heartbeat_us / 100)
        sim_fail(sim, "lease %llu of %s gets CREDIT beyond the window once more",
                 (unsigned long long)lease, watch->plan->name);
    watch->reserve = (struct reserve){ .lease = lease, .at = sim->checker->decided_at };
}
