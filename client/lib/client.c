/* Opening, serving and closing: the thin part between the session and libzmq. */
#include "client/lib/shell.h"
#include "common/clock.h"
#include "common/net/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define FRAMES_MAX 4
#define DRAIN_MAX 1024 /* messages received before something else has its turn */
#define SERVE_EVERY_MS 50

void tri_client_options_init(struct tri_client_options *options)
{
    *options = (struct tri_client_options){ .size = sizeof(*options), .connect_timeout_ms = 5000 };
}

/* ---- the socket ----------------------------------------------------------------------------- */

static void watch(struct tri_client *self, int operation, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    epoll_ctl(self->poll_fd, operation, fd, &event);
}

/* What has not left by now has nobody to go to, unless the broker is there. */
void tri_client_disconnect(struct tri_client *self, int linger_ms)
{
    if (self->socket == NULL)
        return;
    watch(self, EPOLL_CTL_DEL, self->socket_fd);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    tri_socket_close(&self->socket);
}

static enum tri_status connect_to(struct tri_client *self, size_t number, struct tri_error *error)
{
    struct tri_socket_options options;
    enum tri_status status;

    tri_client_disconnect(self, 0);
    tri_socket_options_init(&options);
    options.message_bytes_max = TRI_MESSAGE_BYTES_LIMIT;
    status = tri_socket_open(self->context, ZMQ_DEALER, &options, &self->socket, error);
    if (status != TRI_OK)
        return status;
    if (zmq_connect(self->socket, self->endpoints[number].text) != 0) {
        status = tri_fail(error, TRI_SYSTEM, "cannot connect to %s: %s",
                          self->endpoints[number].text, zmq_strerror(errno));
        tri_socket_close(&self->socket);
        return status;
    }
    self->socket_fd = tri_socket_fd(self->socket);
    watch(self, EPOLL_CTL_ADD, self->socket_fd);
    self->stirred = true;
    return TRI_OK;
}

static enum tri_status send_frames(struct tri_client *self,
                                   const struct tri_client_effect *effect,
                                   struct tri_error *error)
{
    zmq_msg_t frames[2];
    size_t made = 0;
    enum tri_status status = TRI_OK;

    if (self->socket == NULL)
        return tri_fail(error, TRI_UNREACHABLE, "no connection");
    self->stirred = true;
    for (; made < effect->frame_count && status == TRI_OK; made += status == TRI_OK)
        status = tri_msg_copy(&frames[made], effect->frames[made]);
    if (status == TRI_OK)
        status = tri_parts_send(self->socket, frames, made, error);
    else
        tri_fail(error, status, "out of memory for a message");
    if (status == TRI_OK)
        return TRI_OK;
    for (size_t i = 0; i < made; i++)
        zmq_msg_close(&frames[i]);
    return status;
}

static void release(void *token)
{
    zmq_msg_t *frame = token;

    zmq_msg_close(frame);
    free(frame);
}

static void perform(struct tri_client *self, const struct tri_client_effect *effect)
{
    struct tri_error error;

    switch (effect->type) {
    case TRI_CLIENT_CONNECT:
        if (connect_to(self, effect->endpoint, &error) != TRI_OK)
            tri_session_lose(self->session, self->now, error.text);
        return;
    case TRI_CLIENT_SEND:
        if (send_frames(self, effect, &error) != TRI_OK)
            tri_session_lose(self->session, self->now, error.text);
        return;
    case TRI_CLIENT_RELEASE:
        release(effect->token);
        return;
    case TRI_CLIENT_NOTICE:
        if (self->on_notice != NULL)
            self->on_notice(self->notice_context, effect->text);
        return;
    }
}

enum tri_status tri_client_perform(struct tri_client *self, struct tri_error *error)
{
    struct tri_client_effect effect;
    enum tri_status status;

