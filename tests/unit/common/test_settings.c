/* The settings of a daemon: one table, read from a file and from the command line. */
#include "common/log.h"
#include "common/settings.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
    uint64_t peers, bytes, lease_ms;
    const char *name, *own;
    bool on, left_out;
    int fd;
    enum tri_log_level level;
};

#define MEMBER(name) offsetof(struct values, name)

static const struct tri_setting settings[] = {
    { "max-peers", "N", TRI_SETTING_NUMBER, MEMBER(peers), 1, 100, TRI_SETTING_ONCE, "Limits",
      "peers (%s)" },
    { "bytes", "SIZE", TRI_SETTING_SIZE, MEMBER(bytes), 1024, 1 << 20, TRI_SETTING_ONCE, NULL,
      "kept (%s)" },
    { "lease", "DURATION", TRI_SETTING_DURATION, MEMBER(lease_ms), 10, 1000000, TRI_SETTING_ONCE,
      NULL, "%s" },
    { "name", "NAME", TRI_SETTING_TEXT, MEMBER(name), 1, 5, TRI_SETTING_ONCE, NULL,
      "its name (%s)" },
    { "on", NULL, TRI_SETTING_FLAG, MEMBER(on), 0, 0, TRI_SETTING_ONCE, NULL, "switch it on" },
    { "fd", "FD", TRI_SETTING_DESCRIPTOR, MEMBER(fd), 0, 0, TRI_SETTING_ABSENT, NULL,
      "a descriptor" },
    { "level", "LEVEL", TRI_SETTING_LEVEL, MEMBER(level), 0, 0, TRI_SETTING_ONCE, "Others",
      "of the log (%s)" },
    { "own", "[=WORD]", TRI_SETTING_OWN, 0, 0, 0, TRI_SETTING_LIST, NULL, "the program's own" },
    { "config", "FILE", TRI_SETTING_CONFIG, 0, 0, 0, TRI_SETTING_ABSENT, NULL, "the file" },
    { "help", NULL, TRI_SETTING_HELP, 0, 0, 0, TRI_SETTING_ABSENT, NULL, "this" },
    { "version", NULL, TRI_SETTING_VERSION, 0, 0, 0, TRI_SETTING_ABSENT, NULL, "the version" },
};

static enum tri_status set_own(void *context,
                               const struct tri_setting *setting,
                               const char *text,
                               struct tri_error *error)
{
    struct values *values = context;

    ck_assert_int_eq(setting->kind, TRI_SETTING_OWN);
    values->left_out = text == NULL;
    values->own = text;
    if (text != NULL && strcmp(text, "bad") == 0)
        return tri_fail(error, TRI_INVALID, "bad is not good");
    return TRI_OK;
}

static const struct tri_program program = { .name = "lab",
                                            .section = "lab/",
                                            .config_default = "/no/such/lab.conf",
                                            .settings = settings,
                                            .setting_count = TRI_COUNT_OF(settings),
                                            .set = set_own };

#define LINE(...)                                                                           \
    TRI_COUNT_OF(((const char *[]){ "lab", __VA_ARGS__ })), (char *const *)(const char *[]) \
    {                                                                                       \
        "lab", __VA_ARGS__, NULL                                                            \
    }

START_TEST(the_command_line_sets_every_kind)
{
    struct values values = { 0 };
    struct tri_error error;

    ck_assert_uint_eq(
        tri_settings_read_line(&program,
                               LINE("--max-peers", "7", "--bytes=64K", "--lease", "1.5s", "--name",
                                    "abc", "--on", "--fd", "0", "--level", "debug", "--own=word"),
                               &values, &error),
        TRI_OK);
    ck_assert_uint_eq(values.peers, 7);
    ck_assert_uint_eq(values.bytes, 65536);
    ck_assert_uint_eq(values.lease_ms, 1500);
    ck_assert_str_eq(values.name, "abc");
    ck_assert(values.on);
    ck_assert_int_eq(values.fd, 0);
    ck_assert_int_eq((int)values.level, TRI_LOG_DEBUG);
    ck_assert_str_eq(values.own, "word");
    ck_assert_uint_eq(tri_settings_read_line(&program, LINE("--own"), &values, &error), TRI_OK);
    ck_assert(values.left_out);
}
END_TEST

static void refused(const char *option, const char *value, const char *text)
{
    struct values values = { 0 };
    struct tri_error error;
    const char *line[] = { "lab", option, value, NULL };

    ck_assert_uint_eq(tri_settings_read_line(&program, value != NULL ? 3 : 2, (char *const *)line,
                                             &values, &error),
                      TRI_INVALID);
    ck_assert_str_eq(error.text, text);
    ck_assert(values.peers == 0 && values.bytes == 0 && values.lease_ms == 0 && values.fd == 0);
    ck_assert(values.name == NULL && values.level == 0);
}

