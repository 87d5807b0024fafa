#include "fake_session.h"
#include "oars_cases.h"

#include <signal.h>
#include <sys/wait.h>

static bool many_oars(void)
{
    return model_under_test != TRI_MODEL_PROCESS;
}

START_TEST(a_slow_task_does_not_hold_back_what_is_finished)
{
    struct fake fake;

    /* Arguments 0 .. 9 and then -1: task 10 waits. */
    fake_open(&fake,
              &(struct fake_options){ .handler = "hold", .width = 2, .first = 9, .step = -1 },
              1000);
    fake_lease(&fake, 0, 11);
    fake_wait_for(&fake, 0, 10);
    fake_expect_begun(1);
    ck_assert_uint_eq(fake.open, 1);
    fake_let_go(1);
    fake_finish(&fake);
    ck_assert_int_eq(fake_integer(&fake, 10), -1);
    fake_close(&fake);
}
END_TEST

START_TEST(a_task_that_blocks_its_carrier_does_not_hold_back_what_is_finished)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "press", .width = 2, .first = 9, .step = -1 },
              1000);
    fake_lease(&fake, 0, 11);
    fake_wait_for(&fake, 0, 10);
    fake_expect_begun(1);
    fake_let_go(1);
    fake_finish(&fake);
    fake_close(&fake);
}
END_TEST

START_TEST(a_slow_task_does_not_hold_back_the_rest_of_its_run)
{
    struct fake fake;

    if (!many_oars())
        return;
    /* Task 500, somewhere in a long run of short ones, waits. */
    fake_open(&fake, &(struct fake_options){ .handler = "hold.500", .width = 2 }, 100000);
    fake_lease(&fake, 0, 100000);
    fake_wait_for(&fake, 0, 500);
    fake_wait_for(&fake, 501, 100000 - 501);
    fake_let_go(1);
    fake_finish(&fake);
    fake_close(&fake);
}
END_TEST

START_TEST(a_folded_result_does_not_wait_for_a_slow_task)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = "hold", .width = 2, .first = 9, .step = -1, .reducer = "sum" },
              11);
    fake_lease(&fake, 0, 11);
    fake_wait_for(&fake, 0, 10);
    fake_let_go(1);
    fake_finish(&fake);
    ck_assert_str_eq(fake_reduced(&fake), "44");
    fake_close(&fake);
}
END_TEST

START_TEST(all_oars_wait_at_the_same_time)
{
    struct fake fake;
    unsigned width = many_oars() ? 40 : 1;

    fake_open(&fake, &(struct fake_options){ .handler = "hold", .width = width, .first = -40 }, 40);
    fake_lease(&fake, 0, 40);
    fake_expect_begun(width);
    fake_let_go(40);
    fake_finish(&fake);
    fake_close(&fake);
}
END_TEST

START_TEST(a_lease_that_comes_while_others_wait_is_served)
{
    struct fake fake;

    if (!many_oars())
        return;
    fake_open(&fake, &(struct fake_options){ .handler = "hold", .width = 3, .first = -2 }, 10);
    fake_lease(&fake, 0, 2);
    fake_expect_begun(2);
    fake_lease(&fake, 2, 8);
    fake_wait_for(&fake, 2, 8);
    fake_let_go(2);
    fake_finish(&fake);
    fake_close(&fake);
}
END_TEST

START_TEST(a_sleeper_past_its_timeout_ends_alone)
{
    struct fake fake;

    /* Task 0 sleeps 0 s, task 1 sleeps an hour. */
    fake_open(
        &fake,
        &(struct fake_options){ .handler = "nap", .width = 2, .step = 3600, .timeout_ms = 400 }, 2);
    fake_lease(&fake, 0, 2);
    fake_finish(&fake);
    fake_value(&fake, 0);
    fake_expect_ended(&fake, 1, TRI_OUTCOME_TIMEOUT, "ran longer than its timeout of 400 ms");
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
}
END_TEST

START_TEST(an_oar_is_back_after_a_timeout)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = "nap", .width = 1, .first = 3600, .step = -3600, .timeout_ms = 50 },
              2);
    fake_lease(&fake, 0, 2);
    fake_finish(&fake);
    ck_assert_int_eq(fake.accounts[0].fate, FATE_ENDED);
    ck_assert_int_eq(fake.accounts[1].fate, FATE_VALUE);
    fake_close(&fake);
}
END_TEST

