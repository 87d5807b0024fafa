/* Retries by hand: what becomes of the rows of failures that are not the last word any more. */
#include "tests/engine/story.h"

#include "common/assert.h"

#define WINDOW (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)

/* Nobody owns the batch; its tasks fail in one report, which is row 0. */
static void all_fail(uint64_t count)
{
    client_and_worker(&s, 8);
    client_joins(&s, "c2");
    client_submits_with(&s, "c1", "b1", count, 0, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 %d", (int)count);
    expect(&s, "w1", "LEASE b1 0+%d", (int)count);
    worker_fails_many(&s, "w1", "b1", 0, count, 1000);
    expect_row(&s, STORE_ROW, "b1", 0);
}

static void retry(uint64_t first, uint64_t count, int generation)
{
    client_retries_tasks(&s, "c1", "b1", first, count);
    expect(&s, "c1", "DONE %d", (int)count);
    expect(&s, "w1", "LEASE b1 %d+%d generation=%d", (int)first, (int)count, generation);
}

static void return_again(const char *name)
{
    peer_returns(&s, name);
    expect(&s, name, "WELCOME");
}

static void read_by(const char *client, bool owner, const char *attached)
{
    client_attaches(&s, client, "b1", owner, WINDOW);
    expect(&s, client, "ATTACHED b1 %s", attached);
}

/* ---- who comes afterwards ------------------------------------------------------------------- */

START_TEST(who_attaches_after_a_retry_is_not_shown_the_failures_from_before)
{
    all_fail(3);
    retry(0, 3, 2);
    expect_no_row(&s, STORE_ROW, "b1", 0);
    worker_returns(&s, "w1", "b1", 0, 3);
    read_by("c2", false, "3 done");
    expect(&s, "c2", "ROW b1 #1 values 0+3 generation=2");
    expect(&s, "c2", "END b1 done done=3 dead=0 cancelled=0 rows=2 generation=2");
}
END_TEST

START_TEST(of_failures_that_were_retried_in_part_the_rest_is_shown)
{
    all_fail(4);
    retry(1, 2, 2);
    expect_row(&s, STORE_ROW, "b1", 0);
    worker_returns(&s, "w1", "b1", 1, 2);
    read_by("c2", false, "4 done");
    expect(&s, "c2", "ROW b1 #0 entries 0+1,3+1");
    expect(&s, "c2", "ROW b1 #1 values 1+2 generation=2");
    expect(&s, "c2", "END b1 done done=2 dead=2 cancelled=0 rows=2 generation=2");
}
END_TEST

START_TEST(each_retry_takes_the_failures_that_it_is_about)
{
    all_fail(3);
    retry(2, 1, 2);
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_TIMEOUT);
    retry(0, 1, 3);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    retry(1, 1, 4); /* nothing is left of the first row */
    expect_no_row(&s, STORE_ROW, "b1", 0);
    worker_returns(&s, "w1", "b1", 1, 1);
    retry(0, 1, 5);
    expect_no_row(&s, STORE_ROW, "b1", 2);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    read_by("c2", false, "3 done");
    expect(&s, "c2", "ROW b1 #1 entries 2+1 generation=2");
    expect(&s, "c2", "ROW b1 #3 values 1+1 generation=4");
    expect(&s, "c2", "ROW b1 #4 entries 0+1 generation=5");
    expect(&s, "c2", "END b1 done done=1 dead=2 cancelled=0 rows=5 generation=5");
}
END_TEST

