/* Cancelling, halting, forgetting. */
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)

static void halting(enum tri_halt halt, uint64_t count, uint64_t percent, uint64_t tasks)
{
    struct scenario_spec spec = { .halt = halt,
                                  .halt_fail_count = count,
                                  .halt_fail_percent = percent };

    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", tasks, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 %d", (int)tasks);
    ignore(&s, "w1");
}

START_TEST(cancelled_tasks_leave_the_rest_running)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 10);
    ignore(&s, "w1");
    client_cancels_tasks(&s, "c1", "b1", 2, 6);
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 tasks=2+2");
    expect(&s, "w1", "CANCEL_LEASE b1 4+3 all");
    expect_waiting(&s, "c1", "ROW b1 #0 entries 2+6");
    expect(&s, "c1", "DONE 6");
    expect(&s, "w1", "LEASE b1 8+2"); /* its oars are free again */
    client_cancels_tasks(&s, "c1", "b1", 2, 6);
    expect(&s, "c1", "DONE 0");
}
END_TEST

START_TEST(tasks_that_a_batch_does_not_have_are_neither_cancelled_nor_retried)
{
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL };
    const struct tri_range ranges[] = { { 2, 1 }, { 10, 1 } };

    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 10);
    ignore(&s, "w1");
    message.cancel.number = 1;
    message.cancel.tasks = tri_ranges_of(ranges, 2);
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
    message.type = TRI_MESSAGE_RETRY; /* it has the same fields */
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
    expect_nothing_else(&s);
    client_cancels_tasks(&s, "c1", "b1", 9, 5); /* what there is of them */
    ignore(&s, "w1");
    expect(&s, "c1", "ROW b1 #0 entries 9+1");
    expect(&s, "c1", "DONE 1");
}
END_TEST

START_TEST(a_cancelled_batch_cancels_what_is_pending_delayed_and_leased)
{
    struct scenario_spec spec = { .retries = 1 };

    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", 100, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 100");
    expect(&s, "w1", "LEASE b1 0+4");
    expect(&s, "w1", "LEASE b1 4+4");
    worker_fails(&s, "w1", "b1", 3, TRI_OUTCOME_FAILED);
    client_cancels(&s, "c1", "b1");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 all");
    expect(&s, "w1", "CANCEL_LEASE b1 4+4 all");
    expect(&s, "c1", "ROW b1 #0 entries 0+100");
    expect_waiting(&s, "c1", "DONE 100");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=100 rows=1");
    time_passes_ms(&s, 10000);
}
END_TEST

START_TEST(cancelling_an_ended_batch_does_nothing)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    client_cancels(&s, "c1", "b1");
    expect(&s, "c1", "DONE 0");
}
END_TEST

START_TEST(an_open_batch_that_is_cancelled_is_sealed)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    client_cancels(&s, "c1", "b1");
    ignore(&s, "w1");
    expect(&s, "c1", "ERROR CANCELLED"); /* to the SUBMIT: whoever adds to it shall stop */
    expect(&s, "c1", "ROW b1 #0 entries 0+2");
    expect(&s, "c1", "DONE 2");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=2 rows=1");
}
END_TEST

START_TEST(halt_soon_asks_back_what_is_not_started_and_lets_the_rest_end)
{
    halting(TRI_HALT_SOON, 1, 0, 100);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "w1", "REVOKE b1 0+4 asked=0+4");
    expect(&s, "w1", "REVOKE b1 4+4 asked=4+4");
    expect(&s, "c1", "ROW b1 #1 entries 8+92");
    worker_releases(&s, "w1", "b1", 4, 4);
    expect(&s, "c1", "ROW b1 #2 entries 4+4");
    worker_returns(&s, "w1", "b1", 1, 2);
    expect(&s, "c1", "ROW b1 #3 values 1+2");
    worker_returns(&s, "w1", "b1", 3, 1);
    expect(&s, "c1", "ROW b1 #4 values 3+1");
    expect(&s, "c1", "END b1 halted done=3 dead=1 cancelled=96 rows=5");
}
END_TEST

START_TEST(halt_soon_asks_again_whoever_was_away_when_it_was_asked)
{
    halting(TRI_HALT_SOON, 1, 0, 4);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "w1", "REVOKE b1 0+4 asked=0+4"); /* it never arrives */
    peer_lost(&s, "w1");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "REVOKE b1 0+4 asked=0+4");
    worker_releases(&s, "w1", "b1", 1, 3);
    expect(&s, "c1", "ROW b1 #1 entries 1+3");
    expect(&s, "c1", "END b1 halted done=0 dead=1 cancelled=3 rows=2");
}
END_TEST

