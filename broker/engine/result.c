/* result.c - results and partials: the first that comes for a task is its result. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"
#include "common/proto/chunk.h"

/* ---- reports -------------------------------------------------------------------------------- */

bool report_is_next(struct engine *engine, struct session *session, uint64_t seq)
{
    struct worker *worker = session->worker;

    if (!worker->seq_known || seq == worker->seq + 1)
        return true;
    if (seq > worker->seq)
        out_error(engine, session, 0, TRI_INVALID, "report %llu came after %llu",
                  (unsigned long long)seq, (unsigned long long)worker->seq);
    else
        report_take(engine, session, worker->seq);
    return false;
}

void report_take(struct engine *engine, struct session *session, uint64_t seq)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS_OK };

    session->worker->seq = seq;
    session->worker->seq_known = true;
    message.results_ok.seq = seq;
    out_acknowledge(engine, session, &message, 0);
}

static void measure(struct berth *berth, uint64_t tasks, uint64_t wall_ns)
{
    uint64_t mean = tasks != 0 ? wall_ns / tasks : 0;

    if (mean == 0)
        mean = 1;
    /* The newest counts a quarter: quick to notice, slow to panic. */
    berth->task_ns = berth->task_ns != 0 ? berth->task_ns - berth->task_ns / 4 + mean / 4 : mean;
    if (berth->task_ns == 0)
        berth->task_ns = 1;
    berth->batch->task_ns = berth->task_ns;
}

void report_measure(struct session *session, struct batch *batch, uint64_t tasks, uint64_t wall_ns)
{
    struct berth *berth = berth_find(session->worker, batch);

    if (berth != NULL && tasks != 0)
        measure(berth, tasks, wall_ns);
}

/* Peers may claim anything. */
static uint64_t plus(uint64_t a, uint64_t b)
{
    return b < INT64_MAX - a ? a + b : INT64_MAX;
}

/* An instance counts once, however often it comes and goes. Of very many only the first are told
 * apart. */
static void count_worker(struct engine *engine, struct batch *batch, struct berth *berth)
{
    uint64_t instance;

    if (berth->contributed)
        return;
    berth->contributed = true;
    memcpy(&instance, berth->worker->session->instance.bytes, sizeof(instance));
    instance %= TRI_INDEX_END;
    if (tri_rangeset_contains(&batch->served_by, instance))
        return;
    batch->workers++;
    if (tri_rangeset_count(&batch->served_by) < STORED_RANGES_MAX)
        tri_rangeset_add(&batch->served_by, instance, 1);
    batch_put_later(engine, batch);
}

void report_account(struct engine *engine,
                    struct session *session,
                    struct batch *batch,
                    uint64_t tasks,
                    uint64_t wall_ns,
                    uint64_t cpu_ns,
                    uint64_t model)
{
    struct berth *berth = berth_find(session->worker, batch);

    batch->wall_ns = plus(batch->wall_ns, wall_ns);
    batch->cpu_ns = plus(batch->cpu_ns, cpu_ns);
    batch->model = model;
    if (berth == NULL)
        return;
    count_worker(engine, batch, berth);
    berth->active_at = engine->now;
    berth->tasks_done += tasks;
    if (tasks != 0)
        measure(berth, tasks, wall_ns);
    berth_update(engine, berth);
}

void report_charge(struct batch *batch, const struct lease *lease, uint64_t tasks, uint64_t wall_ns)
{
    double charged = lease != NULL ? (double)lease->charged_ns * (double)tasks : 0;
    double us = ((double)wall_ns - charged) / 1000;

    if (us > -1e15 && us < 1e15)
        fair_charge(batch, (int64_t)us);
}

/* ---- which tasks they are for --------------------------------------------------------------- */

/* What a report is about, found and checked. */
struct report {
    struct batch *batch;
    struct lease *lease; /* NULL: no longer (or never) this worker's */
    uint64_t end;        /* tasks from here on cannot be meant */
};

