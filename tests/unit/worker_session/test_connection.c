/* The session with the broker: greeting, heartbeats, losing it and coming back; credit; leaving. */
#include "story.h"

#include "tests/unit/unit.h"

static void thread_batch(void)
{
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
}

static void two_heartbeats_answered(const char *line)
{
    for (int i = 0; i < 2; i++) {
        time_passes_ms(1000);
        expect("%s", line);
        broker_answers_heartbeat(0);
    }
}

START_TEST(a_broker_that_does_not_answer_is_tried_again_with_longer_and_longer_pauses)
{
    session_begins(NULL);
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    time_passes_ms(2999);
    expect_nothing_else();
    time_passes_ms(1);
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    session_ends();
}
END_TEST

START_TEST(three_heartbeats_without_an_answer_are_a_lost_connection)
{
    session_begins(NULL);
    worker_joins();
    time_passes_ms(2999);
    expect("HEARTBEAT busy 0");
    expect("HEARTBEAT busy 0");
    time_passes_ms(1);
    expect("connect");
    session_ends();
}
END_TEST

START_TEST(unacknowledged_reports_are_sent_again_unchanged_before_anything_else)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    host_returns(1, 1, 0, 10, 1);
    expect("RESULTS #1 lease 10: 0+10");
    host_ends_task(1, 1, 10, TRI_OUTCOME_FAILED);
    expect("ENDED #2 lease 10: 10 failed (as it was)");
    broker_acknowledges(1);
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    host_returns(1, 1, 11, 9, 1); /* hosts go on meanwhile */
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:10+90"); /* what the broker may not know is held, too */
    host_returns(1, 1, 20, 5, 1);
    broker_welcomes(0);
    expect("ENDED #2 lease 10: 10 failed (as it was)");
    expect("RESULTS #3 lease 10: 11+9");
    expect("RESULTS #4 lease 10: 20+5");
    broker_acknowledges(4);
    session_ends();
}
END_TEST

START_TEST(what_the_broker_has_dropped_is_cancelled)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_NO_SESSION });
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:0+100");
    broker_welcomes(10);
    expect("to 1: CANCEL 1 -");
    lease_comes(11, 1, 0, 50);
    expect("to 1: LEASE 2 0+50");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0 11:-");
    broker_answers_heartbeat(11);
    expect("to 1: CANCEL 2 -");
    session_ends();
}
END_TEST

START_TEST(leases_end_lease_ms_after_the_last_answered_heartbeat_was_sent)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    two_heartbeats_answered("HEARTBEAT busy 0 10:-"); /* the second was sent at 2 s */
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    time_passes_ms(9999);
    expect_nothing_else();
    time_passes_ms(1);
    expect("to 1: CANCEL 1 -");
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    session_ends();
}
END_TEST

START_TEST(leases_end_sooner_when_the_broker_comes_back_with_shorter_ones)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:0+100");
    broker_with_lease_ms_welcomes(3000);
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    time_passes_ms(2999);
    expect_nothing_else();
    time_passes_ms(1);
    expect("to 1: CANCEL 1 -");
    session_ends();
}
END_TEST

START_TEST(a_lease_that_comes_when_nothing_was_confirmed_for_its_time_is_not_begun)
{
    struct tri_message welcome = { .type = TRI_MESSAGE_WELCOME,
                                   .welcome = {
                                       .version = TRI_PROTOCOL_VERSION,
                                       .cluster = { (const uint8_t *)"cluster-of-tests", 16 },
                                       .epoch = 1,
                                       .heartbeat_ms = 800,
                                       .lease_ms = 2400,
                                       .message_bytes_max = UINT64_C(64) << 20 } };

    session_begins(NULL);
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    time_passes_ms(2400);
    broker_says(&welcome);
    batch_comes(1, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 1 thread x2");
    expect_host(1, "thread", 2);
    lease_comes(10, 1, 0, 100);
    expect_nothing_else();
    time_passes_ms(0);
    expect("HEARTBEAT busy 0"); /* at once, and without it */
    broker_answers_heartbeat(0);
    lease_comes(11, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    session_ends();
}
END_TEST

START_TEST(a_batch_that_is_told_again_is_answered_again)
{
    session_begins(NULL);
    thread_batch();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 1 thread x2");
    batch_comes(1, "wait", TRI_MODEL_ASYNC, 3); /* another batch of that number */
    expect("end 1");
    expect("OARS 1 async x3");
    expect_host(2, "async", 3);
    session_ends();
}
END_TEST

START_TEST(another_version_ends_the_worker)
{
    session_begins(NULL);
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_ERROR, .error.status = TRI_VERSION });
    expect("exit 1");
    session_ends();
}
END_TEST

