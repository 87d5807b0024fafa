/* Hosts with one oar get what they do in a short while, and are not left with too much. */
#include "story.h"

#include "tests/unit/unit.h"

static void process_batch(uint64_t width)
{
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_PROCESS, width);
    expect("OARS 1 process x%lu", (unsigned long)width);
}

START_TEST(each_oar_gets_one_task_as_long_as_nobody_knows_how_long_one_takes)
{
    session_begins(NULL);
    process_batch(3);
    lease_comes(10, 1, 0, 10);
    for (unsigned long host = 1; host <= 3; host++) {
        expect_host(host, "process", 1);
        expect("to %lu: LEASE %lu %lu+1", host, host, host - 1);
    }
    session_ends();
}
END_TEST

START_TEST(long_tasks_are_given_one_by_one)
{
    session_begins(NULL);
    process_batch(1);
    lease_comes(10, 1, 0, 10);
    expect_host(1, "process", 1);
    for (unsigned long i = 0; i < 10; i++) {
        expect("to 1: LEASE %lu %lu+1", i + 1, i);
        host_returns(1, i + 1, i, 1, 50000);
        expect("RESULTS #%lu lease 10: %lu+1", i + 1, i);
    }
    session_ends();
}
END_TEST

START_TEST(short_tasks_are_given_by_the_time_that_they_take)
{
    session_begins(NULL);
    process_batch(1);
    lease_comes(10, 1, 0, 100000);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    host_returns(1, 1, 0, 1, 100); /* 20 ms: 200 of them, if it is always so */
    expect("RESULTS #1 lease 10: 0+1");
    expect("to 1: LEASE 2 1+2");
    host_returns(1, 2, 1, 2, 100);
    expect("RESULTS #2 lease 10: 1+2");
    expect("to 1: LEASE 3 3+4");
    host_returns(1, 3, 3, 4, 100);
    expect("RESULTS #3 lease 10: 3+4");
    expect("to 1: LEASE 4 7+8");
    host_returns(1, 4, 7, 8, 100);
    expect("RESULTS #4 lease 10: 7+8");
    expect("to 1: LEASE 5 15+16");
    host_returns(1, 5, 15, 8, 100); /* the rest is little: it wants more before it is idle */
    expect("RESULTS #5 lease 10: 15+8");
    expect("to 1: LEASE 6 31+32");
    session_ends();
}
END_TEST

START_TEST(an_idle_oar_takes_back_what_another_has_too_much_of)
{
    session_begins(NULL);
    process_batch(2);
    lease_comes(10, 1, 0, 1);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    host_returns(1, 1, 0, 1, 100);
    expect("RESULTS #1 lease 10: 0+1");
    lease_comes(11, 1, 1, 6);
    expect("to 1: LEASE 2 1+2");
    expect_host(2, "process", 1);
    expect("to 2: LEASE 3 3+4");
    host_returns(1, 2, 1, 2, 100);
    expect("RESULTS #2 lease 11: 1+2");
    time_passes_ms(19); /* 0.4 ms of work is not worth asking for ... */
    expect_nothing_else();
    time_passes_ms(1); /* ... if it is: by now it should be done */
    expect("to 2: REVOKE 3 5+2");
    host_gives_back(2, 3, 5, 2);
    expect("to 1: LEASE 4 5+2");
    session_ends();
}
END_TEST

static void recycle(struct session_options *options)
{
    options->recycle_count = 3;
}

START_TEST(a_process_ends_after_as_many_tasks_as_it_may_do)
{
    session_begins(recycle);
    process_batch(1);
    lease_comes(10, 1, 0, 5);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    host_returns(1, 1, 0, 1, 100);
    expect("RESULTS #1 lease 10: 0+1");
    expect("to 1: LEASE 2 1+2");
    host_returns(1, 2, 1, 2, 100);
    expect("RESULTS #2 lease 10: 1+2");
    expect("end 1");
    expect_host(2, "process", 1);
    expect("to 2: LEASE 3 3+2");
    host_is_killed(1, 0, NULL, 0);
    session_ends();
}
END_TEST

