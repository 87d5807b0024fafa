/* Hosts: their lives, and who is to blame for their deaths. */
#include "worker/session/parts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define HOST_TEXT_SIZE 128

/* ---- life ----------------------------------------------------------------------------------- */

static void send_batch(struct session *self, const struct host *host, enum tri_model model)
{
    const struct batch *batch = host->batch;
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };
    struct tri_uuid *uuid = effects_alloc(self, sizeof(*uuid));

    *uuid = batch->uuid;
    message.batch.number = batch->number;
    message.batch.batch = (struct tri_bytes){ uuid->bytes, sizeof(uuid->bytes) };
    message.batch.spec = batch->spec_frame->bytes;
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
static void stop_serving(struct session *self, struct host *host, enum host_state state)
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
        stop_serving(self, host, HOST_KILLED);
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
static void give_back(struct session *self, struct host *host)
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
    stop_serving(self, host, HOST_ENDING);
    effects_host_end(self, host);
    timers_set(self, &host->timer, self->now + self->options.term_grace_ms);
}

void hosts_kill(struct session *self, struct host *host)
{
    stop_serving(self, host, HOST_KILLED);
    give_back(self, host);
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

/* ---- death ---------------------------------------------------------------------------------- */

static void describe_end(const struct session_event *event, char text[HOST_TEXT_SIZE])
{
    int wait_status = event->wait_status;

    if (event->status != TRI_OK) {
        snprintf(text, HOST_TEXT_SIZE, "not started: %.100s",
                 event->text != NULL ? event->text : tri_status_text(event->status));
    } else if (event->has_culprit || WIFSIGNALED(wait_status)) {
        int number = event->has_culprit ? event->culprit_signal : WTERMSIG(wait_status);
        const char *name = sigabbrev_np(number);

        snprintf(text, HOST_TEXT_SIZE, "killed by signal %d%s%s%s", number,
                 name != NULL ? " (SIG" : "", name != NULL ? name : "", name != NULL ? ")" : "");
    } else {
        snprintf(text, HOST_TEXT_SIZE, "exited with status %d", WEXITSTATUS(wait_status));
    }
}

/* The slice of `host` in which `task` is not over; NULL when it is, or never was. */
static struct slice *find_running(struct session *self,
                                  const struct host *host,
                                  const struct session_task *task)
{
    struct slice *slice = tri_map_find(&self->slices, task->slice);

    if (slice == NULL || slice->host != host
        || !tri_rangeset_contains(&slice->outstanding, task->index))
        return NULL;
    return slice;
}

static bool convict(struct session *self,
                    struct host *host,
                    const struct session_task *task,
                    enum tri_outcome outcome,
                    const char *text)
{
    struct slice *slice = find_running(self, host, task);

    if (slice == NULL)
        return false;
    reports_ended(self, slice, task->index, outcome, text);
    return true;
}

/* Nobody saw who did it: every task that was begun is run again, alone. */
static uint64_t suspect_started(struct session *self,
                                struct host *host,
                                const struct session_event *event)
{
    uint64_t count = 0;

    for (size_t i = 0; i < event->started_count; i++) {
        struct slice *slice = find_running(self, host, &event->started[i]);
        const struct tri_range range = { event->started[i].index, 1 };

        if (slice == NULL)
            continue;
        slices_remove(slice, range);
        leases_suspect(self, slice->lease, range);
        count++;
    }
    return count;
}

static void judge(struct session *self, struct host *host, const struct session_event *event)
{
    struct batch *batch = host->batch;
    char text[HOST_TEXT_SIZE];
    bool blamed = false;
    uint64_t suspects;

    describe_end(event, text);
    stop_serving(self, host, HOST_KILLED);
    if (event->status == TRI_OK && event->has_culprit) {
        convict(self, host, &event->culprit, TRI_OUTCOME_CRASHED, text);
        blamed = true; /* also when it is a task that was over already */
    } else if (event->status == TRI_OK && host->width == 1) {
        for (size_t i = 0; i < event->started_count && !blamed; i++)
            blamed = convict(self, host, &event->started[i], TRI_OUTCOME_CRASHED, text);
    } else if (event->status == TRI_OK && host->kind == HOST_GROUP) {
        blamed = event->started_count != 0;
        feeding_divide(batch, host->kind, host->outstanding);
    } else if (event->status == TRI_OK) {
        suspects = suspect_started(self, host, event);
        blamed = suspects != 0;
        feeding_divide(batch, host->kind, suspects);
    }
    give_back(self, host);
    if (!blamed)
        batches_failed(self, batch, text);
}

void hosts_on_gone(struct session *self, const struct session_event *event)
{
    struct host *host = tri_map_find(&self->hosts, event->host);
    char text[HOST_TEXT_SIZE];

    if (host == NULL)
        return;
    describe_end(event, text);
    effects_trace(self, "host.gone host=%lu tasks=%lu how=\"%s\"", (unsigned long)host->id,
                  (unsigned long)host->outstanding, text);
    if (host->state == HOST_SERVING || host->state == HOST_LEAVING)
        judge(self, host, event);
    hosts_free(self, host);
}

void hosts_on_stalled(struct session *self, const struct session_event *event)
{
    struct host *host = tri_map_find(&self->hosts, event->host);
    char text[HOST_TEXT_SIZE];

    if (host == NULL || (host->state != HOST_SERVING && host->state != HOST_LEAVING))
        return;
    snprintf(text, sizeof(text), "did not stop within %lu ms of its timeout of %lu ms",
             (unsigned long)self->options.stall_ms, (unsigned long)host->batch->spec.timeout_ms);
    effects_trace(self, "host.stalled host=%lu task=%lu", (unsigned long)host->id,
                  (unsigned long)event->stalled.index);
    convict(self, host, &event->stalled, TRI_OUTCOME_TIMEOUT, text);
    hosts_kill(self, host);
}

void hosts_on_broken(struct session *self, uint64_t id, const char *why)
{
    struct host *host = tri_map_find(&self->hosts, id);

    if (host == NULL || (host->state != HOST_SERVING && host->state != HOST_LEAVING))
        return;
    effects_trace(self, "host.broken host=%lu why=\"%s\"", (unsigned long)id, why);
    batches_failed(self, host->batch, why);
    hosts_kill(self, host);
}

void hosts_leave(struct session *self, struct host *host)
{
    if (host->state != HOST_SERVING)
        return;
    effects_trace(self, "host.leaving host=%lu tasks=%lu", (unsigned long)host->id,
                  (unsigned long)host->outstanding);
    stop_serving(self, host, HOST_LEAVING);
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

void hosts_on_launcher_gone(struct session *self)
{
    uint64_t key;
    void *value;

    effects_trace(self, "launcher.gone hosts=%lu", (unsigned long)self->hosts.count);
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);) {
        give_back(self, value);
        hosts_free(self, value);
    }
}
