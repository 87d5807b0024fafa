/* monitor.h - what becomes of a socket's connections (libzmq's socket monitor).
 *
 * libzmq makes and mends connections on a thread of its own and says nothing of it to who sends and
 * receives. A monitor is a second socket on which it tells.
 *
 * Threads: the socket's and the monitor's owner, one thread at a time.
 * Errors:  TRI_SYSTEM with a text.
 */
#ifndef TRI_NET_MONITOR_H
#define TRI_NET_MONITOR_H

#include "common/types.h"

/* Hear of `events` (ZMQ_EVENT_*) of `socket` from now on. `address` is an inproc:// one that nobody
 * else in this context has or has had. What comes before the first look is not signalled by
 * tri_socket_fd(*monitor): look once before waiting. */
enum tri_status tri_monitor_open(void *context,
                                 void *socket,
                                 const char *address,
                                 int events,
                                 void **monitor,
                                 struct tri_error *error);

/* The next event; false when there is none now. */
bool tri_monitor_next(void *monitor, unsigned *event);

/* End it, before its socket is closed, and null the pointer; accepts NULL. */
void tri_monitor_close(void *socket, void **monitor);

#endif
