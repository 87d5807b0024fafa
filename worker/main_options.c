#include "worker/main_options.h"

#include "common/config.h"
#include "common/parse.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "worker/"
#define KEY_SIZE 64
#define SETTINGS_MAX 32
#define WIDTH_MAX 1000000

enum setting_kind {
    SETTING_BROKER,
    SETTING_INSECURE,
    SETTING_NAME,
    SETTING_LIST,
    SETTING_MODEL,
    SETTING_NUMBER,
    SETTING_FLAG,
    SETTING_DESCRIPTOR,
    SETTING_LEVEL,
    SETTING_CONFIG,
    SETTING_HELP,
    SETTING_VERSION,
};

struct setting {
    const char *name; /* "plugin-dir": --plugin-dir, and plugin_dir in section worker of a file */
    const char *argument; /* as help shows it, NULL: none */
    enum setting_kind kind;
    size_t offset; /* of the member it sets */
    bool in_file;
    const char *group; /* the heading that stands before it, or NULL */
    const char *help;
};

#define MEMBER(name) offsetof(struct options, name)

static const struct setting settings[] = {
    { "broker", "ENDPOINT[,...]", SETTING_BROKER, 0, true, "Where it works",
      "brokers, tried in turn (TRIREME_BROKER, else " TRI_ENDPOINT_DEFAULT ")" },
    { "insecure-no-auth", "network", SETTING_INSECURE, 0, true, NULL,
      "connect without keys beyond this machine: =network (TRIREME_INSECURE)" },
    { "name", "NAME", SETTING_NAME, 0, true, NULL, "of this worker (its host's name and pid)" },
    { "label", "LABEL", SETTING_LIST, MEMBER(labels), true, NULL,
      "what batches may ask for; may be given several times" },

    { "model", "MODEL", SETTING_MODEL, 0, true, "How it works",
      "run batches under process, thread, async or serial only (auto: all of them)" },
    { "width", "N", SETTING_NUMBER, MEMBER(width), true, NULL,
      "tasks in flight at most (0: chosen for each batch)" },
    { "recycle", "N", SETTING_NUMBER, MEMBER(recycle_count), true, NULL,
      "replace a process with one oar after N tasks (0: never)" },

    { "allow-commands", NULL, SETTING_FLAG, MEMBER(allow_commands), true, "What tasks may touch",
      "run commands" },
    { "allow-files", "DIR", SETTING_LIST, MEMBER(allow_files), true, NULL,
      "handlers file.* and words, below DIR; may be given several times" },
    { "allow-http", "HOST[:PORT]", SETTING_LIST, MEMBER(allow_http), true, NULL,
      "handlers http.*, there; may be given several times" },
    { "plugin", "FILE", SETTING_LIST, MEMBER(plugins), true, NULL,
      "offer the handlers of a shared object; may be given several times" },
    { "plugin-dir", "DIR", SETTING_LIST, MEMBER(plugin_dirs), true, NULL,
      "the same for every .so in DIR, which nobody else may write to" },
    { "test-handlers", NULL, SETTING_FLAG, MEMBER(test_handlers), false, NULL,
      "offer handlers that crash, fail and hang" },

    { "config", "FILE", SETTING_CONFIG, 0, false, "The program",
      "settings, in section worker (" OPTIONS_CONFIG_DEFAULT " when it exists)" },
    { "log-level", "LEVEL", SETTING_LEVEL, 0, true, NULL,
      "error, warn, info or debug (info), on stderr" },
    { "private", "FD", SETTING_DESCRIPTOR, MEMBER(private_fd), false, NULL,
      "serve one owner, who may do everything; stop when FD reaches its end" },
    { "check", NULL, SETTING_FLAG, MEMBER(check), false, NULL,
      "verify every invariant after every event (slow)" },
    { "help", NULL, SETTING_HELP, 0, false, NULL, "print this" },
    { "version", NULL, SETTING_VERSION, 0, false, NULL, "print the version" },
};

/* ---- one value ------------------------------------------------------------------------------- */

static void *member(struct options *self, const struct setting *setting)
{
    return (char *)self + setting->offset;
}

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

static enum tri_status set_number(uint64_t *out, const char *text, struct tri_error *error)
{
    return tri_parse_u64(text, 0, WIDTH_MAX, out, error);
}

