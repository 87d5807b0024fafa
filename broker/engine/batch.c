#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ----------------------------------------------------------------------------------- */

static void *copy(struct tri_bytes bytes)
{
    char *out = tri_alloc(bytes.size + 1, 1);

    if (bytes.size != 0)
        memcpy(out, bytes.data, bytes.size);
    return out;
}

static void set_policy(struct batch *self, const struct tri_rec_spec *spec)
{
    self->source = (enum tri_source)spec->source;
    self->retries = spec->retries;
    self->crash_limit = spec->crash_limit != 0 ? spec->crash_limit : 1;
    self->halt = (enum tri_halt)spec->halt;
    self->halt_fail_count = spec->halt_fail_count;
    self->halt_fail_percent = spec->halt_fail_percent;
    self->priority = spec->priority;
    self->model = spec->model;
}

static void init_sets(struct batch *self)
{
    tri_dlist_init(&self->pools);
    tri_dlist_init(&self->delays);
    tri_map_init(&self->entries);
    tri_dlist_init(&self->attachments);
    tri_dlist_init(&self->questions);
    tri_dlist_init(&self->wanting);
    tri_dlist_init(&self->reserve_rows);
    tri_dlist_init(&self->berths);
    tri_heap_init(&self->victims);
}

struct names {
    struct tri_bytes uuid;
    struct tri_bytes name;
    struct tri_bytes spec;
};

static struct batch *make(struct engine *engine,
                          uint64_t number,
                          struct principal *principal,
                          const struct names *names,
                          const struct tri_rec_spec *spec)
{
    struct class *class = class_of(engine, spec);
    struct batch *self;

    if (class == NULL)
        return NULL;
    self = tri_alloc(1, sizeof(*self));
    self->number = number;
    memcpy(self->uuid.bytes, names->uuid.data, sizeof(self->uuid.bytes));
    self->principal = principal;
    self->name = copy(names->name);
    self->spec = copy(names->spec);
    self->spec_size = names->spec.size;
    set_policy(self, spec);
    init_sets(self);
    class_enter(engine, class, self);
    tri_map_put(&engine->batches, self->number, self);
    tri_bytemap_at(&engine->uuids, names->uuid, NULL)->pointer = self;
    tri_rangeset_add(&self->principal->numbers, self->number, 1);
    return self;
}

struct batch *batch_new(struct engine *engine,
                        struct session *session,
                        const struct tri_msg_submit *submit,
                        const struct tri_rec_spec *spec)
{
    struct names names = { submit->batch, submit->name, submit->spec };
    struct batch *self = make(engine, engine->next_number, session->principal, &names, spec);

    if (self == NULL)
        return NULL;
    engine->next_number++;
    self->generation = 1;
    self->epoch = engine->options.epoch;
    self->submitted_at = engine->now;
    return self;
}

/* When it was by the durable clock, which was not written down every time. */
static tri_time restore_time(const struct engine *engine, uint64_t clock_ms)
{
    uint64_t now_ms = engine_clock(engine, engine->now);

    return engine->now - (clock_ms < now_ms ? now_ms - clock_ms : 0);
}

struct batch *batch_restore(struct engine *engine,
                            uint64_t number,
                            const struct stored_batch *stored,
                            const struct tri_rec_spec *spec)
{
    struct names names = { stored->uuid, stored->name, stored->spec };
    struct batch *self =
        make(engine, number, engine_principal(engine, stored->principal), &names, spec);

    if (self == NULL)
        return NULL;
    self->state = (enum tri_batch_state)stored->state;
    self->sealed = stored->sealed != 0;
    self->halting = stored->halting != 0;
    self->cancelling = stored->cancelling != 0;
    self->generation = stored->generation;
    self->count = stored->count;
    self->epoch = stored->epoch;
    self->reason = stored->reason.size != 0 ? copy(stored->reason) : NULL;
    self->submitted_at = restore_time(engine, stored->submitted);
    self->ended_at = restore_time(engine, stored->ended);
    self->wall_ns = stored->wall_ns;
    self->cpu_ns = stored->cpu_ns;
    self->workers = stored->workers;
    self->model = stored->model;
    memcpy(self->fed_by.bytes, stored->fed_by.data, sizeof(self->fed_by.bytes));
    tri_buffer_append(&self->suspects, stored->suspects.data, stored->suspects.size);
    return self;
}

static void free_pools(struct engine *engine, struct batch *self)
{
    while (!tri_dlist_is_empty(&self->pools)) {
        struct pool *pool = tri_container_of(tri_dlist_pop_front(&self->pools), struct pool, node);

        tri_rangeset_deinit(&pool->tasks);
        free(pool);
    }
    while (!tri_dlist_is_empty(&self->delays))
        delay_free(engine, tri_container_of(tri_dlist_first(&self->delays), struct delay, node));
    tri_rangeset_deinit(&self->fresh.tasks);
}

