/* What there is, and why. */
#include "tests/engine/story.h"

#include <stdio.h>

#define WINDOW (UINT64_C(1) << 20)

static void list(const char *client, uint64_t after, uint64_t limit)
{
    struct tri_message message = { .type = TRI_MESSAGE_LIST };

    message.list.after = after;
    message.list.limit = limit;
    client_asks(&s, client, &message);
}

static const char *explain(const char *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_EXPLAIN };

    message.explain.number = batch_of(&s, batch)->number;
    client_asks(&s, "c1", &message);
    return next_line(&s, "c1");
}

START_TEST(batches_are_listed_by_number_and_in_pages)
{
    client_and_worker(&s, 2);
    for (int i = 1; i <= 5; i++) {
        char name[16];

        snprintf(name, sizeof(name), "b%d", i);
        client_submits(&s, "c1", name, 0);
        ignore(&s, "c1");
    }
    list("c1", 0, 2);
    expect(&s, "c1", "LISTED b1:done b2:done more");
    list("c1", 2, 2);
    expect(&s, "c1", "LISTED b3:done b4:done more");
    list("c1", 4, 2);
    expect(&s, "c1", "LISTED b5:done");
    client_forgets(&s, "c1", "b3");
    ignore(&s, "c1");
    list("c1", 1, 0);
    expect(&s, "c1", "LISTED b2:done b4:done b5:done");
}
END_TEST

START_TEST(progress_is_sent_at_most_every_quarter_of_a_second_while_something_changes)
{
    s.wants_progress = true;
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 10);
    ignore(&s, "w1");
    time_passes_ms(&s, 249);
    expect_nothing_else(&s);
    time_passes_ms(&s, 1);
    expect(&s, "c1", "PROGRESS b1 leased=4 done=0 workers=1");
    time_passes_ms(&s, 700);
    expect_nothing_else(&s);
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    ignore(&s, "w1");
    time_passes_ms(&s, 250);
    ck_assert(was_sent(&s, "c1", "PROGRESS b1 leased=2 done=2 workers=1"));
    ignore(&s, "c1");
}
END_TEST

START_TEST(workers_are_listed_with_what_they_hold)
{
    struct tri_message message = { .type = TRI_MESSAGE_WORKERS };

    client_and_worker(&s, 2);
    worker_joins(&s, "w2", 2);
    client_submits(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    ignore(&s, "w2");
    peer_lost(&s, "w2");
    peer_goes_silent(&s, "w1");
    time_passes_ms(&s, 3 * HEARTBEAT_MS);
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "WORKERS_INFO w1:silent:2 w2:lost:1");
}
END_TEST

START_TEST(explain_says_why_a_batch_is_where_it_is)
{
    static const char *const labels[] = { "gpu", NULL };
    struct scenario_spec spec = { .labels = labels };
    const char *text;

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    text = explain("b1");
    ck_assert_ptr_nonnull(strstr(text, "batch 1: running"));
    ck_assert_ptr_nonnull(strstr(text, "everything that may run is leased"));
    ck_assert_ptr_nonnull(strstr(text, "worker w1: 2 oars (thread), 3 tasks leased"));
    client_submits_with(&s, "c1", "b2", 3, WINDOW, &spec);
    ignore(&s, "c1");
    text = explain("b2");
    ck_assert_ptr_nonnull(strstr(text, "no worker here offers its handler and labels"));
    ck_assert_ptr_nonnull(strstr(text, "worker w1: does not have the label gpu"));
}
END_TEST

START_TEST(explain_says_what_a_worker_refused)
{
    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    worker_refuses(&s, "w1", "b1", TRI_DENIED);
    ignore(&s, "w2");
    ck_assert_ptr_nonnull(
        strstr(explain("b1"), "refused the batch; it says: commands are off here"));
}
END_TEST

START_TEST(explain_of_an_ended_batch_says_what_its_workers_chose_and_why)
{
    const char *text;

    client_joins(&s, "c1");
    worker_hesitates(&s, "w1");
    worker_hesitates(&s, "w2");
    client_submits(&s, "c1", "b1", 4);
    ignore(&s, "w1");
    ignore(&s, "w2");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    worker_mans(&s, "w1", "b1", 2);
    worker_returns_everything(&s, "w1", 1000);
    ck_assert(was_sent(&s, "c1", "END b1 done done=4"));
    ignore(&s, "c1");
    ignore(&s, "w1");
    peer_says_bye(&s, "w1");
    text = explain("b1");
    ck_assert_ptr_nonnull(strstr(text, "batch 1: done"));
    ck_assert_ptr_nonnull(
        strstr(text, "worker w1: had 2 oars (process), ran 4 tasks; it said: processes suit it"));
    ck_assert_ptr_nonnull(
        strstr(text, "worker w2: had 0 oars (auto), ran 0 tasks; it said: commands are off here"));
}
END_TEST

