/* What an application does about one batch. */
#include "tests/sim/client.h"

#include "common/assert.h"
#include "common/value.h"
#include "tests/sim/coda.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_AGAIN_US (300 * SIM_MS)

const char *job_state_text(enum job_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        JOB_STATE_MAP(X)
#undef X
    };

    return texts[state];
}

static void begin_reading(struct sim *sim, struct job *self, bool whole)
{
    bool ordered = self->batch->ordered && (self->client->lives == 1 || self->rounds != 0);

    self->whole = whole;
    self->reader = checker_reads(sim, self->batch, ordered, whole);
}

/* ---- opening -------------------------------------------------------------------------------- */

static void submit(struct sim *sim, struct job *self, tri_time now_ms)
{
    const struct plan_batch *batch = self->batch;
    struct tri_follow_options options = { .uuid = batch->uuid, .owner = true };
    struct tri_buffer spec = { 0 };
    struct tri_error error;

    options.unordered = !batch->ordered;
    options.window_bytes = batch->detached ? 0 : batch->window_bytes;
    plan_spec(batch, &spec);
    if (tri_follow_submit(self->client->session, &options, now_ms, tri_bytes_of(batch->name),
                          tri_buffer_bytes(&spec), !batch->range, &self->follow, &error)
        != TRI_OK)
        sim_fail(sim, "%s cannot be submitted: %s", batch->name, error.text);
    tri_buffer_deinit(&spec);
    self->added = 0;
    self->hurry_at = UINT64_MAX;
    self->is_sealed = batch->range;
    begin_reading(sim, self, true);
}

static void attach(struct sim *sim, struct job *self, tri_time now_ms)
{
    const struct plan_batch *batch = self->batch;
    struct tri_follow_options options = {
        .number = checker_number(sim, batch),
        .owner = self->owner,
        .unordered = !batch->ordered,
        .window_bytes = batch->window_bytes,
    };

    tri_assert(tri_follow_attach(self->client->session, &options, now_ms, &self->follow) == TRI_OK);
    self->is_sealed = true;
    self->hurry_at = self->rounds != 0 ? coda_hurry(sim) : UINT64_MAX;
    begin_reading(sim, self, false);
}

static void open(struct sim *sim, struct job *self, tri_time now_ms)
{
    if (self->at > sim->now)
        return;
    if (!self->submits && checker_number(sim, self->batch) == 0) {
        self->at = sim->now + LOOK_AGAIN_US;
        return;
    }
    if (self->submits)
        submit(sim, self, now_ms);
    else
        attach(sim, self, now_ms);
    self->state = JOB_OPENING;
    self->add_at = self->take_at = sim->now;
}

static void close(struct job *self)
{
    tri_follow_close(&self->follow);
    self->reader = NULL;
}

static void open_again(struct sim *sim, struct job *self, uint64_t after_us)
{
    close(self);
    self->state = JOB_WAITING;
    self->at = sim->now + after_us;
}

/* Some refusals are in order. */
static void on_refused(struct sim *sim, struct job *self, const struct tri_error *error)
{
    sim_tell(sim, self->client->node.name, "%s: refused: %s", self->batch->name, error->text);
    if (error->status == TRI_UNSUPPORTED) {
        open_again(sim, self, LOOK_AGAIN_US); /* no worker has come yet */
    } else if (error->status == TRI_CONFLICT && self->client->lives > 1) {
        self->submits = false; /* an earlier life of ours has added to it */
        open_again(sim, self, LOOK_AGAIN_US);
    } else if (error->status == TRI_STALE && client_works(sim, self)) {
        close(self); /* somebody took it over, and will do the rest */
        self->state = JOB_SITTING;
    } else if (error->status == TRI_STALE) {
        self->submits = false; /* who took it over has died since */
        open_again(sim, self, LOOK_AGAIN_US);
    } else if (error->status == TRI_STORE && checker_lacks(sim, self->reader)) {
        self->rounds = 0;
        close(self);
        self->state = JOB_SITTING;
    } else {
        sim_fail(sim, "%s: %s has failed: %s", self->client->node.name, self->batch->name,
                 error->text);
    }
}

