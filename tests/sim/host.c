/* The life of a host: what it hears, what it says, and how it dies. */
#include "tests/sim/host.h"

#include "common/assert.h"
#include "tests/sim/checker.h"
#include "tests/sim/host_state.h"

#include <signal.h>
#include <stdlib.h>

/* Something on its way between a session and a host. */
struct note {
    struct sim_timer timer;
    struct tri_dlist_node node;
    struct host *host;
    bool is_up; /* HOST_UP, no message */
    size_t count;
    struct tri_frame *frames[];
};

static struct host *find(struct worker *worker, uint64_t id)
{
    tri_dlist_foreach(&worker->hosts, node)
    {
        struct host *host = tri_container_of(node, struct host, node);

        if (host->id == id)
            return host;
    }
    return NULL;
}

static uint64_t hop(struct sim *sim)
{
    return sim_between(sim, 5, 300);
}

/* ---- notes ---------------------------------------------------------------------------------- */

static struct note *note_new(struct host *host,
                             const struct tri_message *message,
                             struct tri_frame *const *frames,
                             size_t count)
{
    struct note *note = tri_alloc(1, sizeof(*note) + (count + 1) * sizeof(frames[0]));
    struct tri_buffer head = { 0 };

    tri_message_encode(message, &head);
    tri_assert(!head.failed);
    note->host = host;
    note->count = count + 1;
    note->frames[0] = tri_frame_take(&head);
    for (size_t i = 0; i < count; i++)
        note->frames[i + 1] = tri_frame_ref(frames[i]);
    tri_dlist_push_back(&host->letters, &note->node);
    return note;
}

static void note_free(struct sim *sim, struct note *note)
{
    sim_cancel(sim, &note->timer);
    tri_dlist_remove(&note->host->letters, &note->node);
    for (size_t i = 0; i < note->count; i++)
        tri_frame_unref(note->frames[i]);
    free(note);
}

static void note_send(struct sim *sim,
                      struct note *note,
                      uint64_t *free_at,
                      void (*arrive)(struct sim *, void *))
{
    uint64_t at = sim->now + hop(sim);

    *free_at = at > *free_at ? at : *free_at;
    *free_at += *free_at & 1;
    note->timer = (struct sim_timer){ .fire = arrive, .context = note };
    sim_at(sim, &note->timer, *free_at);
}

/* ---- to the session ------------------------------------------------------------------------- */

static void free_host(struct sim *sim, struct host *self)
{
    struct tri_dlist_node *node;

    host_stop_oars(sim, self);
    sim_cancel(sim, &self->flush);
    sim_cancel(sim, &self->gone);
    while ((node = tri_dlist_first(&self->letters)) != NULL)
        note_free(sim, tri_container_of(node, struct note, node));
    while ((node = tri_dlist_first(&self->leases)) != NULL)
        lease_free(self, tri_container_of(node, struct lease, node));
    tri_dlist_remove(&self->worker->hosts, &self->node);
    tri_frame_unref(self->spec_frame);
    free(self->oars);
    free(self->started);
    free(self);
}

static void reach_session(struct sim *sim, void *context)
{
    struct note *note = context;
    struct host *self = note->host;
    struct session_event event = { .type = SESSION_HOST_MESSAGE, .host = self->id };
    struct tri_message message;
    enum tri_status status;

    if (sim_defers(sim, &self->worker->node, &note->timer, false))
        return;
    status = tri_message_decode(note->frames[0]->bytes, &message, NULL);
    tri_assert(status == TRI_OK);
    event.message = &message;
    event.frames = note->frames + 1;
    event.frame_count = note->count - 1;
    if (note->is_up)
        event = (struct session_event){ .type = SESSION_HOST_UP, .host = self->id, .pid = 1 };
    worker_step(sim, self->worker, &event);
    note_free(sim, note);
}

void host_say(struct sim *sim,
              struct host *self,
              const struct tri_message *message,
              struct tri_frame *body)
{
    note_send(sim, note_new(self, message, &body, body != NULL ? 1 : 0), &self->in_free,
              reach_session);
}

