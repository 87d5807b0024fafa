#include "broker/engine/state.h"

/* Less append credit than this at a time is not worth a message. */
#define APPEND_GRANT_BYTES_MIN (UINT64_C(64) << 10)

/* A store with less room than this is full, until it has more than that. */
#define ROOM_BYTES_MIN APPEND_GRANT_BYTES_MIN
#define ROOM_BYTES_AGAIN (4 * ROOM_BYTES_MIN)

/* When to ask a full store again. */
#define NO_SPACE_RETRY_MS 1000

/* Batches that are looked at when memory comes free, and of these in one step. The others have
 * their turn when more comes free, or a heartbeat later. */
#define STARVED_ROUND_MAX 64
#define STARVED_TRIES_MAX 16

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- memory --------------------------------------------------------------------------------- */

uint64_t memory_free(const struct engine *engine)
{
    const struct memory *memory = &engine->memory;

    return minus(memory->bytes_max, memory->chunk_bytes + memory->row_bytes + memory->granted_bytes
                                        + memory->reserved_bytes);
}

void on_room(struct engine *engine, const struct event *event)
{
    struct memory *memory = &engine->memory;
    uint64_t kept = memory->chunk_bytes + memory->row_bytes;
    bool is_full = event->room_bytes < (memory->is_full ? ROOM_BYTES_AGAIN : ROOM_BYTES_MIN);

    memory->bytes_max = kept + least(event->room_bytes, UINT64_MAX - kept);
    if (is_full != memory->is_full)
        out_trace(&engine->out, "%s room=%llu", is_full ? "store.full" : "store.room",
                  (unsigned long long)event->room_bytes);
    memory->is_full = is_full;
    memory_freed(engine);
}

void memory_freed(struct engine *engine)
{
    engine->starved_left = engine->starved_batches.count < STARVED_ROUND_MAX
                               ? engine->starved_batches.count
                               : STARVED_ROUND_MAX;
    engine->starved_at = engine->now;
}

void credit_starve(struct engine *engine, struct batch *batch)
{
    if (!tri_dlist_is_linked(&batch->starved))
        tri_dlist_push_back(&engine->starved_batches, &batch->starved);
}

void memory_serve(struct engine *engine)
{
    size_t tries =
        engine->starved_left < STARVED_TRIES_MAX ? engine->starved_left : STARVED_TRIES_MAX;

    engine->starved_left -= tries;
    while (tries-- > 0 && !tri_dlist_is_empty(&engine->starved_batches)) {
        struct batch *batch =
            tri_container_of(tri_dlist_pop_front(&engine->starved_batches), struct batch, starved);

        if (!batch->sealed && batch->stock != NULL)
            credit_append(engine, batch);
        batch_gain(engine, batch);
    }
}

bool memory_is_short(const struct engine *engine, const struct batch *batch)
{
    return credit_tasks(engine, batch, memory_free(engine)) == 0;
}

tri_time memory_deadline(const struct engine *engine)
{
    return tri_dlist_is_empty(&engine->starved_batches)
               ? TRI_NEVER
               : engine->starved_at + engine->options.limits.heartbeat_ms;
}

/* ---- append credit -------------------------------------------------------------------------- */

/* Chunks and grants may take three quarters of the memory. */
uint64_t credit_append_room(const struct engine *engine)
{
    uint64_t max = engine->memory.bytes_max;

    return least(memory_free(engine),
                 minus(max - max / 4, engine->memory.chunk_bytes + engine->memory.granted_bytes));
}

/* A new batch starts with room for one item of any size, a busy one earns more. What is stored is
 * bounded by the room of the store alone, and what is on its way by the limit. */
static uint64_t append_wish(const struct engine *engine, const struct stock *stock)
{
    const struct engine_limits *limits = &engine->options.limits;
    uint64_t unused = stock->credit_bytes - stock->appended_bytes;
    uint64_t start = limits->item_bytes_max + APPEND_GRANT_BYTES_MIN;
    uint64_t target = stock->appended_bytes * 2 > start ? stock->appended_bytes * 2 : start;
    uint64_t queued = engine->options.payloads_stored ? 0 : stock->live_bytes;

    return least(minus(limits->batch_bytes_max, queued + unused), minus(target, unused));
}

/* What may be promised to one batch: where little is left, half of it is for others. */
static uint64_t grant_max(const struct engine *engine)
{
    uint64_t room = credit_append_room(engine);

    return room / 2 < APPEND_GRANT_BYTES_MIN ? room : room / 2;
}

/* Its client hears why it has to wait, once. */
static void let_feeder_wait(struct engine *engine, struct batch *batch)
{
    if (!engine->options.payloads_stored || batch->stock->told_to_wait || batch->feeder == NULL)
        return;
    batch->stock->told_to_wait = true;
    out_no_space(engine, batch->feeder, 0, NO_SPACE_RETRY_MS, "%s: batch %llu waits for room",
                 engine->memory.is_full ? "the disk of its store is full"
                                        : "its store has no room for more arguments",
                 (unsigned long long)batch->number);
}

