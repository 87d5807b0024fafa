/* What a batch asks for: who may run it, how long a failure makes it wait, when it halts, and that
 * its arguments are waited for. */
#include "tests/sim/checker_parts.h"

#include "common/backoff.h"
#include "tests/sim/broker.h"
#include "tests/sim/net.h"
#include "tests/sim/worker.h"

#include <stdlib.h>

/* ---- backoff -------------------------------------------------------------------------------- */

static bool is_failure(const struct tri_rec_entry *entry)
{
    return (entry->flags & TRI_ENTRY_UNCHARGED) == 0
           && (entry->outcome == TRI_OUTCOME_FAILED || entry->outcome == TRI_OUTCOME_TIMEOUT
               || entry->outcome == TRI_OUTCOME_TOO_LARGE);
}

/* What is said once more had been heard before, for all that is known. */
void policy_ended(const struct sim *sim,
                  struct task *task,
                  uint64_t generation,
                  const struct tri_rec_entry *entry)
{
    if (!is_failure(entry)
        || (task->failed_generation == generation && task->failed_attempt == entry->attempts))
        return;
    task->failed_generation = (uint8_t)generation;
    task->failed_attempt = (uint8_t)entry->attempts;
    task->failed_at = sim->now;
}

/* Failures among so many attempts, when nothing but the plan made them end. */
static uint64_t failures_of(const struct plan_batch *batch,
                            const struct task *task,
                            uint64_t generation,
                            uint64_t index,
                            uint64_t attempts)
{
    uint64_t failures = 0;

    if (task->blamed != 0 || task->vanished != 0)
        return 1;
    for (uint64_t i = 1; i <= attempts; i++) {
        uint64_t outcome = plan_outcome(batch, generation, index, i);

        failures += outcome != TRI_OUTCOME_OK && outcome != TRI_OUTCOME_CRASHED;
    }
    return failures != 0 ? failures : 1;
}

/* By the broker's clock, which is not the best and counts whole milliseconds. */
static void check_backoff(const struct sim *sim,
                          const struct watch *watch,
                          const struct tri_msg_lease *lease,
                          uint64_t index)
{
    const struct engine_limits *limits = &sim->plan->options.limits;
    const struct tri_backoff backoff = { limits->backoff_ms_min, limits->backoff_ms_max };
    const struct task *task = &watch->tasks[index];
    uint64_t failures =
        failures_of(watch->plan, task, lease->generation, index, task->failed_attempt);
    uint64_t us = (tri_backoff_min_ms(&backoff, failures) - 1) * SIM_MS;
    uint64_t waited = sim->checker->decided_at - task->failed_at;

    us -= us * 2 * BROKER_DRIFT_PPM_MAX / SIM_ALWAYS;
    if (sim->checker->decided_at < task->failed_at || waited < us)
        sim_fail(sim, "task %s/%llu is leased again %.3f s after failure %llu of it, not %.3f s",
                 watch->plan->name, (unsigned long long)index, (double)waited / 1e6,
                 (unsigned long long)failures, (double)us / 1e6);
}

/* ---- whom it goes to ------------------------------------------------------------------------ */

/* Its worker has what the batch wants. Instances are named so in worker.c. */
static bool fits(const struct sim *sim, const struct mate *mate, const struct plan_batch *batch)
{
    const struct plan_worker *worker = &sim->plan->workers[mate->instance[1] - '0'];

    return (batch->label == NULL || worker->has_label)
           && (strcmp(batch->handler, "rare") != 0 || worker->has_rare);
}

