/* The oars of a host: tasks begin, take their time, and end as the plan says. */
#include "tests/sim/host_state.h"

#include "common/assert.h"
#include "tests/sim/checker.h"

#include <signal.h>
#include <stdlib.h>

#define RUN_US (2 * SIM_MS) /* short tasks are taken many at once */
#define RUN_TASKS 2000
#define STALL_MS 500u /* as the worker's session is told */
#define TIDY_MS 5000u /* more for a host of one oar, which ends its task itself */

/* ---- ending --------------------------------------------------------------------------------- */

static bool is_busy(const struct host *self)
{
    for (uint64_t i = 0; i < self->width; i++)
        if (self->oars[i].lease != NULL)
            return true;
    return false;
}

static bool is_manned(const struct host *self, const struct lease *lease)
{
    for (uint64_t i = 0; i < self->width; i++)
        if (self->oars[i].lease == lease)
            return true;
    return false;
}

static void flush_all(struct sim *sim, struct host *self)
{
    tri_dlist_foreach(&self->leases, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, node);

        lease_flush(sim, self, lease);
        if (lease->left == 0 && !is_manned(self, lease))
            lease_free(self, lease);
    }
}

static void finish_run(struct host *self, struct oar *oar)
{
    for (uint64_t i = 0; i < oar->count; i++)
        if (oar->lease->states[oar->first + i - oar->lease->first] == TASK_RUNNING)
            lease_succeed(self, oar->lease, oar->first + i, (oar->ends - oar->began) / oar->count);
    oar->lease = NULL;
}

/* Its threads are lost to tasks that do not end: another host is wanted. */
static void ask_for_relief(struct sim *sim, struct host *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    if (self->draining)
        return;
    self->draining = true;
    host_say(sim, self, &message, NULL);
    tri_dlist_foreach(&self->leases, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, node);

        lease_release(sim, self, lease, (struct tri_range){ lease->first, lease->count });
    }
}

static void time_out(struct sim *sim, struct host *self, struct oar *oar)
{
    bool clings = oar->deed.kind == DEED_STUCK || sim_chance(sim, SIM_ALWAYS / 8);

    lease_fail(oar->lease, oar->first, TRI_OUTCOME_TIMEOUT, "ran out of time");
    oar->lease = NULL;
    if (self->model == TRI_MODEL_THREAD && self->width > 1 && clings)
        ask_for_relief(sim, self);
}

/* The shell's watch has seen enough. */
static void report_stuck(struct sim *sim, struct host *self, struct oar *oar)
{
    struct session_event event = { .type = SESSION_HOST_STALLED, .host = self->id };

    event.stalled = (struct session_task){ oar->lease->id, oar->first };
    worker_step(sim, self->worker, &event);
}

static bool holds_its_host(const struct host *self)
{
    return self->model == TRI_MODEL_ASYNC || self->width == 1;
}

static void end_run(struct sim *sim, struct host *self, struct oar *oar)
{
    struct deed deed = oar->deed;

    if (deed.kind == DEED_OK) {
        finish_run(self, oar);
    } else if (deed.kind == DEED_FAIL || deed.kind == DEED_TOO_LARGE) {
        lease_fail(oar->lease, oar->first,
                   deed.kind == DEED_FAIL ? TRI_OUTCOME_FAILED : TRI_OUTCOME_TOO_LARGE,
                   plan_deed_text(deed.kind));
        oar->lease = NULL;
    } else if (deed.kind == DEED_SPIN || deed.kind == DEED_STUCK) {
        time_out(sim, self, oar);
    } else {
        self->has_culprit = deed.kind == DEED_CRASH;
        self->culprit = (struct session_task){ oar->lease->id, oar->first };
        sim_tell(sim, self->worker->node.name, "host %llu: task %llu %s",
                 (unsigned long long)self->id, (unsigned long long)oar->first,
                 deed.kind == DEED_CRASH ? "crashes" : "kills it");
        host_die(sim, self, deed.kind == DEED_CRASH ? SIGSEGV : SIGKILL);
    }
}

static void on_oar(struct sim *sim, void *context)
{
    struct oar *oar = context;
    struct host *self = oar->host;

    if (oar->deed.kind == DEED_STUCK && holds_its_host(self)) {
        if (!sim_defers(sim, &self->worker->node, &oar->timer, true))
            report_stuck(sim, self, oar);
        return;
    }
    if (self->frozen)
        return;
    checker_host_works(sim, self->worker);
    end_run(sim, self, oar);
    if (!self->dead)
        host_row(sim, self);
}

/* ---- beginning ------------------------------------------------------------------------------ */

static struct lease *next_lease(struct host *self)
{
    tri_dlist_foreach(&self->leases, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, node);

        while (lease->cursor < lease->first + lease->count
               && lease->states[lease->cursor - lease->first] != TASK_QUEUED)
            lease->cursor++;
        if (lease->cursor < lease->first + lease->count)
            return lease;
    }
    return NULL;
}

static struct deed begin_task(struct sim *sim, struct host *self, struct lease *lease, uint64_t i)
{
    struct tri_buffer argument = { 0 };

