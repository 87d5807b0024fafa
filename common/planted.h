/* planted.h - where a bug is planted, for the simulator to be tested with.
 *
 * PLANTED(NAME) is true in one program only, and there when that bug was chosen at run time:
 * trireme-sim-planted, for which the pure parts are compiled once more (tests/sim/planted.h has the
 * list, docs/decisions/0401-planted-bugs.md the reason). Everywhere else it is the constant false,
 * PLANTED_VALUE is what is right, and tests/tidy/planted.sh finds no trace of either.
 */
#ifndef TRI_PLANTED_H
#define TRI_PLANTED_H

#include <stdbool.h>

#ifdef TRI_PLANTED
#include "tests/sim/planted.h"
#define PLANTED(name) (planted_bug == PLANTED_##name)
#define PLANTED_VALUE(name, wrong, right) (PLANTED(name) ? (wrong) : (right))
#else
#define PLANTED(name) false
#define PLANTED_VALUE(name, wrong, right) (right)
#endif

#endif
