/* Commands as a host asks for them: RUN and STOP in, RAN out. */
#include "lab.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

static void expect_exit(const struct lab_result *result, int code)
{
    ck_assert_msg(result->status == TRI_OK, "%s", result->text);
    ck_assert(WIFEXITED(result->wait_status));
    ck_assert_int_eq(WEXITSTATUS(result->wait_status), code);
}

START_TEST(a_command_gives_its_output_its_errors_and_its_exit_code)
{
    struct lab_result result = lab_sh(&host, "echo out; echo err >&2; exit 3");

    expect_exit(&result, 3);
    ck_assert_str_eq(result.output, "out\n");
    ck_assert_str_eq(result.error, "err\n");
    ck_assert(!result.truncated);
    ck_assert_uint_gt(result.wall_us, 0);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_command_that_a_signal_ends_says_which)
{
    struct lab_result result = lab_sh(&host, "kill -SEGV $$");

    ck_assert_uint_eq(result.status, TRI_OK);
    ck_assert(WIFSIGNALED(result.wait_status));
    ck_assert_int_eq(WTERMSIG(result.wait_status), SIGSEGV);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(the_cpu_time_of_a_command_is_exact_and_includes_its_children)
{
    struct lab_result result =
        lab_sh(&host, "(i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done)");

    expect_exit(&result, 0);
    ck_assert_uint_gt(result.cpu_us, 5000);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_named)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .id = 5, .argv = LAB_ARGV("no-such-program", "x") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.id, 5);
    ck_assert_uint_eq(result.status, TRI_FAILED);
    ck_assert_str_eq(result.text, "cannot run \"no-such-program\": No such file or directory");
}
END_TEST

START_TEST(a_file_that_may_not_be_run_is_named)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("/etc/passwd") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_FAILED);
    ck_assert_str_eq(result.text, "cannot run \"/etc/passwd\": Permission denied");
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_named)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("true"), .workdir = "/no/such/place" });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_FAILED);
    ck_assert_str_eq(result.text,
                     "cannot change to directory \"/no/such/place\": No such file or directory");
}
END_TEST

START_TEST(no_words_and_bad_variables_are_refused_by_name)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = (const char *const[]){ NULL } });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_FAILED);
    ck_assert_str_eq(result.text, "a command without words");
    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("true"), .env = LAB_ARGV("A=1", "oops") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_FAILED);
    ck_assert_str_eq(result.text, "environment: \"oops\" is not NAME=VALUE");
}
END_TEST

START_TEST(a_command_runs_in_its_directory_with_its_environment_on_top_of_the_workers)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){
                       .argv = LAB_ARGV("sh", "-c", "pwd; echo $COLOUR $LAB_INHERITED $HOME"),
                       .env = LAB_ARGV("COLOUR=red", "HOME=/nowhere", "COLOUR=blue"),
                       .workdir = "/usr" });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_str_eq(result.output, "/usr\nblue inherited /nowhere\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_program_is_looked_up_in_the_path_the_command_is_given)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("sh", "-c", "echo found"),
                                      .env = LAB_ARGV("PATH=/nowhere:/bin") });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_str_eq(result.output, "found\n");
    lab_result_deinit(&result);
    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("sh"), .env = LAB_ARGV("PATH=/nowhere") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_FAILED);
}
END_TEST