static void on_gone(struct sim *sim, void *context)
{
    struct host *self = context;
    struct worker *worker = self->worker;
    struct session_event event = { .type = SESSION_HOST_GONE, .host = self->id };

    if (sim_defers(sim, &worker->node, &self->gone, false))
        return;
    event.wait_status = self->wait_status;
    event.status = self->status;
    event.text = "";
    event.has_culprit = self->has_culprit;
    event.culprit_signal = SIGSEGV;
    event.culprit = self->culprit;
    event.started = self->started;
    event.started_count = self->started_count;
    worker_step(sim, worker, &event);
    free_host(sim, self);
}

void host_die(struct sim *sim, struct host *self, int wait_status)
{
    if (self->dead)
        return;
    self->dead = true;
    self->wait_status = wait_status;
    self->started = tri_alloc(self->width + 1, sizeof(*self->started));
    self->started_count = host_started(sim, self, self->started);
    host_stop_oars(sim, self);
    sim_cancel(sim, &self->flush);
    self->gone = (struct sim_timer){ .fire = on_gone, .context = self };
    /* Its last words are heard first. */
    self->in_free = (self->in_free > sim->now ? self->in_free : sim->now) + hop(sim);
    self->in_free += self->in_free & 1;
    sim_at(sim, &self->gone, self->in_free);
}

/* ---- from the session ----------------------------------------------------------------------- */

static void on_batch(struct sim *sim, struct host *self, const struct tri_msg_batch *message)
{
    self->batch = plan_find(sim->plan, message->batch);
    tri_assert(self->batch != NULL && self->spec_frame == NULL);
    self->spec_frame = tri_frame_copy(message->spec);
    if (tri_record_decode(TRI_RECORD_SPEC, self->spec_frame->bytes, &self->spec, NULL) != TRI_OK)
        sim_fail(sim, "a host got a spec that cannot be read");
}

static void on_lease(struct sim *sim,
                     struct host *self,
                     const struct tri_msg_lease *message,
                     const struct note *note)
{
    struct lease *lease = lease_open(sim, self, message, note->frames + 1, note->count - 1);

    if (self->draining)
        lease_release(sim, self, lease, (struct tri_range){ lease->first, lease->count });
    host_row(sim, self);
}

static void on_cancel(struct sim *sim,
                      struct host *self,
                      const struct tri_msg_cancel_lease *message)
{
    struct lease *lease = lease_find(self, message->lease);

    if (lease == NULL)
        return;
    if (message->ranges.count == 0)
        host_cancel(sim, self, lease, (struct tri_range){ lease->first, lease->count });
    for (size_t i = 0; i < message->ranges.count; i++)
        host_cancel(sim, self, lease, tri_ranges_at(message->ranges, i));
    host_row(sim, self);
}

static void on_revoke(struct sim *sim, struct host *self, const struct tri_msg_revoke *message)
{
    struct tri_message nothing = { .type = TRI_MESSAGE_RELEASED };
    struct lease *lease = lease_find(self, message->lease);

    nothing.released.lease = message->lease;
    if (lease == NULL) {
        host_say(sim, self, &nothing, NULL);
        return;
    }
    lease_release(sim, self, lease, (struct tri_range){ message->first, message->count });
    host_row(sim, self);
}

static void reach_host(struct sim *sim, void *context)
{
    struct note *note = context;
    struct host *self = note->host;
    struct tri_message message;
    enum tri_status status = tri_message_decode(note->frames[0]->bytes, &message, NULL);

    tri_assert(status == TRI_OK);
    /* A host that is held by a task hears nothing, and will be ended. */
    if (!self->dead && !self->frozen) {
        if (message.type == TRI_MESSAGE_BATCH)
            on_batch(sim, self, &message.batch);
        else if (message.type == TRI_MESSAGE_LEASE)
            on_lease(sim, self, &message.lease, note);
        else if (message.type == TRI_MESSAGE_REVOKE)
            on_revoke(sim, self, &message.revoke);
        else if (message.type == TRI_MESSAGE_CANCEL_LEASE)
            on_cancel(sim, self, &message.cancel_lease);
        else if (message.type == TRI_MESSAGE_BYE)
            host_die(sim, self, 0);
    }
    note_free(sim, note);
}