static void unlink_everywhere(struct engine *engine, struct batch *self)
{
    struct {
        struct tri_dlist_head *list;
        struct tri_dlist_node *node;
    } places[] = {
        { &engine->touched_batches, &self->touched },
        { &engine->seeking_batches, &self->seeking },
        { &engine->starved_batches, &self->starved },
        { &engine->unfed_batches, &self->unfed },
        { &engine->forsaken_batches, &self->forsaken },
        { &engine->ended_batches, &self->ended },
        { &engine->progress_batches, &self->progress },
        { &self->class->draining, &self->draining },
    };

    for (size_t i = 0; i < TRI_COUNT_OF(places); i++)
        if (tri_dlist_is_linked(places[i].node))
            tri_dlist_remove(places[i].list, places[i].node);
    if (self->feeder != NULL)
        tri_dlist_remove(&self->feeder->feeding, &self->feeding);
}

static void free_berths(struct engine *engine, struct batch *self)
{
    while (!tri_dlist_is_empty(&self->berths)) {
        struct berth *berth =
            tri_container_of(tri_dlist_first(&self->berths), struct berth, of_batch);

        while (!tri_dlist_is_empty(&berth->leases))
            lease_free(engine,
                       tri_container_of(tri_dlist_first(&berth->leases), struct lease, node));
        berth_destroy(engine, berth, false);
    }
}

void batch_free(struct engine *engine, struct batch *self)
{
    while (!tri_dlist_is_empty(&self->attachments))
        post_destroy(engine,
                     tri_container_of(tri_dlist_first(&self->attachments), struct post, of_batch));
    question_drop_batch(self);
    free_berths(engine, self);
    service_free_all(self);
    unlink_everywhere(engine, self);
    class_leave(engine, self->class, self);
    free_pools(engine, self);
    entry_free_all(engine, self);
    row_free_all(engine, self);
    stock_destroy(engine, self);
    tri_heap_deinit(&self->victims);
    tri_rangeset_deinit(&self->done);
    tri_rangeset_deinit(&self->dead);
    tri_rangeset_deinit(&self->cancelled);
    tri_rangeset_deinit(&self->settled);
    tri_rangeset_deinit(&self->unfolded);
    tri_rangeset_deinit(&self->folded_settled);
    tri_rangeset_deinit(&self->served_by);
    tri_rangeset_deinit(&self->folded_cancelled);
    tri_buffer_deinit(&self->suspects);
    recovering_free(self);
    free(self->name);
    free(self->spec);
    free(self->reason);
    free(self);
}

/* Who has not had everything yet would wait for ever. */
static void tell_forgotten(struct engine *engine, const struct batch *self)
{
    tri_dlist_foreach(&self->attachments, node)
    {
        const struct post *post = tri_container_of(node, struct post, of_batch);

        if (!post->end_sent)
            out_error(engine, post->session, post->request, TRI_NOTFOUND,
                      "batch %llu was forgotten", (unsigned long long)self->number);
    }
}

void batch_forget(struct engine *engine, struct batch *self)
{
    struct tri_bytes uuid = { self->uuid.bytes, sizeof(self->uuid.bytes) };

    tell_forgotten(engine, self);
    out_trace(&engine->out, "batch.forgotten batch=%llu", (unsigned long long)self->number);
    question_forget(engine, self);
    out_delete_batch(&engine->out, self->number);
    tri_map_remove(&engine->batches, self->number);
    tri_bytemap_remove(&engine->uuids, uuid);
    tri_rangeset_remove(&self->principal->numbers, self->number, 1);
    batch_free(engine, self);
}

struct batch *batch_find(struct engine *engine,
                         struct session *session,
                         uint64_t number,
                         uint64_t request)
{
    struct batch *batch = tri_map_find(&engine->batches, number);

    if (batch != NULL && batch->principal == session->principal)
        return batch;
    out_error(engine, session, request, TRI_NOTFOUND, "there is no batch %llu",
              (unsigned long long)number);
    return NULL;
}

bool batch_has_tasks(struct engine *engine,
                     struct session *session,
                     const struct batch *self,
                     struct tri_ranges tasks,
                     uint64_t request)
{
    struct tri_range last;

    if (tasks.count == 0)
        return true;
    last = tri_ranges_at(tasks, tasks.count - 1);
    if (last.first < self->count)
        return true;
    out_error(engine, session, request, TRI_NOTFOUND,
              "batch %llu has %llu task%s: there is no %llu/%llu", (unsigned long long)self->number,
              (unsigned long long)self->count, tri_plural(self->count),
              (unsigned long long)self->number, (unsigned long long)last.first);
    return false;
}

