/* Nothing is left of what has ended, wherever it has hidden. */
#include "lab.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lab_host host;

static void setup(void)
{
    lab_open();
    lab_host(&host);
}

static void teardown(void)
{
    lab_host_close(&host);
    lab_close();
}

/* Every number in the output is the pid of a process that is gone. Returns how many there were. */
static size_t expect_gone(const char *output)
{
    size_t count = 0;
    char *end;

    for (long pid = strtol(output, &end, 10); end != output; pid = strtol(output, &end, 10)) {
        ck_assert_msg(lab_is_gone((pid_t)pid), "process %ld is still there", pid);
        output = end;
        count++;
    }
    return count;
}

static void expect_nothing_left_of(const char *script, size_t processes)
{
    struct lab_result result = lab_sh(&host, script);

    ck_assert_msg(result.status == TRI_OK, "%s", result.text);
    ck_assert_int_eq(result.wait_status, 0);
    ck_assert_uint_eq(expect_gone(result.output), processes);
    lab_result_deinit(&result);
}

START_TEST(a_command_ends_when_it_ends_although_a_child_holds_its_pipe)
{
    expect_nothing_left_of("sleep 1000 & echo $!", 1);
}
END_TEST

START_TEST(a_child_that_goes_on_writing_does_not_hold_its_command)
{
    expect_nothing_left_of("yes & echo $! >&2; read x < /dev/null; exit 0", 0);
}
END_TEST

START_TEST(a_daemon_in_its_own_session_ends_with_its_command)
{
    expect_nothing_left_of("setsid sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'", 1);
}
END_TEST

START_TEST(a_daemon_without_session_group_or_environment_ends_with_its_command)
{
    expect_nothing_left_of("env -i setsid sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'", 1);
}
END_TEST

START_TEST(a_daemon_that_ignores_signals_ends_with_its_command)
{
    expect_nothing_left_of("setsid sh -c 'trap \"\" TERM HUP INT; (while :; do sleep 1000; done) "
                           ">/dev/null 2>&1 & echo $!'",
                           1);
}
END_TEST

START_TEST(a_whole_tree_of_daemons_ends_with_its_command)
{
    expect_nothing_left_of("for i in 1 2 3 4 5; do setsid sh -c '"
                           "for j in 1 2 3; do setsid sh -c \""
                           "for k in 1 2; do sleep 1000 >/dev/null 2>&1 & echo \\$!; done; "
                           "echo \\$\\$ >&2; sleep 1000 >/dev/null 2>&1\" & done; "
                           "while :; do sleep 1000; done' >$FIFO.$i & done; "
                           "for i in 1 2 3 4 5; do"
                           "  while test $(cat $FIFO.$i | wc -w) -lt 6; do sleep 0.01; done;"
                           "  cat $FIFO.$i; rm $FIFO.$i; done",
                           30);
}
END_TEST

START_TEST(a_daemon_of_a_running_command_is_left_alone_until_that_command_ends)
{
    struct lab_result result;
    pid_t daemon;

    lab_run_sh(&host, 1, "setsid sh -c 'sleep 1000 & echo $! > $FIFO'; exec sleep 1000");
    daemon = lab_hear();
    result = lab_sh(&host, "true");
    lab_result_deinit(&result);
    ck_assert(!lab_is_gone(daemon));
    lab_stop(&host, 1, 0);
    result = lab_ran(&host);
    ck_assert_uint_eq(result.id, 1);
    ck_assert(lab_is_gone(daemon));
    lab_result_deinit(&result);
}
END_TEST

/* Older than what comes after it, so that age says nothing. */
static void start_elder(void)
{
    lab_run_sh(&host, 1, "echo 1 > $FIFO; exec sleep 1000");
    lab_hear();
}

START_TEST(a_child_without_environment_is_known_by_its_group)
{
    start_elder();
    expect_nothing_left_of("env -i sleep 1000 & echo $!", 1);
}
END_TEST

START_TEST(a_daemon_in_its_own_session_is_known_by_its_environment)
{
    start_elder();
    expect_nothing_left_of("setsid sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'", 1);
}
END_TEST

START_TEST(a_daemon_that_nobody_can_be_found_for_ends_with_the_last_command_older_than_it)
{
    struct lab_result result;
    pid_t daemon;

    start_elder();
    result = lab_sh(&host, "env -i setsid sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'");
    daemon = (pid_t)strtol(result.output, NULL, 10);
    ck_assert(!lab_is_gone(daemon)); /* it might be the older one's */
    lab_result_deinit(&result);
    lab_stop(&host, 1, 0);
    result = lab_ran(&host);
    ck_assert(lab_is_gone(daemon));
    lab_result_deinit(&result);
}
END_TEST