    lease_argument(self, lease, i, &argument);
    checker_host_begins(sim, self->worker);
    checker_task_begins(sim, self->worker, self->batch, lease->generation, i, lease->attempt,
                        tri_buffer_bytes(&argument));
    tri_buffer_deinit(&argument);
    lease->states[i - lease->first] = TASK_RUNNING;
    sim->counts.tasks++;
    return plan_deed(self->batch, lease->generation, i, lease->attempt);
}

/* How long the deed holds its oar. */
static uint64_t time_of(const struct host *self, const struct deed *deed)
{
    uint64_t ms = self->timeout_ms;

    if (deed->kind == DEED_STUCK && holds_its_host(self))
        ms += STALL_MS + (self->model == TRI_MODEL_ASYNC ? 0 : TIDY_MS);
    return deed->kind == DEED_SPIN || deed->kind == DEED_STUCK ? ms * SIM_MS : deed->us;
}

/* A run of short tasks that all end well, or one task of any kind. */
static void grab(struct sim *sim, struct host *self, struct oar *oar, struct lease *lease)
{
    uint64_t us;

    oar->lease = lease;
    oar->first = lease->cursor++;
    oar->count = 1;
    oar->deed = begin_task(sim, self, lease, oar->first);
    us = time_of(self, &oar->deed);
    while (oar->deed.kind == DEED_OK && us < RUN_US && oar->count < RUN_TASKS
           && lease->cursor < lease->first + lease->count
           && lease->states[lease->cursor - lease->first] == TASK_QUEUED) {
        struct deed next = plan_deed(self->batch, lease->generation, lease->cursor, lease->attempt);

        if (next.kind != DEED_OK || us + next.us > RUN_US)
            break;
        begin_task(sim, self, lease, lease->cursor++);
        oar->count++;
        us += next.us;
    }
    oar->began = sim->now;
    oar->ends = sim->now + us;
    sim_at(sim, &oar->timer, oar->ends);
    self->frozen = oar->deed.kind == DEED_STUCK && holds_its_host(self);
}

static void row_oar(struct sim *sim, struct host *self, struct oar *oar)
{
    struct lease *lease = next_lease(self);

    oar->host = self;
    oar->timer.fire = on_oar;
    oar->timer.context = oar;
    if (lease != NULL)
        grab(sim, self, oar, lease);
}

static size_t waiting_bytes(const struct host *self)
{
    size_t bytes = 0;

    tri_dlist_foreach(&self->leases, node)
    {
        const struct lease *lease = tri_container_of(node, struct lease, node);

        bytes += lease->values.size + lease->entries.size;
    }
    return bytes;
}

void host_row(struct sim *sim, struct host *self)
{
    for (uint64_t i = 0; i < self->width && !self->frozen && !self->draining; i++)
        if (self->oars[i].lease == NULL)
            row_oar(sim, self, &self->oars[i]);
    if (self->frozen)
        return;
    if (!is_busy(self) || waiting_bytes(self) >= HOST_FLUSH_BYTES)
        flush_all(sim, self);
    else if (!tri_heap_is_linked(&self->flush.node))
        sim_after(sim, &self->flush, HOST_FLUSH_US);
}

/* ---- stopping ------------------------------------------------------------------------------- */

void host_cancel(struct sim *sim, struct host *self, struct lease *lease, struct tri_range range)
{
    for (uint64_t i = range.first; i < range.first + range.count; i++) {
        uint8_t *state = &lease->states[i - lease->first];

        if (i - lease->first >= lease->count || *state == TASK_OVER)
            continue;
        *state = TASK_OVER;
        lease->left--;
    }
    for (uint64_t i = 0; i < self->width; i++) {
        struct oar *oar = &self->oars[i];

        /* Of a run the others are finished; a task alone ends at once, if it can be ended. */
        if (oar->lease != lease || oar->count > 1 || self->frozen
            || lease->states[oar->first - lease->first] == TASK_RUNNING)
            continue;
        sim_cancel(sim, &oar->timer);
        oar->lease = NULL;
    }
}

void host_stop_oars(struct sim *sim, struct host *self)
{
    for (uint64_t i = 0; i < self->width; i++) {
        sim_cancel(sim, &self->oars[i].timer);
        self->oars[i].lease = NULL;
    }
}

/* The task of a run that the oar is on by now. */
static uint64_t current(const struct sim *sim, const struct oar *oar)
{
    uint64_t all = oar->ends - oar->began;
    uint64_t at = all != 0 ? oar->count * (sim->now - oar->began) / all : 0;

    return oar->first + (at < oar->count ? at : oar->count - 1);
}

uint64_t host_busy_until(const struct tri_dlist_head *hosts)
{
    uint64_t until = 0;

    tri_dlist_foreach(hosts, node)
    {
        const struct host *self = tri_container_of(node, struct host, node);

        for (uint64_t i = 0; i < self->width && !self->dead && !self->frozen; i++)
            if (self->oars[i].lease != NULL && self->oars[i].ends > until)
                until = self->oars[i].ends;
    }
    return until;
}

size_t host_started(const struct sim *sim, const struct host *self, struct session_task *tasks)
{
    size_t count = 0;

    for (uint64_t i = 0; i < self->width; i++)
        if (self->oars[i].lease != NULL)
            tasks[count++] =
                (struct session_task){ self->oars[i].lease->id, current(sim, &self->oars[i]) };
    return count;
}
