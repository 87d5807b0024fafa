/* Configuration files: what is read, and what is refused with file and line. */
#include "common/config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const known[] = { "broker/listen", "broker/lease",      "broker/cap",
                                     "broker/on",     "broker/store/path", "allow" };

/* Write `text` to a file and open it. The file is gone again afterwards; its name is `name`. */
static enum tri_status open_text(const char *text,
                                 char name[32],
                                 struct tri_config **config,
                                 struct tri_error *error)
{
    enum tri_status status;
    int fd;

    strcpy(name, "/tmp/trireme-conf-XXXXXX");
    fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    status = tri_config_open(name, known, TRI_COUNT_OF(known), config, error);
    unlink(name);
    return status;
}

static struct tri_config *opened(const char *text)
{
    struct tri_config *config = NULL;
    struct tri_error error;
    char name[32];

    ck_assert_msg(open_text(text, name, &config, &error) == TRI_OK, "%s", error.text);
    return config;
}

START_TEST(values_are_found_by_path_and_type)
{
    struct tri_config *config = opened("# a comment\n"
                                       "\n"
                                       "broker\n"
                                       "    listen = \"ipc:///run/x\"   # trailing\n"
                                       "    lease = 1h 30m\n"
                                       "    cap = 8M\n"
                                       "    on = yes\n"
                                       "    store\n"
                                       "        path = '/var/lib/x y'\n"
                                       "allow = \"one\"\n"
                                       "allow = two");
    const char *text = NULL;
    uint64_t number = 0;

    ck_assert_int_eq(tri_config_string(config, "broker/listen", &text, NULL), TRI_OK);
    ck_assert_str_eq(text, "ipc:///run/x");
    ck_assert_int_eq(tri_config_string(config, "broker/store/path", &text, NULL), TRI_OK);
    ck_assert_str_eq(text, "/var/lib/x y");
    ck_assert_int_eq(tri_config_duration_ms(config, "broker/lease", &number, NULL), TRI_OK);
    ck_assert_uint_eq(number, 5400000);
    ck_assert_uint_eq(tri_config_list_count(config, "allow"), 2);
    ck_assert_str_eq(tri_config_list_at(config, "allow", 0), "one");
    ck_assert_str_eq(tri_config_list_at(config, "allow", 1), "two");
    ck_assert_ptr_null(tri_config_list_at(config, "allow", 2));
    tri_config_close(&config);
    ck_assert_ptr_null(config);
    tri_config_close(&config);
}
END_TEST

START_TEST(absent_keys_leave_the_default)
{
    struct tri_config *config = opened("");
    const char *text = "default";
    uint64_t number = 7;

    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(tri_config_string(config, "broker/listen", &text, NULL), TRI_OK);
        ck_assert_int_eq(tri_config_duration_ms(config, "broker/lease", &number, NULL), TRI_OK);
        ck_assert(strcmp(text, "default") == 0 && number == 7);
        ck_assert_uint_eq(tri_config_list_count(config, "allow"), 0);
        tri_config_close(&config); /* and then without any configuration */
    }
}
END_TEST

START_TEST(bad_files_are_refused_with_their_line)
{
    static const struct {
        const char *text;
        const char *reason; /* behind the name of the file */
    } cases[] = {
        { "broker\n    listn = x\n", ":2: unknown key broker/listn" },
        { "listen = x\n", ":1: unknown key listen" },
        { "broker\n    store\n        x = 2\n", ":3: unknown key broker/store/x" },
        { "broker\n   listen = x\n", ":2: indent by 4 blanks" },
        { "broker\n\tlisten = x\n", ":2: tabs and carriage returns are not allowed" },
        { "broker\r\n", ":1: tabs and carriage returns are not allowed" },
        { "    broker\n", ":1: it is indented too deep" },
        { "broker\n        listen = x\n", ":2: it is indented too deep" },
        { "\n\nallow = \"x\n", ":3: the quote is not closed" },
        { "allow = \"x\" y\n", ":1: there is something behind the quoted value" },
        { "allow = \n", ":1: there is no value behind '='" },
        { "allow x\n", ":1: a name is followed by '=' and a value, or by nothing" },
        { "= x\n", ":1: a line starts with a name of letters, digits, '_', '-' and '.'" },
    };

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_config *config = NULL;
        struct tri_error error;
        char name[32];

        ck_assert_int_eq(open_text(cases[i].text, name, &config, &error), TRI_INVALID);
        ck_assert_ptr_null(config);
        ck_assert(strncmp(error.text, name, strlen(name)) == 0);
        ck_assert_str_eq(error.text + strlen(name), cases[i].reason);
    }
}
END_TEST

START_TEST(bad_values_are_refused_with_their_line)
{
    struct tri_config *config = opened("broker\n    lease = soon\n    on = maybe\n"
                                       "    cap = 1\n    cap = 2\n");
    struct tri_error error;
    const char *text = NULL;
    uint64_t number = 7;

    ck_assert_int_eq(tri_config_duration_ms(config, "broker/lease", &number, &error), TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":2: broker/lease: \"soon\" is not a duration"));
    ck_assert_int_eq(tri_config_string(config, "broker/cap", &text, &error), TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":5: broker/cap is given 2 times"));
    ck_assert_uint_eq(number, 7);
    tri_config_close(&config);
}
END_TEST

START_TEST(a_missing_file_is_not_found)
{
    struct tri_config *config = NULL;
    struct tri_error error;

    ck_assert_int_eq(tri_config_open("/nonexistent/x.conf", known, 1, &config, &error),
                     TRI_NOTFOUND);
    ck_assert_str_eq(error.text,
                     "/nonexistent/x.conf: cannot be opened: No such file or directory");
    ck_assert_int_eq(tri_config_open("/", known, 1, &config, &error), TRI_SYSTEM);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("config");

    tcase_add_test(tcase, values_are_found_by_path_and_type);
    tcase_add_test(tcase, absent_keys_leave_the_default);
    tcase_add_test(tcase, bad_files_are_refused_with_their_line);
    tcase_add_test(tcase, bad_values_are_refused_with_their_line);
    tcase_add_test(tcase, a_missing_file_is_not_found);
    return unit_run("config", tcase);
}
