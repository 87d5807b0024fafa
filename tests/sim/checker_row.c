/* Rows: each task in one of them, with what it was to become. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "common/reduce.h"
#include "common/value.h"
#include "tests/sim/worker.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- where a task stands -------------------------------------------------------------------- */

static struct task *settle(struct sim *sim,
                           struct watch *watch,
                           const struct tri_msg_row *row,
                           uint64_t index,
                           enum standing standing)
{
    struct task *task = watch_task(sim, watch, index);

    if (task->standing != STANDING_OPEN
        && (row->generation <= task->generation || task->standing != STANDING_DEAD))
        sim_fail(sim, "task %s/%llu has a second result, in row %llu", watch->plan->name,
                 (unsigned long long)index, (unsigned long long)row->row);
    if (standing == STANDING_DONE && task->forbidden)
        sim_fail(sim, "task %s/%llu was cancelled, and then succeeded", watch->plan->name,
                 (unsigned long long)index);
    task->standing = (uint8_t)standing;
    task->over_since = sim->now;
    task->generation = (uint8_t)row->generation;
    task->row = row->row;
    return task;
}

/* ---- values --------------------------------------------------------------------------------- */

static void check_value(struct sim *sim,
                        const struct watch *watch,
                        uint64_t index,
                        struct tri_bytes value,
                        struct tri_buffer *expected)
{
    tri_buffer_clear(expected);
    plan_value(watch->plan, index, expected);
    if (expected->size != value.size || memcmp(expected->data, value.data, value.size) != 0)
        sim_fail(sim, "the value of task %s/%llu is another's", watch->plan->name,
                 (unsigned long long)index);
}

/* Note which tasks the chunk is about, or forget it again. */
static void mark_runs(struct sim *sim, struct watch *watch, struct tri_ranges runs, bool in_chunk)
{
    for (size_t i = 0; i < runs.count; i++) {
        struct tri_range run = tri_ranges_at(runs, i);

        for (uint64_t j = 0; j < run.count; j++)
            watch_task(sim, watch, run.first + j)->in_chunk = in_chunk;
    }
}

static void check_values(struct sim *sim,
                         struct watch *watch,
                         const struct tri_msg_row *row,
                         struct tri_bytes frame)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_buffer expected = { 0 };
    uint32_t at = 0;

    if (tri_result_open(frame, &head, &chunk, NULL) != TRI_OK || watch->plan->reducer != NULL)
        sim_fail(sim, "row %llu of %s is no chunk of results", (unsigned long long)row->row,
                 watch->plan->name);
    for (size_t i = 0; i < head.runs.count; i++) {
        struct tri_range run = tri_ranges_at(head.runs, i);

        for (uint64_t j = 0; j < run.count; j++)
            check_value(sim, watch, run.first + j, tri_chunk_at(&chunk, at++), &expected);
    }
    tri_buffer_deinit(&expected);
    mark_runs(sim, watch, head.runs, true);
    for (size_t i = 0; i < row->ranges.count; i++) {
        struct tri_range range = tri_ranges_at(row->ranges, i);

        for (uint64_t j = range.first; j < range.first + range.count; j++) {
            if (!watch_task(sim, watch, j)->in_chunk)
                sim_fail(sim, "row %llu of %s counts task %llu, which it does not hold",
                         (unsigned long long)row->row, watch->plan->name, (unsigned long long)j);
            settle(sim, watch, row, j, STANDING_DONE);
        }
    }
    mark_runs(sim, watch, head.runs, false);
}

/* ---- partials ------------------------------------------------------------------------------- */

static int64_t integer_of(const struct plan_batch *batch, uint64_t index)
{
    struct tri_buffer packed = { 0 };
    struct tri_value value = { .type = TRI_NIL };

    plan_value(batch, index, &packed);
    tri_value_unpack_whole(tri_buffer_bytes(&packed), &value, NULL);
    tri_buffer_deinit(&packed);
    return value.integer;
}

void row_expect_reduced(const struct watch *watch, count_fn *is_counted, char *text, size_t size)
{
    bool is_sum = strcmp(watch->plan->reducer, "sum") == 0;
    int64_t sum = 0; /* 2^43 times the number of tasks at most */

    for (uint64_t i = 0; i < watch->plan->count; i++)
        if (is_counted(&watch->tasks[i]))
            sum += is_sum ? integer_of(watch->plan, i) : 1;
    snprintf(text, size, "%lld", (long long)sum);
}

static bool is_in_chunk(const struct task *task)
{
    return task->in_chunk;
}

static void check_partial(struct sim *sim,
                          struct watch *watch,
                          const struct tri_msg_row *row,
                          struct tri_bytes frame)
{
    struct tri_reducer *reducer = tri_reducer_new(watch->plan->reducer, NULL);
    struct tri_range *ranges = tri_alloc(row->ranges.count + 1, sizeof(*ranges));
    struct tri_buffer text = { 0 };
    char expected[32];

