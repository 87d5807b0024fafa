/* retry.c - dead tasks run again because somebody asked: a new generation. */
#include "broker/engine/state.h"

#include "common/planted.h"

static void dead_in(const struct batch *batch, struct tri_range range, struct tri_rangeset *out)
{
    uint64_t end = range.first + range.count;
    struct tri_range dead;

    for (uint64_t at = range.first; tri_rangeset_next(&batch->dead, at, &dead);) {
        if (dead.first >= end)
            break;
        if (dead.count > end - dead.first)
            dead.count = end - dead.first;
        tri_rangeset_add(out, dead.first, dead.count);
        at = dead.first + dead.count;
    }
}

static void select_dead(const struct batch *batch,
                        struct tri_ranges tasks,
                        struct tri_rangeset *out)
{
    if (tasks.count == 0)
        tri_rangeset_copy(out, &batch->dead);
    for (size_t i = 0; i < tasks.count; i++)
        dead_in(batch, tri_ranges_at(tasks, i), out);
}

/* An ended batch is under way again. Why it was sealed holds, why it was stopped does not. */
static void reopen(struct engine *engine, struct batch *batch)
{
    batch->generation++;
    batch->oldest = 0;
    if (batch->halting || batch->cancelling)
        batch_clear_reason(batch);
    batch->halting = batch->cancelling = false;
    if (!batch_has_ended(batch))
        return;
    batch_set_state(batch, TRI_BATCH_RUNNING);
    tri_dlist_remove(&engine->ended_batches, &batch->ended);
    tri_dlist_foreach(&batch->attachments, node)
    {
        struct post *post = tri_container_of(node, struct post, of_batch);

        post->end_sent = post->is_full = false;
    }
}

static void run_again(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct grade fresh = { 0 };

    reopen(engine, batch);
    tri_rangeset_subtract(&batch->dead, tasks);
    batch->forgiven = tri_rangeset_count(&batch->dead);
    tri_rangeset_subtract(&batch->settled, tasks);
    tri_rangeset_subtract(&batch->folded_settled, tasks);
    if (batch->stock != NULL)
        stock_revive(engine, batch, tasks);
    if (!PLANTED(RETRIED_SHOWN))
        row_retry(engine, batch, tasks);
    entry_forget(engine, batch, tasks);
    batch->suspects_changed = batch->suspects.size != 0; /* not what these were before */
    batch_add_pending(engine, batch, &fresh, tasks);
    batch_put(engine, batch);
    out_trace(&engine->out, "batch.retried batch=%llu generation=%llu tasks=%llu",
              (unsigned long long)batch->number, (unsigned long long)batch->generation,
              (unsigned long long)tri_rangeset_count(tasks));
}

void on_retry(struct engine *engine, struct session *session, const struct tri_msg_retry *retry)
{
    struct batch *batch = batch_find(engine, session, retry->number, retry->request);
    struct tri_rangeset tasks = { 0 };

    if (batch == NULL || !batch_has_tasks(engine, session, batch, retry->tasks, retry->request))
        return;
    if ((batch->halting || batch->cancelling) && !batch_has_ended(batch)) {
        out_error(engine, session, retry->request, TRI_CONFLICT, "the batch is being stopped");
        return;
    }
    select_dead(batch, retry->tasks, &tasks);
    if (batch->stock != NULL && !stock_has(batch->stock, &tasks)) {
        out_error(engine, session, retry->request, TRI_NOTFOUND,
                  "the arguments of some of these tasks are not kept any more");
    } else {
        if (!tri_rangeset_is_empty(&tasks))
            run_again(engine, batch, &tasks);
        out_done(engine, session, retry->request, tri_rangeset_count(&tasks));
    }
    tri_rangeset_deinit(&tasks);
}
