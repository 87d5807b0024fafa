/* endpoint.h - where a broker listens and where peers connect, and what is allowed there.
 *
 * Two transports: ipc://PATH, where the file's permissions decide who may connect, and
 * tcp://HOST:PORT, where nothing decides as long as there are no keys. So without keys tcp needs
 * the words --insecure-no-auth, which stand for loopback only, and anything beyond it needs
 * --insecure-no-auth=network (docs/spec/1-wire.md, "Security").
 *
 * A host is on loopback when it is a numeric address in 127.0.0.0/8, ::1 or its IPv4 form, or the
 * name "localhost". No other name is looked up to decide this: what a resolver says may change
 * between the question and the bind.
 *
 * Threads: pure functions.   Memory: none.
 * Errors:  TRI_INVALID: not an endpoint; TRI_DENIED: the rules above. The text says what to do.
 * Limits:  an ipc path of 107 bytes (the kernel's), a host name of 255.
 */
#ifndef TRI_NET_ENDPOINT_H
#define TRI_NET_ENDPOINT_H

#include "common/types.h"

#define TRI_ENDPOINT_DEFAULT "ipc:///run/trireme/broker"
#define TRI_ENDPOINT_PORT 7117
#define TRI_ENDPOINT_SIZE 304 /* of a text with its NUL */

enum tri_transport { TRI_TRANSPORT_IPC, TRI_TRANSPORT_TCP };

/* What tcp without keys may reach. */
enum tri_insecure { TRI_INSECURE_NO, TRI_INSECURE_LOOPBACK, TRI_INSECURE_NETWORK };

struct tri_endpoint {
    enum tri_transport transport;
    char text[TRI_ENDPOINT_SIZE]; /* as it was written */
    char path[108];               /* ipc */
    char host[256];               /* tcp: a name, an address without brackets, or "*" */
    uint16_t port;                /* tcp: 0 for "*": any free one */
};

/* Understand `text`. */
enum tri_status tri_endpoint_parse(const char *text,
                                   struct tri_endpoint *endpoint,
                                   struct tri_error *error);

/* The value of the option or of TRIREME_INSECURE: "" or "loopback", or "network". */
enum tri_status tri_insecure_parse(const char *text,
                                   enum tri_insecure *insecure,
                                   struct tri_error *error);

/* Nobody from another machine can reach it. */
bool tri_endpoint_is_local(const struct tri_endpoint *endpoint);

/* The host is an IPv6 address: the socket must be told (socket.h). */
bool tri_endpoint_is_ipv6(const struct tri_endpoint *endpoint);

/* May a broker listen there, or a peer connect there, without keys? */
enum tri_status tri_endpoint_may_listen(const struct tri_endpoint *endpoint,
                                        enum tri_insecure insecure,
                                        struct tri_error *error);
enum tri_status tri_endpoint_may_connect(const struct tri_endpoint *endpoint,
                                         enum tri_insecure insecure,
                                         struct tri_error *error);

#endif
