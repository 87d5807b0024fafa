/* The connection: greeting, heartbeats, loss, other endpoints, refusals, requests. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"

START_TEST(the_first_message_is_hello_with_the_role_of_a_client)
{
    struct story s = story_new();
    const struct tri_message *hello;

    time_passes_ms(&s, 0);
    expect_connect(&s, 0);
    hello = expect_message(&s, TRI_MESSAGE_HELLO);
    ck_assert_uint_eq(hello->hello.role, TRI_ROLE_CLIENT);
    ck_assert_uint_eq(hello->hello.version_min, 1);
    ck_assert_uint_eq(hello->hello.instance.size, 16);
    expect_nothing(&s);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_GREETING);
    broker_welcomes(&s);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_UP);
    story_end(&s);
}
END_TEST

START_TEST(silence_after_hello_leads_to_the_next_endpoint_on_a_fresh_socket)
{
    struct story s = story_new();

    time_passes_ms(&s, 0);
    for (size_t i = 0; i < 2 * STORY_ENDPOINTS; i++) {
        expect_connect(&s, i % STORY_ENDPOINTS);
        expect_message(&s, TRI_MESSAGE_HELLO);
        expect_nothing(&s);
        time_passes_ms(&s, 10000); /* the greeting */
        time_passes_ms(&s, 10000); /* the backoff */
    }
    story_end(&s);
}
END_TEST

START_TEST(the_deadline_is_never_later_than_the_next_thing_to_do)
{
    struct story s = story_new();

    time_passes_ms(&s, 0);
    for (int i = 0; i < 50; i++) {
        tri_time deadline = tri_session_deadline(s.session);

        ck_assert_uint_ne(deadline, TRI_NEVER);
        ck_assert_uint_le(deadline, s.now + 10000);
        story_skip(&s);
        if (deadline > s.now + 1) {
            time_passes_ms(&s, deadline - s.now - 1);
            expect_nothing(&s);
        }
        if (deadline > s.now)
            time_passes_ms(&s, deadline - s.now);
    }
    story_end(&s);
}
END_TEST

START_TEST(heartbeats_go_out_every_heartbeat_ms_and_answers_keep_the_connection)
{
    struct story s = story_up();

    for (uint64_t i = 1; i < 20; i++) {
        time_passes_ms(&s, 999);
        expect_nothing(&s);
        time_passes_ms(&s, 1);
        ck_assert_uint_eq(expect_message(&s, TRI_MESSAGE_HEARTBEAT)->heartbeat.seq, i);
        broker_beats(&s, i);
    }
    story_end(&s);
}
END_TEST

START_TEST(three_unanswered_heartbeats_lose_the_connection)
{
    struct story s = story_up();

    for (int i = 0; i < 3; i++) {
        time_passes_ms(&s, 1000);
        expect_message(&s, TRI_MESSAGE_HEARTBEAT);
    }
    expect_nothing(&s);
    time_passes_ms(&s, 999);
    expect_nothing(&s);
    time_passes_ms(&s, 1);
    expect_notice(&s, "lost");
    expect_connect(&s, 0);
    expect_message(&s, TRI_MESSAGE_HELLO);
    broker_welcomes(&s);
    expect_notice(&s, "back");
    time_passes_ms(&s, 1000);
    ck_assert_uint_eq(expect_message(&s, TRI_MESSAGE_HEARTBEAT)->heartbeat.seq, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_client_that_was_away_for_an_hour_asks_before_it_gives_up)
{
    struct story s = story_up();

    time_passes_ms(&s, 3600000);
    expect_message(&s, TRI_MESSAGE_HEARTBEAT);
    expect_nothing(&s);
    broker_beats(&s, 1);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_UP);
    story_end(&s);
}
END_TEST

START_TEST(no_session_means_a_fresh_socket)
{
    struct story s = story_up();

    connection_breaks(&s);
    story_end(&s);
}
END_TEST

START_TEST(bye_loses_the_connection)
{
    struct story s = story_up();
    struct tri_message bye = { .type = TRI_MESSAGE_BYE };

    broker_says(&s, &bye, NULL);
    expect_notice(&s, "shutting down");
    time_passes_ms(&s, 10000);
    expect_connect(&s, 0);
    expect_message(&s, TRI_MESSAGE_HELLO);
    broker_welcomes(&s);
    expect_notice(&s, "back");
    story_end(&s);
}
END_TEST

