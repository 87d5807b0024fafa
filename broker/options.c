#include "broker/options.h"

#include "common/config.h"
#include "common/parse.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#define SECTION "broker/"
#define KEY_SIZE 64
#define SETTINGS_MAX 64

/* ---- one value ------------------------------------------------------------------------------- */

static void *member(struct options *self, const struct setting *setting)
{
    return (char *)self + setting->offset;
}

static enum tri_status set_listen(struct options *self, const char *text, struct tri_error *error)
{
    if (self->listen_count == OPTIONS_LISTEN_MAX)
        return tri_fail(error, TRI_INVALID, "more than %d endpoints", OPTIONS_LISTEN_MAX);
    return tri_endpoint_parse(text, &self->listen[self->listen_count++], error);
}

static enum tri_status set_number(struct options *self,
                                  const struct setting *setting,
                                  const char *text,
                                  struct tri_error *error)
{
    uint64_t value = 0;
    enum tri_status status;

    if (setting->kind == SETTING_SIZE)
        status = tri_parse_size(text, &value, error);
    else if (setting->kind == SETTING_DURATION)
        status = tri_parse_duration_ms(text, &value, error);
    else
        status = tri_parse_u64(text, setting->min, setting->max, &value, error);
    if (status != TRI_OK)
        return status;
    if (value < setting->min || value > setting->max)
        return tri_fail(error, TRI_INVALID, "'%s' is out of bounds (%llu to %llu %s)", text,
                        (unsigned long long)setting->min, (unsigned long long)setting->max,
                        setting->kind == SETTING_SIZE ? "bytes" : "ms");
    if (setting->kind == SETTING_DESCRIPTOR)
        *(int *)member(self, setting) = (int)value;
    else
        *(uint64_t *)member(self, setting) = value;
    return TRI_OK;
}

static enum tri_status set_text(struct options *self,
                                const struct setting *setting,
                                const char *text,
                                struct tri_error *error)
{
    if (strlen(text) < setting->min || strlen(text) > setting->max)
        return tri_fail(error, TRI_INVALID, "'%s' has not %llu to %llu bytes", text,
                        (unsigned long long)setting->min, (unsigned long long)setting->max);
    *(const char **)member(self, setting) = text;
    return TRI_OK;
}

static enum tri_status set_store(struct options *self, const char *text, struct tri_error *error)
{
    if (text[0] == '\0')
        return tri_fail(error, TRI_INVALID, "--store wants a file, or 'memory'");
    self->store = text;
    return TRI_OK;
}

static enum tri_status set_flag(struct options *self,
                                const struct setting *setting,
                                const char *text)
{
    (void)text;
    *(bool *)member(self, setting) = true;
    return TRI_OK;
}

static enum tri_status set_action(struct options *self, enum options_action action)
{
    self->action = action;
    return TRI_OK;
}

static enum tri_status set_value(struct options *self,
                                 const struct setting *setting,
                                 const char *text,
                                 struct tri_error *error)
{
    switch (setting->kind) {
    case SETTING_LISTEN:
        return set_listen(self, text, error);
    case SETTING_INSECURE:
        return tri_insecure_parse(text == NULL ? "" : text, &self->insecure, error);
    case SETTING_STORE:
        return set_store(self, text, error);
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_DESCRIPTOR:
        return set_number(self, setting, text, error);
    case SETTING_TEXT:
        return set_text(self, setting, text, error);
    case SETTING_LEVEL:
        if (tri_log_level_parse(text, &self->log_level) != TRI_OK)
            return tri_fail(error, TRI_INVALID, "'%s' is none of error, warn, info, debug", text);
        return TRI_OK;
    case SETTING_FLAG:
        return set_flag(self, setting, text);
    case SETTING_CONFIG:
        self->config_path = text; /* read before everything else */
        return TRI_OK;
    case SETTING_HELP:
        return set_action(self, OPTIONS_HELP);
    case SETTING_VERSION:
        return set_action(self, OPTIONS_VERSION);
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

    for (size_t i = 0; i < setting_count; i++) {
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

    for (size_t i = 0; self->config != NULL && i < setting_count; i++) {
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

/* ---- the command line ------------------------------------------------------------------------ */

/* What getopt_long gives for settings[i]; above every character, so that '?' and ':' differ. */
#define CODE(i) (256 + (int)(i))

static enum tri_status usage_error(int code, int argc, char *const *argv, struct tri_error *error)
{
    const char *at = optind > 0 && optind <= argc ? argv[optind - 1] : "";

    return tri_fail(error, TRI_INVALID, "%s '%.200s'; see trireme-broker --help",
                    code == ':' ? "a value is missing after" : "there is no such option as", at);
}

typedef enum tri_status option_fn(struct options *self,
                                  const struct setting *setting,
                                  const char *text,
                                  struct tri_error *error);

static enum tri_status each_option(
    struct options *self, int argc, char *const *argv, option_fn *apply, struct tri_error *error)
{
    struct option table[SETTINGS_MAX] = { 0 };
    int code;

    for (size_t i = 0; i < setting_count; i++) {
        table[i].name = settings[i].name;
        table[i].val = CODE(i);
        table[i].has_arg = settings[i].argument == NULL           ? no_argument
                           : settings[i].kind == SETTING_INSECURE ? optional_argument
                                                                  : required_argument;
    }
    opterr = 0;
    optind = 0; /* GNU: begin anew */
    while ((code = getopt_long(argc, argv, "+:h", table, NULL)) != -1) {
        const struct setting *setting;
        struct tri_error inner = { 0 };

        if (code == 'h')
            return set_action(self, OPTIONS_HELP);
        if (code < CODE(0))
            return usage_error(code, argc, argv, error);
        setting = &settings[code - CODE(0)];
        if (apply(self, setting, optarg, &inner) != TRI_OK)
            return tri_fail(error, TRI_INVALID, "--%s: %.480s", setting->name, inner.text);
    }
    if (optind < argc)
        return tri_fail(error, TRI_INVALID, "'%.200s' is no option; see trireme-broker --help",
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

static enum tri_status check_descriptor(int fd, const char *name, struct tri_error *error)
{
    if (fd < 0 || fcntl(fd, F_GETFD) >= 0)
        return TRI_OK;
    return tri_fail(error, TRI_INVALID, "--%s: descriptor %d is not open", name, fd);
}

static enum tri_status check_together(const struct options *self, struct tri_error *error)
{
    const struct engine_limits *limits = &self->limits;
    enum tri_status status = check_descriptor(self->private_fd, "private", error);

    if (status == TRI_OK)
        status = check_descriptor(self->ready_fd, "ready-fd", error);
    if (status != TRI_OK)
        return status;
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
    status = each_option(self, argc, argv, look_ahead, error);
    if (status != TRI_OK || self->action != OPTIONS_RUN)
        return status;
    status = open_file(self, self->config_path, error);
    if (status == TRI_OK)
        status = read_file(self, error);
    listed = self->listen_count;
    if (status == TRI_OK)
        status = each_option(self, argc, argv, set_value, error);
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
