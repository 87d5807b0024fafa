/* Who is to blame when a host dies, and what happens to everybody else. */
#include "story.h"

#include "tests/unit/unit.h"

static void thread_batch(void)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_THREAD, 8);
    expect("OARS 1 thread x8");
    expect_host(1, "thread", 8);
}

START_TEST(the_culprit_is_charged_and_the_others_run_again)
{
    thread_batch();
    lease_comes(10, 1, 0, 100);
    expect("to 1: LEASE 1 0+100");
    host_returns(1, 1, 0, 10, 1);
    expect("RESULTS #1 lease 10: 0+10");
    host_crashes(1, 6, (struct session_task){ 1, 12 });
    expect("ENDED #2 lease 10: 12 crashed (killed by signal 6 (SIGABRT))");
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 10+2");
    expect("to 2: LEASE 3 13+87");
    session_ends();
}
END_TEST

START_TEST(after_a_death_without_a_culprit_suspects_run_alone_and_the_rest_goes_on)
{
    static const struct session_task started[] = { { 1, 3 }, { 1, 7 } };

    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    host_is_killed(1, 9, started, 2);
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 0+3");
    expect("to 2: LEASE 3 4+3");
    expect("to 2: LEASE 4 8+12");
    expect_host(3, "process", 1);
    expect("to 3: LEASE 5 3+1");
    expect_host(4, "process", 1);
    expect("to 4: LEASE 6 7+1");
    host_returns(4, 6, 7, 1, 1); /* innocent: nothing is charged */
    expect("RESULTS #1 lease 10: 7+1");
    host_is_killed(3, 9, &(struct session_task){ 5, 3 }, 1); /* alone: it was this one */
    expect("ENDED #2 lease 10: 3 crashed (killed by signal 9 (SIGKILL))");
    session_ends();
}
END_TEST

START_TEST(many_suspects_take_turns_in_a_few_hosts)
{
    static struct session_task started[12];

    thread_batch();
    for (uint64_t i = 0; i < 12; i++)
        started[i] = (struct session_task){ 1, i };
    lease_comes(10, 1, 0, 12);
    expect("to 1: LEASE 1 0+12");
    host_is_killed(1, 9, started, 12);
    expect_host(2, "process", 1);
    expect("to 2: LEASE 2 0+1");
    expect_host(3, "process", 1);
    expect("to 3: LEASE 3 1+1");
    host_returns(3, 3, 1, 1, 1);
    expect("RESULTS #1 lease 10: 1+1");
    expect("to 3: LEASE 4 2+1");
    session_ends();
}
END_TEST

START_TEST(very_many_suspects_run_in_groups_and_the_group_that_dies_is_divided)
{
    static struct session_task started[80];
    static struct session_task again[10];

    session_begins(NULL);
    worker_joins();
    batch_comes(1, "wait", TRI_MODEL_ASYNC, 100);
    expect("OARS 1 async x100");
    expect_host(1, "async", 100);
    for (uint64_t i = 0; i < 80; i++)
        started[i] = (struct session_task){ 1, i };
    for (uint64_t i = 0; i < 10; i++)
        again[i] = (struct session_task){ 4, 20 + i };
    lease_comes(10, 1, 0, 80);
    expect("to 1: LEASE 1 0+80");
    host_is_killed(1, 9, started, 80);
    for (unsigned long i = 0; i < 8; i++) {
        expect_host(2 + i, "async", 100);
        expect("to %lu: LEASE %lu %lu+10", 2 + i, 2 + i, 10 * i);
    }
    host_returns(2, 2, 0, 10, 1);
    expect("RESULTS #1 lease 10: 0+10");
    expect("end 2");
    host_is_killed(4, 9, again, 10); /* 20 to 29: two at a time are worth no group */
    expect_host(10, "process", 1);
    expect("to 10: LEASE 10 20+1");
    expect_host(11, "process", 1);
    expect("to 11: LEASE 11 21+1");
    session_ends();
}
END_TEST

START_TEST(an_exit_is_a_crash_too)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_PROCESS, 1);
    expect("OARS 1 process x1");
    lease_comes(10, 1, 0, 1);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    host_is_killed(1, 0, &(struct session_task){ 1, 0 }, 1);
    expect("ENDED #1 lease 10: 0 crashed (exited with status 3)");
    session_ends();
}
END_TEST

