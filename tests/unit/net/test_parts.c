/* test_parts.c - multipart messages come whole, bounded, and without losing the next one. */
#include "common/net/parts.h"
#include "common/net/socket.h"
#include "tests/unit/unit.h"

#include <string.h>

static void *context;
static void *router;
static void *dealer;
static struct tri_parts parts;
static struct tri_error error;
static const struct tri_parts_limits limits = { .frames_max = 4, .bytes_max = 1000 };

static void open_pair(void)
{
    struct tri_socket_options options;
    int wait_ms = 5000;

    context = zmq_ctx_new();
    tri_socket_options_init(&options);
    ck_assert_int_eq(tri_socket_open(context, ZMQ_ROUTER, &options, &router, &error), TRI_OK);
    ck_assert_int_eq(tri_socket_open(context, ZMQ_DEALER, &options, &dealer, &error), TRI_OK);
    zmq_setsockopt(router, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    ck_assert_int_eq(zmq_bind(router, "inproc://parts"), 0);
    ck_assert_int_eq(zmq_connect(dealer, "inproc://parts"), 0);
    tri_parts_init(&parts);
}

static void close_pair(void)
{
    tri_parts_deinit(&parts);
    tri_socket_close(&dealer);
    tri_socket_close(&router);
    ck_assert_ptr_null(router);
    zmq_ctx_term(context);
}

/* One message of `count` frames of `size` bytes each. */
static void send_frames(size_t count, size_t size)
{
    zmq_msg_t frames[32];

    for (size_t i = 0; i < count; i++) {
        zmq_msg_init_size(&frames[i], size);
        memset(zmq_msg_data(&frames[i]), 'a' + (int)i, size);
    }
    ck_assert_int_eq(tri_parts_send(dealer, frames, count, &error), TRI_OK);
}

static enum tri_status receive(void)
{
    return tri_parts_receive(&parts, router, 0, &limits, &error);
}

START_TEST(a_message_comes_with_all_its_frames)
{
    send_frames(3, 100);

    ck_assert_int_eq(receive(), TRI_OK);
    ck_assert_uint_eq(parts.count, 4); /* the routing id stands before them */
    ck_assert_uint_eq(tri_msg_bytes(&parts.frames[3]).size, 100);
    ck_assert_uint_eq(tri_msg_bytes(&parts.frames[3]).data[99], 'c');
}
END_TEST

START_TEST(nothing_there_is_not_an_error)
{
    ck_assert_int_eq(tri_parts_receive(&parts, router, ZMQ_DONTWAIT, &limits, &error), TRI_EMPTY);
    ck_assert_uint_eq(parts.count, 0);
}
END_TEST

START_TEST(too_many_frames_are_read_to_their_end_and_the_next_message_is_whole)
{
    send_frames(20, 10);
    send_frames(1, 7);

    ck_assert_int_eq(receive(), TRI_TOO_LARGE);
    ck_assert_uint_eq(parts.count, limits.frames_max);
    ck_assert_int_eq(receive(), TRI_OK);
    ck_assert_uint_eq(parts.count, 2);
    ck_assert_uint_eq(tri_msg_bytes(&parts.frames[1]).size, 7);
}
END_TEST

START_TEST(too_many_bytes_are_refused_and_the_next_message_is_whole)
{
    send_frames(2, 600);
    send_frames(1, 1001);
    send_frames(1, 7);

    ck_assert_int_eq(receive(), TRI_TOO_LARGE);
    ck_assert_int_eq(receive(), TRI_TOO_LARGE);
    ck_assert_int_eq(receive(), TRI_OK);
    ck_assert_uint_eq(tri_msg_bytes(&parts.frames[1]).size, 7);
}
END_TEST

START_TEST(a_router_says_when_it_has_no_such_peer)
{
    zmq_msg_t frames[2];

    zmq_msg_init_size(&frames[0], 5);
    memset(zmq_msg_data(&frames[0]), 9, 5);
    zmq_msg_init_size(&frames[1], 5);

    ck_assert_int_eq(tri_parts_send(router, frames, 2, &error), TRI_UNREACHABLE);
    ck_assert_uint_eq(zmq_msg_size(&frames[1]), 5); /* still ours */
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
}
END_TEST

START_TEST(every_socket_has_its_limits)
{
    int64_t bytes = 0;
    int value = 0;
    size_t size = sizeof(bytes);

    ck_assert_int_eq(zmq_getsockopt(router, ZMQ_MAXMSGSIZE, &bytes, &size), 0);
    ck_assert_int_eq(bytes, (int64_t)TRI_MESSAGE_BYTES_MAX);
    size = sizeof(value);
    ck_assert_int_eq(zmq_getsockopt(router, ZMQ_LINGER, &value, &size), 0);
    ck_assert_int_gt(value, 0);
    ck_assert_int_eq(zmq_getsockopt(router, ZMQ_HANDSHAKE_IVL, &value, &size), 0);
    ck_assert_int_gt(value, 0);
    ck_assert_int_eq(zmq_getsockopt(router, ZMQ_RCVHWM, &value, &size), 0);
    ck_assert_int_gt(value, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("parts");

    tcase_add_checked_fixture(tcase, open_pair, close_pair);
    tcase_add_test(tcase, a_message_comes_with_all_its_frames);
    tcase_add_test(tcase, nothing_there_is_not_an_error);
    tcase_add_test(tcase, too_many_frames_are_read_to_their_end_and_the_next_message_is_whole);
    tcase_add_test(tcase, too_many_bytes_are_refused_and_the_next_message_is_whole);
    tcase_add_test(tcase, a_router_says_when_it_has_no_such_peer);
    tcase_add_test(tcase, every_socket_has_its_limits);
    return unit_run("parts", tcase);
}
