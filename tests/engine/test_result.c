/* Exactly one result per task, whoever reports it and how often. */
#include "tests/engine/story.h"

#include "common/proto/chunk.h"

/* w1 has [0,4) and is silent until the lease goes to w2. */
static void lease_moves_to_w2(void)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_joins(&s, "w2", 4);
    worker_loses_leases(&s, "w1");
    s.now += HEARTBEAT_MS;
    heartbeat(&s, "w1");
    peer_of(&s, "w1")->width = 0;
    worker_mans(&s, "w1", "b1", 0);
    ignore(&s, "w1"); /* w2 would take what is beyond its oars now */
    heartbeat(&s, "w1");
    expect(&s, "w2", "LEASE b1 0+4");
}

START_TEST(a_result_is_in_the_store_before_it_is_acknowledged_or_shown)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 3); /* RESULTS_OK waits: worker_returns() looks */
    expect_row(&s, STORE_ROW, "b1", 0);
    expect_waiting(&s, "c1", "ROW b1 #0 values 0+3");
}
END_TEST

START_TEST(the_first_success_wins_from_any_lease)
{
    lease_moves_to_w2();
    worker_returns(&s, "w1", "b1", 0, 4); /* its lease is lost, but it was first */
    expect(&s, "w2", "CANCEL_LEASE b1 0+4 all");
    expect(&s, "c1", "ROW b1 #0 values 0+4");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(what_overlaps_a_result_that_is_there_is_left_out)
{
    lease_moves_to_w2();
    worker_returns(&s, "w2", "b1", 1, 2);
    expect(&s, "c1", "ROW b1 #0 values 1+2");
    worker_returns(&s, "w1", "b1", 0, 3);
    expect(&s, "w2", "CANCEL_LEASE b1 0+4 tasks=0+1");
    expect(&s, "c1", "ROW b1 #1 values 0+1");
    expect_trace(&s, "result.stale batch=1 worker=w1 tasks=2");
    worker_returns(&s, "w2", "b1", 3, 1);
    expect(&s, "c1", "ROW b1 #2 values 3+1");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=3");
}
END_TEST

START_TEST(a_result_that_is_stale_as_a_whole_makes_no_row)
{
    lease_moves_to_w2();
    worker_returns(&s, "w2", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    worker_returns(&s, "w1", "b1", 0, 2); /* answered RESULTS_OK all the same */
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_report_sent_again_after_a_reconnection_counts_once)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    peer_of(&s, "w1")->seq--; /* RESULTS_OK was lost: the same report again */
    worker_returns(&s, "w1", "b1", 0, 2);
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #1 values 2+1");
}
END_TEST

START_TEST(a_gap_in_the_reports_is_not_taken)
{
    struct tri_message message = { .type = TRI_MESSAGE_RELEASED };

    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 2);
    ignore(&s, "c1");
    message.released.seq = 3;
    client_asks(&s, "w1", &message);
    expect(&s, "w1", "ERROR INVALID");
}
END_TEST

START_TEST(results_come_in_scattered_runs)
{
    struct tri_chunk_builder builder;
    struct tri_range runs[] = { { 0, 1 }, { 2, 2 }, { 5, 1 } };
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, 3), .wall_ns = 4000000000 };
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_buffer frame = { 0 };
    struct tri_bytes payload;

    client_and_worker(&s, 6);
    client_submits(&s, "c1", "b1", 6);
    expect(&s, "w1", "LEASE b1 0+6");
    tri_chunk_builder_init(&builder);
    for (int i = 0; i < 4; i++) {
        tri_buffer_append(&builder.blob, "\x01", 1);
        tri_chunk_builder_close_value(&builder);
    }
    tri_result_encode(&builder, &head, &frame);
    payload = tri_buffer_bytes(&frame);
    message.results.seq = ++peer_of(&s, "w1")->seq;
    message.results.lease = lease_of(&s, "w1", "b1", 0)->lease;
    message.results.number = 1;
    message.results.generation = 1;
    peer_sends(&s, "w1", &message, &payload, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1,2+2,5+1");
    expect(&s, "w1", "RESULTS_OK 1");
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(results_of_another_epoch_or_generation_are_stale)
{
    struct held *held;

    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    held = lease_of(&s, "w1", "b1", 0);
    held->lease += UINT64_C(1) << 40;
    worker_returns(&s, "w1", "b1", 0, 1);
    expect_nothing_else(&s);
    held->lease -= UINT64_C(1) << 40;
    held->generation = 2;
    worker_returns(&s, "w1", "b1", 1, 1);
    expect_nothing_else(&s);
    held->generation = 1;
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #0 values 2+1");
}
END_TEST

/* An older copy of the store was put back: the epoch comes again. */
START_TEST(results_of_a_lease_that_was_not_given_in_this_life_are_stale)
{
    struct engine_options options = scenario_options();
    struct held *held;

    options.first_lease = 1000;
    story_with(&options);
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    held = lease_of(&s, "w1", "b1", 0);
    held->lease--;
    worker_returns(&s, "w1", "b1", 0, 1);
    expect_nothing_else(&s);
    held->lease += 2;
    worker_returns(&s, "w1", "b1", 1, 1);
    expect_nothing_else(&s);
    held->lease--;
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #0 values 2+1");
}
END_TEST

START_TEST(a_partial_is_taken_whole_when_nothing_of_it_is_done)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_folds(&s, "w1", "b1", 0, 3);
    expect(&s, "c1", "ROW b1 #0 partial 0+3 thread");
}
END_TEST

