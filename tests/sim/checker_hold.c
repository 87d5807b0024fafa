/* Who has which task. What a worker named in its last heartbeat, less than a lease's time ago, is
 * its own until it says otherwise: the broker gives it to nobody else, whatever clocks do, and
 * charges nothing but what is said of the newest lease of a task. And whoever has not been heard
 * for a lease's time begins nothing more; by its own clock, from when it sent what was answered
 * last, and what it is on it stops. */
#include "tests/sim/checker_parts.h"

#include "common/proto/chunk.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#define SLACK_US (100 * SIM_MS) /* from a worker's session to its hosts */
#define VOW_SLACK_MS 40u        /* the same, when nothing else is uncertain */

/* A lease's time by any of the clocks, which are not the best. */
static uint64_t lease_us(const struct sim *sim)
{
    return sim->plan->options.limits.lease_ms * SIM_MS;
}

/* ---- what workers say ----------------------------------------------------------------------- */

static void take_heartbeat(struct sim *sim,
                           struct mate *mate,
                           const struct tri_msg_heartbeat *heartbeat)
{
    struct tri_list leases = heartbeat->leases;
    struct tri_rec_renew renewal;

    mate->renewed = sim->now;
    tri_map_clear(&mate->names);
    while (tri_list_next(&leases, TRI_RECORD_RENEW, &renewal))
        if (tri_map_find(&mate->lost, renewal.lease) == NULL)
            tri_map_put(&mate->names, renewal.lease, sim);
}

/* On a new connection, or for a batch that it refuses, nothing is certain until the next one. */
void hold_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    struct mate *mate = vanish_mate(sim, peer);

    if (mate != NULL && message->type == TRI_MESSAGE_HELLO)
        reclaim_gets(sim, mate, &message->hello);
    if (mate != NULL
        && (message->type == TRI_MESSAGE_HELLO || message->type == TRI_MESSAGE_BYE
            || (message->type == TRI_MESSAGE_OARS && message->oars.status != TRI_OK)))
        tri_map_clear(&mate->names);
}

/* A lease of an earlier life may be its worker's again, if nobody else has got its tasks by now. */
static void take_claims(struct sim *sim, const struct tri_msg_hello *hello)
{
    struct tri_list leases = hello->held;
    struct tri_rec_held held;

    while (tri_list_next(&leases, TRI_RECORD_HELD, &held)) {
        const struct loan *loan = tri_map_find(&sim->checker->lent, held.lease);

        if (loan == NULL || loan->life == sim->checker->life)
            continue;
        for (size_t i = 0; i < held.ranges.count; i++) {
            struct tri_range range = tri_ranges_at(held.ranges, i);

            for (uint64_t j = 0; j < range.count; j++)
                if (range.first + j < loan->watch->plan->count)
                    loan->watch->tasks[range.first + j].claimed = held.lease;
        }
    }
}

void hold_got(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    struct mate *mate = vanish_mate(sim, peer);

    if (mate == NULL || sim->checker->has_refused)
        return;
    if (message->type == TRI_MESSAGE_HEARTBEAT)
        take_heartbeat(sim, mate, &message->heartbeat);
    else if (message->type == TRI_MESSAGE_HELLO) {
        mate->renewed = sim->now;
        take_claims(sim, &message->hello);
    }
}

/* Said in answer to a heartbeat, before that is taken: lost before it was named. */
void hold_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    struct mate *mate = vanish_mate(sim, peer);
    struct tri_list lost = message->heartbeat_ok.lost;
    struct tri_rec_lease_ref reference;

    if (mate != NULL)
        reclaim_sends(sim, mate, message);
    if (mate == NULL || message->type != TRI_MESSAGE_HEARTBEAT_OK)
        return;
    tri_map_clear(&mate->lost);
    while (tri_list_next(&lost, TRI_RECORD_LEASE_REF, &reference))
        tri_map_put(&mate->lost, reference.lease, sim);
}

/* Whoever comes first with an older lease may have it again. */
void hold_forget(struct sim *sim)
{
    struct checker *self = sim->checker;

    for (size_t i = 0; i < self->mate_count; i++)
        tri_map_clear(&self->mates[i].names);
    for (size_t i = 0; i < sim->plan->batch_count; i++)
        for (uint64_t j = 0; j < sim->plan->batches[i].count; j++)
            self->watches[i].tasks[j].lease = self->watches[i].tasks[j].holder = 0;
}

void hold_returns(struct sim *sim, struct watch *watch, uint64_t lease, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        for (uint64_t j = 0; j < range.count; j++) {
            struct task *task = watch_task(sim, watch, range.first + j);

            if (task->lease == lease)
                task->returned = true;
        }
    }
}

/* ---- what the broker does ------------------------------------------------------------------- */

void hold_lends(struct sim *sim,
                const struct peer_id *peer,
                const struct tri_msg_lease *lease,
                struct task *task)
{
    struct checker *self = sim->checker;
    const struct mate *mate = vanish_mate(sim, peer);
    const struct mate *holder = task->holder != 0 ? &self->mates[task->holder - 1] : NULL;