static void few_processes(struct session_options *options)
{
    options->machine.processes_max = 100;
}

START_TEST(batches_share_what_the_machine_allows)
{
    session_begins(few_processes);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 80);
    expect("OARS 1 thread x50");
    expect_host(1, "thread", 50);
    batch_comes(2, "compute", TRI_MODEL_THREAD, 80);
    expect("OARS 2 thread x24");
    expect_host(2, "thread", 24);
    batch_ends(1);
    expect("end 1");
    batch_comes(3, "compute", TRI_MODEL_THREAD, 80);
    expect("OARS 3 thread x37");
    expect_host(3, "thread", 37);
    session_ends();
}
END_TEST

static void private_run(struct session_options *options)
{
    options->private_run = true;
}

START_TEST(a_private_worker_goes_with_its_broker)
{
    session_begins(private_run);
    worker_joins();
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_BYE });
    expect("BYE stopped");
    expect("exit 0");
    session_ends();

    session_begins(NULL);
    worker_joins();
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_BYE });
    expect("connect");
    session_ends();
}
END_TEST

/* ---- credit ---------------------------------------------------------------------------------- */

static const struct story_range ten[] = { { 0, 10 } };
static const struct story_range next_ten[] = { { 10, 10 } };

static void lease_with_credit(uint64_t bytes)
{
    lease_with(&(struct tri_msg_lease){
        .lease = 10, .number = 1, .count = 100, .attempt = 1, .result_bytes = bytes });
    expect("to 1: LEASE 1 0+100");
}

START_TEST(results_without_credit_are_kept_and_more_is_asked_for)
{
    session_begins(NULL);
    thread_batch();
    lease_with_credit(1500);
    host_returns_runs(1, 1, ten, 1, 100);
    expect("RESULTS #1 lease 10: 0+10");
    host_returns_runs(1, 1, next_ten, 1, 100);
    expect("to 1: REVOKE 1 0+100"); /* nothing new is begun */
    time_passes_ms(0);
    expect("HEARTBEAT busy 0 10:-!8888");
    host_gives_back(1, 1, 30, 70);
    host_ends_task(1, 1, 29, TRI_OUTCOME_FAILED); /* needs no room */
    expect("ENDED #2 lease 10: 29 failed (as it was)");
    credit_comes(10, 8888);
    expect("RESULTS #3 lease 10: 10+10");
    expect("to 1: LEASE 2 30+70");
    session_ends();
}
END_TEST

START_TEST(room_for_the_first_of_a_lease_is_asked_for_at_once)
{
    static const struct session_task first = { 1, 10 };
    static const struct story_range tail[] = { { 20, 10 } };
    static const struct story_range one[] = { { 10, 1 } };
    static const struct story_range rest[] = { { 12, 1 } };

    session_begins(NULL);
    thread_batch();
    lease_with_credit(1500);
    host_returns_runs(1, 1, ten, 1, 100);
    expect("RESULTS #1 lease 10: 0+10");
    hosts_are_on(&first, 1);
    host_returns_runs(1, 1, tail, 1, 100);
    expect("to 1: REVOKE 1 0+100");
    time_passes_ms(0);
    expect("HEARTBEAT busy 1 10:10+1!8888");
    host_returns_runs(1, 1, rest, 1, 100);
    time_passes_ms(0);
    hosts_are_on(NULL, 0);
    host_returns_runs(1, 1, one, 1, 100);
    time_passes_ms(0);
    expect("HEARTBEAT busy 0 10:-!9192"); /* the broker may have waited for just this one */
    session_ends();
}
END_TEST

START_TEST(held_results_are_held_tasks)
{
    session_begins(NULL);
    thread_batch();
    lease_with_credit(10);
    host_returns_runs(1, 1, ten, 1, 100);
    expect("to 1: REVOKE 1 0+100");
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:0+100");
    broker_welcomes(0);
    session_ends();
}
END_TEST

