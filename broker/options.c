#include "broker/options.h"

#include "common/net/socket.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define HOUR UINT64_C(3600000)
#define SIZE_MAX_ (UINT64_C(1) << 50)
#define MEMBER(name) offsetof(struct options, name)

enum { SETTING_LISTEN = TRI_SETTING_OWN, SETTING_INSECURE, SETTING_STORE };

static const struct tri_setting settings[] = {
    { "listen", "ENDPOINT", SETTING_LISTEN, 0, 0, 0, TRI_SETTING_LIST, "Where it listens",
      "ipc:///PATH or tcp://HOST:PORT (PORT * for any free one); may be given several times; "
      "default " TRI_ENDPOINT_DEFAULT },
    { "insecure-no-auth", "[=network]", SETTING_INSECURE, 0, 0, 0, TRI_SETTING_ONCE, NULL,
      "allow tcp without keys: on loopback, or with =network everywhere; whoever can connect can "
      "run tasks" },
    { "max-connections", "N", TRI_SETTING_NUMBER, MEMBER(connections_max), 1, 1000000,
      TRI_SETTING_ONCE, NULL,
      "hold new connections off above this many (%s, or what descriptors allow)" },

    { "store", "FILE", SETTING_STORE, 0, 0, 0, TRI_SETTING_ONCE, "What it keeps",
      "where batches are kept: a file that outlives the broker (" OPTIONS_STORE_DEFAULT " in the "
      "state directory), or 'memory', where they end with it" },
    { "cache", "SIZE", TRI_SETTING_SIZE, MEMBER(cache_bytes), MIB, SIZE_MAX_, TRI_SETTING_ONCE,
      NULL, "how much of the file is kept in memory (%s)" },
    { "reclaim", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.reclaim_ms), 1, HOUR,
      TRI_SETTING_ONCE, NULL,
      "after a restart with a file workers may come back with their leases this long (%s)" },
    { "memory", "SIZE", TRI_SETTING_SIZE, MEMBER(limits.memory_bytes_max), MIB, SIZE_MAX_,
      TRI_SETTING_ONCE, NULL, "payload kept for all batches, with '--store memory' (%s)" },
    { "batch-memory", "SIZE", TRI_SETTING_SIZE, MEMBER(limits.batch_bytes_max), MIB, SIZE_MAX_,
      true, NULL,
      "payload of one batch that is not done yet or, with a file, not yet on the disk (%s)" },
    { "max-batches", "N", TRI_SETTING_NUMBER, MEMBER(limits.batches_max), 1, 100000000,
      TRI_SETTING_ONCE, NULL, "batches listed at a time (%s)" },
    { "max-entries", "N", TRI_SETTING_NUMBER, MEMBER(limits.entries_max), 1, 100000000,
      TRI_SETTING_ONCE, NULL, "failed and retrying tasks remembered (%s)" },
    { "retention", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.retention_ms), 1,
      1000 * 24 * HOUR, TRI_SETTING_ONCE, NULL, "ended batches are kept this long (%s)" },
    { "open-grace", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.open_grace_ms), 1, 24 * HOUR,
      true, NULL, "an open batch whose client is gone this long is sealed (%s)" },
    { "refusal-grace", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.refusal_grace_ms), 1,
      24 * HOUR, TRI_SETTING_ONCE, NULL,
      "a batch whose workers left waits this long for a willing one (%s)" },

    { "max-peers", "N", TRI_SETTING_NUMBER, MEMBER(limits.peers_max), 1, 1000000, TRI_SETTING_ONCE,
      "What one peer may use", "clients and workers with a session (%s)" },
    { "max-message", "SIZE", TRI_SETTING_SIZE, MEMBER(limits.message_bytes_max), 4 * MIB, GIB,
      TRI_SETTING_ONCE, NULL, "of one frame; a larger one ends its connection (%s)" },
    { "max-item", "SIZE", TRI_SETTING_SIZE, MEMBER(limits.item_bytes_max), 1024, GIB,
      TRI_SETTING_ONCE, NULL, "of one argument (%s)" },
    { "max-window", "SIZE", TRI_SETTING_SIZE, MEMBER(limits.window_bytes_max), 64 * 1024, SIZE_MAX_,
      true, NULL, "results on their way to one client and not acknowledged (%s)" },
    { "max-peer-bytes", "SIZE", TRI_SETTING_SIZE, MEMBER(peer.bytes_max), MIB, SIZE_MAX_,
      TRI_SETTING_ONCE, NULL, "sent to one peer and not read by it; above, its session ends (%s)" },
    { "max-peer-messages", "N", TRI_SETTING_NUMBER, MEMBER(peer.messages_max), 16, 100000000,
      TRI_SETTING_ONCE, NULL, "the same in messages (%s)" },

    { "heartbeat", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.heartbeat_ms), 10, HOUR,
      TRI_SETTING_ONCE, "Timing", "peers report this often (%s)" },
    { "lease", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.lease_ms), 50, 24 * HOUR,
      TRI_SETTING_ONCE, NULL, "a worker silent this long loses its leases (%s)" },
    { "lease-target", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.lease_target_ms), 1, HOUR,
      true, NULL, "work that waits at a worker beyond what it runs (%s)" },
    { "backoff-min", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.backoff_ms_min), 1, HOUR,
      TRI_SETTING_ONCE, NULL, "before the first retry of a failed task (%s)" },
    { "backoff-max", "DURATION", TRI_SETTING_DURATION, MEMBER(limits.backoff_ms_max), 1, 24 * HOUR,
      true, NULL, "before any later one (%s)" },

    { "config", "FILE", TRI_SETTING_CONFIG, 0, 0, 0, TRI_SETTING_ABSENT, "The program",
      "settings, in section broker (" OPTIONS_CONFIG_DEFAULT " when it exists); the command line "
      "counts for more" },
    { "name", "NAME", TRI_SETTING_TEXT, MEMBER(name), 1, 64, TRI_SETTING_ONCE, NULL,
      "of this broker, in its log (%s)" },
    { "log-level", "LEVEL", TRI_SETTING_LEVEL, MEMBER(log_level), 0, 0, TRI_SETTING_ONCE, NULL,
      "error, warn, info or debug (%s), on stderr" },
    { "private", "FD", TRI_SETTING_DESCRIPTOR, MEMBER(private_fd), 0, 1000000, TRI_SETTING_ABSENT,
      NULL,
      "serve one owner: stop, and remove the directory of the ipc socket, when FD reaches its "
      "end" },
    { "ready-fd", "FD", TRI_SETTING_DESCRIPTOR, MEMBER(ready_fd), 0, 1000000, TRI_SETTING_ABSENT,
      NULL, "write a line 'listening ENDPOINT' for each endpoint there, and close it" },
    { "check", NULL, TRI_SETTING_FLAG, MEMBER(check), 0, 0, TRI_SETTING_ABSENT, NULL,
      "verify every invariant after every turn (slow)" },
    { "help", NULL, TRI_SETTING_HELP, 0, 0, 0, TRI_SETTING_ABSENT, NULL, "print this" },
    { "version", NULL, TRI_SETTING_VERSION, 0, 0, 0, TRI_SETTING_ABSENT, NULL,
      "print the version" },
};

