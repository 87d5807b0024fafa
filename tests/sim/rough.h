/* rough.h - in worlds of --rough: what befalls them besides.
 *
 *   backoff    is longer, and so is still to be waited for when the broker comes back
 *   questions  clients ask for arguments (ARGUMENTS), and know what they must be told
 *   rot        with --disk: rows of results are damaged, too
 *   afterwards the broker is killed once more, and whoever likes looks again at what has ended
 *
 * Half of the peers are cut off at once there, as with --disk (partition.h). Their chance is a
 * stream of its own: worlds without it are the same as before.
 */
#ifndef ROUGH_H
#define ROUGH_H

#include "tests/sim/client.h"

void rough_begin(struct sim *sim);
void rough_end(struct sim *sim);

/* A question about arguments, perhaps: true when it was asked. */
bool rough_asks(struct sim *sim, struct client *client, tri_time now_ms);

/* What became of it. */
void rough_hears(struct sim *sim, struct client *client);

/* After all else. */
void rough_looks_again(struct sim *sim);

#endif
