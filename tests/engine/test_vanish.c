/* Workers that vanish: nobody is charged, and what kills them is found. */
#include "tests/engine/story.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW (UINT64_C(1) << 20)

/* A worker joins, is given leases, says what it has started, and is never heard of again. */
static void vanish(const char *name)
{
    peer_goes_silent(&s, name);
    time_passes_ms(&s, LEASE_MS + HEARTBEAT_MS);
}

START_TEST(a_vanished_worker_charges_nobody)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_starts(&s, "w1", "b1", 0, 2);
    heartbeat(&s, "w1");
    vanish("w1");
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+2"); /* the first attempt still */
}
END_TEST

START_TEST(what_was_not_in_flight_is_not_suspected)
{
    worker_joins(&s, "w0", 2);
    client_joins(&s, "c1");
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w0", "LEASE b1 0+2");
    expect(&s, "w0", "LEASE b1 2+1");
    peer_of(&s, "w0")->starts = false; /* but for this one */
    worker_starts(&s, "w0", "b1", 0, 1);
    heartbeat(&s, "w0");
    vanish("w0");
    worker_joins(&s, "w1", 4);
    expect(&s, "w1", "LEASE b1 0+1"); /* it was running: apart from the others from now on */
    expect(&s, "w1", "LEASE b1 1+3");
}
END_TEST

/* Every worker that starts the culprit vanishes; all other tasks are returned. Returns how often
 * that happened before the batch ended. */
static int hunt(uint64_t culprit, uint64_t width, int workers_max)
{
    int vanished = 0;

    for (int n = 0; n < workers_max; n++) {
        char name[16];
        struct peer *peer;
        bool has_culprit = false;

        snprintf(name, sizeof(name), "w%d", n);
        worker_joins(&s, name, width);
        peer = peer_of(&s, name);
        for (size_t i = 0; i < peer->held_count && !has_culprit; i++) {
            struct held *held = &peer->held[i];

            ignore(&s, name);
            ignore(&s, "c1");
            if (tri_rangeset_contains(&held->undone, culprit)) {
                has_culprit = true;
                tri_rangeset_copy(&held->started, &held->undone);
                break;
            }
            while (held->undone.count != 0) {
                struct tri_range range;

                tri_rangeset_next(&held->undone, 0, &range);
                worker_returns(&s, name, "b1", range.first, range.count);
                ignore(&s, name);
                ignore(&s, "c1");
            }
        }
        ignore(&s, name);
        ignore(&s, "c1");
        if (!has_culprit)
            break;
        vanished++;
        heartbeat(&s, name);
        vanish(name);
        ignore(&s, "c1");
    }
    return vanished;
}

START_TEST(the_task_that_kills_workers_is_found_by_halves_and_dies_alone)
{
    struct scenario_spec spec = { .crash_limit = 1 };
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };
    int vanished;

    client_joins(&s, "c1");
    worker_joins(&s, "x", 1);
    peer_says_bye(&s, "x");
    client_submits_with(&s, "c1", "b1", 8, WINDOW, &spec);
    ignore(&s, "c1");
    vanished = hunt(5, 8, 20);
    /* Twice by chance, then halves of 4, 2 and 1, the last alone. */
    ck_assert_int_le(vanished, 6);
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 done done=7 dead=1 5:crashed*1");
}
END_TEST

/* Tasks 0 and 1 are suspects that stand alone. */
static void stand_alone_in(uint64_t window_bytes)
{
    struct scenario_spec spec = { 0 };

    client_joins(&s, "c1");
    worker_joins(&s, "w0", 2);
    client_submits_with(&s, "c1", "b1", 2, window_bytes, &spec);
    expect(&s, "c1", "ACCEPTED b1 2");
    ignore(&s, "w0");
    for (int n = 0; n < 2; n++) {
        char name[16];

        snprintf(name, sizeof(name), "w%d", n);
        if (n != 0)
            worker_joins(&s, name, 2);
        ignore(&s, name);
        worker_starts(&s, name, "b1", 0, 2);
        heartbeat(&s, name);
        vanish(name);
    }
}

