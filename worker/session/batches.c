/* Batches: what the broker says of one, which oars it gets here, and when its hosts may rest. */
#include "worker/session/parts.h"

#include <stdio.h>
#include <stdlib.h>

#define MEASURED_MAX 4096u /* tasks: older measurements weigh half, a quarter, ... */
#define FAILURES_MAX 5u    /* hosts that die in a row before anything was reported */
#define FAILURE_WAIT_MS 100u

uint64_t batches_task_ns(const struct batch *batch)
{
    return batch->measured_count != 0 ? batch->measured_ns / batch->measured_count : 0;
}

void batches_measure(struct batch *batch, uint64_t count, uint64_t wall_ns)
{
    /* Sums stay far from overflow: one report counts as at most an hour per task. */
    if (count == 0 || wall_ns / count > UINT64_C(3600000000000))
        return;
    batch->measured_count += count;
    batch->measured_ns += wall_ns != 0 ? wall_ns : 1;
    while (batch->measured_count > MEASURED_MAX) {
        batch->measured_count /= 2;
        batch->measured_ns /= 2;
    }
}

/* ---- oars ----------------------------------------------------------------------------------- */

void batches_tell_oars(struct session *self, struct batch *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    if (self->connection != CONNECTION_ONLINE)
        return;
    message.oars.number = batch->number;
    message.oars.model = batch->choice.model;
    message.oars.status = batch->choice.status;
    message.oars.reason = tri_bytes_of(batch->choice.reason);
    if (self->draining)
        message.oars.reason = tri_bytes_of("this worker is leaving");
    else if (batch->choice.status == TRI_OK)
        message.oars.width = batch->choice.width;
    effects_send_message(self, &message);
}

static const struct session_handler *find_handler(const struct session *self, struct tri_bytes name)
{
    for (size_t i = 0; i < self->options.handler_count; i++) {
        const struct session_handler *handler = &self->options.handlers[i];

        if (strlen(handler->name) == name.size && memcmp(handler->name, name.data, name.size) == 0)
            return handler;
    }
    return NULL;
}

static enum tri_status refuse_choice(struct batch *batch, enum tri_status status, const char *why)
{
    struct tri_bytes name = batch->spec.handler;

    batch->choice.status = status;
    snprintf(batch->choice.reason, sizeof(batch->choice.reason), "%.*s%s%s", (int)name.size,
             name.size != 0 ? (const char *)name.data : "", name.size != 0 ? ": " : "", why);
    return status;
}

/* May this worker run it at all; what is its handler like? */
static enum tri_status find_nature(struct session *self, struct batch *batch, uint64_t *flags)
{
    const struct tri_rec_spec *spec = &batch->spec;
    const struct session_handler *handler = find_handler(self, spec->handler);

    *flags = 0;
    if (spec->argv.count != 0) {
        if (!self->options.allow_commands)
            return refuse_choice(batch, TRI_DENIED,
                                 "this worker runs no commands (--allow-commands)");
        return TRI_OK;
    }
    if (handler != NULL) {
        *flags = handler->flags;
        batch->plugin =
            handler->plugin != NULL ? tri_bytes_of(handler->plugin) : (struct tri_bytes){ NULL, 0 };
        return TRI_OK;
    }
    if (spec->plugin.size == 0)
        return refuse_choice(batch, TRI_UNSUPPORTED, "this worker has no such handler");
    if (!self->options.private_run)
        return refuse_choice(batch, TRI_DENIED,
                             "it comes from a plugin that this worker does not load");
    batch->plugin = spec->plugin;
    return TRI_OK;
}

/* Somebody asked for more than this machine allows. */
static bool is_clamped(const struct session *self, const struct batch *batch)
{
    uint64_t limit = self->options.machine.width_max;

    return batch->choice.status == TRI_OK && batch->choice.width < batch->spec.width
           && (limit == 0 || batch->choice.width < limit)
           && batch->choice.model != TRI_MODEL_SERIAL;
}

/* What the batches that are here have been given. A private run has no other. */
static struct chooser_others others_of(const struct session *self, const struct batch *batch)
{
    struct chooser_others others = { .may_come = !self->options.private_run };
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);) {
        const struct batch *other = value;

        if (other != batch)
            chooser_share(&others, &other->spec, &other->choice);
    }
    return others;
}

