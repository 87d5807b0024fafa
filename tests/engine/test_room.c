/* A store on a disk says how much room it has; when it has none, what runs goes on and nothing new
 * is taken. */
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)
#define KIB UINT64_C(1024)

/* A batch may have `batch_bytes` on the way to a store, whatever it has there. */
static void stored(uint64_t batch_bytes)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = true;
    options.limits.item_bytes_max = 1000;
    options.limits.memory_bytes_max = UINT64_MAX;
    options.limits.batch_bytes_max = batch_bytes;
    story_with(&options);
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 4);
}

static uint64_t refused_request(void)
{
    return s.refused_request;
}

START_TEST(a_full_store_takes_no_new_batch_until_it_has_room)
{
    struct scenario_spec spec = { 0 };

    stored(1 << 20);
    store_has_room(&s, 0);
    expect_trace(&s, "store.full room=0");
    client_submits_with(&s, "c1", "b1", 10, WINDOW, &spec);
    expect_informing(&s, "c1", "ERROR NO_SPACE");
    ck_assert_uint_eq(refused_request(), s.request);
    client_opens_with(&s, "c1", "b2", WINDOW, &spec);
    expect_informing(&s, "c1", "ERROR NO_SPACE");
    store_has_room(&s, 100 * KIB); /* not yet worth beginning */
    client_submits_with(&s, "c1", "b1", 10, WINDOW, &spec);
    expect(&s, "c1", "ERROR NO_SPACE");
    store_has_room(&s, 1 << 20);
    expect_trace(&s, "store.room room=1048576");
    client_submits(&s, "c1", "b1", 10);
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_batch_that_a_full_store_has_already_is_accepted_again)
{
    struct scenario_spec spec = { 0 };

    stored(1 << 20);
    client_submits(&s, "c1", "b1", 4);
    ignore(&s, "w1");
    store_has_room(&s, 0);
    client_submits_with(&s, "c1", "b1", 4, WINDOW, &spec);
    expect_waiting(&s, "c1", "ACCEPTED b1 4");
}
END_TEST

START_TEST(what_runs_on_a_full_store_goes_on_and_can_be_seen)
{
    struct tri_message list = { .type = TRI_MESSAGE_LIST };

    stored(1 << 20);
    client_submits(&s, "c1", "b1", 8);
    expect(&s, "w1", "LEASE b1 0+4");
    expect(&s, "w1", "LEASE b1 4+2");
    store_has_room(&s, 0);
    worker_returns(&s, "w1", "b1", 0, 4);
    expect_waiting(&s, "c1", "ROW b1 #0 values 0+4");
    ignore(&s, "w1");
    client_asks(&s, "c1", &list);
    expect_informing(&s, "c1", "LISTED b1:running");
    client_joins(&s, "c2");
    worker_returns(&s, "w1", "b1", 4, 2);
    expect_waiting(&s, "c1", "ROW b1 #1 values 4+2");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_full_store_leases_only_the_oldest_task)
{
    stored(1 << 20);
    client_submits(&s, "c1", "b1", 100);
    expect(&s, "w1", "LEASE b1 0+4");
    ignore(&s, "w1");
    store_has_room(&s, 0);
    worker_returns_in(&s, "w1", "b1", 0, 4, 8, SECOND);
    ignore(&s, "c1");
    worker_returns_in(&s, "w1", "b1", 4, 4, 8, SECOND);
    expect(&s, "w1", "LEASE b1 8+1");
    ignore(&s, "c1");
    ignore(&s, "w1");
    store_has_room(&s, 1000 * KIB);
    ck_assert(was_sent(&s, "w1", "LEASE b1 9+"));
    ignore(&s, "w1");
}
END_TEST

START_TEST(what_a_batch_may_queue_in_a_store_is_bounded_by_its_room_alone)
{
    stored(10000);
    peer_says_bye(&s, "w1");
    store_has_room(&s, 4000 * KIB);
    {
        struct scenario_spec spec = { 0 };

        client_opens_with(&s, "c1", "b1", WINDOW, &spec);
        expect(&s, "c1", "ACCEPTED b1 0 absent");
    }
    for (unsigned long long i = 0; i < 50; i++) {
        client_appends_at(&s, "c1", "b1", 9 * i, 9, 990, 'x');
        expect(&s, "c1", "APPENDED b1 %llu", 9 * i + 9);
    }
    /* On the way it is bounded. */
    ck_assert_uint_le(s.credit_bytes, 50 * 9 * 1000 + 10000);
}
END_TEST