    for (;;) {
        status = tri_session_effect(self->session, self->now, &effect);
        if (status == TRI_EMPTY)
            return TRI_OK;
        if (status != TRI_OK)
            return tri_fail(error, status, "out of memory");
        perform(self, &effect);
    }
}

/* Hand the message in self->parts to the session. A body stands in memory of its own before anybody
 * looks at it: short ones live inside the zmq_msg_t. */
static enum tri_status hand_over(struct tri_client *self, struct tri_error *error)
{
    struct tri_bytes body = { 0 };
    zmq_msg_t *kept = NULL;
    bool taken = false;
    enum tri_status status;

    if (self->parts.count > 1) {
        kept = malloc(sizeof(*kept));
        if (kept == NULL) {
            tri_session_lose(self->session, self->now, "out of memory");
            return tri_fail(error, TRI_MEMORY, "out of memory");
        }
        zmq_msg_init(kept);
        zmq_msg_move(kept, &self->parts.frames[1]);
        body = tri_msg_bytes(kept);
    }
    status = tri_session_receive(self->session, self->now, tri_msg_bytes(&self->parts.frames[0]),
                                 kept != NULL ? &body : NULL, kept, &taken, error);
    if (kept != NULL && !taken)
        release(kept);
    return status;
}

/* Receive up to `count` messages. TRI_OK: at least one came. */
static enum tri_status drain(struct tri_client *self, size_t count, struct tri_error *error)
{
    static const struct tri_parts_limits limits = { FRAMES_MAX, TRI_MESSAGE_BYTES_LIMIT * 2 };
    enum tri_status status = TRI_EMPTY;

    self->stirred = true;
    for (size_t i = 0; i < count && self->socket != NULL; i++) {
        struct tri_error local;
        enum tri_status got =
            tri_parts_receive(&self->parts, self->socket, ZMQ_DONTWAIT, &limits, &local);

        if (got == TRI_EMPTY) {
            self->stirred = false;
            return status;
        }
        if (got == TRI_OK)
            got = hand_over(self, &local);
        else
            tri_session_lose(self->session, self->now, local.text);
        if (got == TRI_MEMORY)
            return tri_fail(error, got, "%s", local.text);
        status = TRI_OK;
    }
    return status;
}

/* ---- serving and waiting -------------------------------------------------------------------- */

static uint64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum tri_status serve(struct tri_client *self, size_t count, struct tri_error *error)
{
    enum tri_status status;
    enum tri_status came;

    self->now = tri_clock_now_ms();
    self->served_ms = coarse_ms();
    status = tri_client_perform(self, error);
    came = status == TRI_OK ? drain(self, count, error) : status;
    if (came != TRI_OK && came != TRI_EMPTY)
        return came;
    tri_session_tick(self->session, self->now);
    status = tri_client_perform(self, error);
    if (status == TRI_OK)
        status = tri_session_failure(self->session, error);
    return status == TRI_OK ? came : status;
}

enum tri_status tri_client_serve(struct tri_client *self, struct tri_error *error)
{
    return serve(self, DRAIN_MAX, error);
}

enum tri_status tri_client_push(struct tri_client *self, struct tri_error *error)
{
    enum tri_status status;

    self->now = tri_clock_now_ms();
    status = tri_client_perform(self, error);
    if (status == TRI_OK)
        status = tri_session_failure(self->session, error);
    return status == TRI_OK ? tri_client_serve_sometimes(self, error) : status;
}

enum tri_status tri_client_serve_sometimes(struct tri_client *self, struct tri_error *error)
{
    enum tri_status status;

    if (coarse_ms() - self->served_ms < SERVE_EVERY_MS)
        return TRI_OK;
    status = tri_client_serve(self, error);
    return status == TRI_EMPTY ? TRI_OK : status;
}

tri_time tri_client_deadline(struct tri_client *self, int timeout_ms)
{
    self->now = tri_clock_now_ms();
    return timeout_ms < 0 ? TRI_NEVER : self->now + (tri_time)timeout_ms;
}