START_TEST(a_command_starts_with_default_signals_an_empty_mask_and_three_descriptors)
{
    /* The first 28 signals: posix_spawn ignores two that belong to the C library. */
    struct lab_result result =
        lab_sh(&host, "sed -n 's/^Sig\\(Blk\\|Ign\\):.*\\(.......\\)$/\\1 \\2/p' /proc/self/status;"
                      "ls /proc/self/fd | wc -l; readlink /proc/self/fd/0");

    expect_exit(&result, 0);
    /* ls has one more, for the directory. */
    ck_assert_str_eq(result.output, "Blk 0000000\nIgn 0000000\n4\n/dev/null\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_command_leads_a_process_group_of_its_own)
{
    struct lab_result result =
        lab_sh(&host, "read pid name state parent group rest < /proc/self/stat;"
                      "test $$ = $group && test $$ = $pid");

    expect_exit(&result, 0);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(output_up_to_the_limit_is_kept_whole)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("sh", "-c", "printf 12345678"),
                                      .output_bytes_max = 8 });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_str_eq(result.output, "12345678");
    ck_assert(!result.truncated);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(output_over_the_limit_is_cut_marked_and_drained)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("sh", "-c",
                                                       "head -c 3000000 /dev/zero | tr '\\0' x;"
                                                       "echo end >&2"),
                                      .output_bytes_max = 100000 });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_uint_eq(result.output_size, 100000);
    ck_assert_str_eq(result.error, "end\n");
    ck_assert(result.truncated);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(ten_megabytes_go_through_a_command_and_come_back)
{
    size_t size = 10 << 20;
    uint8_t *data = malloc(size);
    struct lab_result result;

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("cat"), .input = { data, size } });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_uint_eq(result.output_size, size);
    ck_assert_int_eq(memcmp(result.output, data, size), 0);
    lab_result_deinit(&result);
    free(data);
}
END_TEST

START_TEST(a_command_that_does_not_read_its_input_ends_all_the_same)
{
    size_t size = 10 << 20;
    uint8_t *data = calloc(1, size);
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("true"), .input = { data, size } });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    lab_result_deinit(&result);
    /* While one does not read, others are served. */
    lab_run(&host, &(struct lab_run){
                       .id = 1, .argv = LAB_ARGV("sleep", "1000"), .input = { data, size } });
    result = lab_sh(&host, "echo meanwhile");
    ck_assert_str_eq(result.output, "meanwhile\n");
    lab_result_deinit(&result);
    lab_stop(&host, 1, 0);
    result = lab_ran(&host);
    ck_assert_uint_eq(result.id, 1);
    lab_result_deinit(&result);
    free(data);
}
END_TEST

START_TEST(a_command_that_closes_its_input_early_is_not_harmed)
{
    size_t size = 1 << 20;
    uint8_t *data = calloc(1, size);
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .argv = LAB_ARGV("sh", "-c", "exec <&-; sleep 0.01; echo ok"),
                                      .input = { data, size } });
    result = lab_ran(&host);
    expect_exit(&result, 0);
    ck_assert_str_eq(result.output, "ok\n");
    lab_result_deinit(&result);
    free(data);
}
END_TEST

