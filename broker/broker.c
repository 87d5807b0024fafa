#include "broker/broker.h"

#include "broker/inbox.h"
#include "broker/lifeline.h"
#include "broker/net/door.h"
#include "broker/performer.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define MESSAGES_A_TURN 256

/* Under load there is always something to read. Time passes nevertheless when it is this late. */
#define TICK_LATE_MS_MAX 1000

/* A turn that begins this much later than it should means that the whole process stood still (a
 * stopped process, a suspended machine): what peers sent meanwhile is still on its way to the
 * inbox, and no time passes for the engine until they had one heartbeat to be heard. */
#define STALL_MS 500

/* Descriptors that are not connections: sockets, signals, logs, libzmq's own. */
#define DESCRIPTORS_RESERVED 256

#define POLL_MS_MAX 1000
#define OVERFLOW_LOG_MS 1000

struct broker {
    const struct options *options;
    struct listener *listeners[OPTIONS_LISTEN_MAX];
    void *context;
    void *router;
    struct door *door;
    struct lifeline lifeline;
    struct store *store;
    struct engine *engine;
    struct gauges gauges;
    struct inbox inbox;
    struct performer performer;
    tri_time now;
    uint64_t cpu_ns;      /* of this thread, at `now` */
    tri_time quiet_until; /* no TICK before */
    bool more;            /* the last turn left messages unread */
    uint64_t received;
    uint64_t overflows;        /* logged so far */
    tri_time overflows_logged; /* when */
    struct tri_error error;
};

/* ---- opening --------------------------------------------------------------------------------- */

/* As many descriptors as the system allows; how many of them may be connections. */
static uint64_t raise_descriptors(uint64_t connections_max)
{
    struct rlimit limit = { 0, 0 };
    uint64_t most;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    most = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED
                                                     : limit.rlim_cur / 2;
    if (connections_max > most)
        tri_log(TRI_LOG_INFO, "connections.limited", "asked=%llu descriptors=%llu connections=%llu",
                (unsigned long long)connections_max, (unsigned long long)limit.rlim_cur,
                (unsigned long long)most);
    return connections_max < most ? connections_max : most;
}

static enum tri_status open_listeners(struct broker *self)
{
    const struct options *options = self->options;

