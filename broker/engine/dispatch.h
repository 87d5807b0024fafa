/* dispatch.h - who is served next: what every step ends with. */
#ifndef ENGINE_DISPATCH_H
#define ENGINE_DISPATCH_H

#include <stdbool.h>

struct batch;
struct engine;
struct worker;

/* feed.c: lease to a worker, or ask it, until it has enough or there is nothing for it. */
void feed(struct engine *engine, struct worker *worker);

/* Send BATCH to a worker unless enough are asked already. True when it was sent. */
bool feed_ask(struct engine *engine, struct worker *worker, struct batch *batch);

/* dispatch.c: settle everything that this step touched. */
void dispatch(struct engine *engine);

/* There are hungry workers that have not been tried yet: give the engine a TICK at once. */
bool dispatch_is_unfinished(const struct engine *engine);

#endif
