/* test_sessions.c - HELLO, WELCOME and what is said to those who do not say it. */
#include "tests/e2e/broker/peer.h"
#include "tests/e2e/broker/process.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP "--listen", "tcp://127.0.0.1:*", "--insecure-no-auth"

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

START_TEST(a_peer_is_welcomed_over_ipc)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(broker.endpoint, NULL);
    const struct tri_message *message;

    ck_assert_str_eq(broker.endpoint, ipc);
    peer_hello(&peer, TRI_ROLE_CLIENT);
    message = peer_expect(&peer, TRI_MESSAGE_WELCOME);
    ck_assert_uint_eq(message->welcome.version, TRI_PROTOCOL_VERSION);
    ck_assert_uint_eq(message->welcome.heartbeat_ms, 1000);
    ck_assert_uint_eq(message->welcome.lease_ms, 10000);
    ck_assert_uint_gt(message->welcome.epoch, 0);
    ck_assert_uint_eq(message->welcome.cluster.size, 16);
    ck_assert_int_eq(memcmp(message->welcome.software.data, "trireme/", 8), 0);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_peer_is_welcomed_over_tcp_on_the_port_that_was_told)
{
    struct process broker = broker_start(TCP, NULL);
    struct peer peer = peer_open(broker.endpoint, NULL);

    ck_assert_int_eq(strncmp(broker.endpoint, "tcp://127.0.0.1:", 16), 0);
    peer_join(&peer, TRI_ROLE_WORKER);
    peer_heartbeat(&peer, 1);
    ck_assert_uint_eq(peer_await(&peer, TRI_MESSAGE_HEARTBEAT_OK)->heartbeat_ok.seq, 1);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(one_broker_serves_both_transports)
{
    struct process broker = broker_start("--listen", ipc, TCP, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_join(&peer, TRI_ROLE_CLIENT);
    process_logs(&broker, "endpoint.opened endpoint=tcp://127.0.0.1:");
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(another_protocol_version_gets_an_error_and_the_next_peer_is_served)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);
    struct tri_message hello = {
        .type = TRI_MESSAGE_HELLO,
        .hello = { .version_min = 900,
                   .version_max = 901,
                   .role = TRI_ROLE_CLIENT,
                   .instance = { peer.instance.bytes, 16 } },
    };

    peer_send(&peer, &hello);
    peer_expect_error(&peer, TRI_VERSION);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_peer_that_has_not_said_hello_is_told_so)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_heartbeat(&peer, 1);
    peer_expect(&peer, TRI_MESSAGE_NO_SESSION);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_reply_comes_to_the_peer_that_asked)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer first = peer_open(ipc, NULL);
    struct peer second = peer_open(ipc, NULL);
    struct tri_message list = { .type = TRI_MESSAGE_LIST, .list = { .request = 7, .limit = 10 } };

    peer_join(&first, TRI_ROLE_CLIENT);
    peer_join(&second, TRI_ROLE_CLIENT);
    peer_send(&second, &list);
    list.list.request = 9;
    peer_send(&first, &list);
    ck_assert_uint_eq(peer_expect(&second, TRI_MESSAGE_LISTED)->listed.request, 7);
    ck_assert_uint_eq(peer_expect(&first, TRI_MESSAGE_LISTED)->listed.request, 9);
    peer_close(&first);
    peer_close(&second);
    process_stop(&broker);
}
END_TEST

START_TEST(a_thousand_connections_are_served)
{
    enum { PEERS = 1000 };
    static struct peer peers[PEERS];
    struct process broker = broker_start(TCP, NULL);
    void *context = zmq_ctx_new();

    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, PEERS + 10);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = peer_open(broker.endpoint, context);
        peer_hello(&peers[i], TRI_ROLE_CLIENT);
    }
    for (size_t i = 0; i < PEERS; i++)
        peer_expect(&peers[i], TRI_MESSAGE_WELCOME);
    for (size_t i = 0; i < PEERS; i++)
        peer_close(&peers[i]);
    zmq_ctx_term(context);
    process_stop(&broker);
}
END_TEST

START_TEST(above_the_cap_connections_wait_until_others_have_left)
{
    enum { PEERS = 5 };
    struct peer peers[PEERS];
    struct process broker = broker_start(TCP, "--max-connections", "5", NULL);
    struct peer late;

    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = peer_open(broker.endpoint, NULL);
        peer_join(&peers[i], TRI_ROLE_CLIENT);
    }
    process_logs(&broker, "door.closed connections=5");
    late = peer_open(broker.endpoint, NULL);
    peer_hello(&late, TRI_ROLE_CLIENT);
    peer_expect_silence(&late, 500);
    peer_heartbeat(&peers[4], 1);
    peer_await(&peers[4], TRI_MESSAGE_HEARTBEAT_OK);

    peer_close(&peers[0]);

    process_logs(&broker, "door.opened");
    peer_expect(&late, TRI_MESSAGE_WELCOME);
    peer_close(&late);
    for (size_t i = 1; i < PEERS; i++)
        peer_close(&peers[i]);
    process_stop(&broker);
}
END_TEST

/* Connect, greet in ZMTP 3 with a mechanism that does not exist, wait until the broker hangs up. */
static void knock(const char *endpoint)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1)) };
    char greeting[64] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NONSENSE";
    char bytes[256];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(write(fd, greeting, sizeof(greeting)), sizeof(greeting));
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
    close(fd);
}

START_TEST(connections_that_are_no_peers_are_ended_and_not_counted_any_more)
{
    struct process broker = broker_start(TCP, "--max-connections", "5", NULL);
    struct peer peer = peer_open(broker.endpoint, NULL);

    peer_join(&peer, TRI_ROLE_CLIENT);
    for (int i = 0; i < 20; i++)
        knock(broker.endpoint);
    peer_heartbeat(&peer, 1);
    peer_await(&peer, TRI_MESSAGE_HEARTBEAT_OK);
    ck_assert(!process_has_logged(&broker, "door.closed"));
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sessions");

    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, a_peer_is_welcomed_over_ipc);
    tcase_add_test(tcase, a_peer_is_welcomed_over_tcp_on_the_port_that_was_told);
    tcase_add_test(tcase, one_broker_serves_both_transports);
    tcase_add_test(tcase, another_protocol_version_gets_an_error_and_the_next_peer_is_served);
    tcase_add_test(tcase, a_peer_that_has_not_said_hello_is_told_so);
    tcase_add_test(tcase, a_reply_comes_to_the_peer_that_asked);
    tcase_add_test(tcase, a_thousand_connections_are_served);
    tcase_add_test(tcase, above_the_cap_connections_wait_until_others_have_left);
    tcase_add_test(tcase, connections_that_are_no_peers_are_ended_and_not_counted_any_more);
    return unit_run("broker sessions", tcase);
}
