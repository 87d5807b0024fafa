#include "broker/setup.h"

#include "broker/broker.h"
#include "broker/statedir.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not connections: sockets, signals, logs, libzmq's own. */
#define DESCRIPTORS_RESERVED 256

/* Of where a life begins to number its leases: half of what there is is left for them. */
#define FIRST_LEASE_BITS 39

/* As small a disk as the store is tried on. */
#define STORE_BYTES_MIN (UINT64_C(16) << 20)

/* As far as the system allows, which is returned. */
static uint64_t raise_limit(int resource)
{
    struct rlimit limit = { 0, 0 };

    getrlimit(resource, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
    getrlimit(resource, &limit);
    return limit.rlim_cur;
}

/* As many descriptors as may be; how many of them may be connections. */
static uint64_t raise_descriptors(uint64_t connections_max)
{
    uint64_t limit = raise_limit(RLIMIT_NOFILE);
    uint64_t most = limit > 2 * DESCRIPTORS_RESERVED ? limit - DESCRIPTORS_RESERVED : limit / 2;

    if (connections_max > most)
        tri_log(TRI_LOG_DEBUG, "connections.limited",
                "asked=%llu descriptors=%llu connections=%llu", (unsigned long long)connections_max,
                (unsigned long long)limit, (unsigned long long)most);
    return connections_max < most ? connections_max : most;
}

/* Files may grow as far as the system allows. A store is no good where that is very little; what
 * there is of more, its room tells (broker/store/reserve.h). */
static enum tri_status raise_file_size(struct broker *self)
{
    uint64_t limit = raise_limit(RLIMIT_FSIZE);

    if (limit == RLIM_INFINITY)
        return TRI_OK;
    if (limit < STORE_BYTES_MIN)
        return tri_fail(
            &self->error, TRI_STORE,
            "no file may have more than %llu bytes here, a store needs %llu: raise that "
            "limit (ulimit -f, LimitFSIZE= of a service), or use --store memory",
            (unsigned long long)limit, (unsigned long long)STORE_BYTES_MIN);
    tri_log(TRI_LOG_WARN, "store.limited", "file=%s bytes_max=%llu", TRI_QUOTE(self->store_file),
            (unsigned long long)limit);
    return TRI_OK;
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
    self->router_fd = tri_socket_fd(self->router);
    return door_open(self->context, self->router, self->listeners, options->listen_count,
                     raise_descriptors(options->connections_max), &self->door, &self->error);
}

static enum tri_status open_store(struct broker *self)
{
    const char *given = self->options->store;
    struct store_sqlite_options options;
    enum tri_status status = TRI_OK;

    if (given != NULL && strcmp(given, OPTIONS_STORE_MEMORY) == 0) {
        self->store = store_memory_new();
        return TRI_OK;
    }
    if (given == NULL)
        status = statedir_place(OPTIONS_STORE_DEFAULT, self->store_file, &self->error);
    else if (snprintf(self->store_file, PATH_MAX, "%s", given) >= PATH_MAX)
        status = tri_fail(&self->error, TRI_STORE, "the name of the store is too long");
    if (status == TRI_OK)
        status = raise_file_size(self);
    if (status != TRI_OK)
        return status;
    store_sqlite_options_init(&options);
    options.file = self->store_file;
    options.cache_bytes = self->options->cache_bytes;
    status = store_sqlite_open(&options, &self->store, &self->error);
    if (status == TRI_OK)
        tri_log(TRI_LOG_INFO, "store.opened", "file=%s bytes=%llu room=%llu",
                TRI_QUOTE(self->store_file),
                (unsigned long long)self->store->operations->stats(self->store).disk_bytes,
                (unsigned long long)self->store->operations->room(self->store));
    return status;
}

/* The engine does not believe what the store has. */
static enum tri_status damaged(const struct broker *self,
                               const struct tri_error *why,
                               struct tri_error *error)
{
    return tri_fail(error, TRI_STORE,
                    "store %.200s is damaged (%.200s): restore it with its log from a copy, or "
                    "move both away to begin anew",
                    self->store_file, why->text);
}

static enum tri_status recover_row(void *context,
                                   struct store_key key,
                                   struct tri_bytes head,
                                   uint64_t payload_bytes,
                                   struct tri_error *error)
{
    struct broker *self = context;
    struct tri_error why = { TRI_OK, "" };

    if (engine_recover_row(self->engine, key, head, payload_bytes, &why) == TRI_OK)
        return TRI_OK;
    return damaged(self, &why, error);
}

/* What the store has from earlier lives. */
static enum tri_status recover(struct broker *self)
{
    tri_time begun = tri_clock_now_ms();
    struct recovery_counts counts;
    struct tri_error why = { TRI_OK, "" };
    enum tri_status status;

    engine_recover_begin(self->engine, begun);
    status = self->store->operations->scan(self->store, recover_row, self, &self->error);
    if (status == TRI_OK && engine_recover_end(self->engine, &counts, &why) != TRI_OK)
        status = damaged(self, &why, &self->error);
    if (status == TRI_OK)
        tri_log(TRI_LOG_INFO, "store.recovered",
                "file=%s batches=%llu chunks=%llu rows=%llu workers=%llu ms=%llu",
                TRI_QUOTE(self->store_file), (unsigned long long)counts.batches,
                (unsigned long long)counts.chunks, (unsigned long long)counts.rows,
                (unsigned long long)counts.workers,
                (unsigned long long)(tri_clock_now_ms() - begun));
    return status;
}

static enum tri_status open_engine(struct broker *self)
{
    struct engine_options options;
    uint64_t random[5];
    bool is_stored = self->store_file[0] != '\0';

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return tri_fail(&self->error, TRI_SYSTEM, "no random numbers: %s", strerror(errno));
    engine_options_init(&options);
    options.limits = self->options->limits;
    options.seed = random[0];
    memcpy(options.cluster.bytes, &random[1], sizeof(options.cluster.bytes));
    /* Nothing of the last run is kept, but its workers may still be there with leases of it: the
     * wall clock in seconds tells the runs apart. */
    options.epoch = is_stored ? 1 : tri_clock_wall_ms() / 1000;
    /* Nor do leases of two lives get the same number when their epoch is: a copy of the store was
     * put back. */
    options.first_lease = 1 + (random[4] >> (64 - FIRST_LEASE_BITS));
    options.payloads_stored = is_stored;
    if (is_stored)
        options.limits.memory_bytes_max = UINT64_MAX; /* its disk says how much */
    options.software = "trireme/" TRI_SOFTWARE_VERSION;
    self->engine = engine_new(&options);
    gauges_init(&self->gauges, &self->options->peer, random[3]);
    inbox_init(&self->inbox, self->options->limits.message_bytes_max);
    performer_init(&self->performer, self->router, self->store, &self->gauges);
    return is_stored ? recover(self) : TRI_OK;
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

int setup_open(struct broker *self, const struct options *options)
{
    self->options = options;
    self->lifeline.signal_fd = -1;
    tri_log_level_set(options->log_level);
    if (lifeline_open(&self->lifeline, options->private_fd, &self->error) != TRI_OK)
        return BROKER_EXIT_INTERNAL;
    if (open_listeners(self) != TRI_OK)
        return self->error.status == TRI_DENIED ? BROKER_EXIT_USAGE : BROKER_EXIT_UNAVAILABLE;
    if (open_sockets(self) != TRI_OK)
        return BROKER_EXIT_INTERNAL;
    if (open_store(self) != TRI_OK)
        return self->error.status == TRI_INVALID ? BROKER_EXIT_USAGE : BROKER_EXIT_UNAVAILABLE;
    if (open_engine(self) != TRI_OK)
        return self->error.status == TRI_STORE ? BROKER_EXIT_UNAVAILABLE : BROKER_EXIT_INTERNAL;
    self->now = tri_clock_now_ms();
    self->cpu_ns = tri_clock_thread_cpu_ns();
    self->cpu_at = self->now;
    tri_log(TRI_LOG_INFO, "broker.started", "name=%s pid=%d version=%s store=%s",
            TRI_QUOTE(options->name), (int)getpid(), TRI_SOFTWARE_VERSION,
            self->store->operations->name);
    tell_ready(self);
    return BROKER_EXIT_OK;
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
            snprintf(directory, sizeof(directory), "%s", listener_directory(listener));
        listener_close(&self->listeners[i]);
        if (directory[0] != '\0')
            rmdir(directory);
    }
}

void setup_close(struct broker *self)
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
