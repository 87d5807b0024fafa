/* confused.h - honest peers in hostile worlds (--hostile) that are not quite themselves: what one
 * has said on its connection it says there again, at once or later; and the network is at its worst
 * for a worker with long tasks: what it is answered comes late, and then nothing for longer than a
 * lease.
 *
 * What is said again the checker hears like everything that honest peers say. BYE, what would take
 * a batch from its owner, and what would undo something newer (OARS before the last, CANCEL, RETRY
 * and FORGET but at once) are not said again: such a peer would harm itself and nobody else. The
 * chance of all this is a stream of its own.
 */
#ifndef CONFUSED_H
#define CONFUSED_H

#include "tests/sim/sim.h"

void confused_begin(struct sim *sim);
void confused_end(struct sim *sim);

/* A worker (or client) of that number has sent this. */
void confused_says(struct sim *sim,
                   bool is_worker,
                   uint64_t number,
                   const struct tri_message *message,
                   struct tri_frame *const *frames,
                   size_t count);

#endif