START_TEST(stop_ends_the_daemons_of_a_command_too)
{
    struct lab_result result;
    pid_t daemon;

    lab_run_sh(
        &host, 1,
        "setsid sh -c 'trap \"\" TERM; echo $$ > $FIFO; while :; do sleep 1000; done' & wait");
    daemon = lab_hear();
    lab_stop(&host, 1, 10000);
    result = lab_ran(&host);
    ck_assert(WIFSIGNALED(result.wait_status));
    ck_assert_int_eq(WTERMSIG(result.wait_status), SIGTERM);
    ck_assert(lab_is_gone(daemon));
    lab_result_deinit(&result);
}
END_TEST

START_TEST(the_commands_of_a_host_that_dies_are_gone_before_it_is_reported)
{
    pid_t command;
    pid_t daemon;

    lab_run_sh(&host, 1, "echo $$ > $FIFO; exec sleep 1000");
    command = lab_hear();
    lab_run_sh(&host, 2, "setsid sh -c 'echo $$ > $FIFO; exec sleep 1000' & wait");
    daemon = lab_hear();
    lab_host_raise(&host, SIGKILL);
    ck_assert_int_eq((int)lab_host_gone(&host).wait_status, SIGKILL);
    ck_assert(lab_is_gone(host.pid));
    ck_assert(lab_is_gone(command));
    ck_assert(lab_is_gone(daemon));
}
END_TEST

START_TEST(what_a_host_forks_is_gone_before_the_host_is_reported)
{
    struct lab_host other;
    pid_t child = (pid_t)lab_errand(&host, LAB_CHILD);
    pid_t daemon = (pid_t)lab_errand(&host, LAB_DAEMON);
    pid_t spared;

    lab_host(&other);
    spared = (pid_t)lab_errand(&other, LAB_DAEMON);
    lab_host_raise(&host, SIGKILL);
    lab_host_gone(&host);
    ck_assert(lab_is_gone(child));
    ck_assert(lab_is_gone(daemon));
    ck_assert(!lab_is_gone(spared));
    ck_assert_int_eq(launcher_kill_host(&lab_launcher, other.id, SIGTERM, NULL), TRI_OK);
    lab_host_gone(&other);
    ck_assert(lab_is_gone(spared));
    lab_host_close(&other);
}
END_TEST

/* ---- the ends of launcher and session ------------------------------------------------------- */

START_TEST(signals_do_nothing_to_the_launcher)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };
    struct lab_result result;

    for (size_t i = 0; i < TRI_COUNT_OF(signals); i++)
        kill(lab_launcher.pid, signals[i]);
    result = lab_sh(&host, "echo alive");
    ck_assert_str_eq(result.output, "alive\n");
    lab_result_deinit(&result);
}
END_TEST

/* A command that is not a child of its host any more, and a host of each kind. */
struct zoo {
    pid_t launcher, zygote, forked, spawned, command, daemon;
};

static struct zoo fill_zoo(void)
{
    static struct lab_host spawned;
    struct zoo zoo = { .launcher = lab_launcher.pid,
                       .zygote = lab_parent_of(host.pid),
                       .forked = host.pid };

    lab_host_start(&spawned, true, "");
    lab_host_up(&spawned);
    zoo.spawned = spawned.pid;
    lab_run_sh(&host, 1, "echo $$ > $FIFO; while :; do sleep 1000; done");
    zoo.command = lab_hear();
    lab_run_sh(&spawned, 2, "setsid sh -c 'echo $$ > $FIFO; exec sleep 1000' & wait");
    zoo.daemon = lab_hear();
    return zoo;
}

static void expect_empty_zoo(const struct zoo *zoo)
{
    ck_assert(lab_is_gone(zoo->launcher));
    ck_assert(lab_is_gone(zoo->zygote));
    ck_assert(lab_is_gone(zoo->forked));
    ck_assert(lab_is_gone(zoo->spawned));
    ck_assert(lab_is_gone(zoo->command));
    ck_assert(lab_is_gone(zoo->daemon));
}

START_TEST(closing_a_launcher_leaves_nothing)
{
    struct zoo zoo = fill_zoo();

    launcher_close(&lab_launcher);
    expect_empty_zoo(&zoo);
}
END_TEST

START_TEST(zygotes_hosts_and_commands_end_with_their_launcher)
{
    struct zoo zoo = fill_zoo();
    int wait_status;

    kill(lab_launcher.pid, SIGKILL);
    ck_assert_int_eq(waitpid(zoo.launcher, NULL, 0), zoo.launcher);
    /* By the end of their links or by the kernel, whichever is first. */
    ck_assert_int_eq(waitpid(zoo.zygote, NULL, 0), zoo.zygote);
    /* Its zygote may have seen its end, and then no trace is left for us. */
    if (waitpid(zoo.forked, NULL, 0) != zoo.forked)
        ck_assert(lab_is_gone(zoo.forked));
    ck_assert_int_eq(waitpid(zoo.spawned, NULL, 0), zoo.spawned);
    ck_assert_int_eq(waitpid(zoo.command, &wait_status, 0), zoo.command);
    ck_assert_int_eq(wait_status, SIGKILL);
}
END_TEST

