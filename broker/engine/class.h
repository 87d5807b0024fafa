/* class.h - classes of batches that want the same of a worker, and who comes next in them.
 *
 * Matching is by handler and labels. It is decided once per pair of worker and class, when either
 * appears, and kept as a link; no step walks over workers or batches. Inside a class ready batches
 * stand by priority, then by the oar-time charged to their principal, then by their own: least
 * first. A principal or batch that was away resumes at the clock of those that were served, so
 * absence earns nothing.
 *
 * Time:   fair_pick O(classes with ready batches that the worker serves); everything else O(log n).
 * Limits: CLASS_COUNT_MAX classes with batches; above, SUBMIT is FULL.
 */
#ifndef ENGINE_CLASS_H
#define ENGINE_CLASS_H

#include "common/heap.h"
#include "common/list.h"
#include "common/map.h"
#include "common/types.h"

#define CLASS_COUNT_MAX 4096
#define CLASS_UNUSED_MAX 64

struct engine;
struct batch;
struct principal;
struct worker;
struct tri_rec_spec;

struct class
{
    uint8_t *key; /* handler, then its sorted labels, each with a NUL */
    size_t key_size;
    bool any_handler; /* a plugin brings the handler */
    size_t batch_count;
    struct tri_dlist_node unused;   /* engine->unused_classes */
    struct tri_dlist_head links;    /* of its workers */
    struct tri_dlist_head hungry;   /* of those with free oars */
    struct tri_dlist_head roomy;    /* of those that take work beyond their oars */
    struct tri_dlist_head ranks;    /* by priority, highest first; only those with ready batches */
    struct tri_dlist_head draining; /* batches with nothing pending and something to steal */
    struct tri_bytemap flows;
};

/* A worker that can serve a class. */
struct link {
    struct worker *worker;
    struct class *class;
    struct tri_dlist_node of_worker;
    struct tri_dlist_node of_class;
    struct tri_dlist_node idle; /* class->hungry or class->roomy */
    bool is_hungry;             /* which of the two */
};

struct rank {
    struct tri_dlist_node node; /* class->ranks */
    uint64_t priority;
    struct tri_heap flows; /* by their principal's virtual time */
};

/* The batches of one principal and priority in one class. */
struct flow {
    struct class *class;
    struct principal *principal;
    uint64_t priority;
    size_t batch_count;      /* all, ready or not */
    struct tri_heap batches; /* the ready ones, by their virtual time */
    uint64_t clock;
    struct rank *rank;         /* while any is ready */
    struct tri_heap_node node; /* rank->flows */
    struct tri_dlist_node of_principal;
};

/* The class of a spec, made if need be; NULL when there are too many. */
struct class *class_of(struct engine *engine, const struct tri_rec_spec *spec);

/* A batch of the class appears or goes. */
void class_enter(struct engine *engine, struct class *self, struct batch *batch);
void class_leave(struct engine *engine, struct class *self, struct batch *batch);

/* Link a new worker to every class that it serves, or take it out. */
void class_add_worker(struct engine *engine, struct worker *worker);
void class_remove_worker(struct worker *worker);

/* Stand in the lists of its classes that its appetite wants. */
void class_place_worker(struct worker *worker);

/* Why the worker does not serve the class, or NULL. The text is in `text`. */
const char *class_mismatch(const struct class *self,
                           const struct worker *worker,
                           char *text,
                           size_t size);

/* The handler that batches of the class want. */
struct tri_bytes class_handler(const struct class *self);

void class_destroy_all(struct engine *engine);

/* ---- fair.c ---- */

/* A batch has (no longer) something that can be leased. Idempotent. */
void fair_link(struct engine *engine, struct batch *batch);
void fair_unlink(struct batch *batch);

/* The flow of a principal and priority in a class, made if need be; left by its last batch. */
struct flow *fair_flow(struct class *class, struct principal *principal, uint64_t priority);
void fair_leave_flow(struct batch *batch);
void fair_free_flows(struct class *class);

/* Charge oar-time (or give some back, for what was charged by estimate). */
void fair_charge(struct batch *batch, int64_t oar_us);

/* The ready batch that this worker should serve next, or NULL. */
struct batch *fair_pick(const struct worker *worker);

/* Try those after it, nearly in order and `max` at most, until `serves` says that it has. */
typedef bool fair_fn(struct engine *engine, struct worker *worker, struct batch *batch);
bool fair_search(struct engine *engine, struct worker *worker, size_t max, fair_fn *serves);

/* Note that it was served. */
void fair_serve(struct engine *engine, struct batch *batch);

#endif
