/* test_gauge.c - what is on its way to a peer is counted, bounded, and forgotten when it is gone.
 */
#include "broker/net/gauge.h"

#include "tests/unit/unit.h"

#include <string.h>

static struct gauges gauges;
static const struct gauge_limits limits = { .messages_max = 10, .bytes_max = 1000 };

static void open_one(void)
{
    gauges_init(&gauges, &limits, 1);
}

static void close_one(void)
{
    gauges_deinit(&gauges);
}

static struct peer_id peer_of(uint32_t number)
{
    struct peer_id peer = { .size = 5 };

    memcpy(peer.bytes + 1, &number, sizeof(number));
    return peer;
}

static enum tri_status frame(uint32_t peer, uint64_t bytes_total, zmq_msg_t *message)
{
    struct peer_id id = peer_of(peer);

    return gauges_frame(&gauges, &id, (struct tri_bytes){ (const uint8_t *)"frame", 5 },
                        bytes_total, message);
}

static uint64_t bytes_of(uint32_t peer)
{
    struct peer_id id = peer_of(peer);

    return gauges_read(&gauges, &id).bytes_max;
}

START_TEST(a_message_weighs_until_its_frame_is_freed)
{
    zmq_msg_t message;

    ck_assert_int_eq(frame(1, 300, &message), TRI_OK);
    ck_assert_int_eq(memcmp(zmq_msg_data(&message), "frame", 5), 0);
    ck_assert_uint_eq(bytes_of(1), 300);
    ck_assert_uint_eq(bytes_of(2), 0);
    zmq_msg_close(&message);
    ck_assert_uint_eq(bytes_of(1), 0);
}
END_TEST

START_TEST(a_message_weighs_until_its_last_copy_is_freed)
{
    zmq_msg_t message;
    zmq_msg_t copy;

    frame(1, 300, &message);
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, &message);
    zmq_msg_close(&message);
    ck_assert_uint_eq(bytes_of(1), 300);
    zmq_msg_close(&copy);
    ck_assert_uint_eq(bytes_of(1), 0);
}
END_TEST

START_TEST(a_peer_over_its_bytes_gets_no_more_and_others_do)
{
    zmq_msg_t first;
    zmq_msg_t second;
    zmq_msg_t other;

    ck_assert_int_eq(frame(1, 900, &first), TRI_OK);
    ck_assert_int_eq(frame(1, 101, &second), TRI_FULL);
    ck_assert_int_eq(frame(2, 101, &other), TRI_OK);
    ck_assert_int_eq(frame(1, 100, &second), TRI_OK);
    zmq_msg_close(&first);
    zmq_msg_close(&second);
    zmq_msg_close(&other);
}
END_TEST

START_TEST(a_peer_over_its_messages_gets_no_more)
{
    zmq_msg_t messages[11];

    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(frame(1, 1, &messages[i]), TRI_OK);
    ck_assert_int_eq(frame(1, 1, &messages[10]), TRI_FULL);
    zmq_msg_close(&messages[3]);
    ck_assert_int_eq(frame(1, 1, &messages[3]), TRI_OK);
    for (size_t i = 0; i < 10; i++)
        zmq_msg_close(&messages[i]);
}
END_TEST

START_TEST(one_message_is_allowed_however_large)
{
    zmq_msg_t message;
    zmq_msg_t second;

    ck_assert_int_eq(frame(1, 5000, &message), TRI_OK);
    ck_assert_int_eq(frame(1, 1, &second), TRI_FULL);
    zmq_msg_close(&message);
}
END_TEST

START_TEST(peers_that_have_nothing_on_their_way_are_forgotten)
{
    zmq_msg_t kept;
    zmq_msg_t message;

    frame(0, 1, &kept);
    for (uint32_t i = 1; i < 100000; i++) {
        frame(i, 1, &message);
        zmq_msg_close(&message);
    }
    ck_assert_uint_le(gauges.table.count, 2048);
    ck_assert_uint_eq(bytes_of(0), 1);
    zmq_msg_close(&kept);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("gauge");

    tcase_add_checked_fixture(tcase, open_one, close_one);
    tcase_add_test(tcase, a_message_weighs_until_its_frame_is_freed);
    tcase_add_test(tcase, a_message_weighs_until_its_last_copy_is_freed);
    tcase_add_test(tcase, a_peer_over_its_bytes_gets_no_more_and_others_do);
    tcase_add_test(tcase, a_peer_over_its_messages_gets_no_more);
    tcase_add_test(tcase, one_message_is_allowed_however_large);
    tcase_add_test(tcase, peers_that_have_nothing_on_their_way_are_forgotten);
    return unit_run("gauge", tcase);
}