START_TEST(what_is_promised_to_one_batch_is_not_promised_to_another)
{
    stored(1 << 20);
    store_has_room(&s, 200 * KIB);
    client_opens(&s, "c1", "b1", WINDOW);
    client_opens(&s, "c1", "b2", WINDOW);
    {
        struct scenario_spec spec = { 0 };

        client_opens_with(&s, "c1", "b3", WINDOW, &spec);
        expect(&s, "c1", "ERROR NO_SPACE"); /* three quarters are promised */
        ck_assert_uint_eq(refused_request(), s.request);
    }
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
}
END_TEST

/* Items of a batch that nobody runs fill three quarters of what the store may have. */
static void items_fill_their_part(void)
{
    stored(1 << 20);
    peer_says_bye(&s, "w1");
    store_has_room(&s, 400 * KIB);
    client_opens_with(&s, "c1", "b1", WINDOW, &(struct scenario_spec){ 0 });
    for (uint64_t i = 0; !was_sent(&s, "c1", "ERROR NO_SPACE"); i++) {
        ck_assert_uint_lt(i, 400);
        ignore(&s, "c1");
        client_appends_at(&s, "c1", "b1", i, 1, 990, 'x');
        ck_assert(was_sent(&s, "c1", "APPENDED b1"));
    }
    ignore(&s, "c1");
}

START_TEST(where_what_is_left_is_for_results_only_batches_with_new_arguments_are_refused)
{
    struct scenario_spec spec = { 0 };

    items_fill_their_part();
    client_submits_with(&s, "c1", "b2", 10, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b2 10 absent");
    client_opens_with(&s, "c1", "b3", WINDOW, &spec);
    expect(&s, "c1", "ERROR NO_SPACE");
    ck_assert_uint_eq(refused_request(), s.request);
    store_has_room(&s, 400 * KIB);
    ignore(&s, "c1");
    client_opens_with(&s, "c1", "b3", WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b3 0 absent");
}
END_TEST

START_TEST(an_append_to_a_full_store_is_refused_although_it_was_promised)
{
    stored(1 << 20);
    store_has_room(&s, 1000 * KIB);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    store_has_room(&s, 10); /* somebody else fills the disk */
    client_appends_at(&s, "c1", "b1", 2, 2, 8, 'x');
    expect_informing(&s, "c1", "ERROR NO_SPACE"); /* for that request */
    expect_informing(&s, "c1", "ERROR NO_SPACE"); /* for a person */
    ck_assert_uint_eq(refused_request(), 0);
    client_appends_at(&s, "c1", "b1", 2, 2, 8, 'x');
    expect(&s, "c1", "ERROR NO_SPACE");
    ck_assert_uint_eq(refused_request(), s.request);
    store_has_room(&s, 1000 * KIB);
    client_appends_at(&s, "c1", "b1", 2, 2, 8, 'x');
    expect(&s, "c1", "APPENDED b1 4");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_client_that_waits_for_room_is_told_once_and_gets_credit_when_there_is_some)
{
    stored(1 << 20);
    store_has_room(&s, 100 * KIB);
    client_opens(&s, "c1", "b1", WINDOW);
    for (uint64_t i = 0; !was_sent(&s, "c1", "ERROR NO_SPACE"); i++) {
        ck_assert_uint_lt(i, 20);
        client_appends_at(&s, "c1", "b1", i, 1, 900, 'x');
        ignore(&s, "w1");
        ck_assert(was_sent(&s, "c1", "APPENDED b1"));
        ignore(&s, "c1");
    }
    ck_assert_uint_eq(refused_request(), 0);
    time_passes_ms(&s, 3 * HEARTBEAT_MS);
    expect_nothing_else(&s);
    store_has_room(&s, 1000 * KIB);
    ck_assert(was_sent(&s, "c1", "APPENDED b1"));
    ck_assert_uint_gt(s.credit_bytes, 66536);
    ignore(&s, "c1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("room");

    STORY(a_full_store_takes_no_new_batch_until_it_has_room);
    STORY(a_batch_that_a_full_store_has_already_is_accepted_again);
    STORY(what_runs_on_a_full_store_goes_on_and_can_be_seen);
    STORY(a_full_store_leases_only_the_oldest_task);
    STORY(what_a_batch_may_queue_in_a_store_is_bounded_by_its_room_alone);
    STORY(what_is_promised_to_one_batch_is_not_promised_to_another);
    STORY(where_what_is_left_is_for_results_only_batches_with_new_arguments_are_refused);
    STORY(an_append_to_a_full_store_is_refused_although_it_was_promised);
    STORY(a_client_that_waits_for_room_is_told_once_and_gets_credit_when_there_is_some);
    return story_run("room", tcase);
}