static void choose(struct session *self, struct batch *batch)
{
    static const struct chooser_profile unmeasured;
    struct chooser_others others = others_of(self, batch);
    uint64_t flags;

    if (find_nature(self, batch, &flags) != TRI_OK)
        return;
    chooser_choose(&batch->spec, flags, &unmeasured, &self->options.machine, &others,
                   &batch->choice);
    if (is_clamped(self, batch))
        effects_trace(self, "batch.clamped batch=%lu width=%lu wanted=%lu why=\"%s\"",
                      (unsigned long)batch->number, (unsigned long)batch->choice.width,
                      (unsigned long)batch->spec.width, batch->choice.reason);
}

/* A task's output goes to the broker in one message, with what its neighbours give meanwhile. */
static struct tri_frame *spec_for_hosts(struct session *self, const struct batch *batch)
{
    struct tri_rec_spec spec = batch->spec;
    uint64_t bytes_max = self->message_bytes_max / 2;
    struct tri_buffer buffer = { 0 };
    struct tri_frame *frame;

    if (bytes_max == 0 || bytes_max > TRI_OUTPUT_BYTES_LIMIT)
        bytes_max = TRI_OUTPUT_BYTES_LIMIT;
    if (spec.output_bytes_max == 0)
        spec.output_bytes_max = TRI_SPEC_OUTPUT_BYTES_MAX;
    if (spec.output_bytes_max <= bytes_max || batch->choice.status != TRI_OK)
        return tri_frame_ref(batch->spec_frame);
    spec.output_bytes_max = bytes_max;
    tri_record_encode(TRI_RECORD_SPEC, &spec, &buffer);
    tri_assert(!buffer.failed);
    frame = tri_frame_copy(tri_buffer_bytes(&buffer));
    tri_buffer_deinit(&buffer);
    return frame;
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct batch *batch_new(struct session *self, const struct tri_msg_batch *message)
{
    struct batch *batch = tri_alloc(1, sizeof(*batch));

    batch->number = message->number;
    memcpy(batch->uuid.bytes, message->batch.data,
           message->batch.size < sizeof(batch->uuid.bytes) ? message->batch.size
                                                           : sizeof(batch->uuid.bytes));
    batch->spec_frame = tri_frame_copy(message->spec);
    batch->feed_count = 1;
    batch->busy_at = self->now;
    batch->timer.kind = TIMER_BATCH;
    tri_dlist_init(&batch->hosts);
    tri_dlist_init(&batch->hungry);
    tri_dlist_init(&batch->hungry_isolated);
    tri_dlist_init(&batch->waiting);
    tri_dlist_init(&batch->suspected);
    tri_map_put(&self->batches, batch->number, batch);
    return batch;
}

static bool is_same(const struct batch *batch, const struct tri_msg_batch *message)
{
    struct tri_bytes spec = batch->spec_frame->bytes;

    return message->batch.size == sizeof(batch->uuid.bytes)
           && memcmp(message->batch.data, batch->uuid.bytes, sizeof(batch->uuid.bytes)) == 0
           && spec.size == message->spec.size
           && memcmp(spec.data, message->spec.data, spec.size) == 0;
}

void batches_on_batch(struct session *self, const struct tri_msg_batch *message)
{
    struct batch *batch = tri_map_find(&self->batches, message->number);
    struct tri_error error;

    if (batch != NULL && !is_same(batch, message)) {
        batches_drop(self, batch);
        batch = NULL;
    }
    if (batch == NULL) {
        batch = batch_new(self, message);
        batch->choice.status =
            tri_record_decode(TRI_RECORD_SPEC, batch->spec_frame->bytes, &batch->spec, &error);
        if (batch->choice.status != TRI_OK)
            snprintf(batch->choice.reason, sizeof(batch->choice.reason), "%.*s",
                     (int)sizeof(batch->choice.reason) - 1, error.text);
        else
            choose(self, batch);
        batch->host_spec = spec_for_hosts(self, batch);
        effects_trace(self, "batch.begun batch=%lu status=%s model=%s width=%lu why=\"%s\"",
                      (unsigned long)batch->number, tri_status_name(batch->choice.status),
                      tri_model_text(batch->choice.model), (unsigned long)batch->choice.width,
                      batch->choice.reason);
    }
    batches_tell_oars(self, batch);
    /* The host of many oars starts now, so that it is there when the first lease comes. */
    if (batch->choice.status == TRI_OK && !batch_has_a_host_per_oar(batch) && !self->draining
        && batch->shared == NULL)
        batch->shared = hosts_start(self, batch, HOST_SHARED);
    batches_touch(self, batch);
}

void batches_on_end(struct session *self, const struct tri_msg_batch_end *message)
{
    struct batch *batch = tri_map_find(&self->batches, message->number);

    if (batch != NULL)
        batches_drop(self, batch);
}

void batches_drop(struct session *self, struct batch *batch)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);)
        if (((struct lease *)value)->batch == batch)
            leases_free(self, value);
    tri_dlist_foreach(&batch->hosts, node)
    {
        struct host *host = tri_container_of(node, struct host, of_batch);

        if (host->state == HOST_SERVING || host->state == HOST_LEAVING)
            hosts_end(self, host);
        tri_dlist_remove(&batch->hosts, node);
        host->batch = NULL;
    }
    if (tri_dlist_is_linked(&batch->touched))
        tri_dlist_remove(&self->touched_batches, &batch->touched);
    timers_clear(self, &batch->timer);
    tri_map_remove(&self->batches, batch->number);
    effects_retire(self, batch->spec_frame);
    effects_retire(self, batch->host_spec);
    free(batch);
}

