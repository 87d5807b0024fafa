#include "tests/sim/client.h"

#include "common/assert.h"
#include "tests/sim/confused.h"
#include "tests/sim/rough.h"
#include "tests/sim/tale.h"

#include <stdio.h>
#include <stdlib.h>

#define GIVE_UP_MS (UINT64_C(3600) * 1000)
#define EFFECTS_AT_ONCE 100000
#define TURNS_AT_ONCE 20000 /* without a millisecond passing: it does not sleep */

static void wake_up(struct sim *sim, struct client *self);

/* ---- effects -------------------------------------------------------------------------------- */

static void receive(struct sim *sim, void *context, struct tri_frame *const *frames, size_t count)
{
    struct client *self = context;
    struct tri_message message;
    struct tri_error error;
    struct tri_frame *body = count > 1 ? tri_frame_ref(frames[1]) : NULL;
    bool taken = false;
    enum tri_status status = tri_message_decode(frames[0]->bytes, &message, &error);

    tri_assert(status == TRI_OK);
    tale_message(sim, "broker", self->node.name, &message, frames, count);
    checker_client_gets(sim, &message);
    status = tri_session_receive(self->session, sim_clock_ms(sim, &self->node), frames[0]->bytes,
                                 body != NULL ? &body->bytes : NULL, body, &taken, &error);
    tri_assert(status == TRI_OK);
    if (!taken)
        tri_frame_unref(body);
    wake_up(sim, self);
}

static void send(struct sim *sim, struct client *self, const struct tri_client_effect *effect)
{
    struct tri_frame *frames[2];
    struct tri_message message;
    enum tri_status status = tri_message_decode(effect->frames[0], &message, NULL);

    tri_assert(status == TRI_OK && self->socket != NULL);
    for (size_t i = 0; i < effect->frame_count; i++)
        frames[i] = tri_frame_copy(effect->frames[i]);
    checker_client_sends(sim, &message, frames, effect->frame_count);
    net_send(sim, self->socket, frames, effect->frame_count);
    confused_says(sim, false, self->number, &message, frames, effect->frame_count);
    for (size_t i = 0; i < effect->frame_count; i++)
        tri_frame_unref(frames[i]);
}

static void perform(struct sim *sim, struct client *self, const struct tri_client_effect *effect)
{
    switch (effect->type) {
    case TRI_CLIENT_CONNECT:
        net_close(sim, &self->socket, false);
        self->socket = net_open(sim, &self->node, receive, self);
        break;
    case TRI_CLIENT_SEND:
        send(sim, self, effect);
        break;
    case TRI_CLIENT_RELEASE:
        tri_frame_unref(effect->token);
        break;
    case TRI_CLIENT_NOTICE:
        sim_tell(sim, self->node.name, "notice: %s", effect->text);
        break;
    }
}

static void perform_all(struct sim *sim, struct client *self)
{
    struct tri_client_effect effect;
    unsigned count = 0;

    while (tri_session_effect(self->session, sim_clock_ms(sim, &self->node), &effect) == TRI_OK) {
        perform(sim, self, &effect);
        if (++count > EFFECTS_AT_ONCE)
            sim_fail(sim, "%s has no end of things to say", self->node.name);
    }
}

/* ---- questions ------------------------------------------------------------------------------ */

static void ask(struct sim *sim, struct client *self, tri_time now_ms)
{
    static const enum tri_message_type types[] = { TRI_MESSAGE_LIST, TRI_MESSAGE_SHOW,
                                                   TRI_MESSAGE_EXPLAIN, TRI_MESSAGE_WORKERS };
    struct tri_message message = { .type = types[sim_between(sim, 0, 3)] };

    if (rough_asks(sim, self, now_ms))
        return;
    if (message.type == TRI_MESSAGE_SHOW)
        message.show.number = sim_between(sim, 1, sim->plan->batch_count);
    if (message.type == TRI_MESSAGE_EXPLAIN)
        message.explain.number = sim_between(sim, 1, sim->plan->batch_count);
    tri_assert(tri_session_request(self->session, now_ms, &message, true, &self->question)
               == TRI_OK);
}

