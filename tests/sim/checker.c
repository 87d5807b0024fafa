/* What is said, to whom of the checker it is news; and who runs what. */
#include "tests/sim/checker.h"

#include "common/assert.h"
#include "tests/sim/checker_parts.h"

#include <stdlib.h>

struct watch *watch_find(const struct sim *sim, uint64_t number)
{
    return tri_map_find(&sim->checker->numbers, number);
}

struct task *watch_task(const struct sim *sim, struct watch *watch, uint64_t index)
{
    if (index >= watch->plan->count || index >= watch->arrived)
        sim_fail(sim, "task %llu of %s, which has %llu", (unsigned long long)index,
                 watch->plan->name, (unsigned long long)watch->arrived);
    return &watch->tasks[index];
}

static struct watch *watch_of(const struct sim *sim, const struct plan_batch *batch)
{
    return &sim->checker->watches[batch->id];
}

uint64_t checker_number(const struct sim *sim, const struct plan_batch *batch)
{
    return watch_of(sim, batch)->number;
}

/* ---- what reaches the broker ---------------------------------------------------------------- */

/* The tasks that a report has results of. */
static struct tri_ranges runs_of(const struct tri_message *message,
                                 struct tri_frame *const *frames,
                                 size_t count)
{
    struct tri_rec_result head = { 0 };
    size_t size;

    if (message->type == TRI_MESSAGE_PARTIAL)
        return message->partial.ranges;
    if (message->type == TRI_MESSAGE_RESULTS && count > 1
        && tri_record_decode_head(TRI_RECORD_RESULT, frames[1]->bytes, &head, &size, NULL)
               == TRI_OK)
        return head.runs;
    return (struct tri_ranges){ 0 };
}

/* What a report is about. Its batch may have been lost with the broker, and its number given to
 * another: NULL. */
static struct watch *reported_watch(const struct sim *sim, uint64_t lease, uint64_t number)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, lease);
    struct watch *watch = watch_find(sim, number);

    return loan == NULL || loan->watch == watch ? watch : NULL;
}

/* RESULTS and PARTIAL begin in the same way. */
static void note_success(struct sim *sim,
                         const struct tri_msg_results *report,
                         struct tri_ranges ranges)
{
    struct watch *watch = reported_watch(sim, report->lease, report->number);

    if (watch == NULL)
        return;
    hold_returns(sim, watch, report->lease, ranges);
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        for (uint64_t j = 0; j < range.count; j++) {
            struct task *task = watch_task(sim, watch, range.first + j);

            watch->reported += !task->reported;
            task->reported = true;
        }
    }
}

static void note_ended(struct sim *sim, const struct tri_msg_ended *ended)
{
    struct watch *watch = reported_watch(sim, ended->lease, ended->number);
    struct tri_list entries = ended->entries;
    struct tri_rec_entry entry;

    while (watch != NULL && tri_list_next(&entries, TRI_RECORD_ENTRY, &entry)) {
        struct task *task = watch_task(sim, watch, entry.index);

        if (task->lease != 0 && task->lease != ended->lease && task->claimed != ended->lease)
            continue; /* it has been leased again since: that attempt is stale */
        task->returned = true;
        if (ended->generation < task->charged_generation)
            continue; /* it was retried by hand since */
        if (ended->generation > task->charged_generation)
            task->charged = 0;
        task->charged_generation = (uint8_t)ended->generation;
        policy_ended(sim, task, ended->generation, &entry);
        if (entry.attempts > task->charged)
            task->charged = (uint8_t)entry.attempts;
    }
}

static void note_released(struct sim *sim, const struct tri_msg_released *released)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, released->lease);

    if (loan != NULL)
        hold_returns(sim, loan->watch, released->lease, released->ranges);
}

/* What a CANCEL names: it was asked for; or, when the broker has taken it, it is forbidden from now
 * on, but for what had succeeded before, and for what had not been acknowledged: it may never have
 * got there. */
static void mark_cancelled(struct watch *watch,
                           const struct tri_msg_cancel *cancel,
                           bool is_taken,
                           uint64_t now)
{
    const struct tri_range all = { 0, watch->plan->count };
    struct tri_ranges ranges = cancel->tasks.count != 0 ? cancel->tasks : tri_ranges_of(&all, 1);

    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);
        uint64_t end = is_taken ? watch->told : watch->arrived;

        if (cancel->tasks.count == 0)
            end = watch->plan->count;
        for (uint64_t j = range.first; j - range.first < range.count && j < end; j++) {
            struct task *task = &watch->tasks[j];

            task->asked = true;
            if (is_taken && !task->forbidden && !task->reported)
                task->over_since = now;
            if (is_taken)
                task->forbidden = !task->reported;
        }
    }
}

static void note_cancel(struct sim *sim, const struct tri_msg_cancel *cancel, bool is_taken)
{
    struct watch *watch = watch_find(sim, cancel->number);

    if (watch == NULL)
        return;
    watch->stopped = watch->stopped || cancel->tasks.count == 0;
    mark_cancelled(watch, cancel, is_taken, sim->now);
}

