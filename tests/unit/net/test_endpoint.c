/* test_endpoint.c - what is an endpoint, and who may listen or connect where without keys. */
#include "common/net/endpoint.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct tri_error error;

static struct tri_endpoint parsed(const char *text)
{
    struct tri_endpoint endpoint;

    ck_assert_msg(tri_endpoint_parse(text, &endpoint, &error) == TRI_OK, "%s: %s", text,
                  error.text);
    ck_assert_str_eq(endpoint.text, text);
    return endpoint;
}

static void refused(const char *text, const char *word)
{
    struct tri_endpoint endpoint;

    ck_assert_msg(tri_endpoint_parse(text, &endpoint, &error) == TRI_INVALID, "%s", text);
    ck_assert_msg(strstr(error.text, word) != NULL, "%s: %s", text, error.text);
}

START_TEST(an_ipc_endpoint_is_a_path)
{
    struct tri_endpoint endpoint = parsed("ipc:///run/trireme/broker");

    ck_assert_int_eq(endpoint.transport, TRI_TRANSPORT_IPC);
    ck_assert_str_eq(endpoint.path, "/run/trireme/broker");
    ck_assert_str_eq(parsed("ipc://here/b").path, "here/b");
}
END_TEST

START_TEST(a_tcp_endpoint_is_a_host_and_a_port)
{
    ck_assert_str_eq(parsed("tcp://127.0.0.1:7117").host, "127.0.0.1");
    ck_assert_uint_eq(parsed("tcp://127.0.0.1:7117").port, 7117);
    ck_assert_str_eq(parsed("tcp://[::1]:1").host, "::1");
    ck_assert_str_eq(parsed("tcp://head.example.org:65535").host, "head.example.org");
    ck_assert_uint_eq(parsed("tcp://127.0.0.1:*").port, 0);
    ck_assert_uint_eq(parsed("tcp://127.0.0.1:0").port, 0);
    ck_assert_str_eq(parsed("tcp://*:7117").host, "*");
}
END_TEST

START_TEST(what_is_no_endpoint_is_refused_with_what_is_wanted)
{
    char path[200];

    refused("", "ipc:///PATH or tcp://HOST:PORT");
    refused("/run/trireme/broker", "ipc:///PATH");
    refused("udp://127.0.0.1:1", "ipc:///PATH");
    refused("inproc://broker", "ipc:///PATH");
    refused("ipc://", "names no file");
    refused("ipc://*", "names no file");
    refused("ipc://@hidden", "abstract");
    refused("tcp://127.0.0.1", "no port");
    refused("tcp://[::1]", "no port");
    refused("tcp://:7117", "host");
    refused("tcp://127.0.0.1:", "port");
    refused("tcp://127.0.0.1:65536", "port");
    refused("tcp://127.0.0.1:-1", "port");
    refused("tcp://127.0.0.1:http", "port");
    refused("tcp://10.0.0.1:5;127.0.0.1:7117", "host");
    refused("tcp://a b:7117", "host");
    snprintf(path, sizeof(path), "ipc:///%0107d", 0);
    refused(path, "at most 107 bytes");
}
END_TEST

START_TEST(a_path_of_107_bytes_fits)
{
    char path[200];

    snprintf(path, sizeof(path), "ipc:///%0106d", 0);
    ck_assert_uint_eq(strlen(parsed(path).path), 107);
}
END_TEST

START_TEST(only_loopback_is_local)
{
    static const char *const local[] = {
        "ipc:///x",          "tcp://127.0.0.1:1", "tcp://127.200.3.4:1",
        "tcp://localhost:1", "tcp://[::1]:1",     "tcp://[::ffff:127.0.0.1]:1",
    };
    static const char *const other[] = {
        "tcp://*:1",         "tcp://0.0.0.0:1",        "tcp://10.0.0.1:1",
        "tcp://128.0.0.1:1", "tcp://[::]:1",           "tcp://[fe80::1]:1",
        "tcp://head:1",      "tcp://localhost.evil:1", "tcp://0127.0.0.1:1",
        "tcp://127.1:1",     "tcp://2130706433:1",     "tcp://[::ffff:10.0.0.1]:1",
    };

    for (size_t i = 0; i < TRI_COUNT_OF(local); i++) {
        struct tri_endpoint endpoint = parsed(local[i]);

        ck_assert_msg(tri_endpoint_is_local(&endpoint), "%s", local[i]);
    }
    for (size_t i = 0; i < TRI_COUNT_OF(other); i++) {
        struct tri_endpoint endpoint = parsed(other[i]);

        ck_assert_msg(!tri_endpoint_is_local(&endpoint), "%s", other[i]);
    }
}
END_TEST

static enum tri_status may_listen(const char *text, enum tri_insecure insecure)
{
    struct tri_endpoint endpoint = parsed(text);

