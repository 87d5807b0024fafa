/* crash.c - a worker vanished: which of its tasks may have done that?
 *
 * Once is chance: nobody is charged, everything runs again. What was in flight on two vanished
 * workers is leased in halves, never more than one such lease to a worker, so that with every
 * vanishing half of the suspects are cleared by finishing elsewhere. The one that is left alone is
 * run isolated, and is charged a crash when its worker vanishes again: if that had it. A lease that
 * was sent to a worker which was gone already says nothing; but a task that is quick to take its
 * machine down is never heard of either, so that this is believed only a few times. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

#define VANISHED_UNHEARD_MAX 5

/* What may have been running: what the last heartbeat said. If it said nothing of this lease, all
 * of it, unless others of that worker had begun and this one only waited behind them. */
static void find_suspects(const struct lease *lease,
                          const struct last_words *words,
                          struct tri_rangeset *suspects)
{
    if (lease->loading)
        return; /* it was never sent */
    if (!tri_rangeset_is_empty(&lease->started))
        tri_rangeset_copy(suspects, &lease->started);
    else if (!lease->received || !words->has_begun)
        tri_rangeset_copy(suspects, &lease->undone);
}

static struct grade suspicion(const struct grade *grade, uint64_t suspects)
{
    struct grade after = *grade;
    uint64_t half = (suspects + 1) / 2;

    after.vanished++;
    if (grade_is_suspect(&after))
        after.cap = grade->cap != 0 && grade->cap < half ? (grade->cap + 1) / 2 : half;
    return after;
}

/* Alone on a worker of its own, and the worker vanished: a crash like any other. */
static void convict(struct engine *engine, struct lease *lease)
{
    struct batch *batch = lease->batch;
    struct tri_rec_entry entry = { .outcome = TRI_OUTCOME_CRASHED,
                                   .attempts = grade_attempt(&lease->grade) };
    struct grade after = { lease->grade.failures, lease->grade.crashes + 1, 0, 0 };
    struct tri_rangeset task = { 0 };
    bool dead = after.crashes >= batch->crash_limit;

    tri_rangeset_first(&lease->undone, &entry.index);
    entry.error = tri_bytes_of("its worker vanished while it ran alone");
    entry.worker = tri_bytes_of(lease->berth->worker->session->name);
    entry_note(engine, batch, &entry, &after, 0, dead);
    tri_rangeset_add(&task, entry.index, 1);
    lease_take(engine, lease, (struct tri_range){ entry.index, 1 });
    if (dead)
        bury_tasks(engine, lease, &task, &entry);
    else
        batch_add_pending(engine, batch, &after, &task);
    tri_rangeset_deinit(&task);
}

/* A worker that had another suspect, too, says nothing: that one waited for CREDIT when this one
 * was leased, and may have gone on since. Nor does one that came back after a restart with a lease
 * of several tasks, which have become suspects elsewhere. */
static bool stands_alone(const struct lease *lease, const struct last_words *words)
{
    return grade_is_suspect(&lease->grade) && lease->grade.cap == 1
           && tri_rangeset_count(&lease->undone) == 1
           && ((lease->received && words->suspects == 1)
               || lease->grade.vanished >= VANISHED_UNHEARD_MAX);
}

void lease_vanish(struct engine *engine, struct lease *self, const struct last_words *words)
{
    struct tri_rangeset suspects = { 0 };
    struct tri_range range;

    find_suspects(self, words, &suspects);
    if (!tri_rangeset_is_empty(&suspects))
        out_trace(&engine->out, "lease.vanished lease=%llu tasks=%llu",
                  (unsigned long long)self->number,
                  (unsigned long long)tri_rangeset_count(&suspects));
    if ((stands_alone(self, words) || PLANTED(VANISHED_CHARGED))
        && !tri_rangeset_is_empty(&suspects)) {
        convict(engine, self);
    } else {
        struct grade after = suspicion(&self->grade, tri_rangeset_count(&suspects));

        for (uint64_t at = 0; tri_rangeset_next(&suspects, at, &range);) {
            lease_give_back(engine, self, range, &after);
            at = range.first + range.count;
        }
    }
    tri_rangeset_deinit(&suspects);
    lease_drop(engine, self);
}
