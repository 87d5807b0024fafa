/* Leases in, results out: batches, the one host of many oars, items, cancelling, revoking. */
#include "story.h"

#include "tests/unit/unit.h"

START_TEST(a_batch_is_answered_with_oars_and_its_host_starts)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_AUTO, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    session_ends();
}
END_TEST

START_TEST(a_lease_goes_to_the_host_as_a_whole_and_its_results_to_the_broker)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    host_returns(1, 1, 0, 60, 1);
    expect("RESULTS #1 lease 10: 0+60");
    lease_comes(11, 1, 100, 50);
    expect("to 1: LEASE 2 100+50");
    host_returns(1, 1, 60, 40, 1);
    expect("RESULTS #2 lease 10: 60+40");
    broker_acknowledges(2);
    host_folds(1, 2, 100, 49);
    expect("PARTIAL #3 lease 11: 100+49");
    host_ends_task(1, 2, 149, TRI_OUTCOME_FAILED);
    expect("ENDED #4 lease 11: 149 failed (as it was)");
    time_passes_ms(999);
    expect_nothing_else();
    time_passes_ms(1);
    expect("HEARTBEAT busy 0");
    session_ends();
}
END_TEST

START_TEST(scattered_results_end_a_lease_when_nothing_is_left)
{
    static const struct story_range odd[] = { { 1, 1 }, { 3, 1 } };
    static const struct story_range even[] = { { 0, 1 }, { 2, 1 } };

    session_begins(NULL);
    worker_joins();
    batch_comes(1, "wait", TRI_MODEL_AUTO, 0);
    expect("OARS 1 async x10000");
    expect_host(1, "async", 10000);
    lease_comes(10, 1, 0, 4);
    expect("to 1: LEASE 1 0+4");
    host_returns_runs(1, 1, odd, 2, 1);
    expect("RESULTS #1 lease 10: 1+1,3+1");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0 10:-");
    host_returns_runs(1, 1, even, 2, 1);
    expect("RESULTS #2 lease 10: 0+1,2+1");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0");
    session_ends();
}
END_TEST

START_TEST(heartbeats_name_leases_and_what_has_started)
{
    static const struct session_task started[] = { { 1, 0 }, { 1, 5 }, { 1, 6 }, { 9, 3 } };

    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 10);
    expect("to 1: LEASE 1 0+10");
    hosts_are_on(started, 4); /* of a slice 9 nobody knows anything */
    time_passes_ms(1000);
    expect("HEARTBEAT busy 3 10:0+1,5+2");
    host_returns(1, 1, 0, 6, 1);
    expect("RESULTS #1 lease 10: 0+6");
    time_passes_ms(1000); /* the table is read at any time: 5 was reported */
    expect("HEARTBEAT busy 1 10:6+1");
    session_ends();
}
END_TEST

START_TEST(items_travel_untouched_and_are_cut_only_for_what_runs_again)
{
    session_begins(NULL);
    worker_joins();
    batch_with(1, &(struct tri_rec_spec){ .handler = { (const uint8_t *)"compute", 7 },
                                          .source = TRI_SOURCE_ITEMS,
                                          .model = TRI_MODEL_THREAD });
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    items_come(10, 1, 1000, 250, 100);
    expect("to 1: LEASE 1 1000+250 items 1000..1249/3");
    host_returns(1, 1, 1000, 50, 1);
    expect("RESULTS #1 lease 10: 1000+50");
    host_returns(1, 1, 1120, 10, 1);
    expect("RESULTS #2 lease 10: 1120+10");
    host_crashes(1, 11, (struct session_task){ 1, 1130 });
    expect("ENDED #3 lease 10: 1130 crashed (killed by signal 11 (SIGSEGV))");
    expect_host(2, "thread", 2);
    expect("to 2: LEASE 2 1050+70 items 1050..1119/2");
    expect("to 2: LEASE 3 1131+119 items 1131..1249/2");
    session_ends();
}
END_TEST

