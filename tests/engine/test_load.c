/* Payloads that are not in memory are fetched before they are sent. */
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)

static void stored_with(const struct scenario_spec *spec)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = true;
    story_with(&options);
    client_and_worker(&s, 4);
    peer_says_bye(&s, "w1");
    client_joins(&s, "c2");
    client_opens_with(&s, "c1", "b1", WINDOW, spec);
    expect(&s, "c1", "ACCEPTED b1 0 absent");
    client_appends(&s, "c1", "b1", 3);
    client_appends(&s, "c1", "b1", 3);
    worker_joins(&s, "w2", 6);
}

static void stored(void)
{
    struct scenario_spec spec = { 0 };

    stored_with(&spec);
}

static void loaded(enum event_type type, enum store_table table, uint64_t key)
{
    struct event event = { .type = type, .now = s.now };

    event.key = (struct store_key){ table, 1, key };
    event.status = type == EVENT_LOADED ? TRI_OK : TRI_STORE;
    event.text = "unreadable";
    step(&s, &event);
}

START_TEST(a_lease_waits_for_the_chunk_that_it_carries)
{
    stored();
    ck_assert_uint_eq(s.get_count, 2); /* a lease each: one chunk is in the cache at a time */
    expect_nothing_else(&s);
    loaded(EVENT_LOADED, STORE_CHUNK, 3);
    expect(&s, "w2", "LEASE b1 3+3 items=3/0+3");
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    expect(&s, "w2", "LEASE b1 0+3 items=0/0+3");
}
END_TEST

START_TEST(an_append_to_idle_workers_needs_no_fetching)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = true;
    story_with(&options);
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 1);
    loaded(EVENT_LOADED, STORE_CHUNK, 0); /* OARS had to come first */
    expect(&s, "w1", "LEASE b1 0+1 items=0/0+1");
    s.get_count = 0;
    client_appends(&s, "c1", "b1", 3);
    expect(&s, "w1", "LEASE b1 1+3 items=1/0+3");
    worker_returns(&s, "w1", "b1", 1, 3);
    expect(&s, "c1", "ROW b1 #0 values 1+3");
    ck_assert_uint_eq(s.get_count, 0);
}
END_TEST

START_TEST(a_chunk_that_cannot_be_read_fails_its_tasks)
{
    stored();
    loaded(EVENT_LOAD_FAILED, STORE_CHUNK, 0);
    expect(&s, "c1", "ROW b1 #0 entries 0+3");
    loaded(EVENT_LOADED, STORE_CHUNK, 3);
    expect(&s, "w2", "LEASE b1 3+3 items=3/0+3");
}
END_TEST

/* Of a row of entries: the message around them and one of them. */
#define ENTRY_BYTES_MAX 512

START_TEST(what_cannot_be_read_takes_no_more_of_the_window_than_was_reserved)
{
    struct tri_message tasks = { .type = TRI_MESSAGE_TASKS };

    stored();
    client_appends(&s, "c1", "b1", 1000);
    peer_says_bye(&s, "w2");
    worker_joins(&s, "w3", 1000);
    loaded(EVENT_LOAD_FAILED, STORE_CHUNK, 6);
    expect(&s, "c1", "ROW b1 #0 entries 6+994");
    expect(&s, "c1", "ROW b1 #1 entries 1000+6");
    ck_assert_uint_le(kept_row(&s, (struct store_key){ STORE_ROW, 1, 0 })->payload_bytes,
                      ENTRY_BYTES_MAX);
    tasks.tasks.number = 1;
    tasks.tasks.after = 998;
    tasks.tasks.limit = 2;
    client_asks(&s, "c1", &tasks);
    expect(&s, "c1", "TASKS_INFO 998:dead[1:failed@] 999:dead[1:failed@] more");
}
END_TEST

START_TEST(the_reserve_goes_with_the_row_of_what_cannot_be_read)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = true;
    story_with(&options);
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", 1); /* a window in which no result fits */
    client_appends(&s, "c1", "b1", 3);
    ck_assert_uint_eq(s.get_count, 1); /* for the oldest, on the reserve */
    loaded(EVENT_LOAD_FAILED, STORE_CHUNK, 0);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    ck_assert_uint_eq(s.get_count, 1);
    client_acks(&s, "c1", "b1", 0);
    ck_assert_uint_eq(s.get_count, 2);
}
END_TEST

