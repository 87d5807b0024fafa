/* batch_state.h - what is known of a batch. batch.h has what can be done with it.
 *
 * Memory: belongs to the engine.
 */
#ifndef ENGINE_BATCH_STATE_H
#define ENGINE_BATCH_STATE_H

#include "broker/engine/event.h"
#include "broker/engine/grade.h"
#include "broker/engine/history.h"
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

/* One exceptional task. */
struct entry {
    uint64_t index;
    uint64_t row;     /* which says how it died; UINT64_MAX: none that is kept */
    uint64_t attempt; /* the last that was charged, and what came of it */
    uint8_t outcome;
    bool dead;
    struct history history; /* empty: it is in the store only */
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
    uint64_t forgiven; /* of the dead, those that the last retry by hand left: they halt nothing */
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
    size_t row_gone; /* so many at the front are NULL, at least */
    uint64_t row_base;
    uint64_t row_next;
    uint64_t row_bytes; /* kept */
    bool folds;         /* what was acknowledged fits into the batch's own row of the store */
    struct tri_rangeset folded_settled; /* as they stand there */
    struct tri_rangeset folded_cancelled;
    struct tri_rangeset unfolded; /* rows whose heads stay there because it does not */
    struct tri_dlist_head reserve_rows;
    uint64_t lost_rows; /* whose payloads cannot be read: nobody waits for them */
    uint64_t lost_bytes;
    struct tri_dlist_head attachments;
    struct tri_dlist_head questions; /* question.h */
    uint64_t reserved_bytes;         /* of its leases */
    struct lease *reserve_lease;     /* which has the reserve of the oldest undone task, or NULL */
    struct tri_dlist_head wanting;   /* leases that asked for CREDIT */
    uint64_t result_bytes;           /* of all results so far, and of how many tasks */
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
    uint64_t idle_left;             /* idle berths to try before these */
    struct service *services;       /* of workers that have left it (service.h) */
    uint64_t more_services;         /* beyond SERVICES_MAX */
    struct tri_dlist_node draining; /* class->draining */
    struct tri_dlist_node starved;
    struct tri_dlist_node ended;

    /* for END and lists */
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t workers;
    struct tri_rangeset served_by; /* which they were: the start of their instance, for the first */
    uint64_t model;
    tri_time progress_at; /* last sent, or due while linked */
    struct tri_dlist_node progress;
};

#endif