static void be_curious(struct sim *sim, struct client *self, tri_time now_ms)
{
    if (self->question != NULL && tri_request_outcome(self->question, NULL) != TRI_EMPTY) {
        rough_hears(sim, self);
        tri_request_close(&self->question);
    }
    if (self->question != NULL || sim->now < self->ask_at)
        return;
    self->ask_at = sim->now + sim_skewed(sim, 100 * SIM_MS, 20 * SIM_S);
    ask(sim, self, now_ms);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void plan_wake(struct sim *sim, struct client *self)
{
    tri_time session = tri_session_deadline(self->session);
    uint64_t at = self->question == NULL ? self->ask_at : UINT64_MAX;

    for (size_t i = 0; i < self->job_count; i++) {
        uint64_t job = job_deadline(sim, &self->jobs[i]);

        at = job < at ? job : at;
    }
    sim_at_clock(sim, &self->node, &self->wake, session);
    if (!tri_heap_is_linked(&self->wake.node) || self->wake.node.key > at)
        sim_at(sim, &self->wake, at);
}

/* The application does what is due, then waits: as around any poll loop. */
static void turn(struct sim *sim, struct client *self)
{
    tri_time now_ms = sim_clock_ms(sim, &self->node);

    self->turns = self->turn_ms == now_ms ? self->turns + 1 : 0;
    self->turn_ms = now_ms;
    if (self->turns > TURNS_AT_ONCE)
        sim_fail(sim, "%s does not sleep, and has nothing to do", self->node.name);
    tri_session_tick(self->session, now_ms);
    for (size_t i = 0; i < self->job_count; i++)
        job_turn(sim, &self->jobs[i], now_ms);
    be_curious(sim, self, now_ms);
    tri_assert(tri_session_settle(self->session, now_ms) == TRI_OK);
    perform_all(sim, self);
    plan_wake(sim, self);
}

static void on_wake(struct sim *sim, void *context)
{
    struct client *self = context;

    if (!sim_defers(sim, &self->node, &self->wake, true))
        turn(sim, self);
}

/* Something came: look at it as soon as nothing else comes. */
static void wake_up(struct sim *sim, struct client *self)
{
    if (!tri_heap_is_linked(&self->wake.node) || self->wake.node.key > sim->now + 1)
        sim_at(sim, &self->wake, sim->now + 1);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void start(struct sim *sim, void *context)
{
    struct client *self = context;
    struct tri_session_options options = { .name = self->node.name, .software = "sim/1" };

    self->lives++;
    snprintf((char *)options.instance.bytes, 16, "c%llu.%llu", (unsigned long long)self->number,
             (unsigned long long)self->lives);
    options.pid = self->lives;
    options.endpoint_count = 1;
    options.seed = tri_prng_next(&sim->prng);
    options.give_up_ms = GIVE_UP_MS;
    tri_assert(tri_session_new(&self->session, &options, sim_clock_ms(sim, &self->node)) == TRI_OK);
    sim_tell(sim, self->node.name, "starts, life %llu", (unsigned long long)self->lives);
    self->ask_at = sim->now + sim_skewed(sim, 100 * SIM_MS, 20 * SIM_S);
    for (size_t i = 0; i < self->job_count; i++)
        job_resume(sim, &self->jobs[i]);
    sim_after(sim, &self->wake, 0);
}

static void stop(struct sim *sim, struct client *self)
{
    struct tri_client_effect effect;

    for (size_t i = 0; i < self->job_count; i++)
        job_drop(&self->jobs[i]);
    tri_request_close(&self->question);
    self->asked_about = NULL;
    tri_session_close(self->session);
    while (tri_session_effect(self->session, sim_clock_ms(sim, &self->node), &effect) == TRI_OK)
        if (effect.type == TRI_CLIENT_RELEASE)
            tri_frame_unref(effect.token);
    tri_session_destroy(&self->session);
    net_close(sim, &self->socket, false);
    sim_cancel(sim, &self->wake);
}

static struct job *add_job(struct client *self, const struct plan_batch *batch, uint64_t at)
{
    struct job *job = &self->jobs[self->job_count++];

    tri_assert(self->job_count <= JOBS_MAX);
    *job = (struct job){ .client = self, .batch = batch, .at = at };
    return job;
}

static void await_encore(struct job *job)
{
    job->at = UINT64_MAX;
    job->cancel_at = 0;
}

static void add_jobs_of(struct sim *sim, struct client *self, const struct plan_batch *batch)
{
    size_t count = self->job_count;

    if (batch->client == self->number) {
        struct job *job = add_job(self, batch, batch->submit_at);

        job->submits = job->owner = true;
        job->cancel_at = batch->cancel_at;
        job->rounds = batch->rounds;
    } else if (batch->watcher == self->number) {
        struct job *job = add_job(self, batch, batch->watch_at);

        job->watches = true;
        job->owner = batch->takeover;
    }
    if (self->job_count != count && batch->id >= sim->plan->encore_from)
        await_encore(&self->jobs[count]);
}

static struct client *client_new(struct sim *sim, uint64_t number)
{
    struct client *self = tri_alloc(1, sizeof(*self));

    snprintf(self->node.name, sizeof(self->node.name), "c%llu", (unsigned long long)number);
    self->node.clock_ms = sim_skewed(sim, 1, UINT64_C(1) << 34);
    sim_drift(sim, &self->node, 20000);
    self->number = number;
    self->wake = (struct sim_timer){ .fire = on_wake, .context = self };
    self->start = (struct sim_timer){ .fire = start, .context = self };
    for (uint64_t i = 0; i < sim->plan->batch_count; i++)
        add_jobs_of(sim, self, &sim->plan->batches[i]);
    sim_after(sim, &self->start, 0);
    return self;
}

void client_begin(struct sim *sim)
{
    sim->clients = tri_alloc(sim->plan->client_count, sizeof(sim->clients[0]));
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        sim->clients[i] = client_new(sim, i);
}

void client_end(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++) {
        struct client *self = sim->clients[i];

        if (self->session != NULL)
            stop(sim, self);
        sim_cancel(sim, &self->start);
        free(self);
    }
    free(sim->clients);
    sim->clients = NULL;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool all_at(const struct sim *sim, enum job_state state)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        for (size_t j = 0; j < sim->clients[i]->job_count; j++)
            if (sim->clients[i]->jobs[j].state < state && sim->clients[i]->jobs[j].at != UINT64_MAX)
                return false;
    return true;
}

bool client_all_read(const struct sim *sim)
{
    return all_at(sim, JOB_SITTING);
}

bool client_all_over(const struct sim *sim)
{
    return all_at(sim, JOB_OVER);
}

static void begin_encore(struct sim *sim, struct client *client, struct job *job)
{
    const struct plan_batch *batch = job->batch;

    job->at = sim->now + (job->submits ? 0 : batch->watch_at - batch->submit_at);
    if (job->submits && batch->cancel_at != 0)
        job->cancel_at = sim->now + batch->cancel_at - batch->submit_at;
    if (client->session != NULL)
        sim_after(sim, &client->wake, 0);
}

void client_add_jobs(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        add_jobs_of(sim, sim->clients[i], &sim->plan->batches[sim->plan->encore_from]);
}

bool client_encore(struct sim *sim)
{
    uint64_t next = sim->plan->encore_from++;

    if (next >= sim->plan->batch_count)
        return false;
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        for (size_t j = 0; j < sim->clients[i]->job_count; j++)
            if (sim->clients[i]->jobs[j].batch->id == next)
                begin_encore(sim, sim->clients[i], &sim->clients[i]->jobs[j]);
    return true;
}

bool client_works(const struct sim *sim, const struct job *job)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        for (size_t j = 0; j < sim->clients[i]->job_count; j++) {
            const struct job *other = &sim->clients[i]->jobs[j];

            if (other != job && other->batch == job->batch && other->owner
                && other->state != JOB_WAITING && other->state < JOB_SITTING)
                return true;
        }
    return false;
}