    memcpy(ranges, row->ranges.data, row->ranges.count * sizeof(*ranges));
    if (tri_reducer_merge(reducer, frame, ranges, row->ranges.count, NULL) != TRI_OK)
        sim_fail(sim, "row %llu of %s is no partial of its ranges", (unsigned long long)row->row,
                 watch->plan->name);
    for (size_t i = 0; i < row->ranges.count; i++)
        for (uint64_t j = 0; j < ranges[i].count; j++)
            settle(sim, watch, row, ranges[i].first + j, STANDING_DONE);
    mark_runs(sim, watch, row->ranges, true);
    row_expect_reduced(watch, is_in_chunk, expected, sizeof(expected));
    mark_runs(sim, watch, row->ranges, false);
    tri_assert(tri_reducer_finish_json(reducer, &text, NULL) == TRI_OK);
    if (text.size != strlen(expected) || memcmp(text.data, expected, text.size) != 0)
        sim_fail(sim, "row %llu of %s says %.*s, its tasks make %s", (unsigned long long)row->row,
                 watch->plan->name, (int)text.size, (const char *)text.data, expected);
    tri_buffer_deinit(&text);
    tri_reducer_destroy(&reducer);
    free(ranges);
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Every worker that is there may refuse it: those that run one model only, and it asks for another;
 * those whose launcher is killed again and again while they have tasks of it. */
static bool may_be_refused(const struct sim *sim, const struct plan_batch *batch)
{
    for (uint64_t i = 0; i < sim->plan->worker_count; i++)
        if (sim->workers[i]->is_unlucky)
            return true;
    for (uint64_t i = 0; i < sim->plan->worker_count; i++)
        if (batch->model != TRI_MODEL_AUTO && sim->plan->workers[i].model != TRI_MODEL_AUTO
            && sim->plan->workers[i].model != batch->model)
            return true;
    return false;
}

bool row_may_halt(const struct sim *sim, const struct plan_batch *batch)
{
    return batch->halt != TRI_HALT_NEVER || may_be_refused(sim, batch);
}

static void check_cancelled(struct sim *sim, const struct watch *watch, uint64_t index)
{
    if (!watch->tasks[index].asked && !row_may_halt(sim, watch->plan))
        sim_fail(sim, "task %s/%llu is cancelled, and nobody asked for it", watch->plan->name,
                 (unsigned long long)index);
}

/* It died as it was planned to, or of a fault, or early because its batch was stopped. */
static void check_death(struct sim *sim,
                        const struct watch *watch,
                        uint64_t index,
                        const struct tri_rec_entry *entry)
{
    const struct plan_batch *batch = watch->plan;
    struct task *task = &watch->tasks[index];
    uint64_t generation =
        task->charged_generation; /* of the lease: its row may be of a later one */
    struct fate fate = plan_fate(batch, generation, index);
    uint64_t planned = plan_outcome(batch, generation, index, entry->attempts);
    bool may_be_early = watch->stopped || row_may_halt(sim, batch);
    bool may_be_blamed = task->blamed != 0 || vanish_count(sim, task) != 0;
    bool is_unreadable = entry->outcome == TRI_OUTCOME_FAILED && task->spoiled;
    bool is_inflicted = (entry->outcome == TRI_OUTCOME_CRASHED && may_be_blamed) || is_unreadable;

    if (entry->outcome != planned && !is_inflicted)
        sim_fail(sim, "task %s/%llu ended as %s at attempt %llu, where it should be %s",
                 batch->name, (unsigned long long)index, tri_outcome_text(entry->outcome),
                 (unsigned long long)entry->attempts, tri_outcome_text(planned));
    if (!may_be_blamed && !is_unreadable
        && (may_be_early ? entry->attempts > fate.attempts : entry->attempts != fate.attempts))
        sim_fail(sim, "task %s/%llu died after %llu attempts, not %llu", batch->name,
                 (unsigned long long)index, (unsigned long long)entry->attempts,
                 (unsigned long long)fate.attempts);
    if (entry->attempts > batch->retries + batch->crash_limit)
        sim_fail(sim, "task %s/%llu had %llu attempts", batch->name, (unsigned long long)index,
                 (unsigned long long)entry->attempts);
}

static void check_entry(struct sim *sim,
                        struct watch *watch,
                        const struct tri_msg_row *row,
                        uint64_t index,
                        const struct tri_rec_entry *entry)
{
    bool is_cancelled = entry->outcome == TRI_OUTCOME_CANCELLED;
    struct task *task =
        settle(sim, watch, row, index, is_cancelled ? STANDING_CANCELLED : STANDING_DEAD);

    task->outcome = (uint8_t)entry->outcome;
    watch->rows[row->row].failures = !is_cancelled;
    if (is_cancelled)
        check_cancelled(sim, watch, index);
    else
        check_death(sim, watch, index, entry);
}

static uint64_t count_of(struct tri_ranges ranges)
{
    uint64_t count = 0;

    for (size_t i = 0; i < ranges.count; i++)
        count += tri_ranges_at(ranges, i).count;
    return count;
}

/* Its only entry stands for all of its ranges. */
static void check_common_entry(struct sim *sim,
                               struct watch *watch,
                               const struct tri_msg_row *row,
                               const struct tri_rec_entry *entry)
{
    for (size_t i = 0; i < row->ranges.count; i++) {
        struct tri_range range = tri_ranges_at(row->ranges, i);

        for (uint64_t j = 0; j < range.count; j++)
            check_entry(sim, watch, row, range.first + j, entry);
    }
}

static void check_entries(struct sim *sim,
                          struct watch *watch,
                          const struct tri_msg_row *row,
                          struct tri_bytes frame)
{
    struct tri_rec_entries body;
    struct tri_rec_entry entry;
    uint64_t count = count_of(row->ranges);

