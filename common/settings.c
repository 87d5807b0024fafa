#include "common/settings.h"

#include "common/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define KEY_SIZE 64
#define DESCRIPTOR_MAX 1000000

/* What getopt_long gives for settings[i]; above every character, so that '?' and ':' differ. */
#define CODE(i) (256 + (int)(i))

/* ---- one value ------------------------------------------------------------------------------ */

static enum tri_status set_number(const struct tri_setting *setting,
                                  const char *text,
                                  uint64_t *out,
                                  struct tri_error *error)
{
    uint64_t value = 0;
    enum tri_status status;

    if (setting->kind == TRI_SETTING_SIZE)
        status = tri_parse_size(text, &value, error);
    else if (setting->kind == TRI_SETTING_DURATION)
        status = tri_parse_duration_ms(text, &value, error);
    else
        status = tri_parse_u64(text, setting->min, setting->max, &value, error);
    if (status != TRI_OK)
        return status;
    if (value < setting->min || value > setting->max)
        return tri_fail(error, TRI_INVALID, "'%s' is out of bounds (%" PRIu64 " to %" PRIu64 " %s)",
                        text, setting->min, setting->max,
                        setting->kind == TRI_SETTING_SIZE ? "bytes" : "ms");
    *out = value;
    return TRI_OK;
}

static enum tri_status set_text(const struct tri_setting *setting,
                                const char *text,
                                const char **out,
                                struct tri_error *error)
{
    if (strlen(text) < setting->min || strlen(text) > setting->max)
        return tri_fail(error, TRI_INVALID, "'%.80s' has not %" PRIu64 " to %" PRIu64 " bytes",
                        text, setting->min, setting->max);
    *out = text;
    return TRI_OK;
}

static enum tri_status set_flag(const char *text, bool *out, struct tri_error *error)
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

static enum tri_status set_descriptor(const char *text, int *out, struct tri_error *error)
{
    uint64_t value;

    if (tri_parse_u64(text, 0, DESCRIPTOR_MAX, &value, error) != TRI_OK)
        return TRI_INVALID;
    if (fcntl((int)value, F_GETFD) < 0)
        return tri_fail(error, TRI_INVALID, "descriptor %d is not open", (int)value);
    *out = (int)value;
    return TRI_OK;
}

static enum tri_status set_level(const char *text, enum tri_log_level *out, struct tri_error *error)
{
    if (tri_log_level_parse(text, out) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "'%s' is none of error, warn, info, debug", text);
    return TRI_OK;
}

static enum tri_status set_value(const struct tri_program *program,
                                 void *values,
                                 const struct tri_setting *setting,
                                 const char *text,
                                 struct tri_error *error)
{
    void *member = (char *)values + setting->offset;

    if (setting->kind >= TRI_SETTING_OWN)
        return program->set(values, setting, text, error);
    switch ((enum tri_setting_kind)setting->kind) {
    case TRI_SETTING_NUMBER:
    case TRI_SETTING_SIZE:
    case TRI_SETTING_DURATION:
        return set_number(setting, text, member, error);
    case TRI_SETTING_TEXT:
        return set_text(setting, text, member, error);
    case TRI_SETTING_FLAG:
        return set_flag(text, member, error);
    case TRI_SETTING_DESCRIPTOR:
        return set_descriptor(text, member, error);
    case TRI_SETTING_LEVEL:
        return set_level(text, member, error);
    case TRI_SETTING_CONFIG: /* seen by the first look */
    case TRI_SETTING_HELP:
    case TRI_SETTING_VERSION:
    case TRI_SETTING_OWN:
        break;
    }
    return TRI_OK;
}

/* ---- the configuration file ----------------------------------------------------------------- */

