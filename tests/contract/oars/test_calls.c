/* What tasks ask of others: files, HTTP, commands, work beside the loop. */
#include "fake_session.h"
#include "oars_cases.h"
#include "web.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_items(
    struct fake *fake, const char *handler, unsigned width, uint64_t timeout_ms, uint64_t count)
{
    fake_open(fake,
              &(struct fake_options){ .handler = handler,
                                      .width = width,
                                      .source = TRI_SOURCE_ITEMS,
                                      .timeout_ms = timeout_ms },
              count);
}

static void lease_texts(struct fake *fake, const char *const *texts, uint64_t count)
{
    struct tri_value values[64];

    for (uint64_t i = 0; i < count; i++)
        values[i] = tri_value_string(texts[i], strlen(texts[i]));
    fake_lease_items(fake, 0, values, count, 0);
}

static void expect_text(const struct fake *fake, uint64_t index, const char *text)
{
    struct tri_value value = fake_value(fake, index);

    ck_assert_int_eq(value.type, TRI_STRING);
    ck_assert_uint_eq(value.bytes.size, strlen(text));
    ck_assert_mem_eq(value.bytes.data, text, value.bytes.size);
}

/* ---- files ---------------------------------------------------------------------------------- */

static char directory[] = "/tmp/oars-XXXXXX";
static char path[64];

static void make_directory(void)
{
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);
}

static void remove_directory(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left in it */
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_file_is_read_whole)
{
    struct fake fake;
    const char *texts[] = { path, "/nonesuch/file", directory, "/dev/null" };

    make_directory();
    write_file("first\nsecond\n");
    open_items(&fake, "cat", 3, 0, 4);
    lease_texts(&fake, texts, 4);
    fake_finish(&fake);
    expect_text(&fake, 0, "first\nsecond\n");
    fake_expect_ended(&fake, 1, TRI_OUTCOME_FAILED,
                      "cannot read /nonesuch/file: No such file or directory");
    ck_assert_int_eq(fake.accounts[2].fate, FATE_ENDED);
    expect_text(&fake, 3, "");
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_file_is_replaced_as_a_whole)
{
    struct fake fake;
    struct stat about;
    const char *texts[] = { path };
    char content[16] = { 0 };
    FILE *file;

    make_directory();
    write_file("something longer than before");
    ck_assert_int_eq(chmod(path, 0640), 0);
    open_items(&fake, "put", 1, 0, 1);
    lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    file = fopen(path, "r");
    ck_assert_uint_eq(fread(content, 1, sizeof(content), file), 3);
    fclose(file);
    ck_assert_str_eq(content, "new");
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0640);
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_file_in_no_directory_is_not_written)
{
    struct fake fake;
    const char *texts[] = { "/nonesuch/file" };

    open_items(&fake, "put", 1, 0, 1);
    lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    fake_expect_ended(&fake, 0, TRI_OUTCOME_FAILED,
                      "cannot write /nonesuch/file: No such file or directory");
    fake_close(&fake);
}
END_TEST

START_TEST(a_fifo_is_read_to_its_end)
{
    struct fake fake;
    const char *texts[] = { path };
    FILE *file;

    make_directory();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    open_items(&fake, "cat", 1, 0, 1);
    lease_texts(&fake, texts, 1);
    file = fopen(path, "w"); /* returns once the task has it open */
    fputs("through the pipe", file);
    fclose(file);
    fake_finish(&fake);
    expect_text(&fake, 0, "through the pipe");
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_task_that_reads_a_silent_fifo_ends_at_its_timeout)
{
    struct fake fake;
    const char *texts[] = { path };

    make_directory();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    open_items(&fake, "cat", 1, 100, 1);
    lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    fake_close(&fake);
    remove_directory();
}
END_TEST

/* ---- beside the loop ------------------------------------------------------------------------ */

START_TEST(work_beside_the_loop_comes_back_to_its_task)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "offload", .width = 20 }, 200);
    fake_lease(&fake, 0, 200);
    fake_finish(&fake);
    for (int64_t i = 0; i < 200; i++)
        ck_assert_int_eq(fake_integer(&fake, (uint64_t)i), i + 1000);
    fake_close(&fake);
}
END_TEST

START_TEST(a_descriptor_that_stays_silent_times_out)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "wait.50", .width = 3 }, 3);
    fake_lease(&fake, 0, 3);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_int_eq(fake_integer(&fake, i), TRI_TIMEOUT);
    fake_close(&fake);
}
END_TEST

/* ---- HTTP ----------------------------------------------------------------------------------- */

