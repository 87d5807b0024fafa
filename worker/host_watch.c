#include "worker/host_watch.h"

#include "common/assert.h"
#include "common/clock.h"
#include "worker/host_control.h"
#include "worker/host_flush.h"
#include "worker/host_lease.h"
#include "worker/oars/rower.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define LINGER_NS (1000 * MS) /* how long the watch goes on looking after the last lease */

void watch_kick(struct host *host)
{
    if (host->watch_sleeps)
        watch_wake(host);
}

void watch_wake(struct host *host)
{
    uint64_t one = 1;

    host->watch_sleeps = false;
    if (write(host->watch_fd, &one, sizeof(one)) < 0)
        tri_assert(errno == EAGAIN);
}

/* How often to look. Tasks are not timed by their oars, so a timeout is as exact as this. */
static uint64_t interval(const struct host *host)
{
    uint64_t timeout_ns = host->batch.spec.timeout_ms * MS;
    uint64_t ns = HOST_FLUSH_NS;

    if (timeout_ns != 0 && timeout_ns / 16 < ns)
        ns = timeout_ns / 16;
    return ns > MS ? ns : MS;
}

/* Oars are lost to tasks past their time: start nothing more here. */
static bool must_drain(const struct host *host, uint64_t now)
{
    tri_dlist_foreach(&host->abandoned, node)
    {
        const struct rower *rower = tri_container_of(node, struct rower, node);

        /* One whose command is being ended comes back. */
        if (now - rower->watched_ns >= HOST_ABANDON_NS && !atomic_load(&rower->task->winding_up))
            return !host->draining;
    }
    return false;
}

static void drain(struct host *host)
{
    char reason[128];

    pthread_mutex_lock(&host->lock);
    host->draining = true;
    snprintf(reason, sizeof(reason), "%zu task%s past %s timeout will not stop",
             host->abandoned.count, tri_plural(host->abandoned.count),
             host->abandoned.count == 1 ? "its" : "their");
    pthread_mutex_unlock(&host->lock);
    control_give_back(host);
    control_refuse(host, TRI_TIMEOUT, reason);
}

/* All rowers are at work since the last pass, and nobody reads. */
static void mind_the_link(struct host *host)
{
    if (host->reader == NULL && host->idle_count == 0 && host->readers == host->watched_readers)
        host->watch_reads = true;
    host->watched_readers = host->readers;
}

static void pass(struct host *host, uint64_t now)
{
    struct tri_dlist_head parcels;
    bool partials;
    bool lost;

    tri_dlist_init(&parcels);
    pthread_mutex_lock(&host->lock);
    partials = now - host->partial_ns >= HOST_PARTIAL_NS;
    if (partials)
        host->partial_ns = now;
    flush_take_all(host, NULL, partials, &parcels);
    if (host->has_loop)
        async_watch(host, now, partials, &parcels);
    else
        thread_watch(host, now, partials, &parcels);
    mind_the_link(host);
    lost = must_drain(host, now);
    pthread_mutex_unlock(&host->lock);
    atomic_store_explicit(&host->table->cpu_ns, tri_clock_process_cpu_ns(), memory_order_relaxed);
    flush_send(host, &parcels);
    if (lost)
        drain(host);
}

/* Wait for the next pass, or for the link when nobody else reads it. True when it was woken: there
 * is a lease, though it may be done with by now. */
static bool wait_until(struct host *host, uint64_t due, uint64_t now, bool active)
{
    struct pollfd fds[2] = { { .fd = host->watch_fd, .events = POLLIN },
                             { .fd = host->link.fd, .events = POLLIN } };
    struct timespec limit = { 0 };
    uint64_t count;
    bool reads;
    bool woken;

    if (due > now)
        limit = (struct timespec){ (time_t)((due - now) / 1000000000),
                                   (long)((due - now) % 1000000000) };
    pthread_mutex_lock(&host->lock);
    reads = host->loop != NULL ? !async_reads(host) : host->watch_reads || host->rower_count == 0;
    host->watch_sleeps = !active;
    pthread_mutex_unlock(&host->lock);
    if (ppoll(fds, reads ? 2 : 1, active ? &limit : NULL, NULL) <= 0)
        return false;
    woken = fds[0].revents != 0;
    if (woken && read(host->watch_fd, &count, sizeof(count)) < 0)
        tri_assert(errno == EAGAIN || errno == EINTR);
    if (reads && fds[1].revents != 0)
        control_receive(host, NULL);
    return woken;
}

void watch_run(struct host *host)
{
    uint64_t last_active = tri_clock_now_ns();
    uint64_t due = 0;

    for (;;) {
        uint64_t now = tri_clock_now_ns();
        bool active;

        if (now >= due) {
            pass(host, now);
            due = now + interval(host);
        }
        pthread_mutex_lock(&host->lock);
        if (!tri_dlist_is_empty(&host->leases))
            last_active = now;
        active = now - last_active < LINGER_NS;
        pthread_mutex_unlock(&host->lock);
        if (wait_until(host, due, now, active))
            last_active = tri_clock_now_ns();
    }
}
