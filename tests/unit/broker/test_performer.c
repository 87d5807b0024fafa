/* test_performer.c - effects are carried out in order, and what waits for the disk waits. */
#include "broker/performer.h"

#include "common/net/socket.h"
#include "tests/unit/broker/slow_store.h"
#include "tests/unit/unit.h"

#include <string.h>

static void *context;
static void *router;
static void *dealer;
static struct peer_id peer;
static struct store *store;
static struct gauges gauges;
static struct performer performer;
static struct tri_error error;
static const struct gauge_limits limits = { .messages_max = 100, .bytes_max = 1 << 20 };

static void meet(void)
{
    char id[32];
    char byte;
    int size;

    ck_assert_int_eq(zmq_send(dealer, "x", 1, 0), 1);
    size = zmq_recv(router, id, sizeof(id), 0);
    ck_assert_int_gt(size, 0);
    zmq_recv(router, &byte, 1, 0);
    peer.size = (uint8_t)size;
    memcpy(peer.bytes, id, (size_t)size);
}

static void open_all(void)
{
    struct tri_socket_options options;

    tri_socket_options_init(&options);
    options.linger_ms = 0;
    context = zmq_ctx_new();
    ck_assert_int_eq(tri_socket_open(context, ZMQ_ROUTER, &options, &router, &error), TRI_OK);
    ck_assert_int_eq(tri_socket_open(context, ZMQ_DEALER, &options, &dealer, &error), TRI_OK);
    ck_assert_int_eq(zmq_bind(router, "inproc://performer"), 0);
    ck_assert_int_eq(zmq_connect(dealer, "inproc://performer"), 0);
    store = slow_store_new();
    gauges_init(&gauges, &limits, 1);
    performer_init(&performer, router, store, &gauges);
    meet();
}

static void close_all(void)
{
    performer_deinit(&performer);
    store->operations->close(&store);
    tri_socket_close(&router);
    tri_socket_close(&dealer);
    zmq_ctx_term(context);
    gauges_deinit(&gauges);
}

static struct effect send_of(const char *text, bool waits)
{
    return (struct effect){
        .type = EFFECT_SEND,
        .send = { .peer = peer, .frame = { (const uint8_t *)text, strlen(text) }, .waits = waits },
    };
}

static struct effect information_of(const char *text)
{
    struct effect effect = send_of(text, true);

    effect.send.informs = true;
    return effect;
}

static struct effect acknowledgement_of(const char *text, uint64_t subject)
{
    struct effect effect = send_of(text, true);

    effect.send.haste = HASTE_NONE;
    effect.send.subject = subject;
    return effect;
}

static struct effect put_of(uint64_t key, const char *payload)
{
    return (struct effect){
        .type = EFFECT_PUT,
        .put = { .key = { STORE_ROW, 1, key },
                 .payload = { (const uint8_t *)payload, strlen(payload) },
                 .frame = -1 },
    };
}

static void apply(const struct effect *items, size_t count)
{
    struct effects effects = { items, count, false };

    for (size_t i = 0; i < count; i++)
        effects.writes |= items[i].type == EFFECT_PUT || items[i].type == EFFECT_DELETE;
    ck_assert_int_eq(performer_apply(&performer, effects, NULL, &error), TRI_OK);
}

static void settle(void)
{
    ck_assert_int_eq(performer_commit(&performer, &error), TRI_OK);
    performer_flush(&performer, 0);
}

static void expect(const char *text)
{
    char got[64] = "";
    int size = zmq_recv(dealer, got, sizeof(got) - 1, ZMQ_DONTWAIT);

    ck_assert_msg(size >= 0, "'%s' has not come", text);
    ck_assert_str_eq(got, text);
}

static void expect_nothing(void)
{
    char byte;

    ck_assert_int_eq(zmq_recv(dealer, &byte, 1, ZMQ_DONTWAIT), -1);
}

static void settle_at(tri_time now, uint64_t ticket)
{
    ck_assert_int_eq(performer_commit_due(&performer, now, &error), TRI_OK);
    ck_assert_uint_eq(performer.ticket, ticket);
}

