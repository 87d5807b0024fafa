/* Who peers are, how they come back, and what becomes of what they held. */
#include "tests/engine/story.h"

static struct tri_message hello_of_version(uint64_t min, uint64_t max, struct tri_uuid *instance)
{
    struct tri_message message = { .type = TRI_MESSAGE_HELLO };

    message.hello.version_min = min;
    message.hello.version_max = max;
    message.hello.role = TRI_ROLE_CLIENT;
    message.hello.instance = (struct tri_bytes){ instance->bytes, 16 };
    return message;
}

/* A peer that has not said HELLO, for messages from nowhere. */
static void stranger(const char *name)
{
    client_joins(&s, name);
    peer_says_bye(&s, name);
}

START_TEST(a_message_from_an_unknown_connection_is_answered_no_session)
{
    struct tri_message message = { .type = TRI_MESSAGE_LIST };

    stranger("x");
    client_asks(&s, "x", &message);
    expect_prompt(&s, "x", "NO_SESSION");
}
END_TEST

START_TEST(what_cannot_be_decoded_is_answered_error_and_the_session_is_kept)
{
    struct tri_message list = { .type = TRI_MESSAGE_LIST };
    struct event bad = { .type = EVENT_BAD_MESSAGE, .status = TRI_INVALID, .text = "nonsense" };

    client_joins(&s, "c1");
    bad.now = s.now;
    bad.peer = peer_of(&s, "c1")->id;
    step(&s, &bad);
    expect(&s, "c1", "ERROR INVALID");
    client_asks(&s, "c1", &list);
    expect(&s, "c1", "LISTED");
}
END_TEST

START_TEST(a_hello_without_a_common_version_is_answered_error_version)
{
    struct tri_uuid instance = { "another" };
    struct tri_message message = hello_of_version(2, 9, &instance);

    stranger("x");
    client_asks(&s, "x", &message);
    expect(&s, "x", "ERROR VERSION");
    message = hello_of_version(0, 1, &instance);
    client_asks(&s, "x", &message);
    expect_informing(&s, "x", "WELCOME");
}
END_TEST

START_TEST(a_hello_needs_an_instance_of_16_bytes)
{
    struct tri_uuid instance = { "another" };
    struct tri_message message = hello_of_version(1, 1, &instance);

    stranger("x");
    message.hello.instance.size = 3;
    client_asks(&s, "x", &message);
    expect(&s, "x", "ERROR INVALID");
}
END_TEST

START_TEST(the_same_instance_on_a_new_connection_keeps_its_leases)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    worker_returns(&s, "w1", "b1", 0, 4);
    expect(&s, "c1", "ROW b1 #0 values 0+4");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(the_old_connection_of_a_peer_that_returned_has_no_session)
{
    struct tri_message list = { .type = TRI_MESSAGE_LIST };
    struct peer_id old;

    client_joins(&s, "c1");
    client_joins(&s, "c2");
    old = peer_of(&s, "c1")->id;
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    peer_of(&s, "c2")->id = old;
    client_asks(&s, "c2", &list);
    expect(&s, "c2", "NO_SESSION");
}
END_TEST

START_TEST(a_held_lease_that_the_broker_does_not_know_is_dropped)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    client_cancels(&s, "c1", "b1");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 all");
    expect(&s, "c1", "ROW b1 #0 entries 0+4");
    expect(&s, "c1", "DONE 4");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=4 rows=1");
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 0)->undone, 0, 4); /* CANCEL_LEASE was lost */
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME dropped=1");
}
END_TEST

START_TEST(a_lease_that_a_returning_worker_does_not_hold_is_pending_again_at_once)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_loses_leases(&s, "w1");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 0+4");
}
END_TEST

START_TEST(tasks_taken_from_a_worker_while_it_was_away_are_cancelled_when_it_returns)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    peer_lost(&s, "w1");
    client_cancels_tasks(&s, "c1", "b1", 1, 2);
    expect(&s, "c1", "ROW b1 #0 entries 1+2");
    expect(&s, "c1", "DONE 2");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "CANCEL_LEASE b1 0+4 tasks=1+2");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #1 values 0+1");
}
END_TEST