START_TEST(explain_says_that_choices_from_before_a_restart_are_not_known)
{
    const char *text;

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 4);
    worker_returns_everything(&s, "w1", 1);
    ignore(&s, "c1");
    client_submits(&s, "c1", "b2", 40);
    ignore(&s, "w1");
    ck_assert_ptr_null(strstr(explain("b1"), "restart"));
    broker_restarts(&s);
    peer_returns(&s, "c1");
    ignore(&s, "c1");
    text = explain("b1");
    ck_assert_ptr_nonnull(strstr(text, "what its workers chose until then, and why, is not kept"));
    ck_assert_ptr_nonnull(strstr(text, "newest results are of model thread, 1 worker served it"));
    ck_assert_ptr_null(strstr(explain("b2"), "not kept"));
    worker_joins(&s, "w2", 2);
    client_submits(&s, "c1", "b3", 2);
    worker_returns_everything(&s, "w2", 1);
    ignore(&s, "c1");
    ck_assert_ptr_null(strstr(explain("b3"), "restart"));
}
END_TEST

START_TEST(explain_remembers_a_few_workers_and_counts_the_rest)
{
    char name[16];

    client_joins(&s, "c1");
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        worker_joins(&s, name, 1);
    }
    client_submits(&s, "c1", "b1", 20);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        worker_returns_everything(&s, name, 1000);
    }
    ignore(&s, "c1");
    ck_assert_ptr_nonnull(strstr(explain("b1"), "workers that came and went beside these: 12"));
}
END_TEST

START_TEST(explain_says_that_a_batch_waits_for_a_worker_that_left)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 2);
    client_submits(&s, "c1", "b1", 5);
    ignore(&s, "w1");
    worker_hesitates(&s, "w2");
    ignore(&s, "w2");
    worker_refuses(&s, "w2", "b1", TRI_DENIED);
    peer_says_bye(&s, "w1");
    ck_assert_ptr_nonnull(strstr(explain("b1"), "every worker here has refused it: waits a while"));
}
END_TEST

START_TEST(explain_says_that_a_batch_waits_for_workers_from_before_a_restart)
{
    client_and_worker(&s, 2);
    worker_joins(&s, "w2", 2);
    client_submits(&s, "c1", "b1", 50);
    ignore(&s, "w1");
    ignore(&s, "w2");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    time_passes_ms(&s, 2000);
    ck_assert_ptr_nonnull(strstr(explain("b1"),
                                 "waits for 2 workers from before the restart to come "
                                 "back with what they hold, at most 13.0 s more"));
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    ck_assert_ptr_nonnull(strstr(explain("b1"), "waits for 1 worker from before the restart"));
    peer_returns(&s, "w2");
    expect(&s, "w2", "WELCOME");
    ck_assert_ptr_null(strstr(explain("b1"), "restart"));
    ignore(&s, "w1");
    ignore(&s, "w2");
}
END_TEST

START_TEST(explain_says_when_the_window_is_full)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", 10, 64, &spec);
    ignore(&s, "c1");
    ignore(&s, "w1");
    ck_assert_ptr_nonnull(strstr(explain("b1"), "the result window of its client is full"));
}
END_TEST

START_TEST(every_request_about_an_unknown_batch_is_answered_notfound)
{
    struct tri_message message = { .type = TRI_MESSAGE_EXPLAIN };

    client_joins(&s, "c1");
    message.explain.number = 99;
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
    message.type = TRI_MESSAGE_SHOW;
    message.show.number = 99;
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
    message = (struct tri_message){ .type = TRI_MESSAGE_RETRY };
    message.retry.number = 99;
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
    message = (struct tri_message){ .type = TRI_MESSAGE_ATTACH };
    message.attach.window_bytes = 1;
    client_asks(&s, "c1", &message);
    expect(&s, "c1", "ERROR NOTFOUND");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("admin");

    STORY(batches_are_listed_by_number_and_in_pages);
    STORY(progress_is_sent_at_most_every_quarter_of_a_second_while_something_changes);
    STORY(workers_are_listed_with_what_they_hold);
    STORY(explain_says_why_a_batch_is_where_it_is);
    STORY(explain_says_what_a_worker_refused);
    STORY(explain_of_an_ended_batch_says_what_its_workers_chose_and_why);
    STORY(explain_says_that_choices_from_before_a_restart_are_not_known);
    STORY(explain_remembers_a_few_workers_and_counts_the_rest);
    STORY(explain_says_that_a_batch_waits_for_a_worker_that_left);
    STORY(explain_says_that_a_batch_waits_for_workers_from_before_a_restart);
    STORY(explain_says_when_the_window_is_full);
    STORY(every_request_about_an_unknown_batch_is_answered_notfound);
    return story_run("engine/admin", tcase);
}