void credit_tell_feeder(struct engine *engine, struct batch *batch)
{
    const struct stock *stock = batch->stock;

    if (!batch->sealed && tri_dlist_is_linked(&batch->starved)
        && stock->credit_bytes - stock->appended_bytes < APPEND_GRANT_BYTES_MIN)
        let_feeder_wait(engine, batch);
}

bool credit_refuse_new(struct engine *engine, struct session *session, uint64_t request)
{
    if (!engine->memory.is_full)
        return false;
    out_no_space(engine, session, request, NO_SPACE_RETRY_MS,
                 "the disk of the broker's store is full");
    return true;
}

bool credit_refuse_items(struct engine *engine, struct session *session, uint64_t request)
{
    if (credit_refuse_new(engine, session, request))
        return true;
    if (!engine->options.payloads_stored)
        return false;
    if (credit_append_room(engine) < APPEND_GRANT_BYTES_MIN)
        stock_reclaim(engine, APPEND_GRANT_BYTES_MIN);
    if (credit_append_room(engine) >= APPEND_GRANT_BYTES_MIN)
        return false;
    out_no_space(engine, session, request, NO_SPACE_RETRY_MS,
                 "the broker's store has no room for more arguments");
    return true;
}

bool credit_refuse_append(struct engine *engine,
                          struct session *session,
                          struct batch *batch,
                          uint64_t request)
{
    if (!credit_refuse_new(engine, session, request))
        return false;
    let_feeder_wait(engine, batch);
    credit_starve(engine, batch);
    return true;
}

void credit_append(struct engine *engine, struct batch *batch)
{
    struct stock *stock = batch->stock;
    uint64_t wish = append_wish(engine, stock);
    uint64_t grant;

    if (wish == 0 || batch->sealed)
        return;
    if (credit_append_room(engine) < wish)
        stock_reclaim(engine, wish);
    grant = least(wish, grant_max(engine));
    if (grant < wish && grant < APPEND_GRANT_BYTES_MIN) {
        credit_starve(engine, batch);
        batch_touch(engine, batch);
        return;
    }
    stock->told_to_wait = false;
    stock->credit_bytes += grant;
    engine->memory.granted_bytes += grant;
    batch_touch(engine, batch);
    if (grant < wish)
        credit_starve(engine, batch);
}

static uint64_t append_step(const struct engine *engine)
{
    return engine->options.limits.batch_bytes_max / 8;
}

bool credit_append_is_short(const struct engine *engine, const struct batch *batch)
{
    return batch->stock->told_bytes - batch->stock->appended_bytes < append_step(engine);
}

bool credit_append_is_news(const struct engine *engine, const struct batch *batch)
{
    const struct stock *stock = batch->stock;

    if (batch->feeder == NULL || batch->sealed || stock->credit_bytes == stock->told_bytes)
        return false;
    return stock->credit_bytes - stock->told_bytes >= append_step(engine)
           || credit_append_is_short(engine, batch);
}

/* ---- result room ---------------------------------------------------------------------------- */

uint64_t credit_room(const struct engine *engine, const struct batch *batch)
{
    const struct post *owner = post_owner(batch);
    uint64_t room = memory_free(engine);
    uint64_t window;

    if (owner == NULL)
        return room;
    window = least(owner->window_bytes, engine->options.limits.window_bytes_max);
    return least(room, minus(window, batch->row_bytes - batch->lost_bytes + batch->reserved_bytes));
}

/* What a row takes beside its values: its head, or a partial that holds next to nothing. */
#define ROW_BYTES 512

/* The mean so far and a quarter. */
static double bytes_per_task(const struct engine *engine, const struct batch *batch)
{
    if (batch->result_tasks == 0)
        return (double)engine->options.limits.result_bytes_guess;
    return (double)batch->result_bytes * 1.25 / (double)batch->result_tasks;
}

uint64_t credit_tasks(const struct engine *engine, const struct batch *batch, uint64_t room)
{
    double tasks = (double)minus(room, ROW_BYTES) / bytes_per_task(engine, batch);

    return tasks < (double)INT64_MAX ? (uint64_t)tasks : (uint64_t)INT64_MAX;
}

uint64_t credit_need(const struct engine *engine, const struct batch *batch, uint64_t count)
{
    double bytes = (double)count * bytes_per_task(engine, batch);

    return bytes < (double)(INT64_MAX / 4) ? (uint64_t)bytes + ROW_BYTES : (uint64_t)INT64_MAX / 4;
}