START_TEST(a_peer_whose_connection_is_lost_is_sent_nothing)
{
    client_and_worker(&s, 2);
    peer_lost(&s, "w1");
    client_submits(&s, "c1", "b1", 1);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 0+1");
}
END_TEST

START_TEST(a_lease_lives_as_long_as_it_is_named)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    time_passes_ms(&s, 20 * LEASE_MS);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_lease_unnamed_in_two_heartbeats_returns_to_pending)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_loses_leases(&s, "w1");
    heartbeat(&s, "w1"); /* these may have been sent before the lease arrived */
    heartbeat(&s, "w1");
    s.now += HEARTBEAT_MS;
    heartbeat(&s, "w1");
    expect_nothing_else(&s);
    heartbeat(&s, "w1");
    expect(&s, "w1", "LEASE b1 0+2");
    expect_trace(&s, "lease.lost lease=");
}
END_TEST

START_TEST(a_lease_named_in_between_is_kept)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_loses_leases(&s, "w1");
    heartbeat(&s, "w1");
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 0)->undone, 0, 2);
    heartbeat(&s, "w1");
    worker_loses_leases(&s, "w1");
    heartbeat(&s, "w1");
    expect_nothing_else(&s);
}
END_TEST

START_TEST(a_renewed_lease_that_the_broker_does_not_know_is_lost)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    client_cancels(&s, "c1", "b1");
    ignore(&s, "w1");
    ignore(&s, "c1");
    tri_rangeset_add(&lease_of(&s, "w1", "b1", 0)->undone, 0, 2);
    heartbeat(&s, "w1");
    expect_prompt(&s, "w1", "HEARTBEAT_OK lost=1");
}
END_TEST

START_TEST(the_session_of_a_silent_peer_ends_and_its_tasks_run_elsewhere)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    peer_goes_silent(&s, "w1");
    worker_joins(&s, "w2", 2);
    time_passes_ms(&s, LEASE_MS - 1);
    expect_nothing_else(&s);
    time_passes_ms(&s, 1);
    expect(&s, "w2", "LEASE b1 0+2");
    expect_trace(&s, "session.ended name=w1 why=silent");
    heartbeat(&s, "w1");
    expect(&s, "w1", "NO_SESSION");
}
END_TEST

START_TEST(nothing_expires_before_a_tick_however_late_it_is)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    s.now += 3 * LEASE_MS; /* the broker was paused; the inbox is drained first */
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "c1", "END b1 done done=2 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(a_worker_that_says_bye_gives_its_tasks_back_uncharged)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_joins(&s, "w2", 2);
    peer_says_bye(&s, "w1");
    expect(&s, "w2", "LEASE b1 0+2");
}
END_TEST

START_TEST(a_broker_that_stops_says_bye_to_every_peer_and_leases_nothing_more)
{
    struct event shutdown = { .type = EVENT_SHUTDOWN };

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 5);
    expect(&s, "w1", "LEASE b1 0+2");
    expect(&s, "w1", "LEASE b1 2+2");
    shutdown.now = s.now;
    step(&s, &shutdown);
    expect(&s, "w1", "BYE");
    expect(&s, "c1", "BYE");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
}
END_TEST

START_TEST(more_peers_than_may_be_are_told_to_come_back_later)
{
    struct engine_options options = scenario_options();
    struct tri_uuid instance = { "another" };
    struct tri_message message = hello_of_version(1, 1, &instance);

    options.limits.peers_max = 2;
    story_with(&options);
    client_joins(&s, "c1");
    stranger("c2");
    client_joins(&s, "c3");
    client_asks(&s, "c2", &message);
    expect(&s, "c2", "ERROR BUSY");
    peer_says_bye(&s, "c3");
    client_asks(&s, "c2", &message);
    expect(&s, "c2", "WELCOME");
}
END_TEST

