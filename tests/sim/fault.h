/* fault.h - what goes wrong, and when it stops going wrong. */
#ifndef FAULT_H
#define FAULT_H

#include "tests/sim/sim.h"

void fault_begin(struct sim *sim);
void fault_end(struct sim *sim);

#endif
