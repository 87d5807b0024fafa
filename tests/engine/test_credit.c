/* Room for results: windows, reserves, memory. */
#include "tests/engine/story.h"

#define SECOND UINT64_C(1000000000)

/* What a lease reserves beside its values, and what it reserves for each task at first. */
#define ROW 512
#define TASK 64

static void submit(uint64_t count, uint64_t window_bytes)
{
    struct scenario_spec spec = { 0 };

    client_submits_with(&s, "c1", "b1", count, window_bytes, &spec);
    expect(&s, "c1", "ACCEPTED b1 %d", (int)count);
}

START_TEST(what_is_leased_is_reserved_in_the_window_of_the_owner)
{
    client_and_worker(&s, 8);
    submit(8, ROW + TASK * 3);
    expect(&s, "w1", "LEASE b1 0+3"); /* 64 bytes a task at first */
}
END_TEST

START_TEST(an_acknowledged_row_makes_room_and_is_deleted)
{
    client_and_worker(&s, 8);
    submit(4, ROW + TASK * 3);
    expect(&s, "w1", "LEASE b1 0+3");
    worker_returns_in(&s, "w1", "b1", 0, 3, 40, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+3");
    expect(&s, "w1", "LEASE b1 3+1"); /* the oldest, on its reserve */
    expect_row(&s, STORE_ROW, "b1", 0);
    client_acks(&s, "c1", "b1", 0);
    expect_no_row(&s, STORE_ROW, "b1", 0);
    expect_row(&s, STORE_BATCH, "b1", 0);
}
END_TEST

START_TEST(the_oldest_undone_task_is_always_leased_once)
{
    client_and_worker(&s, 8);
    submit(20, ROW + TASK * 3);
    expect(&s, "w1", "LEASE b1 0+3");
    worker_returns_in(&s, "w1", "b1", 1, 2, 300, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 1+2"); /* larger than the window; it had been promised */
    worker_returns_in(&s, "w1", "b1", 0, 1, 300, SECOND);
    expect(&s, "c1", "ROW b1 #1 values 0+1");
    expect(&s, "w1", "LEASE b1 3+1"); /* the oldest, on the reserve */
    worker_returns_in(&s, "w1", "b1", 3, 1, 300, SECOND);
    expect(&s, "c1", "ROW b1 #2 values 3+1");
    /* The client takes nothing: the reserve is used up, memory holds. */
    expect_nothing_else(&s);
    client_acks(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 4+1");
}
END_TEST

START_TEST(ordered_output_cannot_deadlock_on_a_full_window)
{
    client_and_worker(&s, 4);
    submit(12, ROW + TASK * 4);
    expect(&s, "w1", "LEASE b1 0+4");
    /* Task 0 is slow; the others fill the window, and their client can print none of them. */
    worker_returns_in(&s, "w1", "b1", 1, 3, 100, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 1+3");
    expect_nothing_else(&s);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #1 entries 0+1");
    expect(&s, "w1", "LEASE b1 4+1");
    client_acks(&s, "c1", "b1", 0);
    ignore(&s, "w1");
    client_acks(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    worker_returns_in(&s, "w1", "b1", 4, 1, 100, SECOND);
    expect(&s, "c1", "ROW b1 #2 values 4+1");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_worker_that_needs_more_room_gets_it_when_there_is_any)
{
    client_and_worker(&s, 2);
    submit(2, 5000);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_wants(&s, "w1", "b1", 0, 500);
    expect_prompt(&s, "w1", "CREDIT b1 0+2 bytes=500");
}
END_TEST

START_TEST(a_worker_that_needs_more_room_waits_for_acknowledgements)
{
    client_and_worker(&s, 3);
    submit(8, 2 * (ROW + TASK * 3));
    expect(&s, "w1", "LEASE b1 0+3");
    expect(&s, "w1", "LEASE b1 3+3");
    worker_returns_in(&s, "w1", "b1", 0, 2, 60, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    ignore(&s, "w1");
    worker_wants(&s, "w1", "b1", 4, 400);
    expect_nothing_else(&s); /* task 2 is older, and its lease has not asked */
    client_acks(&s, "c1", "b1", 0);
    ignore(&s, "w1");
    worker_returns_in(&s, "w1", "b1", 2, 1, 10, SECOND);
    ignore(&s, "c1");
    ck_assert(was_ever_sent(&s, "w1", "CREDIT b1 3+3 bytes=400"));
    ignore(&s, "w1");
}
END_TEST

START_TEST(the_lease_of_the_oldest_task_gets_its_room_beyond_the_window)
{
    client_and_worker(&s, 2);
    submit(2, ROW + TASK * 2);
    expect(&s, "w1", "LEASE b1 0+2");
    peer_of(&s, "w1")->starts = false; /* it has run them, and their results are large */
    worker_wants(&s, "w1", "b1", 0, 5000);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000");
    worker_wants(&s, "w1", "b1", 0, 5000); /* the reserve is in use until its row is taken */
    expect_nothing_else(&s);
    worker_returns_in(&s, "w1", "b1", 0, 1, 4000, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_wants(&s, "w1", "b1", 1, 5000);
    expect_nothing_else(&s);
    client_acks(&s, "c1", "b1", 0);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000");
}
END_TEST

START_TEST(the_lease_of_the_oldest_task_gets_more_room_when_that_was_not_enough)
{
    client_and_worker(&s, 2);
    submit(2, ROW + TASK * 2);
    expect(&s, "w1", "LEASE b1 0+2");
    peer_of(&s, "w1")->starts = false;
    worker_wants(&s, "w1", "b1", 0, 5000);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000");
    worker_wants(&s, "w1", "b1", 0, 300); /* it may not have had the CREDIT yet */
    expect_nothing_else(&s);
    time_passes_ms(&s, 1000);
    ignore(&s, "c1");
    worker_wants(&s, "w1", "b1", 0, 300);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=300");
}
END_TEST

START_TEST(the_reserve_goes_with_the_oldest_task_to_another_lease)
{
    client_and_worker(&s, 2);
    submit(2, ROW + TASK * 2);
    expect(&s, "w1", "LEASE b1 0+2");
    peer_of(&s, "w1")->starts = false;
    worker_wants(&s, "w1", "b1", 0, 5000);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000");
    worker_mans(&s, "w1", "b1", 0); /* it leaves */
    worker_releases(&s, "w1", "b1", 0, 1);
    ignore(&s, "w1");
    expect_nothing_else(&s);
    worker_joins(&s, "w2", 1);
    expect(&s, "w2", "LEASE b1 0+1");
}
END_TEST

START_TEST(the_reserve_is_not_for_younger_tasks_while_the_oldest_runs)
{
    client_and_worker(&s, 3);
    submit(3, ROW + TASK * 3);
    expect(&s, "w1", "LEASE b1 0+3");
    worker_starts(&s, "w1", "b1", 0, 1);
    worker_wants(&s, "w1", "b1", 0, 5000); /* for the other two, of which nobody can take any */
    expect_nothing_else(&s);
    tri_rangeset_clear(&lease_of(&s, "w1", "b1", 0)->started);
    peer_of(&s, "w1")->starts = false;
    worker_wants(&s, "w1", "b1", 0, 9000); /* it has ended, too */
    expect(&s, "w1", "CREDIT b1 0+3 bytes=9000");
    worker_returns_in(&s, "w1", "b1", 0, 3, 3000, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+3");
    expect(&s, "c1", "END b1 done done=3 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(room_that_got_lost_with_its_connection_is_given_again)
{
    client_and_worker(&s, 2);
    submit(2, ROW + TASK * 2);
    expect(&s, "w1", "LEASE b1 0+2");
    peer_of(&s, "w1")->starts = false; /* it has run them, and their results are large */
    worker_wants(&s, "w1", "b1", 0, 5000);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000"); /* beyond the window, and it never arrives */
    peer_lost(&s, "w1");
    peer_returns(&s, "w1");
    ignore(&s, "w1");
    worker_wants(&s, "w1", "b1", 0, 5000);
    expect(&s, "w1", "CREDIT b1 0+2 bytes=5000");
    worker_returns_in(&s, "w1", "b1", 0, 2, 4000, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "c1", "END b1 done done=2 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(room_is_not_given_to_a_worker_that_cannot_be_reached)
{
    client_and_worker(&s, 2);
    worker_joins(&s, "w2", 2);
    submit(100, 4 * (ROW + TASK * 2) + 100);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    expect(&s, "w2", "LEASE b1 4+2");
    expect(&s, "w2", "LEASE b1 6+2");
    peer_of(&s, "w2")->starts = false; /* it has run them, and their results are large */
    worker_wants(&s, "w2", "b1", 4, 200);
    expect_nothing_else(&s);
    peer_lost(&s, "w2");
    worker_returns_in(&s, "w1", "b1", 0, 2, 8, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    worker_returns_in(&s, "w1", "b1", 2, 2, 8, SECOND);
    expect(&s, "c1", "ROW b1 #1 values 2+2");
    expect(&s, "w1", "LEASE b1 8+2");
    for (int row = 2; row < 10; row++) { /* the window stays as it is */
        client_acks(&s, "c1", "b1", (uint64_t)row - 1);
        worker_returns_in(&s, "w1", "b1", (uint64_t)row * 2 + 4, 2, 8, SECOND);
        expect(&s, "c1", "ROW b1 #%d values %d+2", row, row * 2 + 4);
        expect(&s, "w1", "LEASE b1 %d+2", row * 2 + 6);
    }
    peer_returns(&s, "w2");
    expect(&s, "w2", "WELCOME");
    expect(&s, "w2", "CREDIT b1 4+2 bytes=200");
}
END_TEST

START_TEST(a_lease_that_waits_for_room_leaves_its_oars_to_others)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 2);
    worker_joins(&s, "w2", 2);
    submit(4, 2 * (ROW + TASK * 2));
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w2", "LEASE b1 2+2");
    peer_of(&s, "w2")->starts = false; /* it has run them, and their results are large */
    worker_wants(&s, "w2", "b1", 2, 5000);
    expect_nothing_else(&s);
    client_submits_with(&s, "c1", "b2", 2, 10000, &spec);
    expect(&s, "c1", "ACCEPTED b2 2");
    expect(&s, "w2", "LEASE b2 0+2");
    worker_returns_in(&s, "w2", "b2", 0, 2, 60, SECOND);
    ignore(&s, "c1");
    /* The oldest task of b1 comes back, and nobody else is there to run it. */
    peer_says_bye(&s, "w1");
    expect(&s, "w2", "LEASE b1 0+2");
    worker_returns_in(&s, "w2", "b1", 0, 2, 60, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "w2", "CREDIT b1 2+2 bytes=5000");
}
END_TEST

START_TEST(the_reservation_follows_the_mean_of_the_results)
{
    client_and_worker(&s, 4);
    submit(40, 12000);
    expect(&s, "w1", "LEASE b1 0+4");
    expect(&s, "w1", "LEASE b1 4+4");
    worker_returns_in(&s, "w1", "b1", 0, 4, 1000, SECOND);
    expect(&s, "c1", "ROW b1 #0 values 0+4");
    worker_returns_in(&s, "w1", "b1", 4, 4, 1000, SECOND);
    expect(&s, "c1", "ROW b1 #1 values 4+4");
    expect(&s, "w1", "LEASE b1 8+2"); /* 1.25 kB each in what is left */
    client_acks(&s, "c1", "b1", 0);
    expect(&s, "w1", "LEASE b1 10+2");
}
END_TEST

START_TEST(a_batch_nobody_is_attached_to_keeps_its_rows_up_to_the_memory_cap)
{
    struct engine_options options = scenario_options();
    struct scenario_spec spec = { 0 };

    options.limits.memory_bytes_max = 2000;
    story_with(&options);
    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", 100, 0, &spec);
    expect(&s, "c1", "ACCEPTED b1 100");
    ignore(&s, "w1");
    worker_returns_everything(&s, "w1", SECOND);
    ignore(&s, "w1");
    expect_trace(&s, "batch.accepted batch=1 tasks=100");
    /* It has stopped before the cap, with something done. */
    client_attaches(&s, "c1", "b1", true, 100000);
    expect(&s, "c1", "ATTACHED b1 100 running");
    ck_assert(was_sent(&s, "c1", "ROW b1 #0 values 0+"));
    ignore(&s, "c1");
    ignore(&s, "w1");
    client_acks(&s, "c1", "b1", 0);
    ignore(&s, "c1");
    ck_assert(was_sent(&s, "w1", "LEASE b1"));
    ignore(&s, "w1");
}
END_TEST

START_TEST(rows_are_sent_within_the_window_of_a_client_that_attaches_later)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 3);
    client_submits_with(&s, "c1", "b1", 3, 0, &spec);
    ignore(&s, "c1");
    ignore(&s, "w1");
    for (uint64_t i = 0; i < 3; i++)
        worker_returns_in(&s, "w1", "b1", i, 1, 100, SECOND);
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", false, 300);
    expect(&s, "c2", "ATTACHED b1 3 done");
    expect(&s, "c2", "ROW b1 #0 values 0+1");
    expect(&s, "c2", "ROW b1 #1 values 1+1");
    client_acks(&s, "c2", "b1", 0);
    expect(&s, "c2", "ROW b1 #2 values 2+1");
    expect(&s, "c2", "END b1 done done=3 dead=0 cancelled=0 rows=3");
    expect_row(&s, STORE_ROW, "b1", 0); /* it only reads */
}
END_TEST

START_TEST(who_has_no_room_for_the_last_rows_is_told_that_all_is_done)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 3);
    client_submits_with(&s, "c1", "b1", 3, 0, &spec);
    ignore(&s, "c1");
    ignore(&s, "w1");
    for (uint64_t i = 0; i < 3; i++)
        worker_returns_in(&s, "w1", "b1", i, 1, 100, SECOND);
    client_joins(&s, "c2");
    s.wants_progress = true;
    client_attaches(&s, "c2", "b1", false, 300);
    expect(&s, "c2", "ATTACHED b1 3 done");
    expect(&s, "c2", "ROW b1 #0 values 0+1");
    expect(&s, "c2", "ROW b1 #1 values 1+1");
    expect(&s, "c2", "PROGRESS b1 leased=0 done=3 workers=0");
    client_attaches(&s, "c2", "b1", false, 600); /* it asks for more */
    expect(&s, "c2", "ATTACHED b1 3 done");
    for (int row = 0; row < 3; row++)
        expect(&s, "c2", "ROW b1 #%d values %d+1", row, row);
    expect(&s, "c2", "END b1 done done=3 dead=0 cancelled=0 rows=3");
}
END_TEST

START_TEST(another_owner_takes_over_and_the_first_is_told)
{
    uint64_t submitted;

    client_and_worker(&s, 3);
    submit(3, 10000);
    submitted = s.request;
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", true, 10000);
    expect(&s, "c1", "ERROR STALE");
    ck_assert_uint_eq(s.refused_request, submitted);
    expect(&s, "c2", "ATTACHED b1 3 running");
    expect(&s, "c2", "ROW b1 #0 values 0+1");
    client_acks(&s, "c1", "b1", 0); /* it is nobody any more */
    expect_row(&s, STORE_ROW, "b1", 0);
    client_acks(&s, "c2", "b1", 0);
    expect_no_row(&s, STORE_ROW, "b1", 0);
}
END_TEST

START_TEST(an_owner_that_was_deposed_unheard_is_told_when_it_comes_back)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACH };

    client_and_worker(&s, 1);
    client_opens(&s, "c1", "b1", 10000);
    ignore(&s, "c1");
    peer_lost(&s, "c1");
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", true, 10000);
    ignore(&s, "c2");
    peer_returns(&s, "c1");
    ignore(&s, "c1");
    message.attach.request = ++s.request;
    message.attach.number = batch_of(&s, "b1")->number;
    message.attach.owner = 2;
    message.attach.window_bytes = 10000;
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR STALE");
    client_appends_at(&s, "c1", "b1", 0, 1, 16, 'x');
    expect(&s, "c1", "ERROR STALE");
    client_attaches(&s, "c1", "b1", true, 10000); /* it wants the batch back */
    expect(&s, "c2", "ERROR STALE");
    expect(&s, "c1", "ATTACHED b1 0 open");
}
END_TEST

START_TEST(a_successor_is_told_what_the_first_owner_has_had)
{
    client_and_worker(&s, 3);
    submit(3, 10000);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #1 values 2+1");
    client_acks(&s, "c1", "b1", 0);
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", true, 10000);
    expect(&s, "c1", "ERROR STALE");
    expect(&s, "c2", "ATTACHED b1 3 running settled=0+1");
    expect(&s, "c2", "ROW b1 #1 values 2+1");
}
END_TEST

START_TEST(an_owner_that_attaches_with_rows_it_has_acknowledges_them)
{
    struct tri_message attach = { .type = TRI_MESSAGE_ATTACH };
    struct tri_range have = { 0, 2 };

    client_and_worker(&s, 3);
    submit(3, 10000);
    ignore(&s, "w1");
    for (uint64_t i = 0; i < 3; i++) {
        worker_returns(&s, "w1", "b1", i, 1);
        ignore(&s, "c1");
    }
    attach.attach.batch = (struct tri_bytes){ batch_of(&s, "b1")->uuid.bytes, 16 };
    attach.attach.owner = 1;
    attach.attach.window_bytes = 10000;
    attach.attach.have = tri_ranges_of(&have, 1);
    client_asks(&s, "c1", &attach);
    expect(&s, "c1", "ATTACHED b1 3 done");
    expect(&s, "c1", "ROW b1 #2 values 2+1");
    expect(&s, "c1", "END b1 done done=3 dead=0 cancelled=0 rows=3");
    expect_no_row(&s, STORE_ROW, "b1", 0);
    expect_no_row(&s, STORE_ROW, "b1", 1);
}
END_TEST

START_TEST(what_was_acknowledged_out_of_order_is_kept_as_heads_until_it_folds)
{
    client_and_worker(&s, 4000);
    submit(4000, UINT64_C(64) << 20);
    ignore(&s, "w1");
    for (uint64_t i = 0; i < 2200; i++) {
        worker_returns(&s, "w1", "b1", i, 1);
        ignore(&s, "c1");
        ignore(&s, "w1");
    }
    for (uint64_t i = 0; i < 2200; i += 2)
        client_acks(&s, "c1", "b1", i);
    expect_no_row(&s, STORE_ROW, "b1", 0);
    expect_row(&s, STORE_ROW, "b1", 2198); /* 1024 ranges stand in the batch's own row */
    for (uint64_t i = 1; i < 2200; i += 2)
        client_acks(&s, "c1", "b1", i);
    expect_no_row(&s, STORE_ROW, "b1", 2198);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("credit");

    STORY(what_is_leased_is_reserved_in_the_window_of_the_owner);
    STORY(an_acknowledged_row_makes_room_and_is_deleted);
    STORY(the_oldest_undone_task_is_always_leased_once);
    STORY(ordered_output_cannot_deadlock_on_a_full_window);
    STORY(a_worker_that_needs_more_room_gets_it_when_there_is_any);
    STORY(a_worker_that_needs_more_room_waits_for_acknowledgements);
    STORY(the_lease_of_the_oldest_task_gets_its_room_beyond_the_window);
    STORY(the_lease_of_the_oldest_task_gets_more_room_when_that_was_not_enough);
    STORY(the_reserve_goes_with_the_oldest_task_to_another_lease);
    STORY(the_reserve_is_not_for_younger_tasks_while_the_oldest_runs);
    STORY(room_that_got_lost_with_its_connection_is_given_again);
    STORY(room_is_not_given_to_a_worker_that_cannot_be_reached);
    STORY(a_lease_that_waits_for_room_leaves_its_oars_to_others);
    STORY(the_reservation_follows_the_mean_of_the_results);
    STORY(a_batch_nobody_is_attached_to_keeps_its_rows_up_to_the_memory_cap);
    STORY(rows_are_sent_within_the_window_of_a_client_that_attaches_later);
    STORY(who_has_no_room_for_the_last_rows_is_told_that_all_is_done);
    STORY(another_owner_takes_over_and_the_first_is_told);
    STORY(an_owner_that_was_deposed_unheard_is_told_when_it_comes_back);
    STORY(a_successor_is_told_what_the_first_owner_has_had);
    STORY(an_owner_that_attaches_with_rows_it_has_acknowledges_them);
    STORY(what_was_acknowledged_out_of_order_is_kept_as_heads_until_it_folds);
    return story_run("engine/credit", tcase);
}
