/* test_listen.c - where the broker listens, where it refuses to, and what it says then. */
#include "tests/e2e/broker/peer.h"
#include "tests/e2e/broker/process.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USAGE = 2, UNAVAILABLE = 69 };

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

START_TEST(tcp_without_the_word_is_refused_even_on_loopback)
{
    broker_fails(USAGE, "--insecure-no-auth allows it", "--listen", "tcp://127.0.0.1:*", NULL);
    broker_fails(USAGE, "--insecure-no-auth allows it", "--listen", ipc, "--listen",
                 "tcp://[::1]:*", NULL);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(tcp_beyond_loopback_needs_the_longer_word)
{
    static const char *const open[] = { "tcp://*:*", "tcp://0.0.0.0:*", "tcp://[::]:*",
                                        "tcp://192.0.2.1:*" };

    for (size_t i = 0; i < TRI_COUNT_OF(open); i++)
        broker_fails(USAGE, "--insecure-no-auth=network", "--listen", open[i], "--insecure-no-auth",
                     NULL);
}
END_TEST

START_TEST(with_the_longer_word_every_address_is_listened_on)
{
    struct process broker =
        broker_start("--listen", "tcp://*:*", "--insecure-no-auth=network", NULL);
    char endpoint[400];
    struct peer peer;

    ck_assert_int_eq(strncmp(broker.endpoint, "tcp://0.0.0.0:", 14), 0);
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%s", broker.endpoint + 14);
    peer = peer_open(endpoint, NULL);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(an_address_of_another_machine_cannot_be_listened_on)
{
    broker_fails(UNAVAILABLE, "cannot listen on tcp://192.0.2.1:7117", "--listen",
                 "tcp://192.0.2.1:7117", "--insecure-no-auth=network", NULL);
}
END_TEST

START_TEST(a_port_in_use_is_named)
{
    struct process broker =
        broker_start("--listen", "tcp://127.0.0.1:*", "--insecure-no-auth", NULL);

    broker_fails(UNAVAILABLE, "another program uses this port", "--listen", broker.endpoint,
                 "--insecure-no-auth", NULL);
    process_stop(&broker);
}
END_TEST

START_TEST(a_second_broker_on_the_same_socket_is_refused_and_the_first_serves_on)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer = peer_open(ipc, NULL);

    broker_fails(UNAVAILABLE, "a broker is already running there", "--listen", ipc, NULL);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(the_socket_of_a_broker_that_was_killed_is_replaced)
{
    struct process broker = broker_start("--listen", ipc, NULL);
    struct peer peer;

    process_kill(&broker);
    ck_assert_int_eq(access(path, F_OK), 0);
    broker = broker_start("--listen", ipc, NULL);
    peer = peer_open(ipc, NULL);
    peer_join(&peer, TRI_ROLE_CLIENT);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
    FILE *file = fopen(path, "w");

    fputs("precious", file);
    fclose(file);
    broker_fails(UNAVAILABLE, "the file exists and is no socket", "--listen", ipc, NULL);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_directory_that_is_missing_is_named)
{
    broker_fails(UNAVAILABLE, "/nonexistent/place", "--listen", "ipc:///nonexistent/place/broker",
                 NULL);
}
END_TEST

START_TEST(a_socket_has_mode_0660_whatever_the_umask)
{
    static const mode_t masks[] = { 0, 0022, 0077, 0777 };

    for (size_t i = 0; i < TRI_COUNT_OF(masks); i++) {
        mode_t before = umask(masks[i]);
        struct process broker = broker_start("--listen", ipc, NULL);
        struct stat made;

        umask(before);
        ck_assert_int_eq(stat(path, &made), 0);
        ck_assert_uint_eq(made.st_mode & 07777, 0660);
        process_stop(&broker);
    }
}
END_TEST

START_TEST(mistakes_on_the_command_line_are_one_clear_line)
{
    broker_fails(USAGE, "no such option as '--dance'", "--dance", NULL);
    broker_fails(USAGE, "a value is missing after '--listen'", "--listen", NULL);
    broker_fails(USAGE, "'extra' is no option", "extra", NULL);
    broker_fails(USAGE, "--store: --store wants a file", "--store", "", NULL);
    broker_fails(USAGE, "--listen: 'here' is no endpoint", "--listen", "here", NULL);
    broker_fails(USAGE, "--max-peers:", "--max-peers", "0", NULL);
    broker_fails(USAGE, "--memory:", "--memory", "lots", NULL);
    broker_fails(USAGE, "--lease must be at least three times", "--lease", "1s", NULL);
    broker_fails(USAGE, "--insecure-no-auth:", "--insecure-no-auth=yes", NULL);
    broker_fails(USAGE, "descriptor 99 is not open", "--private", "99", NULL);
    broker_fails(USAGE, "--log-level:", "--log-level", "loud", NULL);
}
END_TEST

START_TEST(help_names_every_option_and_version_the_version)
{
    broker_fails(0, "--insecure-no-auth[=network]", "--help", NULL);
    broker_fails(0, "Exit status:", "--listen", "nonsense", "--help", NULL);
    broker_fails(0, "trireme-broker ", "--version", NULL);
}
END_TEST

static void write_file(const char *text, char file[128])
{
    FILE *out;

    snprintf(file, 128, "%s/broker.conf", directory);
    out = fopen(file, "w");
    fputs(text, out);
    fclose(out);
}

START_TEST(settings_come_from_the_file_and_the_command_line_counts_for_more)
{
    char text[512];
    char file[128];
    struct process broker;
    struct peer peer;

    snprintf(text, sizeof(text),
             "broker\n    listen = \"%s\"\n    heartbeat = \"2s\"\n    lease = \"20s\"\n", ipc);
    write_file(text, file);
    broker = broker_start("--config", file, "--lease", "30s", NULL);
    ck_assert_str_eq(broker.endpoint, ipc);
    peer = peer_open(ipc, NULL);
    peer_hello(&peer, TRI_ROLE_CLIENT);
    peer_expect(&peer, TRI_MESSAGE_WELCOME);
    ck_assert_uint_eq(peer.message.welcome.heartbeat_ms, 2000);
    ck_assert_uint_eq(peer.message.welcome.lease_ms, 30000);
    peer_close(&peer);
    process_stop(&broker);
}
END_TEST

START_TEST(mistakes_in_the_file_are_named_with_their_key)
{
    char file[128];

    write_file("broker\n    lease = \"soon\"\n", file);
    broker_fails(USAGE, "broker/lease", "--config", file, NULL);
    write_file("broker\n    speed = \"9\"\n", file);
    broker_fails(USAGE, "speed", "--config", file, NULL);
    write_file("broker\n    listen = \"tcp://127.0.0.1:*\"\n", file);
    broker_fails(USAGE, "--insecure-no-auth", "--config", file, NULL);
    broker_fails(USAGE, "/nonexistent.conf", "--config", "/nonexistent.conf", NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("listen");

    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, tcp_without_the_word_is_refused_even_on_loopback);
    tcase_add_test(tcase, tcp_beyond_loopback_needs_the_longer_word);
    tcase_add_test(tcase, with_the_longer_word_every_address_is_listened_on);
    tcase_add_test(tcase, an_address_of_another_machine_cannot_be_listened_on);
    tcase_add_test(tcase, a_port_in_use_is_named);
    tcase_add_test(tcase, a_second_broker_on_the_same_socket_is_refused_and_the_first_serves_on);
    tcase_add_test(tcase, the_socket_of_a_broker_that_was_killed_is_replaced);
    tcase_add_test(tcase, a_file_that_is_no_socket_is_left_alone);
    tcase_add_test(tcase, a_directory_that_is_missing_is_named);
    tcase_add_test(tcase, a_socket_has_mode_0660_whatever_the_umask);
    tcase_add_test(tcase, mistakes_on_the_command_line_are_one_clear_line);
    tcase_add_test(tcase, help_names_every_option_and_version_the_version);
    tcase_add_test(tcase, settings_come_from_the_file_and_the_command_line_counts_for_more);
    tcase_add_test(tcase, mistakes_in_the_file_are_named_with_their_key);
    return unit_run("broker listen", tcase);
}
