/* Commands of tasks: here the test is the launcher. */
#include "fake_session.h"
#include "oars_cases.h"

#include <stdio.h>

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

    fake_open_items(&fake, "command.run", 1, 0, 3);
    fake_lease_texts(&fake, texts, 3);
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
    fake_expect_text(&fake, 0, "exit 0 signal 0: said, warning");
    fake_expect_text(&fake, 1, "exit -1 signal 9: said, warning");
    fake_expect_text(&fake, 2, "exit 2 signal 0: said, warning");
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
    fake_open_items(&fake, "command.run", 8, 0, 8);
    fake_lease_texts(&fake, texts, 8);
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
        fake_expect_text(&fake, i, expected);
    }
    fake_close(&fake);
}
END_TEST

START_TEST(a_command_that_cannot_start_fails_its_task)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "x" };

    fake_open_items(&fake, "command.run", 1, 0, 1);
    fake_lease_texts(&fake, texts, 1);
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

    fake_open_items(&fake, "command.run", 1, 700, 2);
    fake_lease_texts(&fake, texts, 2);
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
    fake_expect_text(&fake, 1, "exit -1 signal 15: , warning");
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
}
END_TEST

START_TEST(commands_fail_when_the_launcher_is_gone)
{
    struct fake fake;
    struct link_message received;
    const char *texts[] = { "x", "y" };

    fake_open_items(&fake, "command.run", 1, 0, 2);
    fake_lease_texts(&fake, texts, 2);
    expect_run(&fake, &received);
    link_deinit(&fake.command);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_FAILED);
    ck_assert_uint_eq(fake.accounts[1].outcome, TRI_OUTCOME_FAILED);
    fake_close(&fake);
}
END_TEST

TCase *commands_case(void)
{
    TCase *tcase = tcase_create("commands");

    tcase_add_test(tcase, a_command_is_run_by_the_launcher);
    tcase_add_test(tcase, commands_may_end_in_any_order);
    tcase_add_test(tcase, a_command_that_cannot_start_fails_its_task);
    tcase_add_test(tcase, a_command_past_the_timeout_is_stopped);
    tcase_add_test(tcase, commands_fail_when_the_launcher_is_gone);
    return tcase;
}
