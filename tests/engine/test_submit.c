/* What a batch may be, and whose it is. */
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)

START_TEST(a_batch_submitted_again_is_accepted_again)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 8);
    client_submits(&s, "c1", "b1", 3);
    expect(&s, "w1", "LEASE b1 0+3");
    client_submits_with(&s, "c1", "b1", 3, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 3");
}
END_TEST

START_TEST(a_batch_that_another_client_has_taken_over_is_not_taken_back_by_submitting_it_again)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 2);
    client_joins(&s, "c2");
    client_submits(&s, "c1", "b1", 10);
    ignore(&s, "w1");
    client_attaches(&s, "c2", "b1", true, WINDOW);
    ignore(&s, "c2");
    expect(&s, "c1", "ERROR STALE");
    client_submits_with(&s, "c1", "b1", 10, WINDOW, &spec);
    expect(&s, "c1", "ERROR STALE");
}
END_TEST

START_TEST(another_batch_under_the_same_uuid_is_a_conflict)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 8);
    client_submits(&s, "c1", "b1", 3);
    expect(&s, "w1", "LEASE b1 0+3");
    client_submits_with(&s, "c1", "b1", 4, WINDOW, &spec);
    expect(&s, "c1", "ERROR CONFLICT");
}
END_TEST

START_TEST(the_uuid_of_another_principal_is_a_conflict)
{
    struct scenario_spec spec = { 0 };

    client_of(&s, "c1", "alice");
    client_of(&s, "c2", "bob");
    worker_joins(&s, "w1", 8);
    client_submits(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    client_submits_with(&s, "c2", "b1", 3, WINDOW, &spec);
    expect(&s, "c2", "ERROR CONFLICT");
}
END_TEST

START_TEST(a_handler_that_no_worker_has_ever_offered_is_unsupported)
{
    struct scenario_spec spec = { .handler = "fly" };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 3, WINDOW, &spec);
    expect(&s, "c1", "ERROR UNSUPPORTED");
}
END_TEST

START_TEST(a_handler_known_but_absent_now_is_accepted_and_waits)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 2);
    peer_says_bye(&s, "w1");
    client_submits_with(&s, "c1", "b1", 1, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 1 absent");
    worker_joins(&s, "w2", 2);
    expect(&s, "w2", "LEASE b1 0+1");
}
END_TEST

START_TEST(a_plugin_may_run_anywhere)
{
    struct scenario_spec spec = { .handler = "mine", .plugin = "/opt/mine.so" };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 1, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 1");
    expect(&s, "w1", "LEASE b1 0+1");
}
END_TEST

START_TEST(a_range_that_leaves_64_bits_is_invalid)
{
    struct scenario_spec spec = { .first = INT64_MAX - 2 };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 4, WINDOW, &spec);
    expect(&s, "c1", "ERROR INVALID");
    client_submits_with(&s, "c1", "b1", 3, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 3");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_range_may_go_from_the_first_integer_of_64_bits_to_the_last)
{
    struct scenario_spec spec = { .first = INT64_MIN, .step = INT64_MAX };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 3, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b1 3");
    ignore(&s, "w1");
    client_submits_with(&s, "c1", "b2", 4, WINDOW, &spec);
    expect(&s, "c1", "ERROR INVALID");
    spec = (struct scenario_spec){ .first = INT64_MAX, .step = INT64_MIN };
    client_submits_with(&s, "c1", "b2", 2, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b2 2");
    client_submits_with(&s, "c1", "b3", 3, WINDOW, &spec);
    expect(&s, "c1", "ERROR INVALID");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_spec_that_cannot_be_read_is_invalid)
{
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };
    struct tri_uuid uuid = { "b1" };

    client_and_worker(&s, 2);
    message.submit.batch = (struct tri_bytes){ uuid.bytes, 16 };
    message.submit.spec = tri_bytes_of("nonsense");
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR INVALID");
}
END_TEST

START_TEST(a_batch_of_no_tasks_ends_at_once)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 0);
    expect(&s, "c1", "END b1 done done=0 dead=0 cancelled=0 rows=0");
}
END_TEST

START_TEST(more_batches_than_may_be_are_refused_as_full)
{
    struct engine_options options = scenario_options();
    struct scenario_spec spec = { 0 };

    options.limits.batches_max = 1;
    story_with(&options);
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 0);
    expect(&s, "c1", "END b1 done done=0 dead=0 cancelled=0 rows=0");
    client_submits_with(&s, "c1", "b2", 0, WINDOW, &spec);
    expect(&s, "c1", "ERROR FULL");
    client_forgets(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    s.batches[1].number = 0;
    client_submits_with(&s, "c1", "b2", 0, WINDOW, &spec);
    expect(&s, "c1", "ACCEPTED b2 0");
    expect(&s, "c1", "END b2 done done=0 dead=0 cancelled=0 rows=0");
}
END_TEST

START_TEST(another_principal_never_sees_a_batch)
{
    struct tri_message list = { .type = TRI_MESSAGE_LIST };

    client_of(&s, "c1", "alice");
    client_of(&s, "c2", "bob");
    worker_joins(&s, "w1", 2);
    client_submits(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    client_attaches(&s, "c2", "b1", false, WINDOW);
    expect(&s, "c2", "ERROR NOTFOUND");
    client_cancels(&s, "c2", "b1");
    expect(&s, "c2", "ERROR NOTFOUND");
    client_asks(&s, "c2", &list);
    expect(&s, "c2", "LISTED");
    client_asks(&s, "c1", &list);
    expect(&s, "c1", "LISTED b1:running");
}
END_TEST

START_TEST(what_is_accepted_is_in_the_store_before_it_is_said)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 1, WINDOW, &spec);
    expect_waiting(&s, "c1", "ACCEPTED b1 1");
    expect_row(&s, STORE_BATCH, "b1", 0);
    expect_prompt(&s, "w1", "LEASE b1 0+1");
}
END_TEST

START_TEST(a_billion_tasks_cost_what_ten_cost)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", UINT64_C(1000000000));
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    client_cancels(&s, "c1", "b1");
    ignore(&s, "w1");
    expect(&s, "c1", "ROW b1 #0 entries 0+1000000000");
    expect(&s, "c1", "DONE 1000000000");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=1000000000 rows=1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("submit");

    STORY(a_batch_submitted_again_is_accepted_again);
    STORY(a_batch_that_another_client_has_taken_over_is_not_taken_back_by_submitting_it_again);
    STORY(another_batch_under_the_same_uuid_is_a_conflict);
    STORY(the_uuid_of_another_principal_is_a_conflict);
    STORY(a_handler_that_no_worker_has_ever_offered_is_unsupported);
    STORY(a_handler_known_but_absent_now_is_accepted_and_waits);
    STORY(a_plugin_may_run_anywhere);
    STORY(a_range_that_leaves_64_bits_is_invalid);
    STORY(a_range_may_go_from_the_first_integer_of_64_bits_to_the_last);
    STORY(a_spec_that_cannot_be_read_is_invalid);
    STORY(a_batch_of_no_tasks_ends_at_once);
    STORY(more_batches_than_may_be_are_refused_as_full);
    STORY(another_principal_never_sees_a_batch);
    STORY(what_is_accepted_is_in_the_store_before_it_is_said);
    STORY(a_billion_tasks_cost_what_ten_cost);
    return story_run("engine/submit", tcase);
}