START_TEST(an_instance_of_another_principal_is_denied)
{
    struct peer *peer;

    client_of(&s, "c1", "alice");
    client_of(&s, "c2", "bob");
    peer = peer_of(&s, "c2");
    peer->instance = peer_of(&s, "c1")->instance;
    peer_returns(&s, "c2");
    expect(&s, "c2", "ERROR DENIED");
}
END_TEST

START_TEST(a_client_that_returns_gets_what_it_has_not_acknowledged_again)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #1 values 1+1");
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #2 values 2+1");
    client_acks(&s, "c1", "b1", 1);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    expect(&s, "c1", "ROW b1 #2 values 2+1");
}
END_TEST

START_TEST(what_is_not_for_a_broker_or_not_for_that_role_is_answered_invalid)
{
    struct tri_message welcome = { .type = TRI_MESSAGE_RESULTS_OK };
    struct tri_message oars = { .type = TRI_MESSAGE_OARS };

    client_joins(&s, "c1");
    client_asks(&s, "c1", &welcome);
    expect(&s, "c1", "ERROR INVALID");
    client_asks(&s, "c1", &oars);
    expect(&s, "c1", "ERROR INVALID");
}
END_TEST

START_TEST(a_connection_that_claims_to_be_another_instance_ends_the_first)
{
    struct peer *peer;

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_joins(&s, "w2", 2);
    peer = peer_of(&s, "w2");
    peer->id = peer_of(&s, "w1")->id;
    peer_of(&s, "w1")->silent = true;
    peer_of(&s, "w1")->id.bytes[5] = 99;
    {
        struct tri_uuid instance = { "another" };
        struct tri_message message = hello_of_version(1, 1, &instance);

        message.hello.role = TRI_ROLE_WORKER;
        client_asks(&s, "w2", &message);
    }
    expect_trace(&s, "session.ended name=w1 why=replaced");
    expect(&s, "w2", "WELCOME");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("session");

    STORY(a_message_from_an_unknown_connection_is_answered_no_session);
    STORY(what_cannot_be_decoded_is_answered_error_and_the_session_is_kept);
    STORY(a_hello_without_a_common_version_is_answered_error_version);
    STORY(a_hello_needs_an_instance_of_16_bytes);
    STORY(the_same_instance_on_a_new_connection_keeps_its_leases);
    STORY(the_old_connection_of_a_peer_that_returned_has_no_session);
    STORY(a_held_lease_that_the_broker_does_not_know_is_dropped);
    STORY(a_lease_that_a_returning_worker_does_not_hold_is_pending_again_at_once);
    STORY(tasks_taken_from_a_worker_while_it_was_away_are_cancelled_when_it_returns);
    STORY(a_peer_whose_connection_is_lost_is_sent_nothing);
    STORY(a_lease_lives_as_long_as_it_is_named);
    STORY(a_lease_unnamed_in_two_heartbeats_returns_to_pending);
    STORY(a_lease_named_in_between_is_kept);
    STORY(a_renewed_lease_that_the_broker_does_not_know_is_lost);
    STORY(the_session_of_a_silent_peer_ends_and_its_tasks_run_elsewhere);
    STORY(nothing_expires_before_a_tick_however_late_it_is);
    STORY(a_worker_that_says_bye_gives_its_tasks_back_uncharged);
    STORY(a_broker_that_stops_says_bye_to_every_peer_and_leases_nothing_more);
    STORY(more_peers_than_may_be_are_told_to_come_back_later);
    STORY(an_instance_of_another_principal_is_denied);
    STORY(a_client_that_returns_gets_what_it_has_not_acknowledged_again);
    STORY(what_is_not_for_a_broker_or_not_for_that_role_is_answered_invalid);
    STORY(a_connection_that_claims_to_be_another_instance_ends_the_first);
    return story_run("engine/session", tcase);
}
