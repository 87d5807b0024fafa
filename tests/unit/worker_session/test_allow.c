/* What handlers may touch. */
#include "tests/unit/unit.h"
#include "worker/allow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void make_file(const char *name)
{
    FILE *file = fopen(path_of(name), "we");

    ck_assert(file != NULL);
    fclose(file);
}

/* in/ with files and links, out/ beside it; in/ is allowed. */
static void set_up(void)
{
    char in[128];

    clearenv();
    strcpy(directory, "/tmp/trireme-allow-XXXXXX");
    ck_assert(mkdtemp(directory) != NULL);
    ck_assert_int_eq(mkdir(path_of("in"), 0700), 0);
    ck_assert_int_eq(mkdir(path_of("in2"), 0700), 0);
    ck_assert_int_eq(mkdir(path_of("out"), 0700), 0);
    make_file("in/file");
    make_file("in2/file");
    make_file("out/secret");
    ck_assert_int_eq(symlink("../out/secret", path_of("in/link")), 0);
    ck_assert_int_eq(symlink("../out", path_of("in/door")), 0);
    ck_assert_int_eq(symlink("../out/new", path_of("in/nowhere")), 0);
    ck_assert_int_eq(symlink("file", path_of("in/inner")), 0);
    snprintf(in, sizeof(in), "/nonexistent\n%s/in\n", directory);
    setenv("TRIREME_ALLOW_FILES", in, 1);
}

static void tear_down(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static enum tri_status file(const char *name)
{
    char resolved[PATH_MAX];
    struct tri_error error = { 0 };
    enum tri_status status = allow_file(path_of(name), resolved, &error);

    ck_assert(status == TRI_OK || error.text[0] != '\0');
    ck_assert(status != TRI_OK || strncmp(resolved, directory, strlen(directory)) == 0);
    return status;
}

START_TEST(files_are_allowed_below_a_directory_after_links_were_followed)
{
    ck_assert_int_eq(file("in/file"), TRI_OK);
    ck_assert_int_eq(file("in"), TRI_OK);
    ck_assert_int_eq(file("in/inner"), TRI_OK);
    ck_assert_int_eq(file("out/secret"), TRI_DENIED);
    ck_assert_int_eq(file("in/../out/secret"), TRI_DENIED);
    ck_assert_int_eq(file("in/link"), TRI_DENIED);
    ck_assert_int_eq(file("in/door/secret"), TRI_DENIED);
    ck_assert_int_eq(file("in2/file"), TRI_DENIED); /* the name only begins like it */
}
END_TEST

START_TEST(a_file_to_be_made_is_judged_by_its_directory)
{
    ck_assert_int_eq(file("in/new"), TRI_OK);
    ck_assert_int_eq(file("out/new"), TRI_DENIED);
    ck_assert_int_eq(file("in/door/new"), TRI_DENIED);
    ck_assert_int_eq(file("in/nowhere"), TRI_DENIED); /* a link that would be written through */
    ck_assert_int_eq(file("in/none/new"), TRI_DENIED);
    ck_assert_int_eq(file("in/none/.."), TRI_DENIED);
}
END_TEST

START_TEST(whether_a_file_exists_is_not_told_to_those_who_may_not_open_it)
{
    char resolved[PATH_MAX];
    struct tri_error there;
    struct tri_error missing;

    ck_assert_int_eq(allow_file("/etc/hostname-that-is-not/x", resolved, &missing), TRI_DENIED);
    ck_assert_int_eq(allow_file("/etc/passwd", resolved, &there), TRI_DENIED);
}
END_TEST

START_TEST(a_private_run_allows_everything)
{
    char resolved[PATH_MAX];
    struct tri_error error;

    ck_assert_int_eq(allow_commands(&error), TRI_DENIED);
    ck_assert_int_eq(allow_http("example.org", 80, &error), TRI_DENIED);
    ck_assert(!allow_any_http());
    setenv("TRIREME_ALLOW_ALL", "1", 1);
    ck_assert_int_eq(allow_commands(&error), TRI_OK);
    ck_assert_int_eq(allow_http("example.org", 80, &error), TRI_OK);
    ck_assert_int_eq(allow_file(path_of("out/secret"), resolved, &error), TRI_OK);
    ck_assert_int_eq(allow_file(path_of("none/at/all"), resolved, &error), TRI_NOTFOUND);
    setenv("TRIREME_ALLOW_ALL", "0", 1);
    ck_assert_int_eq(allow_commands(&error), TRI_DENIED);
    setenv("TRIREME_ALLOW_COMMANDS", "1", 1);
    ck_assert_int_eq(allow_commands(&error), TRI_OK);
}
END_TEST

static const struct {
    const char *host;
    uint16_t port;
    bool allowed;
} hosts[] = {
    { "example.org", 80, true },
    { "EXAMPLE.org", 8080, true },
    { "www.example.org", 80, false },
    { "example.or", 80, false },
    { "api.test", 443, true },
    { "api.test", 80, false },
    { "api.test", 44, false },
    { "::1", 9, true },
    { "fe80::1", 80, true },
    { "fe80::1", 81, false },
    { "127.0.0.1", 7000, true },
    { "127.0.0.1", 700, false },
    { "", 80, false },
};

START_TEST(hosts_are_compared_as_they_are_written)
{
    struct tri_error error;

    setenv("TRIREME_ALLOW_HTTP",
           "example.org\napi.test:443\n[::1]\n[fe80::1]:80\n127.0.0.1:7000\n[broken\n", 1);
    for (size_t i = 0; i < TRI_COUNT_OF(hosts); i++)
        ck_assert_msg((allow_http(hosts[i].host, hosts[i].port, &error) == TRI_OK)
                          == hosts[i].allowed,
                      "%s:%u", hosts[i].host, hosts[i].port);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("allow");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, files_are_allowed_below_a_directory_after_links_were_followed);
    tcase_add_test(tcase, a_file_to_be_made_is_judged_by_its_directory);
    tcase_add_test(tcase, whether_a_file_exists_is_not_told_to_those_who_may_not_open_it);
    tcase_add_test(tcase, a_private_run_allows_everything);
    tcase_add_test(tcase, hosts_are_compared_as_they_are_written);
    return unit_run("worker_session/allow", tcase);
}
