/* async.h - oars that are coroutines on one libuv loop. Private to worker/oars/async*.c.
 *
 * The loop's thread is the one rower of the host. A coroutine runs task after task of the rower's
 * run until one of them waits; then the next coroutine goes on with the run. So tasks that do not
 * wait cost no switch, and tasks that do cost two.
 *
 * Threads: everything here belongs to the loop's thread, or to who has taken its gate. Exceptions:
 *          `wake` is sent by anybody, `mail` has a lock of its own.
 */
#ifndef ASYNC_H
#define ASYNC_H

#include "worker/oars/coroutine.h"
#include "worker/oars/rower.h"

#include <uv.h>

enum oar_state { OAR_REST, OAR_RUNS, OAR_WAITS, OAR_READY };

/* A coroutine and the task it is on. */
struct oar {
    struct coroutine coroutine;
    struct tri_task task;
    struct async_loop *loop;
    struct box *box; /* where the task's result goes */
    enum oar_state state;
    bool deaf; /* waits for what cannot be called off */
    bool timed;
    enum tri_status woken;       /* why its wait ended */
    unsigned breaths;            /* calls of tri_cancelled since it was resumed */
    uint64_t breath_ns;          /* when the first of them was timed */
    struct tri_dlist_node node;  /* in loop->in_flight */
    struct tri_dlist_node ready; /* in loop->ready */
    uv_timer_t timer;
    uint64_t started_ns;
    uint64_t resumed_ns;
    uint64_t busy_ns; /* on the loop, before resumed_ns */
};

/* Something another thread has finished for a coroutine. */
struct letter {
    struct tri_dlist_node node;
    void (*read)(struct letter *self); /* in the loop's thread */
};

struct async_loop {
    struct rower rower;
    uv_loop_t uv;
    uv_poll_t link;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t busy;      /* running while there is more to do than a turn allows */
    uv_timer_t deadline; /* of the oldest task in flight */
    uv_timer_t flush;
    struct coroutine_pool pool;
    struct tri_dlist_head in_flight; /* oldest first */
    struct tri_dlist_head ready;
    struct oar *current;
    uint64_t now_ns;  /* when the clock was last read for it */
    uint64_t turn_ns; /* when the turn began */
    uint64_t run_ns;  /* when the run was grabbed, and of how many tasks */
    uint64_t run_count;
    bool waits_seen;  /* tasks of this batch wait */
    uint64_t sent_ns; /* when finished tasks were last sent, and partials */
    uint64_t partial_ns;
    bool dirty; /* something is finished and not sent */
    bool full;  /* ... and enough to be sent at once */
    bool held;  /* the watch: a coroutine does not give the loop back */
    uint64_t watched_turns;
    uv_poll_t commands; /* the command link, once a command was run */
    bool commands_watched;
    struct http_thread *http; /* once something was fetched */
    pthread_mutex_t mail_lock;
    struct tri_dlist_head mail;
};

extern const struct task_ops async_ops;

/* ---- coroutines (async_oar.c) --------------------------------------------------------------- */

coroutine_fn oar_run;

/* From the loop: run it until it waits or rests. */
void oar_resume(struct oar *self);

/* From the coroutine, between enter and leave: wait until oar_wake. Returns why. */
enum tri_status oar_wait(struct oar *self);

/* End its wait; it is resumed soon. Nothing when it does not wait. */
void oar_wake(struct oar *self, enum tri_status why);

/* Let others run, and go on. */
void oar_yield(struct oar *self);

/* Around everything a task's own call does inside the runtime. */
void oar_enter(struct oar *self);
void oar_leave(struct oar *self);

static inline struct oar *oar_of(struct tri_task *task)
{
    return tri_container_of(task, struct oar, task);
}

/* Task ops that talk to others (async_calls.c). */
enum tri_status async_command(struct tri_task *task,
                              const struct tri_command *command,
                              uint64_t output_bytes_max,
                              struct command_call *call);
enum tri_status async_transfer(struct tri_task *task, struct transfer *transfer);

/* ---- the loop (async.c) --------------------------------------------------------------------- */

/* From any thread: have letter->read called on the loop. */
void loop_post(struct async_loop *self, struct letter *letter);

/* Under host->lock; what the loop has is the caller's at the moment (async_stop.c). Refuse the
 * tasks in flight that are cancelled, drop those of the run. */
void loop_obey(struct async_loop *self);

/* On the loop: wake everything that was told to stop. */
void loop_wake_stopped(struct async_loop *self);

/* The clock, read now. */
uint64_t loop_clock(struct async_loop *self);

/* Watch the time of the oldest task. */
void loop_arm_deadline(struct async_loop *self);

#endif
