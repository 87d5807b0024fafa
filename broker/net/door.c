#include "broker/net/door.h"

#include "common/assert.h"
#include "common/net/monitor.h"
#include "common/net/socket.h"

#include <stdlib.h>
#include <zmq.h>

#define MONITOR "inproc://broker-door"
#define FAILED_PAUSE_MS 1000
#define EVENTS                                                                    \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED        \
     | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL \
     | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define EVENTS_A_TURN 10000

struct door {
    void *router;
    void *monitor;
    struct listener *const *listeners;
    size_t listener_count;
    uint64_t connections_max;
    struct door_counts counts;
    tri_time failed_until; /* accepting failed: closed until then */
    bool accept_failed;
    bool more; /* events were left for the next turn */
};

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
    status = tri_monitor_open(context, router, MONITOR, EVENTS, &self->monitor, error);
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
    tri_monitor_close(self->router, &self->monitor);
    free(self);
    *out = NULL;
}

int door_fd(const struct door *self)
{
    return tri_socket_fd(self->monitor);
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
    unsigned event;
    int count = 0;

    while (count < EVENTS_A_TURN && tri_monitor_next(self->monitor, &event)) {
        count_event(self, event);
        count++;
    }
    self->more = count == EVENTS_A_TURN;
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