    if (tri_record_decode(TRI_RECORD_ENTRIES, frame, &body, NULL) != TRI_OK)
        sim_fail(sim, "row %llu of %s has no entries", (unsigned long long)row->row,
                 watch->plan->name);
    if (body.entries.count < count && body.entries.count != 1)
        sim_fail(sim, "row %llu of %s has %zu entries for %llu tasks", (unsigned long long)row->row,
                 watch->plan->name, body.entries.count, (unsigned long long)count);
    if (body.entries.count == 1) {
        tri_list_next(&body.entries, TRI_RECORD_ENTRY, &entry);
        check_common_entry(sim, watch, row, &entry);
        return;
    }
    mark_runs(sim, watch, row->ranges, true);
    while (tri_list_next(&body.entries, TRI_RECORD_ENTRY, &entry)) {
        const struct task *task = watch_task(sim, watch, entry.index);

        if (!task->in_chunk && !task->retried)
            sim_fail(sim, "row %llu of %s has an entry that it does not count",
                     (unsigned long long)row->row, watch->plan->name);
        if (task->in_chunk)
            check_entry(sim, watch, row, entry.index, &entry);
    }
    mark_runs(sim, watch, row->ranges, false);
}

/* ---- rows and ends -------------------------------------------------------------------------- */

static struct row_seen *seen_at(struct watch *watch, uint64_t row)
{
    size_t count = (size_t)row * 2 + 16;

    if (row >= watch->row_count) {
        watch->rows = tri_realloc(watch->rows, count, sizeof(*watch->rows));
        memset(watch->rows + watch->row_count, 0,
               (count - watch->row_count) * sizeof(*watch->rows));
        watch->row_count = count;
    }
    return &watch->rows[row];
}

/* All but the tasks that it counts. */
static uint64_t hash_of(const struct tri_msg_row *row, struct tri_bytes frame)
{
    uint64_t hash = XXH3_64bits(frame.data, frame.size);

    hash = XXH3_64bits_withSeed(row->worker.data, row->worker.size, hash);
    return tri_mix64(tri_mix64(hash + row->generation) + row->kind * 8 + row->model) | 1;
}

/* True when it is a new one; the same name always means the same, but that failures may have been
 * retried since. */
static bool is_new(struct sim *sim,
                   struct watch *watch,
                   const struct tri_msg_row *row,
                   struct tri_bytes frame)
{
    struct row_seen *seen = seen_at(watch, row->row);
    uint64_t hash = hash_of(row, frame);
    uint64_t tasks = XXH3_64bits(row->ranges.data, row->ranges.count * sizeof(struct tri_range));

