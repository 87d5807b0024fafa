/* trireme-worker: takes leases from a broker and runs their tasks by processes, threads and an
 * event loop. docs/man/trireme-worker.1 says how to run it. */
#include "common/clock.h"
#include "common/prng.h"
#include "worker/handlers/builtin.h"
#include "worker/main_machine.h"
#include "worker/main_plugins.h"
#include "worker/shell.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

/* ---- permissions ---------------------------------------------------------------------------- */

static void allow_list(const char *name, const struct options_list *list)
{
    struct tri_buffer text = { 0 };

    if (list->count == 0)
        return;
    for (size_t i = 0; i < list->count; i++) {
        tri_buffer_append(&text, list->items[i], strlen(list->items[i]));
        tri_buffer_append(&text, "\n", 1);
    }
    tri_buffer_append(&text, "", 1);
    if (text.failed || setenv(name, (const char *)text.data, 1) != 0)
        abort();
    tri_buffer_deinit(&text);
}

/* Hosts read it with allow.h. Whatever stood in the environment counts for nothing. */
static void publish_permissions(const struct options *options)
{
    unsetenv("TRIREME_ALLOW_ALL");
    unsetenv("TRIREME_ALLOW_COMMANDS");
    unsetenv("TRIREME_ALLOW_FILES");
    unsetenv("TRIREME_ALLOW_HTTP");
    if (options->private_fd >= 0)
        setenv("TRIREME_ALLOW_ALL", "1", 1);
    if (options->allow_commands)
        setenv("TRIREME_ALLOW_COMMANDS", "1", 1);
    allow_list("TRIREME_ALLOW_FILES", &options->allow_files);
    allow_list("TRIREME_ALLOW_HTTP", &options->allow_http);
}

/* ---- the session's options ------------------------------------------------------------------ */

static void fill_random(void *bytes, size_t size)
{
    if (getrandom(bytes, size, 0) != (ssize_t)size) {
        uint64_t seed = tri_mix64(tri_clock_now_ns() ^ ((uint64_t)getpid() << 32));

        for (size_t i = 0; i < size; i++, seed = tri_mix64(seed + i))
            ((uint8_t *)bytes)[i] = (uint8_t)seed;
    }
}

static const char *default_name(char name[65])
{
    char host[48] = "worker";

    gethostname(host, sizeof(host) - 1);
    snprintf(name, 65, "%s-%d", host, (int)getpid());
    return name;
}

static int run(const struct options *options, const struct plugin_catalog *catalog)
{
    struct shell_options shell = {
        .endpoints = options->endpoints,
        .endpoint_count = options->endpoint_count,
        .private_fd = options->private_fd,
        .check = options->check,
        .launcher = { .test_handlers = options->test_handlers },
    };
    char name[65];

    session_options_init(&shell.session);
    shell.session.name = options->name != NULL ? options->name : default_name(name);
    shell.session.pid = (uint64_t)getpid();
    shell.session.handlers = catalog->handlers;
    shell.session.handler_count = catalog->count;
    shell.session.labels = options->labels.items;
    shell.session.label_count = options->labels.count;
    shell.session.private_run = options->private_fd >= 0;
    shell.session.allow_commands = shell.session.private_run || options->allow_commands;
    shell.session.recycle_count = options->recycle_count;
    machine_measure(&shell.session.machine);
    shell.session.machine.model = options->model;
    shell.session.machine.width_max = options->width;
    fill_random(shell.session.instance.bytes, sizeof(shell.session.instance.bytes));
    fill_random(&shell.session.seed, sizeof(shell.session.seed));
    tri_log(TRI_LOG_INFO, "worker.started", "name=%s handlers=%zu cores=%lu",
            TRI_QUOTE(shell.session.name), catalog->count,
            (unsigned long)shell.session.machine.cores);
    return shell_run(&shell);
}

static int serve(const struct options *options)
{
    struct plugin_catalog catalog;
    struct tri_error error;
    int status;

    tri_log_level_set(options->log_level);
    publish_permissions(options);
    machine_raise_limits();
    if (plugins_open(&catalog, options, &error) != TRI_OK) {
        fprintf(stderr, "trireme-worker: %s\n", error.text);
        return WORKER_EXIT_USAGE;
    }
    status = run(options, &catalog);
    plugins_close(&catalog);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    struct tri_error error;
    int status = WORKER_EXIT_OK;

    plugins_take_role(argc, argv);
    builtin_register(has_flag(argc, argv, "--test-handlers"));
    launcher_take_role(argc, argv);
    if (options_open(&options, argc, argv, &error) != TRI_OK) {
        fprintf(stderr, "trireme-worker: %s\n", error.text);
        return WORKER_EXIT_USAGE;
    }
    switch (options.action) {
    case TRI_ACTION_HELP:
        options_print_help(stdout);
        break;
    case TRI_ACTION_VERSION:
        printf("trireme-worker %s\n", TRI_SOFTWARE_VERSION);
        break;
    case TRI_ACTION_RUN:
        status = serve(&options);
        break;
    }
    options_close(&options);
    return status;
}