void batch_put(struct engine *engine, struct batch *self)
{
    self->put_due = false;
    tri_buffer_clear(&engine->scratch);
    stored_batch(engine, self, &engine->scratch);
    out_put(&engine->out, (struct store_key){ STORE_BATCH, self->number, 0 },
            tri_buffer_bytes(&engine->scratch));
}

void batch_put_later(struct engine *engine, struct batch *self)
{
    self->put_due = true;
    batch_touch(engine, self);
}

/* ---- changes -------------------------------------------------------------------------------- */

void batch_touch(struct engine *engine, struct batch *self)
{
    if (!tri_dlist_is_linked(&self->touched))
        tri_dlist_push_back(&engine->touched_batches, &self->touched);
}

void batch_gain(struct engine *engine, struct batch *self)
{
    self->gained = true;
    batch_touch(engine, self);
}

void batch_set_reason(struct batch *self, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    free(self->reason);
    self->reason = copy(tri_bytes_of(text));
}

void batch_clear_reason(struct batch *self)
{
    free(self->reason);
    self->reason = NULL;
}

const char *batch_state_text(uint64_t state)
{
    static const char *const texts[] = {
#define X(name, code, text) [code] = (text),
        TRI_BATCH_STATE_MAP(X)
#undef X
    };

    return state < TRI_COUNT_OF(texts) ? texts[state] : "?";
}

void batch_set_feeder(struct engine *engine, struct batch *self, struct session *session)
{
    if (self->feeder == session && session != NULL)
        return;
    if (self->feeder != NULL)
        tri_dlist_remove(&self->feeder->feeding, &self->feeding);
    self->feeder = session;
    if (session != NULL) {
        tri_dlist_push_back(&session->feeding, &self->feeding);
        if (memcmp(&self->fed_by, &session->instance, sizeof(self->fed_by)) != 0)
            batch_put_later(engine, self);
        self->fed_by = session->instance;
    }
    if (session == NULL && !self->sealed && !tri_dlist_is_linked(&self->unfed)) {
        self->unfed_at = engine->now;
        tri_dlist_push_back(&engine->unfed_batches, &self->unfed);
    }
    if ((session != NULL || self->sealed) && tri_dlist_is_linked(&self->unfed))
        tri_dlist_remove(&engine->unfed_batches, &self->unfed);
}

bool batch_may_be_fed_by(const struct batch *self, const struct session *session)
{
    static const struct tri_uuid nobody;

    return memcmp(&self->fed_by, &nobody, sizeof(nobody)) == 0
           || memcmp(&self->fed_by, &session->instance, sizeof(self->fed_by)) == 0;
}

void batch_set_state(struct batch *self, enum tri_batch_state state)
{
    tri_assert(LIFE_ALLOWS(LIFE_BATCH_MAP, self->state, state));
    self->state = state;
}

void batch_seal(struct engine *engine, struct batch *self, const char *reason)
{
    if (self->sealed)
        return;
    self->sealed = true;
    if (self->state == TRI_BATCH_OPEN)
        batch_set_state(self, TRI_BATCH_RUNNING);
    if (reason != NULL)
        batch_set_reason(self, "%s", reason);
    if (self->halting || self->cancelling)
        append_refuse(engine, self);
    batch_set_feeder(engine, self, NULL);
    if (self->stock != NULL)
        stock_seal(engine, self);
    batch_put(engine, self);
    batch_touch(engine, self);
}

void batch_expire_unfed(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->unfed_batches)) {
        struct batch *batch =
            tri_container_of(tri_dlist_first(&engine->unfed_batches), struct batch, unfed);

        if (engine->now - batch->unfed_at
            < PLANTED_VALUE(NO_GRACE, 0, engine->options.limits.open_grace_ms))
            break;
        out_trace(&engine->out, "batch.sealed batch=%llu why=client_lost",
                  (unsigned long long)batch->number);
        batch_seal(engine, batch, "client_lost");
    }
}

void batch_expire_ended(struct engine *engine)
{
    const struct engine_limits *limits = &engine->options.limits;

    while (!tri_dlist_is_empty(&engine->ended_batches)) {
        struct batch *batch =
            tri_container_of(tri_dlist_first(&engine->ended_batches), struct batch, ended);

        if (engine->now - batch->ended_at
            < (PLANTED(RETENTION) ? limits->lease_ms : limits->retention_ms))
            break;
        batch_forget(engine, batch);
    }
}