static void expect_another_version(struct story *self, const char *what)
{
    ck_assert_int_eq(tri_session_link(self->session), TRI_LINK_REFUSED);
    ck_assert_int_eq(tri_session_failure(self->session, &self->error), TRI_VERSION);
    ck_assert_ptr_nonnull(strstr(self->error.text, what));
    ck_assert_uint_eq(tri_session_deadline(self->session), TRI_NEVER);
    story_end(self);
}

START_TEST(what_cannot_be_read_is_of_another_version_and_final)
{
    struct story s = story_up();

    broker_sends_bytes(&s, tri_bytes_of("\xc1garbage"));
    expect_another_version(&s, "use the same version of both");
}
END_TEST

START_TEST(what_the_broker_cannot_read_is_of_another_version_and_final)
{
    struct story s = story_up();

    broker_answers_error(&s, 0, TRI_INVALID, 0);
    expect_another_version(&s, "because");
    s = story_up();
    broker_answers_error(&s, 0, TRI_UNSUPPORTED, 0);
    expect_another_version(&s, "because");
}
END_TEST

START_TEST(a_version_that_was_not_offered_is_refused)
{
    struct story s = story_new();
    struct tri_message welcome = { .type = TRI_MESSAGE_WELCOME };

    time_passes_ms(&s, 0);
    expect_connect(&s, 0);
    expect_message(&s, TRI_MESSAGE_HELLO);
    welcome.welcome.version = TRI_PROTOCOL_VERSION + 1;
    broker_says(&s, &welcome, NULL);
    expect_another_version(&s, "not offered");
}
END_TEST

START_TEST(a_type_of_a_later_version_is_ignored)
{
    struct story s = story_up();

    broker_sends_bytes(&s, tri_bytes_of("\x91\x78"));
    expect_nothing(&s);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_UP);
    story_end(&s);
}
END_TEST

START_TEST(an_error_of_version_to_hello_is_final)
{
    struct story s = story_new();

    time_passes_ms(&s, 0);
    broker_answers_error(&s, 0, TRI_VERSION, 0);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_REFUSED);
    ck_assert_int_eq(tri_session_failure(s.session, &s.error), TRI_VERSION);
    ck_assert(strstr(s.error.text, "because") != NULL);
    ck_assert_uint_eq(tri_session_deadline(s.session), TRI_NEVER);
    story_end(&s);
}
END_TEST

START_TEST(busy_to_hello_is_tried_again_when_the_broker_says)
{
    struct story s = story_new();

    time_passes_ms(&s, 0);
    expect_connect(&s, 0);
    expect_message(&s, TRI_MESSAGE_HELLO);
    broker_answers_error(&s, 0, TRI_BUSY, 4000);
    ck_assert_str_eq(tri_session_last_word(s.session), "because");
    time_passes_ms(&s, 3999);
    expect_nothing(&s);
    time_passes_ms(&s, 1);
    expect_connect(&s, 1);
    story_end(&s);
}
END_TEST

/* ---- requests ------------------------------------------------------------------------------- */

static struct tri_request *ask(struct story *s, enum tri_message_type type, bool repeatable)
{
    struct tri_message message = { .type = type };
    struct tri_request *request;

    ck_assert_int_eq(tri_session_request(s->session, s->now, &message, repeatable, &request),
                     TRI_OK);
    ck_assert_int_eq(tri_request_outcome(request, &s->error), TRI_EMPTY);
    return request;
}

static void answer_done(struct story *s, uint64_t id)
{
    struct tri_message done = { .type = TRI_MESSAGE_DONE };

    done.done.request = id;
    done.done.count = 3;
    broker_says(s, &done, NULL);
}

START_TEST(each_request_gets_its_own_answer_or_error)
{
    static const enum tri_message_type types[] = {
        TRI_MESSAGE_LIST,   TRI_MESSAGE_SHOW,  TRI_MESSAGE_EXPLAIN, TRI_MESSAGE_WORKERS,
        TRI_MESSAGE_CANCEL, TRI_MESSAGE_RETRY, TRI_MESSAGE_FORGET,
    };
    struct story s = story_up();

    for (size_t i = 0; i < TRI_COUNT_OF(types); i++) {
        struct tri_request *good = ask(&s, types[i], true);
        struct tri_request *bad = ask(&s, types[i], true);
        uint64_t id = expect_message(&s, types[i])->list.request;
        uint64_t other = expect_message(&s, types[i])->list.request;

        ck_assert_uint_ne(id, other);
        broker_answers_error(&s, other, TRI_NOTFOUND, 0);
        ck_assert_int_eq(tri_request_outcome(good, &s.error), TRI_EMPTY);
        answer_done(&s, id);
        ck_assert_int_eq(tri_request_outcome(good, &s.error), TRI_OK);
        ck_assert_int_eq(tri_request_outcome(bad, &s.error), TRI_NOTFOUND);
        ck_assert_str_eq(s.error.text, "because");
        tri_request_close(&good);
        tri_request_close(&bad);
    }
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_repeatable_request_is_asked_again_after_a_lost_connection)
{
    struct story s = story_up();
    struct tri_request *request = ask(&s, TRI_MESSAGE_LIST, true);
    uint64_t id = expect_message(&s, TRI_MESSAGE_LIST)->list.request;

    connection_breaks(&s);
    ck_assert_uint_eq(expect_message(&s, TRI_MESSAGE_LIST)->list.request, id);
    ck_assert(tri_request_was_repeated(request));
    answer_done(&s, id);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_OK);
    tri_request_close(&request);
    story_end(&s);
}
END_TEST