START_TEST(a_url_is_fetched)
{
    struct fake fake;
    struct web web;
    const char *texts[40];

    setenv("TRIREME_ALLOW_ALL", "1", 1);
    open_items(&fake, "get", 20, 0, 40);
    web_open(&web);
    for (int i = 0; i < 40; i++)
        texts[i] = web_url(&web, i % 4 == 0 ? "/missing" : i % 4 == 1 ? "/to/hello" : "/hello");
    lease_texts(&fake, texts, 40);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 40; i++)
        expect_text(&fake, i, i % 4 == 0 ? "404 nothing here" : "200 hello");
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_redirect_to_what_is_not_allowed_fails)
{
    struct fake fake;
    struct web web;
    const char *texts[2];

    unsetenv("TRIREME_ALLOW_ALL");
    setenv("TRIREME_ALLOW_HTTP", "example.invalid", 1);
    open_items(&fake, "get", 2, 0, 2);
    web_open(&web);
    texts[0] = web_url(&web, "/to/hello");
    texts[1] = web_url(&web, "/to/to/to/to/to/to/to/to/to/to/to/hello");
    lease_texts(&fake, texts, 2);
    fake_finish(&fake);
    ck_assert_int_eq(fake.accounts[0].fate, FATE_ENDED);
    ck_assert_ptr_nonnull(strstr(fake.accounts[0].error, "redirected: "));
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_redirect_without_end_fails)
{
    struct fake fake;
    struct web web;
    const char *texts[1];

    setenv("TRIREME_ALLOW_ALL", "1", 1);
    open_items(&fake, "get", 2, 0, 1);
    web_open(&web);
    texts[0] = web_url(&web, "/to/to/to/to/to/to/to/to/to/to/to/to/hello");
    lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_ptr_nonnull(strstr(fake.accounts[0].error, "redirected more than 10 times"));
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_server_that_is_not_there_fails_the_task)
{
    struct fake fake;
    const char *texts[] = { "http://127.0.0.1:1/", "gopher://127.0.0.1/", "" };

    open_items(&fake, "get", 2, 0, 3);
    lease_texts(&fake, texts, 3);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(fake.accounts[i].outcome, TRI_OUTCOME_FAILED);
    fake_close(&fake);
}
END_TEST

START_TEST(a_response_over_the_cap_is_too_large)
{
    struct fake fake;
    struct web web;
    const char *texts[1];

    open_items(&fake, "get", 1, 0, 1);
    web_open(&web);
    texts[0] = web_url(&web, "/large");
    lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TOO_LARGE);
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_server_that_says_nothing_does_not_outlast_the_timeout)
{
    struct fake fake;
    struct web web;
    const char *texts[3];

    open_items(&fake, "get", 3, 200, 3);
    web_open(&web);
    texts[0] = web_url(&web, "/silence");
    texts[1] = web_url(&web, "/hello");
    texts[2] = web_url(&web, "/silence");
    lease_texts(&fake, texts, 3);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    expect_text(&fake, 1, "200 hello");
    ck_assert_uint_eq(fake.accounts[2].outcome, TRI_OUTCOME_TIMEOUT);
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
    web_close(&web);
}
END_TEST

/* ---- commands: the test is the launcher ------------------------------------------------------ */

static void expect_run(struct fake *fake, struct link_message *received)
{
    struct tri_error error;

    ck_assert_msg(link_receive(&fake->command, true, received, &error) == TRI_OK, "%s", error.text);
    ck_assert_int_eq(received->message.type, TRI_MESSAGE_RUN);
}

static void say_ran(struct fake *fake, const struct tri_msg_ran *ran, const char *output)
{
    struct tri_message message = { .type = TRI_MESSAGE_RAN, .ran = *ran };
    struct tri_bytes frames[2] = { tri_bytes_of(output), tri_bytes_of("warning") };

    ck_assert_int_eq(link_send(&fake->command, &message, frames, 2, NULL, 0, NULL), TRI_OK);
}

static const char *argument_of(struct tri_list argv)
{
    static char text[64];
    struct tri_rec_text record;

    ck_assert_uint_eq(argv.count, 2);
    ck_assert(tri_list_next(&argv, TRI_RECORD_TEXT, &record));
    ck_assert(tri_list_next(&argv, TRI_RECORD_TEXT, &record));
    snprintf(text, sizeof(text), "%.*s", (int)record.text.size, (const char *)record.text.data);
    return text;
}

START_TEST(a_command_is_run_by_the_launcher)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "one", "two", "three" };

    open_items(&fake, "command.run", 1, 0, 3);
    lease_texts(&fake, texts, 3);
    for (int i = 0; i < 3; i++) {
        expect_run(&fake, &received);
        ck_assert_str_eq(argument_of(received.message.run.argv), texts[i]);
        ck_assert_uint_eq(received.message.run.output_bytes_max, 1000);
        ck_assert_uint_eq(received.frame_count, 1);
        ck_assert_mem_eq(received.frames[0].data, "input", 5);
        say_ran(&fake,
                &(struct tri_msg_ran){ .id = received.message.run.id,
                                       .wait_status = i == 1 ? 9 : (uint64_t)i << 8,
                                       .cpu_us = 5000000 },
                "said");
    }
    fake_finish(&fake);
    expect_text(&fake, 0, "exit 0 signal 0: said, warning");
    expect_text(&fake, 1, "exit -1 signal 9: said, warning");
    expect_text(&fake, 2, "exit 2 signal 0: said, warning");
    ck_assert_uint_eq(fake.task_times, 3);
    fake_close(&fake);
}
END_TEST