static void await_opening(struct sim *sim, struct job *self)
{
    struct tri_error error;
    enum tri_status status = tri_follow_state(self->follow, &error);

    if (status == TRI_OK)
        self->state = JOB_WORKING;
    else if (status != TRI_EMPTY)
        on_refused(sim, self, &error);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* TRI_OK when a burst has been added; TRI_BUSY when there is no room. */
static enum tri_status add_burst(struct sim *sim, struct job *self)
{
    struct tri_buffer value = { 0 };
    enum tri_status status = TRI_OK;
    struct tri_error error;

    for (uint64_t i = 0; i < self->batch->add_burst && self->added < self->batch->count; i++) {
        tri_buffer_clear(&value);
        plan_value(self->batch, self->added, &value);
        status = tri_follow_add_packed(self->follow, tri_buffer_bytes(&value), &error);
        if (status != TRI_OK)
            break;
        self->added++;
    }
    tri_buffer_deinit(&value);
    if (status != TRI_OK && status != TRI_BUSY)
        sim_tell(sim, self->client->node.name, "%s takes no more: %s", self->batch->name,
                 error.text);
    return status;
}

static void add(struct sim *sim, struct job *self)
{
    enum tri_status status;

    if (self->is_sealed || sim->now < self->add_at)
        return;
    status = add_burst(sim, self);
    if (status != TRI_OK && status != TRI_BUSY) {
        self->is_sealed = true; /* it was stopped, or sealed while we were away */
    } else if (self->added == self->batch->count) {
        status = tri_follow_seal(self->follow, NULL);
        tri_assert(status == TRI_OK || status == TRI_CLOSED); /* it was stopped */
        self->is_sealed = true;
    } else if (status == TRI_OK) {
        self->add_at = sim->now + self->batch->add_every_us;
    }
}

/* ---- results -------------------------------------------------------------------------------- */

/* Once more, from the beginning: in the last round as the owner that it was. */
static void end_round(struct job *self, bool retries)
{
    self->rounds = retries ? self->rounds - 1 : 0;
    self->owner = self->rounds == 0;
    self->state = JOB_RETRYING;
}

static void finish_reading(struct sim *sim, struct job *self)
{
    struct tri_batch_summary summary;
    struct tri_buffer reduced = { 0 };
    bool is_reduced = self->whole && self->batch->reducer != NULL;

    tri_follow_summary(self->follow, &summary);
    is_reduced = is_reduced && tri_follow_reduced(self->follow, &reduced, NULL) == TRI_OK;
    tri_buffer_append(&reduced, "", 1);
    checker_reader_ends(sim, self->reader, &summary,
                        is_reduced ? (const char *)reduced.data : NULL);
    tri_buffer_deinit(&reduced);
    sim_tell(sim, self->client->node.name, "%s is over: ok %llu, failed %llu, cancelled %llu",
             self->batch->name, (unsigned long long)summary.ok, (unsigned long long)summary.failed,
             (unsigned long long)summary.cancelled);
    if (self->rounds != 0) {
        end_round(self, summary.failed != 0);
        return;
    }
    if (self->batch->rounds != 0 && self->watches && self->owner) {
        close(self); /* and stays connected, which must not hold up what is retried */
        self->state = JOB_SITTING;
        return;
    }
    if (!self->owner || self->retried || !self->batch->retry || summary.failed == 0) {
        self->state = JOB_SITTING;
        return;
    }
    self->retried = true;
    self->state = JOB_RETRYING;
}

/* TRI_OK: a run or a result was taken. */
static enum tri_status take_one(struct sim *sim, struct job *self, tri_time now_ms)
{
    struct tri_task_result result;
    struct tri_result_run run;
    struct tri_error error;
    enum tri_status status = TRI_EMPTY;

    if (self->batch->by_runs)
        status = tri_follow_next_run(self->follow, now_ms, &run, &error);
    if (self->batch->by_runs && status == TRI_OK) {
        checker_run(sim, self->reader, &run);
        return status;
    }
    if (status == TRI_EMPTY)
        status = tri_follow_next(self->follow, now_ms, &result, &error);
    if (status == TRI_OK)
        checker_result(sim, self->reader, &result);
    else if (status != TRI_EMPTY && status != TRI_CLOSED)
        on_refused(sim, self, &error);
    return status;
}

static void take(struct sim *sim, struct job *self, tri_time now_ms)
{
    enum tri_status status = TRI_OK;

    if (self->rounds != 0 && sim->now >= self->hurry_at) {
        end_round(self, true);
        return;
    }
    if (sim->now < self->take_at)
        return;
    for (uint64_t i = 0; i < self->batch->take_burst && status == TRI_OK; i++)
        status = take_one(sim, self, now_ms);
    if (status == TRI_OK)
        self->take_at = sim->now + self->batch->take_every_us;
    if (status != TRI_CLOSED)
        return;
    tri_follow_finish(self->follow, now_ms);
    finish_reading(sim, self);
}

/* Nothing comes to who has only submitted: when all is durable, it looks for the results. */
static void leave(struct sim *sim, struct job *self)
{
    struct tri_error error;
    enum tri_status status = tri_follow_durable(self->follow, &error);

    if (status == TRI_EMPTY || !self->is_sealed)
        return;
    if (status == TRI_OK)
        checker_durable(sim, self->batch, self->added, false);
    self->submits = false;
    self->owner = self->rounds == 0;
    open_again(sim, self, sim_skewed(sim, SIM_MS, 5 * SIM_S));
}

/* ---- requests ------------------------------------------------------------------------------- */

static void cancel(struct sim *sim, struct job *self, tri_time now_ms)
{
    const struct plan_batch *batch = self->batch;
    const struct tri_range range = { batch->cancel_first, batch->cancel_count };
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL };

    if (self->cancel != NULL && tri_request_outcome(self->cancel, NULL) != TRI_EMPTY)
        tri_request_close(&self->cancel);
    if (self->cancel_at == 0 || sim->now < self->cancel_at || checker_number(sim, batch) == 0)
        return;
    self->cancel_at = 0;
    message.cancel.number = checker_number(sim, batch);
    if (batch->cancel_count != 0)
        message.cancel.tasks = tri_ranges_of(&range, 1);
    tri_assert(tri_session_request(self->client->session, now_ms, &message, true, &self->cancel)
               == TRI_OK);
}