    if (seen->hash != 0 && (seen->hash != hash || (seen->tasks != tasks && !seen->failures)))
        sim_fail(sim, "row %llu of %s is sent again, and is another", (unsigned long long)row->row,
                 watch->plan->name);
    if (seen->hash != 0 && seen->tasks != tasks)
        retry_check_rest(sim, watch, row);
    seen->tasks = tasks;
    if (seen->hash != 0)
        return false;
    seen->hash = hash;
    seen->generation = row->generation;
    seen->bytes = frame.size;
    return true;
}

void checker_spoils_row(struct sim *sim, uint64_t number, uint64_t row)
{
    struct watch *watch = watch_find(sim, number);

    if (watch != NULL)
        seen_at(watch, row)->spoiled = true;
}

/* Rows that nobody has ever got, and perhaps cannot. */
uint64_t row_lost_count(const struct watch *watch)
{
    uint64_t count = 0;

    for (size_t i = 0; i < watch->row_count; i++)
        count += watch->rows[i].spoiled && watch->rows[i].hash == 0;
    return count;
}

static void check_row(struct sim *sim,
                      struct watch *watch,
                      const struct tri_msg_row *row,
                      struct tri_frame *const *frames,
                      size_t count)
{
    if (count != 2)
        sim_fail(sim, "row %llu of %s without its body", (unsigned long long)row->row,
                 watch->plan->name);
    if (row->kind == TRI_ROW_ENTRIES)
        retry_check(sim, watch, row, frames[1]->bytes);
    if (!is_new(sim, watch, row, frames[1]->bytes))
        return;
    if (row->generation > watch->generation)
        watch->generation = row->generation;
    if (frames[1]->bytes.size > watch->row_bytes_max)
        watch->row_bytes_max = frames[1]->bytes.size;
    if (row->kind == TRI_ROW_VALUES)
        check_values(sim, watch, row, frames[1]->bytes);
    else if (row->kind == TRI_ROW_PARTIAL)
        check_partial(sim, watch, row, frames[1]->bytes);
    else
        check_entries(sim, watch, row, frames[1]->bytes);
}

void row_acknowledge(struct watch *watch, struct tri_ranges rows)
{
    for (size_t i = 0; i < rows.count; i++) {
        struct tri_range range = tri_ranges_at(rows, i);

        for (uint64_t j = range.first; j - range.first < range.count && j < watch->row_count; j++)
            watch->rows[j].acknowledged = true;
    }
}

void checker_broker_drops(struct sim *sim, uint64_t number, uint64_t row)
{
    const struct watch *watch = watch_find(sim, number);

    if (watch != NULL && (row >= watch->row_count || !watch->rows[row].acknowledged)
        && !retry_takes(sim, watch, row))
        sim_fail(sim, "row %llu of %s is dropped, and no owner has acknowledged it",
                 (unsigned long long)row, watch->plan->name);
}

bool row_may_be_gone(const struct watch *watch, const struct task *task)
{
    return watch->rows[task->row].acknowledged;
}

static void check_state(struct sim *sim, struct watch *watch, const struct tri_msg_end *end)
{
    if (end->state == TRI_BATCH_HALTED)
        watch->halted = true;
    if (end->state == TRI_BATCH_HALTED && !row_may_halt(sim, watch->plan))
        sim_fail(sim, "%s halted: %.*s", watch->plan->name, (int)end->reason.size,
                 (const char *)end->reason.data);
    if (end->state == TRI_BATCH_CANCELLED && !watch->stopped)
        sim_fail(sim, "%s was cancelled, and nobody asked for it", watch->plan->name);
}

/* An END of an earlier generation may be late. */
static void check_end(struct sim *sim, struct watch *watch, const struct tri_msg_end *end)
{
    uint64_t standings[4] = { 0 };

    check_state(sim, watch, end);
    if (end->generation < watch->generation)
        return;
    for (uint64_t i = 0; i < end->count; i++)
        standings[watch_task(sim, watch, i)->standing]++;
    policy_ends(sim, watch, end, standings[STANDING_DEAD]);
    watch->ended = true;
    if (row_lost_count(watch) != 0)
        return;
    if (end->done != standings[STANDING_DONE] || end->dead != standings[STANDING_DEAD]
        || end->cancelled != standings[STANDING_CANCELLED] || standings[STANDING_OPEN] != 0)
        sim_fail(sim,
                 "%s ends with %llu tasks: done %llu, dead %llu, cancelled %llu; its rows had "
                 "%llu, %llu, %llu",
                 watch->plan->name, (unsigned long long)end->count, (unsigned long long)end->done,
                 (unsigned long long)end->dead, (unsigned long long)end->cancelled,
                 (unsigned long long)standings[STANDING_DONE],
                 (unsigned long long)standings[STANDING_DEAD],
                 (unsigned long long)standings[STANDING_CANCELLED]);
    for (uint64_t i = 0; i < end->rows; i++)
        if ((i >= watch->row_count || watch->rows[i].hash == 0)
            && !retry_has_taken(watch, i, end->generation))
            sim_fail(sim, "%s ends with %llu rows, and row %llu was never sent", watch->plan->name,
                     (unsigned long long)end->rows, (unsigned long long)i);
}

void row_sends(struct sim *sim,
               const struct tri_message *message,
               struct tri_frame *const *frames,
               size_t count)
{
    bool is_row = message->type == TRI_MESSAGE_ROW;
    struct watch *watch = watch_find(sim, is_row ? message->row.number : message->end.number);

    if (watch == NULL)
        sim_fail(sim, "a row of a batch that nobody submitted");
    if (is_row)
        check_row(sim, watch, &message->row, frames, count);
    else
        check_end(sim, watch, &message->end);
}