START_TEST(a_partial_that_overlaps_what_is_done_is_dropped_and_the_rest_runs_again)
{
    lease_moves_to_w2();
    worker_returns(&s, "w2", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #0 values 1+1");
    worker_folds(&s, "w1", "b1", 0, 4); /* not its lease any more: nothing to run again */
    expect_nothing_else(&s);
    tri_rangeset_add(&lease_of(&s, "w2", "b1", 0)->undone, 1, 1);
    worker_folds(&s, "w2", "b1", 0, 3);
    expect_trace(&s, "partial.dropped batch=1");
    expect(&s, "w2", "LEASE b1 0+1");
    expect(&s, "w2", "LEASE b1 2+1");
}
END_TEST

START_TEST(results_that_cannot_be_read_are_refused_and_their_tasks_run_again)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_bytes payload = tri_bytes_of("nonsense");

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    message.results.seq = ++peer_of(&s, "w1")->seq;
    message.results.lease = lease_of(&s, "w1", "b1", 0)->lease;
    message.results.number = 1;
    message.results.generation = 1;
    peer_sends(&s, "w1", &message, &payload, 1);
    expect(&s, "w1", "ERROR INVALID");
    expect(&s, "w1", "RESULTS_OK 1");
    worker_loses_leases(&s, "w1"); /* it thinks that all is reported */
    s.now += HEARTBEAT_MS;
    heartbeat(&s, "w1");
    heartbeat(&s, "w1");
    expect(&s, "w1", "LEASE b1 0+2");
}
END_TEST

START_TEST(no_success_after_a_cancel_becomes_visible_and_earlier_ones_stay)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    client_cancels(&s, "c1", "b1");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 all");
    expect(&s, "c1", "ROW b1 #1 entries 1+3");
    expect(&s, "c1", "DONE 3");
    expect(&s, "c1", "END b1 cancelled done=1 dead=0 cancelled=3 rows=2");
    worker_returns(&s, "w1", "b1", 1, 2); /* it was on its way */
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_late_success_for_a_dead_task_is_refused)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    expect(&s, "c1", "END b1 done done=1 dead=1 cancelled=0 rows=2");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("result");

    STORY(a_result_is_in_the_store_before_it_is_acknowledged_or_shown);
    STORY(the_first_success_wins_from_any_lease);
    STORY(what_overlaps_a_result_that_is_there_is_left_out);
    STORY(a_result_that_is_stale_as_a_whole_makes_no_row);
    STORY(a_report_sent_again_after_a_reconnection_counts_once);
    STORY(a_gap_in_the_reports_is_not_taken);
    STORY(results_come_in_scattered_runs);
    STORY(results_of_another_epoch_or_generation_are_stale);
    STORY(results_of_a_lease_that_was_not_given_in_this_life_are_stale);
    STORY(a_partial_is_taken_whole_when_nothing_of_it_is_done);
    STORY(a_partial_that_overlaps_what_is_done_is_dropped_and_the_rest_runs_again);
    STORY(results_that_cannot_be_read_are_refused_and_their_tasks_run_again);
    STORY(no_success_after_a_cancel_becomes_visible_and_earlier_ones_stay);
    STORY(a_late_success_for_a_dead_task_is_refused);
    return story_run("engine/result", tcase);
}
