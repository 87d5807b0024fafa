/* The socket to the broker: frames go in and out of libzmq without being copied. */
#include "worker/shell_state.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/net/monitor.h"
#include "common/net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define MESSAGES_AT_ONCE 256
#define FRAMES_MAX 4096
#define COPIED_BYTES 1024u /* below this a copy is cheaper than a free in another thread */
#define RETRY_MS 1000u

/* ---- connecting ----------------------------------------------------------------------------- */

static void watch(struct shell *self, int operation, void *socket, uint64_t what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = what };

    tri_assert(epoll_ctl(self->epoll_fd, operation, tri_socket_fd(socket), &event) == 0);
}

static enum tri_status open_socket(struct shell *self,
                                   const struct tri_endpoint *endpoint,
                                   struct tri_error *error)
{
    struct tri_socket_options options;
    enum tri_status status;
    char address[40];

    tri_socket_options_init(&options);
    options.message_bytes_max = TRI_MESSAGE_BYTES_LIMIT;
    options.linger_ms = 1000;
    options.ipv6 = tri_endpoint_is_ipv6(endpoint);
    status = tri_socket_open(self->context, ZMQ_DEALER, &options, &self->socket, error);
    if (status != TRI_OK)
        return status;
    snprintf(address, sizeof(address), "inproc://broker-%zu", self->endpoint);
    status = tri_monitor_open(self->context, self->socket, address, ZMQ_EVENT_DISCONNECTED,
                              &self->monitor, error);
    if (status == TRI_OK && zmq_connect(self->socket, endpoint->text) != 0)
        status = tri_fail(error, TRI_SYSTEM, "%s: %s", endpoint->text, zmq_strerror(errno));
    if (status == TRI_OK)
        return TRI_OK;
    tri_monitor_close(self->socket, &self->monitor);
    tri_socket_close(&self->socket);
    return status;
}

void shell_connect(struct shell *self)
{
    const struct tri_endpoint *endpoint =
        &self->options->endpoints[self->endpoint % self->options->endpoint_count];
    struct tri_error error;

    self->endpoint++;
    if (open_socket(self, endpoint, &error) != TRI_OK) {
        tri_log(TRI_LOG_WARN, "broker.unreachable", "why=%s", TRI_QUOTE(error.text));
        self->connect_at = tri_clock_now_ms() + RETRY_MS;
        return;
    }
    watch(self, EPOLL_CTL_ADD, self->socket, SHELL_WATCH_SOCKET);
    watch(self, EPOLL_CTL_ADD, self->monitor, SHELL_WATCH_MONITOR);
    self->socket_stirred = true;
    tri_log(TRI_LOG_DEBUG, "broker.connecting", "endpoint=%s", TRI_QUOTE(endpoint->text));
    self->connect_at = TRI_NEVER;
    shell_apply(self, &(struct session_event){ .type = SESSION_CONNECTED });
    shell_monitor_ready(self); /* the first look */
}

void shell_disconnect(struct shell *self, int linger_ms)
{
    if (self->socket == NULL)
        return;
    watch(self, EPOLL_CTL_DEL, self->monitor, SHELL_WATCH_MONITOR);
    tri_monitor_close(self->socket, &self->monitor);
    watch(self, EPOLL_CTL_DEL, self->socket, SHELL_WATCH_SOCKET);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    tri_socket_close(&self->socket);
}

