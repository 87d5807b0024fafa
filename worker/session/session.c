/* One step: dispatch the event, then settle what it touched. */
#include "worker/session/parts.h"

#include <stdlib.h>

#define HEARTBEAT_MS 1000u /* until WELCOME says */
#define LEASE_MS 10000u

void session_options_init(struct session_options *options)
{
    *options = (struct session_options){
        .software = "trireme/" TRI_SOFTWARE_VERSION,
        .stall_ms = 500,
        .drain_grace_ms = 3000,
        .term_grace_ms = 1000,
        .credit_grace_ms = 60000,
        .idle_ms = 30000,
        .feed_ms = 20,
    };
}

static void encode_lists(struct session *self)
{
    const struct session_options *options = &self->options;

    for (size_t i = 0; i < options->handler_count; i++) {
        const struct tri_rec_handler record = {
            .name = tri_bytes_of(options->handlers[i].name),
            .argument = options->handlers[i].argument,
            .flags = options->handlers[i].flags,
        };

        tri_record_encode(TRI_RECORD_HANDLER, &record, &self->handler_list);
    }
    for (size_t i = 0; i < options->label_count; i++) {
        const struct tri_rec_text record = { .text = tri_bytes_of(options->labels[i]) };

        tri_record_encode(TRI_RECORD_TEXT, &record, &self->label_list);
    }
    tri_assert(!self->handler_list.failed && !self->label_list.failed);
}

struct session *session_new(const struct session_options *options)
{
    struct session *self = tri_alloc(1, sizeof(*self));

    self->options = *options;
    self->backoff = (struct tri_backoff){ .base_ms = 100, .max_ms = 5000 };
    self->heartbeat_ms = HEARTBEAT_MS;
    self->lease_ms = LEASE_MS;
    self->connection_timer.kind = TIMER_CONNECTION;
    self->lease_timer.kind = TIMER_LEASES;
    self->draining_timer.kind = TIMER_DRAINING;
    tri_prng_init(&self->prng, options->seed);
    tri_map_init(&self->batches);
    tri_map_init(&self->leases);
    tri_map_init(&self->slices);
    tri_map_init(&self->hosts);
    tri_dlist_init(&self->unacked);
    tri_dlist_init(&self->touched_leases);
    tri_dlist_init(&self->touched_hosts);
    tri_dlist_init(&self->touched_batches);
    tri_heap_init(&self->timers);
    encode_lists(self);
    return self;
}

void session_destroy(struct session **selfp)
{
    struct session *self = *selfp;
    struct tri_dlist_node *node;
    uint64_t key;
    void *value;

    if (self == NULL)
        return;
    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);)
        batches_drop(self, value);
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);)
        hosts_free(self, value);
    while ((node = tri_dlist_pop_front(&self->unacked)) != NULL)
        reports_free(self, tri_container_of(node, struct report, node));
    effects_deinit(self);
    tri_map_deinit(&self->batches);
    tri_map_deinit(&self->leases);
    tri_map_deinit(&self->slices);
    tri_map_deinit(&self->hosts);
    tri_heap_deinit(&self->timers);
    tri_buffer_deinit(&self->scratch);
    tri_buffer_deinit(&self->handler_list);
    tri_buffer_deinit(&self->label_list);
    free(self);
    *selfp = NULL;
}

tri_time session_deadline(const struct session *self)
{
    const struct tri_heap_node *first = tri_heap_peek(&self->timers);

    return first == NULL || self->exited ? TRI_NEVER : first->key;
}

/* ---- events --------------------------------------------------------------------------------- */