START_TEST(a_culprit_that_was_over_already_is_not_charged_again)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    host_ends_task(1, 1, 4, TRI_OUTCOME_TIMEOUT); /* its thread goes on */
    expect("ENDED #1 lease 10: 4 timeout (as it was)");
    host_crashes(1, 11, (struct session_task){ 1, 4 });
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 0+4");
    expect("to 2: LEASE 3 5+15");
    session_ends();
}
END_TEST

START_TEST(an_idle_host_that_dies_charges_nobody)
{
    thread_batch();
    host_is_killed(1, 9, NULL, 0);
    lease_comes(10, 1, 0, 20);
    time_passes_ms(100);
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 1 0+20");
    session_ends();
}
END_TEST

START_TEST(hosts_that_never_get_anywhere_have_the_batch_refused)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    for (uint64_t host = 1; host < 5; host++) {
        host_does_not_start(host);
        time_passes_ms(100 << (host - 1));
        if (host == 4)
            expect("HEARTBEAT busy 0 10:-");
        expect_host(host + 1, "thread", 8);
        expect("to %lu: LEASE %lu 0+20", (unsigned long)host + 1, (unsigned long)host + 1);
    }
    host_does_not_start(5);
    expect("OARS 1 refused SYSTEM");
    expect("RELEASED #1 lease 10: 0+20");
    lease_comes(11, 1, 20, 5);
    expect("RELEASED #2 lease 11: 20+5");
    session_ends();
}
END_TEST

START_TEST(an_isolated_lease_runs_one_by_one_in_hosts_with_one_oar)
{
    thread_batch();
    lease_with(&(struct tri_msg_lease){ .lease = 10,
                                        .number = 1,
                                        .first = 5,
                                        .count = 3,
                                        .attempt = 2,
                                        .flags = TRI_LEASE_ISOLATED,
                                        .result_bytes = CREDIT });
    expect_host(2, "process", 1);
    expect("to 2: LEASE 1 5+1");
    expect_host(3, "process", 1);
    expect("to 3: LEASE 2 6+1");
    host_crashes(3, 11, (struct session_task){ 2, 6 });
    expect("ENDED #1 lease 10: 6 crashed (killed by signal 11 (SIGSEGV))");
    expect_host(4, "process", 1);
    expect("to 4: LEASE 3 7+1");
    session_ends();
}
END_TEST

START_TEST(when_the_launcher_dies_everything_runs_again_uncharged)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    host_returns(1, 1, 0, 5, 1);
    expect("RESULTS #1 lease 10: 0+5");
    simple_event(SESSION_LAUNCHER_GONE);
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 5+15");
    host_is_killed(1, 9, NULL, 0); /* long forgotten */
    session_ends();
}
END_TEST

START_TEST(a_batch_that_kills_every_launcher_is_refused)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    simple_event(SESSION_LAUNCHER_GONE);
    for (unsigned long host = 2; host <= 5; host++) {
        expect_host(host, "thread", 8);
        expect("to %lu: LEASE %lu 0+20", host, host);
        simple_event(SESSION_LAUNCHER_GONE);
        time_passes_ms(100ul << (host - 2));
        if (host == 5)
            expect("HEARTBEAT busy 0 10:-");
    }
    expect_host(6, "thread", 8);
    expect("to 6: LEASE 6 0+20");
    simple_event(SESSION_LAUNCHER_GONE);
    expect("OARS 1 refused SYSTEM");
    expect("RELEASED #1 lease 10: 0+20");
    session_ends();
}
END_TEST

START_TEST(a_task_that_holds_the_loop_costs_that_host_and_only_itself)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "wait", TRI_MODEL_ASYNC, 100);
    expect("OARS 1 async x100");
    expect_host(1, "async", 100);
    lease_comes(10, 1, 0, 50);
    expect("to 1: LEASE 1 0+50");
    host_stalls(1, (struct session_task){ 1, 20 });
    expect("ENDED #1 lease 10: 20 timeout (did not stop within 500 ms of its timeout of 0 ms)");
    expect("kill 1 KILL");
    expect_host(2, "async", 100);
    expect("to 2: LEASE 2 0+20");
    expect("to 2: LEASE 3 21+29");
    host_returns(1, 1, 0, 10, 1); /* its last words come too late */
    host_is_killed(1, 9, &(struct session_task){ 1, 21 }, 1);
    session_ends();
}
END_TEST

