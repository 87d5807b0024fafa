/* Hosts, forked and spawned, and what becomes of them when a plugin or a zygote is bad. */
#include "lab.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lab_host host;
static struct lab_host other;

static void setup(void)
{
    lab_open();
}

static void teardown(void)
{
    if (host.link.fd > 0)
        lab_host_close(&host);
    if (other.link.fd > 0)
        lab_host_close(&other);
    lab_close();
}

static void start(struct lab_host *one, bool spawn, const char *plugin)
{
    lab_host_start(one, spawn, plugin);
    lab_host_up(one);
}

static void expect_refused(bool spawn, const char *plugin, uint64_t status, const char *text)
{
    struct tri_msg_host_gone gone;

    lab_host_start(&host, spawn, plugin);
    if (spawn)
        lab_host_up(&host); /* it was started; what it is told to load is another matter */
    gone = lab_host_gone(&host);
    ck_assert_uint_eq(gone.status, status);
    ck_assert_ptr_nonnull(memmem(gone.text.data, gone.text.size, text, strlen(text)));
    lab_host_close(&host);
}

START_TEST(a_forked_host_is_its_zygotes_child_and_runs_commands)
{
    struct lab_result result;

    start(&host, false, "");
    ck_assert_int_ne(lab_parent_of(host.pid), lab_launcher.pid);
    ck_assert_int_eq(lab_parent_of(lab_parent_of(host.pid)), lab_launcher.pid);
    result = lab_sh(&host, "echo forked");
    ck_assert_str_eq(result.output, "forked\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_spawned_host_is_the_launchers_child_and_runs_commands)
{
    struct lab_result result;

    start(&host, true, "");
    ck_assert_int_eq(lab_parent_of(host.pid), lab_launcher.pid);
    result = lab_sh(&host, "echo spawned");
    ck_assert_str_eq(result.output, "spawned\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(hosts_of_one_plugin_share_a_zygote)
{
    start(&host, false, LAB_PLUGIN_GOOD);
    start(&other, false, LAB_PLUGIN_GOOD);
    ck_assert_int_eq(lab_parent_of(host.pid), lab_parent_of(other.pid));
}
END_TEST

START_TEST(hosts_of_two_plugins_have_two_zygotes)
{
    start(&host, false, LAB_PLUGIN_GOOD);
    start(&other, false, "");
    ck_assert_int_ne(lab_parent_of(host.pid), lab_parent_of(other.pid));
    ck_assert_uint_eq(lab_errand(&host, LAB_PLUGIN), 1);
    ck_assert_uint_eq(lab_errand(&other, LAB_PLUGIN), 0);
}
END_TEST

START_TEST(a_spawned_host_has_loaded_its_plugin)
{
    start(&host, true, LAB_PLUGIN_GOOD);
    ck_assert_uint_eq(lab_errand(&host, LAB_PLUGIN), 1);
}
END_TEST

START_TEST(a_host_has_three_descriptors_beside_the_standard_ones)
{
    start(&host, false, "");
    start(&other, true, "");
    ck_assert_uint_eq(lab_errand(&host, LAB_FDS), 6);
    ck_assert_uint_eq(lab_errand(&other, LAB_FDS), 6);
}
END_TEST

START_TEST(a_host_reports_how_it_ended)
{
    for (int spawn = 0; spawn < 2; spawn++) {
        struct tri_msg_host_gone gone;

        start(&host, spawn, "");
        lab_host_raise(&host, SIGALRM);
        gone = lab_host_gone(&host);
        ck_assert_uint_eq(gone.status, TRI_OK);
        ck_assert_int_eq((int)gone.wait_status, SIGALRM);
        ck_assert(lab_is_gone(host.pid));
        lab_host_close(&host);
        start(&host, spawn, "");
        lab_host_close(&host); /* the end of its link is the end of it */
        gone = lab_host_gone(&host);
        ck_assert_uint_eq(gone.wait_status, 0);
        host.link.fd = -1;
    }
}
END_TEST

START_TEST(a_host_is_killed_by_number)
{
    for (int spawn = 0; spawn < 2; spawn++) {
        struct tri_msg_host_gone gone;

        start(&host, spawn, "");
        ck_assert_int_eq(launcher_kill_host(&lab_launcher, host.id, SIGKILL, NULL), TRI_OK);
        gone = lab_host_gone(&host);
        ck_assert_int_eq((int)gone.wait_status, SIGKILL);
        ck_assert_int_eq(launcher_kill_host(&lab_launcher, host.id, SIGKILL, NULL), TRI_OK);
        lab_host_close(&host);
        host.link.fd = -1;
    }
    start(&other, false, "");
}
END_TEST

START_TEST(a_plugin_that_is_not_there_is_the_reason)
{
    expect_refused(false, "/no/such/plugin.so", TRI_SYSTEM, "/no/such/plugin.so");
    expect_refused(true, "/no/such/plugin.so", TRI_SYSTEM, "/no/such/plugin.so");
    start(&other, false, "");
    host.link.fd = -1;
}
END_TEST

START_TEST(a_plugin_that_misses_a_symbol_is_the_reason)
{
    expect_refused(false, LAB_PLUGIN_UNDEFINED_FILE, TRI_SYSTEM, "lab_nobody_defines_this");
    expect_refused(true, LAB_PLUGIN_UNDEFINED_FILE, TRI_SYSTEM, "lab_nobody_defines_this");
    host.link.fd = -1;
}
END_TEST

START_TEST(a_plugin_that_ends_the_process_while_it_is_loaded_is_the_reason)
{
    expect_refused(false, LAB_PLUGIN_ABORT_FILE, TRI_CRASHED, "Aborted");
    host.link.fd = -1;
    start(&other, false, "");
}
END_TEST

START_TEST(a_plugin_that_was_mended_is_loaded_the_next_time)
{
    char path[] = "/tmp/trireme-plugin-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    expect_refused(false, path, TRI_SYSTEM, path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(LAB_PLUGIN_GOOD, path), 0);
    start(&other, false, path);
    ck_assert_uint_eq(lab_errand(&other, LAB_PLUGIN), 1);
    unlink(path);
    host.link.fd = -1;
}
END_TEST

START_TEST(a_plugin_that_starts_a_thread_while_it_is_loaded_is_only_ever_spawned)
{
    start(&host, false, LAB_PLUGIN_THREAD_FILE);
    ck_assert_int_eq(lab_parent_of(host.pid), lab_launcher.pid);
    ck_assert_uint_eq(lab_errand(&host, LAB_THREADS), 2);
    start(&other, false, LAB_PLUGIN_THREAD_FILE);
    ck_assert_int_eq(lab_parent_of(other.pid), lab_launcher.pid);
}
END_TEST

START_TEST(the_hosts_of_a_zygote_that_is_killed_are_gone_and_another_zygote_is_started)
{
    struct tri_msg_host_gone gone;
    pid_t zygote;

    start(&host, false, "");
    start(&other, false, "");
    zygote = lab_parent_of(host.pid);
    kill(zygote, SIGKILL);
    /* In any order. */
    ck_assert_int_eq(link_receive(&lab_launcher.link, true, &host.message, NULL), TRI_OK);
    gone = host.message.message.host_gone;
    ck_assert_int_eq((int)gone.wait_status, SIGKILL);
    ck_assert_uint_eq(gone.status, TRI_OK);
    gone = lab_host_gone(gone.host == host.id ? &other : &host);
    ck_assert_int_eq((int)gone.wait_status, SIGKILL);
    ck_assert(lab_is_gone(zygote));
    ck_assert(lab_is_gone(host.pid));
    ck_assert(lab_is_gone(other.pid));
    lab_host_close(&host);
    start(&host, false, "");
    ck_assert_int_ne(lab_parent_of(host.pid), zygote);
}
END_TEST

START_TEST(hosts_leak_no_descriptors)
{
    size_t before;

    start(&other, false, "");
    before = lab_fd_count(lab_launcher.pid);
    for (int i = 0; i < 20; i++) {
        start(&host, i % 2 == 0, i % 4 < 2 ? "" : LAB_PLUGIN_GOOD);
        launcher_kill_host(&lab_launcher, host.id, SIGKILL, NULL);
        lab_host_gone(&host);
        lab_host_close(&host);
        lab_host_start(&host, false, "/no/such/plugin.so");
        lab_host_gone(&host);
        lab_host_close(&host);
    }
    host.link.fd = -1;
    /* The zygote of the plugin stays. */
    ck_assert_uint_eq(lab_fd_count(lab_launcher.pid), before + 1);
}
END_TEST

START_TEST(hosts_start_by_the_dozen)
{
    enum { COUNT = 24 };
    static struct lab_host hosts[COUNT];

    for (int i = 0; i < COUNT; i++)
        lab_host_start(&hosts[i], false, "");
    for (int i = 0; i < COUNT; i++)
        lab_host_up(&hosts[i]);
    for (int i = 0; i < COUNT; i++) {
        struct lab_result result = lab_sh(&hosts[i], "echo $PPID");

        ck_assert_int_eq(atoi(result.output), lab_launcher.pid);
        lab_result_deinit(&result);
        lab_host_close(&hosts[i]);
        lab_host_gone(&hosts[i]);
    }
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("hosts");

    launcher_take_role(argc, argv);
    lab_folder_for(tcase);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_forked_host_is_its_zygotes_child_and_runs_commands);
    tcase_add_test(tcase, a_spawned_host_is_the_launchers_child_and_runs_commands);
    tcase_add_test(tcase, hosts_of_one_plugin_share_a_zygote);
    tcase_add_test(tcase, hosts_of_two_plugins_have_two_zygotes);
    tcase_add_test(tcase, a_spawned_host_has_loaded_its_plugin);
    tcase_add_test(tcase, a_host_has_three_descriptors_beside_the_standard_ones);
    tcase_add_test(tcase, a_host_reports_how_it_ended);
    tcase_add_test(tcase, a_host_is_killed_by_number);
    tcase_add_test(tcase, a_plugin_that_is_not_there_is_the_reason);
    tcase_add_test(tcase, a_plugin_that_misses_a_symbol_is_the_reason);
    tcase_add_test(tcase, a_plugin_that_ends_the_process_while_it_is_loaded_is_the_reason);
    tcase_add_test(tcase, a_plugin_that_was_mended_is_loaded_the_next_time);
    tcase_add_test(tcase, a_plugin_that_starts_a_thread_while_it_is_loaded_is_only_ever_spawned);
    tcase_add_test(tcase,
                   the_hosts_of_a_zygote_that_is_killed_are_gone_and_another_zygote_is_started);
    tcase_add_test(tcase, hosts_leak_no_descriptors);
    tcase_add_test(tcase, hosts_start_by_the_dozen);
    return unit_run("hosts", tcase);
}