void client_look_again(struct sim *sim, struct client *self, uint64_t at)
{
    for (size_t i = 0; i < self->job_count; i++)
        if (self->jobs[i].state == JOB_SITTING)
            job_look_again(&self->jobs[i], at);
    if (self->session != NULL)
        sim_after(sim, &self->wake, 0);
}

void client_forget_all(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++) {
        struct client *self = sim->clients[i];

        for (size_t j = 0; j < self->job_count; j++)
            self->jobs[j].state =
                self->jobs[j].watches || checker_number(sim, self->jobs[j].batch) == 0
                    ? JOB_OVER
                    : JOB_FORGETTING;
        sim_after(sim, &self->wake, 0);
    }
}

void client_tell(const struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->client_count; i++) {
        const struct client *self = sim->clients[i];

        for (size_t j = 0; j < self->job_count; j++) {
            const struct job *job = &self->jobs[j];
            struct tri_batch_summary summary = { 0 };

            if (job->state >= JOB_SITTING)
                continue;
            if (job->follow != NULL)
                tri_follow_summary(job->follow, &summary);
            fprintf(stderr,
                    "  %s, life %llu: %s %s%s: count %llu, pending %llu, running %llu, ok %llu, "
                    "failed %llu, cancelled %llu; added %llu of %llu\n",
                    self->node.name, (unsigned long long)self->lives, job->batch->name,
                    job_state_text(job->state), job->owner ? " (owner)" : "",
                    (unsigned long long)summary.count, (unsigned long long)summary.pending,
                    (unsigned long long)summary.running, (unsigned long long)summary.ok,
                    (unsigned long long)summary.failed, (unsigned long long)summary.cancelled,
                    (unsigned long long)job->added, (unsigned long long)job->batch->count);
        }
    }
}

/* ---- faults --------------------------------------------------------------------------------- */

void client_crash(struct sim *sim, struct client *self, uint64_t down_us)
{
    if (self->session == NULL)
        return;
    stop(sim, self);
    sim_after(sim, &self->start, down_us);
}

void client_revive(struct sim *sim, struct client *self)
{
    if (self->session == NULL && tri_heap_is_linked(&self->start.node))
        sim_after(sim, &self->start, 0);
}
