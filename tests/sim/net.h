/* net.h - the network: DEALER sockets of peers, the broker's ROUTER, and what is between them.
 *
 * As libzmq over TCP behaves: a connection is FIFO in each direction; it is cut with everything
 * that is on its way, also what was reported as sent; each side learns of that in its own time, and
 * what it sends until then vanishes. A socket connects again by itself, under a new routing id, and
 * what was sent meanwhile goes there. The broker can send to a routing id that is connected; to
 * another it is refused.
 *
 * Memory: frames are shared by reference. A socket belongs to whoever opened it.
 */
#ifndef NET_H
#define NET_H

#include "broker/engine/event.h"
#include "tests/sim/sim.h"

struct net_socket;

/* A message arrived; frames are borrowed. */
typedef void net_receive_fn(struct sim *sim,
                            void *context,
                            struct tri_frame *const *frames,
                            size_t count);

void net_begin(struct sim *sim);
void net_end(struct sim *sim);

/* ---- peers ---------------------------------------------------------------------------------- */

/* A fresh DEALER that begins to connect. */
struct net_socket *net_open(struct sim *sim,
                            const struct sim_node *node,
                            net_receive_fn *receive,
                            void *context);

/* `linger`: what has been sent still arrives. Otherwise it may, or not. NULL-safe. */
void net_close(struct sim *sim, struct net_socket **socket, bool linger);
void net_send(struct sim *sim,
              struct net_socket *socket,
              struct tri_frame *const *frames,
              size_t count);

/* Another number for every connection that it has; 0: none now. */
uint64_t net_connection(const struct net_socket *socket);

/* ---- the broker ----------------------------------------------------------------------------- */

/* False: the routing id is not connected any more. */
bool net_reply(struct sim *sim,
               const struct peer_id *peer,
               struct tri_frame *const *frames,
               size_t count);

/* Who is behind a routing id: a name for the story. */
const char *net_name(const struct sim *sim, const struct peer_id *peer);

/* The broker dies, with its connections and all that is on its way to it; `power`: what is on its
 * way from it as well. */
void net_deafen(struct sim *sim, bool power);

/* It is there (again). */
void net_listen(struct sim *sim);

/* ---- faults --------------------------------------------------------------------------------- */

/* Cut the connection of `socket`, if there is one; it connects again after `down_us` or later. */
void net_cut(struct sim *sim, struct net_socket *socket, uint64_t down_us);

/* Nothing passes in these directions for a while; it comes later, in order. */
void net_stall(struct sim *sim, struct net_socket *socket, uint64_t us, bool up, bool down);

#endif
