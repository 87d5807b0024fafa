/* mishap.h - what befalls the broker, as it was planned. */
#ifndef MISHAP_H
#define MISHAP_H

#include "tests/sim/sim.h"

void mishap_begin(struct sim *sim);
void mishap_end(struct sim *sim);

#endif
