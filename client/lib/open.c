/* tri_client_open and tri_client_close. */
#include "client/lib/shell.h"
#include "common/clock.h"
#include "common/proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

#define ENDPOINTS_MAX 64
#define LINGER_MS 1000
#define SOFTWARE "libtrireme/" TRI_SOFTWARE_VERSION

/* The options as this library knows them: a program built against an older header has fewer. */
static void options_copy(struct tri_client_options *to, const struct tri_client_options *from)
{
    tri_client_options_init(to);
    memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
}

static enum tri_status add_endpoint(
    struct tri_client *self, const char *text, size_t size, bool insecure, struct tri_error *error)
{
    char copy[TRI_ENDPOINT_SIZE];
    struct tri_endpoint *endpoint = &self->endpoints[self->endpoint_count];
    enum tri_status status;

    if (size >= sizeof(copy))
        return tri_fail(error, TRI_INVALID, "an endpoint of %zu bytes is too long", size);
    memcpy(copy, text, size);
    copy[size] = '\0';
    status = tri_endpoint_parse(copy, endpoint, error);
    if (status == TRI_OK)
        status = tri_endpoint_may_connect(
            endpoint, insecure ? TRI_INSECURE_NETWORK : TRI_INSECURE_LOOPBACK, error);
    if (status == TRI_OK)
        self->endpoint_count++;
    return status;
}

/* A comma-separated list; blanks around an endpoint are ignored. */
static enum tri_status add_endpoints(struct tri_client *self,
                                     const struct tri_client_options *options,
                                     struct tri_error *error)
{
    const char *at = options->endpoints != NULL ? options->endpoints : "";
    enum tri_status status = TRI_OK;

    self->endpoints = calloc(ENDPOINTS_MAX, sizeof(*self->endpoints));
    if (self->endpoints == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    while (status == TRI_OK) {
        size_t size;

        at += strspn(at, " \t,");
        if (*at == '\0')
            break;
        if (self->endpoint_count == ENDPOINTS_MAX)
            return tri_fail(error, TRI_INVALID, "more than %d endpoints", ENDPOINTS_MAX);
        size = strcspn(at, " \t,");
        status = add_endpoint(self, at, size, options->insecure, error);
        at += size;
    }
    if (status == TRI_OK && self->endpoint_count == 0)
        return tri_fail(error, TRI_INVALID, "no broker is named: give an endpoint, as in %s",
                        TRI_ENDPOINT_DEFAULT);
    return status;
}

static enum tri_status open_descriptors(struct tri_client *self, struct tri_error *error)
{
    struct epoll_event event = { .events = EPOLLIN };

    self->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    self->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->interrupt_fd < 0 || self->timer_fd < 0 || self->poll_fd < 0
        || epoll_ctl(self->poll_fd, EPOLL_CTL_ADD, self->interrupt_fd, &event) != 0
        || epoll_ctl(self->poll_fd, EPOLL_CTL_ADD, self->timer_fd, &event) != 0)
        return tri_fail(error, TRI_SYSTEM, "descriptors for waiting: %s", strerror(errno));
    self->context = zmq_ctx_new();
    if (self->context == NULL)
        return tri_fail(error, TRI_SYSTEM, "sockets cannot be made: %s", zmq_strerror(errno));
    return TRI_OK;
}

static void default_name(char *name, size_t size)
{
    char host[48] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(name, size, "%s:%ld", host, (long)getpid());
}

static enum tri_status open_session(struct tri_client *self,
                                    const struct tri_client_options *options,
                                    struct tri_error *error)
{
    struct tri_session_options session = { .software = SOFTWARE, .pid = (uint64_t)getpid() };
    char name[65];

    if (getrandom(&session.instance, sizeof(session.instance), 0) != sizeof(session.instance)
        || getrandom(&session.seed, sizeof(session.seed), 0) != sizeof(session.seed))
        return tri_fail(error, TRI_SYSTEM, "no random bytes: %s", strerror(errno));
    default_name(name, sizeof(name));
    session.name = options->name != NULL ? options->name : name;
    session.endpoint_count = self->endpoint_count;
    session.give_up_ms = (uint64_t)self->connect_timeout_ms;
    self->now = tri_clock_now_ms();
    if (tri_session_new(&self->session, &session, self->now) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    return TRI_OK;
}

static enum tri_status wait_for_broker(struct tri_client *self,
                                       const char *endpoints,
                                       struct tri_error *error)
{
    tri_time deadline = self->now + (tri_time)self->connect_timeout_ms;
    enum tri_status status;

    tri_session_tick(self->session, self->now);
    while (tri_session_link(self->session) != TRI_LINK_UP) {
        status = tri_client_wait(self, deadline, error);
        if (status == TRI_EMPTY)
            return tri_fail(error, TRI_UNREACHABLE, "no broker answers at %s within %d ms%s%s",
                            endpoints, self->connect_timeout_ms,
                            *tri_session_last_word(self->session) != '\0' ? ": " : "",
                            tri_session_last_word(self->session));
        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The last messages (acknowledgements, BYE) get LINGER_MS to leave, if there is a broker. */
static void client_free(struct tri_client *self)
{
    struct tri_error ignored;
    int linger_ms = 0;

    if (self->session != NULL) {
        if (tri_session_link(self->session) == TRI_LINK_UP)
            linger_ms = LINGER_MS;
        tri_session_close(self->session);
        while (tri_client_perform(self, &ignored) == TRI_MEMORY)
            tri_session_lose(self->session, self->now, ignored.text);
    }
    tri_client_disconnect(self, linger_ms);
    tri_session_destroy(&self->session);
    tri_parts_deinit(&self->parts);
    if (self->context != NULL)
        while (zmq_ctx_term(self->context) != 0 && errno == EINTR)
            continue;
    close_fd(self->interrupt_fd);
    close_fd(self->timer_fd);
    close_fd(self->poll_fd);
    free(self->endpoints);
    free(self);
}

enum tri_status tri_client_open(struct tri_client **client,
                                const struct tri_client_options *options,
                                struct tri_error *error)
{
    struct tri_client *self = calloc(1, sizeof(*self));
    struct tri_client_options known;
    enum tri_status status;

    *client = NULL;
    if (self == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    options_copy(&known, options);
    self->interrupt_fd = self->timer_fd = self->poll_fd = -1;
    self->connect_timeout_ms = known.connect_timeout_ms > 0 ? known.connect_timeout_ms : 0;
    self->on_notice = known.on_notice;
    self->notice_context = known.context;
    tri_dlist_init(&self->batches);
    tri_parts_init(&self->parts);
    status = add_endpoints(self, &known, error);
    if (status == TRI_OK)
        status = open_descriptors(self, error);
    if (status == TRI_OK)
        status = open_session(self, &known, error);
    if (status == TRI_OK)
        status = wait_for_broker(self, known.endpoints, error);
    if (status != TRI_OK) {
        client_free(self);
        return status;
    }
    *client = self;
    return TRI_OK;
}

void tri_client_close(struct tri_client **client)
{
    struct tri_client *self = *client;

    if (self == NULL)
        return;
    tri_dlist_foreach(&self->batches, node)
    {
        struct tri_batch *batch = tri_container_of(node, struct tri_batch, node);

        tri_dlist_remove(&self->batches, node);
        batch->client = NULL;
        batch->follow = NULL; /* the session's, and goes with it */
    }
    client_free(self);
    *client = NULL;
}
