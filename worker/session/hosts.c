/* Hosts: their lives, from the start to the order to end. */
#include "worker/session/parts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ----------------------------------------------------------------------------------- */

static void send_batch(struct session *self, const struct host *host, enum tri_model model)
{
    const struct batch *batch = host->batch;
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };
    struct tri_uuid *uuid = effects_alloc(self, sizeof(*uuid));

    *uuid = batch->uuid;
    message.batch.number = batch->number;
    message.batch.batch = (struct tri_bytes){ uuid->bytes, sizeof(uuid->bytes) };
    message.batch.spec = batch->host_spec->bytes;
    effects_host_send(self, host, &message, NULL, 0);
    message = (struct tri_message){ .type = TRI_MESSAGE_OARS };
    message.oars.number = batch->number;
    message.oars.width = host->width;
    message.oars.model = model;
    effects_host_send(self, host, &message, NULL, 0);
}

struct host *hosts_start(struct session *self, struct batch *batch, enum host_kind kind)
{
    bool many = kind == HOST_SHARED || kind == HOST_GROUP;
    enum tri_model model = many ? batch->choice.model : TRI_MODEL_PROCESS;
    struct host *host = tri_alloc(1, sizeof(*host));

    host->id = ++self->last_host;
    host->batch = batch;
    host->kind = kind;
    host->state = HOST_SERVING;
    host->width = many ? batch->choice.width : 1;
    host->timer.kind = TIMER_HOST;
    tri_dlist_init(&host->slices);
    tri_dlist_push_back(&batch->hosts, &host->of_batch);
    tri_map_put(&self->hosts, host->id, host);
    if (kind == HOST_ONE)
        batch->ones++;
    else if (kind == HOST_ISOLATED)
        batch->isolated++;
    else if (kind == HOST_GROUP)
        batch->groups++;
    effects_host_start(self, host, model);
    send_batch(self, host, model);
    hosts_touch(self, host);
    return host;
}

/* No host of its batch any more that anything is given to. */
void hosts_stop_serving(struct session *self, struct host *host, enum host_state state)
{
    bool served = host->state == HOST_SERVING;
    struct batch *batch = host->batch;

    host->state = state;
    if (!served)
        return;
    if (tri_dlist_is_linked(&host->hungry))
        tri_dlist_remove(host->kind == HOST_ONE ? &batch->hungry : &batch->hungry_isolated,
                         &host->hungry);
    if (batch->shared == host)
        batch->shared = NULL;
    if (host->kind == HOST_ONE)
        batch->ones--;
    else if (host->kind == HOST_ISOLATED)
        batch->isolated--;
    else if (host->kind == HOST_GROUP)
        batch->groups--;
    batches_touch(self, batch);
}

void hosts_free(struct session *self, struct host *host)
{
    tri_assert(host->slices.count == 0);
    if (host->batch != NULL) {
        hosts_stop_serving(self, host, HOST_KILLED);
        tri_dlist_remove(&host->batch->hosts, &host->of_batch);
        batches_touch(self, host->batch);
    }
    if (tri_dlist_is_linked(&host->touched))
        tri_dlist_remove(&self->touched_hosts, &host->touched);
    timers_clear(self, &host->timer);
    tri_map_remove(&self->hosts, host->id);
    free(host);
}

void hosts_put_back(struct session *self, struct slice *slice, struct tri_range range)
{
    enum host_kind kind = slice->host->kind;

    if (kind == HOST_ISOLATED || kind == HOST_GROUP)
        leases_suspect(self, slice->lease, range);
    else
        leases_queue(self, slice->lease, range);
}

/* Its tasks are in no place any more: put them where they are run again. */
void hosts_give_back(struct session *self, struct host *host)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&host->slices)) != NULL) {
        struct slice *slice = tri_container_of(node, struct slice, of_host);
        struct tri_range range;

        while (tri_rangeset_take_first(&slice->outstanding, UINT64_MAX, &range)) {
            host->outstanding -= range.count;
            hosts_put_back(self, slice, range);
        }
        slices_free(self, slice);
    }
}

void hosts_end(struct session *self, struct host *host)
{
    hosts_stop_serving(self, host, HOST_ENDING);
    effects_host_end(self, host);
    timers_set(self, &host->timer, self->now + self->options.term_grace_ms);
}