/* ---- one value ------------------------------------------------------------------------------ */

static enum tri_status set_listen(struct options *self, const char *text, struct tri_error *error)
{
    if (self->listen_count == OPTIONS_LISTEN_MAX)
        return tri_fail(error, TRI_INVALID, "more than %d endpoints", OPTIONS_LISTEN_MAX);
    return tri_endpoint_parse(text, &self->listen[self->listen_count++], error);
}

static enum tri_status set_store(struct options *self, const char *text, struct tri_error *error)
{
    if (text[0] == '\0')
        return tri_fail(error, TRI_INVALID, "--store wants a file, or 'memory'");
    self->store = text;
    return TRI_OK;
}

static enum tri_status set_own(void *values,
                               const struct tri_setting *setting,
                               const char *text,
                               struct tri_error *error)
{
    struct options *self = values;

    switch (setting->kind) {
    case SETTING_LISTEN:
        return set_listen(self, text, error);
    case SETTING_INSECURE:
        return tri_insecure_parse(text == NULL ? "" : text, &self->insecure, error);
    case SETTING_STORE:
        return set_store(self, text, error);
    }
    return TRI_INVALID;
}

static const struct tri_program program = {
    .name = "trireme-broker",
    .section = "broker/",
    .config_default = OPTIONS_CONFIG_DEFAULT,
    .settings = settings,
    .setting_count = TRI_COUNT_OF(settings),
    .set = set_own,
};

