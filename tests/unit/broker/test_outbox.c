/* test_outbox.c - messages leave in order, and not before their commit. */
#include "broker/outbox.h"

#include "common/net/parts.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct outbox outbox;

static void open_one(void)
{
    outbox_init(&outbox);
}

static void close_one(void)
{
    outbox_deinit(&outbox);
}

static void put(uint8_t peer, size_t frame_count, uint64_t ticket)
{
    struct peer_id id = { .size = 1, .bytes = { peer } };
    zmq_msg_t frames[8];

    for (size_t i = 0; i < frame_count; i++) {
        zmq_msg_init_size(&frames[i], 100);
        memset(zmq_msg_data(&frames[i]), peer + (int)i, 100);
    }
    outbox_put(&outbox, &id, frames, frame_count, ticket,
               (struct outbox_manner){ .haste = HASTE_NONE, .subject = peer });
}

/* The peer of the next message that may leave, 0: none. */
static uint8_t take(uint64_t durable)
{
    struct peer_id peer;
    zmq_msg_t frames[8];
    size_t count = outbox_peek_frames(&outbox);
    struct outbox_manner manner;

    for (size_t i = 0; i < count; i++)
        zmq_msg_init(&frames[i]);
    if (!outbox_take(&outbox, durable, &peer, frames, &manner))
        return 0;
    ck_assert_int_eq(manner.haste, HASTE_NONE);
    ck_assert_uint_eq(manner.subject, peer.bytes[0]);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(zmq_msg_size(&frames[i]), 100);
        ck_assert_uint_eq(tri_msg_bytes(&frames[i]).data[99], (uint8_t)(peer.bytes[0] + i));
        zmq_msg_close(&frames[i]);
    }
    return peer.bytes[0];
}

START_TEST(a_message_leaves_when_its_commit_is_durable)
{
    put(1, 2, 5);

    ck_assert_uint_eq(take(4), 0);
    ck_assert_uint_eq(take(5), 1);
    ck_assert_uint_eq(take(5), 0);
    ck_assert(outbox_is_empty(&outbox));
}
END_TEST

START_TEST(what_waits_for_the_next_commit_waits_until_it_has_a_ticket)
{
    put(1, 1, OUTBOX_NEXT_COMMIT);
    put(2, 1, OUTBOX_NEXT_COMMIT);
    ck_assert_uint_eq(take(UINT64_MAX - 1), 0);

    outbox_ticket(&outbox, 7);
    put(3, 1, OUTBOX_NEXT_COMMIT);

    ck_assert_uint_eq(take(6), 0);
    ck_assert_uint_eq(take(7), 1);
    ck_assert_uint_eq(take(7), 2);
    ck_assert_uint_eq(take(7), 0);
    outbox_ticket(&outbox, 8);
    ck_assert_uint_eq(take(8), 3);
}
END_TEST

START_TEST(order_holds_while_the_rings_grow_and_wrap)
{
    uint8_t next_in = 1;
    uint8_t next_out = 1;

    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < round; i++)
            put(next_in++ % 100 + 1, (size_t)(i % 5) + 1, 1);
        for (int i = 0; i < round; i++) {
            if (i == round / 2 && round % 3 == 0)
                put(next_in++ % 100 + 1, 3, 1);
            ck_assert_uint_eq(take(1), next_out++ % 100 + 1);
        }
        while (next_out != next_in)
            ck_assert_uint_eq(take(1), next_out++ % 100 + 1);
    }
}
END_TEST

START_TEST(what_still_waits_is_dropped_at_the_end)
{
    for (int i = 0; i < 100; i++)
        put(1, 3, 9);
    /* The leak checker says whether it was. */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("outbox");

    tcase_add_checked_fixture(tcase, open_one, close_one);
    tcase_add_test(tcase, a_message_leaves_when_its_commit_is_durable);
    tcase_add_test(tcase, what_waits_for_the_next_commit_waits_until_it_has_a_ticket);
    tcase_add_test(tcase, order_holds_while_the_rings_grow_and_wrap);
    tcase_add_test(tcase, what_still_waits_is_dropped_at_the_end);
    return unit_run("outbox", tcase);
}