/* What only an established connection may bring. */
static void on_work(struct session *self, const struct session_event *event)
{
    const struct tri_message *message = event->message;

    if (message->type == TRI_MESSAGE_HEARTBEAT_OK)
        connection_on_heartbeat_ok(self, &message->heartbeat_ok);
    else if (message->type == TRI_MESSAGE_BATCH)
        batches_on_batch(self, &message->batch);
    else if (message->type == TRI_MESSAGE_BATCH_END)
        batches_on_end(self, &message->batch_end);
    else if (message->type == TRI_MESSAGE_LEASE)
        leases_on_lease(self, event);
    else if (message->type == TRI_MESSAGE_CREDIT)
        leases_on_credit(self, &message->credit);
    else if (message->type == TRI_MESSAGE_REVOKE)
        revokes_on_revoke(self, &message->revoke);
    else if (message->type == TRI_MESSAGE_CANCEL_LEASE)
        leases_on_cancel(self, &message->cancel_lease);
    else if (message->type == TRI_MESSAGE_RESULTS_OK)
        reports_on_ok(self, &message->results_ok);
    else
        effects_trace(self, "broker.misspoken message=%s", tri_message_name(message->type));
}

static void on_message(struct session *self, const struct session_event *event)
{
    const struct tri_message *message = event->message;

    if (self->connection == CONNECTION_OFFLINE)
        return; /* the old socket's last words */
    if (message->type == TRI_MESSAGE_WELCOME)
        connection_on_welcome(self, &message->welcome);
    else if (message->type == TRI_MESSAGE_NO_SESSION)
        connection_lost(self, "the broker does not know this session");
    else if (message->type == TRI_MESSAGE_ERROR)
        connection_on_error(self, &message->error);
    else if (message->type == TRI_MESSAGE_BYE)
        connection_on_bye(self, &message->bye);
    else if (self->connection == CONNECTION_ONLINE)
        on_work(self, event);
}

static void dispatch(struct session *self, const struct session_event *event)
{
    switch (event->type) {
    case SESSION_CONNECTED:
        connection_open(self);
        break;
    case SESSION_MESSAGE:
        on_message(self, event);
        break;
    case SESSION_BAD_MESSAGE:
        connection_lost(self, event->text);
        break;
    case SESSION_CONNECTION_LOST:
        connection_lost(self, "the socket is closed");
        break;
    case SESSION_HOST_UP:
        effects_trace(self, "host.started host=%lu pid=%lu", (unsigned long)event->host,
                      (unsigned long)event->pid);
        break;
    case SESSION_HOST_MESSAGE:
        reports_on_host_message(self, event);
        break;
    case SESSION_HOST_BROKEN:
        deaths_on_broken(self, event->host, event->text);
        break;
    case SESSION_HOST_GONE:
        deaths_on_gone(self, event);
        break;
    case SESSION_HOST_STALLED:
        deaths_on_stalled(self, event);
        break;
    case SESSION_LAUNCHER_GONE:
        deaths_on_launcher_gone(self);
        break;
    case SESSION_TICK:
        timers_on_tick(self, event);
        break;
    case SESSION_DRAIN:
        draining_start(self);
        break;
    case SESSION_STOP:
        draining_stop(self);
        break;
    }
}

/* Settling may touch more: a refused batch its leases, a fed host nothing. */
static void settle(struct session *self)
{
    for (;;) {
        struct tri_dlist_node *node;

        if ((node = tri_dlist_pop_front(&self->touched_leases)) != NULL)
            leases_settle(self, tri_container_of(node, struct lease, touched));
        else if ((node = tri_dlist_pop_front(&self->touched_hosts)) != NULL)
            hosts_settle(self, tri_container_of(node, struct host, touched));
        else if ((node = tri_dlist_pop_front(&self->touched_batches)) != NULL)
            batches_settle(self, tri_container_of(node, struct batch, touched));
        else
            return;
    }
}

struct session_effects session_step(struct session *self, const struct session_event *event)
{
    tri_assert(event->now >= self->now);
    self->now = event->now;
    effects_begin(self);
    if (!self->exited) {
        dispatch(self, event);
        settle(self);
        draining_check(self);
    }
    return (struct session_effects){ self->effects, self->effect_count };
}