START_TEST(halt_now_cancels_what_runs_too)
{
    halting(TRI_HALT_NOW, 2, 0, 100);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #1 entries 1+1");
    ck_assert(was_sent(&s, "w1", "CANCEL_LEASE b1 0+4 all"));
    ignore(&s, "w1");
    expect(&s, "c1", "ROW b1 #2 entries 2+98");
    expect(&s, "c1", "END b1 halted done=0 dead=2 cancelled=98 rows=3");
}
END_TEST

START_TEST(halt_by_percent_counts_all_tasks_of_the_batch)
{
    halting(TRI_HALT_NOW, 0, 50, 4);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #1 entries 2+1");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 all");
    expect(&s, "c1", "ROW b1 #2 entries 1+1,3+1");
    expect(&s, "c1", "END b1 halted done=0 dead=2 cancelled=2 rows=3");
}
END_TEST

START_TEST(failures_in_a_halting_batch_are_not_tried_again)
{
    struct scenario_spec spec = { .halt = TRI_HALT_SOON, .halt_fail_count = 1, .retries = 1 };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 2, WINDOW, &spec);
    ignore(&s, "c1");
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "w1", "REVOKE b1 0+2 asked=0+2");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #1 entries 1+1");
    expect(&s, "c1", "END b1 halted done=0 dead=2 cancelled=0 rows=2");
}
END_TEST

START_TEST(a_batch_that_every_capable_worker_refuses_is_halted_with_the_reason)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "BATCH b1");
    worker_refuses(&s, "w1", "b1", TRI_DENIED);
    expect(&s, "w2", "BATCH b1");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    expect(&s, "c1", "ROW b1 #0 entries 0+2");
    expect(&s, "c1", "END b1 halted done=0 dead=0 cancelled=2 rows=1");
}
END_TEST

/* w1 runs b1, w2 has refused it; then w1 leaves with the rest. */
static void desert(void)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 1);
    client_submits(&s, "c1", "b1", 3);
    expect(&s, "w1", "LEASE b1 0+1");
    expect(&s, "w1", "LEASE b1 1+1");
    worker_hesitates(&s, "w2");
    expect(&s, "w2", "BATCH b1");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    peer_says_bye(&s, "w1");
    expect_nothing_else(&s);
}

START_TEST(a_batch_is_not_halted_when_its_only_willing_worker_restarts)
{
    desert();
    time_passes_ms(&s, s.options.limits.refusal_grace_ms - 1);
    worker_joins(&s, "w3", 4);
    expect(&s, "w3", "LEASE b1 0+3");
    time_passes_ms(&s, s.options.limits.refusal_grace_ms);
}
END_TEST

START_TEST(a_batch_that_only_unwilling_workers_are_left_for_is_halted_after_its_grace)
{
    desert();
    time_passes_ms(&s, s.options.limits.refusal_grace_ms - 1);
    expect_nothing_else(&s);
    time_passes_ms(&s, 1);
    expect(&s, "c1", "ROW b1 #0 entries 0+3");
    expect(&s, "c1", "END b1 halted done=0 dead=0 cancelled=3 rows=1");
}
END_TEST

START_TEST(a_batch_that_one_worker_refuses_runs_on_another)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "BATCH b1");
    worker_refuses(&s, "w1", "b1", TRI_DENIED);
    expect(&s, "w2", "BATCH b1");
    worker_mans(&s, "w2", "b1", 2);
    expect(&s, "w2", "LEASE b1 0+2");
}
END_TEST

START_TEST(a_batch_is_forgotten_only_when_it_has_ended)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    client_forgets(&s, "c1", "b1");
    expect(&s, "c1", "ERROR CONFLICT");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    client_forgets(&s, "c1", "b1");
    expect_waiting(&s, "c1", "DONE 1");
    expect_no_row(&s, STORE_BATCH, "b1", 0);
    expect_no_row(&s, STORE_ROW, "b1", 0);
    client_forgets(&s, "c1", "b1");
    expect(&s, "c1", "ERROR NOTFOUND");
}
END_TEST

