/* load.c - payloads that have to be fetched before they can be sent. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

static bool same_key(const struct store_key *a, const struct store_key *b)
{
    return a->table == b->table && a->batch == b->batch && a->key == b->key;
}

bool engine_payload_is_resident(const struct engine *self, struct store_key key)
{
    if (!self->options.payloads_stored)
        return true;
    if (self->event->type == EVENT_LOADED && same_key(&self->event->key, &key))
        return true;
    return out_has_put(&self->out, &key);
}

/* ---- leases --------------------------------------------------------------------------------- */

static struct store_key chunk_key(const struct lease *lease)
{
    const struct chunk *chunk = stock_find(lease->batch->stock, lease->first);

    return (struct store_key){ STORE_CHUNK, lease->batch->number, chunk->first };
}

bool load_lease(struct engine *engine, struct lease *lease)
{
    struct store_key key;

    if (lease->batch->stock == NULL || !engine->options.payloads_stored)
        return false;
    key = chunk_key(lease);
    if (engine_payload_is_resident(engine, key))
        return false;
    out_get(&engine->out, key);
    return true;
}

typedef void lease_fn(struct engine *engine, struct lease *lease);

/* Visit the leases that wait for the chunk. */
static void each_waiting(struct engine *engine,
                         struct batch *batch,
                         const struct store_key *key,
                         lease_fn *visit)
{
    tri_dlist_foreach(&batch->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_batch);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            struct lease *lease = tri_container_of(lease_node, struct lease, node);
            struct store_key wanted;

            if (!lease->loading)
                continue;
            wanted = chunk_key(lease);
            if (same_key(&wanted, key))
                visit(engine, lease);
        }
    }
}

static void note_unreadable(struct engine *engine,
                            const struct lease *lease,
                            struct tri_range range,
                            struct tri_rec_entry *entry)
{
    for (uint64_t i = 0; i < range.count; i++) {
        entry->index = range.first + i;
        entry_note(engine, lease->batch, entry, &lease->grade, 0, true);
    }
}

/* An argument that cannot be read: its tasks cannot run, now or later. */
static void fail_lease(struct engine *engine, struct lease *lease)
{
    struct tri_rec_entry entry = { .outcome = TRI_OUTCOME_FAILED,
                                   .attempts = grade_attempt(&lease->grade) };
    struct tri_rangeset tasks = { 0 };
    struct tri_range range;

    entry.error = tri_bytes_of("its argument cannot be read from the store");
    while (tri_rangeset_next(&lease->undone, 0, &range)) {
        lease_take(engine, lease, range);
        note_unreadable(engine, lease, range, &entry);
        tri_rangeset_add(&tasks, range.first, range.count);
    }
    bury_tasks(engine, lease, &tasks, &entry);
    tri_rangeset_deinit(&tasks);
    lease_settle(engine, &lease);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* `skip`: it cannot be read. That is no loss to who did not wait for it any more: its owner may
 * have acknowledged it meanwhile, or somebody retried it. */
static void pump_waiting(struct engine *engine, struct batch *batch, uint64_t row, bool skip)
{
    struct row *kept = row_find(batch, row);
    bool is_lost = skip && kept != NULL && !kept->retried && !PLANTED(LOSS_UNTOLD);

    if (skip && kept != NULL)
        row_lose(engine, batch, kept);
    tri_dlist_foreach(&batch->attachments, node)
    {
        struct post *post = tri_container_of(node, struct post, of_batch);

        if (!post->loading || post->next != row)
            continue;
        post->loading = false;
        post->next += skip;
        if (is_lost)
            out_error(engine, post->session, post->request, TRI_STORE,
                      "row %llu of batch %llu cannot be read from the store",
                      (unsigned long long)row, (unsigned long long)batch->number);
        post_pump(engine, post);
    }
}

/* ---- events --------------------------------------------------------------------------------- */

void on_loaded(struct engine *engine, const struct event *event)
{
    struct batch *batch = tri_map_find(&engine->batches, event->key.batch);

    if (batch == NULL)
        return;
    if (event->key.table == STORE_CHUNK) {
        each_waiting(engine, batch, &event->key, lease_loaded);
        question_loaded(engine, batch, event);
    } else if (event->key.table == STORE_TASK) {
        question_loaded(engine, batch, event);
    } else if (event->key.table == STORE_ROW) {
        pump_waiting(engine, batch, event->key.key, false);
    }
}

void on_load_failed(struct engine *engine, const struct event *event)
{
    struct batch *batch = tri_map_find(&engine->batches, event->key.batch);

    if (batch == NULL)
        return;
    if (event->key.table != STORE_TASK || event->status != TRI_NOTFOUND) /* retried meanwhile */
        out_trace(&engine->out, "store.unreadable batch=%llu key=%llu",
                  (unsigned long long)event->key.batch, (unsigned long long)event->key.key);
    if (event->key.table == STORE_CHUNK) {
        question_loaded(engine, batch, event);
        each_waiting(engine, batch, &event->key, fail_lease);
    } else if (event->key.table == STORE_TASK) {
        question_loaded(engine, batch, event);
    } else if (event->key.table == STORE_ROW) {
        pump_waiting(engine, batch, event->key.key, true);
    }
}
