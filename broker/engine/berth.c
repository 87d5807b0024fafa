#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

struct berth *berth_find(const struct worker *worker, const struct batch *batch)
{
    return tri_map_find(&worker->berth_by_batch, batch->number);
}

/* ---- asked, late, manned, refused ----------------------------------------------------------- */

static void set_state(struct berth *self, enum berth_state state)
{
    tri_assert(LIFE_ALLOWS(LIFE_BERTH_MAP, self->state, state));
    self->state = state;
}

static void stop_asking(struct engine *engine, struct berth *self)
{
    if (self->state != BERTH_ASKED)
        return;
    self->batch->asked_oars -= self->asked_oars;
    self->worker->asked--;
    self->worker->asked_tasks -= self->asked_tasks;
    batch_gain(engine, self->batch);
}

void berth_tell(struct engine *engine, struct berth *self)
{
    struct batch *batch = self->batch;
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };

    message.batch.number = batch->number;
    message.batch.batch = (struct tri_bytes){ batch->uuid.bytes, sizeof(batch->uuid.bytes) };
    message.batch.spec = (struct tri_bytes){ batch->spec, batch->spec_size };
    out_send(engine, self->worker->session, &message, false);
}

static struct berth *berth_new(struct engine *engine,
                               struct worker *worker,
                               struct batch *batch,
                               uint64_t tasks)
{
    struct berth *self = tri_alloc(1, sizeof(*self));

    self->worker = worker;
    self->batch = batch;
    self->state = BERTH_ASKED;
    self->asked_oars = worker->width;
    self->asked_tasks = tasks;
    self->why = "asked how many oars it has for this batch";
    tri_dlist_init(&self->leases);
    tri_dlist_push_back(&worker->berths, &self->of_worker);
    tri_dlist_push_back(&batch->berths, &self->of_batch);
    tri_map_put(&worker->berth_by_batch, batch->number, self);
    batch->asked_oars += self->asked_oars;
    worker->asked++;
    worker->asked_tasks += tasks;
    batch_touch(engine, batch);
    worker->idle++;
    self->is_idle = true;
    return self;
}

struct berth *berth_ask(struct engine *engine,
                        struct worker *worker,
                        struct batch *batch,
                        uint64_t tasks)
{
    struct berth *self = berth_new(engine, worker, batch, tasks);

    berth_tell(engine, self);
    return self;
}

struct berth *berth_reclaim(struct engine *engine, struct worker *worker, struct batch *batch)
{
    return berth_new(engine, worker, batch, 0);
}

void berth_late(struct engine *engine, struct berth *self)
{
    stop_asking(engine, self);
    set_state(self, BERTH_LATE);
    self->why = "does not say how many oars it has for this batch";
}

static void set_width(struct engine *engine, struct berth *self, uint64_t width)
{
    struct batch *batch = self->batch;

    batch->oars += width;
    batch->oars -= self->width;
    self->width = width;
    if (self->growth < width)
        self->growth = width;
    berth_update(engine, self);
}

static void set_reason(struct berth *self, struct tri_bytes reason)
{
    free(self->reason);
    self->reason = NULL;
    if (reason.size == 0)
        return;
    self->reason = tri_alloc(1, reason.size + 1);
    memcpy(self->reason, reason.data, reason.size);
}

static void refused(struct engine *engine, struct berth *self, uint64_t status)
{
    struct batch *batch = self->batch;

    if (self->state != BERTH_REFUSED)
        batch->refusals++;
    set_state(self, BERTH_REFUSED);
    self->status = status;
    self->why = "refused the batch";
    set_width(engine, self, 0);
    batch_gain(engine, batch);
}

void on_oars(struct engine *engine, struct session *session, const struct tri_msg_oars *oars)
{
    struct berth *self = tri_map_find(&session->worker->berth_by_batch, oars->number);

    if (self == NULL)
        return; /* the batch has ended meanwhile */
    stop_asking(engine, self);
    set_reason(self, oars->reason);
    if (oars->status != TRI_OK) {
        refused(engine, self, oars->status);
        return;
    }
    if (self->state == BERTH_REFUSED)
        self->batch->refusals--;
    set_state(self, BERTH_MANNED);
    self->status = TRI_OK;
    self->model = oars->model;
    self->why = oars->width != 0 ? "has oars" : "has no oars for it now";
    set_width(engine, self, oars->width);
    batch_touch(engine, self->batch);
    session->worker->answered = self->batch;
    worker_touch(engine, session->worker);
}