static void on_flush(struct sim *sim, void *context)
{
    struct host *self = context;

    if (self->frozen)
        return;
    tri_dlist_foreach(&self->leases, node)
    {
        lease_flush(sim, self, tri_container_of(node, struct lease, node));
    }
    host_row(sim, self);
}

void host_start(struct sim *sim, struct worker *worker, const struct session_effect *effect)
{
    struct host *self = tri_alloc(1, sizeof(*self));
    const struct tri_message nothing = { .type = TRI_MESSAGE_NO_SESSION };
    struct note *up;

    self->worker = worker;
    self->id = effect->host;
    self->width = effect->width;
    self->model = effect->model;
    self->timeout_ms = effect->timeout_ms;
    self->oars = tri_alloc(self->width, sizeof(self->oars[0]));
    self->flush = (struct sim_timer){ .fire = on_flush, .context = self };
    tri_dlist_init(&self->leases);
    tri_dlist_init(&self->letters);
    tri_dlist_push_back(&worker->hosts, &self->node);
    self->in_free = self->out_free = sim->now + sim_skewed(sim, 300, 30 * SIM_MS);
    up = note_new(self, &nothing, NULL, 0);
    up->is_up = true;
    note_send(sim, up, &self->in_free, reach_session);
    sim_tell(sim, worker->node.name, "host %llu starts: %s, %llu oars",
             (unsigned long long)self->id, tri_model_text(self->model),
             (unsigned long long)self->width);
}

void host_hear(struct sim *sim, struct worker *worker, const struct session_effect *effect)
{
    struct host *self = find(worker, effect->host);

    if (self == NULL || self->dead)
        return;
    note_send(sim, note_new(self, effect->message, effect->frames, effect->frame_count),
              &self->out_free, reach_host);
}

void host_kill(struct sim *sim, struct worker *worker, const struct session_effect *effect)
{
    struct host *self = find(worker, effect->host);

    if (self == NULL)
        return;
    /* Some do not hear TERM, and none does that is stuck. */
    if (effect->signal == SIGKILL || (!self->frozen && !sim_chance(sim, SIM_ALWAYS / 8)))
        host_die(sim, self, effect->signal);
}

void host_end(struct sim *sim, struct worker *worker, uint64_t id)
{
    const struct tri_message bye = { .type = TRI_MESSAGE_BYE };
    struct host *self = find(worker, id);

    if (self != NULL && !self->dead)
        note_send(sim, note_new(self, &bye, NULL, 0), &self->out_free, reach_host);
}

/* ---- all of a worker ------------------------------------------------------------------------ */

size_t host_gather(const struct sim *sim, struct tri_dlist_head *hosts, struct session_task **tasks)
{
    size_t room = 1;
    size_t count = 0;

    tri_dlist_foreach(hosts, node) room += tri_container_of(node, struct host, node)->width;
    *tasks = tri_alloc(room, sizeof(**tasks));
    tri_dlist_foreach(hosts, node) count +=
        host_started(sim, tri_container_of(node, struct host, node), *tasks + count);
    return count;
}

/* A host with one oar is judged by what it was on: that task pays for the fault. */
static void strike(struct sim *sim, struct host *self, const struct session_task *task)
{
    struct lease *lease = lease_find(self, task->slice);

    sim_tell(sim, self->worker->node.name, "FAULT host %llu is killed",
             (unsigned long long)self->id);
    if (self->width == 1)
        checker_blames(sim, self->batch, lease->generation, task->index);
    host_die(sim, self, SIGKILL);
}

bool host_strike(struct sim *sim, struct tri_dlist_head *hosts)
{
    tri_dlist_foreach(hosts, node)
    {
        struct host *self = tri_container_of(node, struct host, node);
        struct session_task *tasks = tri_alloc(self->width + 1, sizeof(*tasks));
        bool is_busy = !self->dead && host_started(sim, self, tasks) != 0;

        if (is_busy && sim_chance(sim, SIM_ALWAYS / 2)) {
            strike(sim, self, &tasks[0]);
            free(tasks);
            return true;
        }
        free(tasks);
    }
    return false;
}

void host_clear(struct sim *sim, struct tri_dlist_head *hosts)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(hosts)) != NULL)
        free_host(sim, tri_container_of(node, struct host, node));
}