void hosts_kill(struct session *self, struct host *host)
{
    hosts_stop_serving(self, host, HOST_KILLED);
    hosts_give_back(self, host);
    if (host->width > 1) {
        timers_clear(self, &host->timer);
        effects_host_kill(self, host, SIGKILL);
        return;
    }
    effects_host_kill(self, host, SIGTERM);
    timers_set(self, &host->timer, self->now + self->options.term_grace_ms);
}

void hosts_on_timer(struct session *self, struct host *host)
{
    switch (host->state) {
    case HOST_SERVING:
        break;
    case HOST_LEAVING:
        hosts_kill(self, host);
        break;
    case HOST_ENDING:
    case HOST_KILLED:
        host->state = HOST_KILLED;
        effects_host_kill(self, host, SIGKILL);
        break;
    }
}

void hosts_touch(struct session *self, struct host *host)
{
    if (!tri_dlist_is_linked(&host->touched))
        tri_dlist_push_back(&self->touched_hosts, &host->touched);
}

static bool is_used_up(const struct session *self, const struct host *host)
{
    return (host->kind == HOST_ONE || host->kind == HOST_ISOLATED)
           && self->options.recycle_count != 0
           && host->reported + host->outstanding >= self->options.recycle_count;
}

static void settle_serving(struct session *self, struct host *host)
{
    struct batch *batch = host->batch;

    if (host->kind == HOST_SHARED)
        return;
    if (host->kind == HOST_GROUP) {
        if (host->outstanding == 0)
            hosts_end(self, host);
    } else if (host->outstanding == 0 && host->cancelled) {
        /* Whatever it still runs was cancelled: a process is stopped for certain by ending it. */
        hosts_kill(self, host);
    } else if (host->outstanding == 0 && is_used_up(self, host)) {
        hosts_end(self, host);
    } else if (!is_used_up(self, host) && !tri_dlist_is_linked(&host->hungry)
               && host->outstanding <= (host->kind == HOST_ONE ? feeding_low(self, batch) : 0)) {
        struct tri_dlist_head *list =
            host->kind == HOST_ONE ? &batch->hungry : &batch->hungry_isolated;

        if (host->outstanding == 0)
            tri_dlist_push_front(list, &host->hungry);
        else
            tri_dlist_push_back(list, &host->hungry);
        batches_touch(self, batch);
    } else if (tri_dlist_is_linked(&host->hungry) && host->outstanding == 0) {
        tri_dlist_remove(&batch->hungry, &host->hungry);
        tri_dlist_push_front(&batch->hungry, &host->hungry);
        batches_touch(self, batch);
    }
}

void hosts_settle(struct session *self, struct host *host)
{
    switch (host->state) {
    case HOST_SERVING:
        settle_serving(self, host);
        break;
    case HOST_LEAVING:
        if (host->outstanding == 0)
            hosts_kill(self, host);
        break;
    case HOST_ENDING:
    case HOST_KILLED:
        break;
    }
}

/* ---- replaced ------------------------------------------------------------------------------- */

void hosts_leave(struct session *self, struct host *host)
{
    if (host->state != HOST_SERVING)
        return;
    effects_trace(self, "host.leaving host=%lu tasks=%lu", (unsigned long)host->id,
                  (unsigned long)host->outstanding);
    hosts_stop_serving(self, host, HOST_LEAVING);
    timers_set(self, &host->timer, self->now + self->options.drain_grace_ms);
    hosts_touch(self, host);
}

/* TIMEOUT: some of its oars are stuck. Any other status: it can never serve this batch. */
void hosts_on_oars(struct session *self, struct host *host, const struct tri_msg_oars *message)
{
    char reason[200];

    if (message->width != 0 || host->state != HOST_SERVING)
        return;
    if (message->status != TRI_OK && message->status != TRI_TIMEOUT) {
        snprintf(reason, sizeof(reason), "%.*s",
                 (int)(message->reason.size < sizeof(reason) ? message->reason.size
                                                             : sizeof(reason) - 1),
                 message->reason.size != 0 ? (const char *)message->reason.data : "");
        batches_refuse(self, host->batch, (enum tri_status)message->status, reason);
    }
    hosts_leave(self, host);
}