/* The broker hears why before it gets everything back. */
void batches_refuse(struct session *self,
                    struct batch *batch,
                    enum tri_status status,
                    const char *reason)
{
    uint64_t key;
    void *value;

    effects_trace(self, "batch.refused batch=%lu status=%s why=\"%s\"",
                  (unsigned long)batch->number, tri_status_name(status), reason);
    batch->choice.status = status;
    snprintf(batch->choice.reason, sizeof(batch->choice.reason), "%s", reason);
    batches_tell_oars(self, batch);
    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);) {
        struct lease *lease = value;

        if (lease->batch == batch)
            leases_give_up(self, lease);
    }
}

/* ---- the end of a step ---------------------------------------------------------------------- */

void batches_touch(struct session *self, struct batch *batch)
{
    if (!tri_dlist_is_linked(&batch->touched))
        tri_dlist_push_back(&self->touched_batches, &batch->touched);
}

void batches_wake_at(struct session *self, struct batch *batch, tri_time at)
{
    if (!tri_heap_is_linked(&batch->timer.node) || batch->timer.node.key > at)
        timers_set(self, &batch->timer, at);
}

void batches_failed(struct session *self, struct batch *batch, const char *why)
{
    char reason[400];

    batch->failures++;
    batch->blocked_until = self->now + (FAILURE_WAIT_MS << (batch->failures - 1));
    if (batch->failures < FAILURES_MAX || batch->choice.status != TRI_OK)
        return;
    snprintf(reason, sizeof(reason), "%u hosts in a row ended without finishing a task: %.200s",
             FAILURES_MAX, why);
    batches_refuse(self, batch, TRI_SYSTEM, reason);
}

bool batches_narrow(struct session *self, struct batch *batch, const char *why)
{
    struct choice *choice = &batch->choice;
    size_t length = strlen(choice->reason);

    if (batch->ones == 0 || choice->status != TRI_OK)
        return false;
    choice->width = batch->ones;
    snprintf(choice->reason + length, sizeof(choice->reason) - length,
             "; %lu because no more can be started: %.200s", (unsigned long)choice->width, why);
    effects_trace(self, "batch.clamped batch=%lu width=%lu wanted=%lu why=\"%s\"",
                  (unsigned long)batch->number, (unsigned long)choice->width,
                  (unsigned long)batch->spec.width, choice->reason);
    batches_tell_oars(self, batch);
    return true;
}

static void end_idle_hosts(struct session *self, struct batch *batch)
{
    tri_dlist_foreach(&batch->hosts, node)
    {
        struct host *host = tri_container_of(node, struct host, of_batch);

        if (host->state == HOST_SERVING && host->outstanding == 0)
            hosts_end(self, host);
    }
}

void batches_settle(struct session *self, struct batch *batch)
{
    tri_time rests_at = batch->busy_at + self->options.idle_ms;

    if (batch->leases != 0) {
        batch->busy_at = self->now;
        feeding_run(self, batch);
    } else if (batch->hosts.count != 0 && rests_at <= self->now) {
        end_idle_hosts(self, batch);
    } else if (batch->hosts.count != 0) {
        batches_wake_at(self, batch, rests_at);
    }
}
