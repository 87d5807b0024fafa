/* coda.h - what follows when all else in a world is over, in one of four: a batch whose results are
 * read again and again and acknowledged at last, while its dead tasks are retried by hand, now all,
 * now some, and the broker is killed now and then.
 *
 * It draws from sim->coda only, so that everything before it is as it would be without.
 */
#ifndef SIM_CODA_H
#define SIM_CODA_H

#include "tests/sim/sim.h"

void coda_begin(struct sim *sim);
void coda_end(struct sim *sim);

/* When the batch of a job is to be retried although it has not been read to its end: UINT64_MAX if
 * it is not. */
uint64_t coda_hurry(struct sim *sim);

/* The tasks to retry, of `count`: none for all. */
struct tri_range coda_choose(struct sim *sim, uint64_t count);

#endif
