#include "worker/main_options.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX 1000000
#define MEMBER(name) offsetof(struct options, name)

enum { SETTING_BROKER = TRI_SETTING_OWN, SETTING_INSECURE, SETTING_WORDS, SETTING_MODEL };

static const struct tri_setting settings[] = {
    { "broker", "ENDPOINT[,...]", SETTING_BROKER, 0, 0, 0, TRI_SETTING_ONCE, "Where it works",
      "brokers, tried in turn (TRIREME_BROKER, else " TRI_ENDPOINT_DEFAULT ")" },
    { "insecure-no-auth", "[=network]", SETTING_INSECURE, 0, 0, 0, TRI_SETTING_ONCE, NULL,
      "connect without keys beyond this machine: =network (TRIREME_INSECURE)" },
    { "name", "NAME", TRI_SETTING_TEXT, MEMBER(name), 1, 64, TRI_SETTING_ONCE, NULL,
      "of this worker (its host's name and pid)" },
    { "label", "LABEL", SETTING_WORDS, MEMBER(labels), 0, 0, TRI_SETTING_LIST, NULL,
      "what batches may ask for; may be given several times" },

    { "model", "MODEL", SETTING_MODEL, 0, 0, 0, TRI_SETTING_ONCE, "How it works",
      "run batches under process, thread, async or serial only (auto: all of them)" },
    { "width", "N", TRI_SETTING_NUMBER, MEMBER(width), 0, WIDTH_MAX, TRI_SETTING_ONCE, NULL,
      "tasks in flight at most (0: chosen for each batch)" },
    { "recycle", "N", TRI_SETTING_NUMBER, MEMBER(recycle_count), 0, WIDTH_MAX, TRI_SETTING_ONCE,
      NULL, "replace a process with one oar after N tasks (0: never)" },

    { "allow-commands", NULL, TRI_SETTING_FLAG, MEMBER(allow_commands), 0, 0, TRI_SETTING_ONCE,
      "What tasks may touch", "run commands" },
    { "allow-files", "DIR", SETTING_WORDS, MEMBER(allow_files), 0, 0, TRI_SETTING_LIST, NULL,
      "handlers file.* and words, below DIR; may be given several times" },
    { "allow-http", "HOST[:PORT]", SETTING_WORDS, MEMBER(allow_http), 0, 0, TRI_SETTING_LIST, NULL,
      "handlers http.*, there; may be given several times" },
    { "plugin", "FILE", SETTING_WORDS, MEMBER(plugins), 0, 0, TRI_SETTING_LIST, NULL,
      "offer the handlers of a shared object; may be given several times" },
    { "plugin-dir", "DIR", SETTING_WORDS, MEMBER(plugin_dirs), 0, 0, TRI_SETTING_LIST, NULL,
      "the same for every .so in DIR, which nobody else may write to" },
    { "test-handlers", NULL, TRI_SETTING_FLAG, MEMBER(test_handlers), 0, 0, TRI_SETTING_ABSENT,
      NULL, "offer handlers that crash, fail and hang" },

    { "config", "FILE", TRI_SETTING_CONFIG, 0, 0, 0, TRI_SETTING_ABSENT, "The program",
      "settings, in section worker (" OPTIONS_CONFIG_DEFAULT " when it exists)" },
    { "log-level", "LEVEL", TRI_SETTING_LEVEL, MEMBER(log_level), 0, 0, TRI_SETTING_ONCE, NULL,
      "error, warn, info or debug (%s), on stderr" },
    { "private", "FD", TRI_SETTING_DESCRIPTOR, MEMBER(private_fd), 0, 0, TRI_SETTING_ABSENT, NULL,
      "serve one owner, who may do everything; stop when FD reaches its end" },
    { "check", NULL, TRI_SETTING_FLAG, MEMBER(check), 0, 0, TRI_SETTING_ABSENT, NULL,
      "verify every invariant after every event (slow)" },
    { "help", NULL, TRI_SETTING_HELP, 0, 0, 0, TRI_SETTING_ABSENT, NULL, "print this" },
    { "version", NULL, TRI_SETTING_VERSION, 0, 0, 0, TRI_SETTING_ABSENT, NULL,
      "print the version" },
};

/* ---- one value ------------------------------------------------------------------------------ */

static enum tri_status add_broker(struct options *self,
                                  const char *text,
                                  size_t size,
                                  struct tri_error *error)
{
    char endpoint[TRI_ENDPOINT_SIZE];