static enum tri_status set_descriptor(int *out, const char *text, struct tri_error *error)
{
    uint64_t value;

    if (tri_parse_u64(text, 0, 1000000, &value, error) != TRI_OK)
        return TRI_INVALID;
    *out = (int)value;
    if (fcntl(*out, F_GETFD) < 0)
        return tri_fail(error, TRI_INVALID, "descriptor %d is not open", *out);
    return TRI_OK;
}

static enum tri_status set_name(struct options *self, const char *text, struct tri_error *error)
{
    if (text[0] == '\0' || strlen(text) > 64)
        return tri_fail(error, TRI_INVALID, "'%.80s' has not 1 to 64 bytes", text);
    self->name = text;
    return TRI_OK;
}

/* "true" and so on in a file, nothing on the command line. */
static enum tri_status set_flag(bool *out, const char *text, struct tri_error *error)
{
    bool off = text != NULL
               && (strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "0") == 0);
    bool on = text == NULL || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0
              || strcmp(text, "1") == 0;

    if (!on && !off)
        return tri_fail(error, TRI_INVALID, "'%s' is none of true, false", text);
    *out = on;
    return TRI_OK;
}

static enum tri_status set_value(struct options *self,
                                 const struct setting *setting,
                                 const char *text,
                                 struct tri_error *error)
{
    switch (setting->kind) {
    case SETTING_BROKER:
        return set_brokers(self, text, error);
    case SETTING_INSECURE:
        return tri_insecure_parse(text == NULL ? "" : text, &self->insecure, error);
    case SETTING_NAME:
        return set_name(self, text, error);
    case SETTING_LIST:
        return add_item(member(self, setting), text, error);
    case SETTING_MODEL:
        if (tri_model_parse(text, &self->model) != TRI_OK)
            return tri_fail(error, TRI_INVALID,
                            "'%s' is none of auto, process, thread, async, serial", text);
        return TRI_OK;
    case SETTING_NUMBER:
        return set_number(member(self, setting), text, error);
    case SETTING_FLAG:
        return set_flag(member(self, setting), text, error);
    case SETTING_DESCRIPTOR:
        return set_descriptor(member(self, setting), text, error);
    case SETTING_LEVEL:
        if (tri_log_level_parse(text, &self->log_level) != TRI_OK)
            return tri_fail(error, TRI_INVALID, "'%s' is none of error, warn, info, debug", text);
        return TRI_OK;
    case SETTING_CONFIG:
        return TRI_OK; /* read before everything else */
    case SETTING_HELP:
        self->action = OPTIONS_HELP;
        return TRI_OK;
    case SETTING_VERSION:
        self->action = OPTIONS_VERSION;
        return TRI_OK;
    }
    return TRI_INVALID;
}

/* ---- the configuration file ------------------------------------------------------------------ */

static const char *file_key(const struct setting *setting, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, SECTION "%s", setting->name);
    for (char *at = key; *at != '\0'; at++) {
        if (*at == '-')
            *at = '_';
    }
    return key;
}

static enum tri_status open_file(struct options *self, const char *path, struct tri_error *error)
{
    char keys[SETTINGS_MAX][KEY_SIZE];
    const char *known[SETTINGS_MAX];
    size_t count = 0;
    enum tri_status status;

    for (size_t i = 0; i < TRI_COUNT_OF(settings); i++) {
        if (settings[i].in_file) {
            known[count] = file_key(&settings[i], keys[count]);
            count++;
        }
    }
    status = tri_config_open(path != NULL ? path : OPTIONS_CONFIG_DEFAULT, known, count,
                             &self->config, error);
    return status == TRI_NOTFOUND && path == NULL ? TRI_OK : status;
}

static enum tri_status read_file(struct options *self, struct tri_error *error)
{
    char key[KEY_SIZE];
    struct tri_error inner = { 0 };

