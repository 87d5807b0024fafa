#include "broker/broker.h"

#include "broker/setup.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/net/socket.h"

#include <poll.h>
#include <stdlib.h>

#define MESSAGES_A_TURN 256

/* Under load there is always something to read. Time passes nevertheless when it is this late. */
#define TICK_LATE_MS_MAX 1000

/* A turn that begins this much later than it should means that the whole process stood still (a
 * stopped process, a suspended machine): what peers sent meanwhile is still on its way to the
 * inbox, and no time passes for the engine until they had one heartbeat to be heard. */
#define STALL_MS 500

/* How often the CPU time is looked at: a system call that a short turn can do without. */
#define CPU_CLOCK_MS 100

#define POLL_MS_MAX 1000

/* How long nothing is taken in while the store has too much to do, before it is asked again. */
#define BUSY_MS_MAX 50

#define OVERFLOW_LOG_MS 1000

/* Give the engine an event, and whatever performing its effects brings about. */
static enum tri_status step(struct broker *self, struct event *event, struct inbox *inbox)
{
    struct event caused;
    enum tri_status status =
        performer_apply(&self->performer, engine_step(self->engine, event), inbox, &self->error);

    while (status == TRI_OK && performer_take_event(&self->performer, &caused)) {
        caused.now = self->now;
        caused.principal = inbox_principal;
        status = performer_apply(&self->performer, engine_step(self->engine, &caused), NULL,
                                 &self->error);
    }
    return status;
}

/* Commit what is due, then send. Sending may find that peers are gone; that is for the next turn.
 */
static enum tri_status settle(struct broker *self)
{
    enum tri_status status = performer_commit_due(&self->performer, self->now, &self->error);

    if (status == TRI_OK)
        performer_flush(&self->performer, self->now);
    return status;
}

/* Take up to `count` messages; self->more: there may be others. */
static enum tri_status take(struct broker *self, int count)
{
    enum tri_status status = TRI_OK;

    self->more = true;
    for (int i = 0; i < count && status == TRI_OK; i++) {
        status = inbox_next(&self->inbox, self->router, self->now);
        if (status == TRI_EMPTY) {
            self->more = false;
            self->performer.has_stirred = false;
            return TRI_OK;
        }
        if (status != TRI_OK) {
            self->error = self->inbox.error;
            return status;
        }
        self->received++;
        status = step(self, &self->inbox.event, &self->inbox);
    }
    return status;
}

/* Take what there is. A message that comes alone is answered before libzmq is asked for more. */
static enum tri_status receive(struct broker *self)
{
    enum tri_status status;

    if (!self->more) {
        status = take(self, 1);
        if (status != TRI_OK || !self->more)
            return status;
        status = settle(self);
        if (status != TRI_OK)
            return status;
    }
    return take(self, MESSAGES_A_TURN);
}

/* Events that sending or the store has caused, when no step came after it. */
static enum tri_status report_caused(struct broker *self)
{
    struct event event;
    enum tri_status status = TRI_OK;

    while (status == TRI_OK && performer_take_event(&self->performer, &event)) {
        event.now = self->now;
        event.principal = inbox_principal;
        status = step(self, &event, NULL);
    }
    return status;
}

static enum tri_status pass_time(struct broker *self)
{
    tri_time deadline = engine_deadline(self->engine);
    struct event tick = { .type = EVENT_TICK, .now = self->now, .principal = inbox_principal };

    if (self->now < deadline || self->now < self->quiet_until)
        return TRI_OK;
    if (self->more && self->now - deadline < TICK_LATE_MS_MAX)
        return TRI_OK;
    return step(self, &tick, NULL);
}

static int poll_ms(const struct broker *self, tri_time now)
{
    tri_time deadline = engine_deadline(self->engine);
    tri_time door = door_deadline(self->door);
    tri_time deferred = performer_deadline(&self->performer);

    if (self->more || self->performer.lost_count > 0)
        return 0;
    if (deadline < self->quiet_until)
        deadline = self->quiet_until;
    if (door < deadline)
        deadline = door;
    if (deferred < deadline)
        deadline = deferred;
    if (deadline <= now)
        return 0;
    return deadline - now < POLL_MS_MAX ? (int)(deadline - now) : POLL_MS_MAX;
}

/* The time of a new turn. When much more of it has passed than was waited and worked, the process
 * stood still. What was worked may count up to CPU_CLOCK_MS too much. */
static void read_clock(struct broker *self, int waited_ms)
{
    tri_time now = tri_clock_now_ms();
    uint64_t passed_ms = now > self->now ? now - self->now : 0;
    bool is_late = passed_ms > (uint64_t)waited_ms + STALL_MS;
    uint64_t cpu_ns;
    uint64_t worked_ms;

    self->now += passed_ms;
    if (!is_late && self->now < self->cpu_at + CPU_CLOCK_MS)
        return;
    cpu_ns = tri_clock_thread_cpu_ns();
    worked_ms = (cpu_ns - self->cpu_ns) / 1000000;
    self->cpu_ns = cpu_ns;
    self->cpu_at = self->now;
    if (passed_ms <= worked_ms + (uint64_t)waited_ms + STALL_MS)
        return;
    self->quiet_until = self->now + self->options->limits.heartbeat_ms;
    tri_log(TRI_LOG_WARN, "broker.stalled", "ms=%llu", (unsigned long long)passed_ms);
}