static struct report find_report(const struct engine *engine,
                                 const struct session *session,
                                 uint64_t lease,
                                 uint64_t number,
                                 uint64_t generation)
{
    struct report report = { .lease = lease_find(engine, session->worker, lease) };

    report.batch = tri_map_find(&engine->batches, number);
    if (report.batch == NULL || !reclaim_covers(engine, report.batch, lease, &report.end))
        report.batch = NULL;
    if (report.lease != NULL && report.batch != NULL
        && lease_is_about(report.lease, number, generation))
        return report;
    report.lease = NULL;
    if (report.batch != NULL && report.batch->generation != generation)
        report.batch = NULL;
    return report;
}

/* What of the range has not ended; the lease's own first, then wherever it is now. */
static void accept_scattered(struct engine *engine,
                             const struct report *report,
                             struct tri_range range,
                             struct tri_rangeset *accepted)
{
    uint64_t end =
        range.first + range.count < report->end ? range.first + range.count : report->end;
    struct tri_range undone;

    for (uint64_t at = range.first; batch_next_undone(report->batch, at, end, &undone);) {
        uint64_t taken = 0;

        if (report->lease != NULL)
            taken = lease_take(engine, report->lease, undone);
        taken += batch_pull(engine, report->batch, undone);
        tri_assert(taken == undone.count);
        tri_rangeset_add(accepted, undone.first, undone.count);
        at = undone.first + undone.count;
    }
}

/* Take out of a lease what is undone there; what is undone but elsewhere (given up, revoked, leased
 * to another) is taken from there. Adds what was taken to `accepted`. */
static void accept_range(struct engine *engine,
                         const struct report *report,
                         struct tri_range range,
                         struct tri_rangeset *accepted)
{
    struct lease *lease = report->lease;

    if (lease != NULL && tri_rangeset_contains_all(&lease->undone, range.first, range.count)) {
        lease_take(engine, lease, range);
        tri_rangeset_add(accepted, range.first, range.count);
        return;
    }
    accept_scattered(engine, report, range, accepted);
}

static void accept_runs(struct engine *engine,
                        const struct report *report,
                        struct tri_ranges runs,
                        struct tri_rangeset *accepted)
{
    for (size_t i = 0; i < runs.count; i++)
        accept_range(engine, report, tri_ranges_at(runs, i), accepted);
}

/* The reserve goes from the lease to the rows that it was for: to the first of them, so that
 * another lease may have it when that is acknowledged, and to those that follow. */
static bool take_reserve(const struct report *report, uint64_t bytes)
{
    struct lease *lease = report->lease;

    if (lease == NULL || lease->reserve_bytes == 0)
        return false;
    lease->reserve_bytes -= bytes < lease->reserve_bytes ? bytes : lease->reserve_bytes;
    if (report->batch->reserve_lease == lease)
        report->batch->reserve_lease = NULL;
    return true;
}

/* ---- RESULTS -------------------------------------------------------------------------------- */

static void take_results(struct engine *engine,
                         struct session *session,
                         struct report *report,
                         const struct tri_rec_result *head,
                         struct tri_bytes frame)
{
    const struct row_origin origin = { ROW_VALUES, tri_bytes_of(session->name), head->model };
    struct batch *batch = report->batch;
    struct tri_rangeset accepted = { 0 };
    uint64_t count;

    accept_runs(engine, report, head->runs, &accepted);
    count = tri_rangeset_count(&accepted);
    report_account(engine, session, batch, head->count, head->wall_ns, head->cpu_ns, head->model);
    report_charge(batch, report->lease, count, head->wall_ns);
    if (count != 0) {
        session->worker->tasks_done += count;
        batch->result_bytes += frame.size;
        batch->result_tasks += count;
        batch_add_done(engine, batch, &accepted);
        row_add(engine, batch, &origin, &accepted, frame, 0, take_reserve(report, frame.size));
    } else {
        batch_put_later(engine, batch);
    }
    if (count < head->count)
        out_trace(&engine->out, "result.stale batch=%llu worker=%s tasks=%llu",
                  (unsigned long long)batch->number, session->name,
                  (unsigned long long)(head->count - count));
    if (report->lease != NULL)
        lease_settle(engine, &report->lease);
    tri_rangeset_deinit(&accepted);
}

