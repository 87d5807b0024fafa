/* What becomes of leases over a restart. */
#include "tests/engine/story.h"

#include "broker/engine/state.h"

static void both(uint64_t width, uint64_t count)
{
    client_and_worker(&s, width);
    client_submits(&s, "c1", "b1", count);
}

static uint64_t workers_of(const char *name)
{
    const struct batch *batch = tri_map_find(&s.engine->batches, batch_of(&s, name)->number);

    return batch->workers;
}

static void client_follows_again(void)
{
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 100000);
}

START_TEST(a_worker_that_comes_back_keeps_what_it_holds)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect_informing(&s, "w1", "WELCOME");
    client_follows_again();
    expect(&s, "c1", "ATTACHED b1 4 running");
    worker_returns(&s, "w1", "b1", 0, 4);
    expect(&s, "c1", "ROW b1 #0 values 0+4");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(nothing_of_an_old_batch_is_leased_before_every_known_worker_has_come)
{
    both(2, 20);
    ignore(&s, "w1"); /* 0+2 and, queued behind, 2+2 */
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 4+2");
    ignore(&s, "w2");
    broker_restarts(&s);
    worker_joins(&s, "w3", 2);
    expect_nothing_else(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect_nothing_else(&s);
    peer_returns(&s, "w2");
    expect(&s, "w2", "WELCOME");
    expect_trace(&s, "reclaim.ended leases=4 absent=0");
    expect(&s, "w3", "LEASE b1 8+2");
    ignore(&s, "w3");
}
END_TEST

START_TEST(what_no_worker_comes_back_with_is_leased_when_reclaim_ms_has_passed)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    worker_joins(&s, "w2", 4);
    time_passes_ms(&s, 14900);
    expect_nothing_else(&s);
    time_passes_ms(&s, 200);
    expect(&s, "w2", "LEASE b1 0+4");
    expect_trace(&s, "reclaim.ended leases=0 absent=1");
}
END_TEST

START_TEST(a_worker_that_comes_after_that_keeps_what_is_still_pending)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    time_passes_ms(&s, 16000);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect_trace(&s, "lease.reclaimed lease=1099511627777 worker=w1 tasks=4");
    client_follows_again();
    expect(&s, "c1", "ATTACHED b1 4 running");
    worker_returns(&s, "w1", "b1", 0, 4);
    ignore(&s, "c1");
}
END_TEST

START_TEST(results_of_a_lease_that_was_given_to_another_count_if_they_come_first)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    worker_joins(&s, "w2", 4);
    time_passes_ms(&s, 16000);
    expect(&s, "w2", "LEASE b1 0+4");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME dropped=1");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "w2", "CANCEL_LEASE b1 0+4 tasks=1+1");
    client_follows_again();
    expect(&s, "c1", "ATTACHED b1 4 running");
    expect(&s, "c1", "ROW b1 #0 values 1+1");
}
END_TEST

START_TEST(a_new_batch_is_leased_at_once_after_a_restart)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    worker_joins(&s, "w2", 4);
    client_submits(&s, "c1", "b2", 4);
    expect(&s, "w2", "LEASE b2 0+4");
}
END_TEST

START_TEST(without_known_workers_old_batches_are_leased_at_once)
{
    both(4, 8);
    ignore(&s, "w1");
    peer_says_bye(&s, "w1");
    broker_restarts(&s);
    worker_joins(&s, "w2", 8);
    tick(&s);
    expect(&s, "w2", "LEASE b1 0+8");
}
END_TEST

START_TEST(tasks_that_were_leased_and_never_arrived_are_leased_again_after_a_restart)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_loses_leases(&s, "w1");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 0+4");
}
END_TEST

START_TEST(a_report_that_was_taken_before_the_restart_is_answered_and_shows_nothing_twice)
{
    struct held *held;

    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    client_follows_again();
    expect(&s, "c1", "ATTACHED b1 4 running");
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    held = lease_of(&s, "w1", "b1", 2);
    peer_of(&s, "w1")->seq--; /* RESULTS_OK was lost: the very same report again */
    tri_rangeset_add(&held->undone, 0, 2);
    worker_returns(&s, "w1", "b1", 0, 2);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_held_lease_of_a_task_with_a_result_keeps_only_the_rest)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 2)->undone, 0, 2); /* RESULTS_OK was lost */
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 tasks=0+2");
}
END_TEST