START_TEST(after_the_launcher_was_killed_bury_leaves_nothing_and_another_can_be_opened)
{
    struct zoo zoo = fill_zoo();
    struct launcher_options options = { .program = NULL };
    struct link_message message;
    struct tri_error error;

    kill(lab_launcher.pid, SIGKILL);
    ck_assert_int_eq(link_receive(&lab_launcher.link, true, &message, &error), TRI_CLOSED);
    launcher_bury();
    expect_empty_zoo(&zoo);
    launcher_close(&lab_launcher);
    ck_assert_int_eq(launcher_open(&lab_launcher, &options, &error), TRI_OK);
    lab_host_close(&host);
    lab_host(&host);
}
END_TEST

/* The test plays the session's own subreaper: what the launcher leaves would come to it. */
START_TEST(a_session_that_is_killed_leaves_nothing)
{
    struct zoo zoo;
    int fds[2];
    pid_t session;
    siginfo_t info;

    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    ck_assert_int_eq(pipe(fds), 0);
    session = fork();
    if (session == 0) {
        setup();
        zoo = fill_zoo();
        _exit(write(fds[1], &zoo, sizeof(zoo)) == sizeof(zoo) && pause());
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &zoo, sizeof(zoo)), sizeof(zoo));
    kill(session, SIGKILL);
    ck_assert_int_eq(waitpid(session, NULL, 0), session);
    ck_assert_int_eq(waitpid(zoo.launcher, NULL, 0), zoo.launcher);
    expect_empty_zoo(&zoo);
    ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), -1); /* no child at all */
}
END_TEST

START_TEST(a_worker_inside_a_command_keeps_the_name_of_the_tree_around_it)
{
    struct lab_result result;

    launcher_close(&lab_launcher);
    setenv("TRIREME_TREE", "1.2.3", 1);
    ck_assert_int_eq(launcher_open(&lab_launcher, &(struct launcher_options){ NULL, false }, NULL),
                     TRI_OK);
    lab_host_close(&host);
    lab_host(&host);
    result = lab_sh(&host, "echo $TRIREME_TREE");
    ck_assert_int_eq(strncmp(result.output, "1.2.3:", 6), 0);
    lab_result_deinit(&result);
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("trees");
    TCase *alone = tcase_create("alone");
    Suite *suite = suite_create("trees");
    SRunner *runner;
    int failed;

    launcher_take_role(argc, argv);
    lab_folder_for(tcase);
    lab_folder_for(alone);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_command_ends_when_it_ends_although_a_child_holds_its_pipe);
    tcase_add_test(tcase, a_child_that_goes_on_writing_does_not_hold_its_command);
    tcase_add_test(tcase, a_daemon_in_its_own_session_ends_with_its_command);
    tcase_add_test(tcase, a_daemon_without_session_group_or_environment_ends_with_its_command);
    tcase_add_test(tcase, a_daemon_that_ignores_signals_ends_with_its_command);
    tcase_add_test(tcase, a_whole_tree_of_daemons_ends_with_its_command);
    tcase_add_test(tcase, a_daemon_of_a_running_command_is_left_alone_until_that_command_ends);
    tcase_add_test(tcase,
                   a_daemon_that_nobody_can_be_found_for_ends_with_the_last_command_older_than_it);
    tcase_add_test(tcase, stop_ends_the_daemons_of_a_command_too);
    tcase_add_test(tcase, the_commands_of_a_host_that_dies_are_gone_before_it_is_reported);
    tcase_add_test(tcase, what_a_host_forks_is_gone_before_the_host_is_reported);
    tcase_add_test(tcase, signals_do_nothing_to_the_launcher);
    tcase_add_test(tcase, closing_a_launcher_leaves_nothing);
    tcase_add_test(tcase, a_child_without_environment_is_known_by_its_group);
    tcase_add_test(tcase, a_daemon_in_its_own_session_is_known_by_its_environment);
    tcase_add_test(tcase, zygotes_hosts_and_commands_end_with_their_launcher);
    tcase_add_test(tcase,
                   after_the_launcher_was_killed_bury_leaves_nothing_and_another_can_be_opened);
    tcase_add_test(tcase, a_worker_inside_a_command_keeps_the_name_of_the_tree_around_it);
    tcase_add_test(alone, a_session_that_is_killed_leaves_nothing);
    tcase_set_timeout(tcase, 30);
    tcase_set_timeout(alone, 30);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, alone);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