/* What was dead when it was cancelled was not: it may succeed after all. That it was dead its row
 * says, or, while nobody has seen that, the report of its failure. */
static void note_retry(struct sim *sim, const struct tri_msg_retry *retry)
{
    struct watch *watch = watch_find(sim, retry->number);

    for (uint64_t i = 0; watch != NULL && i < watch->plan->count; i++) {
        struct task *task = &watch->tasks[i];

        if (task->standing == STANDING_DEAD
            || (task->standing == STANDING_OPEN && task->charged != 0))
            task->forbidden = task->for_good = false;
    }
}

void checker_broker_gets(struct sim *sim,
                         const struct peer_id *peer,
                         const struct tri_message *message,
                         struct tri_frame *const *frames,
                         size_t count)
{
    struct tri_ranges runs = runs_of(message, frames, count);

    sim->checker->has_refused = false;
    count_gets(sim, peer, message, frames, count);
    policy_gets(sim, peer, message);
    window_gets(sim, peer, message);
    vanish_gets(sim, peer, message);
    promise_gets(sim, peer, message, runs);
    hold_gets(sim, peer, message);
    reserve_gets(sim, message, runs);
    if (message->type == TRI_MESSAGE_RESULTS || message->type == TRI_MESSAGE_PARTIAL)
        note_success(sim, &message->results, runs);
    else if (message->type == TRI_MESSAGE_ENDED)
        note_ended(sim, &message->ended);
    else if (message->type == TRI_MESSAGE_RELEASED)
        note_released(sim, &message->released);
    else if (message->type == TRI_MESSAGE_CANCEL)
        note_cancel(sim, &message->cancel, false);
    else if (message->type == TRI_MESSAGE_RETRY)
        retry_gets(sim, &message->retry);
}

void checker_broker_got(struct sim *sim,
                        const struct peer_id *peer,
                        const struct tri_message *message)
{
    hold_got(sim, peer, message);
    retry_got(sim);
    if (message->type == TRI_MESSAGE_CANCEL && !sim->checker->has_refused)
        note_cancel(sim, &message->cancel, true);
    else if (message->type == TRI_MESSAGE_RETRY && !sim->checker->has_refused)
        note_retry(sim, &message->retry);
}

/* ---- what the broker says ------------------------------------------------------------------- */

/* Attempts that may have been charged: those that were reported to have failed, but for those of
 * which it had died when it was retried, and those of tasks that stood alone on a worker which
 * vanished. */
static uint64_t charges(const struct sim *sim, struct task *task, uint64_t generation)
{
    bool is_void = task->charged_generation != generation && task->standing == STANDING_DEAD
                   && task->charged_generation <= task->generation;

    return vanish_count(sim, task) + (is_void ? 0u : task->charged);
}

/* A task that has ended while others of the lease were fetched. */
static void owe(struct sim *sim,
                const struct watch *watch,
                const struct tri_msg_lease *lease,
                uint64_t index)
{
    if (index == lease->first || index == lease->first + lease->count - 1)
        sim_fail(sim, "LEASE of task %s/%llu, which has ended", watch->plan->name,
                 (unsigned long long)index);
    sim->checker->owed_lease = lease->lease;
    tri_rangeset_add(&sim->checker->owed, index, 1);
}

static void pay(struct sim *sim, const struct tri_message *message)
{
    struct checker *self = sim->checker;
    const struct tri_msg_cancel_lease *cancel = &message->cancel_lease;

    if (tri_rangeset_is_empty(&self->owed))
        return;
    if (message->type != TRI_MESSAGE_CANCEL_LEASE || cancel->lease != self->owed_lease)
        sim_fail(sim, "lease %llu holds %llu tasks that have ended, and they are not taken back",
                 (unsigned long long)self->owed_lease,
                 (unsigned long long)tri_rangeset_count(&self->owed));
    for (size_t i = 0; i < cancel->ranges.count; i++) {
        struct tri_range range = tri_ranges_at(cancel->ranges, i);

        tri_rangeset_remove(&self->owed, range.first, range.count);
    }
}

static void check_lease(struct sim *sim,
                        const struct peer_id *peer,
                        const struct tri_msg_lease *lease)
{
    struct watch *watch = watch_find(sim, lease->number);

    if (watch == NULL)
        sim_fail(sim, "LEASE of batch %llu before it was accepted",
                 (unsigned long long)lease->number);
    promise_lends(sim, watch, lease);
    policy_lends(sim, peer, watch, lease);
    for (uint64_t i = lease->first; i < lease->first + lease->count; i++) {
        struct task *task = watch_task(sim, watch, i);

        if (task->secured
            || (task->standing != STANDING_OPEN && lease->generation <= task->generation))
            owe(sim, watch, lease, i);
        if (lease->attempt > 1 + charges(sim, task, lease->generation))
            sim_fail(sim, "task %s/%llu is leased for attempt %llu, reported failed were %u",
                     watch->plan->name, (unsigned long long)i, (unsigned long long)lease->attempt,
                     task->charged);
        hold_lends(sim, peer, lease, task);
        retry_ends(sim, task, lease->generation - 1, false);
        if ((lease->flags & TRI_LEASE_ISOLATED) != 0 && lease->count == 1)
            vanish_lends(sim, peer, task);
    }
}

