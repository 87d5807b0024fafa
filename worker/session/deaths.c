/* Deaths: who is to blame when a host ends by itself, or has to be ended. */
#include "worker/session/parts.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define HOST_TEXT_SIZE 128

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
    hosts_stop_serving(self, host, HOST_KILLED);
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
    hosts_give_back(self, host);
    if (event->status != TRI_OK && host->kind == HOST_ONE)
        blamed = batches_narrow(self, batch, text);
    if (!blamed)
        batches_failed(self, batch, text);
}

void deaths_on_gone(struct session *self, const struct session_event *event)
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

void deaths_on_stalled(struct session *self, const struct session_event *event)
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

void deaths_on_broken(struct session *self, uint64_t id, const char *why)
{
    struct host *host = tri_map_find(&self->hosts, id);

    if (host == NULL || (host->state != HOST_SERVING && host->state != HOST_LEAVING))
        return;
    effects_trace(self, "host.broken host=%lu why=\"%s\"", (unsigned long)id, why);
    batches_failed(self, host->batch, why);
    hosts_kill(self, host);
}

static bool has_outstanding(const struct batch *batch)
{
    tri_dlist_foreach(&batch->hosts, node)
    {
        if (tri_container_of(node, struct host, of_batch)->outstanding != 0)
            return true;
    }
    return false;
}

/* Once it may have been an accident. A batch that never gets anywhere because its tasks kill the
 * launcher is one that cannot run here. */
void deaths_on_launcher_gone(struct session *self)
{
    uint64_t key;
    void *value;

    effects_trace(self, "launcher.gone hosts=%lu", (unsigned long)self->hosts.count);
    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);) {
        struct batch *batch = value;

        batch->interrupted = has_outstanding(batch);
    }
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);) {
        hosts_give_back(self, value);
        hosts_free(self, value);
    }
    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);) {
        struct batch *batch = value;

        if (batch->interrupted && batch->interruptions++ != 0)
            batches_failed(self, batch, "the launcher was killed");
    }
}