START_TEST(a_waiting_send_leaves_after_the_commit_of_the_put_before_it)
{
    struct effect effects[] = { put_of(0, "row"), send_of("accepted", true) };

    apply(effects, 2);
    performer_flush(&performer, 0);
    expect_nothing();
    settle();
    expect_nothing();
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("accepted");
}
END_TEST

START_TEST(a_waiting_send_leaves_after_the_commit_of_what_its_step_writes_later)
{
    struct effect effects[] = { send_of("stopped", true), put_of(0, "row") };

    apply(effects, 2);
    performer_flush(&performer, 0);
    expect_nothing();
    settle_at(0, 1);
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("stopped");
}
END_TEST

START_TEST(a_send_that_does_not_wait_overtakes_the_commits_of_earlier_steps)
{
    struct effect first[] = { put_of(0, "row"), send_of("accepted", true) };
    struct effect second[] = { send_of("heartbeat", false) };

    apply(first, 2);
    apply(second, 1);
    expect("heartbeat");
    expect_nothing();
    settle();
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("accepted");
}
END_TEST

START_TEST(a_send_that_does_not_wait_overtakes_one_of_its_step_that_does)
{
    struct effect effects[] = { put_of(0, "row"), send_of("accepted", true),
                                send_of("lease", false) };

    apply(effects, 3);
    expect("lease");
    expect_nothing();
    settle();
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("accepted");
}
END_TEST

START_TEST(waiting_sends_keep_their_order_over_commits)
{
    struct effect first[] = { put_of(0, "row"), send_of("1", true) };
    struct effect second[] = { put_of(1, "row"), send_of("2", true) };
    struct effect third[] = { send_of("3", true) };

    apply(first, 2);
    settle();
    apply(second, 2);
    settle();
    apply(third, 1);
    settle();
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("1");
    expect_nothing();
    slow_store_durable(store, 2);
    performer_flush(&performer, 0);
    expect("2");
    expect("3");
}
END_TEST

START_TEST(without_writes_there_is_no_commit_and_a_waiting_send_leaves_at_once)
{
    struct effect effects[] = { send_of("status", true) };

    apply(effects, 1);
    settle();
    ck_assert_uint_eq(performer.ticket, 0);
    expect("status");
}
END_TEST

START_TEST(a_commit_begins_at_once_when_somebody_waits_for_it)
{
    struct effect row = send_of("row", true);
    struct effect effects[] = { put_of(0, "row"), send_of("accepted", true) };

    row.send.haste = HASTE_OVERTAKES;
    apply(effects, 2);
    settle_at(100, 1);
    apply(effects, 1);
    apply(&row, 1);
    settle_at(100, 2);
    ck_assert_uint_eq(performer_deadline(&performer), TRI_NEVER);
}
END_TEST

START_TEST(what_nobody_waits_for_begins_no_commit_for_some_milliseconds)
{
    struct effect effects[] = { put_of(0, "row"), acknowledgement_of("taken", 1),
                                send_of("heartbeat", false) };

    apply(effects, 3);
    settle_at(100, 0);
    ck_assert_uint_eq(performer_deadline(&performer), 100 + PERFORMER_IDLE_MS);
    apply(effects, 2);
    settle_at(100 + PERFORMER_IDLE_MS - 1, 0);
    settle_at(100 + PERFORMER_IDLE_MS, 1);
    ck_assert_uint_eq(performer_deadline(&performer), TRI_NEVER);
    settle_at(200, 1);
}
END_TEST

START_TEST(what_nobody_waits_for_goes_along_with_what_somebody_does)
{
    struct effect housekeeping[] = { put_of(0, "row"), acknowledgement_of("taken", 1) };
    struct effect awaited[] = { put_of(1, "row"), send_of("accepted", true) };

    apply(housekeeping, 2);
    settle_at(100, 0);
    apply(awaited, 2);
    settle_at(101, 1);
    slow_store_durable(store, 1);
    performer_flush(&performer, 101);
    expect("taken");
    expect("accepted");
}
END_TEST