START_TEST(a_cancelled_process_is_stopped_for_certain)
{
    session_begins(NULL);
    process_batch(1);
    lease_comes(10, 1, 0, 1);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    broker_cancels(10, 0, 0);
    expect("to 1: CANCEL 1 -");
    expect("kill 1 TERM");
    lease_comes(11, 1, 1, 1);
    expect_host(2, "process", 1);
    expect("to 2: LEASE 2 1+1");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0 11:-");
    expect("kill 1 KILL");
    session_ends();
}
END_TEST

static void spawning(struct session_options *options)
{
    options->fork_unsafe = true;
}

START_TEST(hosts_are_spawned_afresh_when_that_is_asked_for)
{
    session_begins(spawning);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 2);
    expect("OARS 1 thread x2");
    expect("start 1 thread x2 spawn");
    expect("to 1: BATCH");
    expect("to 1: OARS");
    session_ends();

    session_begins(NULL);
    worker_joins();
    batch_with(1, &(struct tri_rec_spec){ .handler = { (const uint8_t *)"compute", 7 },
                                          .step = 1,
                                          .count = 9,
                                          .model = TRI_MODEL_PROCESS,
                                          .width = 1,
                                          .flags = TRI_SPEC_SPAWN });
    expect("OARS 1 process x1");
    lease_comes(10, 1, 0, 1);
    expect("start 1 process x1 spawn");
    expect("to 1: BATCH");
    expect("to 1: OARS");
    expect("to 1: LEASE 1 0+1");
    session_ends();
}
END_TEST

START_TEST(items_are_cut_for_each_oar)
{
    session_begins(NULL);
    worker_joins();
    batch_with(1, &(struct tri_rec_spec){ .handler = { (const uint8_t *)"compute", 7 },
                                          .source = TRI_SOURCE_ITEMS,
                                          .model = TRI_MODEL_PROCESS,
                                          .width = 2 });
    expect("OARS 1 process x2");
    items_come(10, 1, 10, 6, 2);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 10+1 items 10..10/1");
    expect_host(2, "process", 1);
    expect("to 2: LEASE 2 11+1 items 11..11/1");
    host_returns(1, 1, 10, 1, 10);
    expect("RESULTS #1 lease 10: 10+1");
    expect("to 1: LEASE 3 12+2 items 12..13/1");
    session_ends();
}
END_TEST

START_TEST(where_no_more_hosts_can_be_started_those_that_serve_do_it)
{
    session_begins(NULL);
    process_batch(3);
    lease_comes(10, 1, 0, 3);
    for (uint64_t host = 1; host <= 3; host++) {
        expect_host(host, "process", 1);
        expect("to %lu: LEASE %lu %lu+1", (unsigned long)host, (unsigned long)host,
               (unsigned long)host - 1);
    }
    host_does_not_start(3);
    expect("OARS 1 process x2");
    host_returns(1, 1, 0, 1, 1);
    expect("RESULTS #1 lease 10: 0+1");
    expect("to 1: LEASE 4 2+1");
    session_ends();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("feeding");

    tcase_add_test(tcase, each_oar_gets_one_task_as_long_as_nobody_knows_how_long_one_takes);
    tcase_add_test(tcase, long_tasks_are_given_one_by_one);
    tcase_add_test(tcase, short_tasks_are_given_by_the_time_that_they_take);
    tcase_add_test(tcase, an_idle_oar_takes_back_what_another_has_too_much_of);
    tcase_add_test(tcase, a_process_ends_after_as_many_tasks_as_it_may_do);
    tcase_add_test(tcase, a_cancelled_process_is_stopped_for_certain);
    tcase_add_test(tcase, hosts_are_spawned_afresh_when_that_is_asked_for);
    tcase_add_test(tcase, items_are_cut_for_each_oar);
    tcase_add_test(tcase, where_no_more_hosts_can_be_started_those_that_serve_do_it);
    return unit_run("worker_session/feeding", tcase);
}