static void stand_alone(void)
{
    stand_alone_in(WINDOW);
}

START_TEST(a_worker_that_was_gone_before_it_had_the_lease_proves_nothing)
{
    stand_alone();
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+1 isolated");
    vanish("w2");
    worker_joins(&s, "w3", 2);
    expect(&s, "w3", "LEASE b1 0+1 isolated"); /* the first attempt still */
    worker_starts(&s, "w3", "b1", 0, 1);
    heartbeat(&s, "w3");
    vanish("w3");
    worker_joins(&s, "w4", 2);
    expect(&s, "w4", "LEASE b1 0+1 attempt=2 isolated"); /* a crash is no suspicion: the other */
    expect(&s, "w4", "LEASE b1 1+1 isolated");           /* suspect may run there as well */
}
END_TEST

START_TEST(a_task_that_is_too_quick_to_be_heard_of_is_charged_in_the_end)
{
    stand_alone();
    for (int n = 2; n < 6; n++) {
        char name[16];

        snprintf(name, sizeof(name), "w%d", n);
        worker_joins(&s, name, 2);
        expect(&s, name, "LEASE b1 0+1 isolated");
        vanish(name);
    }
    worker_joins(&s, "w6", 2);
    expect(&s, "w6", "LEASE b1 0+1 attempt=2 isolated");
    expect(&s, "w6", "LEASE b1 1+1 isolated");
}
END_TEST

START_TEST(only_the_culprit_of_many_is_charged)
{
    struct scenario_spec spec = { .crash_limit = 1 };
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };

    client_joins(&s, "c1");
    worker_joins(&s, "x", 1);
    peer_says_bye(&s, "x");
    client_submits_with(&s, "c1", "b1", 64, WINDOW, &spec);
    ignore(&s, "c1");
    ck_assert_int_le(hunt(63, 16, 30), 12);
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 done done=63 dead=1 63:crashed*1");
}
END_TEST

START_TEST(a_worker_holds_one_suspect_lease_at_a_time)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w0", 8);
    client_submits(&s, "c1", "b1", 8);
    ignore(&s, "w0");
    for (int n = 0; n < 2; n++) {
        char name[16];

        snprintf(name, sizeof(name), "w%d", n);
        if (n != 0)
            worker_joins(&s, name, 8);
        ignore(&s, name);
        worker_starts(&s, name, "b1", 0, 8);
        heartbeat(&s, name);
        vanish(name);
    }
    worker_joins(&s, "w2", 8);
    expect(&s, "w2", "LEASE b1 0+4");
    expect_nothing_else(&s);
    worker_joins(&s, "w3", 8);
    expect(&s, "w3", "LEASE b1 4+4");
    worker_returns(&s, "w2", "b1", 0, 4);
    expect(&s, "c1", "ROW b1 #0 values 0+4");
}
END_TEST

START_TEST(a_suspect_that_waits_for_room_lets_another_run)
{
    stand_alone_in(2000);
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+1 isolated");
    worker_joins(&s, "w3", 2);
    expect(&s, "w3", "LEASE b1 1+1 isolated");
    peer_of(&s, "w3")->starts = false; /* it has run it, and the result is large */
    worker_wants(&s, "w3", "b1", 1, 5000);
    expect_nothing_else(&s);
    peer_says_bye(&s, "w2");
    expect(&s, "w3", "LEASE b1 0+1 isolated"); /* nobody else is there, and all wait for it */
    worker_returns(&s, "w3", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "w3", "CREDIT b1 1+1 bytes=5000");
}
END_TEST

