/* batch.h - a batch: what it asks for, where its tasks stand, and what it owes to whom.
 *
 * At any moment every task is in exactly one of: a pool (pending), a delay, the undone part of a
 * lease, done, dead, cancelled (guarantee 2). The functions here move ranges between those and
 * keep the counts; they touch the batch, so that dispatch settles what follows.
 *
 * Time: O(log ranges) per range moved.   Memory: belongs to the engine.
 */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "broker/engine/event.h"
#include "broker/engine/grade.h"
#include "common/buffer.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/map.h"

struct engine;
struct session;
struct class;
struct flow;
struct stock;
struct service;

struct principal {
    uint64_t id;
    char name[65];
    uint64_t virtual_us;         /* oar-time charged to it */
    struct tri_dlist_head flows; /* its ready flows */
    struct tri_rangeset numbers; /* its batches */
};

/* Tasks that wait for their next try. */
struct delay {
    struct tri_heap_node due;   /* engine->delays */
    struct tri_dlist_node node; /* batch->delays */
    struct batch *batch;
    struct grade grade;
    struct tri_rangeset tasks;
};

/* One exceptional task: what happened to it last. */
struct entry {
    uint64_t index;
    uint32_t outcome;
    uint32_t model;
    uint64_t attempts;
    uint64_t wall_us;
    uint64_t cpu_us;
    char *error;
    char worker[65];
    bool dead;
};

struct batch {
    uint64_t number;
    struct tri_uuid uuid;
    struct principal *principal;
    struct class *class;
    char *name;
    uint8_t *spec;
    size_t spec_size;

    /* Of the spec, what the engine acts on. */
    enum tri_source source;
    uint64_t retries;
    uint64_t crash_limit;
    enum tri_halt halt;
    uint64_t halt_fail_count;
    uint64_t halt_fail_percent;
    uint64_t priority;

    enum tri_batch_state state;
    bool sealed;
    bool halting;    /* starts nothing any more; becomes HALTED */
    bool cancelling; /* becomes CANCELLED */
    uint64_t generation;
    uint64_t count;
    uint64_t epoch; /* in which it was submitted */
    bool held_back; /* of an earlier life: its workers may still come with leases (reclaim.c) */
    uint64_t recovered_count;      /* tasks that leases of an earlier life may name */
    struct recovering *recovering; /* recover.c */
    bool put_due;                  /* its row of the store is written before the step ends */
    char *reason;
    tri_time submitted_at;
    tri_time ended_at;

    struct pool fresh;
    struct tri_dlist_head pools;
    struct tri_dlist_head delays;
    struct tri_rangeset done;
    struct tri_rangeset dead;
    struct tri_rangeset cancelled;
    struct tri_rangeset settled; /* whose rows the owner has acknowledged */
    uint64_t pending;
    uint64_t delayed;
    uint64_t leased;
    uint64_t oldest;                   /* no undone task is below */
    struct tri_map entries;            /* index to struct entry, as many as fit into memory */
    struct tri_rangeset entry_indexes; /* those with a TASK row in the store */

    struct tri_buffer suspects; /* of vanished workers: array of struct stored_suspect */
    bool suspects_changed;

    struct stock *stock; /* NULL: a range */
    struct session *feeder;
    uint64_t feed_request;         /* by which it came: a refusal names it */
    struct tri_uuid fed_by;        /* the last feeder; zero: nobody has been one */
    struct tri_dlist_node feeding; /* feeder->feeding */
    struct tri_dlist_node unfed;   /* engine->unfed_batches */
    tri_time unfed_at;

    struct tri_uuid deposed;  /* the owner before that, whose items come no more */
    struct tri_uuid owned_by; /* the last owner; zero: nobody in this life of the broker */

    /* rows */
    struct row **rows; /* rows[i] has id row_base + i; NULL: acknowledged */
    size_t row_capacity;
    uint64_t row_base;
    uint64_t row_next;
    uint64_t row_bytes; /* kept */
    bool folds;         /* what was acknowledged fits into the batch's own row of the store */
    struct tri_rangeset folded_settled; /* as they stand there */
    struct tri_rangeset folded_cancelled;
    struct tri_rangeset unfolded; /* rows whose heads stay there because it does not */
    struct tri_dlist_head reserve_rows;
    struct tri_dlist_head attachments;
    uint64_t reserved_bytes;       /* of its leases */
    bool reserve_leased;           /* a lease is on the reserve of the oldest undone task */
    struct tri_dlist_head wanting; /* leases that asked for CREDIT */
    uint64_t result_bytes;         /* of all results so far, and of how many tasks */
    uint64_t result_tasks;

    /* leasing */
    struct tri_dlist_head berths;
    struct tri_heap victims; /* berths with work beyond their oars, most first */
    uint64_t oars;           /* of manned berths */
    uint64_t asked_oars;     /* guessed, of berths that were asked */
    uint64_t refusals;
    bool deserted;                  /* a worker that had accepted it has left */
    struct tri_dlist_node forsaken; /* engine->forsaken_batches */
    tri_time forsaken_at;           /* since when all that are here have refused it */
    uint64_t task_ns;               /* wall time of a task, 0: unknown */
    struct tri_heap_node ready;     /* flow->batches */
    struct flow *flow;
    uint64_t virtual_us;
    struct tri_dlist_node touched;
    bool gained;
    struct tri_dlist_node seeking;
    uint64_t seek_left;
    struct service *services;       /* of workers that have left it (service.h) */
    uint64_t more_services;         /* beyond SERVICES_MAX */
    struct tri_dlist_node draining; /* class->draining */
    struct tri_dlist_node starved;
    struct tri_dlist_node ended;