START_TEST(who_still_reads_a_batch_hears_that_it_was_forgotten)
{
    client_and_worker(&s, 2);
    client_joins(&s, "c2");
    client_submits(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    worker_returns(&s, "w1", "b1", 1, 1);
    ignore(&s, "w1");
    ignore(&s, "c1");
    client_attaches(&s, "c2", "b1", false, 1); /* a window of one row */
    expect(&s, "c2", "ATTACHED b1 2 done");
    expect(&s, "c2", "ROW b1 #0 values 0+1");
    ignore(&s, "c2");
    client_forgets(&s, "c1", "b1");
    expect_waiting(&s, "c2", "ERROR NOTFOUND");
    expect_waiting(&s, "c1", "DONE 1");
}
END_TEST

START_TEST(an_ended_batch_past_its_retention_is_forgotten)
{
    struct engine_options options = scenario_options();

    options.limits.retention_ms = 5000;
    story_with(&options);
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    time_passes_ms(&s, 4999);
    expect_row(&s, STORE_BATCH, "b1", 0);
    time_passes_ms(&s, 1);
    expect_no_row(&s, STORE_BATCH, "b1", 0);
}
END_TEST

START_TEST(a_halted_batch_can_be_retried_and_ends_done)
{
    halting(TRI_HALT_NOW, 1, 0, 3);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "w1");
    ignore(&s, "c1");
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 0+1 generation=2");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #2 values 0+1 generation=2");
    expect(&s, "c1", "END b1 done done=1 dead=0 cancelled=2 rows=3 generation=2");
}
END_TEST

START_TEST(what_a_retry_leaves_dead_does_not_halt_the_batch_again)
{
    halting(TRI_HALT_NOW, 2, 0, 4);
    worker_fails_many(&s, "w1", "b1", 0, 3, 1000);
    ignore(&s, "w1");
    expect(&s, "c1", "ROW b1 #0 entries 0+3");
    expect(&s, "c1", "ROW b1 #1 entries 3+1");
    expect(&s, "c1", "END b1 halted done=0 dead=3 cancelled=1 rows=2");
    client_retries_tasks(&s, "c1", "b1", 1, 1);
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #2 entries 1+1 generation=2");
    expect(&s, "c1", "END b1 done done=0 dead=3 cancelled=1 rows=3 generation=2");
    client_retries(&s, "c1", "b1"); /* two of these three are too many, as ever */
    expect(&s, "c1", "DONE 3");
    expect(&s, "w1", "LEASE b1 0+3 generation=3");
    worker_fails_many(&s, "w1", "b1", 0, 2, 1000);
    expect(&s, "c1", "ROW b1 #3 entries 0+2 generation=3");
    expect(&s, "w1", "CANCEL_LEASE b1 0+3 all");
    expect(&s, "c1", "ROW b1 #4 entries 2+1 generation=3");
    expect(&s, "c1", "END b1 halted done=0 dead=2 cancelled=2 rows=5 generation=3");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("stop");

    STORY(cancelled_tasks_leave_the_rest_running);
    STORY(tasks_that_a_batch_does_not_have_are_neither_cancelled_nor_retried);
    STORY(a_cancelled_batch_cancels_what_is_pending_delayed_and_leased);
    STORY(cancelling_an_ended_batch_does_nothing);
    STORY(an_open_batch_that_is_cancelled_is_sealed);
    STORY(halt_soon_asks_back_what_is_not_started_and_lets_the_rest_end);
    STORY(halt_soon_asks_again_whoever_was_away_when_it_was_asked);
    STORY(halt_now_cancels_what_runs_too);
    STORY(halt_by_percent_counts_all_tasks_of_the_batch);
    STORY(failures_in_a_halting_batch_are_not_tried_again);
    STORY(a_batch_that_every_capable_worker_refuses_is_halted_with_the_reason);
    STORY(a_batch_is_not_halted_when_its_only_willing_worker_restarts);
    STORY(a_batch_that_only_unwilling_workers_are_left_for_is_halted_after_its_grace);
    STORY(a_batch_that_one_worker_refuses_runs_on_another);
    STORY(a_batch_is_forgotten_only_when_it_has_ended);
    STORY(who_still_reads_a_batch_hears_that_it_was_forgotten);
    STORY(an_ended_batch_past_its_retention_is_forgotten);
    STORY(a_halted_batch_can_be_retried_and_ends_done);
    STORY(what_a_retry_leaves_dead_does_not_halt_the_batch_again);
    return story_run("engine/stop", tcase);
}
