/* Failures, crashes, what they are charged, and when it is enough. */
#include "tests/engine/recovered.h"
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)

static void batch_with(const struct scenario_spec *spec, uint64_t count)
{
    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", count, WINDOW, spec);
    expect(&s, "c1", "ACCEPTED b1 %d", (int)count);
    expect(&s, "w1", "LEASE b1 0+%d", (int)count);
}

/* Time passes until the worker is sent something; returns how long that took. */
static uint64_t wait_for_lease(uint64_t at_most)
{
    tri_time start = s.now;

    while (sent_count(&s, "w1") == 0 && s.now - start < at_most)
        time_passes_ms(&s, 1);
    return s.now - start;
}

START_TEST(a_failure_without_retries_is_final)
{
    struct scenario_spec spec = { 0 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect_waiting(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "END b1 done done=0 dead=1 cancelled=0 rows=1");
    expect_row(&s, STORE_TASK, "b1", 0);
}
END_TEST

START_TEST(a_failure_waits_an_exponential_time_within_bounds_before_its_retry)
{
    struct scenario_spec spec = { .retries = 12 };
    uint64_t full = s.options.limits.backoff_ms_min;

    batch_with(&spec, 1);
    for (int retry = 1; retry <= 12; retry++) {
        uint64_t waited;

        worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
        waited = wait_for_lease(100000);
        ck_assert_uint_ge(waited, full / 2);
        ck_assert_uint_le(waited, full);
        expect_waiting(&s, "w1", "LEASE b1 0+1 attempt=%d", retry + 1);
        full = full * 2 < 30000 ? full * 2 : 30000;
    }
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "END b1 done done=0 dead=1 cancelled=0 rows=1");
}
END_TEST

START_TEST(two_batches_that_fail_together_do_not_come_back_together)
{
    struct scenario_spec spec = { .retries = 1 };
    uint64_t waits[8];
    bool differ = false;

    client_and_worker(&s, 100);
    for (int i = 0; i < 8; i++) {
        char name[8] = { 'b', (char)('0' + i) };

        client_submits_with(&s, "c1", name, 1, WINDOW, &spec);
        ignore(&s, "c1");
        expect(&s, "w1", "LEASE %s 0+1", name);
        worker_fails(&s, "w1", name, 0, TRI_OUTCOME_FAILED);
        waits[i] = wait_for_lease(1000);
        expect(&s, "w1", "LEASE %s 0+1 attempt=2", name);
        differ = differ || waits[i] != waits[0];
    }
    ck_assert(differ);
}
END_TEST

START_TEST(timeouts_and_too_large_values_use_retries_like_failures)
{
    struct scenario_spec spec = { .retries = 1 };

    batch_with(&spec, 2);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_TOO_LARGE);
    time_passes_ms(&s, 200);
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_TOO_LARGE);
    expect(&s, "c1", "ROW b1 #1 entries 1+1");
    expect(&s, "c1", "END b1 done done=0 dead=2 cancelled=0 rows=2");
}
END_TEST

START_TEST(a_success_after_failures_leaves_no_history)
{
    struct scenario_spec spec = { .retries = 1 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect_row(&s, STORE_TASK, "b1", 0);
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "c1", "END b1 done done=1 dead=0 cancelled=0 rows=1");
    expect_no_row(&s, STORE_TASK, "b1", 0);
}
END_TEST

START_TEST(a_crash_uses_no_retry_and_runs_again_at_once_and_isolated)
{
    struct scenario_spec spec = { .retries = 0, .crash_limit = 3 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED);
    expect_waiting(&s, "w1", "LEASE b1 0+1 attempt=2 isolated");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED);
    expect(&s, "w1", "LEASE b1 0+1 attempt=3 isolated");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED); /* three runs */
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "END b1 done done=0 dead=1 cancelled=0 rows=1");
}
END_TEST

START_TEST(a_crash_limit_of_one_gives_no_second_run)
{
    struct scenario_spec spec = { .retries = 5, .crash_limit = 1 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "END b1 done done=0 dead=1 cancelled=0 rows=1");
}
END_TEST

START_TEST(crashes_and_failures_are_counted_apart)
{
    struct scenario_spec spec = { .retries = 1, .crash_limit = 2 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2 isolated");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 0+1 attempt=3 isolated");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "c1", "END b1 done done=1 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(only_the_current_attempt_of_a_lease_that_is_held_is_charged)
{
    struct scenario_spec spec = { .retries = 1 };
    struct held *held;

    batch_with(&spec, 2);
    held = lease_of(&s, "w1", "b1", 0);
    held->attempt = 2; /* not the attempt of that lease */
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    held->attempt = 1;
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED); /* said twice, charged once */
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 1+1 attempt=2");
}
END_TEST

START_TEST(an_uncharged_end_runs_again_as_the_same_attempt)
{
    struct scenario_spec spec = { 0 };

    batch_with(&spec, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CANCELLED);
    time_passes_ms(&s, s.options.limits.backoff_ms_min);
    expect(&s, "w1", "LEASE b1 0+1");
}
END_TEST

START_TEST(a_retry_by_hand_opens_a_new_generation_with_all_its_tries)
{
    struct scenario_spec spec = { .retries = 0 };

    batch_with(&spec, 2);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 1+1");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #1 values 0+1");
    expect(&s, "c1", "END b1 done done=1 dead=1 cancelled=0 rows=2");
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    expect_no_row(&s, STORE_TASK, "b1", 1);
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #2 values 1+1 generation=2");
    expect(&s, "c1", "END b1 done done=2 dead=0 cancelled=0 rows=3 generation=2");
}
END_TEST

