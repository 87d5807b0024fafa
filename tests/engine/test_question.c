/* What tasks are about is asked of the store, in bounds, and nobody waits for ever. */
#include "broker/engine/question.h"
#include "tests/engine/story.h"

#define WINDOW (UINT64_C(1) << 20)

/* A client opens a batch of two chunks of three, which are in memory or have to be fetched. */
static void begin(bool stored)
{
    struct engine_options options = scenario_options();

    options.payloads_stored = stored;
    story_with(&options);
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 1);
    peer_says_bye(&s, "w1");
    client_opens_with(&s, "c1", "b1", WINDOW, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 0 absent");
    client_appends(&s, "c1", "b1", 3);
    client_appends(&s, "c1", "b1", 3);
    s.get_count = 0;
}

static void ask_for(const char *client, const struct tri_range *ranges, size_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_ARGUMENTS };

    message.arguments.number = 1;
    message.arguments.tasks = tri_ranges_of(ranges, count);
    client_asks(&s, client, &message);
}

static void ask(const char *client, uint64_t first, uint64_t count)
{
    ask_for(client, &(struct tri_range){ first, count }, 1);
}

static void loaded(enum event_type type, uint64_t chunk)
{
    struct event event = { .type = type, .now = s.now, .key = { STORE_CHUNK, 1, chunk } };

    event.status = type == EVENT_LOADED ? TRI_OK : TRI_STORE;
    event.text = "unreadable";
    step(&s, &event);
}

START_TEST(an_answer_has_the_tasks_of_one_chunk_and_says_where_to_go_on)
{
    static const struct tri_range some[] = { { 0, 1 }, { 2, 1 }, { 4, 1 } };

    begin(false);
    ask_for("c1", some, 3);
    expect(&s, "c1", "ARGUMENTS_INFO 0+1,2+1 items=0/0+1,0/2+1 next=4");
    ask_for("c1", some + 2, 1);
    expect(&s, "c1", "ARGUMENTS_INFO 4+1 items=3/1+1");
    ask("c1", 1, 5);
    expect(&s, "c1", "ARGUMENTS_INFO 1+2 items=0/1+2 next=3");
    ask("c1", 3, 100);
    expect(&s, "c1", "ARGUMENTS_INFO 3+3 items=3/0+3");
}
END_TEST

START_TEST(an_answer_has_a_thousand_tasks_at_most)
{
    begin(false);
    client_appends(&s, "c1", "b1", 2500);
    ask("c1", 6, 2500);
    expect(&s, "c1", "ARGUMENTS_INFO 6+1000 items=6/0+1000 next=1006");
    ask("c1", 1006, 1000);
    expect(&s, "c1", "ARGUMENTS_INFO 1006+1000 items=6/1000+1000");
}
END_TEST

START_TEST(a_question_waits_for_its_chunk)
{
    begin(true);
    client_joins(&s, "c2");
    ask("c1", 0, 6);
    ask("c2", 1, 1);
    ask("c2", 4, 1);
    ck_assert_uint_eq(s.get_count, 3);
    expect_nothing_else(&s);
    loaded(EVENT_LOADED, 0);
    expect(&s, "c1", "ARGUMENTS_INFO 0+3 items=0/0+3 next=3");
    expect(&s, "c2", "ARGUMENTS_INFO 1+1 items=0/1+1");
    loaded(EVENT_LOADED, 0); /* of the second GET: everybody has been answered */
    loaded(EVENT_LOADED, 3);
    expect(&s, "c2", "ARGUMENTS_INFO 4+1 items=3/1+1");
}
END_TEST

START_TEST(a_chunk_that_cannot_be_read_is_named)
{
    begin(true);
    ask("c1", 0, 6);
    loaded(EVENT_LOAD_FAILED, 0);
    expect(&s, "c1", "ARGUMENTS_INFO STORE 0+3 next=3");
}
END_TEST

START_TEST(what_is_not_kept_any_more_is_no_error)
{
    begin(false);
    client_seals(&s, "c1", "b1");
    expect(&s, "c1", "DONE 6");
    client_cancels_tasks(&s, "c1", "b1", 0, 3);
    ignore(&s, "c1");
    ask("c1", 0, 6);
    expect(&s, "c1", "ARGUMENTS_INFO NOTFOUND 0+3 next=3");
    ask("c1", 3, 3);
    expect(&s, "c1", "ARGUMENTS_INFO 3+3 items=3/0+3");
    client_cancels_tasks(&s, "c1", "b1", 3, 3);
    ignore(&s, "c1");
    ask("c1", 2, 4);
    expect(&s, "c1", "ARGUMENTS_INFO NOTFOUND 2+4");
}
END_TEST

