/* service.h - what a worker was to a batch, kept after it left so that `explain` can tell.
 *
 * A worker's place for a batch is gone once the batch has ended; which model and how many oars it
 * had chosen, and why, is then still asked for. One of each name is kept, the newest.
 *
 * Threads: as the engine.   Memory: belongs to the batch, like the reason taken.
 * Limits:  SERVICES_MAX for each batch; of those beyond only the number is known.
 */
#ifndef ENGINE_SERVICE_H
#define ENGINE_SERVICE_H

#include <stdint.h>

struct batch;
struct berth;

#define SERVICES_MAX 8

struct service {
    struct service *next;
    char worker[65];
    uint64_t width;
    uint64_t model;
    uint64_t tasks_done;
    char *reason; /* in the worker's words; NULL: it gave none */
};

/* The berth is about to go: remember it with its batch, and take its reason. One that neither was
 * manned nor refused leaves nothing. */
void service_take(struct batch *batch, struct berth *berth);
void service_free_all(struct batch *batch);

#endif