START_TEST(items_in_very_many_frames_go_in_several_messages)
{
    session_begins(NULL);
    worker_joins();
    batch_with(1, &(struct tri_rec_spec){ .handler = { (const uint8_t *)"compute", 7 },
                                          .source = TRI_SOURCE_ITEMS,
                                          .model = TRI_MODEL_THREAD });
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    items_come(10, 1, 0, 240, 1);
    expect("to 1: LEASE 1 0+100 items 0..99/100");
    expect("to 1: LEASE 2 100+100 items 100..199/100");
    expect("to 1: LEASE 3 200+40 items 200..239/40");
    session_ends();
}
END_TEST

START_TEST(a_lease_whose_items_are_not_there_is_forgotten)
{
    session_begins(NULL);
    worker_joins();
    batch_with(1, &(struct tri_rec_spec){ .handler = { (const uint8_t *)"compute", 7 },
                                          .source = TRI_SOURCE_ITEMS,
                                          .model = TRI_MODEL_THREAD });
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 5);
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0"); /* unnamed: the broker takes it back */
    session_ends();
}
END_TEST

START_TEST(a_lease_of_an_unknown_batch_is_given_back)
{
    session_begins(NULL);
    worker_joins();
    lease_comes(10, 4, 7, 3);
    expect("RELEASED #1 lease 10: 7+3");
    session_ends();
}
END_TEST

START_TEST(what_cannot_run_here_is_refused_with_a_reason)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "nobody", TRI_MODEL_AUTO, 0);
    expect("OARS 1 refused UNSUPPORTED");
    lease_comes(10, 1, 0, 5);
    expect("RELEASED #1 lease 10: 0+5");
    session_ends();
}
END_TEST

START_TEST(a_host_that_cannot_run_the_batch_has_it_refused)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 5);
    expect("to 1: LEASE 1 0+5");
    host_wants_out(1, TRI_INVALID, "no such reducer");
    expect("OARS 1 refused INVALID");
    expect("to 1: CANCEL 1 -");
    expect("RELEASED #1 lease 10: 0+5");
    expect("kill 1 KILL");
    session_ends();
}
END_TEST

START_TEST(a_cancelled_lease_is_forgotten_and_late_results_of_it_too)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    broker_cancels(10, 20, 30);
    expect("to 1: CANCEL 1 20+30");
    host_returns(1, 1, 20, 5, 1); /* on its way when it was cancelled */
    host_returns(1, 1, 10, 20, 1);
    expect("RESULTS #1 lease 10: 10+20");
    broker_cancels(10, 0, 0);
    expect("to 1: CANCEL 1 -");
    host_returns(1, 1, 50, 50, 1);
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0");
    session_ends();
}
END_TEST

START_TEST(a_revoked_range_comes_back_from_the_host)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    broker_revokes(10, 50, 50);
    expect("to 1: REVOKE 1 50+50");
    host_returns(1, 1, 0, 55, 1);
    expect("RESULTS #1 lease 10: 0+55");
    host_gives_back(1, 1, 60, 40);
    expect("RELEASED #2 lease 10: 60+40");
    host_returns(1, 1, 55, 5, 1);
    expect("RESULTS #3 lease 10: 55+5");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0");
    session_ends();
}
END_TEST

START_TEST(every_revoke_is_answered_once)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    broker_revokes(99, 0, 10);
    expect("RELEASED #1 lease 99: -");
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    broker_revokes(10, 90, 10);
    expect("to 1: REVOKE 1 90+10");
    broker_revokes(10, 80, 10); /* while the host is asked already */
    expect("RELEASED #2 lease 10: -");
    host_returns(1, 1, 0, 100, 1);
    expect("RESULTS #3 lease 10: 0+100");
    expect("RELEASED #4 lease 10: -");
    host_gives_back(1, 1, 0, 0); /* for a lease that is over */
    session_ends();
}
END_TEST

START_TEST(what_is_cancelled_while_a_revoke_is_under_way_is_not_given_back)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_PROCESS, 0);
    expect("OARS 1 process x2");
    lease_comes(10, 1, 0, 2);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    expect_host(2, "process", 1);
    expect("to 2: LEASE 2 1+1");
    broker_revokes(10, 0, 2);
    expect("to 1: REVOKE 1 0+2");
    expect("to 2: REVOKE 2 0+2");
    host_gives_back(1, 1, 0, 1);
    broker_cancels(10, 0, 1);
    host_returns(2, 2, 1, 1, 1);
    expect("RESULTS #1 lease 10: 1+1");
    expect("RELEASED #2 lease 10: -");
    session_ends();
}
END_TEST

