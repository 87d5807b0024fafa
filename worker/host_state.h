/* host_state.h - what a host is made of. Private to worker/host*.c and worker/oars.
 *
 * A rower is a thread that pulls oars: one oar in the process and thread models, all of them on a
 * loop (in the async model, and where commands share a host). Rowers grab runs of tasks from the
 * queue of slices, execute them, and put what they finished into a box. Boxes are emptied into
 * messages by whoever has time: the rower itself when it runs out of work or its box is full, the
 * watch (host_watch.h) when its oar is stuck in a slow task.
 *
 * Threads: `lock` guards everything here that is not said to be somebody else's. A rower's run,
 *          box and tasks are its own while its gate is OWNED; while it is inside a handler the gate
 *          is OPEN, and another thread that holds `lock` may take it for a moment. No task costs a
 *          lock this way, and a slow one holds nothing back.
 *          Order: read_lock, lock, gate, send_lock. Nothing is sent under `lock`.
 * Memory:  a lease lives until each of its tasks is accounted for (`left`) and nobody stands on it
 *          (`holders`).
 */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "common/list.h"
#include "common/proto/chunk.h"
#include "common/rangeset.h"
#include "common/reduce.h"
#include "trireme/handler.h"
#include "worker/host.h"
#include "worker/host_table.h"
#include "worker/link.h"
#include "worker/oars/command.h"
#include "worker/oars/http.h"

#include <pthread.h>
#include <stdatomic.h>

#define HOST_FLUSH_BYTES 65536u    /* a box this full leaves at once */
#define HOST_FLUSH_RUNS 16384u     /* ... or one this scattered */
#define HOST_FLUSH_NS 20000000u    /* nothing finished waits longer than this */
#define HOST_PARTIAL_NS 60000000u  /* nothing folded waits longer than this */
#define HOST_GRAB_NS 50000u        /* work that a rower takes at once */
#define HOST_TIMED_NS 20000u       /* tasks longer than this are timed one by one */
#define HOST_ABANDON_NS 500000000u /* how long a task past its time may go on unremarked */
#define HOST_ENVELOPE_BYTES 64u    /* what may stand around outputs in an array, beside them */

/* ---- ranges in the order of completion ------------------------------------------------------- */

struct host_runs {
    struct tri_range *items;
    size_t count;
    size_t capacity;
};

/* ---- what is finished ------------------------------------------------------------------------ */

/* Finished tasks of one lease. */
struct haul {
    struct tri_chunk_builder values; /* in the order of completion */
    struct host_runs value_runs;     /* whose they are, in the same order */
    bool scattered;                  /* value_runs do not ascend */
    struct tri_reducer *reducer;     /* NULL: values are kept, not folded */
    struct host_runs folded;
    bool grows;                /* the reducer holds more with every task */
    bool swollen;              /* and as much as may leave at once */
    struct tri_buffer entries; /* encoded tri_rec_entry */
    size_t entry_count;
    struct tri_buffer task_us; /* two u32 a value, as long as nothing is sampled */
    bool sampled;
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t switches;
};

/* Where a rower puts what it finishes. */
struct box {
    struct tri_dlist_node node; /* in lease->boxes */
    struct lease *lease;
    struct rower *owner; /* NULL: nobody's at the moment; any holder of `lock` may empty it */
    struct haul haul;
};

/* ---- what is to be done ---------------------------------------------------------------------- */

/* One frame of items: arguments of tasks [first, first + chunk.count). */
struct lease_chunk {
    uint64_t first;
    struct tri_chunk chunk;
};

struct lease {
    struct tri_dlist_node node; /* in host->leases */
    uint64_t id;
    uint64_t number;
    uint64_t generation;
    uint64_t attempt;
    uint64_t first;
    uint64_t count;
    uint64_t left;                 /* tasks not yet reported, given back or dropped */
    unsigned holders;              /* rowers standing on it, tasks refused that still run */
    struct tri_rangeset cancelled; /* nothing is reported of these */
    struct tri_dlist_head boxes;
    struct lease_chunk *chunks; /* items source; by first */
    size_t chunk_count;
    uint8_t *bytes; /* what the chunks view */
};