void policy_lends(const struct sim *sim,
                  const struct peer_id *peer,
                  const struct watch *watch,
                  const struct tri_msg_lease *lease)
{
    const struct mate *mate = vanish_mate(sim, peer);

    if (mate != NULL && !fits(sim, mate, watch->plan))
        sim_fail(sim, "lease %llu of %s goes to %.16s, which has not what it wants",
                 (unsigned long long)lease->lease, watch->plan->name, (const char *)mate->instance);
    for (uint64_t i = lease->first; i < lease->first + lease->count; i++) {
        const struct task *task = &watch->tasks[i];

        if (task->failed_generation == lease->generation
            && task->failed_attempt + 1u == lease->attempt)
            check_backoff(sim, watch, lease, i);
    }
}

/* ---- halting -------------------------------------------------------------------------------- */

static bool should_halt(const struct plan_batch *batch, uint64_t dead, uint64_t count)
{
    if (batch->halt == TRI_HALT_NEVER || dead == 0)
        return false;
    return (batch->halt_fail_count != 0 && dead >= batch->halt_fail_count)
           || (batch->halt_fail_percent != 0 && dead * 100 >= batch->halt_fail_percent * count);
}

/* ---- waiting for arguments ------------------------------------------------------------------ */

static void note_away(const struct sim *sim, struct watch *watch)
{
    uint64_t grace_us = sim->plan->options.limits.open_grace_ms * SIM_MS;

    if (sim->now - watch->fed_at >= grace_us - grace_us / 50)
        watch->was_away = true;
}

/* Clients are named by a letter and their number. */
static bool is_client(const struct sim *sim, const struct peer_id *peer, uint64_t *number)
{
    const char *name = net_name(sim, peer);

    *number = strtoull(name + 1, NULL, 10);
    return name[0] == 'c';
}

/* Another life of a client adds nothing to what an earlier one has begun. */
void policy_gets(const struct sim *sim,
                 const struct peer_id *peer,
                 const struct tri_message *message)
{
    bool arrives = message->type == TRI_MESSAGE_HELLO && message->hello.role == TRI_ROLE_CLIENT;
    uint64_t client;

    if (!is_client(sim, peer, &client))
        return;
    for (uint64_t i = 0; i < sim->plan->batch_count; i++) {
        struct watch *watch = &sim->checker->watches[i];

        if (watch->plan->client != client)
            continue;
        if (watch->is_fed)
            note_away(sim, watch);
        if (arrives && watch->is_fed
            && memcmp(watch->fed_by, message->hello.instance.data, sizeof(watch->fed_by)) != 0)
            watch->was_away = true;
        if (arrives)
            memcpy(watch->fed_by, message->hello.instance.data, sizeof(watch->fed_by));
        watch->fed_before = watch->fed_at;
        watch->fed_at = sim->now;
        if (message->type == TRI_MESSAGE_SUBMIT
            && plan_find(sim->plan, message->submit.batch) == watch->plan)
            watch->is_fed = true;
    }
}

/* What came on a connection that the broker knows nothing of was no sign of life. */
void policy_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    uint64_t client;

    if (message->type != TRI_MESSAGE_NO_SESSION || !is_client(sim, peer, &client))
        return;
    for (uint64_t i = 0; i < sim->plan->batch_count; i++) {
        struct watch *watch = &sim->checker->watches[i];

        if (watch->plan->client == client)
            watch->fed_at = watch->fed_before;
    }
}

void policy_ends(const struct sim *sim,
                 struct watch *watch,
                 const struct tri_msg_end *end,
                 uint64_t dead)
{
    if (watch->retries == 0 && end->state == TRI_BATCH_DONE
        && should_halt(watch->plan, dead, end->count))
        sim_fail(sim, "%llu of %llu tasks of %s failed, and it did not halt",
                 (unsigned long long)dead, (unsigned long long)end->count, watch->plan->name);
    note_away(sim, watch);
    if (end->count < watch->plan->count && !watch->stopped && !watch->shared && !watch->was_away
        && !row_may_halt(sim, watch->plan))
        sim_fail(sim, "%s ends with %llu of %llu tasks, and its client was there",
                 watch->plan->name, (unsigned long long)end->count,
                 (unsigned long long)watch->plan->count);
}
