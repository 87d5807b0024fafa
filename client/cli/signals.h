/* signals.h - SIGINT, SIGTERM and SIGHUP: one that comes before anything has been begun quits at
 * once; then the first one is told, and a second one quits.
 *
 * A signal that was ignored when the program started stays ignored (nohup, shells' background
 * jobs). A call that blocks ends with EINTR, at the latest after a second; whoever makes one asks
 * signals_came before it tries again.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

/* From now on the three are caught. Returns a descriptor that is readable once one has come, or -1.
 * It lives until the program ends. */
int signals_open(void);

/* Something has been begun that has to be ended in order. */
void signals_begin(void);

/* Has one come? */
bool signals_came(void);

#endif
