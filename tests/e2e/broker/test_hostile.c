/* test_hostile.c - whatever bytes a peer sends: it gets an error or is cut off, and the next
 * request is served. */
#include "tests/e2e/broker/peer.h"
#include "tests/e2e/broker/process.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[64];
static char ipc[128];

static void make_directory(void)
{
    directory_make(directory);
    snprintf(ipc, sizeof(ipc), "ipc://%s/broker", directory);
}

static void remove_directory(void)
{
    directory_remove(directory);
}

static void is_served(struct peer *peer)
{
    peer_heartbeat(peer, 77);
    ck_assert_uint_eq(peer_await(peer, TRI_MESSAGE_HEARTBEAT_OK)->heartbeat_ok.seq, 77);
}

START_TEST(garbage_gets_an_error_and_the_session_is_kept)
{
    static const struct {
        const char *bytes;
        size_t size;
    } garbage[] = {
        { "", 0 },
        { "\xc1", 1 },
        { "GET / HTTP/1.1\r\n\r\n", 18 },
        { "\xdd\x10\x00\x00\x00", 5 },         /* an array of 2^28 */
        { "\x92\x06\xdf\xff\xff\xff\xff", 7 }, /* a map of 2^32 - 1 */
        { "\x91\x06", 2 },                     /* HEARTBEAT without its fields */
        { "\x91\xcd\x03\xe7", 4 },             /* message 999 */
    };
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_join(&peer, TRI_ROLE_CLIENT);
    for (size_t i = 0; i < TRI_COUNT_OF(garbage); i++) {
        peer_send_raw(&peer, garbage[i].bytes, garbage[i].size, 1);
        peer_await(&peer, TRI_MESSAGE_ERROR);
        is_served(&peer);
    }
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(garbage_without_a_session_gets_an_error_too)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_send_raw(&peer, "\xff\xff\xff", 3, 1);
    peer_expect_error(&peer, TRI_INVALID);
    peer_join(&peer, TRI_ROLE_CLIENT);
    is_served(&peer);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(ten_thousand_random_messages_are_all_answered)
{
    struct process broker = broker_start("--listen", ipc, "--check", NULL);
    struct peer peer = peer_open(ipc, NULL);
    uint32_t random = 99;

    peer_join(&peer, TRI_ROLE_CLIENT);
    for (int i = 0; i < 10000; i++) {
        uint8_t bytes[64];

        for (size_t j = 0; j < sizeof(bytes); j++) {
            random = random * 1664525 + 1013904223;
            bytes[j] = (uint8_t)(random >> 24);
        }
        /* No message has so many fields: it cannot be a valid one by chance. */
        bytes[0] = 0xdc;
        peer_send_raw(&peer, bytes, 1 + random % sizeof(bytes), 1 + i % 3);
        if (i % 64 == 63) {
            for (int j = 0; j < 64; j++)
                peer_expect(&peer, TRI_MESSAGE_ERROR);
        }
    }
    is_served(&peer);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(too_many_frames_get_an_error)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_send_raw(&peer, "\x93\x06\x01\x90", 4, 40);
    peer_await(&peer, TRI_MESSAGE_ERROR);
    is_served(&peer);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_message_over_the_limit_ends_its_connection_and_no_other)
{
    struct process broker =
        broker_start("--listen", ipc, "--max-message", "4M", "--max-item", "1M", NULL);
    struct peer peer = peer_open(ipc, NULL);
    struct peer large = peer_open(ipc, NULL);
    size_t size = (4 << 20) + 1;
    void *bytes = calloc(1, size);

    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_join(&large, TRI_ROLE_CLIENT);
    peer_send_raw(&large, bytes, size, 1);
    is_served(&peer);
    /* libzmq connects anew by itself, and the broker does not know that connection. */
    peer_heartbeat(&large, 1);
    peer_await(&large, TRI_MESSAGE_NO_SESSION);
    free(bytes);
    peer_close(&large);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_routing_id_that_no_socket_makes_by_itself_is_ignored)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);
    void *context = zmq_ctx_new();
    void *odd = zmq_socket(context, ZMQ_DEALER);
    char id[200];
    int none = 0;

    memset(id, 'x', sizeof(id));
    zmq_setsockopt(odd, ZMQ_ROUTING_ID, id, sizeof(id));
    zmq_setsockopt(odd, ZMQ_LINGER, &none, sizeof(none));
    ck_assert_int_eq(zmq_connect(odd, ipc), 0);
    for (int i = 0; i < 100; i++)
        zmq_send(odd, "x", 1, 0);
    peer_join(&peer, TRI_ROLE_CLIENT);
    is_served(&peer);
    zmq_close(odd);
    zmq_ctx_term(context);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

/* SHOW answers with the batch's spec: the peer asks for far more than it reads. */
START_TEST(a_peer_that_asks_and_never_reads_loses_its_session_and_no_other)
{
    enum { REQUESTS = 100 };
    struct process broker = broker_start("--listen", ipc, "--max-message", "4M", "--max-item", "1M",
                                         "--max-peer-bytes", "4M", NULL);
    struct peer worker = peer_open(ipc, NULL);
    struct peer peer = peer_open_deaf(ipc);
    enum tri_message_type type;
    uint64_t answers = 0;

    peer_join_worker(&worker);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_ask(&peer, peer_submit_large(&peer, 800000), REQUESTS);
    process_logs(&broker, "peer.overflowed");
    is_served(&worker);

    /* What was on its way still comes; then it must say HELLO again. */
    do {
        ck_assert_uint_lt(answers++, REQUESTS);
        peer_heartbeat(&peer, 1);
        type = peer_next(&peer)->type;
        ck_assert(type == TRI_MESSAGE_SHOWN || type == TRI_MESSAGE_NO_SESSION);
    } while (type == TRI_MESSAGE_SHOWN);
    peer_close(&peer);
    peer_close(&worker);
    process_stop(&broker);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hostile");

    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, garbage_gets_an_error_and_the_session_is_kept);
    tcase_add_test(tcase, garbage_without_a_session_gets_an_error_too);
    tcase_add_test(tcase, ten_thousand_random_messages_are_all_answered);
    tcase_add_test(tcase, too_many_frames_get_an_error);
    tcase_add_test(tcase, a_message_over_the_limit_ends_its_connection_and_no_other);
    tcase_add_test(tcase, a_routing_id_that_no_socket_makes_by_itself_is_ignored);
    tcase_add_test(tcase, a_peer_that_asks_and_never_reads_loses_its_session_and_no_other);
    return unit_run("broker hostile", tcase);
}