    if (self->endpoint_count == OPTIONS_ENDPOINTS_MAX)
        return tri_fail(error, TRI_INVALID, "more than %d brokers", OPTIONS_ENDPOINTS_MAX);
    if (size >= sizeof(endpoint))
        return tri_fail(error, TRI_INVALID, "'%.80s...' is too long", text);
    memcpy(endpoint, text, size);
    endpoint[size] = '\0';
    return tri_endpoint_parse(endpoint, &self->endpoints[self->endpoint_count++], error);
}

/* A list replaces what an earlier source said. */
static enum tri_status set_brokers(struct options *self, const char *text, struct tri_error *error)
{
    self->endpoint_count = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        enum tri_status status = add_broker(self, text, size, error);

        if (status != TRI_OK || text[size] == '\0')
            return status;
        text += size + 1;
    }
}

static enum tri_status add_item(struct options_list *list,
                                const char *text,
                                struct tri_error *error)
{
    if (list->count == OPTIONS_LIST_MAX)
        return tri_fail(error, TRI_INVALID, "given more than %d times", OPTIONS_LIST_MAX);
    if (text[0] == '\0' || strchr(text, '\n') != NULL)
        return tri_fail(error, TRI_INVALID, "'%s' is empty, or holds a line break", text);
    list->items[list->count++] = text;
    return TRI_OK;
}

static enum tri_status set_own(void *values,
                               const struct tri_setting *setting,
                               const char *text,
                               struct tri_error *error)
{
    struct options *self = values;

    switch (setting->kind) {
    case SETTING_BROKER:
        return set_brokers(self, text, error);
    case SETTING_INSECURE:
        return tri_insecure_parse(text == NULL ? "" : text, &self->insecure, error);
    case SETTING_WORDS:
        return add_item((struct options_list *)(void *)((char *)self + setting->offset), text,
                        error);
    case SETTING_MODEL:
        if (tri_model_parse(text, &self->model) != TRI_OK)
            return tri_fail(error, TRI_INVALID,
                            "'%s' is none of auto, process, thread, async, serial", text);
        return TRI_OK;
    }
    return TRI_INVALID;
}

static const struct tri_program program = {
    .name = "trireme-worker",
    .section = "worker/",
    .config_default = OPTIONS_CONFIG_DEFAULT,
    .settings = settings,
    .setting_count = TRI_COUNT_OF(settings),
    .set = set_own,
};

/* ---- all of them ---------------------------------------------------------------------------- */

static void options_init(struct options *self)
{
    *self = (struct options){ .private_fd = -1, .log_level = TRI_LOG_INFO };
}

static enum tri_status read_environment(struct options *self, struct tri_error *error)
{
    const char *brokers = getenv("TRIREME_BROKER");
    const char *insecure = getenv("TRIREME_INSECURE");
    struct tri_error inner = { 0 };

    if (brokers != NULL && brokers[0] != '\0' && set_brokers(self, brokers, &inner) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "TRIREME_BROKER: %.400s", inner.text);
    if (insecure != NULL && insecure[0] != '\0'
        && tri_insecure_parse(insecure, &self->insecure, &inner) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "TRIREME_INSECURE: %.400s", inner.text);
    return TRI_OK;
}

static enum tri_status check_endpoints(struct options *self, struct tri_error *error)
{
    if (self->endpoint_count == 0
        && tri_endpoint_parse(TRI_ENDPOINT_DEFAULT, &self->endpoints[self->endpoint_count++], error)
               != TRI_OK)
        return TRI_INVALID;
    for (size_t i = 0; i < self->endpoint_count; i++) {
        enum tri_status status =
            tri_endpoint_may_connect(&self->endpoints[i], self->insecure, error);

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
    enum tri_status status;

    options_init(self);
    status =
        tri_settings_look_ahead(&program, argc, argv, &self->action, &self->config_path, error);
    if (status != TRI_OK || self->action != TRI_ACTION_RUN)
        return status;
    status = tri_settings_read_file(&program, self->config_path, self, &self->config, error);
    if (status == TRI_OK)
        status = read_environment(self, error);
    if (status == TRI_OK)
        status = tri_settings_read_line(&program, argc, argv, self, error);
    if (status == TRI_OK)
        status = check_endpoints(self, error);
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
    fputs("Usage: trireme-worker [OPTION]...\n"
          "Connect to a broker and run tasks by processes, threads and an event loop.\n",
          out);
    tri_settings_print(&program, &defaults, out);
    fputs("\nExit status: 0 drained or stopped, 1 it could not go on, 2 usage.\n"
          "SIGTERM, SIGINT, SIGHUP: finish what runs, give back the rest, leave; once more: stop "
          "now.\n",
          out);
}
