/* lease.h - berths and leases: which worker is on which tasks.
 *
 * A berth is one worker's place for one batch: BATCH has been sent, OARS says how many oars it
 * mans. A lease is a slice in a berth until a deadline. Its life: LOADING (payload awaited), HELD,
 * gone.
 *
 * Memory: a lease is freed when nothing of it is undone; a berth with its worker or batch.
 */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "broker/engine/event.h"
#include "broker/engine/grade.h"
#include "broker/engine/lifecycle.h"
#include "common/heap.h"

struct engine;
struct batch;
struct session;
struct worker;

/* A lease's number: its epoch above, a counter below. */
#define LEASE_EPOCH_SHIFT 40
#define LEASE_EPOCH_MASK UINT64_C(0x7fffff)
#define LEASE_COUNTER_MASK ((UINT64_C(1) << LEASE_EPOCH_SHIFT) - 1)

/* Leases of one worker: all fit into one HEARTBEAT. */
#define LEASES_OF_WORKER_MAX 16384

/* Charged for a task of unknown length until its result says better. */
#define LEASE_CHARGE_UNKNOWN_NS 1000000

struct berth {
    struct worker *worker;
    struct batch *batch;
    struct tri_dlist_node of_worker;
    struct tri_dlist_node of_batch;
    struct tri_heap_node victim; /* batch->victims */
    enum berth_state state;
    uint64_t width;
    uint64_t model;
    uint64_t status;
    char *reason;
    uint64_t asked_oars;  /* its part of batch->asked_oars */
    uint64_t asked_tasks; /* its part of worker->asked_tasks */
    uint64_t heartbeats;  /* since it was asked */
    struct tri_dlist_head leases;
    uint64_t leased;    /* undone tasks in its leases */
    uint64_t stalled;   /* of these, waiting for CREDIT: no oar is at them */
    uint64_t used;      /* its part of worker->used */
    uint64_t queue_ns;  /* its part of worker->queue_ns */
    bool is_idle;       /* stands first in batch->berths */
    bool is_eager;      /* counted in worker->eager */
    bool is_slow;       /* counted in worker->slow */
    uint64_t revoking;  /* tasks asked back from its leases */
    struct lease *robs; /* asked back for it, not answered yet */
    uint64_t untouched; /* undone tasks of leases that a heartbeat said nothing is started of */
    uint64_t growth;    /* tasks in the next lease at most, doubling */
    uint64_t task_ns;   /* as measured here, 0: unknown */
    tri_time active_at; /* something was leased or reported there */
    uint64_t tasks_done;
    bool contributed; /* something has ended there */
    const char *why;  /* the last decision about leasing here: static text */
};

struct lease {
    uint64_t number;
    struct batch *batch;
    struct berth *berth;
    struct grade grade;
    uint64_t first;
    uint64_t count;
    uint64_t generation; /* 0: of an earlier life, its first report says */
    tri_time due;        /* of an earlier life: until then its tasks waited; 0: they did not */
    struct tri_rangeset undone;
    struct tri_rangeset started; /* as last told */
    struct tri_dlist_node node;  /* berth->leases */
    struct tri_dlist_node clock; /* engine->lease_clock */
    tri_time deadline;
    uint64_t unnamed;        /* heartbeats in a row without it */
    uint64_t result_bytes;   /* as told with it */
    uint64_t reserved_bytes; /* in the window and in memory */
    uint64_t wanted_bytes;
    uint64_t stalled;              /* its part of berth->stalled */
    struct tri_dlist_node wanting; /* batch->wanting */
    uint64_t charged_ns;           /* oar-time per task, charged when it was leased */
    uint64_t revoking;             /* tasks asked back, not answered; part of berth->revoking */
    struct berth *thief;           /* for whom */
    bool unstealable;              /* less came back than was asked for, and nothing has changed */
    uint64_t reserve_bytes;    /* given beyond the room: rows of so many bytes are the reserve's */
    bool reserve_followed;     /* ... by a CREDIT after its LEASE */
    tri_time reserve_given_at; /* ... the last of them then */
    bool on_trial; /* a suspect that has something to run: counted in worker->suspects */
    bool loading;
    bool named;    /* by the message at hand */
    bool received; /* was named once: it did not get lost on the way */
};

/* ---- berth.c ---- */

/* The worker's place for the batch, or NULL. */
struct berth *berth_find(const struct worker *worker, const struct batch *batch);

/* Send BATCH to a worker, which may take `tasks` of it. */
struct berth *berth_ask(struct engine *engine,
                        struct worker *worker,
                        struct batch *batch,
                        uint64_t tasks);

/* The same for a worker that comes with leases of an earlier life; BATCH is still to be sent. */
struct berth *berth_reclaim(struct engine *engine, struct worker *worker, struct batch *batch);

/* Send BATCH (again). */
void berth_tell(struct engine *engine, struct berth *self);

/* OARS is overdue: do not wait for this worker alone. */
void berth_late(struct engine *engine, struct berth *self);

/* Its leases changed: account anew for oars, queue and what can be stolen. */
void berth_update(struct engine *engine, struct berth *self);

