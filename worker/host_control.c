#include "worker/host_control.h"

#include "common/assert.h"
#include "common/log.h"
#include "worker/host_flush.h"
#include "worker/host_lease.h"
#include "worker/host_watch.h"
#include "worker/oars/rower.h"
#include "worker/registry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_fail(const char *text)
{
    tri_log(TRI_LOG_ERROR, "host.failed", "text=%s", TRI_QUOTE(text));
    _exit(1);
}

/* ---- the batch ------------------------------------------------------------------------------ */

void control_refuse(struct host *host, enum tri_status status, const char *reason)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    message.oars.number = host->batch.number;
    message.oars.model = host->model;
    message.oars.status = status;
    message.oars.reason = tri_bytes_of(reason);
    host_send(host, &message, NULL, 0);
}

static char *copy_text(struct tri_bytes bytes)
{
    char *text = tri_alloc(bytes.size + 1, 1);

    memcpy(text, bytes.data, bytes.size);
    return text;
}

static enum tri_status load_plugin(struct tri_bytes path, struct tri_error *error)
{
    char *text = copy_text(path);
    enum tri_status status = registry_load(text, error);

    free(text);
    return status;
}

/* A command batch names its handler by its argv alone. */
static const struct tri_handler *find_handler(const struct tri_rec_spec *spec)
{
    if (spec->handler.size == 0 && spec->argv.count != 0)
        return registry_find("command");
    return registry_find_bytes(spec->handler);
}

static enum tri_status adopt_batch(struct batch *batch,
                                   const struct tri_msg_batch *message,
                                   struct tri_error *error)
{
    struct tri_rec_spec *spec = &batch->spec;
    enum tri_status status;

    batch->number = message->number;
    batch->bytes = (uint8_t *)copy_text(message->spec);
    status = tri_record_decode(TRI_RECORD_SPEC,
                               (struct tri_bytes){ batch->bytes, message->spec.size }, spec, error);
    if (status == TRI_OK && spec->plugin.size != 0)
        status = load_plugin(spec->plugin, error);
    if (status == TRI_OK && spec->reducer.size != 0) {
        batch->reducer = copy_text(spec->reducer);
        status = tri_reducer_check(batch->reducer, error);
    }
    if (status != TRI_OK)
        return status;
    batch->output_bytes_max =
        spec->output_bytes_max != 0 ? spec->output_bytes_max : TRI_SPEC_OUTPUT_BYTES_MAX;
    batch->handler = find_handler(spec);
    if (batch->handler == NULL)
        return tri_fail(error, TRI_UNSUPPORTED, "no handler named %.*s here",
                        (int)spec->handler.size, (const char *)spec->handler.data);
    batch->plain = spec->source == TRI_SOURCE_RANGE
                   && (batch->handler->argument == TRI_ANY || batch->handler->argument == TRI_INT);
    return TRI_OK;
}

/* Nothing will run here; leases are given back as they come. */
static void refuse_all(struct host *host, enum tri_status status, const char *reason)
{
    pthread_mutex_lock(&host->lock);
    host->draining = true;
    pthread_mutex_unlock(&host->lock);
    control_refuse(host, status, reason);
}

static void on_batch(struct host *host, const struct tri_msg_batch *message)
{
    struct tri_error error;
    enum tri_status status;

    if (host->batch.bytes != NULL)
        host_fail("a second batch for one host");
    status = adopt_batch(&host->batch, message, &error);
    if (status != TRI_OK)
        refuse_all(host, status, error.text);
}

/* Many oars of the process model: they wait for commands, each a process of its own. Nobody waits
 * cheaper than coroutines. */
static bool shares_commands(const struct host *host)
{
    return host->model == TRI_MODEL_PROCESS && host->width > 1 && host->batch.spec.argv.count != 0;
}

static void on_oars(struct host *host, const struct tri_msg_oars *message)
{
    struct tri_error error;
    enum tri_status status;
    bool draining;
    uint64_t width = message->width < host->table->width ? message->width : host->table->width;

    if (host->batch.bytes == NULL || host->slots != NULL || width == 0
        || message->model == TRI_MODEL_AUTO)
        host_fail("OARS out of order, or without oars");
    pthread_mutex_lock(&host->lock);
    host->model = (enum tri_model)message->model;
    host->width = (unsigned)width;
    host->has_loop = host->model == TRI_MODEL_ASYNC || shares_commands(host);
    host->slots = tri_alloc(width, sizeof(host->slots[0]));
    draining = host->draining;
    pthread_mutex_unlock(&host->lock);
    if (!host->has_loop || draining)
        return;
    status = async_start(host, &error);
    if (status != TRI_OK)
        refuse_all(host, status, error.text);
}

/* ---- leases --------------------------------------------------------------------------------- */

