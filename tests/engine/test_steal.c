/* When the queue runs dry, idle oars take work back from where it waits. */
#include "tests/engine/story.h"

#define MS UINT64_C(1000000)

START_TEST(the_untouched_end_of_a_long_lease_goes_to_idle_oars)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2); /* it has narrowed: eight of them wait */
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4"); /* so that both end together */
    worker_releases(&s, "w1", "b1", 6, 4);
    expect(&s, "w2", "LEASE b1 6+2");
    expect(&s, "w2", "LEASE b1 8+1");
}
END_TEST

START_TEST(what_its_worker_has_started_meanwhile_stays_there)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4");
    worker_releases(&s, "w1", "b1", 9, 1); /* the others have begun */
    expect(&s, "w2", "LEASE b1 9+1");
}
END_TEST

START_TEST(what_was_asked_back_on_a_lost_connection_is_asked_again)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4"); /* it never arrives */
    peer_lost(&s, "w1");
    peer_of(&s, "w1")->width = 2;
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4");
    worker_releases(&s, "w1", "b1", 6, 4);
    expect(&s, "w2", "LEASE b1 6+2");
    expect(&s, "w2", "LEASE b1 8+1");
}
END_TEST

START_TEST(a_lease_that_gives_nothing_is_not_asked_again_at_once)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4");
    worker_releases(&s, "w1", "b1", 6, 0);
    expect_nothing_else(&s);
    worker_returns(&s, "w1", "b1", 0, 1); /* things have changed */
    ignore(&s, "c1");
    ignore(&s, "w1");
}
END_TEST

START_TEST(work_that_is_over_soon_is_not_stolen)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 20);
    expect(&s, "w1", "LEASE b1 0+10");
    expect(&s, "w1", "LEASE b1 10+5");
    worker_returns_in(&s, "w1", "b1", 0, 10, 8, MS / 100);
    ignore(&s, "w1");
    ignore(&s, "c1");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(tasks_that_wait_behind_another_batch_are_given_to_a_free_worker)
{
    client_and_worker(&s, 2);
    peer_of(&s, "w1")->starts = false;
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    time_passes_ms(&s, HEARTBEAT_MS); /* it names the lease and has started nothing of it */
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+2 asked=1+1");
    worker_releases(&s, "w1", "b1", 1, 1);
    expect(&s, "w2", "LEASE b1 1+1");
}
END_TEST

START_TEST(a_thief_that_leaves_does_no_harm)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4");
    peer_says_bye(&s, "w2");
    worker_releases(&s, "w1", "b1", 6, 4);
    worker_joins(&s, "w3", 4);
    expect(&s, "w3", "LEASE b1 6+4");
}
END_TEST

START_TEST(a_victim_that_vanishes_before_it_answers_does_no_harm)
{
    client_and_worker(&s, 10);
    client_submits(&s, "c1", "b1", 10);
    expect(&s, "w1", "LEASE b1 0+10");
    worker_mans(&s, "w1", "b1", 2);
    worker_joins(&s, "w2", 2);
    expect(&s, "w1", "REVOKE b1 0+10 asked=6+4");
    peer_says_bye(&s, "w1");
    expect(&s, "w2", "LEASE b1 0+2");
    expect(&s, "w2", "LEASE b1 2+2");
}
END_TEST

START_TEST(slow_first_tasks_and_fast_later_ones_balance)
{
    client_and_worker(&s, 1);
    worker_joins(&s, "w2", 1);
    client_submits(&s, "c1", "b1", 12);
    expect(&s, "w1", "LEASE b1 0+1");
    expect(&s, "w1", "LEASE b1 1+1");
    expect(&s, "w2", "LEASE b1 2+1");
    expect(&s, "w2", "LEASE b1 3+1");
    /* w1 is stuck in task 0; w2 does all the rest, task 1 included. */
    worker_returns_everything(&s, "w2", MS);
    ignore(&s, "c1");
    expect_nothing_else(&s); /* by what is known it would soon be over */
    time_passes_ms(&s, HEARTBEAT_MS);
    expect(&s, "w1", "REVOKE b1 1+1 asked=1+1");
    worker_releases(&s, "w1", "b1", 1, 1);
    expect(&s, "w2", "LEASE b1 1+1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("steal");

    STORY(the_untouched_end_of_a_long_lease_goes_to_idle_oars);
    STORY(what_its_worker_has_started_meanwhile_stays_there);
    STORY(what_was_asked_back_on_a_lost_connection_is_asked_again);
    STORY(a_lease_that_gives_nothing_is_not_asked_again_at_once);
    STORY(work_that_is_over_soon_is_not_stolen);
    STORY(tasks_that_wait_behind_another_batch_are_given_to_a_free_worker);
    STORY(a_thief_that_leaves_does_no_harm);
    STORY(a_victim_that_vanishes_before_it_answers_does_no_harm);
    STORY(slow_first_tasks_and_fast_later_ones_balance);
    return story_run("engine/steal", tcase);
}
