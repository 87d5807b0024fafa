/* A rower between its runs: it sends what it has, reads the link when nobody else does, and
 * sleeps. */
#include "worker/oars/thread.h"

#include "common/clock.h"
#include "worker/host_control.h"
#include "worker/host_flush.h"
#include "worker/host_lease.h"
#include "worker/host_watch.h"

#include <poll.h>

#define LONG_TASK_NS 200000u /* a reader that goes for longer than this is stood in for */
#define SETTLE_NS 1000000u   /* between two flushes while other oars are busy */

void thread_send_own(struct rower *self)
{
    struct host *host = self->host;
    struct tri_dlist_head parcels;

    tri_dlist_init(&parcels);
    rower_account(self, &self->box->haul);
    pthread_mutex_lock(&host->lock);
    atomic_store_explicit(&self->knock, 0, memory_order_relaxed);
    thread_obey_one(self, false);
    flush_take(host, self->box, &parcels);
    pthread_mutex_unlock(&host->lock);
    flush_send(host, &parcels);
}

/* Nothing to run: what is finished goes, unless others will soon have more. Under host->lock,
 * which is let go in between. Returns whether it was. */
static bool send_free(struct host *host)
{
    struct tri_dlist_head parcels;
    uint64_t now = tri_clock_now_ns();
    bool partials;

    if (host->rower_count > host->idle_count && now - host->flushed_ns < SETTLE_NS)
        return false;
    tri_dlist_init(&parcels);
    partials = host->rower_count == host->idle_count || now - host->partial_ns >= HOST_PARTIAL_NS;
    if (partials)
        host->partial_ns = now;
    flush_take_all(host, NULL, partials, &parcels);
    if (tri_dlist_is_empty(&parcels))
        return false;
    host->flushed_ns = now;
    pthread_mutex_unlock(&host->lock);
    flush_send(host, &parcels);
    pthread_mutex_lock(&host->lock);
    return true;
}

/* Under host->lock, let go in between: wait for something to change. */
static void wait_for_change(struct rower *self)
{
    struct host *host = self->host;
    struct pollfd fds[2] = { { .fd = host->link.fd, .events = POLLIN },
                             { .fd = self->wake_fd, .events = POLLIN } };

    if (host->reader != self) {
        pthread_cond_wait(&host->work, &host->lock);
        return;
    }
    pthread_mutex_unlock(&host->lock);
    if (poll(fds, 2, -1) > 0) {
        if (fds[1].revents != 0)
            rower_drain(self);
        if (fds[0].revents != 0)
            control_receive(host, self);
    }
    pthread_mutex_lock(&host->lock);
}

static void become_reader(struct rower *self)
{
    struct host *host = self->host;

    host->reader = self;
    host->watch_reads = false;
    host->readers++;
}

/* Back to work. Short tasks leave the link alone until this rower is idle again; if they turn out
 * long after all, the watch finds it unread. Before long ones somebody stands in. */
static void stop_reading(struct rower *self)
{
    struct host *host = self->host;

    if (host->reader == self)
        host->reader = NULL;
    if (host->reader != NULL || host->watch_reads
        || (host->task_ns != 0 && host->task_ns <= LONG_TASK_NS))
        return;
    if (host->idle_count > host->queued) {
        pthread_cond_signal(&host->work);
    } else {
        host->watch_reads = true;
        watch_wake(host);
    }
}

/* Under host->lock. Nothing was queued when it was last looked: sleep until there is. */
static void wait_for_run(struct rower *self)
{
    struct host *host = self->host;

    atomic_store_explicit(&self->slot->task, 0, memory_order_relaxed);
    host->idle_count++;
    while (!lease_grab(host, self)) {
        if (host->reader == NULL)
            become_reader(self);
        if (!send_free(host))
            wait_for_change(self);
    }
    host->idle_count--;
    stop_reading(self);
}

/* The next run. */
void thread_next_run(struct rower *self, uint64_t elapsed_ns, uint64_t count)
{
    struct host *host = self->host;
    bool idle;

    if (self->lease != NULL && self->box->haul.reducer != NULL
        && tri_reducer_partial_bytes(self->box->haul.reducer) > HOST_FLUSH_BYTES)
        thread_send_own(self);
    pthread_mutex_lock(&host->lock);
    if (count != 0)
        lease_learn(host, elapsed_ns, count);
    idle = tri_dlist_is_empty(&host->slices);
    if (idle && self->lease != NULL)
        rower_account(self, &self->box->haul);
    if (!lease_grab(host, self))
        wait_for_run(self);
    self->timed = host->task_ns == 0 || host->task_ns >= HOST_TIMED_NS;
    atomic_store_explicit(&self->slot->task, 0, memory_order_relaxed);
    atomic_store_explicit(&self->slot->lease, self->lease->id, memory_order_relaxed);
    pthread_mutex_unlock(&host->lock);
    if (idle)
        rower_account(self, NULL);
}
