#include "common/net/endpoint.h"

#include "common/parse.h"

#include <arpa/inet.h>
#include <string.h>

static enum tri_status parse_ipc(const char *path,
                                 struct tri_endpoint *endpoint,
                                 struct tri_error *error)
{
    size_t size = strlen(path);

    if (size == 0 || path[0] == '*')
        return tri_fail(error, TRI_INVALID, "'%s' names no file: write ipc:///PATH",
                        endpoint->text);
    if (path[0] == '@')
        return tri_fail(error, TRI_INVALID,
                        "'%s' is an abstract socket, which has no permissions: name a file, "
                        "ipc:///PATH",
                        endpoint->text);
    if (size >= sizeof(endpoint->path))
        return tri_fail(error, TRI_INVALID,
                        "'%s': a socket's path has at most %zu bytes, this one has %zu",
                        endpoint->text, sizeof(endpoint->path) - 1, size);
    endpoint->transport = TRI_TRANSPORT_IPC;
    memcpy(endpoint->path, path, size + 1);
    return TRI_OK;
}

/* Names and numeric addresses only: what else libzmq understands in this place (interfaces, source
 * addresses after ';') would pass by the rules about loopback. */
static bool host_is_plain(const char *host, size_t size, bool bracketed)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    if (size == 1 && host[0] == '*')
        return true;
    for (size_t i = 0; i < size; i++) {
        bool inner = bracketed && (host[i] == ':' || host[i] == '%');

        if (!inner && memchr(plain, host[i], sizeof(plain) - 1) == NULL)
            return false;
    }
    return size > 0;
}

static enum tri_status parse_tcp(const char *rest,
                                 struct tri_endpoint *endpoint,
                                 struct tri_error *error)
{
    const char *colon = strrchr(rest, ':');
    bool bracketed = rest[0] == '[';
    const char *host = bracketed ? rest + 1 : rest;
    size_t size;
    uint64_t port = 0;
    struct tri_error inner;

    if (colon == NULL || (bracketed && (colon - 1 < host || colon[-1] != ']')))
        return tri_fail(error, TRI_INVALID,
                        "'%s' has no port: write tcp://HOST:PORT, as in "
                        "tcp://127.0.0.1:%d",
                        endpoint->text, TRI_ENDPOINT_PORT);
    size = (size_t)(colon - host) - (bracketed ? 1 : 0);
    if (size >= sizeof(endpoint->host) || !host_is_plain(host, size, bracketed))
        return tri_fail(error, TRI_INVALID,
                        "'%s': the host is a name or an address (IPv6 in brackets), or * for all",
                        endpoint->text);
    if (strcmp(colon + 1, "*") != 0 && tri_parse_u64(colon + 1, 0, 65535, &port, &inner) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "'%s': the port is 1 to 65535, or * for any free one",
                        endpoint->text);
    endpoint->transport = TRI_TRANSPORT_TCP;
    memcpy(endpoint->host, host, size);
    endpoint->host[size] = '\0';
    endpoint->port = (uint16_t)port;
    return TRI_OK;
}

enum tri_status tri_endpoint_parse(const char *text,
                                   struct tri_endpoint *endpoint,
                                   struct tri_error *error)
{
    size_t size = strlen(text);

    *endpoint = (struct tri_endpoint){ 0 };
    if (size >= sizeof(endpoint->text))
        return tri_fail(error, TRI_INVALID, "an endpoint of %zu bytes: at most %zu", size,
                        sizeof(endpoint->text) - 1);
    memcpy(endpoint->text, text, size + 1);
    if (strncmp(text, "ipc://", 6) == 0)
        return parse_ipc(text + 6, endpoint, error);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(text + 6, endpoint, error);
    return tri_fail(error, TRI_INVALID, "'%s' is no endpoint: write ipc:///PATH or tcp://HOST:PORT",
                    text);
}

enum tri_status tri_insecure_parse(const char *text,
                                   enum tri_insecure *insecure,
                                   struct tri_error *error)
{
    if (text[0] == '\0' || strcmp(text, "loopback") == 0)
        *insecure = TRI_INSECURE_LOOPBACK;
    else if (strcmp(text, "network") == 0)
        *insecure = TRI_INSECURE_NETWORK;
    else
        return tri_fail(error, TRI_INVALID,
                        "'%s' is not a reach without keys: loopback (or nothing), or network",
                        text);
    return TRI_OK;
}

static bool host_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

bool tri_endpoint_is_local(const struct tri_endpoint *endpoint)
{
    return endpoint->transport == TRI_TRANSPORT_IPC || host_is_loopback(endpoint->host);
}

bool tri_endpoint_is_ipv6(const struct tri_endpoint *endpoint)
{
    return endpoint->transport == TRI_TRANSPORT_TCP && strchr(endpoint->host, ':') != NULL;
}

enum tri_status tri_endpoint_may_listen(const struct tri_endpoint *endpoint,
                                        enum tri_insecure insecure,
                                        struct tri_error *error)
{
    if (endpoint->transport == TRI_TRANSPORT_IPC)
        return TRI_OK;
    if (!tri_endpoint_is_local(endpoint) && insecure != TRI_INSECURE_NETWORK)
        return tri_fail(error, TRI_DENIED,
                        "refused to listen on %s: there are no keys yet, and anybody who reaches "
                        "it over the network could run tasks; --insecure-no-auth=network allows "
                        "it, --insecure-no-auth allows loopback",
                        endpoint->text);
    if (insecure == TRI_INSECURE_NO)
        return tri_fail(error, TRI_DENIED,
                        "refused to listen on %s: there are no keys yet, and any process of this "
                        "machine could connect; --insecure-no-auth allows it, or listen on "
                        "ipc:///PATH",
                        endpoint->text);
    return TRI_OK;
}

enum tri_status tri_endpoint_may_connect(const struct tri_endpoint *endpoint,
                                         enum tri_insecure insecure,
                                         struct tri_error *error)
{
    if (endpoint->transport == TRI_TRANSPORT_IPC)
        return TRI_OK;
    if (endpoint->port == 0 || strcmp(endpoint->host, "*") == 0)
        return tri_fail(error, TRI_INVALID,
                        "'%s' is for listening: to connect, name the host and the port",
                        endpoint->text);
    if (!tri_endpoint_is_local(endpoint) && insecure != TRI_INSECURE_NETWORK)
        return tri_fail(error, TRI_DENIED,
                        "refused to connect to %s: without keys nothing proves who answers; "
                        "--insecure-no-auth=network (or TRIREME_INSECURE=network) allows it",
                        endpoint->text);
    return TRI_OK;
}