/* A heartbeat that crossed with CREDIT said that the first of them waits: now both run. */
START_TEST(nobody_is_convicted_who_was_not_alone)
{
    stand_alone_in(2000);
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+1 isolated");
    worker_joins(&s, "w3", 2);
    expect(&s, "w3", "LEASE b1 1+1 isolated");
    peer_of(&s, "w3")->starts = false;
    worker_wants(&s, "w3", "b1", 1, 5000);
    peer_says_bye(&s, "w2");
    expect(&s, "w3", "LEASE b1 0+1 isolated");
    worker_starts(&s, "w3", "b1", 0, 1);
    worker_starts(&s, "w3", "b1", 1, 1);
    heartbeat(&s, "w3");
    vanish("w3");
    worker_joins(&s, "w4", 2);
    expect(&s, "w4", "LEASE b1 0+1 isolated"); /* the first attempt still */
    worker_returns(&s, "w4", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "w4", "LEASE b1 1+1 isolated");
}
END_TEST

START_TEST(who_comes_back_with_several_suspects_from_before_a_restart_proves_nothing)
{
    stand_alone();
    broker_restarts(&s);
    peer_returns(&s, "w0"); /* it was only cut off, and has them still */
    expect(&s, "w0", "WELCOME");
    heartbeat(&s, "w0");
    vanish("w0");
    time_passes_ms(&s, s.options.limits.reclaim_ms); /* w1 does not come back */
    worker_joins(&s, "w4", 2);
    expect(&s, "w4", "LEASE b1 0+1 isolated"); /* the first attempt still */
}
END_TEST

START_TEST(a_suspect_that_finishes_elsewhere_is_cleared)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w0", 2);
    client_submits(&s, "c1", "b1", 2);
    ignore(&s, "w0");
    worker_starts(&s, "w0", "b1", 0, 2);
    heartbeat(&s, "w0");
    vanish("w0");
    worker_joins(&s, "w1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_starts(&s, "w1", "b1", 0, 2);
    heartbeat(&s, "w1");
    vanish("w1");
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+1 isolated");
    worker_returns(&s, "w2", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "w2", "LEASE b1 1+1 isolated");
    worker_returns(&s, "w2", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    expect(&s, "c1", "END b1 done done=2 dead=0 cancelled=0 rows=2");
}
END_TEST

START_TEST(a_convicted_task_has_its_crash_limit_of_runs)
{
    client_joins(&s, "c1");
    worker_joins(&s, "x", 1);
    peer_says_bye(&s, "x");
    {
        struct scenario_spec spec = { .crash_limit = 2 };

        client_submits_with(&s, "c1", "b1", 1, WINDOW, &spec);
        ignore(&s, "c1");
    }
    /* By chance, once more, alone and charged; then it is isolated and begins again. */
    ck_assert_int_ge(hunt(0, 1, 20), 4);
    expect_nothing_else(&s);
    {
        struct tri_message show = { .type = TRI_MESSAGE_SHOW };

        show.show.number = 1;
        client_asks(&s, "c1", &show);
        expect(&s, "c1", "SHOWN b1 done done=0 dead=1 0:crashed*2");
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("vanish");

    STORY(a_vanished_worker_charges_nobody);
    STORY(what_was_not_in_flight_is_not_suspected);
    STORY(the_task_that_kills_workers_is_found_by_halves_and_dies_alone);
    STORY(a_worker_that_was_gone_before_it_had_the_lease_proves_nothing);
    STORY(a_task_that_is_too_quick_to_be_heard_of_is_charged_in_the_end);
    STORY(only_the_culprit_of_many_is_charged);
    STORY(a_worker_holds_one_suspect_lease_at_a_time);
    STORY(a_suspect_that_waits_for_room_lets_another_run);
    STORY(nobody_is_convicted_who_was_not_alone);
    STORY(who_comes_back_with_several_suspects_from_before_a_restart_proves_nothing);
    STORY(a_suspect_that_finishes_elsewhere_is_cleared);
    STORY(a_convicted_task_has_its_crash_limit_of_runs);
    return story_run("engine/vanish", tcase);
}
