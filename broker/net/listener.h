/* listener.h - one listening socket: made here, lent to libzmq.
 *
 * The socket is opened, bound and given its permissions here and handed to libzmq with ZMQ_USE_FD,
 * because this way what libzmq cannot promise is certain: the rules of endpoint.h are applied to
 * the very address that is bound, a socket file of a dead broker is replaced and one of a living
 * broker is not, and new connections can be held off while the broker has too many.
 *
 * Two brokers that start at once on one path are kept apart by a lock on its directory, held only
 * while one of them looks and binds.
 *
 * Threads: one owner, the ROUTER's. Open every listener before the first thread exists: the umask
 *          belongs to the process.
 * Errors:  TRI_DENIED: endpoint.h's rules; TRI_SYSTEM: everything else, with what to do.
 */
#ifndef BROKER_NET_LISTENER_H
#define BROKER_NET_LISTENER_H

#include "common/net/endpoint.h"

struct listener;

/* Bind and listen. An ipc socket gets mode 0660; the directory of TRI_ENDPOINT_DEFAULT is made. */
enum tri_status listener_open(const struct tri_endpoint *endpoint,
                              enum tri_insecure insecure,
                              struct listener **self,
                              struct tri_error *error);

/* Remove the socket file if it is still this one, close, null the pointer; accepts NULL. libzmq
 * listens on until the ROUTER is closed. */
void listener_close(struct listener **self);

/* The endpoint to connect to, with the real port. */
const char *listener_endpoint(const struct listener *self);

/* The directory of the socket file, or NULL for tcp. */
const char *listener_directory(const struct listener *self);

/* Let `router` accept connections here. Once. */
enum tri_status listener_attach(struct listener *self, void *router, struct tri_error *error);

/* Hold new connections off, and let them in again; those that exist are not touched. On tcp the
 * kernel drops what opens a connection, which peers take for a slow network and repeat; on ipc the
 * socket file loses its permissions (which root does not need). Both are idempotent. (zmq_unbind
 * would do neither: it ends every connection that came in through the address.) */
void listener_pause(struct listener *self);
void listener_resume(struct listener *self);

#endif
