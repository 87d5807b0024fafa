/* test_stop.c - how the broker ends, and what is left behind: nothing. */
#include "tests/e2e/broker/peer.h"
#include "tests/e2e/broker/process.h"
#include "tests/unit/unit.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static char path[128];
static char ipc[160];

static void make_directory(void)
{
    directory_make(directory);
    snprintf(path, sizeof(path), "%s/broker", directory);
    snprintf(ipc, sizeof(ipc), "ipc://%s", path);
}

static void remove_directory(void)
{
    directory_remove(directory);
}

static void a_signal_stops_it(int number)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer client = peer_open(ipc, NULL);
    struct peer worker = peer_open(ipc, NULL);

    peer_join(&client, TRI_ROLE_CLIENT);
    peer_join_worker(&worker);
    kill(broker.pid, number);
    peer_await(&client, TRI_MESSAGE_BYE);
    peer_await(&worker, TRI_MESSAGE_BYE);
    process_ends(&broker, 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert(process_has_logged(&broker, "broker.stopped"));
    peer_close(&client);
    peer_close(&worker);
}

START_TEST(sigterm_says_goodbye_to_every_peer_and_removes_the_socket)
{
    a_signal_stops_it(SIGTERM);
}
END_TEST

START_TEST(sigint_and_sighup_do_the_same)
{
    a_signal_stops_it(SIGINT);
    a_signal_stops_it(SIGHUP);
}
END_TEST

START_TEST(it_stops_without_any_peer)
{
    struct process broker = broker_start("--listen", ipc, NULL);

    process_stop(&broker);
}
END_TEST

/* A broker with 80 MB on their way to a peer that reads none of it. */
static struct process broker_with_a_deaf_peer(struct peer *peer)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer worker = peer_open(ipc, NULL);

    *peer = peer_open_deaf(ipc);
    peer_join_worker(&worker);
    peer_join(peer, TRI_ROLE_CLIENT);
    peer_ask(peer, peer_submit_large(peer, 800000), 100);
    /* The broker takes from its peers in turn: by then it has answered about as many requests. */
    for (uint64_t i = 0; i < 100; i++) {
        peer_heartbeat(&worker, i);
        peer_await(&worker, TRI_MESSAGE_HEARTBEAT_OK);
    }
    peer_close(&worker);
    return broker;
}

START_TEST(a_peer_that_does_not_read_holds_it_up_for_a_bounded_time)
{
    struct peer peer;
    struct process broker = broker_with_a_deaf_peer(&peer);

    kill(broker.pid, SIGTERM);
    process_ends(&broker, 0);
    peer_close(&peer);
}
END_TEST

START_TEST(a_second_signal_ends_it_at_once)
{
    struct peer peer;
    struct process broker = broker_with_a_deaf_peer(&peer);

    kill(broker.pid, SIGTERM);
    while (access(path, F_OK) == 0)
        sched_yield();
    kill(broker.pid, SIGTERM);
    process_dies(&broker, SIGTERM);
    peer_close(&peer);
}
END_TEST

START_TEST(a_private_run_ends_with_its_owner_and_leaves_nothing)
{
    struct process broker = broker_start_private("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    peer_join(&peer, TRI_ROLE_CLIENT);
    close(broker.owner);
    broker.owner = -1;
    peer_await(&peer, TRI_MESSAGE_BYE);
    process_ends(&broker, 0);
    ck_assert_int_ne(access(directory, F_OK), 0);
    peer_close(&peer);
}
END_TEST

START_TEST(a_private_run_leaves_what_others_put_into_its_directory)
{
    struct process broker = broker_start_private("--listen", ipc, NULL);
    char other[128];

    snprintf(other, sizeof(other), "%s/other", directory);
    fclose(fopen(other, "w"));
    process_stop(&broker);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(a_private_run_leaves_the_terminal_s_signals_to_its_owner)
{
    struct process broker = broker_start_private("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    kill(broker.pid, SIGINT);
    kill(broker.pid, SIGHUP);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_heartbeat(&peer, 1);
    peer_await(&peer, TRI_MESSAGE_HEARTBEAT_OK);
    peer_close(&peer);
    close(broker.owner);
    broker.owner = -1;
    process_ends(&broker, 0);
}
END_TEST

START_TEST(a_broker_of_the_same_socket_that_came_later_keeps_it)
{
    struct process first = broker_start("--listen", ipc, NULL);
    struct process second;

    /* Somebody removes the file: the first one cannot be reached any more. */
    ck_assert_int_eq(unlink(path), 0);
    second = broker_start("--listen", ipc, NULL);
    process_stop(&first);
    ck_assert_int_eq(access(path, F_OK), 0);
    process_stop(&second);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("stop");

    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, sigterm_says_goodbye_to_every_peer_and_removes_the_socket);
    tcase_add_test(tcase, sigint_and_sighup_do_the_same);
    tcase_add_test(tcase, it_stops_without_any_peer);
    tcase_add_test(tcase, a_peer_that_does_not_read_holds_it_up_for_a_bounded_time);
    tcase_add_test(tcase, a_second_signal_ends_it_at_once);
    tcase_add_test(tcase, a_private_run_ends_with_its_owner_and_leaves_nothing);
    tcase_add_test(tcase, a_private_run_leaves_what_others_put_into_its_directory);
    tcase_add_test(tcase, a_private_run_leaves_the_terminal_s_signals_to_its_owner);
    tcase_add_test(tcase, a_broker_of_the_same_socket_that_came_later_keeps_it);
    return unit_run("broker stop", tcase);
}
