/* halt.c - a batch that stops early because too much of it fails, or nobody can run it. */
#include "broker/engine/state.h"

#include <stdio.h>

/* Percentages of an open batch say little before it has so many tasks. */
#define OPEN_COUNT_MIN 100

/* Ask back what has not been started; what runs may end. What has not been sent yet stays here. */
static void revoke_all(struct engine *engine, struct batch *batch)
{
    tri_dlist_foreach(&batch->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            struct lease *lease = tri_container_of(lease_node, struct lease, node);

            if (lease->loading)
                lease_drop(engine, lease);
            else
                lease_revoke(engine, lease, (struct tri_range){ lease->first, lease->count });
        }
    }
}

void halt_batch(struct engine *engine, struct batch *batch, enum tri_halt how, const char *reason)
{
    if (batch->halting || batch->cancelling || batch_has_ended(batch))
        return;
    batch->halting = true;
    batch_set_reason(batch, "%s", reason);
    out_trace(&engine->out, "batch.halted batch=%llu", (unsigned long long)batch->number);
    batch_seal(engine, batch, NULL);
    cancel_rest(engine, batch, how == TRI_HALT_NOW);
    if (how == TRI_HALT_SOON)
        revoke_all(engine, batch);
    batch_put(engine, batch);
    batch_touch(engine, batch);
}

void halt_again(struct engine *engine, struct batch *batch)
{
    cancel_rest(engine, batch, false);
    revoke_all(engine, batch);
}

void halt_if_due(struct engine *engine, struct batch *batch)
{
    uint64_t dead = tri_rangeset_count(&batch->dead) - batch->forgiven;
    char reason[160];

    if (batch->halt == TRI_HALT_NEVER || dead == 0)
        return;
    if (batch->halt_fail_count != 0 && dead >= batch->halt_fail_count) {
        snprintf(reason, sizeof(reason), "halted: %llu task%s failed", (unsigned long long)dead,
                 tri_plural(dead));
        halt_batch(engine, batch, batch->halt, reason);
    } else if (batch->halt_fail_percent != 0 && (batch->sealed || batch->count >= OPEN_COUNT_MIN)
               && (double)dead * 100 >= (double)batch->halt_fail_percent * (double)batch->count) {
        snprintf(reason, sizeof(reason), "halted: %llu of %llu task%s failed",
                 (unsigned long long)dead, (unsigned long long)batch->count,
                 tri_plural(batch->count));
        halt_batch(engine, batch, batch->halt, reason);
    }
}

/* ---- refused -------------------------------------------------------------------------------- */

static bool is_refused_by_all(const struct batch *batch)
{
    return batch->refusals != 0 && batch->refusals >= batch->class->links.count
           && batch->leased == 0 && !batch_has_ended(batch) && !batch->halting
           && !batch->cancelling;
}

static void halt_refused(struct engine *engine, struct batch *batch)
{
    char reason[640];
    const char *why = "";

    tri_dlist_foreach(&batch->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_batch);

        if (berth->reason != NULL)
            why = berth->reason;
    }
    snprintf(reason, sizeof(reason), "every worker refused it: %.400s", why);
    halt_batch(engine, batch, TRI_HALT_NOW, reason);
}

/* Whoever ran it may only be restarting. */
static bool has_grace(const struct engine *engine, const struct batch *batch)
{
    return (batch->deserted || batch->workers != 0)
           && engine->now - batch->forsaken_at < engine->options.limits.refusal_grace_ms;
}

void halt_if_refused(struct engine *engine, struct batch *batch)
{
    bool is_forsaken = tri_dlist_is_linked(&batch->forsaken);

    if (!is_refused_by_all(batch)) {
        if (is_forsaken)
            tri_dlist_remove(&engine->forsaken_batches, &batch->forsaken);
        return;
    }
    if (!is_forsaken) {
        batch->forsaken_at = engine->now;
        tri_dlist_push_back(&engine->forsaken_batches, &batch->forsaken);
    }
    if (has_grace(engine, batch))
        return;
    tri_dlist_remove(&engine->forsaken_batches, &batch->forsaken);
    halt_refused(engine, batch);
}

void batch_expire_forsaken(struct engine *engine)
{
    tri_dlist_foreach(&engine->forsaken_batches, node)
    {
        struct batch *batch = tri_container_of(node, struct batch, forsaken);

        if (has_grace(engine, batch))
            break;
        batch_touch(engine, batch);
    }
}