START_TEST(a_command_that_closes_its_output_goes_on)
{
    struct lab_result result = lab_sh(&host, "exec >&-; exec 2>&-; exit 4");

    expect_exit(&result, 4);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(stop_ends_a_command_by_term)
{
    struct lab_result result;

    lab_run_sh(&host, 9,
               "trap 'echo bye; exit 5' TERM; echo $$ > $FIFO; while :; do sleep 0.01; done");
    lab_hear();
    lab_stop(&host, 9, 20000);
    result = lab_ran(&host);
    expect_exit(&result, 5);
    ck_assert_str_eq(result.output, "bye\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(stop_kills_a_command_that_ignores_term_when_the_grace_is_over)
{
    struct lab_result result;

    lab_run_sh(&host, 9, "trap '' TERM; echo $$ > $FIFO; while :; do sleep 1000; done");
    lab_hear();
    lab_stop(&host, 9, 50);
    result = lab_ran(&host);
    ck_assert(WIFSIGNALED(result.wait_status));
    ck_assert_int_eq(WTERMSIG(result.wait_status), SIGKILL);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(stop_of_a_command_that_has_ended_does_nothing)
{
    struct lab_result result = lab_sh(&host, "exit 0");

    lab_result_deinit(&result);
    lab_stop(&host, 7777, 0);
    lab_stop(&host, 123456, 0);
    result = lab_sh(&host, "echo alive");
    ck_assert_str_eq(result.output, "alive\n");
    lab_result_deinit(&result);
}
END_TEST

START_TEST(a_second_command_of_the_same_id_is_refused)
{
    struct lab_result result;

    lab_run(&host, &(struct lab_run){ .id = 1, .argv = LAB_ARGV("sleep", "1000") });
    lab_run(&host, &(struct lab_run){ .id = 1, .argv = LAB_ARGV("true") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.status, TRI_CONFLICT);
}
END_TEST

START_TEST(two_hundred_commands_run_at_once)
{
    enum { COUNT = 200 };
    bool seen[COUNT] = { false };

    for (uint64_t i = 0; i < COUNT; i++)
        lab_run(&host, &(struct lab_run){ .id = i, .argv = LAB_ARGV("sleep", "1000") });
    for (uint64_t i = 0; i < COUNT; i++)
        lab_stop(&host, i, 0);
    for (int i = 0; i < COUNT; i++) {
        struct lab_result result = lab_ran(&host);

        ck_assert_uint_eq(result.status, TRI_OK);
        ck_assert(WIFSIGNALED(result.wait_status));
        ck_assert_uint_lt(result.id, COUNT);
        ck_assert(!seen[result.id]);
        seen[result.id] = true;
        lab_result_deinit(&result);
    }
}
END_TEST

START_TEST(commands_leak_no_descriptors)
{
    size_t launcher_before = lab_fd_count(lab_launcher.pid);
    uint64_t host_before = lab_errand(&host, LAB_FDS);
    struct lab_result result;
    uint8_t input[100000] = { 0 };

    for (uint64_t i = 0; i < 30; i++) {
        lab_run(&host, &(struct lab_run){ .id = 3 * i,
                                          .argv = LAB_ARGV("cat"),
                                          .input = { input, sizeof(input) } });
        lab_run(&host, &(struct lab_run){ .id = 3 * i + 1,
                                          .argv = LAB_ARGV("no-such-program"),
                                          .input = { input, 1 } });
        lab_run(&host, &(struct lab_run){ .id = 3 * i + 2,
                                          .argv = LAB_ARGV("true"),
                                          .input = { input, sizeof(input) } });
        for (int j = 0; j < 3; j++) {
            result = lab_ran(&host);
            lab_result_deinit(&result);
        }
    }
    ck_assert_uint_eq(lab_fd_count(lab_launcher.pid), launcher_before);
    ck_assert_uint_eq(lab_errand(&host, LAB_FDS), host_before);
}
END_TEST

START_TEST(a_command_may_open_as_many_files_as_the_worker_was_given)
{
    char expected[32];
    struct rlimit limit;
    struct lab_result result = lab_sh(&host, "ulimit -Sn");

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    snprintf(expected, sizeof(expected), "%ju\n", (uintmax_t)limit.rlim_cur);
    ck_assert_str_eq(result.output, expected);
    lab_result_deinit(&result);
}
END_TEST

START_TEST(commands_beyond_the_limit_of_open_files_are_refused_and_hosts_still_start)
{
    struct rlimit few = { 160, 160 };
    struct lab_host other;
    int refused = 0;

    teardown();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    setup();
    for (uint64_t i = 0; i < 60; i++)
        lab_run(&host, &(struct lab_run){ .id = i, .argv = LAB_ARGV("sleep", "1000") });
    lab_host(&other);
    lab_host_close(&other);
    for (uint64_t i = 0; i < 60; i++)
        lab_stop(&host, i, 0);
    for (int i = 0; i < 60; i++) {
        struct lab_result result = lab_ran(&host);

        if (result.status != TRI_OK) {
            ck_assert_uint_eq(result.status, TRI_SYSTEM);
            ck_assert_str_eq(result.text, "cannot open pipes: Too many open files");
            refused++;
        }
        lab_result_deinit(&result);
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, 60);
}
END_TEST

/* A file with a write lease (fcntl(2)) can be opened, by exec too, only when the lease is given up:
 * the kernel asks for that by SIGIO, and waits. */
START_TEST(a_command_that_is_held_up_inside_exec_holds_up_no_other)
{
    char file[] = "/tmp/trireme-leased-XXXXXX";
    int made = mkostemp(file, O_CLOEXEC);
    sigset_t asked;
    int fd;
    struct lab_result result;

    sigemptyset(&asked);
    sigaddset(&asked, SIGIO);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    ck_assert_int_ge(made, 0);
    ck_assert_int_eq((int)write(made, "#!/bin/sh\necho late\n", 20), 20);
    ck_assert_int_eq(fchmod(made, 0700), 0);
    close(made);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    lab_run(&host, &(struct lab_run){ .id = 1, .argv = (const char *const[]){ file, NULL } });
    ck_assert_int_eq(sigwaitinfo(&asked, NULL), SIGIO);
    lab_run(&host, &(struct lab_run){ .id = 2, .argv = LAB_ARGV("true") });
    result = lab_ran(&host);
    ck_assert_uint_eq(result.id, 2);
    expect_exit(&result, 0);
    lab_result_deinit(&result);
    ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    result = lab_ran(&host);
    ck_assert_uint_eq(result.id, 1);
    expect_exit(&result, 0);
    ck_assert_str_eq(result.output, "late\n");
    lab_result_deinit(&result);
    close(fd);
    unlink(file);
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("commands");

    launcher_take_role(argc, argv);
    setenv("LAB_INHERITED", "inherited", 1);
    signal(SIGHUP, SIG_IGN); /* as under nohup */
    lab_folder_for(tcase);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_command_gives_its_output_its_errors_and_its_exit_code);
    tcase_add_test(tcase, a_command_that_a_signal_ends_says_which);
    tcase_add_test(tcase, the_cpu_time_of_a_command_is_exact_and_includes_its_children);
    tcase_add_test(tcase, a_program_that_is_not_there_is_named);
    tcase_add_test(tcase, a_file_that_may_not_be_run_is_named);
    tcase_add_test(tcase, a_directory_that_is_not_there_is_named);
    tcase_add_test(tcase, no_words_and_bad_variables_are_refused_by_name);
    tcase_add_test(tcase,
                   a_command_runs_in_its_directory_with_its_environment_on_top_of_the_workers);
    tcase_add_test(tcase, a_program_is_looked_up_in_the_path_the_command_is_given);
    tcase_add_test(tcase,
                   a_command_starts_with_default_signals_an_empty_mask_and_three_descriptors);
    tcase_add_test(tcase, a_command_leads_a_process_group_of_its_own);
    tcase_add_test(tcase, output_up_to_the_limit_is_kept_whole);
    tcase_add_test(tcase, output_over_the_limit_is_cut_marked_and_drained);
    tcase_add_test(tcase, ten_megabytes_go_through_a_command_and_come_back);
    tcase_add_test(tcase, a_command_that_does_not_read_its_input_ends_all_the_same);
    tcase_add_test(tcase, a_command_that_closes_its_input_early_is_not_harmed);
    tcase_add_test(tcase, a_command_that_closes_its_output_goes_on);
    tcase_add_test(tcase, stop_ends_a_command_by_term);
    tcase_add_test(tcase, stop_kills_a_command_that_ignores_term_when_the_grace_is_over);
    tcase_add_test(tcase, stop_of_a_command_that_has_ended_does_nothing);
    tcase_add_test(tcase, a_second_command_of_the_same_id_is_refused);
    tcase_add_test(tcase, two_hundred_commands_run_at_once);
    tcase_add_test(tcase, a_command_that_is_held_up_inside_exec_holds_up_no_other);
    tcase_add_test(tcase, commands_leak_no_descriptors);
    tcase_add_test(tcase, a_command_may_open_as_many_files_as_the_worker_was_given);
    tcase_add_test(tcase,
                   commands_beyond_the_limit_of_open_files_are_refused_and_hosts_still_start);
    return unit_run("commands", tcase);
}