/* ---- accounts ------------------------------------------------------------------------------- */

uint64_t berth_task_ns(const struct berth *self)
{
    return self->task_ns != 0 ? self->task_ns : self->batch->task_ns;
}

/* Time that the work beyond its oars takes there. Unknown work counts as enough. */
static uint64_t queue_ns(const struct engine *engine, const struct berth *self)
{
    uint64_t load = berth_load(self);
    uint64_t excess = load > self->width ? load - self->width : 0;
    uint64_t task_ns = berth_task_ns(self);
    double ns;

    if (excess == 0)
        return 0;
    if (task_ns == 0 || self->width == 0)
        return engine->options.limits.lease_target_ms * 1000000;
    ns = (double)excess * (double)task_ns / (double)self->width;
    return ns < 1e18 ? (uint64_t)ns + 1 : UINT64_C(1000000000000000000);
}

static uint64_t used_part(const struct berth *self)
{
    uint64_t load = berth_load(self);

    if (load == 0)
        return 0;
    if (load >= self->width)
        return WORKER_WHOLE;
    return load * WORKER_WHOLE / self->width;
}

/* Nobody knows when its oars are free again. */
static bool is_slow(const struct engine *engine, const struct berth *self)
{
    uint64_t task_ns = berth_task_ns(self);

    return berth_load(self) != 0
           && (task_ns == 0 || task_ns > engine->options.limits.lease_target_ms * 1000000);
}

/* Its oars are full for the first time, and nobody knows for how long. */
static bool is_eager(const struct berth *self)
{
    return berth_load(self) != 0 && berth_load(self) == self->width && berth_task_ns(self) == 0
           && !self->contributed && self->batch->pending != 0;
}

static void place_victim(struct berth *self)
{
    struct tri_heap *victims = &self->batch->victims;
    uint64_t excess = berth_excess(self);

    if (excess != 0)
        tri_heap_update(victims, &self->victim, UINT64_MAX - excess);
    else if (tri_heap_is_linked(&self->victim))
        tri_heap_remove(victims, &self->victim);
}

/* Idle berths stand first among those of the batch. */
static void place_idle(struct berth *self)
{
    struct tri_dlist_head *berths = &self->batch->berths;
    bool idle = self->leased == 0;

    if (idle == self->is_idle)
        return;
    self->is_idle = idle;
    self->worker->idle += idle;
    self->worker->idle -= !idle;
    tri_dlist_remove(berths, &self->of_batch);
    if (idle)
        tri_dlist_push_front(berths, &self->of_batch);
    else
        tri_dlist_push_back(berths, &self->of_batch);
}

void berth_update(struct engine *engine, struct berth *self)
{
    struct worker *worker = self->worker;
    uint64_t used = used_part(self);
    uint64_t queue = queue_ns(engine, self);

    worker->used += used - self->used;
    worker->queue_ns += queue - self->queue_ns;
    self->used = used;
    self->queue_ns = queue;
    worker->slow -= self->is_slow;
    self->is_slow = is_slow(engine, self);
    worker->slow += self->is_slow;
    worker->eager -= self->is_eager;
    self->is_eager = is_eager(self);
    worker->eager += self->is_eager;
    place_victim(self);
    place_idle(self);
    worker_touch(engine, worker);
    batch_touch(engine, self->batch);
}

void berth_destroy(struct engine *engine, struct berth *self, bool tell)
{
    struct batch *batch = self->batch;
    struct worker *worker = self->worker;
    struct tri_message message = { .type = TRI_MESSAGE_BATCH_END };

    tri_assert(tri_dlist_is_empty(&self->leases));
    if (self->robs != NULL)
        self->robs->thief = NULL;
    stop_asking(engine, self);
    if (self->state == BERTH_REFUSED)
        batch->refusals--;
    if (self->state == BERTH_MANNED)
        batch->deserted = true;
    set_state(self, BERTH_GONE);
    service_take(batch, self);
    set_width(engine, self, 0);
    tri_assert(self->used == 0 && self->queue_ns == 0);
    if (tell) {
        message.batch_end.number = batch->number;
        out_send(engine, worker->session, &message, false);
    }
    worker->idle -= self->is_idle;
    if (worker->answered == batch)
        worker->answered = NULL;
    tri_map_remove(&worker->berth_by_batch, batch->number);
    tri_dlist_remove(&worker->berths, &self->of_worker);
    tri_dlist_remove(&batch->berths, &self->of_batch);
    free(self->reason);
    free(self);
}