START_TEST(a_spinner_that_asks_ends_at_its_timeout)
{
    struct fake fake;

    fake_open(
        &fake,
        &(struct fake_options){ .handler = "spin", .width = 2, .first = -1, .timeout_ms = 400 }, 3);
    fake_lease(&fake, 0, 3);
    fake_finish(&fake);
    ck_assert_int_eq(fake.accounts[0].fate, FATE_ENDED);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    fake_value(&fake, 1);
    fake_value(&fake, 2);
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
}
END_TEST

START_TEST(a_spinner_that_does_not_ask_costs_the_host_and_no_other_task)
{
    struct fake fake;

    if (model_under_test == TRI_MODEL_ASYNC)
        return;
    fake_open(&fake,
              &(struct fake_options){
                  .handler = "spin", .width = 1, .first = -2, .step = 100, .timeout_ms = 400 },
              100);
    fake_lease(&fake, 0, 2);
    fake_finish(&fake);
    fake_expect_ended(&fake, 0, TRI_OUTCOME_TIMEOUT, "ran longer than its timeout of 400 ms");
    ck_assert_int_eq(fake_integer(&fake, 1), 98);
    while (!fake.wants_replacing)
        ck_assert(fake_step(&fake));
    ck_assert_uint_eq(fake.refusal, TRI_TIMEOUT);
    fake_lease(&fake, 2, 50);
    fake_finish(&fake);
    ck_assert_int_eq(fake.accounts[40].fate, FATE_RELEASED);
    fake_close(&fake);
}
END_TEST

START_TEST(a_coroutine_that_holds_the_loop_is_named_in_the_table)
{
    struct fake fake;
    int slot;

    if (model_under_test != TRI_MODEL_ASYNC)
        return;
    fake_open(
        &fake,
        &(struct fake_options){ .handler = "spin", .width = 4, .first = -2, .timeout_ms = 400 }, 3);
    fake_lease(&fake, 0, 1);
    fake_expect_begun(1);
    slot = atomic_load(&fake.table->running);
    ck_assert_int_ge(slot, 0);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[slot].task), 1);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[slot].lease), 1);
    fake_close(&fake);
}
END_TEST

START_TEST(what_is_revoked_unstarted_comes_back_released)
{
    struct fake fake;
    uint64_t lease;

    fake_open(&fake, &(struct fake_options){ .handler = "hold", .width = 1, .first = -1 }, 1000);
    lease = fake_lease(&fake, 0, 1000);
    fake_expect_begun(1);
    fake_revoke(&fake, lease, 600, 400);
    fake_wait_for(&fake, 600, 400);
    ck_assert_uint_eq(fake.open, 600);
    fake_revoke(&fake, lease, 100, 100);
    fake_wait_for(&fake, 100, 100);
    fake_let_go(1);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_int_eq(fake.accounts[i].fate,
                         i >= 600 || (i >= 100 && i < 200) ? FATE_RELEASED : FATE_VALUE);
    fake_close(&fake);
}
END_TEST

START_TEST(revoking_what_is_done_or_unknown_gives_nothing_back)
{
    struct fake fake;
    uint64_t lease;

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 2 }, 20);
    lease = fake_lease(&fake, 0, 10);
    fake_finish(&fake);
    fake_revoke(&fake, lease, 0, 10);
    fake_revoke(&fake, 99, 0, UINT32_MAX);
    ck_assert(fake_step(&fake));
    ck_assert(fake_step(&fake));
    ck_assert_uint_eq(fake.open, 0);
    fake_close(&fake);
}
END_TEST

/* What was cancelled never comes back: the books are closed on it. */
static void forget_open(struct fake *fake, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (fake->accounts[i].fate == FATE_OPEN) {
            fake->accounts[i].fate = FATE_RELEASED;
            fake->open--;
        }
    }
}