bool credit_reserve_is_free(struct batch *batch)
{
    uint64_t oldest = batch_oldest(batch);
    const struct lease *lease = batch->reserve_lease;

    if (post_owner(batch) == NULL)
        return false;
    if (lease != NULL && tri_rangeset_contains(&lease->undone, oldest))
        return false;
    return !row_reserve_blocks(batch, oldest);
}

void credit_reserve(struct engine *engine, struct lease *lease, uint64_t bytes)
{
    lease->reserved_bytes += bytes;
    lease->batch->reserved_bytes += bytes;
    engine->memory.reserved_bytes += bytes;
}

void credit_release(struct engine *engine, struct lease *lease, uint64_t bytes)
{
    if (bytes == 0)
        return;
    lease->reserved_bytes -= bytes;
    lease->batch->reserved_bytes -= bytes;
    engine->memory.reserved_bytes -= bytes;
    memory_freed(engine);
}

/* ---- CREDIT on demand ----------------------------------------------------------------------- */

void credit_want(struct engine *engine, struct lease *lease, uint64_t bytes)
{
    struct batch *batch = lease->batch;

    lease->wanted_bytes = bytes;
    lease_stall(lease);
    if (bytes == 0) {
        if (tri_dlist_is_linked(&lease->wanting))
            tri_dlist_remove(&batch->wanting, &lease->wanting);
        return;
    }
    if (!tri_dlist_is_linked(&lease->wanting))
        tri_dlist_push_back(&batch->wanting, &lease->wanting);
    batch_touch(engine, batch);
}

static void grant(struct engine *engine, struct lease *lease)
{
    struct tri_message message = { .type = TRI_MESSAGE_CREDIT };

    message.credit.lease = lease->number;
    message.credit.result_bytes = lease->wanted_bytes;
    out_send(engine, lease->berth->worker->session, &message, false);
    credit_want(engine, lease, 0);
    berth_update(engine, lease->berth);
}

/* Its worker cannot be told, or what it has not run yet would be run beside another suspect. */
static bool has_to_wait(const struct lease *lease)
{
    const struct worker *worker = lease->berth->worker;

    return !worker->session->connected
           || (grade_is_suspect(&lease->grade) && !lease->on_trial && worker->suspects != 0);
}

static void give_reserve(struct engine *engine, struct lease *lease)
{
    lease->reserve_followed = true;
    lease->reserve_given_at = engine->now;
    lease->reserve_bytes += lease->wanted_bytes;
    lease->batch->reserve_lease = lease;
    grant(engine, lease);
}

/* It has the oldest undone task, which does not run: while it does it needs no room, and who asks
 * are younger ones. */
static bool may_have_reserve(const struct lease *lease, uint64_t oldest)
{
    return tri_rangeset_contains(&lease->undone, oldest)
           && !tri_rangeset_contains(&lease->started, oldest) && !has_to_wait(lease);
}

/* The lease with the oldest undone task gets its wish even without room. The reserve is with the
 * lease until its next row, and then with that row. */
static void serve_oldest(struct engine *engine, struct batch *batch)
{
    uint64_t oldest = batch_oldest(batch);

    tri_dlist_foreach(&batch->wanting, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, wanting);

        if (may_have_reserve(lease, oldest)) {
            give_reserve(engine, lease);
            return;
        }
    }
}

/* Who has the reserve may need more than it had asked for. What was asked before the last CREDIT
 * had arrived must not count again; nothing tells it from what was asked later, but that it is
 * repeated a heartbeat later. */
static void serve_reserve(struct engine *engine, struct batch *batch)
{
    struct lease *lease = batch->reserve_lease;

    if (lease != NULL && lease->wanted_bytes != 0 && may_have_reserve(lease, batch_oldest(batch))
        && engine->now - lease->reserve_given_at >= engine->options.limits.heartbeat_ms)
        give_reserve(engine, lease);
}

void credit_serve(struct engine *engine, struct batch *batch)
{
    tri_dlist_foreach(&batch->wanting, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, wanting);

        if (has_to_wait(lease))
            continue;
        if (credit_room(engine, batch) < lease->wanted_bytes)
            break;
        credit_reserve(engine, lease, lease->wanted_bytes);
        grant(engine, lease);
    }
    if (!tri_dlist_is_empty(&batch->wanting)) {
        if (credit_reserve_is_free(batch))
            serve_oldest(engine, batch);
        else
            serve_reserve(engine, batch);
    }
    if (!tri_dlist_is_empty(&batch->wanting) && memory_is_short(engine, batch))
        credit_starve(engine, batch);
}

void credit_doubt(struct lease *lease)
{
    if (lease->batch->reserve_lease != lease || !lease->reserve_followed)
        return;
    lease->reserve_followed = false;
    lease->reserve_bytes = 0;
    lease->batch->reserve_lease = NULL;
}