/* Free a berth without leases; BATCH_END is sent when `tell`. */
void berth_destroy(struct engine *engine, struct berth *self, bool tell);

/* Wall time of one task there, best known; 0: unknown. */
uint64_t berth_task_ns(const struct berth *self);

/* Tasks leased that an oar is at, or will be as soon as one is free. */
static inline uint64_t berth_load(const struct berth *self)
{
    return self->leased - self->stalled;
}

/* Tasks leased that are not running: beyond its oars, or known to be untouched. */
static inline uint64_t berth_excess(const struct berth *self)
{
    uint64_t beyond = self->leased > self->width ? self->leased - self->width : 0;
    uint64_t untouched = self->untouched < self->leased ? self->untouched : self->leased;
    uint64_t excess = beyond > untouched ? beyond : untouched;

    return excess > self->revoking ? excess - self->revoking : 0;
}

void on_oars(struct engine *engine, struct session *session, const struct tri_msg_oars *oars);

/* ---- lease.c ---- */

/* Lease pending tasks of `pool` to a manned berth, with room for their results. */
struct lease *lease_new(struct engine *engine,
                        struct berth *berth,
                        struct pool *pool,
                        struct tri_range tasks,
                        uint64_t result_bytes,
                        bool on_reserve);

/* Tasks taken out of where they waited are a lease that the worker has from an earlier life. */
struct lease *lease_adopt(struct engine *engine,
                          struct berth *berth,
                          const struct grade *grade,
                          uint64_t number,
                          const struct tri_rangeset *tasks);

/* The payload of a loading lease is there (or cannot be had). */
void lease_loaded(struct engine *engine, struct lease *self);

/* True for a report about this lease. One from before a restart is of the generation that its
 * worker says. */
bool lease_is_about(struct lease *self, uint64_t number, uint64_t generation);

/* Name it in a heartbeat: it lives lease_ms longer. */
void lease_renew(struct engine *engine, struct lease *self);

/* Count anew how much of it waits for CREDIT. Call berth_update afterwards. */
void lease_stall(struct lease *self);

/* Take tasks out of what is undone, with their result room; returns how many. Then lease_settle. */
uint64_t lease_take(struct engine *engine, struct lease *self, struct tri_range tasks);

/* Account anew; free it when nothing is undone (`*self` is NULL then). */
void lease_settle(struct engine *engine, struct lease **self);

/* Tasks of the range are cancelled or have ended elsewhere: take them out and tell the worker.
 * Returns how many there were. Frees the lease when nothing is left. */
uint64_t lease_cancel(struct engine *engine, struct lease *self, struct tri_range tasks);

/* Free it as it is: its batch goes. */
void lease_free(struct engine *engine, struct lease *self);

/* Put undone tasks back to pending with `grade`, or to their wait (`due`); returns how many. */
uint64_t lease_give_back(struct engine *engine,
                         struct lease *self,
                         struct tri_range tasks,
                         const struct grade *grade);

/* Everything undone goes back, uncharged, and the lease is freed. */
void lease_drop(struct engine *engine, struct lease *self);

/* Send CANCEL_LEASE for tasks that are no longer its own (NULL: for all of it). */
void lease_tell_cancelled(struct engine *engine,
                          struct session *session,
                          uint64_t number,
                          const struct tri_rangeset *tasks);

/* Drop every lease whose deadline has passed. */
void lease_expire(struct engine *engine);

/* The lease of that number if this worker holds it, else NULL. */
struct lease *lease_find(const struct engine *engine, const struct worker *worker, uint64_t number);

/* ---- other verbs on leases, a file each ---- */

/* crash.c: its worker vanished while it was in its hands. Drops it. */
struct last_words {
    bool has_begun;    /* with some task, of this lease or another */
    uint64_t suspects; /* leases of such that it had */
};
void lease_vanish(struct engine *engine, struct lease *self, const struct last_words *words);

/* steal.c: take unstarted work from elsewhere for a worker with free oars. True when something
 * was asked back or engaged for it. */
bool steal_for(struct engine *engine, struct worker *worker);

/* Ask for what has not been started of `tasks`; nothing happens while an answer is outstanding. */
void lease_revoke(struct engine *engine, struct lease *self, struct tri_range tasks);

/* The answer has come, or will not matter; or, on a new connection, the question may be lost. */
void lease_unrevoke(struct engine *engine, struct lease *self);
void lease_revoke_again(struct engine *engine, struct lease *self);

void on_released(struct engine *engine,
                 struct session *session,
                 const struct tri_msg_released *released);

/* load.c: payloads that are not in memory. True when the lease has to wait for one. */
bool load_lease(struct engine *engine, struct lease *lease);
void on_loaded(struct engine *engine, const struct event *event);
void on_load_failed(struct engine *engine, const struct event *event);

/* size.c: how many tasks a worker should get next, from `pool`. */
struct size {
    uint64_t count;
    const char *why; /* static text, for explain */
};
/* Oars of the berth that nothing is leased for. */
uint64_t size_free_oars(const struct berth *berth);
struct size size_lease(const struct engine *engine,
                       const struct berth *berth,
                       const struct pool *pool);

#endif
