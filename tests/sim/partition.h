/* partition.h - in worlds of --disk and of --rough: now and then half of the peers are cut off from
 * the broker, all at once and for the same time: nothing passes, and nobody connects; or nothing
 * passes in one direction, and nobody who is connected knows.
 *
 * Its chance is a stream of its own.
 */
#ifndef SIM_PARTITION_H
#define SIM_PARTITION_H

#include "tests/sim/sim.h"

void partition_begin(struct sim *sim);
void partition_end(struct sim *sim);

#endif
