#include "tests/sim/worker.h"

#include "common/assert.h"
#include "tests/sim/checker.h"
#include "tests/sim/confused.h"
#include "tests/sim/host.h"
#include "tests/sim/tale.h"

#include <stdio.h>
#include <stdlib.h>

/* Once may have been an accident; five times more, and a batch that came no further is given up
 * (worker/session/deaths.c, batches.c). */
#define LAUNCHERS_BORNE 5

static const struct session_handler handlers[] = {
    { .name = "echo", .argument = TRI_ANY },
    { .name = "rare", .argument = TRI_ANY, .flags = HANDLER_WAITS },
};
static const char *const labels[] = { "gpu" };

static void bury(struct sim *sim, struct worker *self, bool linger);

/* ---- effects -------------------------------------------------------------------------------- */

static void send(struct sim *sim, struct worker *self, const struct session_effect *effect)
{
    struct tri_message message;
    enum tri_status status;

    if (self->socket == NULL)
        return;
    status = tri_message_decode(effect->frames[0]->bytes, &message, NULL);
    tri_assert(status == TRI_OK);
    checker_worker_sends(sim, self, &message, effect->frames, effect->frame_count);
    net_send(sim, self->socket, effect->frames, effect->frame_count);
    confused_says(sim, true, self->number, &message, effect->frames, effect->frame_count);
}

static void reconnect(struct sim *sim, struct worker *self, uint64_t after_ms)
{
    net_close(sim, &self->socket, false);
    sim_after(sim, &self->connect, after_ms * SIM_MS);
}

static void perform(struct sim *sim, struct worker *self, const struct session_effect *effect)
{
    switch (effect->type) {
    case SESSION_DO_SEND:
        send(sim, self, effect);
        break;
    case SESSION_DO_CONNECT:
        reconnect(sim, self, effect->after_ms);
        break;
    case SESSION_DO_HOST_START:
        host_start(sim, self, effect);
        break;
    case SESSION_DO_HOST_SEND:
        host_hear(sim, self, effect);
        break;
    case SESSION_DO_HOST_KILL:
        host_kill(sim, self, effect);
        break;
    case SESSION_DO_HOST_END:
        host_end(sim, self, effect->host);
        break;
    case SESSION_DO_EXIT:
        self->is_over = true;
        break;
    case SESSION_DO_TRACE:
        sim_tell(sim, self->node.name, "%s", effect->text);
        break;
    }
}