void on_results(struct engine *engine,
                struct session *session,
                const struct tri_msg_results *results,
                const struct event *event)
{
    struct tri_error error = { TRI_OK, "RESULTS needs one payload frame" };
    struct tri_rec_result head;
    struct tri_chunk values;
    struct report report;

    if (!report_is_next(engine, session, results->seq))
        return;
    if (event->frame_count != 1
        || tri_result_open(event->frames[0], &head, &values, &error) != TRI_OK) {
        out_error(engine, session, 0, TRI_INVALID, "%.400s", error.text);
        report_take(engine, session, results->seq);
        return;
    }
    report = find_report(engine, session, results->lease, results->number, results->generation);
    if (report.batch != NULL)
        take_results(engine, session, &report, &head, event->frames[0]);
    report_take(engine, session, results->seq);
}

/* ---- PARTIAL -------------------------------------------------------------------------------- */

/* True when nothing of it has ended: what is folded can only be taken whole. */
static bool is_all_undone(const struct report *report, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);
        struct tri_range undone;

        if (range.first + range.count > report->end)
            return false;
        if (!batch_next_undone(report->batch, range.first, range.first + range.count, &undone)
            || undone.first != range.first || undone.count != range.count)
            return false;
    }
    return ranges.count != 0;
}

static void take_partial(struct engine *engine,
                         struct session *session,
                         struct report *report,
                         const struct tri_msg_partial *partial,
                         struct tri_bytes frame)
{
    const struct row_origin origin = { ROW_PARTIAL, tri_bytes_of(session->name), partial->model };
    struct batch *batch = report->batch;
    struct tri_rangeset accepted = { 0 };
    uint64_t count;

    accept_runs(engine, report, partial->ranges, &accepted);
    count = tri_rangeset_count(&accepted);
    report_account(engine, session, batch, count, partial->wall_ns, partial->cpu_ns,
                   partial->model);
    report_charge(batch, report->lease, count, partial->wall_ns);
    session->worker->tasks_done += count;
    batch->result_bytes += frame.size;
    batch->result_tasks += count;
    batch_add_done(engine, batch, &accepted);
    for (size_t i = 0; PLANTED(PARTIAL_TWICE) && i < partial->ranges.count; i++)
        tri_rangeset_add(&accepted, tri_ranges_at(partial->ranges, i).first,
                         tri_ranges_at(partial->ranges, i).count);
    row_add(engine, batch, &origin, &accepted, frame, 0, take_reserve(report, frame.size));
    tri_rangeset_deinit(&accepted);
}

/* The rest of what it covers runs again: its worker thinks that it has reported it. */
static void drop_partial(struct engine *engine, struct report *report, struct tri_ranges ranges)
{
    out_trace(&engine->out, "partial.dropped batch=%llu",
              (unsigned long long)report->batch->number);
    for (size_t i = 0; report->lease != NULL && i < ranges.count; i++)
        lease_give_back(engine, report->lease, tri_ranges_at(ranges, i), &report->lease->grade);
}

void on_partial(struct engine *engine,
                struct session *session,
                const struct tri_msg_partial *partial,
                const struct event *event)
{
    struct report report;

    if (!report_is_next(engine, session, partial->seq))
        return;
    if (event->frame_count != 1) {
        out_error(engine, session, 0, TRI_INVALID, "PARTIAL needs one payload frame");
        report_take(engine, session, partial->seq);
        return;
    }
    report = find_report(engine, session, partial->lease, partial->number, partial->generation);
    if (report.batch != NULL) {
        if (PLANTED(PARTIAL_TWICE) || is_all_undone(&report, partial->ranges))
            take_partial(engine, session, &report, partial, event->frames[0]);
        else
            drop_partial(engine, &report, partial->ranges);
        if (report.lease != NULL)
            lease_settle(engine, &report.lease);
    }
    report_take(engine, session, partial->seq);
}
