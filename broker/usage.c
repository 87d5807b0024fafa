/* usage.c - the table of options, and the help made from it. */
#include "broker/options.h"

#include "common/net/socket.h"

#include <inttypes.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define HOUR UINT64_C(3600000)
#define MEMBER(name) offsetof(struct options, name)
#define SIZE_MAX_ (UINT64_C(1) << 50)

const struct setting settings[] = {
    { "listen", "ENDPOINT", SETTING_LISTEN, 0, 0, 0, true, "Where it listens",
      "ipc:///PATH or tcp://HOST:PORT (PORT * for any free one); may be given several times; "
      "default " TRI_ENDPOINT_DEFAULT },
    { "insecure-no-auth", "network", SETTING_INSECURE, 0, 0, 0, true, NULL,
      "allow tcp without keys: on loopback, or with =network everywhere; whoever can connect can "
      "run tasks" },
    { "max-connections", "N", SETTING_NUMBER, MEMBER(connections_max), 1, 1000000, true, NULL,
      "hold new connections off above this many (%s, or what descriptors allow)" },

    { "store", "FILE", SETTING_STORE, 0, 0, 0, true, "What it keeps",
      "where batches are kept: a file that outlives the broker (" OPTIONS_STORE_DEFAULT " in the "
      "state directory), or 'memory', where they end with it" },
    { "cache", "SIZE", SETTING_SIZE, MEMBER(cache_bytes), MIB, SIZE_MAX_, true, NULL,
      "how much of the file is kept in memory (%s)" },
    { "reclaim", "DURATION", SETTING_DURATION, MEMBER(limits.reclaim_ms), 1, HOUR, true, NULL,
      "after a restart with a file workers may come back with their leases this long (%s)" },
    { "memory", "SIZE", SETTING_SIZE, MEMBER(limits.memory_bytes_max), MIB, SIZE_MAX_, true, NULL,
      "payload kept for all batches, with '--store memory' (%s)" },
    { "batch-memory", "SIZE", SETTING_SIZE, MEMBER(limits.batch_bytes_max), MIB, SIZE_MAX_, true,
      NULL, "payload of one batch that is not done yet or, with a file, not yet on the disk (%s)" },
    { "max-batches", "N", SETTING_NUMBER, MEMBER(limits.batches_max), 1, 100000000, true, NULL,
      "batches listed at a time (%s)" },
    { "max-entries", "N", SETTING_NUMBER, MEMBER(limits.entries_max), 1, 100000000, true, NULL,
      "failed and retrying tasks remembered (%s)" },
    { "retention", "DURATION", SETTING_DURATION, MEMBER(limits.retention_ms), 1, 1000 * 24 * HOUR,
      true, NULL, "ended batches are kept this long (%s)" },
    { "open-grace", "DURATION", SETTING_DURATION, MEMBER(limits.open_grace_ms), 1, 24 * HOUR, true,
      NULL, "an open batch whose client is gone this long is sealed (%s)" },
    { "refusal-grace", "DURATION", SETTING_DURATION, MEMBER(limits.refusal_grace_ms), 1, 24 * HOUR,
      true, NULL, "a batch whose workers left waits this long for a willing one (%s)" },

    { "max-peers", "N", SETTING_NUMBER, MEMBER(limits.peers_max), 1, 1000000, true,
      "What one peer may use", "clients and workers with a session (%s)" },
    { "max-message", "SIZE", SETTING_SIZE, MEMBER(limits.message_bytes_max), 4 * MIB, GIB, true,
      NULL, "of one frame; a larger one ends its connection (%s)" },
    { "max-item", "SIZE", SETTING_SIZE, MEMBER(limits.item_bytes_max), 1024, GIB, true, NULL,
      "of one argument (%s)" },
    { "max-window", "SIZE", SETTING_SIZE, MEMBER(limits.window_bytes_max), 64 * 1024, SIZE_MAX_,
      true, NULL, "results on their way to one client and not acknowledged (%s)" },
    { "max-peer-bytes", "SIZE", SETTING_SIZE, MEMBER(peer.bytes_max), MIB, SIZE_MAX_, true, NULL,
      "sent to one peer and not read by it; above, its session ends (%s)" },
    { "max-peer-messages", "N", SETTING_NUMBER, MEMBER(peer.messages_max), 16, 100000000, true,
      NULL, "the same in messages (%s)" },

    { "heartbeat", "DURATION", SETTING_DURATION, MEMBER(limits.heartbeat_ms), 10, HOUR, true,
      "Timing", "peers report this often (%s)" },
    { "lease", "DURATION", SETTING_DURATION, MEMBER(limits.lease_ms), 50, 24 * HOUR, true, NULL,
      "a worker silent this long loses its leases (%s)" },
    { "lease-target", "DURATION", SETTING_DURATION, MEMBER(limits.lease_target_ms), 1, HOUR, true,
      NULL, "work that waits at a worker beyond what it runs (%s)" },
    { "backoff-min", "DURATION", SETTING_DURATION, MEMBER(limits.backoff_ms_min), 1, HOUR, true,
      NULL, "before the first retry of a failed task (%s)" },
    { "backoff-max", "DURATION", SETTING_DURATION, MEMBER(limits.backoff_ms_max), 1, 24 * HOUR,
      true, NULL, "before any later one (%s)" },

    { "config", "FILE", SETTING_CONFIG, 0, 0, 0, false, "The program",
      "settings, in section broker (" OPTIONS_CONFIG_DEFAULT " when it exists); the command line "
      "counts for more" },
    { "name", "NAME", SETTING_TEXT, MEMBER(name), 1, 64, true, NULL,
      "of this broker, in its log (%s)" },
    { "log-level", "LEVEL", SETTING_LEVEL, 0, 0, 0, true, NULL,
      "error, warn, info or debug (%s), on stderr" },
    { "private", "FD", SETTING_DESCRIPTOR, MEMBER(private_fd), 0, 1000000, false, NULL,
      "serve one owner: stop, and remove the directory of the ipc socket, when FD reaches its "
      "end" },
    { "ready-fd", "FD", SETTING_DESCRIPTOR, MEMBER(ready_fd), 0, 1000000, false, NULL,
      "write a line 'listening ENDPOINT' for each endpoint there, and close it" },
    { "check", NULL, SETTING_FLAG, MEMBER(check), 0, 0, false, NULL,
      "verify every invariant after every turn (slow)" },
    { "help", NULL, SETTING_HELP, 0, 0, 0, false, NULL, "print this" },
    { "version", NULL, SETTING_VERSION, 0, 0, 0, false, NULL, "print the version" },
};

