/* stranger.h - hostile and confused peers, in worlds that have them (--hostile): one that never
 * says who it is, and repeats what it has overheard, whole, cut or with bits turned; a worker that
 * reports on leases of others; a client of another principal that asks for what is not its own.
 *
 * What they say the checker does not hear, for nothing may come of it; what they are answered is
 * checked here. Their chance is a stream of its own.
 */
#ifndef STRANGER_H
#define STRANGER_H

#include "broker/engine/event.h"
#include "tests/sim/sim.h"

void stranger_begin(struct sim *sim);
void stranger_end(struct sim *sim);

/* Somebody honest is heard by the broker. */
void stranger_overhears(struct sim *sim, struct tri_frame *const *frames, size_t count);

/* It is one of them who speaks from there. */
bool stranger_is(const struct sim *sim, const struct peer_id *peer);

/* ... and for whom. */
struct tri_bytes stranger_principal(const struct sim *sim, const struct peer_id *peer);

#endif