/* Ask once; true when it has been answered, whatever the answer was. */
static bool ask(struct job *self, tri_time now_ms, const struct tri_message *message, bool repeat)
{
    if (self->request == NULL) {
        tri_assert(
            tri_session_request(self->client->session, now_ms, message, repeat, &self->request)
            == TRI_OK);
        return false;
    }
    if (tri_request_outcome(self->request, NULL) == TRI_EMPTY)
        return false;
    tri_request_close(&self->request);
    return true;
}

static void retry(struct sim *sim, struct job *self, tri_time now_ms)
{
    struct tri_message message = { .type = TRI_MESSAGE_RETRY };
    struct tri_range tasks = { 0, 0 };

    message.retry.number = checker_number(sim, self->batch);
    if (self->request == NULL && self->batch->rounds != 0)
        tasks = coda_choose(sim, self->batch->count);
    if (tasks.count != 0)
        message.retry.tasks = tri_ranges_of(&tasks, 1);
    if (!ask(self, now_ms, &message, false))
        return;
    self->submits = false;
    open_again(sim, self, 0);
}

static void forget(struct sim *sim, struct job *self, tri_time now_ms)
{
    struct tri_message message = { .type = TRI_MESSAGE_FORGET };

    message.forget.number = checker_number(sim, self->batch);
    if (ask(self, now_ms, &message, true))
        self->state = JOB_OVER;
}

/* ---- turns ---------------------------------------------------------------------------------- */

void job_turn(struct sim *sim, struct job *self, tri_time now_ms)
{
    cancel(sim, self, now_ms);
    switch (self->state) {
    case JOB_WAITING:
        open(sim, self, now_ms);
        break;
    case JOB_OPENING:
        await_opening(sim, self);
        break;
    case JOB_WORKING:
        if (!self->submits || !self->batch->detached)
            take(sim, self, now_ms);
        if (self->state == JOB_WORKING && self->submits)
            add(sim, self);
        if (self->state == JOB_WORKING && self->submits && self->batch->detached)
            leave(sim, self);
        break;
    case JOB_RETRYING:
        retry(sim, self, now_ms);
        break;
    case JOB_FORGETTING:
        forget(sim, self, now_ms);
        break;
    case JOB_SITTING:
    case JOB_OVER:
        break;
    }
}

uint64_t job_deadline(const struct sim *sim, const struct job *self)
{
    uint64_t at = self->cancel_at != 0 && checker_number(sim, self->batch) != 0 ? self->cancel_at
                                                                                : UINT64_MAX;

    if (self->state == JOB_WAITING && self->at < at)
        at = self->at;
    if (self->state == JOB_WORKING && self->take_at > sim->now && self->take_at < at)
        at = self->take_at;
    if (self->state == JOB_WORKING && !self->is_sealed && self->add_at > sim->now
        && self->add_at < at)
        at = self->add_at;
    if (self->state == JOB_WORKING && self->rounds != 0 && self->hurry_at < at)
        at = self->hurry_at;
    if ((self->state == JOB_RETRYING || self->state == JOB_FORGETTING) && self->request == NULL)
        at = sim->now;
    return at > sim->now ? at : sim->now + 1;
}

void job_drop(struct job *self)
{
    tri_request_close(&self->cancel);
    tri_request_close(&self->request);
    close(self);
}

void job_look_again(struct job *self, uint64_t at)
{
    close(self);
    self->submits = self->owner = false;
    self->rounds = 0;
    self->state = JOB_WAITING;
    self->at = at;
}

/* As a person would: `trireme list`, then `wait` for what is there, and submit again what is not.
 */
void job_resume(struct sim *sim, struct job *self)
{
    if (self->client->lives == 1 || self->state == JOB_WAITING || self->state == JOB_SITTING
        || self->state == JOB_FORGETTING || self->state == JOB_OVER)
        return;
    if (checker_number(sim, self->batch) != 0)
        self->submits = false;
    self->state = JOB_WAITING;
    self->at = sim->now;
}