START_TEST(a_failure_of_a_reclaimed_lease_is_charged)
{
    client_and_worker(&s, 1);
    client_submits_with(&s, "c1", "b1", 1, 100000, &(struct scenario_spec){ .retries = 5 });
    expect(&s, "c1", "ACCEPTED b1 1");
    expect(&s, "w1", "LEASE b1 0+1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 200);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 400);
    expect(&s, "w1", "LEASE b1 0+1 attempt=3");
}
END_TEST

/* w1 comes back with a task whose failure was charged, and does not know that. */
static void reclaim_a_charged_failure(void)
{
    client_and_worker(&s, 1);
    client_submits_with(&s, "c1", "b1", 1, 100000, &(struct scenario_spec){ .retries = 5 });
    expect(&s, "c1", "ACCEPTED b1 1");
    expect(&s, "w1", "LEASE b1 0+1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 0)->undone, 0, 1); /* RESULTS_OK was lost */
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
}

START_TEST(a_failure_that_was_charged_before_a_restart_is_waited_for_when_it_is_said_again)
{
    reclaim_a_charged_failure();
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    time_passes_ms(&s, 49);
    expect_nothing_else(&s);
    time_passes_ms(&s, 51);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2");
}
END_TEST

START_TEST(what_was_reclaimed_out_of_its_wait_goes_back_to_it)
{
    reclaim_a_charged_failure();
    worker_joins(&s, "w2", 1);
    peer_says_bye(&s, "w1");
    time_passes_ms(&s, 49);
    expect_nothing_else(&s);
    time_passes_ms(&s, 51);
    expect(&s, "w2", "LEASE b1 0+1 attempt=2");
}
END_TEST

START_TEST(a_failure_from_before_a_retry_by_hand_is_not_charged_after_it)
{
    both(1, 1);
    expect(&s, "w1", "LEASE b1 0+1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 0)->undone, 0, 1); /* RESULTS_OK was lost */
    broker_restarts(&s);
    client_follows_again();
    ignore(&s, "c1");
    client_retries(&s, "c1", "b1");
    ignore(&s, "c1");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect_nothing_else(&s);
    time_passes_ms(&s, 1000);
    heartbeat(&s, "w1"); /* the second in a row that does not name the lease */
    ignore(&s, "c1");
    expect(&s, "w1", "LEASE b1 0+1 generation=2");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #1 values 0+1 generation=2");
    ignore(&s, "c1");
}
END_TEST

START_TEST(a_reclaimed_lease_lives_by_being_named_and_expires_otherwise)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    time_passes_ms(&s, 30000);
    expect_nothing_else(&s);
    peer_goes_silent(&s, "w1");
    worker_joins(&s, "w2", 4);
    time_passes_ms(&s, 10000);
    expect(&s, "w2", "LEASE b1 0+4");
}
END_TEST

START_TEST(a_lease_survives_two_restarts_under_its_number)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    for (int i = 0; i < 2; i++) {
        broker_restarts(&s);
        peer_returns(&s, "w1");
        expect(&s, "w1", "WELCOME");
    }
    worker_returns(&s, "w1", "b1", 0, 4);
    client_follows_again();
    expect(&s, "c1", "ATTACHED b1 4 done");
    expect(&s, "c1", "ROW b1 #0 values 0+4");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=1");
}
END_TEST

/* The batch was never durable: its number means another one now. */
START_TEST(what_an_old_lease_yields_is_not_taken_for_a_batch_that_came_later)
{
    struct held *held;

    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    lose_row(&s, (struct store_key){ STORE_BATCH, 1, 0 });
    kept_row(&s, (struct store_key){ STORE_META, 0, 0 })->head[3]--; /* the next number again */
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME dropped=1");
    client_submits_with(&s, "c1", "b2", 4, 100000, &(struct scenario_spec){ 0 });
    ck_assert_uint_eq(batch_of(&s, "b2")->number, 1);
    ignore(&s, "c1");
    ignore(&s, "w1");
    held = &peer_of(&s, "w1")->held[1];
    ck_assert_uint_eq(held->lease >> 40, 2);
    tri_rangeset_clear(&held->undone); /* it is the first lease that it reports about */
    worker_returns(&s, "w1", "b1", 0, 1);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(what_an_old_lease_yields_for_items_that_were_lost_is_not_taken_for_their_successors)
{
    struct held *held;

    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", 100000);
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    lose_row(&s, (struct store_key){ STORE_CHUNK, 1, 2 });
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 100000);
    expect(&s, "c1", "ATTACHED b1 2 open");
    client_appends_at(&s, "c1", "b1", 2, 2, 8, 'y');
    expect(&s, "c1", "APPENDED b1 4");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME dropped=2");
    expect(&s, "w1", "LEASE b1 2+2 items=2/0+2");
    held = &peer_of(&s, "w1")->held[2];
    ck_assert_uint_eq(held->lease >> 40, 2);
    tri_rangeset_clear(&held->undone);
    worker_returns(&s, "w1", "b1", 2, 2);
    expect_nothing_else(&s);
}
END_TEST

/* w1 has accepted the batch and returned nothing yet, w2 has refused it. */
START_TEST(a_batch_is_not_halted_when_those_that_refused_it_come_back_first)
{
    both(1, 3);
    ignore(&s, "w1");
    worker_hesitates(&s, "w2");
    expect(&s, "w2", "BATCH b1");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    broker_restarts(&s);
    peer_returns(&s, "w2");
    expect(&s, "w2", "WELCOME");
    time_passes_ms(&s, s.options.limits.reclaim_ms);
    expect_trace(&s, "reclaim.ended leases=0 absent=1");
    expect(&s, "w2", "BATCH b1");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    time_passes_ms(&s, s.options.limits.refusal_grace_ms - 1);
    expect_nothing_else(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect_trace(&s, "lease.reclaimed lease=1099511627777 worker=w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_worker_that_serves_a_batch_before_and_after_a_restart_counts_once)
{
    both(1, 4);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    ignore(&s, "w1");
    ck_assert_uint_eq(workers_of("b1"), 1);
    broker_restarts(&s);
    peer_returns(&s, "w1");
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 1, 1);
    ignore(&s, "w1");
    ck_assert_uint_eq(workers_of("b1"), 1);
    worker_joins(&s, "w2", 1);
    ignore(&s, "w2");
    worker_returns_everything(&s, "w2", 1000);
    worker_returns_everything(&s, "w1", 1000);
    ck_assert_uint_eq(workers_of("b1"), 2);
    ignore(&s, "w1");
    ignore(&s, "w2");
}
END_TEST

/* Without a restart, too: its session ended meanwhile. */
START_TEST(a_worker_that_was_away_for_long_counts_once)
{
    both(1, 4);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    ignore(&s, "w1");
    peer_goes_silent(&s, "w1");
    time_passes_ms(&s, 4 * LEASE_MS);
    peer_returns(&s, "w1");
    ignore(&s, "w1");
    worker_returns_everything(&s, "w1", 1000);
    ck_assert_uint_eq(workers_of("b1"), 1);
    ignore(&s, "w1");
    ignore(&s, "c1");
}
END_TEST

START_TEST(two_workers_cannot_both_reclaim_a_task)
{
    both(4, 4);
    expect(&s, "w1", "LEASE b1 0+4");
    peer_lost(&s, "w1");
    worker_joins(&s, "w2", 4);
    time_passes_ms(&s, 10000);
    expect(&s, "w2", "LEASE b1 0+4");
    broker_restarts(&s);
    peer_returns(&s, "w2");
    expect(&s, "w2", "WELCOME");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME dropped=1");
}
END_TEST

START_TEST(a_restarted_broker_has_the_same_cluster_and_a_later_epoch)
{
    struct engine_options options = scenario_options();

    memset(options.cluster.bytes, 7, 16);
    story_with(&options);
    both(1, 1);
    ignore(&s, "w1");
    memset(s.options.cluster.bytes, 9, 16); /* what a start without a store would have made up */
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    ck_assert_uint_eq(s.welcome_epoch, options.epoch + 1);
    ck_assert_mem_eq(s.welcome_cluster, options.cluster.bytes, 16);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reclaim");

    STORY(a_worker_that_comes_back_keeps_what_it_holds);
    STORY(nothing_of_an_old_batch_is_leased_before_every_known_worker_has_come);
    STORY(what_no_worker_comes_back_with_is_leased_when_reclaim_ms_has_passed);
    STORY(a_worker_that_comes_after_that_keeps_what_is_still_pending);
    STORY(results_of_a_lease_that_was_given_to_another_count_if_they_come_first);
    STORY(a_new_batch_is_leased_at_once_after_a_restart);
    STORY(without_known_workers_old_batches_are_leased_at_once);
    STORY(tasks_that_were_leased_and_never_arrived_are_leased_again_after_a_restart);
    STORY(a_report_that_was_taken_before_the_restart_is_answered_and_shows_nothing_twice);
    STORY(a_held_lease_of_a_task_with_a_result_keeps_only_the_rest);
    STORY(a_failure_of_a_reclaimed_lease_is_charged);
    STORY(a_failure_that_was_charged_before_a_restart_is_waited_for_when_it_is_said_again);
    STORY(what_was_reclaimed_out_of_its_wait_goes_back_to_it);
    STORY(a_failure_from_before_a_retry_by_hand_is_not_charged_after_it);
    STORY(a_reclaimed_lease_lives_by_being_named_and_expires_otherwise);
    STORY(a_lease_survives_two_restarts_under_its_number);
    STORY(what_an_old_lease_yields_is_not_taken_for_a_batch_that_came_later);
    STORY(what_an_old_lease_yields_for_items_that_were_lost_is_not_taken_for_their_successors);
    STORY(a_batch_is_not_halted_when_those_that_refused_it_come_back_first);
    STORY(a_worker_that_serves_a_batch_before_and_after_a_restart_counts_once);
    STORY(a_worker_that_was_away_for_long_counts_once);
    STORY(two_workers_cannot_both_reclaim_a_task);
    STORY(a_restarted_broker_has_the_same_cluster_and_a_later_epoch);
    return story_run("engine/reclaim", tcase);
}
