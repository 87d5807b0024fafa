/* test_statedir.c - which directory it is, and what is made of it. Root is somebody else meanwhile:
 * its own directory is the system's (tests/e2e/test_store.py goes there). */
#include "tests/unit/unit.h"

#include "broker/statedir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static char top[64];
static char path[PATH_MAX];

static void begin(void)
{
    strcpy(top, "/tmp/trireme-state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chmod(top, 0777), 0);
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/nonexistent", 1);
    umask(0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(NOBODY), 0);
}

static void remove_made(const char *below)
{
    char made[PATH_MAX];

    snprintf(made, sizeof(made), "%s%s", top, below);
    ck_assert_int_eq(rmdir(made), 0);
}

static void end(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(rmdir(top), 0);
}

/* `variable` names what is `below` the top. */
static void set(const char *variable, const char *below)
{
    char value[PATH_MAX];

    snprintf(value, sizeof(value), "%s%s", top, below);
    ck_assert_int_eq(setenv(variable, value, 1), 0);
}

static void expect_place(const char *directory)
{
    struct tri_error error = { 0 };
    char expected[PATH_MAX];
    struct stat made;

    snprintf(expected, sizeof(expected), "%s%s", top, directory);
    ck_assert_msg(statedir_place("broker.db", path, &error) == TRI_OK, "%s", error.text);
    ck_assert_int_eq(stat(expected, &made), 0);
    ck_assert_uint_eq(made.st_mode, S_IFDIR | 0700);
    strcat(expected, "/broker.db");
    ck_assert_str_eq(path, expected);
    ck_assert_int_ne(access(path, F_OK), 0);
}

static void expect_failure(enum tri_status status, const char *text)
{
    struct tri_error error = { 0 };

    ck_assert_int_eq(statedir_place("broker.db", path, &error), status);
    ck_assert_msg(strstr(error.text, text) != NULL, "\"%s\" lacks \"%s\"", error.text, text);
    ck_assert_msg(strstr(error.text, "--store") != NULL, "%s", error.text);
    ck_assert_ptr_null(strchr(error.text, '\n'));
}

static void expect_error(const char *text)
{
    expect_failure(TRI_STORE, text);
}

START_TEST(it_is_below_home)
{
    set("HOME", "");
    expect_place("/.local/state/trireme");
    expect_place("/.local/state/trireme"); /* there already */
    remove_made("/.local/state/trireme");
    remove_made("/.local/state");
    remove_made("/.local");
}
END_TEST

START_TEST(xdg_state_home_counts_for_more_than_home)
{
    set("HOME", "");
    set("XDG_STATE_HOME", "/xdg");
    expect_place("/xdg/trireme");
    remove_made("/xdg/trireme");
    remove_made("/xdg");
}
END_TEST

START_TEST(a_relative_xdg_state_home_is_none)
{
    set("HOME", "");
    setenv("XDG_STATE_HOME", "here", 1);
    expect_place("/.local/state/trireme");
    remove_made("/.local/state/trireme");
    remove_made("/.local/state");
    remove_made("/.local");
}
END_TEST

START_TEST(the_first_directory_of_a_service_counts_for_most)
{
    set("XDG_STATE_HOME", "/xdg");
    set("STATE_DIRECTORY", "/first:/second");
    expect_place("/first");
    remove_made("/first");
}
END_TEST

/* Whoever set it meant a place: another one would not have its batches. */
START_TEST(a_relative_directory_of_a_service_is_refused)
{
    set("HOME", "");
    setenv("STATE_DIRECTORY", "state:/second", 1);
    expect_failure(TRI_INVALID, "STATE_DIRECTORY is not an absolute path (state:/second)");
    setenv("STATE_DIRECTORY", ":/second", 1);
    expect_failure(TRI_INVALID, "STATE_DIRECTORY is not an absolute path (:/second)");
}
END_TEST

START_TEST(a_directory_that_was_there_keeps_its_mode)
{
    char made[PATH_MAX];
    struct tri_error error = { 0 };
    struct stat info;

    set("STATE_DIRECTORY", "/mine");
    snprintf(made, sizeof(made), "%s/mine", top);
    ck_assert_int_eq(mkdir(made, 0750), 0);
    ck_assert_int_eq(statedir_place("broker.db", path, &error), TRI_OK);
    ck_assert_int_eq(stat(made, &info), 0);
    ck_assert_uint_eq(info.st_mode, S_IFDIR | 0750);
    remove_made("/mine");
}
END_TEST

START_TEST(what_cannot_be_made_is_named)
{
    setenv("STATE_DIRECTORY", "/proc/trireme", 1);
    expect_error("cannot make the state directory /proc/trireme");
    unsetenv("STATE_DIRECTORY");
    expect_error("cannot make the state directory /nonexistent/.local/state/trireme: Permission");
}
END_TEST

START_TEST(without_a_home_there_is_no_place)
{
    unsetenv("HOME");
    expect_error("HOME is not an absolute path");
    setenv("HOME", "here", 1);
    expect_error("HOME is not an absolute path");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
    char value[PATH_MAX + 2];

    memset(value, 'x', sizeof(value));
    value[0] = '/';
    value[sizeof(value) - 1] = '\0';
    setenv("STATE_DIRECTORY", value, 1);
    expect_error("too long");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("statedir");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, it_is_below_home);
    tcase_add_test(tcase, xdg_state_home_counts_for_more_than_home);
    tcase_add_test(tcase, a_relative_xdg_state_home_is_none);
    tcase_add_test(tcase, the_first_directory_of_a_service_counts_for_most);
    tcase_add_test(tcase, a_relative_directory_of_a_service_is_refused);
    tcase_add_test(tcase, a_directory_that_was_there_keeps_its_mode);
    tcase_add_test(tcase, what_cannot_be_made_is_named);
    tcase_add_test(tcase, without_a_home_there_is_no_place);
    tcase_add_test(tcase, a_path_that_is_too_long_is_refused);
    return unit_run("statedir", tcase);
}