    if (mate == NULL)
        sim_fail(sim, "a LEASE goes to who has never said HELLO");
    if (lease->lease < task->lease)
        return; /* it was decided before that one, waited for a commit, and comes to nobody */
    if (holder != NULL && !task->returned && tri_map_find(&holder->names, task->lease) != NULL
        && sim->now - holder->renewed < lease_us(sim) - lease_us(sim) / 100)
        sim_fail(sim, "lease %llu takes what %.16s has in lease %llu, and named %.3f s ago",
                 (unsigned long long)lease->lease, (const char *)holder->instance,
                 (unsigned long long)task->lease, (double)(sim->now - holder->renewed) / 1e6);
    task->lease = lease->lease;
    task->holder = (uint16_t)(mate - self->mates + 1);
    task->returned = false;
}

/* ---- what workers do ------------------------------------------------------------------------ */

/* As the broker knows it, by any clock. */
static void check_heard(struct sim *sim, const struct worker *worker)
{
    const struct tri_bytes instance = { worker->instance.bytes, sizeof(worker->instance.bytes) };
    const struct mate *mate = vanish_mate_of(sim->checker, instance);
    uint64_t until = mate->renewed + lease_us(sim) + lease_us(sim) / 20;

    if (worker->node.stopped_until > mate->renewed)
        until += worker->node.stopped_us;
    if (until < worker->node.paused_until)
        until = worker->node.paused_until;
    if (sim->now > until + SLACK_US)
        sim_fail(sim, "%s begins a task, %.3f s after the broker has taken its last heartbeat",
                 worker->node.name, (double)(sim->now - mate->renewed) / 1e6);
}

/* What has ended or was cancelled its worker is told at once, before its next heartbeat is
 * answered, or cannot hold any more. */
void hold_begins(const struct sim *sim,
                 const struct worker *worker,
                 struct watch *watch,
                 uint64_t generation,
                 uint64_t index)
{
    const struct task *task = watch_task(sim, watch, index);
    const struct vow *vow = &sim->checker->vows[worker->number];
    bool has_ended = task->standing != STANDING_OPEN && generation <= task->generation;
    uint64_t until = task->over_since + lease_us(sim) + lease_us(sim) / 20 + SLACK_US;

    if (worker->node.stopped_until > task->over_since)
        until += worker->node.stopped_us;
    if (vow->answered > task->over_since && vow->answered_at + SLACK_US < until)
        until = vow->answered_at + SLACK_US;
    if (until < worker->node.paused_until + SLACK_US)
        until = worker->node.paused_until + SLACK_US;
    if ((has_ended || task->forbidden) && sim->now > until)
        sim_fail(sim, "%s begins task %s/%llu, which was %s %.3f s ago", worker->node.name,
                 watch->plan->name, (unsigned long long)index, has_ended ? "over" : "cancelled",
                 (double)(sim->now - task->over_since) / 1e6);
}

void hold_worker_gets(struct sim *sim,
                      const struct worker *worker,
                      const struct tri_message *message)
{
    struct vow *vow = &sim->checker->vows[worker->number];
    uint64_t seq = message->heartbeat_ok.seq;
    tri_time sent_ms = 0;

    if (message->type == TRI_MESSAGE_WELCOME)
        sent_ms = vow->hello_ms;
    else if (message->type == TRI_MESSAGE_HEARTBEAT_OK && vow->seq - seq < VOWS_KEPT)
        sent_ms = vow->sent_ms[seq % VOWS_KEPT];
    if (message->type == TRI_MESSAGE_HEARTBEAT_OK && vow->seq - seq < VOWS_KEPT) {
        vow->answered = vow->sent_at[seq % VOWS_KEPT];
        vow->answered_at = sim->now;
    }
    if (vow->confirmed_ms < sent_ms)
        vow->confirmed_ms = sent_ms;
}

void hold_worker_sends(struct sim *sim,
                       const struct worker *worker,
                       const struct tri_message *message)
{
    struct vow *vow = &sim->checker->vows[worker->number];
    tri_time now_ms = sim_clock_ms(sim, &worker->node);

    if (message->type == TRI_MESSAGE_HELLO) {
        vow->hello_ms = now_ms;
    } else if (message->type == TRI_MESSAGE_HEARTBEAT) {
        vow->seq = message->heartbeat.seq;
        vow->sent_ms[vow->seq % VOWS_KEPT] = now_ms;
        vow->sent_at[vow->seq % VOWS_KEPT] = sim->now;
    }
}

void checker_host_works(struct sim *sim, const struct worker *worker)
{
    const struct vow *vow = &sim->checker->vows[worker->number];
    uint64_t now_ms = sim_clock_ms(sim, &worker->node);
    uint64_t until_ms = vow->confirmed_ms + sim->plan->options.limits.lease_ms + VOW_SLACK_MS;

    if (now_ms > until_ms && sim->now > worker->node.paused_until + VOW_SLACK_MS * SIM_MS)
        sim_fail(sim, "%s is at work %.3f s after it has sent the last heartbeat that was answered",
                 worker->node.name, (double)(now_ms - vow->confirmed_ms) / 1e3);
}

void checker_host_begins(struct sim *sim, const struct worker *worker)
{
    check_heard(sim, worker);
    checker_host_works(sim, worker);
}
