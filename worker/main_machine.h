/* main_machine.h - what this machine has to give to oars: facts for the chooser (chooser.h). */
#ifndef MAIN_MACHINE_H
#define MAIN_MACHINE_H

#include "worker/chooser.h"

/* Allow as many descriptors as there may be: libzmq spins when they run out. */
void machine_raise_limits(void);

/* Cores, memory, processes and descriptors; what is not known stays 0. Half of the memory that is
 * free and half of the processes that are allowed are left to others. */
void machine_measure(struct chooser_machine *machine);

#endif
