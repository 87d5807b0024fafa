/* state.h - what the engine knows, in one place. Private to broker/engine.
 *
 *     principal -< batch -< berth >- worker -- session        a berth: one worker's place for one
 *                    |        |                                batch, its oars once OARS came
 *                    |        `-< lease (a slice in a worker's hands)
 *                    |-- pools, delays, done, dead, cancelled  (ranges; grade.h)
 *                    |-- stock (item chunks)    rows (results) -< attachment >- session
 *     class: batches that want the same handler and labels, and the workers that have them
 *
 * A change marks what it touches (batch_touch, worker_touch); dispatch.c settles the marks at the
 * end of the step: readiness, leases, steals, ends.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include "broker/engine/admin.h"
#include "broker/engine/batch.h"
#include "broker/engine/class.h"
#include "broker/engine/credit.h"
#include "broker/engine/dispatch.h"
#include "broker/engine/engine.h"
#include "broker/engine/lease.h"
#include "broker/engine/out.h"
#include "broker/engine/question.h"
#include "broker/engine/reclaim.h"
#include "broker/engine/recover.h"
#include "broker/engine/row.h"
#include "broker/engine/service.h"
#include "broker/engine/session.h"
#include "broker/engine/stock.h"
#include "broker/engine/stored.h"
#include "broker/engine/task.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/map.h"
#include "common/prng.h"

struct engine {
    struct engine_options options;
    char software[65];
    tri_time now;
    const struct event *event; /* during a step */
    struct tri_prng prng;
    bool begun;            /* the epoch has been written */
    uint64_t clock_offset; /* of the durable clock (stored.h) to the time of events */
    tri_time clock_put_at;
    struct recovery *recovery; /* while rows of the store are read (recover.c) */
    bool stopping;             /* SHUTDOWN came: nothing is leased any more */
    struct out out;
    struct tri_buffer scratch; /* lists inside messages */

    struct tri_bytemap routes;      /* routing id to session */
    struct tri_bytemap instances;   /* instance uuid to session */
    struct tri_dlist_head sessions; /* by when last heard */
    struct tri_dlist_head workers;  /* in the order in which they joined */
    struct tri_dlist_head touched_workers;
    struct tri_dlist_head postponed_workers; /* touched, but without free oars */
    struct tri_bytemap handlers;             /* every name ever offered */
    uint64_t next_note;                      /* next key of META (stored.h) */

    struct tri_bytemap known; /* workers of an earlier life that have not come back: their notes */
    bool reclaiming;          /* some may still come: old batches are held back (reclaim.c) */
    tri_time reclaim_until;

    struct tri_bytemap principals;
    uint64_t fair_clock; /* virtual time of the principal served last */
    struct tri_bytemap classes;
    struct tri_dlist_head unused_classes;

    struct tri_map batches;   /* number to batch */
    struct tri_bytemap uuids; /* uuid to batch */
    uint64_t next_number;
    struct tri_dlist_head touched_batches;
    struct tri_dlist_head seeking_batches;  /* ready, hungry workers not all tried */
    struct tri_dlist_head starved_batches;  /* wait for memory, to lease or for append credit */
    struct tri_dlist_head unfed_batches;    /* open without a client, by since when */
    struct tri_dlist_head forsaken_batches; /* refused by all that are here, by since when */
    struct tri_dlist_head ended_batches;    /* by when they ended */
    struct tri_dlist_head progress_batches; /* by when PROGRESS is due */

    struct tri_map leases; /* number to lease */
    uint64_t next_lease;
    struct tri_dlist_head lease_clock;  /* by deadline */
    struct tri_heap delays;             /* by when they are due */
    struct tri_dlist_head spent_chunks; /* only dead tasks left in them, oldest first */
    uint64_t entry_count;
    uint64_t history_bytes; /* of all entries */
    uint64_t rows_searched; /* of failures, for tasks that are retried: so far */
    struct memory memory;
    size_t starved_left; /* of starved_batches, to be looked at since memory came free */
    tri_time starved_at; /* when that was */
};

/* ---- engine.c ---- */

/* What the durable clock shows at `time`. */
static inline uint64_t engine_clock(const struct engine *self, tri_time time)
{
    return time + self->clock_offset;
}

/* Something the engine has in common with every batch of a principal. */
struct principal *engine_principal(struct engine *self, struct tri_bytes name);

/* True when the payload of `key` can be sent without a GET. */
bool engine_payload_is_resident(const struct engine *self, struct store_key key);

#endif
