#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

#include <stdlib.h>

#define CANCEL_RANGES_MAX 65536

/* ---- make ----------------------------------------------------------------------------------- */

static void send_lease(struct engine *engine, struct lease *self)
{
    struct batch *batch = self->batch;
    struct tri_message message = { .type = TRI_MESSAGE_LEASE };
    struct tri_buffer *chunks = &engine->scratch;
    size_t count = 0;

    message.lease.lease = self->number;
    message.lease.number = batch->number;
    message.lease.generation = self->generation;
    message.lease.first = self->first;
    message.lease.count = self->count;
    message.lease.attempt = grade_attempt(&self->grade);
    message.lease.flags = grade_is_isolated(&self->grade) ? TRI_LEASE_ISOLATED : 0;
    message.lease.result_bytes = self->result_bytes;
    if (batch->stock != NULL)
        count = stock_attach(batch, self->first, self->count, chunks);
    out_send_payload(engine, self->berth->worker->session, &message,
                     count != 0 ? (const struct attachment *)(const void *)chunks->data : NULL,
                     count, !grade_is_fresh(&self->grade));
}

/* Leases are numbered over epochs, so that a result never meets another lease of its number. */
static uint64_t next_number(struct engine *engine)
{
    return ((engine->options.epoch & LEASE_EPOCH_MASK) << LEASE_EPOCH_SHIFT) | engine->next_lease++;
}

static void charge(struct engine *engine, struct lease *self)
{
    uint64_t task_ns = berth_task_ns(self->berth);
    double us;

    self->charged_ns = task_ns != 0 ? task_ns : LEASE_CHARGE_UNKNOWN_NS;
    us = (double)tri_rangeset_count(&self->undone) * (double)self->charged_ns / 1000;
    fair_serve(engine, self->batch);
    fair_charge(self->batch, us < 1e15 ? (int64_t)us + 1 : (int64_t)1e15);
}

static tri_time clock_of(const struct engine *engine)
{
    return PLANTED_VALUE(WALL_CLOCK, planted_wall(engine->now), engine->now);
}

/* A suspect that waits for CREDIT has nothing to run until it comes: another may. */
static void weigh(struct lease *self)
{
    bool on_trial =
        grade_is_suspect(&self->grade) && tri_rangeset_count(&self->undone) > self->stalled;

    self->berth->worker->suspects += on_trial;
    self->berth->worker->suspects -= self->on_trial;
    self->on_trial = on_trial;
}

static void link_lease(struct engine *engine, struct lease *self)
{
    struct berth *berth = self->berth;
    struct worker *worker = berth->worker;

    tri_map_put(&engine->leases, self->number, self);
    tri_dlist_push_back(&berth->leases, &self->node);
    tri_dlist_push_back(&engine->lease_clock, &self->clock);
    self->deadline = clock_of(engine) + engine->options.limits.lease_ms;
    berth->active_at = engine->now;
    berth->leased += tri_rangeset_count(&self->undone);
    self->batch->leased += tri_rangeset_count(&self->undone);
    worker->leases++;
    worker->tasks_leased += tri_rangeset_count(&self->undone);
    tri_assert(!grade_is_suspect(&self->grade) || worker->suspects == 0);
    weigh(self);
}

struct lease *lease_new(struct engine *engine,
                        struct berth *berth,
                        struct pool *pool,
                        struct tri_range tasks,
                        uint64_t result_bytes,
                        bool on_reserve)
{
    struct lease *self = tri_alloc(1, sizeof(*self));
    struct batch *batch = berth->batch;

    self->number = next_number(engine);
    self->batch = batch;
    self->berth = berth;
    self->grade = pool->grade;
    self->first = tasks.first;
    self->count = tasks.count;
    self->generation = batch->generation;
    self->result_bytes = result_bytes;
    tri_rangeset_add(&self->undone, tasks.first, tasks.count);
    batch_take(batch, pool, tasks.first, tasks.count);
    link_lease(engine, self);
    if (on_reserve) {
        self->reserve_bytes = result_bytes;
        batch->reserve_lease = self;
    } else {
        credit_reserve(engine, self, result_bytes);
    }
    charge(engine, self);
    berth_update(engine, berth);
    self->loading = load_lease(engine, self);
    if (!self->loading)
        send_lease(engine, self);
    return self;
}