START_TEST(a_cancelled_lease_is_forgotten_and_its_oars_are_free)
{
    struct fake fake;
    uint64_t lease;
    unsigned width = many_oars() ? 8 : 1;

    fake_open(&fake, &(struct fake_options){ .handler = "hold", .width = 8, .first = -100 }, 1000);
    lease = fake_lease(&fake, 0, 100);
    fake_expect_begun(width);
    fake_cancel(&fake, lease, 0, 0);
    forget_open(&fake, 0, 100);
    fake_lease(&fake, 100, 500);
    fake_finish(&fake);
    ck_assert_int_eq(fake_integer(&fake, 599), 499);
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
}
END_TEST

START_TEST(cancelling_some_tasks_leaves_the_others)
{
    struct fake fake;
    uint64_t lease;

    fake_open(&fake, &(struct fake_options){ .handler = "hold", .width = 1, .first = -1 }, 1000);
    lease = fake_lease(&fake, 0, 1000);
    fake_expect_begun(1);
    fake_cancel(&fake, lease, 300, 400);
    fake_cancel(&fake, lease, 0, 1);
    forget_open(&fake, 0, 1);
    forget_open(&fake, 300, 400);
    fake_finish(&fake);
    ck_assert_int_eq(fake_integer(&fake, 299), 298);
    ck_assert_int_eq(fake_integer(&fake, 700), 699);
    fake_close(&fake);
}
END_TEST

START_TEST(the_end_of_the_link_ends_a_busy_host)
{
    struct fake fake;
    unsigned width = many_oars() ? 4 : 1;

    fake_open(&fake, &(struct fake_options){ .handler = "press", .width = width, .first = -4 },
              1000);
    fake_lease(&fake, 0, 1000);
    fake_expect_begun(model_under_test == TRI_MODEL_THREAD ? 4 : 1);
    fake_close(&fake);
}
END_TEST

START_TEST(bye_ends_a_host)
{
    struct fake fake;
    struct tri_message bye = { .type = TRI_MESSAGE_BYE };

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 2 }, 10);
    fake_lease(&fake, 0, 10);
    fake_finish(&fake);
    ck_assert_int_eq(link_send(&fake.link, &bye, NULL, 0, NULL, 0, NULL), TRI_OK);
    ck_assert_int_eq(fake_bury(&fake), 0);
}
END_TEST

START_TEST(progress_stands_in_the_table)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "steps", .width = 1, .first = -1 }, 1);
    fake_lease(&fake, 0, 1);
    fake_expect_begun(1);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[0].progress), 250000);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[0].task), 1);
    fake_let_go(1);
    fake_finish(&fake);
    fake_close(&fake);
}
END_TEST

TCase *stopping_case(void)
{
    TCase *tcase = tcase_create("stopping");

    tcase_add_test(tcase, a_slow_task_does_not_hold_back_what_is_finished);
    tcase_add_test(tcase, a_task_that_blocks_its_carrier_does_not_hold_back_what_is_finished);
    tcase_add_test(tcase, a_slow_task_does_not_hold_back_the_rest_of_its_run);
    tcase_add_test(tcase, a_folded_result_does_not_wait_for_a_slow_task);
    tcase_add_test(tcase, all_oars_wait_at_the_same_time);
    tcase_add_test(tcase, a_lease_that_comes_while_others_wait_is_served);
    tcase_add_test(tcase, a_sleeper_past_its_timeout_ends_alone);
    tcase_add_test(tcase, an_oar_is_back_after_a_timeout);
    tcase_add_test(tcase, a_spinner_that_asks_ends_at_its_timeout);
    tcase_add_test(tcase, a_spinner_that_does_not_ask_costs_the_host_and_no_other_task);
    tcase_add_test(tcase, a_coroutine_that_holds_the_loop_is_named_in_the_table);
    tcase_add_test(tcase, what_is_revoked_unstarted_comes_back_released);
    tcase_add_test(tcase, revoking_what_is_done_or_unknown_gives_nothing_back);
    tcase_add_test(tcase, a_cancelled_lease_is_forgotten_and_its_oars_are_free);
    tcase_add_test(tcase, cancelling_some_tasks_leaves_the_others);
    tcase_add_test(tcase, the_end_of_the_link_ends_a_busy_host);
    tcase_add_test(tcase, bye_ends_a_host);
    tcase_add_test(tcase, progress_stands_in_the_table);
    return tcase;
}