/* ---- how much the broker takes --------------------------------------------------------------- */

static void batch_of_output(uint64_t number, uint64_t bytes)
{
    batch_with(number, &(struct tri_rec_spec){ .handler = tri_bytes_of("compute"),
                                               .source = TRI_SOURCE_RANGE,
                                               .step = 1,
                                               .count = 100,
                                               .model = TRI_MODEL_THREAD,
                                               .width = 2,
                                               .output_bytes_max = bytes });
    expect("OARS %lu thread x2", (unsigned long)number);
    expect("start %lu thread x2", (unsigned long)number);
}

START_TEST(hosts_are_told_to_make_no_more_output_than_half_a_message)
{
    static const uint64_t asked[] = { 0, 1000001, 1000000, 10 };
    static const char *const told[] = { " output 1000000", " output 1000000", " output 1000000",
                                        " output 10" };

    session_begins(NULL);
    broker_takes(2000000);
    worker_joins();
    for (uint64_t i = 1; i <= TRI_COUNT_OF(asked); i++) {
        batch_of_output(i, asked[i - 1]);
        expect("to %lu: BATCH%s", (unsigned long)i, told[i - 1]);
        expect("to %lu: OARS", (unsigned long)i);
    }
    session_ends();
}
END_TEST

START_TEST(what_was_made_for_larger_messages_is_made_again)
{
    session_begins(NULL);
    broker_takes(64000000);
    thread_batch();
    lease_with_credit(1500);
    host_returns_runs(1, 1, ten, 1, 100);
    expect("RESULTS #1 lease 10: 0+10");
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:0+100");
    broker_takes(4000000);
    broker_welcomes(0);
    expect("end 1");
    expect("HELLO");
    broker_welcomes(0);
    session_ends();
}
END_TEST

/* On the spot: the next broker of its list may be of the cluster that it has just left. */
START_TEST(in_another_cluster_a_worker_begins_anew_as_another_instance)
{
    struct tri_uuid before;

    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 10);
    expect("to 1: LEASE 1 0+10");
    host_returns(1, 1, 0, 5, 1);
    expect("RESULTS #1 lease 10: 0+5");
    simple_event(SESSION_CONNECTION_LOST);
    expect("connect");
    simple_event(SESSION_CONNECTED);
    expect("HELLO 10:0+10");
    before = greeted_as();
    broker_of_cluster_welcomes(2);
    expect("end 1");
    expect("HELLO");
    ck_assert_mem_ne(greeted_as().bytes, before.bytes, sizeof(before.bytes));
    broker_of_cluster_welcomes(2);
    batch_comes(1, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 1 thread x2");
    expect_host(2, "thread", 2);
    lease_comes(10, 1, 0, 10);
    expect("to 2: LEASE 2 0+10");
    host_returns(2, 2, 0, 5, 1);
    expect("RESULTS #1 lease 10: 0+5");
    session_ends();
}
END_TEST

/* ---- leaving --------------------------------------------------------------------------------- */

START_TEST(a_draining_worker_finishes_what_runs_and_gives_back_the_rest)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    simple_event(SESSION_DRAIN);
    expect("OARS 1 thread x0");
    expect("to 1: REVOKE 1 0+100");
    host_gives_back(1, 1, 10, 90);
    expect("RELEASED #1 lease 10: 10+90");
    lease_comes(11, 1, 200, 5);
    expect("RELEASED #2 lease 11: 200+5");
    batch_comes(2, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 2 thread x0");
    host_returns(1, 1, 0, 10, 1);
    expect("RESULTS #3 lease 10: 0+10");
    broker_acknowledges(2);
    expect_nothing_else();
    broker_acknowledges(3);
    expect("BYE drained");
    expect("exit 0");
    session_ends();
}
END_TEST

static void seconds_pass_without_credit(int seconds, uint64_t wanted)
{
    for (int i = 0; i < seconds; i++) {
        time_passes_ms(1000);
        expect("HEARTBEAT busy 0 10:-!%lu", (unsigned long)wanted);
        broker_answers_heartbeat(0);
    }
}