static const char *file_key(const struct tri_program *program,
                            const struct tri_setting *setting,
                            char key[KEY_SIZE])
{
    size_t start = strlen(program->section);

    snprintf(key, KEY_SIZE, "%s%s", program->section, setting->name);
    for (char *at = key + start; *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
    return key;
}

static enum tri_status open_file(const struct tri_program *program,
                                 const char *path,
                                 struct tri_config **config,
                                 struct tri_error *error)
{
    char keys[TRI_SETTINGS_MAX][KEY_SIZE];
    const char *known[TRI_SETTINGS_MAX];
    size_t count = 0;
    enum tri_status status;

    for (size_t i = 0; i < program->setting_count; i++)
        if (program->settings[i].in_file) {
            known[count] = file_key(program, &program->settings[i], keys[count]);
            count++;
        }
    status =
        tri_config_open(path != NULL ? path : program->config_default, known, count, config, error);
    return status == TRI_NOTFOUND && path == NULL ? TRI_OK : status;
}

static enum tri_status read_key(const struct tri_program *program,
                                const struct tri_config *config,
                                const struct tri_setting *setting,
                                void *values,
                                struct tri_error *error)
{
    char key[KEY_SIZE];
    size_t count = tri_config_list_count(config, file_key(program, setting, key));
    const char *only;
    struct tri_error why = { 0 };

    if (setting->in_file == TRI_SETTING_ONCE
        && tri_config_string(config, key, &only, error) != TRI_OK)
        return TRI_INVALID;
    for (size_t i = 0; i < count; i++)
        if (set_value(program, values, setting, tri_config_list_at(config, key, i), &why) != TRI_OK)
            return tri_config_refuse(config, key, i, &why, error);
    return TRI_OK;
}

enum tri_status tri_settings_read_file(const struct tri_program *program,
                                       const char *path,
                                       void *values,
                                       struct tri_config **config,
                                       struct tri_error *error)
{
    enum tri_status status;

    *config = NULL;
    status = open_file(program, path, config, error);
    if (status != TRI_OK || *config == NULL)
        return status;
    for (size_t i = 0; status == TRI_OK && i < program->setting_count; i++)
        if (program->settings[i].in_file != TRI_SETTING_ABSENT)
            status = read_key(program, *config, &program->settings[i], values, error);
    return status;
}

/* ---- the command line ----------------------------------------------------------------------- */

static void fill_table(const struct tri_program *program, struct option *table)
{
    for (size_t i = 0; i < program->setting_count; i++) {
        const char *argument = program->settings[i].argument;

        table[i].name = program->settings[i].name;
        table[i].val = CODE(i);
        table[i].has_arg = argument == NULL     ? no_argument
                           : argument[0] == '[' ? optional_argument
                                                : required_argument;
    }
}

/* The next setting on the command line: TRI_OK, TRI_EMPTY at the end. -h is --help. */
static enum tri_status next_option(const struct tri_program *program,
                                   int argc,
                                   char *const *argv,
                                   const struct option *table,
                                   const struct tri_setting **setting,
                                   struct tri_error *error)
{
    static const struct tri_setting help = { .name = "help", .kind = TRI_SETTING_HELP };
    int code = getopt_long(argc, argv, "+:h", table, NULL);
    const char *at = optind > 0 && optind <= argc ? argv[optind - 1] : "";

    if (code >= CODE(0)) {
        *setting = &program->settings[code - CODE(0)];
        return TRI_OK;
    }
    if (code == 'h') {
        *setting = &help;
        return TRI_OK;
    }
    if (code != -1)
        return tri_fail(error, TRI_INVALID, "%s '%.200s'; see %s --help",
                        code == ':' ? "a value is missing after" : "there is no such option as", at,
                        program->name);
    if (optind < argc)
        return tri_fail(error, TRI_INVALID, "'%.200s' is no option; see %s --help", argv[optind],
                        program->name);
    return TRI_EMPTY;
}

static void begin(const struct tri_program *program, struct option table[TRI_SETTINGS_MAX + 1])
{
    memset(table, 0, (TRI_SETTINGS_MAX + 1) * sizeof(*table));
    fill_table(program, table);
    opterr = 0;
    optind = 0; /* GNU: begin anew */
}

enum tri_status tri_settings_look_ahead(const struct tri_program *program,
                                        int argc,
                                        char *const *argv,
                                        enum tri_action *action,
                                        const char **config_path,
                                        struct tri_error *error)
{
    struct option table[TRI_SETTINGS_MAX + 1];
    const struct tri_setting *setting;
    enum tri_status status;

    *action = TRI_ACTION_RUN;
    *config_path = NULL;
    begin(program, table);
    while ((status = next_option(program, argc, argv, table, &setting, error)) == TRI_OK) {
        if (setting->kind == TRI_SETTING_CONFIG)
            *config_path = optarg;
        if (setting->kind == TRI_SETTING_HELP)
            *action = TRI_ACTION_HELP;
        if (setting->kind == TRI_SETTING_VERSION)
            *action = TRI_ACTION_VERSION;
        if (*action != TRI_ACTION_RUN)
            return TRI_OK;
    }
    return status == TRI_EMPTY ? TRI_OK : status;
}

enum tri_status tri_settings_read_line(const struct tri_program *program,
                                       int argc,
                                       char *const *argv,
                                       void *values,
                                       struct tri_error *error)
{
    struct option table[TRI_SETTINGS_MAX + 1];
    const struct tri_setting *setting;
    struct tri_error inner = { 0 };
    enum tri_status status;

    begin(program, table);
    while ((status = next_option(program, argc, argv, table, &setting, error)) == TRI_OK)
        if (set_value(program, values, setting, optarg, &inner) != TRI_OK)
            return tri_fail(error, TRI_INVALID, "--%s: %.480s", setting->name, inner.text);
    return status == TRI_EMPTY ? TRI_OK : status;
}