START_TEST(a_revoke_is_answered_when_its_host_dies)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    broker_revokes(10, 50, 50);
    expect("to 1: REVOKE 1 50+50");
    host_crashes(1, 11, (struct session_task){ 1, 3 });
    expect("ENDED #1 lease 10: 3 crashed (killed by signal 11 (SIGSEGV))");
    expect("RELEASED #2 lease 10: 50+50");
    expect_host(2, "thread", 2);
    expect("to 2: LEASE 2 0+3");
    expect("to 2: LEASE 3 4+46");
    session_ends();
}
END_TEST

START_TEST(the_end_of_a_batch_ends_its_hosts_and_kills_those_that_stay)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    batch_ends(1);
    expect("end 1");
    host_returns(1, 1, 0, 100, 1);
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0");
    expect("kill 1 KILL");
    host_is_killed(1, 9, NULL, 0);
    session_ends();
}
END_TEST

START_TEST(hosts_of_a_batch_at_rest_end_and_come_back_with_the_next_lease)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 1);
    expect("to 1: LEASE 1 0+1");
    host_returns(1, 1, 0, 1, 1);
    expect("RESULTS #1 lease 10: 0+1");
    broker_acknowledges(1);
    for (int i = 0; i < 29; i++) {
        time_passes_ms(1000);
        expect("HEARTBEAT busy 0");
        broker_answers_heartbeat(0);
    }
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0");
    expect("end 1");
    broker_answers_heartbeat(0);
    host_is_killed(1, 0, NULL, 0);
    lease_comes(11, 1, 1, 1);
    expect_host(2, "thread", 2);
    expect("to 2: LEASE 2 1+1");
    session_ends();
}
END_TEST

START_TEST(a_host_that_reports_what_it_was_not_given_is_killed_and_its_tasks_run_again)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 0);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 50, 10);
    expect("to 1: LEASE 1 50+10");
    host_returns(1, 1, 45, 10, 1);
    expect("kill 1 KILL");
    host_is_killed(1, 9, NULL, 0);
    time_passes_ms(100); /* not at once: it might be always so */
    expect_host(2, "thread", 2);
    expect("to 2: LEASE 2 50+10");
    session_ends();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("leases");

    tcase_add_test(tcase, a_batch_is_answered_with_oars_and_its_host_starts);
    tcase_add_test(tcase, a_lease_goes_to_the_host_as_a_whole_and_its_results_to_the_broker);
    tcase_add_test(tcase, scattered_results_end_a_lease_when_nothing_is_left);
    tcase_add_test(tcase, heartbeats_name_leases_and_what_has_started);
    tcase_add_test(tcase, items_travel_untouched_and_are_cut_only_for_what_runs_again);
    tcase_add_test(tcase, items_in_very_many_frames_go_in_several_messages);
    tcase_add_test(tcase, a_lease_whose_items_are_not_there_is_forgotten);
    tcase_add_test(tcase, a_lease_of_an_unknown_batch_is_given_back);
    tcase_add_test(tcase, what_cannot_run_here_is_refused_with_a_reason);
    tcase_add_test(tcase, a_host_that_cannot_run_the_batch_has_it_refused);
    tcase_add_test(tcase, a_cancelled_lease_is_forgotten_and_late_results_of_it_too);
    tcase_add_test(tcase, a_revoked_range_comes_back_from_the_host);
    tcase_add_test(tcase, every_revoke_is_answered_once);
    tcase_add_test(tcase, what_is_cancelled_while_a_revoke_is_under_way_is_not_given_back);
    tcase_add_test(tcase, a_revoke_is_answered_when_its_host_dies);
    tcase_add_test(tcase, the_end_of_a_batch_ends_its_hosts_and_kills_those_that_stay);
    tcase_add_test(tcase, hosts_of_a_batch_at_rest_end_and_come_back_with_the_next_lease);
    tcase_add_test(tcase,
                   a_host_that_reports_what_it_was_not_given_is_killed_and_its_tasks_run_again);
    return unit_run("worker_session/leases", tcase);
}
