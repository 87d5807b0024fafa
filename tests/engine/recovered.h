/* recovered.h - what a recovered engine must have in common with the one that wrote the rows.
 *
 * Looks inside both: everything that a client, a worker or a later step could tell apart is
 * compared. What was leased is pending again; a wait that charged nobody is over; everything else
 * is as it was.
 */
#ifndef RECOVERED_H
#define RECOVERED_H

struct engine;

/* Bytes of histories in memory, and rows of failures that retries by hand have looked into. */
unsigned long long engine_history_bytes(const struct engine *engine);
unsigned long long engine_rows_searched(const struct engine *engine);

/* Aborts the test at the first difference. */
void recovered_equals(struct engine *live, struct engine *again);

#endif