struct lease *lease_adopt(struct engine *engine,
                          struct berth *berth,
                          const struct grade *grade,
                          uint64_t number,
                          const struct tri_rangeset *tasks)
{
    struct lease *self = tri_alloc(1, sizeof(*self));
    struct batch *batch = berth->batch;
    uint64_t last = 0;

    self->number = number;
    self->batch = batch;
    self->berth = berth;
    self->grade = *grade;
    tri_rangeset_first(tasks, &self->first);
    tri_rangeset_last(tasks, &last);
    self->count = last - self->first + 1;
    tri_rangeset_copy(&self->undone, tasks);
    link_lease(engine, self);
    credit_reserve(engine, self, credit_need(engine, batch, tri_rangeset_count(tasks)));
    charge(engine, self);
    berth_update(engine, berth);
    batch_touch(engine, batch);
    return self;
}

/* What is not undone between its first and last task. */
static void gaps_of(const struct lease *self, struct tri_rangeset *gaps)
{
    uint64_t end = self->first + self->count;
    struct tri_range gap;

    for (uint64_t at = self->first; tri_rangeset_next_gap(&self->undone, at, &gap);) {
        if (gap.first >= end)
            break;
        if (gap.count > end - gap.first)
            gap.count = end - gap.first;
        tri_rangeset_add(gaps, gap.first, gap.count);
        at = gap.first + gap.count;
    }
}

/* What has ended while the items were fetched is not to be run. */
void lease_loaded(struct engine *engine, struct lease *self)
{
    struct tri_rangeset gaps = { 0 };
    uint64_t last = 0;

    tri_rangeset_first(&self->undone, &self->first);
    tri_rangeset_last(&self->undone, &last);
    self->count = last - self->first + 1;
    self->loading = false;
    lease_renew(engine, self);
    send_lease(engine, self);
    gaps_of(self, &gaps);
    if (!tri_rangeset_is_empty(&gaps))
        lease_tell_cancelled(engine, self->berth->worker->session, self->number, &gaps);
    tri_rangeset_deinit(&gaps);
}

/* ---- keep ----------------------------------------------------------------------------------- */

struct lease *lease_find(const struct engine *engine, const struct worker *worker, uint64_t number)
{
    struct lease *lease = tri_map_find(&engine->leases, number);

    return lease != NULL && lease->berth->worker == worker ? lease : NULL;
}

bool lease_is_about(struct lease *self, uint64_t number, uint64_t generation)
{
    if (self->batch->number != number)
        return false;
    if (self->generation == 0)
        self->generation = generation;
    return self->generation == generation;
}

void lease_renew(struct engine *engine, struct lease *self)
{
    self->deadline = clock_of(engine) + engine->options.limits.lease_ms;
    tri_dlist_remove(&engine->lease_clock, &self->clock);
    tri_dlist_push_back(&engine->lease_clock, &self->clock);
}

/* Its worker holds what has ended, and starts nothing more of it. */
void lease_stall(struct lease *self)
{
    uint64_t undone = tri_rangeset_count(&self->undone);
    uint64_t running = tri_rangeset_count(&self->started);
    uint64_t stalled = self->wanted_bytes != 0 && undone > running ? undone - running : 0;

    self->berth->stalled += stalled - self->stalled;
    self->stalled = stalled;
    weigh(self);
}

void lease_expire(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->lease_clock)) {
        struct lease *oldest =
            tri_container_of(tri_dlist_first(&engine->lease_clock), struct lease, clock);

        if (clock_of(engine) < oldest->deadline)
            break;
        out_trace(&engine->out, "lease.lost lease=%llu why=expired",
                  (unsigned long long)oldest->number);
        lease_drop(engine, oldest);
    }
}

/* ---- tasks leave ---------------------------------------------------------------------------- */

/* What is reserved and charged shrinks with what is undone. */
static void shrink(struct engine *engine, struct lease *self, uint64_t before, uint64_t taken)
{
    double part = (double)taken / (double)before;

    if (taken == before)
        credit_release(engine, self, self->reserved_bytes);
    else
        credit_release(engine, self, (uint64_t)((double)self->reserved_bytes * part));
}

uint64_t lease_take(struct engine *engine, struct lease *self, struct tri_range tasks)
{
    uint64_t before = tri_rangeset_count(&self->undone);
    uint64_t taken = tri_rangeset_remove(&self->undone, tasks.first, tasks.count);

    if (taken == 0)
        return 0;
    tri_rangeset_remove(&self->started, tasks.first, tasks.count);
    self->berth->leased -= taken;
    self->batch->leased -= taken;
    self->unstealable = false;
    lease_stall(self);
    shrink(engine, self, before, taken);
    return taken;
}