void checker_broker_sends(struct sim *sim,
                          const struct peer_id *peer,
                          struct tri_frame *const *frames,
                          size_t count,
                          uint64_t decided_at)
{
    struct tri_message message;
    struct tri_error error;

    sim->checker->decided_at = decided_at;

    if (tri_message_decode(frames[0]->bytes, &message, &error) != TRI_OK)
        sim_fail(sim, "the broker sends what cannot be decoded: %s", error.text);
    pay(sim, &message);
    count_sends(sim, peer, &message);
    promise_sends(sim, peer, &message);
    hold_sends(sim, peer, &message);
    policy_sends(sim, peer, &message);
    window_sends(sim, peer, &message, count > 1 ? frames[1]->bytes.size : 0);
    if (message.type == TRI_MESSAGE_END && window_has_left(sim, peer, message.end.number))
        return;
    if (message.type == TRI_MESSAGE_ROW || message.type == TRI_MESSAGE_END)
        row_sends(sim, &message, frames, count);
    else if (message.type == TRI_MESSAGE_NO_SESSION)
        sim->checker->has_refused = true;
    else if (message.type == TRI_MESSAGE_LEASE)
        check_lease(sim, peer, &message.lease);
}

/* ---- who runs what -------------------------------------------------------------------------- */

void checker_task_begins(struct sim *sim,
                         const struct worker *worker,
                         const struct plan_batch *batch,
                         uint64_t generation,
                         uint64_t index,
                         uint64_t attempt,
                         struct tri_bytes argument)
{
    struct tri_buffer value = { 0 };

    hold_begins(sim, worker, watch_of(sim, batch), generation, index);
    plan_value(batch, index, &value);
    if (value.size != argument.size || memcmp(value.data, argument.data, value.size) != 0)
        sim_fail(sim, "task %s/%llu (generation %llu, attempt %llu) got another argument",
                 batch->name, (unsigned long long)index, (unsigned long long)generation,
                 (unsigned long long)attempt);
    tri_buffer_deinit(&value);
}

void checker_blames(struct sim *sim,
                    const struct plan_batch *batch,
                    uint64_t generation,
                    uint64_t index)
{
    struct task *task = watch_task(sim, watch_of(sim, batch), index);

    (void)generation;
    task->blamed++;
}

void checker_spoils(struct sim *sim, uint64_t number, uint64_t first, uint64_t count)
{
    struct watch *watch = watch_find(sim, number);

    for (uint64_t i = first; watch != NULL && i < first + count; i++)
        watch_task(sim, watch, i)->spoiled = true;
}

/* ---- life ----------------------------------------------------------------------------------- */

void checker_follow(struct sim *sim, const struct plan_batch *batch)
{
    struct watch *watch = watch_of(sim, batch);

    watch->plan = batch;
    watch->tasks = tri_alloc(batch->count + 1, sizeof(*watch->tasks));
    watch->generation = 1;
    watch->window_bytes = batch->detached ? 0 : batch->window_bytes;
    watch->hash = XXH3_createState();
    tri_assert(watch->hash != NULL);
    XXH3_128bits_reset(watch->hash);
}

void checker_begin(struct sim *sim)
{
    struct checker *self = tri_alloc(1, sizeof(*self));

    sim->checker = self;
    for (uint64_t i = 0; i < sim->plan->batch_count; i++)
        checker_follow(sim, &sim->plan->batches[i]);
    tri_map_init(&self->numbers);
    promise_begin(self);
    tri_dlist_init(&self->readers);
    credit_begin(self);
}

void checker_end(struct sim *sim)
{
    struct checker *self = sim->checker;

    for (uint64_t i = 0; i < sim->plan->batch_count; i++) {
        free(self->watches[i].tasks);
        free(self->watches[i].rows);
        XXH3_freeState(self->watches[i].hash);
    }
    readers_end(self);
    credit_end(self);
    tri_map_deinit(&self->numbers);
    tri_rangeset_deinit(&self->owed);
    promise_end(self);
    vanish_end(self);
    free(self);
    sim->checker = NULL;
}

static void check_read(struct sim *sim, const struct watch *watch)
{
    for (uint64_t i = 0; i < watch->plan->count; i++) {
        const struct task *task = &watch->tasks[i];
        bool is_folded = task->standing == STANDING_DONE && watch->plan->reducer != NULL;

        if (task->standing != STANDING_OPEN && !is_folded && !task->read
            && !watch->rows[task->row].spoiled)
            sim_fail(sim, "the result of task %s/%llu was given to nobody", watch->plan->name,
                     (unsigned long long)i);
    }
}

void checker_finish(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->batch_count; i++)
        if (sim->checker->watches[i].number != 0)
            check_read(sim, &sim->checker->watches[i]);
}