    for (size_t i = 0; self->config != NULL && i < TRI_COUNT_OF(settings); i++) {
        const struct setting *setting = &settings[i];
        size_t count =
            setting->in_file ? tri_config_list_count(self->config, file_key(setting, key)) : 0;

        for (size_t j = 0; j < count; j++) {
            const char *text = tri_config_list_at(self->config, key, j);

            if (set_value(self, setting, text, &inner) != TRI_OK)
                return tri_fail(error, TRI_INVALID, "configuration, %s: %.400s", key, inner.text);
        }
    }
    return TRI_OK;
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

/* ---- the command line ------------------------------------------------------------------------ */

/* What getopt_long gives for settings[i]; above every character, so that '?' and ':' differ. */
#define CODE(i) (256 + (int)(i))

typedef enum tri_status option_fn(struct options *self,
                                  const struct setting *setting,
                                  const char *text,
                                  struct tri_error *error);

static void fill_table(struct option *table)
{
    for (size_t i = 0; i < TRI_COUNT_OF(settings); i++) {
        table[i].name = settings[i].name;
        table[i].val = CODE(i);
        table[i].has_arg = settings[i].argument == NULL           ? no_argument
                           : settings[i].kind == SETTING_INSECURE ? optional_argument
                                                                  : required_argument;
    }
}

static enum tri_status usage_error(int code, int argc, char *const *argv, struct tri_error *error)
{
    const char *at = optind > 0 && optind <= argc ? argv[optind - 1] : "";

    return tri_fail(error, TRI_INVALID, "%s '%.200s'; see trireme-worker --help",
                    code == ':' ? "a value is missing after" : "there is no such option as", at);
}

static enum tri_status each_option(
    struct options *self, int argc, char *const *argv, option_fn *apply, struct tri_error *error)
{
    struct option table[SETTINGS_MAX] = { 0 };
    int code;

    fill_table(table);
    opterr = 0;
    optind = 0; /* GNU: begin anew */
    while ((code = getopt_long(argc, argv, "+:h", table, NULL)) != -1) {
        const struct setting *setting;
        struct tri_error inner = { 0 };

        if (code == 'h') {
            self->action = OPTIONS_HELP;
            return TRI_OK;
        }
        if (code < CODE(0))
            return usage_error(code, argc, argv, error);
        setting = &settings[code - CODE(0)];
        if (apply(self, setting, optarg, &inner) != TRI_OK)
            return tri_fail(error, TRI_INVALID, "--%s: %.480s", setting->name, inner.text);
    }
    if (optind < argc)
        return tri_fail(error, TRI_INVALID, "'%.200s' is no option; see trireme-worker --help",
                        argv[optind]);
    return TRI_OK;
}

/* First pass: which file, and is anything to be run at all? */
static enum tri_status look_ahead(struct options *self,
                                  const struct setting *setting,
                                  const char *text,
                                  struct tri_error *error)
{
    if (setting->kind == SETTING_CONFIG)
        self->config_path = text;
    else if (setting->kind == SETTING_HELP || setting->kind == SETTING_VERSION)
        return set_value(self, setting, text, error);
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

    *self = (struct options){ .private_fd = -1, .log_level = TRI_LOG_INFO };
    status = each_option(self, argc, argv, look_ahead, error);
    if (status != TRI_OK || self->action != OPTIONS_RUN)
        return status;
    status = open_file(self, self->config_path, error);
    if (status == TRI_OK)
        status = read_file(self, error);
    if (status == TRI_OK)
        status = read_environment(self, error);
    if (status == TRI_OK)
        status = each_option(self, argc, argv, set_value, error);
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
    fputs("Usage: trireme-worker [OPTION]...\n"
          "Connect to a broker and run tasks by processes, threads and an event loop.\n",
          out);
    for (size_t i = 0; i < TRI_COUNT_OF(settings); i++) {
        const struct setting *setting = &settings[i];
        char flag[64];

        if (setting->group != NULL)
            fprintf(out, "\n%s:\n", setting->group);
        snprintf(flag, sizeof(flag), "--%s%s%s%s", setting->name,
                 setting->argument == NULL           ? ""
                 : setting->kind == SETTING_INSECURE ? "[="
                                                     : " ",
                 setting->argument != NULL ? setting->argument : "",
                 setting->kind == SETTING_INSECURE ? "]" : "");
        fprintf(out, "  %-26s %s\n", flag, setting->help);
    }
    fputs("\nExit status: 0 drained or stopped, 1 it could not go on, 2 usage.\n"
          "SIGTERM, SIGINT, SIGHUP: finish what runs, give back the rest, leave; once more: stop "
          "now.\n",
          out);
}
