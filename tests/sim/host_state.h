/* host_state.h - what a host is made of. Private to host*.c. */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "common/proto/chunk.h"
#include "common/reduce.h"
#include "tests/sim/host.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#define HOST_FLUSH_US (20 * SIM_MS)
#define HOST_FLUSH_BYTES 65536

enum task_state { TASK_QUEUED, TASK_RUNNING, TASK_OVER };

/* A finished task: its value stands in the lease's buffer. */
struct done {
    uint64_t index;
    size_t offset;
    size_t size;
};

/* A slice, as the session gave it. */
struct lease {
    struct tri_dlist_node node;
    uint64_t id;
    uint64_t number;
    uint64_t generation;
    uint64_t attempt;
    uint64_t first;
    uint64_t count;
    uint8_t *states; /* enum task_state */
    uint64_t cursor; /* no task before it is queued */
    uint64_t left;   /* not over */
    struct tri_frame **frames;
    struct tri_chunk *chunks;
    uint64_t *firsts;
    size_t frame_count;
    struct done *done;
    size_t done_count;
    size_t done_capacity;
    struct tri_buffer values;
    struct tri_buffer entries;
    size_t entry_count;
    uint64_t wall_ns; /* of what is done */
};

struct oar {
    struct sim_timer timer;
    struct host *host;
    struct lease *lease; /* NULL: idle */
    uint64_t first;      /* its run */
    uint64_t count;
    struct deed deed; /* of the run's last task: all before it are OK */
    uint64_t began;
    uint64_t ends;
};

struct host {
    struct tri_dlist_node node; /* of its worker */
    struct worker *worker;
    uint64_t id;
    uint64_t width;
    enum tri_model model;
    uint64_t timeout_ms;
    const struct plan_batch *batch;
    struct tri_frame *spec_frame;
    struct tri_rec_spec spec;
    struct oar *oars;
    struct tri_dlist_head leases;
    struct tri_dlist_head letters; /* both ways */
    uint64_t in_free;              /* FIFO: nothing arrives before what was sent before */
    uint64_t out_free;
    bool frozen;   /* one task holds all of it */
    bool draining; /* starts nothing more */
    bool dead;
    struct sim_timer flush;
    struct sim_timer gone;
    int wait_status;
    enum tri_status status;
    bool has_culprit;
    struct session_task culprit;
    struct session_task *started; /* when it died */
    size_t started_count;
};

/* ---- host.c --------------------------------------------------------------------------------- */

/* Tell the session; `body` may be NULL and is borrowed. */
void host_say(struct sim *sim,
              struct host *self,
              const struct tri_message *message,
              struct tri_frame *body);

/* It is dead from now on: what it was on is remembered, what it had not said is lost. */
void host_die(struct sim *sim, struct host *self, int wait_status);

/* ---- host_lease.c --------------------------------------------------------------------------- */

struct lease *lease_open(struct sim *sim,
                         struct host *host,
                         const struct tri_msg_lease *message,
                         struct tri_frame *const *frames,
                         size_t count);
void lease_free(struct host *host, struct lease *lease);
struct lease *lease_find(struct host *host, uint64_t id);

/* The packed argument of a task, appended to `out`. */
void lease_argument(const struct host *host,
                    const struct lease *lease,
                    uint64_t index,
                    struct tri_buffer *out);

/* Give back what is queued of a range. */
void lease_release(struct sim *sim, struct host *host, struct lease *lease, struct tri_range range);

/* It ended well, or otherwise. */
void lease_succeed(struct host *host, struct lease *lease, uint64_t index, uint64_t us);
void lease_fail(struct lease *lease, uint64_t index, uint64_t outcome, const char *text);

/* Report what is finished. */
void lease_flush(struct sim *sim, struct host *host, struct lease *lease);

/* ---- host_run.c ----------------------------------------------------------------------------- */

/* Give idle oars something to do; flush when there is nothing. */
void host_row(struct sim *sim, struct host *self);

/* Stop what is on these tasks; nothing is reported of them. */
void host_cancel(struct sim *sim, struct host *self, struct lease *lease, struct tri_range range);
void host_stop_oars(struct sim *sim, struct host *self);
size_t host_started(const struct sim *sim, const struct host *self, struct session_task *tasks);

#endif