START_TEST(a_send_without_writes_of_its_own_begins_the_commit_that_it_waits_for)
{
    struct effect housekeeping[] = { put_of(0, "row") };
    struct effect status = send_of("status", true);

    apply(housekeeping, 1);
    settle_at(100, 0);
    apply(&status, 1);
    expect_nothing();
    settle_at(101, 1);
}
END_TEST

START_TEST(much_that_is_written_begins_a_commit)
{
    static char payload[70000];
    struct effect effect;

    memset(payload, 'x', sizeof(payload) - 1);
    for (uint64_t i = 0; i < 3; i++) {
        effect = put_of(i, payload);
        apply(&effect, 1);
        settle_at(100, 0);
    }
    effect = put_of(3, payload);
    apply(&effect, 1);
    settle_at(100, 1);
}
END_TEST

START_TEST(a_row_goes_with_the_message_even_if_it_is_deleted_in_the_same_step)
{
    struct attachment attachment = { .key = { STORE_ROW, 1, 0 } };
    struct effect effects[] = {
        put_of(0, "payload"),
        send_of("row", true),
        { .type = EFFECT_DELETE, .delete = { .key = { STORE_ROW, 1, 0 } } },
    };

    effects[1].send.attachments = &attachment;
    effects[1].send.attachment_count = 1;
    apply(effects, 3);
    settle();
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("row");
    expect("payload");
    ck_assert_uint_eq(store->operations->stats(store).rows, 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_becomes_an_event)
{
    struct effect effects[] = { send_of("x", false), send_of("y", false) };
    struct event event;

    effects[0].send.peer.bytes[0] ^= 0x55;
    effects[1].send.peer = effects[0].send.peer;
    apply(effects, 2);
    ck_assert(performer_take_event(&performer, &event));
    ck_assert_int_eq(event.type, EVENT_PEER_LOST);
    ck_assert_int_eq(memcmp(&event.peer, &effects[0].send.peer, sizeof(event.peer)), 0);
    ck_assert(!performer_take_event(&performer, &event));
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_lost)
{
    static char text[300001];
    struct effect effects[] = { { 0 } };
    struct event event;

    memset(text, 'x', sizeof(text) - 1);
    effects[0] = send_of(text, true);
    for (int i = 0; i < 4; i++)
        apply(effects, 1);
    ck_assert(performer_take_event(&performer, &event));
    ck_assert_int_eq(event.type, EVENT_PEER_LOST);
    ck_assert_uint_eq(performer.overflows, 1);
}
END_TEST

START_TEST(a_get_is_answered_by_an_event)
{
    struct effect effects[] = {
        put_of(3, "payload"),
        { .type = EFFECT_GET, .get = { STORE_ROW, 1, 3 } },
        { .type = EFFECT_GET, .get = { STORE_ROW, 1, 4 } },
    };
    struct event event;
    int seen[EVENT_SHUTDOWN + 1] = { 0 };

    apply(effects, 3);
    while (performer_take_event(&performer, &event)) {
        ck_assert_uint_eq(event.key.key, event.type == EVENT_LOADED ? 3 : 4);
        seen[event.type]++;
    }
    ck_assert_int_eq(seen[EVENT_LOADED], 1);
    ck_assert_int_eq(seen[EVENT_LOAD_FAILED], 1);
}
END_TEST

START_TEST(a_history_that_was_fetched_comes_with_its_event)
{
    struct effect effects[] = {
        put_of(3, "history"),
        { .type = EFFECT_GET, .get = { STORE_TASK, 1, 3 } },
        { .type = EFFECT_GET, .get = { STORE_TASK, 1, 4 } },
    };
    struct event event;
    int loaded = 0;

    effects[0].put.key.table = STORE_TASK;
    apply(effects, 3);
    while (performer_take_event(&performer, &event)) {
        ck_assert_uint_eq(event.frame_count, event.type == EVENT_LOADED);
        if (event.type != EVENT_LOADED)
            continue;
        ck_assert_uint_eq(event.frames[0].size, 7);
        ck_assert_mem_eq(event.frames[0].data, "history", 7);
        loaded++;
    }
    ck_assert_int_eq(loaded, 1);
}
END_TEST

START_TEST(a_store_that_is_full_is_not_waited_for_by_what_only_informs)
{
    struct effect first[] = { put_of(0, "row"), information_of("welcome") };
    struct effect second[] = { put_of(1, "row"), send_of("accepted", true) };
    struct effect third[] = { information_of("listed") };

    slow_store_room(store, 0);
    apply(first, 2);
    settle();
    expect_nothing(); /* the first commit has the epoch */
    slow_store_durable(store, 1);
    performer_flush(&performer, 0);
    expect("welcome");
    apply(second, 2);
    settle();
    apply(third, 1);
    expect("listed");
    expect_nothing();
    slow_store_room(store, 1);
    apply(third, 1);
    expect_nothing();
    slow_store_durable(store, 2);
    performer_flush(&performer, 0);
    expect("accepted");
    expect("listed");
}
END_TEST

START_TEST(what_informs_leaves_even_when_it_waited_before_the_store_was_full)
{
    struct effect first[] = { put_of(0, "row") };
    struct effect second[] = { put_of(1, "row"), send_of("accepted", true) };
    struct effect third[] = { information_of("listed") };
    struct effect fourth[] = { send_of("done", true), information_of("shown") };

    apply(first, 1);
    settle();
    slow_store_durable(store, 1);
    apply(second, 2);
    apply(third, 1);
    apply(fourth, 2);
    settle();
    expect_nothing();
    slow_store_room(store, 0);
    performer_flush(&performer, 0);
    expect("listed");
    expect("shown");
    expect_nothing();
    slow_store_durable(store, 2);
    performer_flush(&performer, 0);
    expect("accepted");
    expect("done");
    expect_nothing();
    apply(third, 1);
    expect("listed");
}
END_TEST

START_TEST(room_that_has_changed_by_much_is_told)
{
    static const uint64_t rooms[] = { 1600, 1550, 1499, 1550, 0, 1, UINT64_MAX };
    static const bool are_told[] = { true, false, true, false, true, true, true };
    struct event event;

    ck_assert(!performer_take_event(&performer, &event));
    for (size_t i = 0; i < TRI_COUNT_OF(rooms); i++) {
        slow_store_room(store, rooms[i]);
        ck_assert_int_eq(performer_take_event(&performer, &event), are_told[i]);
        if (!are_told[i])
            continue;
        ck_assert_int_eq(event.type, EVENT_ROOM);
        ck_assert_uint_eq(event.room_bytes, rooms[i]);
    }
    ck_assert(!performer_take_event(&performer, &event));
}
END_TEST

START_TEST(a_failed_commit_says_why_and_nothing_leaves)
{
    struct effect effects[] = { put_of(0, "row"), send_of("accepted", true) };

    apply(effects, 2);
    slow_store_break(store);
    ck_assert_int_eq(performer_commit(&performer, &error), TRI_STORE);
    ck_assert_str_eq(error.text, "the disk is gone");
    performer_flush(&performer, 0);
    expect_nothing();
}
END_TEST

START_TEST(an_acknowledgement_stays_behind_for_some_milliseconds)
{
    struct effect effects[] = { acknowledgement_of("taken", 1) };

    ck_assert_uint_eq(performer_deadline(&performer), TRI_NEVER);
    apply(effects, 1);
    performer_flush(&performer, 100);
    expect_nothing();
    ck_assert_uint_eq(performer_deadline(&performer), 100 + DEFERRED_MS);
    performer_flush(&performer, 100 + DEFERRED_MS - 1);
    expect_nothing();
    performer_flush(&performer, 100 + DEFERRED_MS);
    expect("taken");
    ck_assert_uint_eq(performer_deadline(&performer), TRI_NEVER);
}
END_TEST

START_TEST(a_later_acknowledgement_takes_the_place_of_an_earlier_one_of_its_subject)
{
    struct effect first[] = { acknowledgement_of("one 1", 1), acknowledgement_of("two 1", 2) };
    struct effect second[] = { acknowledgement_of("one 2", 1) };

    apply(first, 2);
    performer_flush(&performer, 100);
    apply(second, 1);
    performer_flush(&performer, 103);
    performer_flush(&performer, 100 + DEFERRED_MS);
    expect("one 2");
    expect("two 1");
    expect_nothing();
}
END_TEST

START_TEST(an_acknowledgement_waits_for_its_commit_first)
{
    struct effect effects[] = { put_of(0, "row"), acknowledgement_of("taken", 1) };

    apply(effects, 2);
    settle();
    performer_flush(&performer, 1000);
    expect_nothing();
    slow_store_durable(store, 1);
    performer_flush(&performer, 1000);
    performer_flush(&performer, 1000 + DEFERRED_MS);
    expect("taken");
}
END_TEST

START_TEST(rows_and_leases_overtake_acknowledgements_and_nothing_else_does)
{
    struct effect effects[] = { acknowledgement_of("taken", 1), send_of("row", true),
                                send_of("done", true) };

    effects[1].send.haste = HASTE_OVERTAKES;
    apply(effects, 2);
    performer_flush(&performer, 100);
    expect("row");
    expect_nothing();
    apply(effects + 2, 1);
    performer_flush(&performer, 100);
    expect("taken");
    expect("done");
    apply(effects, 1);
    performer_flush(&performer, 100);
    effects[2].send.waits = false;
    apply(effects + 2, 1);
    expect("taken");
    expect("done");
}
END_TEST

START_TEST(one_too_many_pushes_out_the_oldest)
{
    char text[16];

    for (unsigned i = 0; i <= DEFERRED_MAX; i++) {
        struct effect effect;

        snprintf(text, sizeof(text), "about %u", i);
        effect = acknowledgement_of(text, i);
        apply(&effect, 1);
        performer_flush(&performer, 100);
    }
    expect("about 0");
    expect_nothing();
    /* The leak checker says whether the rest is dropped. */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("performer");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_test(tcase, a_waiting_send_leaves_after_the_commit_of_the_put_before_it);
    tcase_add_test(tcase, a_waiting_send_leaves_after_the_commit_of_what_its_step_writes_later);
    tcase_add_test(tcase, a_send_that_does_not_wait_overtakes_the_commits_of_earlier_steps);
    tcase_add_test(tcase, a_send_that_does_not_wait_overtakes_one_of_its_step_that_does);
    tcase_add_test(tcase, waiting_sends_keep_their_order_over_commits);
    tcase_add_test(tcase, without_writes_there_is_no_commit_and_a_waiting_send_leaves_at_once);
    tcase_add_test(tcase, a_commit_begins_at_once_when_somebody_waits_for_it);
    tcase_add_test(tcase, what_nobody_waits_for_begins_no_commit_for_some_milliseconds);
    tcase_add_test(tcase, what_nobody_waits_for_goes_along_with_what_somebody_does);
    tcase_add_test(tcase, a_send_without_writes_of_its_own_begins_the_commit_that_it_waits_for);
    tcase_add_test(tcase, much_that_is_written_begins_a_commit);
    tcase_add_test(tcase, a_row_goes_with_the_message_even_if_it_is_deleted_in_the_same_step);
    tcase_add_test(tcase, a_peer_that_is_gone_becomes_an_event);
    tcase_add_test(tcase, a_peer_that_does_not_read_is_lost);
    tcase_add_test(tcase, a_get_is_answered_by_an_event);
    tcase_add_test(tcase, a_history_that_was_fetched_comes_with_its_event);
    tcase_add_test(tcase, a_store_that_is_full_is_not_waited_for_by_what_only_informs);
    tcase_add_test(tcase, what_informs_leaves_even_when_it_waited_before_the_store_was_full);
    tcase_add_test(tcase, room_that_has_changed_by_much_is_told);
    tcase_add_test(tcase, a_failed_commit_says_why_and_nothing_leaves);
    tcase_add_test(tcase, an_acknowledgement_stays_behind_for_some_milliseconds);
    tcase_add_test(tcase, a_later_acknowledgement_takes_the_place_of_an_earlier_one_of_its_subject);
    tcase_add_test(tcase, an_acknowledgement_waits_for_its_commit_first);
    tcase_add_test(tcase, rows_and_leases_overtake_acknowledgements_and_nothing_else_does);
    tcase_add_test(tcase, one_too_many_pushes_out_the_oldest);
    return unit_run("performer", tcase);
}