    /* for END and lists */
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t workers;
    uint64_t model;
    tri_time progress_at; /* last sent, or due while linked */
    struct tri_dlist_node progress;
};

/* ---- life ---- */

/* The batch of that number if `session` may know of it; NULL after an ERROR NOTFOUND. */
struct batch *batch_find(struct engine *engine,
                         struct session *session,
                         uint64_t number,
                         uint64_t request);
struct batch *batch_new(struct engine *engine,
                        struct session *session,
                        const struct tri_msg_submit *submit,
                        const struct tri_rec_spec *spec);

/* A batch as the store has it: nothing of it is pending, and no set has been read. NULL: there are
 * too many classes. */
struct stored_batch;
struct batch *batch_restore(struct engine *engine,
                            uint64_t number,
                            const struct stored_batch *stored,
                            const struct tri_rec_spec *spec);

/* Remove every trace of it, in the store too. */
void batch_forget(struct engine *engine, struct batch *self);
void batch_free(struct engine *engine, struct batch *self);

/* Write its row of the store: now, or when the step has settled. */
void batch_put(struct engine *engine, struct batch *self);
void batch_put_later(struct engine *engine, struct batch *self);

/* Something changed: dispatch settles it before the step ends. `batch_gain` also says that there is
 * more to lease than before. */
void batch_touch(struct engine *engine, struct batch *self);
void batch_gain(struct engine *engine, struct batch *self);

/* Seal what has been open without its client for too long; forget what ended too long ago. */
void batch_expire_unfed(struct engine *engine);
void batch_expire_ended(struct engine *engine);

/* Halt those that no worker here has been willing to run for too long (halt.c). */
void batch_expire_forsaken(struct engine *engine);

/* Who appends to an open batch; NULL: nobody, and its grace begins. Who comes back to it goes on;
 * another client that takes it over follows its results, and cannot know what is still to be added.
 */
void batch_set_feeder(struct engine *engine, struct batch *self, struct session *session);
bool batch_may_be_fed_by(const struct batch *self, const struct session *session);

/* Go on to another state (lifecycle.h). */
void batch_set_state(struct batch *self, enum tri_batch_state state);

/* No task will be added. */
void batch_seal(struct engine *engine, struct batch *self, const char *reason);
void batch_set_reason(struct batch *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void batch_clear_reason(struct batch *self);

static inline bool batch_has_ended(const struct batch *self)
{
    return self->state == TRI_BATCH_DONE || self->state == TRI_BATCH_HALTED
           || self->state == TRI_BATCH_CANCELLED;
}

/* ---- where its tasks are ---- */

/* Make tasks pending. In a batch that halts they are cancelled instead. */
void batch_add_pending(struct engine *engine,
                       struct batch *self,
                       const struct grade *grade,
                       const struct tri_rangeset *tasks);

/* The store says that these wait for a worker. */
void batch_restore_pending(struct batch *self,
                           const struct grade *grade,
                           uint64_t first,
                           uint64_t count);

/* Tasks [first, first+count) are new. */
void batch_add_fresh(struct engine *engine, struct batch *self, uint64_t first, uint64_t count);

/* The pool with the smallest pending index that may be leased; NULL: nothing is pending. With
 * `no_suspects` pools of suspects are passed over. */
struct pool *batch_first_pool(struct batch *self, bool no_suspects);

/* Take [first, first+count) out of its pool, which is freed when empty (the fresh one is kept). */
void batch_take(struct batch *self, struct pool *pool, uint64_t first, uint64_t count);

/* Free a pool (not the fresh one) that has nothing pending. */
void pool_free_if_empty(struct batch *self, struct pool *pool);

/* Take tasks out of wherever they are pending, delayed or leased; what was leased is cancelled at
 * its worker. Returns how many there were. */
uint64_t batch_pull(struct engine *engine, struct batch *self, struct tri_range range);

/* Tasks that are done, dead or cancelled now; they have been taken out of where they were. */
void batch_add_done(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks);
void batch_add_dead(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks);
void batch_add_cancelled(struct engine *engine,
                         struct batch *self,
                         const struct tri_rangeset *tasks);

/* The first run of tasks in [at, end) that have not ended. */
bool batch_next_undone(const struct batch *self, uint64_t at, uint64_t end, struct tri_range *out);

/* Something of it can be leased now (dispatch.c). The second also makes a batch that lacks memory
 * wait for it. */
bool batch_may_be_leased(const struct engine *engine, struct batch *self);
bool batch_is_ready(struct engine *engine, struct batch *self);

const char *batch_state_text(uint64_t state);

/* The smallest index that has not ended; count when all have. */
uint64_t batch_oldest(struct batch *self);

#endif