const size_t setting_count = TRI_COUNT_OF(settings);

void options_init(struct options *self)
{
    struct engine_options engine;

    engine_options_init(&engine);
    *self = (struct options){
        .action = OPTIONS_RUN,
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

/* ---- help ------------------------------------------------------------------------------------ */

static void size_text(uint64_t bytes, char *text, size_t size)
{
    static const char units[] = " KMGT";
    size_t unit = 0;

    for (; unit + 2 < sizeof(units) && bytes >= 1024 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(text, size, unit == 0 ? "%" PRIu64 : "%" PRIu64 "%c", bytes, units[unit]);
}

static void duration_text(uint64_t ms, char *text, size_t size)
{
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = { { 24 * HOUR, "d" }, { HOUR, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
    size_t i = 0;

    while (ms % units[i].ms != 0)
        i++;
    snprintf(text, size, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
}

static void default_text(const struct setting *setting,
                         const struct options *defaults,
                         char *text,
                         size_t size)
{
    const char *base = (const char *)defaults + setting->offset;
    uint64_t number = 0;

    switch (setting->kind) {
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
        memcpy(&number, base, sizeof(number));
        break;
    case SETTING_TEXT:
        snprintf(text, size, "%s", *(const char *const *)(const void *)base);
        return;
    case SETTING_LEVEL:
        snprintf(text, size, "info");
        return;
    case SETTING_LISTEN:
    case SETTING_INSECURE:
    case SETTING_STORE:
    case SETTING_DESCRIPTOR:
    case SETTING_FLAG:
    case SETTING_CONFIG:
    case SETTING_HELP:
    case SETTING_VERSION:
        text[0] = '\0';
        return;
    }
    if (setting->kind == SETTING_SIZE)
        size_text(number, text, size);
    else if (setting->kind == SETTING_DURATION)
        duration_text(number, text, size);
    else
        snprintf(text, size, "%" PRIu64, number);
}

/* Words of `text` in lines of at most 60 columns, indented after the first. */
static void print_wrapped(FILE *out, const char *text, const char *value)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        const char *mark = strstr(text, "%s");
        size_t width = word;

        if (mark != NULL && mark < text + word)
            width += strlen(value) - 2;
        if (column > 0 && column + 1 + width > 66) {
            fputs("\n                              ", out);
            column = 0;
        }
        if (column > 0)
            fputc(' ', out);
        column += width + (column > 0);
        for (size_t i = 0; i < word; i++) {
            if (text + i == mark) {
                fputs(value, out);
                i++;
            } else {
                fputc(text[i], out);
            }
        }
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_print_help(FILE *out)
{
    struct options defaults;

    options_init(&defaults);
    fputs("Usage: trireme-broker [OPTION]...\n"
          "Accept batches of tasks, lease slices of them to workers, gather the results.\n",
          out);
    for (size_t i = 0; i < setting_count; i++) {
        const struct setting *setting = &settings[i];
        char flag[64];
        char value[64];

        if (setting->group != NULL)
            fprintf(out, "\n%s:\n", setting->group);
        if (setting->kind == SETTING_INSECURE)
            snprintf(flag, sizeof(flag), "--%s[=%s]", setting->name, setting->argument);
        else
            snprintf(flag, sizeof(flag), "--%s%s%s", setting->name,
                     setting->argument != NULL ? " " : "",
                     setting->argument != NULL ? setting->argument : "");
        default_text(setting, &defaults, value, sizeof(value));
        fprintf(out, "  %-28s", flag);
        if (strlen(flag) > 27)
            fputs("\n                              ", out);
        print_wrapped(out, setting->help, value);
    }
    fputs("\nSizes: 512K 64M 1G. Durations: 100ms 10s 1h 30m.\n"
          "Exit status: 0 stopped, 2 usage or an endpoint that is not allowed, 69 an endpoint\n"
          "cannot be listened on or the store not be opened, 70 the store or the system failed.\n"
          "SIGTERM, SIGINT, SIGHUP: say goodbye to every peer and stop; once more: stop at once.\n",
          out);
}