START_TEST(a_request_that_cannot_be_repeated_is_unreachable_after_a_lost_connection)
{
    struct story s = story_up();
    struct tri_request *request = ask(&s, TRI_MESSAGE_RETRY, false);

    expect_message(&s, TRI_MESSAGE_RETRY);
    connection_breaks(&s);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_UNREACHABLE);
    expect_nothing(&s);
    tri_request_close(&request);
    story_end(&s);
}
END_TEST

START_TEST(a_request_waits_for_a_broker_only_so_long)
{
    struct story s = story_new();
    struct tri_request *request = ask(&s, TRI_MESSAGE_LIST, true);

    time_passes_ms(&s, STORY_GIVE_UP_MS - 1);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_EMPTY);
    ck_assert_uint_le(tri_session_deadline(s.session), s.now + 1);
    time_passes_ms(&s, 1);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_UNREACHABLE);
    tri_request_close(&request);
    story_end(&s);
}
END_TEST

START_TEST(busy_is_asked_again_after_its_time)
{
    struct story s = story_up();
    struct tri_request *request = ask(&s, TRI_MESSAGE_LIST, true);
    uint64_t id = expect_message(&s, TRI_MESSAGE_LIST)->list.request;

    broker_answers_error(&s, id, TRI_BUSY, 300);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_EMPTY);
    time_passes_ms(&s, 299);
    expect_nothing(&s);
    ck_assert_uint_eq(tri_session_deadline(s.session), s.now + 1);
    time_passes_ms(&s, 1);
    expect_message(&s, TRI_MESSAGE_LIST);
    answer_done(&s, id);
    ck_assert_int_eq(tri_request_outcome(request, &s.error), TRI_OK);
    tri_request_close(&request);
    story_end(&s);
}
END_TEST

START_TEST(closing_says_bye)
{
    struct story s = story_up();

    tri_session_close(s.session);
    expect_message(&s, TRI_MESSAGE_BYE);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("connection");

    tcase_add_test(tcase, the_first_message_is_hello_with_the_role_of_a_client);
    tcase_add_test(tcase, silence_after_hello_leads_to_the_next_endpoint_on_a_fresh_socket);
    tcase_add_test(tcase, the_deadline_is_never_later_than_the_next_thing_to_do);
    tcase_add_test(tcase, heartbeats_go_out_every_heartbeat_ms_and_answers_keep_the_connection);
    tcase_add_test(tcase, three_unanswered_heartbeats_lose_the_connection);
    tcase_add_test(tcase, a_client_that_was_away_for_an_hour_asks_before_it_gives_up);
    tcase_add_test(tcase, no_session_means_a_fresh_socket);
    tcase_add_test(tcase, bye_loses_the_connection);
    tcase_add_test(tcase, what_cannot_be_read_is_of_another_version_and_final);
    tcase_add_test(tcase, what_the_broker_cannot_read_is_of_another_version_and_final);
    tcase_add_test(tcase, a_version_that_was_not_offered_is_refused);
    tcase_add_test(tcase, a_type_of_a_later_version_is_ignored);
    tcase_add_test(tcase, an_error_of_version_to_hello_is_final);
    tcase_add_test(tcase, busy_to_hello_is_tried_again_when_the_broker_says);
    tcase_add_test(tcase, each_request_gets_its_own_answer_or_error);
    tcase_add_test(tcase, a_repeatable_request_is_asked_again_after_a_lost_connection);
    tcase_add_test(tcase, a_request_that_cannot_be_repeated_is_unreachable_after_a_lost_connection);
    tcase_add_test(tcase, a_request_waits_for_a_broker_only_so_long);
    tcase_add_test(tcase, busy_is_asked_again_after_its_time);
    tcase_add_test(tcase, closing_says_bye);
    return unit_run("client connection", tcase);
}