START_TEST(a_draining_worker_gives_back_results_that_get_no_credit_for_a_minute)
{
    session_begins(NULL);
    thread_batch();
    lease_with_credit(10);
    simple_event(SESSION_DRAIN);
    expect("OARS 1 thread x0");
    expect("to 1: REVOKE 1 0+100");
    host_returns_runs(1, 1, ten, 1, 100);
    host_gives_back(1, 1, 20, 80);
    expect("RELEASED #1 lease 10: 20+80");
    time_passes_ms(0);
    expect("HEARTBEAT busy 0 10:-!2044");
    broker_answers_heartbeat(0);
    broker_acknowledges(1);
    seconds_pass_without_credit(30, 2044);
    host_returns_runs(1, 1, next_ten, 1, 100);
    time_passes_ms(0);
    expect("HEARTBEAT busy 0 10:-!2138");
    broker_answers_heartbeat(0);
    seconds_pass_without_credit(29, 2138);
    time_passes_ms(1000);
    expect("RELEASED #2 lease 10: 0+20");
    expect("HEARTBEAT busy 0 10:-");
    broker_acknowledges(2);
    expect("BYE drained");
    expect("exit 0");
    session_ends();
}
END_TEST

START_TEST(a_host_that_dies_while_draining_has_its_tasks_given_back)
{
    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    simple_event(SESSION_DRAIN);
    expect("OARS 1 thread x0");
    expect("to 1: REVOKE 1 0+100");
    host_crashes(1, 11, (struct session_task){ 1, 0 });
    expect("ENDED #1 lease 10: 0 crashed (killed by signal 11 (SIGSEGV))");
    expect("RELEASED #2 lease 10: 1+99");
    broker_acknowledges(2);
    expect("BYE drained");
    expect("exit 0");
    session_ends();
}
END_TEST

START_TEST(an_idle_worker_drains_at_once_and_a_stopped_one_does_not_wait)
{
    session_begins(NULL);
    worker_joins();
    simple_event(SESSION_DRAIN);
    expect("BYE drained");
    expect("exit 0");
    session_ends();

    session_begins(NULL);
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    simple_event(SESSION_STOP);
    expect("BYE stopped");
    expect("exit 0");
    session_ends();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("connection");

    tcase_add_test(tcase,
                   a_broker_that_does_not_answer_is_tried_again_with_longer_and_longer_pauses);
    tcase_add_test(tcase, three_heartbeats_without_an_answer_are_a_lost_connection);
    tcase_add_test(tcase, unacknowledged_reports_are_sent_again_unchanged_before_anything_else);
    tcase_add_test(tcase, what_the_broker_has_dropped_is_cancelled);
    tcase_add_test(tcase, a_lease_that_comes_when_nothing_was_confirmed_for_its_time_is_not_begun);
    tcase_add_test(tcase, leases_end_lease_ms_after_the_last_answered_heartbeat_was_sent);
    tcase_add_test(tcase, a_batch_that_is_told_again_is_answered_again);
    tcase_add_test(tcase, another_version_ends_the_worker);
    tcase_add_test(tcase, batches_share_what_the_machine_allows);
    tcase_add_test(tcase, a_private_worker_goes_with_its_broker);
    tcase_add_test(tcase, results_without_credit_are_kept_and_more_is_asked_for);
    tcase_add_test(tcase, room_for_the_first_of_a_lease_is_asked_for_at_once);
    tcase_add_test(tcase, held_results_are_held_tasks);
    tcase_add_test(tcase, hosts_are_told_to_make_no_more_output_than_half_a_message);
    tcase_add_test(tcase, what_was_made_for_larger_messages_is_made_again);
    tcase_add_test(tcase, in_another_cluster_a_worker_begins_anew_as_another_instance);
    tcase_add_test(tcase, leases_end_sooner_when_the_broker_comes_back_with_shorter_ones);
    tcase_add_test(tcase, a_draining_worker_finishes_what_runs_and_gives_back_the_rest);
    tcase_add_test(tcase, a_draining_worker_gives_back_results_that_get_no_credit_for_a_minute);
    tcase_add_test(tcase, a_host_that_dies_while_draining_has_its_tasks_given_back);
    tcase_add_test(tcase, an_idle_worker_drains_at_once_and_a_stopped_one_does_not_wait);
    return unit_run("worker_session/connection", tcase);
}