static void refund(struct lease *self, uint64_t tasks)
{
    double us = (double)tasks * (double)self->charged_ns / 1000;

    fair_charge(self->batch, us < 1e15 ? -(int64_t)us : -(int64_t)1e15);
}

void lease_free(struct engine *engine, struct lease *self)
{
    struct berth *berth = self->berth;
    struct batch *batch = self->batch;
    uint64_t undone = tri_rangeset_count(&self->undone);

    credit_release(engine, self, self->reserved_bytes);
    credit_want(engine, self, 0);
    lease_unrevoke(engine, self);
    if (batch->reserve_lease == self)
        batch->reserve_lease = NULL;
    berth->leased -= undone;
    batch->leased -= undone;
    berth->worker->leases--;
    berth->worker->suspects -= self->on_trial;
    tri_map_remove(&engine->leases, self->number);
    tri_dlist_remove(&berth->leases, &self->node);
    tri_dlist_remove(&engine->lease_clock, &self->clock);
    tri_rangeset_deinit(&self->undone);
    tri_rangeset_deinit(&self->started);
    free(self);
    berth_update(engine, berth);
}

void lease_settle(struct engine *engine, struct lease **self)
{
    struct lease *lease = *self;

    if (tri_rangeset_is_empty(&lease->undone)) {
        lease_free(engine, lease);
        *self = NULL;
    } else {
        berth_update(engine, lease->berth);
    }
}

/* ---- tasks go back -------------------------------------------------------------------------- */

static void undone_in(const struct lease *self, struct tri_range tasks, struct tri_rangeset *out)
{
    uint64_t end = tasks.first + tasks.count;
    struct tri_range range;

    for (uint64_t at = tasks.first; at < end && tri_rangeset_next(&self->undone, at, &range);) {
        if (range.first >= end)
            break;
        if (range.count > end - range.first)
            range.count = end - range.first;
        tri_rangeset_add(out, range.first, range.count);
        at = range.first + range.count;
    }
}

uint64_t lease_give_back(struct engine *engine,
                         struct lease *self,
                         struct tri_range tasks,
                         const struct grade *grade)
{
    struct tri_rangeset back = { 0 };
    uint64_t count;

    undone_in(self, tasks, &back);
    count = tri_rangeset_count(&back);
    if (count != 0) {
        lease_take(engine, self, tasks);
        refund(self, count);
        if (PLANTED(STOLEN_TAIL) && self->revoking != 0)
            tri_rangeset_remove(&back, tasks.first + tasks.count - 1, 1);
        if (self->due > engine->now)
            delay_new(engine, self->batch, grade, &back, self->due - engine->now);
        else
            batch_add_pending(engine, self->batch, grade, &back);
    }
    tri_rangeset_deinit(&back);
    return count;
}

void lease_drop(struct engine *engine, struct lease *self)
{
    struct tri_range all = { self->first, self->count };

    lease_give_back(engine, self, all, &self->grade);
    lease_settle(engine, &self);
    tri_assert(self == NULL);
}

/* ---- cancelled ------------------------------------------------------------------------------ */

void lease_tell_cancelled(struct engine *engine,
                          struct session *session,
                          uint64_t number,
                          const struct tri_rangeset *tasks)
{
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL_LEASE };
    uint64_t from = 0;

    message.cancel_lease.lease = number;
    if (tasks == NULL)
        out_send(engine, session, &message, false);
    while (tasks != NULL) {
        size_t count = row_ranges(tasks, from, CANCEL_RANGES_MAX, &engine->scratch);
        struct tri_ranges ranges = { engine->scratch.data, count };
        struct tri_range last;

        if (count == 0)
            break;
        message.cancel_lease.ranges = ranges;
        out_send(engine, session, &message, false);
        last = tri_ranges_at(ranges, count - 1);
        from = last.first + last.count;
    }
}

uint64_t lease_cancel(struct engine *engine, struct lease *self, struct tri_range tasks)
{
    struct tri_rangeset gone = { 0 };
    uint64_t count;

    undone_in(self, tasks, &gone);
    count = tri_rangeset_count(&gone);
    if (count != 0) {
        lease_take(engine, self, tasks);
        refund(self, count);
        if (!self->loading)
            lease_tell_cancelled(engine, self->berth->worker->session, self->number,
                                 tri_rangeset_is_empty(&self->undone) ? NULL : &gone);
        lease_settle(engine, &self);
    }
    tri_rangeset_deinit(&gone);
    return count;
}
