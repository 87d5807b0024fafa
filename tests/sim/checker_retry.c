/* Retries by hand: what was retried is not shown any more as it was before. */
#include "tests/sim/checker_parts.h"

/* ---- what is known of them ------------------------------------------------------------------ */

void retry_gets(struct sim *sim, const struct tri_msg_retry *retry)
{
    struct watch *watch = watch_find(sim, retry->number);

    if (watch == NULL)
        return;
    watch->retries++;
    sim->checker->retrying = watch;
    for (uint64_t i = 0; retry->tasks.count == 0 && i < watch->plan->count; i++)
        watch->tasks[i].retried = true;
    for (size_t i = 0; i < retry->tasks.count; i++) {
        struct tri_range range = tri_ranges_at(retry->tasks, i);

        for (uint64_t j = range.first; j - range.first < range.count && j < watch->plan->count; j++)
            watch->tasks[j].retried = true;
    }
}

void retry_got(struct sim *sim)
{
    sim->checker->retrying = NULL;
}

void retry_ends(struct sim *sim, struct task *task, uint64_t generation, bool for_good)
{
    if (generation > task->over) {
        task->over = (uint8_t)generation;
        task->over_at = sim->checker->decided_at;
    }
    if (for_good && generation > task->over_for_good)
        task->over_for_good = (uint8_t)generation;
}

/* A lease may have been given before the retry was durable. */
void retry_forget(struct watch *watch)
{
    for (uint64_t i = 0; i < watch->plan->count; i++) {
        watch->tasks[i].over = watch->tasks[i].over_for_good;
        watch->tasks[i].over_at = 0;
    }
}

/* ---- rows ----------------------------------------------------------------------------------- */

static bool is_cancelled(struct tri_bytes frame)
{
    struct tri_rec_entries body;
    struct tri_rec_entry entry = { 0 };

    return tri_record_decode(TRI_RECORD_ENTRIES, frame, &body, NULL) == TRI_OK
           && tri_list_next(&body.entries, TRI_RECORD_ENTRY, &entry)
           && entry.outcome == TRI_OUTCOME_CANCELLED;
}

void retry_check(struct sim *sim,
                 struct watch *watch,
                 const struct tri_msg_row *row,
                 struct tri_bytes frame)
{
    if (is_cancelled(frame))
        return;
    for (size_t i = 0; i < row->ranges.count; i++) {
        struct tri_range range = tri_ranges_at(row->ranges, i);

        for (uint64_t j = range.first; j < range.first + range.count; j++) {
            const struct task *task = watch_task(sim, watch, j);

            if (row->generation <= task->over && sim->checker->decided_at > task->over_at)
                sim_fail(sim,
                         "row %llu shows how task %s/%llu failed in generation %llu, and it was "
                         "retried since",
                         (unsigned long long)row->row, watch->plan->name, (unsigned long long)j,
                         (unsigned long long)row->generation);
        }
    }
}

void retry_check_rest(struct sim *sim, struct watch *watch, const struct tri_msg_row *row)
{
    uint64_t at = 0;

    for (size_t i = 0; i <= row->ranges.count; i++) {
        struct tri_range end = { watch->plan->count, 0 };
        struct tri_range range = i < row->ranges.count ? tri_ranges_at(row->ranges, i) : end;

        for (; at < range.first; at++)
            if (watch->tasks[at].row == row->row && watch->tasks[at].standing == STANDING_DEAD
                && !watch->tasks[at].retried)
                sim_fail(sim, "row %llu is sent again without task %s/%llu",
                         (unsigned long long)row->row, watch->plan->name, (unsigned long long)at);
        for (; at < range.first + range.count; at++)
            if (watch->tasks[at].row != row->row || watch->tasks[at].standing != STANDING_DEAD)
                sim_fail(sim, "row %llu is sent again with task %s/%llu",
                         (unsigned long long)row->row, watch->plan->name, (unsigned long long)at);
    }
}

bool retry_takes(const struct sim *sim, const struct watch *watch, uint64_t row)
{
    if (sim->checker->retrying != watch)
        return false;
    if (row >= watch->row_count || watch->rows[row].hash == 0)
        return true;
    for (uint64_t i = 0; i < watch->plan->count; i++)
        if (watch->tasks[i].row == row && watch->tasks[i].standing == STANDING_DEAD
            && !watch->tasks[i].retried)
            return false;
    return watch->rows[row].failures;
}

bool retry_has_taken(const struct watch *watch, uint64_t row, uint64_t generation)
{
    for (uint64_t i = 0; i <= row && i < watch->row_count; i++)
        if (watch->rows[i].hash != 0 && watch->rows[i].generation >= generation)
            return false;
    return generation > 1;
}