START_TEST(what_is_cancelled_while_its_lease_is_loading_is_not_run)
{
    stored();
    client_cancels_tasks(&s, "c1", "b1", 4, 1);
    expect(&s, "c1", "ROW b1 #0 entries 4+1");
    expect(&s, "c1", "DONE 1");
    client_cancels_tasks(&s, "c1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #1 entries 0+2");
    expect(&s, "c1", "DONE 2");
    loaded(EVENT_LOADED, STORE_CHUNK, 3);
    expect(&s, "w2", "LEASE b1 3+3 items=3/0+3");
    expect(&s, "w2", "CANCEL_LEASE b1 3+3 tasks=4+1");
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    expect(&s, "w2", "LEASE b1 2+1 items=0/2+1");
}
END_TEST

START_TEST(what_is_loading_when_its_batch_halts_is_not_run)
{
    struct scenario_spec spec = { .halt = TRI_HALT_SOON, .halt_fail_count = 1 };

    stored_with(&spec);
    loaded(EVENT_LOADED, STORE_CHUNK, 3);
    expect(&s, "w2", "LEASE b1 3+3 items=3/0+3");
    worker_fails(&s, "w2", "b1", 3, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 3+1");
    expect(&s, "c1", "ERROR CANCELLED");
    expect(&s, "w2", "REVOKE b1 3+3 asked=3+3");
    expect(&s, "c1", "ROW b1 #1 entries 0+3");
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    worker_releases(&s, "w2", "b1", 4, 2);
    expect(&s, "c1", "ROW b1 #2 entries 4+2");
    expect(&s, "c1", "END b1 halted done=0 dead=1 cancelled=5 rows=3");
}
END_TEST

START_TEST(a_worker_that_leaves_while_its_lease_is_loading_does_no_harm)
{
    stored();
    peer_says_bye(&s, "w2");
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    worker_joins(&s, "w3", 6);
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    expect(&s, "w3", "LEASE b1 0+3 items=0/0+3");
}
END_TEST

START_TEST(rows_for_a_client_that_attaches_later_are_fetched_in_order)
{
    stored();
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    expect(&s, "w2", "LEASE b1 0+3 items=0/0+3");
    worker_returns(&s, "w2", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_returns(&s, "w2", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    client_attaches(&s, "c2", "b1", false, WINDOW);
    expect(&s, "c2", "ATTACHED b1 6 open");
    loaded(EVENT_LOADED, STORE_ROW, 0);
    expect(&s, "c2", "ROW b1 #0 values 0+1");
    loaded(EVENT_LOAD_FAILED, STORE_ROW, 1);
    expect(&s, "c2", "ERROR STORE");
    client_attaches(&s, "c2", "b1", false, WINDOW);
    expect(&s, "c2", "ATTACHED b1 6 open settled=1+1"); /* that one does not come */
}
END_TEST

START_TEST(a_row_that_is_acknowledged_while_it_is_fetched_is_not_missed)
{
    stored();
    loaded(EVENT_LOADED, STORE_CHUNK, 0);
    expect(&s, "w2", "LEASE b1 0+3 items=0/0+3");
    worker_returns(&s, "w2", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_returns(&s, "w2", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    client_attaches(&s, "c2", "b1", false, WINDOW);
    expect(&s, "c2", "ATTACHED b1 6 open");
    client_acks(&s, "c1", "b1", 0);
    loaded(EVENT_LOAD_FAILED, STORE_ROW, 0);
    loaded(EVENT_LOADED, STORE_ROW, 1);
    expect(&s, "c2", "ROW b1 #1 values 1+1");
    expect_nothing_else(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("load");

    STORY(a_lease_waits_for_the_chunk_that_it_carries);
    STORY(an_append_to_idle_workers_needs_no_fetching);
    STORY(a_chunk_that_cannot_be_read_fails_its_tasks);
    STORY(what_cannot_be_read_takes_no_more_of_the_window_than_was_reserved);
    STORY(the_reserve_goes_with_the_row_of_what_cannot_be_read);
    STORY(what_is_cancelled_while_its_lease_is_loading_is_not_run);
    STORY(what_is_loading_when_its_batch_halts_is_not_run);
    STORY(a_worker_that_leaves_while_its_lease_is_loading_does_no_harm);
    STORY(rows_for_a_client_that_attaches_later_are_fetched_in_order);
    STORY(a_row_that_is_acknowledged_while_it_is_fetched_is_not_missed);
    return story_run("engine/load", tcase);
}