START_TEST(what_is_deleted_while_it_is_fetched_is_not_kept_any_more)
{
    begin(true);
    ask("c1", 0, 1);
    ask("c1", 3, 1);
    client_cancels_tasks(&s, "c1", "b1", 0, 6);
    ignore(&s, "c1");
    loaded(EVENT_LOADED, 0);
    expect(&s, "c1", "ARGUMENTS_INFO NOTFOUND 0+1");
    loaded(EVENT_LOAD_FAILED, 3);
    expect(&s, "c1", "ARGUMENTS_INFO NOTFOUND 3+1");
}
END_TEST

START_TEST(a_client_that_vanishes_while_its_question_waits_leaves_nothing)
{
    begin(true);
    client_joins(&s, "c2");
    client_joins(&s, "c3");
    ask("c1", 0, 1);
    ask("c2", 0, 1);
    ask("c3", 0, 1);
    peer_lost(&s, "c1");
    peer_says_bye(&s, "c2");
    peer_returns(&s, "c3");
    expect(&s, "c3", "WELCOME");
    loaded(EVENT_LOADED, 0);
    expect_nothing_else(&s);
    ask("c3", 0, 1); /* as whoever comes back does */
    loaded(EVENT_LOADED, 0);
    expect(&s, "c3", "ARGUMENTS_INFO 0+1 items=0/0+1");
    ask("c3", 0, 1); /* the broker ends with it */
}
END_TEST

START_TEST(a_batch_that_is_forgotten_while_a_question_waits_is_none)
{
    begin(true);
    client_joins(&s, "c2");
    ask("c2", 4, 1);
    client_cancels(&s, "c1", "b1");
    ignore(&s, "c1");
    client_forgets(&s, "c1", "b1");
    expect(&s, "c2", "ERROR NOTFOUND");
    expect(&s, "c1", "DONE 1");
    loaded(EVENT_LOADED, 3);
    loaded(EVENT_LOAD_FAILED, 3);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_connection_has_a_bounded_number_of_questions)
{
    begin(true);
    client_joins(&s, "c2");
    for (int i = 0; i < QUESTIONS_MAX; i++)
        ask("c2", 0, 1);
    expect_nothing_else(&s);
    ask("c2", 0, 1);
    expect(&s, "c2", "ERROR BUSY");
    ask("c1", 0, 1);
    loaded(EVENT_LOADED, 0);
    for (int i = 0; i < QUESTIONS_MAX; i++)
        expect(&s, "c2", "ARGUMENTS_INFO 0+1 items=0/0+1");
    expect(&s, "c1", "ARGUMENTS_INFO 0+1 items=0/0+1");
}
END_TEST

START_TEST(a_question_about_nothing_is_refused)
{
    begin(true);
    ask("c1", 6, 1);
    expect(&s, "c1", "ERROR NOTFOUND");
    ask_for("c1", NULL, 0);
    expect(&s, "c1", "ERROR INVALID");
    client_submits_with(&s, "c1", "b2", 3, WINDOW, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b2 3 absent");
    {
        struct tri_message message = { .type = TRI_MESSAGE_ARGUMENTS };
        struct tri_range one = { 0, 1 };

        message.arguments.number = 2;
        message.arguments.tasks = tri_ranges_of(&one, 1);
        client_asks(&s, "c1", &message);
    }
    expect(&s, "c1", "ERROR INVALID");
    ck_assert_uint_eq(s.get_count, 0);
}
END_TEST

START_TEST(what_is_not_kept_any_more_is_no_error_after_a_restart_either)
{
    begin(false);
    client_appends(&s, "c1", "b1", 3);
    client_cancels_tasks(&s, "c1", "b1", 3, 3); /* the chunk in the middle goes */
    ignore(&s, "c1");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    ignore(&s, "c1");
    ask("c1", 3, 6);
    expect(&s, "c1", "ARGUMENTS_INFO NOTFOUND 3+3 next=6");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("question");

    STORY(an_answer_has_the_tasks_of_one_chunk_and_says_where_to_go_on);
    STORY(an_answer_has_a_thousand_tasks_at_most);
    STORY(a_question_waits_for_its_chunk);
    STORY(a_chunk_that_cannot_be_read_is_named);
    STORY(what_is_not_kept_any_more_is_no_error);
    STORY(what_is_deleted_while_it_is_fetched_is_not_kept_any_more);
    STORY(a_client_that_vanishes_while_its_question_waits_leaves_nothing);
    STORY(a_batch_that_is_forgotten_while_a_question_waits_is_none);
    STORY(a_connection_has_a_bounded_number_of_questions);
    STORY(a_question_about_nothing_is_refused);
    STORY(what_is_not_kept_any_more_is_no_error_after_a_restart_either);
    return story_run("engine/question", tcase);
}
