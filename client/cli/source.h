/* source.h - where arguments come from, read lazily: never more than a block ahead.
 *
 * Time:    source_next never blocks when the input is a pipe or a terminal with nothing in it.
 * Memory:  a line is borrowed until the next call.
 * Errors:  TRI_EMPTY: nothing there now, poll source_fd; TRI_CLOSED: the end; TRI_INVALID,
 *          TRI_TOO_LARGE, TRI_SYSTEM with a text that names the line.
 * Limits:  a line holds at most 16 MiB.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "client/cli/cli.h"

struct source;

/* Open what `cli` names; NULL after printing why not. */
struct source *source_open(const struct cli *cli);
void source_close(struct source **self);

/* Give the next argument, as a value or (JSON) as packed msgpack: `value->type` is TRI_ANY then and
 * value->bytes are the packed bytes. */
enum tri_status source_next(struct source *self, struct tri_value *value, struct tri_error *error);

/* What to poll for input, or -1 when source_next never says TRI_EMPTY. */
int source_fd(const struct source *self);

/* Say in `error` where the last value came from, and `why` it cannot be. */
void source_blame(const struct source *self, const struct tri_error *why, struct tri_error *error);

#endif