START_TEST(what_is_wrong_on_the_command_line_is_named)
{
    refused("--max-peers", "101", "--max-peers: \"101\" is not between 1 and 100");
    refused("--bytes", "1", "--bytes: '1' is out of bounds (1024 to 1048576 bytes)");
    refused("--lease", "1ms", "--lease: '1ms' is out of bounds (10 to 1000000 ms)");
    refused("--name", "abcdef", "--name: 'abcdef' has not 1 to 5 bytes");
    refused("--fd", "999", "--fd: descriptor 999 is not open");
    refused("--level", "loud", "--level: 'loud' is none of error, warn, info, debug");
    refused("--bytes", NULL, "a value is missing after '--bytes'; see lab --help");
    refused("--nothing", NULL, "there is no such option as '--nothing'; see lab --help");
    refused("-x", NULL, "there is no such option as '-x'; see lab --help");
    refused("word", NULL, "'word' is no option; see lab --help");
}
END_TEST

START_TEST(the_first_look_finds_the_file_help_and_version)
{
    enum tri_action action;
    const char *path;
    struct tri_error error;

    ck_assert_uint_eq(tri_settings_look_ahead(&program, LINE("--on", "--config", "x", "--own"),
                                              &action, &path, &error),
                      TRI_OK);
    ck_assert_int_eq((int)action, TRI_ACTION_RUN);
    ck_assert_str_eq(path, "x");
    ck_assert_uint_eq(
        tri_settings_look_ahead(&program, LINE("-h", "--nothing"), &action, &path, &error), TRI_OK);
    ck_assert_int_eq((int)action, TRI_ACTION_HELP);
    ck_assert_ptr_null(path);
    ck_assert_uint_eq(tri_settings_look_ahead(&program, LINE("--version"), &action, &path, &error),
                      TRI_OK);
    ck_assert_int_eq((int)action, TRI_ACTION_VERSION);
    ck_assert_uint_eq(tri_settings_look_ahead(&program, LINE("--nothing"), &action, &path, &error),
                      TRI_INVALID);
}
END_TEST

/* Reads `text` as the file. */
static enum tri_status read_text(const char *text,
                                 struct values *values,
                                 struct tri_config **config,
                                 struct tri_error *error)
{
    char path[] = "/tmp/trireme-settings-XXXXXX";
    int fd = mkstemp(path);
    enum tri_status status;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    status = tri_settings_read_file(&program, path, values, config, error);
    unlink(path);
    return status;
}

START_TEST(a_file_sets_the_same_by_keys_in_the_programs_section)
{
    struct values values = { .on = true };
    struct tri_config *config;
    struct tri_error error;

    ck_assert_uint_eq(read_text("lab\n    max_peers = 9\n    on = no\n    own = a\n    own = b\n",
                                &values, &config, &error),
                      TRI_OK);
    ck_assert_uint_eq(values.peers, 9);
    ck_assert(!values.on);
    ck_assert_str_eq(values.own, "b"); /* each in turn */
    tri_config_close(&config);
    ck_assert_uint_eq(read_text("lab\n    on = maybe\n", &values, &config, &error), TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":2: lab/on: 'maybe' is none of true, false"));
    tri_config_close(&config);
    ck_assert_uint_eq(read_text("lab\n    own = a\n    own = bad\n", &values, &config, &error),
                      TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":3: lab/own: bad is not good"));
    tri_config_close(&config);
    ck_assert_uint_eq(read_text("lab\n    on = yes\n    on = no\n", &values, &config, &error),
                      TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":3: lab/on is given 2 times"));
    tri_config_close(&config);
    ck_assert_uint_eq(read_text("lab\n    fd = 1\n", &values, &config, &error), TRI_INVALID);
    tri_config_close(&config);
}
END_TEST

START_TEST(only_a_file_that_was_named_must_be_there)
{
    struct values values = { 0 };
    struct tri_config *config;
    struct tri_error error;

    ck_assert_uint_eq(tri_settings_read_file(&program, NULL, &values, &config, &error), TRI_OK);
    ck_assert_ptr_null(config);
    ck_assert_uint_eq(
        tri_settings_read_file(&program, "/no/such/other.conf", &values, &config, &error),
        TRI_NOTFOUND);
}
END_TEST

START_TEST(help_shows_groups_defaults_and_what_may_be_left_out)
{
    struct values defaults = { .peers = 20, .bytes = 2048, .lease_ms = 90000, .name = "x" };
    char text[2048] = { 0 };
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");

    defaults.level = TRI_LOG_WARN;
    tri_settings_print(&program, &defaults, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "\nLimits:\n  --max-peers N               peers (20)\n"));
    ck_assert_ptr_nonnull(strstr(text, "  --bytes SIZE                kept (2K)\n"));
    ck_assert_ptr_nonnull(strstr(text, "  --lease DURATION            90s\n"));
    ck_assert_ptr_nonnull(strstr(text, "its name (x)"));
    ck_assert_ptr_nonnull(
        strstr(text, "\nOthers:\n  --level LEVEL               of the log (warn)"));
    ck_assert_ptr_nonnull(strstr(text, "  --own[=WORD]                the program's own\n"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings");

    tcase_add_test(tcase, the_command_line_sets_every_kind);
    tcase_add_test(tcase, what_is_wrong_on_the_command_line_is_named);
    tcase_add_test(tcase, the_first_look_finds_the_file_help_and_version);
    tcase_add_test(tcase, a_file_sets_the_same_by_keys_in_the_programs_section);
    tcase_add_test(tcase, only_a_file_that_was_named_must_be_there);
    tcase_add_test(tcase, help_shows_groups_defaults_and_what_may_be_left_out);
    return unit_run("settings", tcase);
}
