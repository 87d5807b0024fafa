/* How much work goes where. */
#include "tests/engine/story.h"

#include <stdlib.h>

#define WINDOW (UINT64_C(16) << 20)
#define MS UINT64_C(1000000)

START_TEST(free_oars_are_filled_first_and_split_between_workers)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 8);
    expect(&s, "w1", "BATCH b1");
    expect(&s, "w2", "BATCH b1");
    worker_mans(&s, "w1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+1"); /* half of its share of what w2 leaves */
    worker_mans(&s, "w2", "b1", 2);
    expect(&s, "w2", "LEASE b1 3+2");
    expect(&s, "w2", "LEASE b1 5+1");
}
END_TEST

START_TEST(ten_thousand_waits_start_at_once)
{
    client_and_worker(&s, 10000);
    client_submits(&s, "c1", "b1", 10000);
    expect(&s, "w1", "LEASE b1 0+10000");
}
END_TEST

START_TEST(a_few_tasks_are_spread_over_those_who_have_oars)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 3);
    expect(&s, "w1", "BATCH b1");
    expect(&s, "w2", "BATCH b1");
    worker_mans(&s, "w1", "b1", 100);
    expect(&s, "w1", "LEASE b1 0+3"); /* w2 has said 2 oars: its share is nothing */
    worker_mans(&s, "w2", "b1", 100);
}
END_TEST

START_TEST(a_small_batch_asks_no_more_workers_than_it_needs)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "BATCH b1");
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_worker_that_does_not_answer_does_not_hold_a_batch_up)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "BATCH b1");
    time_passes_ms(&s, 3 * HEARTBEAT_MS);
    expect(&s, "w2", "BATCH b1");
    worker_mans(&s, "w2", "b1", 1);
    expect(&s, "w2", "LEASE b1 0+1");
    worker_mans(&s, "w1", "b1", 1); /* late, and welcome */
}
END_TEST

START_TEST(short_tasks_are_leased_by_time_and_leases_double)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100000);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    worker_returns_in(&s, "w1", "b1", 0, 2, 8, MS); /* 1 ms each: 100 ms are 200 tasks */
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "w1", "LEASE b1 4+4"); /* free oars and two more */
    expect(&s, "w1", "LEASE b1 8+8");
    expect(&s, "w1", "LEASE b1 16+16");
    expect(&s, "w1", "LEASE b1 32+32");
    expect(&s, "w1", "LEASE b1 64+64"); /* enough: more than half of the target */
}
END_TEST

START_TEST(long_tasks_are_not_queued_ahead)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    worker_returns_in(&s, "w1", "b1", 0, 2, 8, 300 * MS);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    worker_returns_in(&s, "w1", "b1", 2, 1, 8, 300 * MS);
    expect(&s, "c1", "ROW b1 #1 values 2+1");
    expect(&s, "w1", "LEASE b1 4+1"); /* the free oar, nothing more */
}
END_TEST

START_TEST(the_last_leases_shrink)
{
    uint64_t largest = 0;
    const char *line;

    client_and_worker(&s, 1);
    client_submits(&s, "c1", "b1", 64);
    ignore(&s, "w1");
    worker_returns_in(&s, "w1", "b1", 0, 1, 8, MS);
    ignore(&s, "c1");
    while (sent_count(&s, "w1") != 0) {
        line = next_line(&s, "w1");
        uint64_t count = strtoull(strchr(line, '+') + 1, NULL, 10);

        if (count > largest)
            largest = count;
    }
    ck_assert_uint_le(largest, 32);
}
END_TEST

START_TEST(two_batches_share_the_oars_of_a_worker_as_fractions)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2"); /* half of the worker */
    peer_of(&s, "w1")->width = 100;
    client_submits(&s, "c1", "b2", 200);
    expect(&s, "w1", "LEASE b2 0+50"); /* the other half, in oars of its own */
}
END_TEST

START_TEST(nothing_is_queued_behind_tasks_of_unknown_length_of_another_batch)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    client_submits(&s, "c1", "b2", 2);
    expect_nothing_else(&s);
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "w1", "LEASE b2 0+1");
}
END_TEST