static void watch_door(struct broker *self)
{
    struct door_counts counts;

    if (!door_turn(self->door, self->now))
        return;
    counts = door_counts(self->door);
    tri_log(TRI_LOG_WARN, counts.is_open ? "door.opened" : "door.closed", "connections=%llu",
            (unsigned long long)counts.connections);
}

/* At most a line a second: a peer that does not read may ask ten thousand times. */
static void watch_overflows(struct broker *self)
{
    if (self->performer.overflows == self->overflows
        || self->now < self->overflows_logged + OVERFLOW_LOG_MS)
        return;
    self->overflows = self->performer.overflows;
    self->overflows_logged = self->now;
    tri_log(TRI_LOG_WARN, "peer.overflowed", "messages_dropped=%llu",
            (unsigned long long)self->overflows);
}

static bool store_is_busy(const struct broker *self)
{
    return self->store->operations->is_busy(self->store);
}

/* Even the reserve is used up. When that ends, there is room to be told of. */
static void watch_store(struct broker *self)
{
    struct store_stats stats = self->store->operations->stats(self->store);

    if (stats.is_full && !self->is_exhausted)
        tri_log(TRI_LOG_WARN, "store.exhausted", "waiting_bytes=%llu",
                (unsigned long long)stats.waiting_bytes);
    self->is_exhausted = stats.is_full;
}

/* Wait for something to happen; then it is `self->now`. Tells why to stop, or NULL. */
static const char *await(struct broker *self)
{
    bool busy = store_is_busy(self);
    struct pollfd fds[] = {
        { .fd = busy ? -1 : self->router_fd, .events = POLLIN }, /* -1: none, and poll skips it */
        { .fd = door_fd(self->door), .events = POLLIN },
        { .fd = self->lifeline.signal_fd, .events = POLLIN },
        { .fd = self->lifeline.owner_fd, .events = POLLIN },
        { .fd = self->store->operations->fd(self->store), .events = POLLIN },
    };
    int wait_ms = busy ? BUSY_MS_MAX : poll_ms(self, self->now);

    if (!busy && wait_ms != 0 && self->performer.has_stirred
        && tri_socket_is_readable(self->router))
        wait_ms = 0;
    poll(fds, TRI_COUNT_OF(fds), wait_ms);
    read_clock(self, wait_ms);
    if (fds[1].revents != 0 || door_deadline(self->door) <= self->now)
        watch_door(self);
    watch_overflows(self);
    return (fds[2].revents | fds[3].revents) != 0 ? lifeline_check(&self->lifeline) : NULL;
}

/* Serve until something ends it. */
static enum tri_status serve(struct broker *self, const char **why)
{
    enum tri_status status = TRI_OK;

    while (status == TRI_OK) {
        *why = await(self);
        if (*why != NULL)
            return TRI_OK;
        status = self->store->operations->turn(self->store, &self->error);
        watch_store(self);
        if (status == TRI_OK)
            status = report_caused(self);
        if (status == TRI_OK && !store_is_busy(self))
            status = receive(self);
        if (status == TRI_OK)
            status = pass_time(self);
        if (status == TRI_OK)
            status = settle(self);
        if (self->options->check)
            engine_check(self->engine);
    }
    return status;
}

/* Tell every peer, once what they are told is durable. A full disk is not waited for: nobody was
 * told of what it did not take. */
static enum tri_status say_goodbye(struct broker *self)
{
    struct event event = { .type = EVENT_SHUTDOWN, .now = self->now, .principal = inbox_principal };
    enum tri_status status = step(self, &event, NULL);

    if (status == TRI_OK)
        status = performer_commit(&self->performer, &self->error);
    if (status == TRI_OK)
        status = store_settle(self->store, self->performer.ticket, &self->error);
    if (status != TRI_OK && status != TRI_NO_SPACE)
        return status;
    performer_flush(&self->performer, self->now);
    return TRI_OK;
}

/* One line for a person. */
static int failed(const struct broker *self, int exit_status)
{
    fprintf(stderr, "trireme-broker: %s\n", self->error.text);
    return exit_status;
}

/* Nobody is told anything more: what was acknowledged is durable, the rest is not known. */
static int stopped_by_failure(const struct broker *self)
{
    if (self->error.status == TRI_STORE)
        tri_log(TRI_LOG_ERROR, "store.failed", "why=%s", TRI_QUOTE(self->error.text));
    return failed(self, BROKER_EXIT_INTERNAL);
}

/* Serve, say goodbye. */
static int run(struct broker *self)
{
    const char *why = NULL;

    if (serve(self, &why) != TRI_OK)
        return stopped_by_failure(self);
    tri_log(TRI_LOG_INFO, "broker.stopping", "why=%s", TRI_QUOTE(why));
    if (say_goodbye(self) != TRI_OK)
        return stopped_by_failure(self);
    return BROKER_EXIT_OK;
}

int broker_run(const struct options *options)
{
    struct broker *self = tri_alloc(1, sizeof(*self));
    int exit_status = setup_open(self, options);

    if (exit_status == BROKER_EXIT_OK)
        exit_status = run(self);
    else
        failed(self, exit_status);
    setup_close(self);
    if (exit_status == BROKER_EXIT_OK)
        tri_log(TRI_LOG_INFO, "broker.stopped", "messages=%llu",
                (unsigned long long)self->received);
    free(self);
    return exit_status;
}