START_TEST(commands_may_end_in_any_order)
{
    struct fake fake;
    struct link_message received;
    uint64_t ids[8];
    char names[8][16];
    const char *texts[] = { "0", "1", "2", "3", "4", "5", "6", "7" };

    if (model_under_test == TRI_MODEL_PROCESS)
        return;
    open_items(&fake, "command.run", 8, 0, 8);
    lease_texts(&fake, texts, 8);
    for (int i = 0; i < 8; i++) {
        expect_run(&fake, &received);
        ids[i] = received.message.run.id;
        snprintf(names[i], sizeof(names[i]), "%s", argument_of(received.message.run.argv));
    }
    for (int i = 7; i >= 0; i--)
        say_ran(&fake, &(struct tri_msg_ran){ .id = ids[i] }, names[i]);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 8; i++) {
        char expected[64];

        snprintf(expected, sizeof(expected), "exit 0 signal 0: %s, warning", texts[i]);
        expect_text(&fake, i, expected);
    }
    fake_close(&fake);
}
END_TEST

START_TEST(a_command_that_cannot_start_fails_its_task)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "x" };

    open_items(&fake, "command.run", 1, 0, 1);
    lease_texts(&fake, texts, 1);
    expect_run(&fake, &received);
    say_ran(&fake,
            &(struct tri_msg_ran){ .id = received.message.run.id,
                                   .status = TRI_FAILED,
                                   .text = tri_bytes_of("cannot run \"say\": not there") },
            "");
    fake_finish(&fake);
    fake_expect_ended(&fake, 0, TRI_OUTCOME_FAILED, "cannot run \"say\": not there");
    fake_close(&fake);
}
END_TEST

START_TEST(a_command_past_the_timeout_is_stopped)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "slow", "quick" };
    uint64_t slow;

    open_items(&fake, "command.run", 1, 100, 2);
    lease_texts(&fake, texts, 2);
    expect_run(&fake, &received);
    slow = received.message.run.id;
    fake_wait_for(&fake, 0, 1);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    for (int i = 0; i < 2; i++) {
        uint64_t id;

        ck_assert_int_eq(link_receive(&fake.command, true, &received, NULL), TRI_OK);
        if (received.message.type == TRI_MESSAGE_STOP) {
            ck_assert_uint_eq(received.message.stop.id, slow);
            id = slow;
        } else {
            ck_assert_int_eq(received.message.type, TRI_MESSAGE_RUN);
            id = received.message.run.id;
        }
        say_ran(&fake, &(struct tri_msg_ran){ .id = id, .wait_status = 15 }, "");
    }
    fake_finish(&fake);
    expect_text(&fake, 1, "exit -1 signal 15: , warning");
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
}
END_TEST

START_TEST(commands_fail_when_the_launcher_is_gone)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "x", "y" };

    open_items(&fake, "command.run", 1, 0, 2);
    lease_texts(&fake, texts, 2);
    expect_run(&fake, &received);
    link_deinit(&fake.command);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_FAILED);
    ck_assert_uint_eq(fake.accounts[1].outcome, TRI_OUTCOME_FAILED);
    fake_close(&fake);
}
END_TEST

TCase *calls_case(void)
{
    TCase *tcase = tcase_create("calls");

    tcase_add_test(tcase, a_file_is_read_whole);
    tcase_add_test(tcase, a_file_is_replaced_as_a_whole);
    tcase_add_test(tcase, a_file_in_no_directory_is_not_written);
    tcase_add_test(tcase, a_fifo_is_read_to_its_end);
    tcase_add_test(tcase, a_task_that_reads_a_silent_fifo_ends_at_its_timeout);
    tcase_add_test(tcase, work_beside_the_loop_comes_back_to_its_task);
    tcase_add_test(tcase, a_descriptor_that_stays_silent_times_out);
    tcase_add_test(tcase, a_url_is_fetched);
    tcase_add_test(tcase, a_redirect_to_what_is_not_allowed_fails);
    tcase_add_test(tcase, a_redirect_without_end_fails);
    tcase_add_test(tcase, a_server_that_is_not_there_fails_the_task);
    tcase_add_test(tcase, a_response_over_the_cap_is_too_large);
    tcase_add_test(tcase, a_server_that_says_nothing_does_not_outlast_the_timeout);
    tcase_add_test(tcase, a_command_is_run_by_the_launcher);
    tcase_add_test(tcase, commands_may_end_in_any_order);
    tcase_add_test(tcase, a_command_that_cannot_start_fails_its_task);
    tcase_add_test(tcase, a_command_past_the_timeout_is_stopped);
    tcase_add_test(tcase, commands_fail_when_the_launcher_is_gone);
    return tcase;
}