    for (size_t i = 0; i < options->listen_count; i++) {
        enum tri_status status = listener_open(&options->listen[i], options->insecure,
                                               &self->listeners[i], &self->error);

        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

static enum tri_status open_sockets(struct broker *self)
{
    const struct options *options = self->options;
    struct tri_socket_options socket;
    enum tri_status status;

    self->context = zmq_ctx_new();
    if (self->context == NULL)
        return tri_fail(&self->error, TRI_SYSTEM, "libzmq cannot start: %s", zmq_strerror(errno));
    tri_socket_options_init(&socket);
    socket.message_bytes_max = options->limits.message_bytes_max;
    status = tri_socket_open(self->context, ZMQ_ROUTER, &socket, &self->router, &self->error);
    if (status != TRI_OK)
        return status;
    return door_open(self->context, self->router, self->listeners, options->listen_count,
                     raise_descriptors(options->connections_max), &self->door, &self->error);
}

static enum tri_status open_engine(struct broker *self)
{
    struct engine_options options;
    uint64_t random[4];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return tri_fail(&self->error, TRI_SYSTEM, "no random numbers: %s", strerror(errno));
    engine_options_init(&options);
    options.limits = self->options->limits;
    options.seed = random[0];
    memcpy(options.cluster.bytes, &random[1], sizeof(options.cluster.bytes));
    /* Nothing of the last run is kept, but its workers may still be there with leases of it: the
     * wall clock in seconds tells the runs apart. */
    options.epoch = tri_clock_wall_ms() / 1000;
    options.software = "trireme/" TRI_SOFTWARE_VERSION;
    self->engine = engine_new(&options);
    self->store = store_memory_new();
    gauges_init(&self->gauges, &self->options->peer, random[3]);
    inbox_init(&self->inbox, self->options->limits.message_bytes_max);
    performer_init(&self->performer, self->router, self->store, &self->gauges);
    return TRI_OK;
}

/* One line for each endpoint, for whoever waits to connect. */
static void tell_ready(struct broker *self)
{
    int fd = self->options->ready_fd;

    for (size_t i = 0; i < self->options->listen_count; i++) {
        const char *endpoint = listener_endpoint(self->listeners[i]);

        tri_log(TRI_LOG_INFO, "endpoint.opened", "endpoint=%s", TRI_QUOTE(endpoint));
        if (fd >= 0 && dprintf(fd, "listening %s\n", endpoint) < 0)
            tri_log(TRI_LOG_WARN, "ready.unwritten", "fd=%d why=%s", fd,
                    TRI_QUOTE(strerror(errno)));
    }
    if (fd > 2)
        close(fd);
}

static enum tri_status broker_open(struct broker *self)
{
    enum tri_status status =
        lifeline_open(&self->lifeline, self->options->private_fd, &self->error);

    if (status == TRI_OK)
        status = open_listeners(self);
    if (status == TRI_OK)
        status = open_sockets(self);
    if (status == TRI_OK)
        status = open_engine(self);
    if (status != TRI_OK)
        return status;
    self->now = tri_clock_now_ms();
    self->cpu_ns = tri_clock_thread_cpu_ns();
    tri_log(TRI_LOG_INFO, "broker.started", "name=%s pid=%d version=%s store=%s",
            TRI_QUOTE(self->options->name), (int)getpid(), TRI_SOFTWARE_VERSION,
            self->store->operations->name);
    tell_ready(self);
    return TRI_OK;
}

/* ---- turns ----------------------------------------------------------------------------------- */

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

/* Commit, then send. Sending may find that peers are gone; that is for the next turn. */
static enum tri_status settle(struct broker *self)
{
    enum tri_status status = performer_commit(&self->performer, &self->error);

    if (status == TRI_OK)
        performer_flush(&self->performer);
    return status;
}

static enum tri_status receive(struct broker *self)
{
    enum tri_status status = TRI_OK;

    self->more = true;
    for (int i = 0; i < MESSAGES_A_TURN && status == TRI_OK; i++) {
        status = inbox_next(&self->inbox, self->router, self->now);
        if (status == TRI_EMPTY) {
            self->more = false;
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

/* Events that sending has caused, when no step came after it. */
static enum tri_status report_lost(struct broker *self)
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

    if (self->more || self->performer.lost_count > 0)
        return 0;
    if (deadline < self->quiet_until)
        deadline = self->quiet_until;
    if (door < deadline)
        deadline = door;
    if (deadline <= now)
        return 0;
    return deadline - now < POLL_MS_MAX ? (int)(deadline - now) : POLL_MS_MAX;
}

/* The time of a new turn. When much more of it has passed than was waited and worked, the process
 * stood still. */
static void read_clock(struct broker *self, int waited_ms)
{
    tri_time now = tri_clock_now_ms();
    uint64_t cpu_ns = tri_clock_thread_cpu_ns();
    uint64_t worked_ms = (cpu_ns - self->cpu_ns) / 1000000;
    uint64_t passed_ms = now > self->now ? now - self->now : 0;

    self->now += passed_ms;
    self->cpu_ns = cpu_ns;
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

/* Wait for something to happen; then it is `self->now`. Tells why to stop, or NULL. */
static const char *await(struct broker *self)
{
    zmq_pollitem_t items[] = {
        { .socket = self->router, .events = ZMQ_POLLIN },
        { .socket = door_socket(self->door), .events = ZMQ_POLLIN },
        { .fd = self->lifeline.signal_fd, .events = ZMQ_POLLIN },
        { .fd = self->lifeline.owner_fd, .events = ZMQ_POLLIN },
    };
    int count = self->lifeline.owner_fd >= 0 ? 4 : 3;
    int wait_ms = poll_ms(self, self->now);

    zmq_poll(items, count, wait_ms);
    read_clock(self, wait_ms);
    watch_door(self);
    watch_overflows(self);
    return (items[2].revents | items[3].revents) != 0 ? lifeline_check(&self->lifeline) : NULL;
}

/* Serve until something ends it. */
static enum tri_status serve(struct broker *self, const char **why)
{
    enum tri_status status = TRI_OK;

    while (status == TRI_OK) {
        *why = await(self);
        if (*why != NULL)
            return TRI_OK;
        status = report_lost(self);
        if (status == TRI_OK)
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

/* ---- stopping -------------------------------------------------------------------------------- */

/* Tell every peer. The store in memory is durable at once; one that is not is waited for. */
static enum tri_status say_goodbye(struct broker *self)
{
    struct event event = { .type = EVENT_SHUTDOWN, .now = self->now, .principal = inbox_principal };
    enum tri_status status = step(self, &event, NULL);

    return status == TRI_OK ? settle(self) : status;
}

/* In a private run the directory goes too, if nothing is left in it: whatever else lies there is
 * somebody else's. */
static void close_listeners(struct broker *self)
{
    for (size_t i = 0; i < self->options->listen_count; i++) {
        struct listener *listener = self->listeners[i];
        char directory[sizeof(self->options->listen[i].path)] = "";

        if (listener == NULL)
            continue;
        if (self->options->private_fd >= 0 && listener_directory(listener) != NULL)
            strcpy(directory, listener_directory(listener));
        listener_close(&self->listeners[i]);
        if (directory[0] != '\0')
            rmdir(directory);
    }
}

/* New peers find nobody from now on; what has been sent has ZMQ_LINGER to leave. */
static void broker_close(struct broker *self)
{
    door_close(&self->door);
    close_listeners(self);
    lifeline_let_go(&self->lifeline);
    if (self->performer.router != NULL)
        performer_deinit(&self->performer);
    inbox_deinit(&self->inbox);
    engine_destroy(&self->engine);
    if (self->store != NULL)
        self->store->operations->close(&self->store);
    tri_socket_close(&self->router);
    if (self->context != NULL)
        zmq_ctx_term(self->context);
    gauges_deinit(&self->gauges);
}

/* One line for a person, and the status that the man page gives it. */
static int failed(const struct broker *self, bool opening)
{
    fprintf(stderr, "trireme-broker: %s\n", self->error.text);
    if (!opening)
        return BROKER_EXIT_INTERNAL;
    return self->error.status == TRI_DENIED ? BROKER_EXIT_USAGE : BROKER_EXIT_UNAVAILABLE;
}

int broker_run(const struct options *options)
{
    struct broker *self = tri_alloc(1, sizeof(*self));
    const char *why = NULL;
    int exit_status = BROKER_EXIT_OK;

    self->options = options;
    self->lifeline.signal_fd = -1;
    tri_log_level_set(options->log_level);
    if (broker_open(self) != TRI_OK) {
        exit_status = failed(self, true);
    } else if (serve(self, &why) != TRI_OK) {
        exit_status = failed(self, false);
    } else {
        tri_log(TRI_LOG_INFO, "broker.stopping", "why=%s", TRI_QUOTE(why));
        if (say_goodbye(self) != TRI_OK)
            exit_status = failed(self, false);
    }
    broker_close(self);
    if (exit_status == BROKER_EXIT_OK)
        tri_log(TRI_LOG_INFO, "broker.stopped", "messages=%llu",
                (unsigned long long)self->received);
    free(self);
    return exit_status;
}