static void release_all(struct host *host, const struct tri_msg_lease *message)
{
    struct tri_rangeset all;

    tri_rangeset_init(&all);
    tri_rangeset_add(&all, message->first, message->count);
    host_send_released(host, message->lease, &all);
    tri_rangeset_deinit(&all);
}

static void on_lease(struct host *host,
                     struct rower *self,
                     const struct tri_msg_lease *message,
                     const struct tri_bytes *frames,
                     size_t frame_count)
{
    struct tri_error error;
    struct lease *lease;
    bool draining;

    if (host->slots == NULL)
        host_fail("a lease before its batch and OARS");
    if (lease_open(&host->batch, message, frames, frame_count, &lease, &error) != TRI_OK)
        host_fail(error.text);
    pthread_mutex_lock(&host->lock);
    draining = host->draining;
    if (!draining) {
        lease_enqueue(host, lease);
        host_rouse(host, self);
        watch_kick(host);
    }
    pthread_mutex_unlock(&host->lock);
    if (draining) {
        release_all(host, message);
        lease_discard(&lease);
    }
}

static void on_revoke(struct host *host, const struct tri_msg_revoke *message)
{
    struct tri_rangeset taken;
    struct lease *lease;

    tri_rangeset_init(&taken);
    pthread_mutex_lock(&host->lock);
    lease = lease_find(host, message->lease);
    if (lease != NULL) {
        lease_unqueue(host, lease, message->first, message->count, &taken);
        lease_settle(host, lease, tri_rangeset_count(&taken));
    }
    pthread_mutex_unlock(&host->lock);
    host_send_released(host, message->lease, &taken);
    tri_rangeset_deinit(&taken);
}

static void on_cancel(struct host *host,
                      struct rower *self,
                      const struct tri_msg_cancel_lease *message)
{
    struct lease *lease;

    pthread_mutex_lock(&host->lock);
    lease = lease_find(host, message->lease);
    if (lease != NULL) {
        if (message->ranges.count == 0)
            tri_rangeset_add(&lease->cancelled, lease->first, lease->count);
        for (size_t i = 0; i < message->ranges.count; i++) {
            struct tri_range range = tri_ranges_at(message->ranges, i);

            tri_rangeset_add(&lease->cancelled, range.first, range.count);
        }
        lease_hold(lease);
        lease_drop_cancelled(host, lease);
        host_obey(host, self);
        lease_unhold(host, lease);
    }
    pthread_mutex_unlock(&host->lock);
}

void control_give_back(struct host *host)
{
    for (;;) {
        struct tri_rangeset taken;
        struct tri_dlist_node *node;
        uint64_t id = 0;

        tri_rangeset_init(&taken);
        pthread_mutex_lock(&host->lock);
        node = tri_dlist_first(&host->slices);
        if (node != NULL) {
            struct lease *lease = tri_container_of(node, struct slice, node)->lease;

            id = lease->id;
            lease_unqueue(host, lease, lease->first, lease->count, &taken);
            lease_settle(host, lease, tri_rangeset_count(&taken));
        }
        pthread_mutex_unlock(&host->lock);
        if (node != NULL)
            host_send_released(host, id, &taken);
        tri_rangeset_deinit(&taken);
        if (node == NULL)
            return;
    }
}

/* ---- dispatch ------------------------------------------------------------------------------- */

static void apply(struct host *host, struct rower *self, const struct link_message *received)
{
    const struct tri_message *message = &received->message;

    /* A host hears a few of the many messages; the rest (CREDIT, RESULTS_OK) is the session's. */
    if (message->type == TRI_MESSAGE_BATCH)
        on_batch(host, &message->batch);
    else if (message->type == TRI_MESSAGE_OARS)
        on_oars(host, &message->oars);
    else if (message->type == TRI_MESSAGE_LEASE)
        on_lease(host, self, &message->lease, received->frames, received->frame_count);
    else if (message->type == TRI_MESSAGE_REVOKE)
        on_revoke(host, &message->revoke);
    else if (message->type == TRI_MESSAGE_CANCEL_LEASE)
        on_cancel(host, self, &message->cancel_lease);
    else if (message->type == TRI_MESSAGE_BYE)
        _exit(0);
}

void control_receive(struct host *host, struct rower *self)
{
    struct link_message *received = &host->received;
    struct tri_error error;
    enum tri_status status;

    if (pthread_mutex_trylock(&host->read_lock) != 0)
        return;
    do {
        status = link_receive(&host->link, false, received, &error);
        if (status == TRI_OK)
            apply(host, self, received);
    } while (status == TRI_OK && !link_is_drained(&host->link));
    pthread_mutex_unlock(&host->read_lock);
    if (status == TRI_CLOSED)
        _exit(0);
    if (status != TRI_OK && status != TRI_EMPTY)
        host_fail(error.text);
}