START_TEST(a_worker_without_the_handler_or_a_label_gets_nothing)
{
    static const char *const fly[] = { "fly", NULL };
    static const char *const square[] = { "square", NULL };
    static const char *const gpu[] = { "gpu", "big", NULL };
    static const char *const none[] = { NULL };
    static const char *const want[] = { "gpu", NULL };
    struct scenario_spec spec = { .labels = want };

    client_joins(&s, "c1");
    worker_joins_with(&s, "w1", 4, fly, gpu);
    worker_joins_with(&s, "w2", 4, square, none);
    client_submits_with(&s, "c1", "b1", 2, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 2 absent");
    worker_joins_with(&s, "w3", 4, square, gpu);
    expect(&s, "w3", "LEASE b1 0+2");
}
END_TEST

START_TEST(what_returns_to_pending_is_leased_before_what_is_fresh)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    worker_joins(&s, "w2", 2);
    ignore(&s, "w2");
    peer_says_bye(&s, "w1");
    worker_returns(&s, "w2", "b1", 4, 2);
    expect(&s, "c1", "ROW b1 #0 values 4+2");
    worker_returns_everything(&s, "w2", 1000 * MS);
    ignore(&s, "c1");
    ck_assert(tri_rangeset_is_empty(&lease_of(&s, "w2", "b1", 0)->undone));
    ignore(&s, "w2");
}
END_TEST

START_TEST(a_worker_that_drains_gets_nothing_more)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 100);
    ignore(&s, "w1");
    worker_mans(&s, "w1", "b1", 0);
    worker_releases(&s, "w1", "b1", 2, 2);
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    worker_mans(&s, "w1", "b1", 2);
    expect(&s, "w1", "LEASE b1 2+2");
}
END_TEST

START_TEST(a_lease_renewed_in_time_outlives_a_lost_connection)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_joins(&s, "w2", 2);
    peer_lost(&s, "w1");
    time_passes_ms(&s, LEASE_MS - 1);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    time_passes_ms(&s, LEASE_MS);
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "c1", "END b1 done done=2 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(what_a_lost_worker_had_is_offered_to_those_who_can_be_reached)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_joins(&s, "w2", 2);
    time_passes_ms(&s, HEARTBEAT_MS / 2);
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    peer_lost(&s, "w1");
    /* Its lease expires before its session does. */
    time_passes_ms(&s, LEASE_MS - HEARTBEAT_MS / 2);
    expect_trace(&s, "lease.lost");
    expect(&s, "w2", "LEASE b1 1+1");
}
END_TEST

START_TEST(a_worker_that_cannot_be_reached_is_not_waited_for)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "BATCH b1");
    worker_joins(&s, "w2", 4);
    expect_nothing_else(&s); /* one is asked, that is enough for one task */
    peer_lost(&s, "w1");
    expect(&s, "w2", "LEASE b1 0+1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lease");

    STORY(free_oars_are_filled_first_and_split_between_workers);
    STORY(ten_thousand_waits_start_at_once);
    STORY(a_few_tasks_are_spread_over_those_who_have_oars);
    STORY(a_small_batch_asks_no_more_workers_than_it_needs);
    STORY(a_worker_that_does_not_answer_does_not_hold_a_batch_up);
    STORY(short_tasks_are_leased_by_time_and_leases_double);
    STORY(long_tasks_are_not_queued_ahead);
    STORY(the_last_leases_shrink);
    STORY(two_batches_share_the_oars_of_a_worker_as_fractions);
    STORY(nothing_is_queued_behind_tasks_of_unknown_length_of_another_batch);
    STORY(a_worker_without_the_handler_or_a_label_gets_nothing);
    STORY(what_returns_to_pending_is_leased_before_what_is_fresh);
    STORY(a_worker_that_drains_gets_nothing_more);
    STORY(a_lease_renewed_in_time_outlives_a_lost_connection);
    STORY(what_a_lost_worker_had_is_offered_to_those_who_can_be_reached);
    STORY(a_worker_that_cannot_be_reached_is_not_waited_for);
    return story_run("engine/lease", tcase);
}