/* Take the interruption, if there is one. */
static bool was_interrupted(struct tri_client *self)
{
    uint64_t count;

    return read(self->interrupt_fd, &count, sizeof(count)) == sizeof(count);
}

/* Has something come that the descriptor does not tell of? */
static bool has_mail(const struct tri_client *self)
{
    return self->socket != NULL && self->stirred && tri_socket_is_readable(self->socket);
}

static enum tri_status sleep_until(struct tri_client *self,
                                   tri_time deadline,
                                   struct tri_error *error)
{
    struct pollfd fds[2] = { { .fd = self->interrupt_fd, .events = POLLIN },
                             { .fd = -1, .events = POLLIN } };
    tri_time wake = tri_session_deadline(self->session);
    int timeout_ms;

    wake = wake < deadline ? wake : deadline;
    if (wake == TRI_NEVER)
        timeout_ms = -1;
    else
        timeout_ms = wake <= self->now          ? 0
                     : wake - self->now > 60000 ? 60000
                                                : (int)(wake - self->now);
    if (self->socket != NULL)
        fds[1].fd = self->socket_fd;
    if (has_mail(self))
        timeout_ms = 0;
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
        return tri_fail(error, TRI_SYSTEM, "waiting for the broker: %s", strerror(errno));
    if ((fds[0].revents & POLLIN) != 0 && was_interrupted(self))
        return tri_fail(error, TRI_CANCELLED, "interrupted");
    return TRI_OK;
}

/* Whatever would be late after a while without us leaves now. */
static enum tri_status settle(struct tri_client *self, struct tri_error *error)
{
    if (tri_session_settle(self->session, self->now) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    return tri_client_perform(self, error);
}

/* Serve before waiting. When everything was read there is no need to try again: the wait ends at
 * once if more has come. */
static enum tri_status serve_first(struct tri_client *self,
                                   tri_time deadline,
                                   struct tri_error *error)
{
    enum tri_status status;

    self->now = tri_clock_now_ms();
    if (self->stirred || self->now >= deadline)
        return tri_client_serve(self, error);
    status = tri_session_failure(self->session, error);
    return status == TRI_OK ? TRI_EMPTY : status;
}

enum tri_status tri_client_wait(struct tri_client *self, tri_time deadline, struct tri_error *error)
{
    enum tri_status status = serve_first(self, deadline, error);

    if (status != TRI_EMPTY)
        return status;
    if (self->now >= deadline)
        return was_interrupted(self) ? tri_fail(error, TRI_CANCELLED, "interrupted") : TRI_EMPTY;
    status = settle(self, error);
    if (status == TRI_OK)
        status = sleep_until(self, deadline, error);
    if (status != TRI_OK)
        return status;
    /* Mostly what came first is what the caller waits for. */
    status = serve(self, 1, error);
    return status == TRI_EMPTY ? TRI_OK : status;
}

enum tri_status tri_client_process(struct tri_client *client,
                                   int timeout_ms,
                                   struct tri_error *error)
{
    tri_time deadline = tri_client_deadline(client, timeout_ms);
    enum tri_status status = tri_client_wait(client, deadline, error);
    struct itimerspec when = { 0 };
    tri_time wake;

    if (status != TRI_EMPTY)
        return status;
    status = settle(client, error);
    if (status != TRI_OK)
        return status;
    wake = has_mail(client) ? client->now : tri_session_deadline(client->session);
    if (wake != TRI_NEVER) {
        when.it_value.tv_sec = (time_t)(wake / 1000);
        when.it_value.tv_nsec = (long)(wake % 1000) * 1000000 + 1;
    }
    timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    return TRI_EMPTY;
}

int tri_client_fd(const struct tri_client *client)
{
    return client->poll_fd;
}

void tri_client_interrupt(struct tri_client *client)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t written = write(client->interrupt_fd, &one, sizeof(one));

    (void)written; /* full means that an interruption is waiting already */
    errno = saved;
}