void shell_connect_after(struct shell *self, uint64_t after_ms)
{
    shell_disconnect(self, 0);
    self->socket_failed = false;
    self->connect_at = tri_clock_now_ms() + after_ms;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void free_message(void *context)
{
    zmq_msg_close(context);
    free(context);
}

/* The libzmq message lives on in the frame. */
static struct tri_frame *adopt(zmq_msg_t *from)
{
    zmq_msg_t *message = tri_alloc(1, sizeof(*message));

    zmq_msg_init(message);
    zmq_msg_move(message, from);
    return tri_frame_wrap(tri_msg_bytes(message), free_message, message);
}

static void deliver(struct shell *self)
{
    struct session_event event = { .type = SESSION_MESSAGE };
    struct tri_message message;
    struct tri_error error;

    if (tri_message_decode(tri_msg_bytes(&self->parts.frames[0]), &message, &error) != TRI_OK) {
        event.type = SESSION_BAD_MESSAGE;
        event.text = error.text;
        shell_apply(self, &event);
        return;
    }
    event.message = &message;
    event.frame_count = self->parts.count - 1;
    event.frames = shell_frames(self, event.frame_count);
    for (size_t i = 0; i < event.frame_count; i++)
        self->frames[i] = adopt(&self->parts.frames[i + 1]);
    shell_apply(self, &event);
    shell_release_frames(self, event.frame_count);
}

bool shell_has_mail(struct shell *self)
{
    return self->socket != NULL && self->socket_stirred && tri_socket_is_readable(self->socket);
}

void shell_receive(struct shell *self)
{
    const struct tri_parts_limits limits = { FRAMES_MAX, UINT32_MAX };

    self->socket_stirred = true;

    for (unsigned i = 0; i < MESSAGES_AT_ONCE && self->socket != NULL && !self->exiting; i++) {
        struct tri_error error;
        enum tri_status status =
            tri_parts_receive(&self->parts, self->socket, ZMQ_DONTWAIT, &limits, &error);

        if (status == TRI_EMPTY) {
            self->socket_stirred = false;
            return;
        }
        if (status == TRI_OK) {
            deliver(self);
            continue;
        }
        shell_apply(self, &(struct session_event){ .type = SESSION_BAD_MESSAGE,
                                                   .text = status == TRI_TOO_LARGE
                                                               ? "a message over every limit"
                                                               : error.text });
        return;
    }
}

/* libzmq would connect again by itself, and nobody would learn that it did before a heartbeat was
 * answered NO_SESSION. */
void shell_monitor_ready(struct shell *self)
{
    const void *socket = self->socket;
    bool is_cut = false;
    unsigned event;

    while (self->monitor != NULL && tri_monitor_next(self->monitor, &event))
        is_cut = true;
    while (is_cut && self->socket == socket && !self->exiting && shell_has_mail(self))
        shell_receive(self);
    if (is_cut && self->socket == socket)
        shell_apply(self, &(struct session_event){ .type = SESSION_CONNECTION_LOST });
}

/* ---- sending -------------------------------------------------------------------------------- */

static void release(void *data, void *hint)
{
    (void)data;
    tri_frame_unref(hint);
}

static void fill(zmq_msg_t *message, struct tri_frame *frame)
{
    struct tri_bytes bytes = frame->bytes;

    if (bytes.size <= COPIED_BYTES) {
        if (tri_msg_copy(message, bytes) != TRI_OK)
            tri_out_of_memory();
        return;
    }
    if (zmq_msg_init_data(message, (void *)(uintptr_t)bytes.data, bytes.size, release,
                          tri_frame_ref(frame))
        != 0)
        tri_out_of_memory();
}

void shell_send(struct shell *self, const struct session_effect *effect)
{
    zmq_msg_t messages[2];
    struct tri_error error;

    tri_assert(effect->frame_count <= TRI_COUNT_OF(messages));
    if (self->socket == NULL)
        return;
    for (size_t i = 0; i < effect->frame_count; i++)
        fill(&messages[i], effect->frames[i]);
    self->socket_stirred = true;
    if (tri_parts_send(self->socket, messages, effect->frame_count, &error) == TRI_OK)
        return;
    for (size_t i = 0; i < effect->frame_count; i++)
        zmq_msg_close(&messages[i]);
    tri_log(TRI_LOG_WARN, "broker.unreachable", "why=%s", TRI_QUOTE(error.text));
    self->socket_failed = true;
}