START_TEST(a_host_that_wants_to_be_replaced_is_at_once_and_finishes_what_it_has)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    host_ends_task(1, 1, 0, TRI_OUTCOME_TIMEOUT);
    expect("ENDED #1 lease 10: 0 timeout (as it was)");
    host_gives_back(1, 1, 10, 10); /* that nobody has asked for: it begins to leave */
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 10+10");
    host_wants_out(1, TRI_TIMEOUT, "8 oars are stuck");
    host_returns(1, 1, 1, 8, 1);
    expect("RESULTS #2 lease 10: 1+8");
    host_returns(1, 1, 9, 1, 1);
    expect("RESULTS #3 lease 10: 9+1");
    expect("kill 1 KILL"); /* stuck threads are all that is left of it */
    session_ends();
}
END_TEST

START_TEST(a_host_that_leaves_is_killed_after_a_while_and_its_tasks_run_again)
{
    thread_batch();
    lease_comes(10, 1, 0, 20);
    expect("to 1: LEASE 1 0+20");
    host_wants_out(1, TRI_TIMEOUT, "8 oars are stuck");
    host_gives_back(1, 1, 10, 10);
    expect_host(2, "thread", 8);
    expect("to 2: LEASE 2 10+10");
    time_passes_ms(2999);
    expect("HEARTBEAT busy 0 10:-");
    expect("HEARTBEAT busy 0 10:-");
    time_passes_ms(1);
    expect("kill 1 KILL");
    expect("connect"); /* nobody has answered a heartbeat for three */
    expect("to 2: LEASE 3 0+10");
    session_ends();
}
END_TEST

START_TEST(a_process_whose_task_does_not_stop_gets_TERM_and_then_KILL)
{
    session_begins(NULL);
    worker_joins();
    batch_comes(1, "compute", TRI_MODEL_PROCESS, 1);
    expect("OARS 1 process x1");
    lease_comes(10, 1, 0, 2);
    expect_host(1, "process", 1);
    expect("to 1: LEASE 1 0+1");
    host_ends_task(1, 1, 0, TRI_OUTCOME_TIMEOUT);
    expect("ENDED #1 lease 10: 0 timeout (as it was)");
    expect("to 1: LEASE 2 1+1"); /* it may be free: its next word says */
    host_wants_out(1, TRI_TIMEOUT, "stuck");
    host_gives_back(1, 2, 1, 1);
    expect("kill 1 TERM");
    expect_host(2, "process", 1);
    expect("to 2: LEASE 3 1+1");
    time_passes_ms(1000);
    expect("HEARTBEAT busy 0 10:-");
    expect("kill 1 KILL");
    session_ends();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("crash");

    tcase_add_test(tcase, the_culprit_is_charged_and_the_others_run_again);
    tcase_add_test(tcase, after_a_death_without_a_culprit_suspects_run_alone_and_the_rest_goes_on);
    tcase_add_test(tcase, many_suspects_take_turns_in_a_few_hosts);
    tcase_add_test(tcase, very_many_suspects_run_in_groups_and_the_group_that_dies_is_divided);
    tcase_add_test(tcase, an_exit_is_a_crash_too);
    tcase_add_test(tcase, a_culprit_that_was_over_already_is_not_charged_again);
    tcase_add_test(tcase, an_idle_host_that_dies_charges_nobody);
    tcase_add_test(tcase, hosts_that_never_get_anywhere_have_the_batch_refused);
    tcase_add_test(tcase, an_isolated_lease_runs_one_by_one_in_hosts_with_one_oar);
    tcase_add_test(tcase, when_the_launcher_dies_everything_runs_again_uncharged);
    tcase_add_test(tcase, a_batch_that_kills_every_launcher_is_refused);
    tcase_add_test(tcase, a_task_that_holds_the_loop_costs_that_host_and_only_itself);
    tcase_add_test(tcase, a_host_that_wants_to_be_replaced_is_at_once_and_finishes_what_it_has);
    tcase_add_test(tcase, a_host_that_leaves_is_killed_after_a_while_and_its_tasks_run_again);
    tcase_add_test(tcase, a_process_whose_task_does_not_stop_gets_TERM_and_then_KILL);
    return unit_run("worker_session/crash", tcase);
}