void worker_step(struct sim *sim, struct worker *self, struct session_event *event)
{
    struct session_effects effects;

    if (self->session == NULL || self->is_over)
        return;
    event->now = sim_clock_ms(sim, &self->node);
    effects = session_step(self->session, event);
    for (size_t i = 0; i < effects.count; i++)
        perform(sim, self, &effects.items[i]);
    if (!self->is_over)
        session_check(self->session);
    sim_at_clock(sim, &self->node, &self->tick,
                 self->is_over ? event->now : session_deadline(self->session));
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_tick(struct sim *sim, void *context)
{
    struct worker *self = context;
    struct session_event event = { .type = SESSION_TICK };
    struct session_task *started;

    if (sim_defers(sim, &self->node, &self->tick, true))
        return;
    if (self->is_over) {
        bury(sim, self, true);
        return;
    }
    event.started_count = host_gather(sim, &self->hosts, &started);
    event.started = started;
    worker_step(sim, self, &event);
    free(started);
}

static void receive(struct sim *sim, void *context, struct tri_frame *const *frames, size_t count)
{
    struct worker *self = context;
    struct session_event event = { .type = SESSION_MESSAGE };
    struct tri_message message;
    enum tri_status status = tri_message_decode(frames[0]->bytes, &message, NULL);

    tri_assert(status == TRI_OK);
    tale_message(sim, "broker", self->node.name, &message, frames, count);
    checker_worker_gets(sim, self, &message);
    event.message = &message;
    event.frames = frames + 1;
    event.frame_count = count - 1;
    worker_step(sim, self, &event);
}

static void on_connect(struct sim *sim, void *context)
{
    struct worker *self = context;

    if (sim_defers(sim, &self->node, &self->connect, true))
        return;
    self->socket = net_open(sim, &self->node, receive, self);
    worker_step(sim, self, &(struct session_event){ .type = SESSION_CONNECTED });
}

/* ---- life ----------------------------------------------------------------------------------- */

static void start(struct sim *sim, void *context)
{
    struct worker *self = context;
    struct session_options options;

    self->lives++;
    self->launchers_lost = 0;
    snprintf((char *)self->instance.bytes, 16, "w%llu.%llu", (unsigned long long)self->number,
             (unsigned long long)self->lives);
    session_options_init(&options);
    options.name = self->node.name;
    options.instance = self->instance;
    options.pid = self->lives;
    options.seed = tri_prng_next(&sim->prng);
    options.handlers = handlers;
    options.handler_count = self->plan->has_rare ? 2 : 1;
    options.labels = labels;
    options.label_count = self->plan->has_label ? 1 : 0;
    options.machine.cores = self->plan->cores;
    options.machine.width_max = self->plan->width_max;
    options.machine.model = self->plan->model;
    options.recycle_count = self->plan->recycle_count;
    options.idle_ms = 5000;
    self->session = session_new(&options);
    self->is_leaving = self->is_over = false;
    sim_tell(sim, self->node.name, "starts, life %llu", (unsigned long long)self->lives);
    sim_after(sim, &self->connect, 0);
}

/* Nothing of this life is left; the next one begins when it is time. */
static void bury(struct sim *sim, struct worker *self, bool linger)
{
    host_clear(sim, &self->hosts);
    net_close(sim, &self->socket, linger);
    sim_cancel(sim, &self->tick);
    sim_cancel(sim, &self->connect);
    session_destroy(&self->session);
    checker_worker_dies(sim, self);
    if (!tri_heap_is_linked(&self->start.node))
        sim_after(sim, &self->start, sim_skewed(sim, 10 * SIM_MS, 10 * SIM_S));
}

static struct worker *worker_new(struct sim *sim, uint64_t number)
{
    struct worker *self = tri_alloc(1, sizeof(*self));

    snprintf(self->node.name, sizeof(self->node.name), "w%llu", (unsigned long long)number);
    self->node.clock_ms = sim_skewed(sim, 1, UINT64_C(1) << 34);
    sim_drift(sim, &self->node, 20000);
    self->plan = &sim->plan->workers[number];
    self->number = number;
    self->tick = (struct sim_timer){ .fire = on_tick, .context = self };
    self->connect = (struct sim_timer){ .fire = on_connect, .context = self };
    self->start = (struct sim_timer){ .fire = start, .context = self };
    tri_dlist_init(&self->hosts);
    sim_at(sim, &self->start, self->plan->join_at);
    return self;
}

void worker_begin(struct sim *sim)
{
    sim->workers = tri_alloc(sim->plan->worker_count, sizeof(sim->workers[0]));
    for (uint64_t i = 0; i < sim->plan->worker_count; i++)
        sim->workers[i] = worker_new(sim, i);
}

void worker_end(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->plan->worker_count; i++) {
        struct worker *self = sim->workers[i];

        if (self->session != NULL)
            bury(sim, self, false);
        sim_cancel(sim, &self->start);
        free(self);
    }
    free(sim->workers);
    sim->workers = NULL;
}

/* ---- faults --------------------------------------------------------------------------------- */

void worker_crash(struct sim *sim, struct worker *self, uint64_t down_us)
{
    if (self->session == NULL)
        return;
    sim_after(sim, &self->start, down_us);
    bury(sim, self, false);
}

void worker_drain(struct sim *sim, struct worker *self)
{
    self->is_leaving = true;
    worker_step(sim, self, &(struct session_event){ .type = SESSION_DRAIN });
}

void worker_stop(struct sim *sim, struct worker *self)
{
    worker_step(sim, self, &(struct session_event){ .type = SESSION_STOP });
}

void worker_lose_launcher(struct sim *sim, struct worker *self)
{
    if (self->session == NULL)
        return;
    host_clear(sim, &self->hosts);
    self->launchers_lost++;
    self->is_unlucky = self->is_unlucky || self->launchers_lost > LAUNCHERS_BORNE;
    worker_step(sim, self, &(struct session_event){ .type = SESSION_LAUNCHER_GONE });
}

void worker_revive(struct sim *sim, struct worker *self)
{
    if (self->session == NULL && tri_heap_is_linked(&self->start.node))
        sim_after(sim, &self->start, 0);
}
