/* socket.h - sockets that are opened with all their limits set.
 *
 * libzmq's defaults are made for trusted peers: no limit on a message, a linger that never ends, a
 * ROUTER that drops what it cannot deliver. Everything here is opened through one function, so
 * that no socket misses one.
 *
 * Threads: a socket belongs to one thread at a time.
 * Errors:  TRI_SYSTEM with a text.
 */
#ifndef TRI_NET_SOCKET_H
#define TRI_NET_SOCKET_H

#include "common/types.h"

struct tri_socket_options {
    uint64_t message_bytes_max; /* of one frame: the connection that brings a larger one is cut */
    int linger_ms;              /* how long closing may still deliver */
    int send_messages_max;      /* ZMQ_SNDHWM; 0: no limit, the caller counts by itself */
    int receive_messages_max;   /* ZMQ_RCVHWM of each connection */
    int handshake_ms;           /* a connection that has not said ZMTP's greeting by then is cut */
    int gone_ms;                /* tcp: a machine that answers nothing for this long is cut off */
    int reconnect_ms_min;       /* connecting sockets only */
    int reconnect_ms_max;
    bool ipv6; /* connecting sockets: the host is an IPv6 address (names are looked up as IPv4) */
};

#define TRI_MESSAGE_BYTES_MAX (UINT64_C(64) << 20)

/* The most that any broker may be told to take, and so what its peers must take from it: a broker
 * passes on what it got. */
#define TRI_MESSAGE_BYTES_LIMIT (UINT64_C(1) << 30)

/* 64 MiB messages, 2 s of linger, no send limit, 256 messages unread in a connection, 10 s of
 * handshake, 30 s for a machine that is gone, reconnection after 50 ms to 2 s, IPv4. */
void tri_socket_options_init(struct tri_socket_options *options);

/* Open a socket of `type` (ZMQ_DEALER, ZMQ_ROUTER ...). A ROUTER reports peers it cannot reach
 * (ZMQ_ROUTER_MANDATORY) and never lets one connection take over another's routing id. */
enum tri_status tri_socket_open(void *context,
                                int type,
                                const struct tri_socket_options *options,
                                void **socket,
                                struct tri_error *error);

/* The descriptor to wait for (ZMQ_FD): readable when something has happened to the socket. It says
 * so once, and any call may take note of it: after the last of them, before waiting, ask
 * tri_socket_is_readable. One wait like this costs two system calls where zmq_poll makes six. */
int tri_socket_fd(void *socket);

/* True when there is a message to be received now. */
bool tri_socket_is_readable(void *socket);

/* Close it and null the pointer; accepts NULL. */
void tri_socket_close(void **socket);

#endif