START_TEST(what_was_cancelled_stays_in_its_row_when_the_dead_are_retried)
{
    all_fail(2);
    client_submits_with(&s, "c1", "b2", 3, 0, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b2 3");
    expect(&s, "w1", "LEASE b2 0+3");
    worker_fails(&s, "w1", "b2", 1, TRI_OUTCOME_FAILED);
    client_cancels(&s, "c1", "b2");
    expect(&s, "c1", "DONE 2");
    ignore(&s, "w1");
    client_retries(&s, "c1", "b2");
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b2 1+1 generation=2");
    client_attaches(&s, "c2", "b2", false, WINDOW);
    expect(&s, "c2", "ATTACHED b2 3 running");
    expect(&s, "c2", "ROW b2 #1 entries 0+1,2+1");
}
END_TEST

/* ---- who is there already ------------------------------------------------------------------- */

START_TEST(a_reader_that_waits_for_room_gets_only_what_still_holds)
{
    all_fail(1);
    client_submits_with(&s, "c1", "b2", 3, 0, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b2 3");
    expect(&s, "w1", "LEASE b2 0+3");
    worker_returns_in(&s, "w1", "b2", 0, 1, 300, SECOND);
    worker_fails(&s, "w1", "b2", 1, TRI_OUTCOME_FAILED);
    worker_fails(&s, "w1", "b2", 2, TRI_OUTCOME_FAILED);
    client_attaches(&s, "c2", "b2", false, 300);
    expect(&s, "c2", "ATTACHED b2 3 done");
    expect(&s, "c2", "ROW b2 #0 values 0+1");
    client_retries_tasks(&s, "c1", "b2", 1, 1);
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b2 1+1 generation=2");
    client_acks(&s, "c2", "b2", 0);
    expect(&s, "c2", "ROW b2 #2 entries 2+1");
    worker_returns(&s, "w1", "b2", 1, 1);
    expect(&s, "c2", "ROW b2 #3 values 1+1 generation=2");
    expect(&s, "c2", "END b2 done done=2 dead=1 cancelled=0 rows=4 generation=2");
}
END_TEST

/* The row of the only task, which failed, is fetched for c2; the task is retried before that is
 * answered. */
static void fetch_of_a_retried_row(bool owner, struct event answer)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = true;
    story_with(&options);
    all_fail(1);
    read_by("c2", owner, "1 done");
    retry(0, 1, 2);
    answer.key = (struct store_key){ STORE_ROW, 1, 0 };
    answer.now = s.now;
    step(&s, &answer);
}

START_TEST(a_failure_that_is_being_fetched_is_not_sent_when_it_was_retried_meanwhile)
{
    fetch_of_a_retried_row(false, (struct event){ .type = EVENT_LOADED });
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c2", "ROW b1 #1 values 0+1 generation=2");
    expect(&s, "c2", "END b1 done done=1 dead=0 cancelled=0 rows=2 generation=2");
}
END_TEST

START_TEST(a_failure_that_went_before_it_was_fetched_is_not_missed)
{
    fetch_of_a_retried_row(
        true, (struct event){ .type = EVENT_LOAD_FAILED, .status = TRI_STORE, .text = "gone" });
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c2", "ROW b1 #1 values 0+1 generation=2");
    expect(&s, "c2", "END b1 done done=1 dead=0 cancelled=0 rows=2 generation=2");
}
END_TEST

/* ---- the owner ------------------------------------------------------------------------------ */

/* Task 0 is slow, task 1 has failed: its owner has that and cannot use it yet. */
static void owner_holds_a_failure(uint64_t window_bytes)
{
    client_and_worker(&s, 2);
    client_joins(&s, "c2");
    client_submits_with(&s, "c1", "b1", 2, window_bytes, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 2");
    expect(&s, "w1", "LEASE b1 0+2");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 1+1");
    client_retries(&s, "c2", "b1");
    expect(&s, "c2", "DONE 1");
}

START_TEST(acknowledging_a_failure_does_not_acknowledge_what_has_replaced_it)
{
    owner_holds_a_failure(WINDOW);
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    expect_no_row(&s, STORE_ROW, "b1", 0);
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1 generation=2");
    client_acks(&s, "c1", "b1", 0);
    expect_row(&s, STORE_ROW, "b1", 1);
    read_by("c2", false, "2 running");
    expect(&s, "c2", "ROW b1 #1 values 1+1 generation=2");
}
END_TEST

START_TEST(acknowledging_failures_retried_in_part_acknowledges_the_others)
{
    client_and_worker(&s, 2);
    client_joins(&s, "c2");
    client_submits_with(&s, "c1", "b1", 2, WINDOW, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 2");
    expect(&s, "w1", "LEASE b1 0+2");
    worker_fails_many(&s, "w1", "b1", 0, 2, 1000);
    expect(&s, "c1", "ROW b1 #0 entries 0+2");
    expect(&s, "c1", "END b1 done done=0 dead=2 cancelled=0 rows=1");
    retry(0, 1, 2);
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #1 values 0+1 generation=2");
    expect(&s, "c1", "END b1 done done=1 dead=1 cancelled=0 rows=2 generation=2");
    client_acks(&s, "c1", "b1", 0);
    expect_no_row(&s, STORE_ROW, "b1", 0);
    read_by("c2", false, "2 done settled=1+1");
    expect(&s, "c2", "ROW b1 #1 values 0+1 generation=2");
    expect(&s, "c2", "END b1 done done=1 dead=1 cancelled=0 rows=2 generation=2");
}
END_TEST

START_TEST(an_owner_that_comes_back_is_not_sent_the_failure_again)
{
    owner_holds_a_failure(WINDOW);
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    return_again("c1");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1 generation=2");
    client_acks(&s, "c1", "b1", 0); /* it had it, after all */
    client_acks(&s, "c1", "b1", 1);
    expect_no_row(&s, STORE_ROW, "b1", 1);
}
END_TEST

START_TEST(the_next_owner_is_not_sent_the_failure)
{
    owner_holds_a_failure(WINDOW);
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    read_by("c2", true, "2 running");
    expect(&s, "c1", "ERROR STALE");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c2", "ROW b1 #1 values 1+1 generation=2");
}
END_TEST

/* What its client holds counts until it is acknowledged, and what was promised is sent all the
 * same: task 0 is before it. */
START_TEST(a_failure_that_is_on_its_way_to_the_owner_takes_its_room)
{
    client_and_worker(&s, 3);
    client_joins(&s, "c2");
    client_submits_with(&s, "c1", "b1", 3, 512 + 3 * 64, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 3");
    expect(&s, "w1", "LEASE b1 0+3");
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 2+1");
    client_retries(&s, "c2", "b1");
    expect(&s, "c2", "DONE 1");
    expect_nothing_else(&s); /* no room for another lease */
    worker_returns_in(&s, "w1", "b1", 0, 1, 690, SECOND);
    expect(&s, "c1", "ROW b1 #1 values 0+1 generation=2");
    client_acks(&s, "c1", "b1", 1);
    worker_returns_in(&s, "w1", "b1", 1, 1, 10, SECOND);
    expect(&s, "c1", "ROW b1 #2 values 1+1 generation=2");
    expect(&s, "w1", "LEASE b1 2+1 generation=2"); /* the oldest, on the reserve */
    client_acks(&s, "c1", "b1", 2);
    client_acks(&s, "c1", "b1", 0);
}
END_TEST

/* ---- the broker dies ------------------------------------------------------------------------ */

START_TEST(what_was_retried_is_not_shown_after_a_restart)
{
    all_fail(4);
    retry(1, 2, 2);
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_FAILED);
    worker_loses_leases(&s, "w1");
    broker_restarts(&s);
    return_again("w1");
    expect(&s, "w1", "LEASE b1 1+1 generation=2");
    return_again("c1");
    return_again("c2");
    read_by("c2", false, "4 running");
    expect(&s, "c2", "ROW b1 #0 entries 0+1,3+1");
    expect(&s, "c2", "ROW b1 #1 entries 2+1 generation=2");
    retry(0, 1, 3);
    client_retries_tasks(&s, "c1", "b1", 3, 1);
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 3+1 generation=4");
    expect_no_row(&s, STORE_ROW, "b1", 0);
}
END_TEST

/* A broker of before has left the rows of failures that were retried. */
START_TEST(failures_that_an_earlier_broker_has_left_are_not_shown)
{
    struct store_key key = { STORE_ROW, 1, 0 };
    struct kept left;

    all_fail(2);
    left = *kept_row(&s, key);
    left.head = memcpy(tri_alloc(1, left.head_size), left.head, left.head_size);
    retry(0, 2, 2);
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    worker_loses_leases(&s, "w1");
    keep_row(&s, &left);
    broker_restarts(&s);
    return_again("w1");
    expect(&s, "w1", "LEASE b1 0+1 generation=2");
    return_again("c2");
    read_by("c2", false, "2 running");
    expect(&s, "c2", "ROW b1 #1 entries 1+1 generation=2");
}
END_TEST

static void ignore_all(void)
{
    ignore(&s, "c1");
    ignore(&s, "c2");
    ignore(&s, "w1");
}

START_TEST(a_reader_behind_a_full_window_is_told_of_every_end)
{
    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", 2, WINDOW, &(struct scenario_spec){ 0 });
    ignore(&s, "c1");
    ignore(&s, "w1");
    client_joins(&s, "c2");
    s.wants_progress = true;
    client_attaches(&s, "c2", "b1", false, 10);
    ignore_all();
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ck_assert(was_sent(&s, "c2", "ROW b1 #0"));
    ignore_all();
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    ck_assert(was_sent(&s, "c2", "PROGRESS")); /* the batch has ended, row #1 waits */
    ignore_all();
    client_retries_tasks(&s, "c1", "b1", 1, 1);
    ignore_all();
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    ck_assert(was_sent(&s, "c2", "PROGRESS")); /* it has ended again, row #2 waits */
    ignore_all();
}
END_TEST

START_TEST(room_that_comes_free_when_the_owner_returns_is_leased)
{
    client_and_worker(&s, 3);
    client_joins(&s, "c2");
    client_submits_with(&s, "c1", "b1", 3, 1060, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 3");
    expect(&s, "w1", "LEASE b1 0+3");
    worker_fails(&s, "w1", "b1", 2, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 2+1");
    client_retries(&s, "c2", "b1");
    expect(&s, "c2", "DONE 1");
    expect_nothing_else(&s); /* no room for another lease */
    return_again("c1");      /* row 0 is given up */
    expect(&s, "w1", "LEASE b1 2+1 generation=2");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("generation");

    STORY(who_attaches_after_a_retry_is_not_shown_the_failures_from_before);
    STORY(of_failures_that_were_retried_in_part_the_rest_is_shown);
    STORY(each_retry_takes_the_failures_that_it_is_about);
    STORY(what_was_cancelled_stays_in_its_row_when_the_dead_are_retried);
    STORY(a_reader_that_waits_for_room_gets_only_what_still_holds);
    STORY(a_failure_that_is_being_fetched_is_not_sent_when_it_was_retried_meanwhile);
    STORY(a_failure_that_went_before_it_was_fetched_is_not_missed);
    STORY(acknowledging_a_failure_does_not_acknowledge_what_has_replaced_it);
    STORY(acknowledging_failures_retried_in_part_acknowledges_the_others);
    STORY(an_owner_that_comes_back_is_not_sent_the_failure_again);
    STORY(the_next_owner_is_not_sent_the_failure);
    STORY(a_failure_that_is_on_its_way_to_the_owner_takes_its_room);
    STORY(what_was_retried_is_not_shown_after_a_restart);
    STORY(failures_that_an_earlier_broker_has_left_are_not_shown);
    STORY(a_reader_behind_a_full_window_is_told_of_every_end);
    STORY(room_that_comes_free_when_the_owner_returns_is_leased);
    return story_run("engine/generation", tcase);
}
