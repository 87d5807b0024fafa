/* shell.h - what stands around the session: one DEALER socket, a clock, and the waiting. Private.
 *
 * Threads: a client and its batches have one owner at a time; tri_client_interrupt excepted.
 * Memory:  a body frame that the session keeps is a zmq_msg_t of its own, moved, not copied.
 */
#ifndef TRI_CLIENT_SHELL_H
#define TRI_CLIENT_SHELL_H

#include "client/lib/follow.h"
#include "common/list.h"
#include "common/net/endpoint.h"
#include "common/net/parts.h"
#include "trireme/client.h"

struct tri_client {
    struct tri_session *session;
    void *context;
    void *socket; /* NULL between connections */
    int socket_fd;
    bool stirred; /* the socket may have a message without its descriptor saying so */
    struct tri_parts parts;
    struct tri_endpoint *endpoints;
    size_t endpoint_count;
    int interrupt_fd; /* eventfd */
    int timer_fd;     /* the session's deadline, for poll loops of the caller's */
    int poll_fd;      /* epoll over the three */
    int connect_timeout_ms;
    tri_time now;       /* at the last look at the clock */
    uint64_t served_ms; /* coarse clock, at the last service */
    void (*on_notice)(void *context, const char *text);
    void *notice_context;
    struct tri_dlist_head batches;
};

struct tri_batch {
    struct tri_dlist_node node;
    struct tri_client *client; /* NULL once that is closed */
    struct tri_follow *follow;
    char uuid[37];
    char *reduced;
};

/* Perform all effects of the session. */
enum tri_status tri_client_perform(struct tri_client *self, struct tri_error *error);

/* Close the socket, giving what is queued `linger_ms` to leave. */
void tri_client_disconnect(struct tri_client *self, int linger_ms);

/* Send and receive what is due, without waiting. TRI_OK: something came; TRI_EMPTY: nothing. */
enum tri_status tri_client_serve(struct tri_client *self, struct tri_error *error);

/* Send what is due; receive only when that was last done a while ago. */
enum tri_status tri_client_push(struct tri_client *self, struct tri_error *error);

/* Serve; if nothing comes, wait for it until `deadline`. TRI_OK: something happened, look again;
 * TRI_EMPTY: the deadline has passed; TRI_CANCELLED: interrupted; or why no waiting helps. */
enum tri_status tri_client_wait(struct tri_client *self,
                                tri_time deadline,
                                struct tri_error *error);

/* A timeout of the caller's as a deadline: negative is never. */
tri_time tri_client_deadline(struct tri_client *self, int timeout_ms);

/* Serve when that was last done a while ago: keeps heartbeats going in loops that never wait. */
enum tri_status tri_client_serve_sometimes(struct tri_client *self, struct tri_error *error);

/* The spec of a batch as bytes (freed with free()), or what is wrong with the options. */
enum tri_status tri_client_spec(const struct tri_batch_options *options,
                                struct tri_buffer *spec,
                                struct tri_error *error);

#endif