/* ---- all of them ---------------------------------------------------------------------------- */

static void options_init(struct options *self)
{
    struct engine_options engine;

    engine_options_init(&engine);
    *self = (struct options){
        .name = "broker",
        .private_fd = -1,
        .ready_fd = -1,
        .log_level = TRI_LOG_INFO,
        .cache_bytes = 64 * MIB,
        .connections_max = 20000,
        .peer = { .messages_max = 100000, .bytes_max = GIB / 2 },
        .limits = engine.limits,
    };
}

static enum tri_status check_together(const struct options *self, struct tri_error *error)
{
    const struct engine_limits *limits = &self->limits;
    enum tri_status status;

    if (limits->lease_ms < 3 * limits->heartbeat_ms)
        return tri_fail(error, TRI_INVALID,
                        "--lease must be at least three times --heartbeat, or a single lost "
                        "heartbeat ends a lease");
    if (limits->item_bytes_max > limits->message_bytes_max / 2)
        return tri_fail(error, TRI_INVALID, "--max-item must be at most half of --max-message");
    if (limits->backoff_ms_max < limits->backoff_ms_min)
        return tri_fail(error, TRI_INVALID, "--backoff-max is below --backoff-min");
    if (self->peer.bytes_max < limits->message_bytes_max)
        return tri_fail(error, TRI_INVALID, "--max-peer-bytes must be at least --max-message");
    for (size_t i = 0; i < self->listen_count; i++) {
        status = tri_endpoint_may_listen(&self->listen[i], self->insecure, error);
        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

enum tri_status options_open(struct options *self,
                             int argc,
                             char *const *argv,
                             struct tri_error *error)
{
    size_t listed;
    enum tri_status status;

    options_init(self);
    status =
        tri_settings_look_ahead(&program, argc, argv, &self->action, &self->config_path, error);
    if (status != TRI_OK || self->action != TRI_ACTION_RUN)
        return status;
    status = tri_settings_read_file(&program, self->config_path, self, &self->config, error);
    listed = self->listen_count;
    if (status == TRI_OK)
        status = tri_settings_read_line(&program, argc, argv, self, error);
    if (status == TRI_OK && self->listen_count > listed) {
        /* Endpoints of the command line replace those of the file. */
        self->listen_count -= listed;
        memmove(self->listen, self->listen + listed, self->listen_count * sizeof(*self->listen));
    }
    if (status == TRI_OK && self->listen_count == 0)
        status =
            tri_endpoint_parse(TRI_ENDPOINT_DEFAULT, &self->listen[self->listen_count++], error);
    if (status == TRI_OK)
        status = check_together(self, error);
    if (status != TRI_OK)
        options_close(self);
    return status;
}

void options_close(struct options *self)
{
    tri_config_close(&self->config);
}

void options_print_help(FILE *out)
{
    struct options defaults;

    options_init(&defaults);
    fputs("Usage: trireme-broker [OPTION]...\n"
          "Accept batches of tasks, lease slices of them to workers, gather the results.\n",
          out);
    tri_settings_print(&program, &defaults, out);
    fputs("\nSizes: 512K 64M 1G. Durations: 100ms 10s 1h 30m.\n"
          "Exit status: 0 stopped, 2 usage or an endpoint that is not allowed, 69 an endpoint\n"
          "cannot be listened on or the store not be opened, 70 the store or the system failed.\n"
          "SIGTERM, SIGINT, SIGHUP: say goodbye to every peer and stop; once more: stop at once.\n",
          out);
}