    return tri_endpoint_may_listen(&endpoint, insecure, &error);
}

static enum tri_status may_connect(const char *text, enum tri_insecure insecure)
{
    struct tri_endpoint endpoint = parsed(text);

    return tri_endpoint_may_connect(&endpoint, insecure, &error);
}

START_TEST(listening_on_tcp_needs_the_word_even_on_loopback)
{
    ck_assert_int_eq(may_listen("ipc:///x", TRI_INSECURE_NO), TRI_OK);
    ck_assert_int_eq(may_listen("tcp://127.0.0.1:1", TRI_INSECURE_NO), TRI_DENIED);
    ck_assert_ptr_nonnull(strstr(error.text, "--insecure-no-auth allows it"));
    ck_assert_int_eq(may_listen("tcp://127.0.0.1:1", TRI_INSECURE_LOOPBACK), TRI_OK);
    ck_assert_int_eq(may_listen("tcp://127.0.0.1:1", TRI_INSECURE_NETWORK), TRI_OK);
}
END_TEST

START_TEST(listening_beyond_loopback_needs_the_longer_word)
{
    static const char *const open[] = { "tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1",
                                        "tcp://10.1.2.3:1", "tcp://head:1" };

    for (size_t i = 0; i < TRI_COUNT_OF(open); i++) {
        ck_assert_int_eq(may_listen(open[i], TRI_INSECURE_NO), TRI_DENIED);
        ck_assert_int_eq(may_listen(open[i], TRI_INSECURE_LOOPBACK), TRI_DENIED);
        ck_assert_ptr_nonnull(strstr(error.text, "--insecure-no-auth=network"));
        ck_assert_int_eq(may_listen(open[i], TRI_INSECURE_NETWORK), TRI_OK);
    }
}
END_TEST

START_TEST(connecting_beyond_loopback_needs_the_longer_word)
{
    ck_assert_int_eq(may_connect("ipc:///x", TRI_INSECURE_NO), TRI_OK);
    ck_assert_int_eq(may_connect("tcp://127.0.0.1:1", TRI_INSECURE_NO), TRI_OK);
    ck_assert_int_eq(may_connect("tcp://10.1.2.3:1", TRI_INSECURE_NO), TRI_DENIED);
    ck_assert_ptr_nonnull(strstr(error.text, "TRIREME_INSECURE=network"));
    ck_assert_int_eq(may_connect("tcp://10.1.2.3:1", TRI_INSECURE_LOOPBACK), TRI_DENIED);
    ck_assert_int_eq(may_connect("tcp://10.1.2.3:1", TRI_INSECURE_NETWORK), TRI_OK);
}
END_TEST

START_TEST(nobody_connects_to_every_address_or_any_port)
{
    ck_assert_int_eq(may_connect("tcp://*:1", TRI_INSECURE_NETWORK), TRI_INVALID);
    ck_assert_int_eq(may_connect("tcp://127.0.0.1:*", TRI_INSECURE_NETWORK), TRI_INVALID);
}
END_TEST

START_TEST(the_word_is_nothing_loopback_or_network)
{
    enum tri_insecure insecure = TRI_INSECURE_NO;

    ck_assert_int_eq(tri_insecure_parse("", &insecure, &error), TRI_OK);
    ck_assert_int_eq(insecure, TRI_INSECURE_LOOPBACK);
    ck_assert_int_eq(tri_insecure_parse("network", &insecure, &error), TRI_OK);
    ck_assert_int_eq(insecure, TRI_INSECURE_NETWORK);
    ck_assert_int_eq(tri_insecure_parse("loopback", &insecure, &error), TRI_OK);
    ck_assert_int_eq(insecure, TRI_INSECURE_LOOPBACK);
    ck_assert_int_eq(tri_insecure_parse("yes", &insecure, &error), TRI_INVALID);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("endpoint");

    tcase_add_test(tcase, an_ipc_endpoint_is_a_path);
    tcase_add_test(tcase, a_tcp_endpoint_is_a_host_and_a_port);
    tcase_add_test(tcase, what_is_no_endpoint_is_refused_with_what_is_wanted);
    tcase_add_test(tcase, a_path_of_107_bytes_fits);
    tcase_add_test(tcase, only_loopback_is_local);
    tcase_add_test(tcase, listening_on_tcp_needs_the_word_even_on_loopback);
    tcase_add_test(tcase, listening_beyond_loopback_needs_the_longer_word);
    tcase_add_test(tcase, connecting_beyond_loopback_needs_the_longer_word);
    tcase_add_test(tcase, nobody_connects_to_every_address_or_any_port);
    tcase_add_test(tcase, the_word_is_nothing_loopback_or_network);
    return unit_run("endpoint", tcase);
}
