/* What the tables say: which tasks are on, and which oars have stood still for too long. */
#include "worker/shell_state.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"

#include <signal.h>

#define WATCH_MS 100u
#define ONE_OAR_GRACE_MS 5000u /* a host with one oar ends its task itself, in this time */
#define CLOSED_MS 2000u        /* a host without a link is dead by then, or is killed */

void shell_gather(struct shell *self, const struct shell_host *only)
{
    uint64_t key;
    void *value;

    self->started_count = 0;
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);) {
        const struct shell_host *host = value;

        if (only != NULL ? host != only : host->table == NULL)
            continue;
        for (uint32_t i = 0; i < host->width; i++) {
            uint64_t task = host->table->slots[i].task;

            if (task == 0)
                continue;
            if (self->started_count == self->started_capacity) {
                self->started_capacity = self->started_capacity * 2 + 64;
                self->started =
                    tri_realloc(self->started, self->started_capacity, sizeof(*self->started));
            }
            self->started[self->started_count++] =
                (struct session_task){ host->table->slots[i].lease, task - 1 };
        }
    }
}

/* The one oar whose standing still means a stuck host; NULL: none at the moment. */
static const struct host_slot *held_slot(const struct shell_host *host)
{
    int32_t running = host->table->running;

    if (host->model != TRI_MODEL_ASYNC)
        return host->width == 1 ? &host->table->slots[0] : NULL;
    return running >= 0 && (uint32_t)running < host->width ? &host->table->slots[running] : NULL;
}

/* True when its oar has been on one task, without a turn of the loop, for too long. */
static bool is_stuck(const struct shell *self, struct shell_host *host, tri_time now)
{
    const struct host_slot *slot = held_slot(host);
    struct shell_mark mark = { .since = now };
    uint64_t limit_ms = host->timeout_ms + self->options->session.stall_ms;

    if (slot != NULL) {
        mark.task = slot->task;
        mark.seq = slot->seq;
        mark.turns = host->table->turns;
    }
    if (mark.task == 0 || mark.task != host->mark.task || mark.seq != host->mark.seq
        || mark.turns != host->mark.turns) {
        host->mark = mark;
        return false;
    }
    if (host->model != TRI_MODEL_ASYNC)
        limit_ms += ONE_OAR_GRACE_MS;
    return now - host->mark.since >= limit_ms;
}

static void report_stuck(struct shell *self, struct shell_host *host)
{
    const struct host_slot *slot = held_slot(host);
    struct session_event event = { .type = SESSION_HOST_STALLED, .host = host->id };

    host->mark = (struct shell_mark){ 0 };
    if (slot == NULL || slot->task == 0)
        return;
    event.stalled = (struct session_task){ slot->lease, slot->task - 1 };
    shell_apply(self, &event);
}

/* Its link is closed, but it lives: it is of no use. */
static void end_closed(struct shell *self, struct shell_host *host)
{
    struct tri_error error;

    host->closed_at = TRI_NEVER;
    tri_log(TRI_LOG_WARN, "host.silent", "host=%lu", (unsigned long)host->id);
    launcher_kill_host(&self->launcher, host->id, SIGKILL, &error);
    shell_tend_launcher(self);
}

void shell_watch(struct shell *self)
{
    tri_time now = tri_clock_now_ms();
    bool needed = false;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);) {
        struct shell_host *host = value;

        if (host->closed_at != TRI_NEVER && now - host->closed_at >= CLOSED_MS)
            end_closed(self, host);
        needed = needed || host->closed_at != TRI_NEVER || host->timeout_ms != 0;
        if (host->timeout_ms != 0 && host->table != NULL && is_stuck(self, host, now))
            report_stuck(self, host);
    }
    self->watch_at = needed ? now + WATCH_MS : TRI_NEVER;
}