/* Each in a row of its own. */
static void die_one_by_one(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        worker_fails(&s, "w1", "b1", i, TRI_OUTCOME_FAILED);
        ignore(&s, "c1");
    }
    ignore(&s, "w1");
}

START_TEST(a_retry_looks_only_into_rows_that_say_how_its_tasks_died)
{
    struct scenario_spec spec = { 0 };

    batch_with(&spec, 4);
    die_one_by_one(4);
    client_retries_tasks(&s, "c1", "b1", 1, 1);
    expect(&s, "c1", "DONE 1");
    ignore(&s, "w1");
    ck_assert_uint_eq(engine_rows_searched(s.engine), 1);
    broker_restarts(&s);
    peer_returns(&s, "c1");
    ignore(&s, "c1");
    client_retries_tasks(&s, "c1", "b1", 2, 2);
    expect(&s, "c1", "DONE 2");
    ck_assert_uint_eq(engine_rows_searched(s.engine), 2);
    expect_row(&s, STORE_ROW, "b1", 0);
    for (uint64_t i = 1; i < 4; i++)
        expect_no_row(&s, STORE_ROW, "b1", i);
}
END_TEST

START_TEST(a_retry_of_tasks_beyond_memory_looks_into_all_rows)
{
    struct engine_options options = scenario_options();
    struct scenario_spec spec = { 0 };

    options.limits.entries_max = 1;
    story_with(&options);
    batch_with(&spec, 4);
    die_one_by_one(4);
    client_retries_tasks(&s, "c1", "b1", 2, 1);
    expect(&s, "c1", "DONE 1");
    ignore(&s, "w1");
    ck_assert_uint_eq(engine_rows_searched(s.engine), 4);
    expect_no_row(&s, STORE_ROW, "b1", 2);
}
END_TEST

START_TEST(a_retry_of_a_batch_without_dead_tasks_does_nothing)
{
    struct scenario_spec spec = { 0 };

    batch_with(&spec, 1);
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 0");
}
END_TEST

START_TEST(a_dead_task_is_shown_with_its_history)
{
    struct scenario_spec spec = { .retries = 1 };
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };

    batch_with(&spec, 3);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 200);
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_TIMEOUT);
    ignore(&s, "c1");
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 running done=0 dead=1 1:failed*1 2:timeout*2");
    show.show.after = 2;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 running done=0 dead=1 2:timeout*2");
}
END_TEST

START_TEST(history_beyond_its_limit_is_in_the_store_only)
{
    struct engine_options options = scenario_options();
    struct scenario_spec spec = { .retries = 1 };
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };

    options.limits.entries_max = 1;
    story_with(&options);
    batch_with(&spec, 2);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect_row(&s, STORE_TASK, "b1", 1);
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 running done=0 dead=0 0:failed*1");
    time_passes_ms(&s, 200);
    ck_assert(was_sent(&s, "w1", "LEASE b1 0+1 attempt=2")); /* attempts are not forgotten */
    ck_assert(was_sent(&s, "w1", "LEASE b1 1+1 attempt=2"));
    ignore(&s, "w1");
}
END_TEST

START_TEST(tasks_of_one_report_that_fail_together_are_tried_again_together)
{
    struct scenario_spec spec = { .retries = 1 };

    batch_with(&spec, 4);
    worker_fails_many(&s, "w1", "b1", 0, 4, 1000000);
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 0+4 attempt=2");
}
END_TEST

START_TEST(leases_of_tasks_that_fail_fast_double_like_others)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100000);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    worker_fails_many(&s, "w1", "b1", 0, 2, 1000);
    expect(&s, "c1", "ROW b1 #0 entries 0+2");
    expect(&s, "w1", "LEASE b1 4+4");
    expect(&s, "w1", "LEASE b1 8+8");
    expect(&s, "w1", "LEASE b1 16+16");
    expect(&s, "w1", "LEASE b1 32+32");
    expect(&s, "w1", "LEASE b1 64+64");
}
END_TEST

START_TEST(a_timeout_or_a_crash_does_not_say_how_long_tasks_take)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100000);
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_CRASHED);
    ck_assert(!was_ever_sent(&s, "w1", "LEASE b1 4+4"));
    ignore(&s, "w1");
    ignore(&s, "c1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("retry");

    STORY(a_failure_without_retries_is_final);
    STORY(a_failure_waits_an_exponential_time_within_bounds_before_its_retry);
    STORY(two_batches_that_fail_together_do_not_come_back_together);
    STORY(timeouts_and_too_large_values_use_retries_like_failures);
    STORY(a_success_after_failures_leaves_no_history);
    STORY(a_crash_uses_no_retry_and_runs_again_at_once_and_isolated);
    STORY(a_crash_limit_of_one_gives_no_second_run);
    STORY(crashes_and_failures_are_counted_apart);
    STORY(only_the_current_attempt_of_a_lease_that_is_held_is_charged);
    STORY(an_uncharged_end_runs_again_as_the_same_attempt);
    STORY(a_retry_by_hand_opens_a_new_generation_with_all_its_tries);
    STORY(a_retry_looks_only_into_rows_that_say_how_its_tasks_died);
    STORY(a_retry_of_tasks_beyond_memory_looks_into_all_rows);
    STORY(a_retry_of_a_batch_without_dead_tasks_does_nothing);
    STORY(a_dead_task_is_shown_with_its_history);
    STORY(history_beyond_its_limit_is_in_the_store_only);
    STORY(tasks_of_one_report_that_fail_together_are_tried_again_together);
    STORY(leases_of_tasks_that_fail_fast_double_like_others);
    STORY(a_timeout_or_a_crash_does_not_say_how_long_tasks_take);
    return story_run("engine/retry", tcase);
}