/* Tasks [next, end) of a lease that nobody has grabbed. */
struct slice {
    struct tri_dlist_node node; /* in host->slices */
    struct lease *lease;
    uint64_t next;
    uint64_t end;
};

struct batch {
    uint64_t number;
    uint8_t *bytes; /* the spec's encoding */
    struct tri_rec_spec spec;
    const struct tri_handler *handler;
    bool plain;    /* arguments are integers of a range, and the handler takes them so */
    char *reducer; /* NULL: none */
    uint64_t output_bytes_max;
};

/* ---- who does it ----------------------------------------------------------------------------- */

enum gate { GATE_OWNED, GATE_OPEN, GATE_TAKEN };

struct rower {
    struct tri_dlist_node
        node; /* in host->rowers; in host->abandoned when its oar was given away */
    struct host *host;
    atomic_int gate;
    atomic_int knock; /* before the next task: send what is finished, drop what is cancelled */

    struct lease *lease; /* the lease of its run, or NULL */
    struct box *box;     /* where results of `lease` go */
    uint64_t next;       /* tasks [next, end) are grabbed and not begun */
    uint64_t end;
    const struct lease_chunk *chunk; /* holds the run's arguments; NULL: range source */
    uint64_t grain;                  /* of the last grab */
    bool timed;                      /* the run's tasks are timed one by one */

    bool keeps_boxes; /* async: tasks of leases it has stepped off are still in flight */
    unsigned slot_number;
    struct host_slot *slot;
    struct tri_task *task; /* process, thread: the task at hand, if slot->task != 0 */
    pthread_t thread;
    clockid_t cpu_clock;
    int wake_fd; /* eventfd: whatever it waits for, look again */
    void *signal_stack;
    struct http_pool http;

    uint64_t cpu_mark; /* CPU time already accounted for */
    uint64_t switch_mark;
    uint64_t watched_seq; /* the watch: slot->seq when last seen to change, and when */
    uint64_t watched_ns;
};

/* ---- all of it ------------------------------------------------------------------------------- */

struct host {
    const struct host_setup *setup;
    struct host_table *table;
    size_t table_bytes;

    pthread_mutex_t read_lock; /* whoever reads the link */
    struct link link;          /* one reads, one sends at a time */
    struct link_message received;
    pthread_mutex_t send_lock;

    pthread_mutex_t lock;
    pthread_cond_t work; /* idle rowers without the reader's role wait for it */
    struct batch batch;
    enum tri_model model;
    unsigned width;
    struct tri_dlist_head leases;
    struct tri_dlist_head slices;
    uint64_t queued;  /* tasks in slices */
    uint64_t task_ns; /* what a task takes of its rower, smoothed; 0: not known */
    struct tri_dlist_head rowers;
    struct tri_dlist_head abandoned;
    struct rower **slots; /* by slot number; NULL: free */
    unsigned rower_count;
    unsigned idle_count;  /* rowers waiting for work, the reader too */
    struct rower *reader; /* the idle rower that polls the link, or NULL */
    bool watch_reads;     /* no rower will for a while: the watch does */
    uint64_t readers;     /* how often a rower began to */
    bool draining;        /* asked to be replaced: starts nothing more */
    struct command_client commands;
    bool has_loop;           /* its oars are coroutines */
    struct async_loop *loop; /* theirs, once it runs, or NULL */

    uint64_t watched_readers;
    int watch_fd;        /* eventfd: wakes the watch */
    bool watch_sleeps;   /* it waits without a time limit */
    uint64_t flushed_ns; /* when something was last sent */
    uint64_t partial_ns;
};

#endif
