#include "broker/net/door.h"

#include "common/assert.h"
#include "common/net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define MONITOR "inproc://broker-door"
#define FAILED_PAUSE_MS 1000
#define FRAMES_A_TURN 20000 /* even: an event has two */

struct door {
    void *router;
    void *monitor;
    int monitor_fd;
    struct listener *const *listeners;
    size_t listener_count;
    uint64_t connections_max;
    struct door_counts counts;
    tri_time failed_until; /* accepting failed: closed until then */
    bool accept_failed;
    bool more; /* events were left for the next turn */
};

static enum tri_status watch(struct door *self, void *context, struct tri_error *error)
{
    const int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED
                       | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                       | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    const int none = 0;

    self->monitor = zmq_socket(context, ZMQ_PAIR);
    if (self->monitor == NULL)
        return tri_fail(error, TRI_SYSTEM, "no socket could be made: %s", zmq_strerror(errno));
    /* Without a mark: libzmq's thread would block at it. */
    zmq_setsockopt(self->monitor, ZMQ_RCVHWM, &none, sizeof(none));
    zmq_setsockopt(self->monitor, ZMQ_LINGER, &none, sizeof(none));
    if (zmq_socket_monitor(self->router, MONITOR, events) != 0
        || zmq_connect(self->monitor, MONITOR) != 0)
        return tri_fail(error, TRI_SYSTEM, "connections cannot be watched: %s",
                        zmq_strerror(errno));
    self->monitor_fd = tri_socket_fd(self->monitor);
    return TRI_OK;
}

static void set_open(struct door *self, bool is_open)
{
    self->counts.is_open = is_open;
    for (size_t i = 0; i < self->listener_count; i++) {
        if (is_open)
            listener_resume(self->listeners[i]);
        else
            listener_pause(self->listeners[i]);
    }
}

enum tri_status door_open(void *context,
                          void *router,
                          struct listener *const *listeners,
                          size_t listener_count,
                          uint64_t connections_max,
                          struct door **out,
                          struct tri_error *error)
{
    struct door *self = tri_alloc(1, sizeof(*self));
    enum tri_status status;

    self->router = router;
    self->listeners = listeners;
    self->listener_count = listener_count;
    self->connections_max = connections_max;
    status = watch(self, context, error);
    for (size_t i = 0; i < listener_count && status == TRI_OK; i++)
        status = listener_attach(listeners[i], router, error);
    if (status != TRI_OK) {
        door_close(&self);
        return status;
    }
    self->counts.is_open = true;
    self->more = true; /* what came before the first look was not signalled */
    *out = self;
    return TRI_OK;
}

void door_close(struct door **out)
{
    struct door *self = *out;

    if (self == NULL)
        return;
    zmq_socket_monitor(self->router, NULL, 0);
    if (self->monitor != NULL)
        zmq_close(self->monitor);
    free(self);
    *out = NULL;
}

int door_fd(const struct door *self)
{
    return self->monitor_fd;
}

static bool is_full(const struct door *self)
{
    return self->counts.connections >= self->connections_max;
}

/* It opens again a little below the cap, so that one peer that comes and goes does not swing it. */
static bool has_room(const struct door *self)
{
    return self->counts.connections <= self->connections_max - self->connections_max / 50 - 1;
}

tri_time door_deadline(const struct door *self)
{
    if (self->more)
        return 0;
    return self->counts.is_open || !has_room(self) ? TRI_NEVER : self->failed_until;
}

static void count_event(struct door *self, unsigned event)
{
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        self->counts.connections++;
        self->counts.accepted++;
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (self->counts.connections > 0)
            self->counts.connections--;
        break;
    case ZMQ_EVENT_ACCEPT_FAILED:
        self->accept_failed = true;
        break;
    default:
        self->counts.refused++;
        break;
    }
}

static void read_events(struct door *self)
{
    zmq_msg_t frame;
    uint16_t event;
    bool more = false;
    int count = 0;

    zmq_msg_init(&frame);
    while (count < FRAMES_A_TURN && zmq_msg_recv(&frame, self->monitor, ZMQ_DONTWAIT) >= 0) {
        count++;
        /* Frame 0 holds the event and a value, frame 1 the address. */
        if (!more && zmq_msg_size(&frame) >= sizeof(event)) {
            memcpy(&event, zmq_msg_data(&frame), sizeof(event));
            count_event(self, event);
        }
        more = zmq_msg_more(&frame);
    }
    self->more = count == FRAMES_A_TURN;
    zmq_msg_close(&frame);
}

bool door_turn(struct door *self, tri_time now)
{
    read_events(self);
    if (self->accept_failed) {
        self->accept_failed = false;
        self->failed_until = now + FAILED_PAUSE_MS;
    }
    if (self->counts.is_open && (is_full(self) || now < self->failed_until)) {
        set_open(self, false);
        self->counts.closings++;
        return true;
    }
    if (!self->counts.is_open && has_room(self) && now >= self->failed_until) {
        set_open(self, true);
        return true;
    }
    return false;
}

struct door_counts door_counts(const struct door *self)
{
    return self->counts;
}
