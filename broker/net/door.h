/* door.h - how many connections there may be.
 *
 * libzmq accepts without limit, and spins at full load when descriptors run out. So the door
 * counts what the ROUTER's monitor tells of connections made and ended, and while there are too
 * many it holds new ones off (listener_pause) until others have left. It does the same for a
 * second when accepting has failed.
 *
 * Threads: one owner, the ROUTER's.
 * Errors:  TRI_SYSTEM with a text.
 * Limits:  the kernel's queues (listener.c, BACKLOG each) may get in after the door has closed.
 */
#ifndef BROKER_NET_DOOR_H
#define BROKER_NET_DOOR_H

#include "broker/net/listener.h"

struct door;

struct door_counts {
    uint64_t connections; /* now */
    uint64_t accepted;    /* ever */
    uint64_t refused;     /* handshakes that failed: no ZMTP, too slow */
    uint64_t closings;    /* how often the door had to close */
    bool is_open;
};

/* Watch `router` and open the door: every listener accepts. They are borrowed. */
enum tri_status door_open(void *context,
                          void *router,
                          struct listener *const *listeners,
                          size_t listener_count,
                          uint64_t connections_max,
                          struct door **self,
                          struct tri_error *error);

/* Stop watching, null the pointer; accepts NULL. Before the ROUTER is closed. */
void door_close(struct door **self);

/* The descriptor to poll for reading; when it is readable, or `door_deadline` has come, call
 * door_turn. */
int door_fd(const struct door *self);
tri_time door_deadline(const struct door *self);

/* Take note of what happened; close or open the door. True when it has just closed or opened. */
bool door_turn(struct door *self, tri_time now);

struct door_counts door_counts(const struct door *self);

#endif
