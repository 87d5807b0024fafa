/* plan.h - what a seed asks of its world: limits, programs, batches, and what each task is like.
 *
 * What a task does is a pure function of its batch, its index and the attempt, so that hosts can
 * run it and the checker knows what must come of it without asking anybody.
 */
#ifndef PLAN_H
#define PLAN_H

#include "broker/engine/engine.h"
#include "tests/sim/sim.h"

#define PLAN_WORKERS_MAX 5
#define PLAN_CLIENTS_MAX 4
#define PLAN_BATCHES_MAX 19
#define PLAN_ENCORES_MAX 6
#define PLAN_CODAS_MAX 1
#define PLAN_MISHAPS_MAX 8
#define PLAN_DISK_MISHAPS_MAX 8
#define PLAN_ROTS_MAX 4
#define PLAN_EVILS_MAX (PLAN_MISHAPS_MAX + PLAN_DISK_MISHAPS_MAX + 2 * PLAN_ROTS_MAX)

enum deed_kind {
    DEED_OK,
    DEED_FAIL,
    DEED_TOO_LARGE,
    DEED_SPIN,  /* never ends by itself: its host ends it at the timeout */
    DEED_STUCK, /* the same, and its host is stuck with it */
    DEED_CRASH, /* its host sees who did it */
    DEED_KILL,  /* its host dies, nobody sees why */
};

/* What one attempt at a task does. */
struct deed {
    enum deed_kind kind;
    uint64_t us;
};

/* What must become of a task when nobody interferes. */
struct fate {
    uint64_t outcome; /* enum tri_outcome */
    uint64_t attempts;
};

struct plan_batch {
    uint64_t id; /* position in the plan */
    uint64_t key;
    struct tri_uuid uuid;
    char name[16];

    /* what it asks for */
    const char *handler;
    const char *label;   /* NULL: none */
    const char *reducer; /* NULL: every value comes back */
    bool range;
    int64_t first;
    int64_t step;
    uint64_t count;
    enum tri_model model;
    uint64_t width;
    uint64_t timeout_ms;
    uint64_t retries;
    uint64_t crash_limit;
    enum tri_halt halt;
    uint64_t halt_fail_count;
    uint64_t halt_fail_percent;
    uint64_t priority;

    /* what its tasks are like, in parts per million */
    uint32_t bad[DEED_KILL + 1];   /* always, by deed */
    uint32_t flaky[DEED_KILL + 1]; /* until the attempt that key and index name */
    uint64_t task_us_min;
    uint64_t task_us_max;
    uint32_t slow_ppm;
    uint64_t slow_us;
    uint64_t value_bytes_max;

    /* how its client goes about it */
    uint64_t client; /* who submits it */
    uint64_t submit_at;
    bool ordered;
    bool by_runs;  /* takes results with tri_follow_next_run where it can */
    bool detached; /* submits and looks later */
    uint64_t window_bytes;
    uint64_t add_burst; /* arguments at once */
    uint64_t add_every_us;
    uint64_t take_burst; /* results at once */
    uint64_t take_every_us;
    uint64_t cancel_at; /* 0: not */
    uint64_t cancel_first;
    uint64_t cancel_count; /* 0: all of it */
    bool retry;            /* dead tasks, by hand, once */
    uint64_t watcher;      /* another client that reads it; its own client: none */
    uint64_t watch_at;
    bool takeover; /* ... as its owner */

    /* of a coda */
    uint64_t rounds; /* it is read so often without an acknowledgement, and retried after each */
    bool mends;      /* what failed in the first generations succeeds in a later one */
};

struct plan_worker {
    uint64_t cores;
    uint64_t width_max;
    enum tri_model model; /* the only one, or AUTO */
    bool has_label;
    bool has_rare; /* offers the handler "rare", too */
    uint64_t recycle_count;
    uint64_t join_at;
};

enum mishap_kind {
    MISHAP_KILL,    /* the broker is killed */
    MISHAP_POWER,   /* its machine loses power */
    MISHAP_ERROR,   /* its next commit fails: it stops */
    MISHAP_FULL,    /* its disk is full */
    MISHAP_SUSPEND, /* a machine stands still, and its clock with it */
    MISHAP_READ,    /* the next read of its disk fails: it stops */
    MISHAP_ROT,     /* arguments that its disk has are damaged */
    MISHAP_ROT_ROW, /* the next row of results that its disk gets is */
};

/* What befalls the broker, or (SUSPEND) a machine. */
struct plan_mishap {
    enum mishap_kind kind;
    uint64_t at;
    bool in_commit; /* KILL, POWER: then in the middle of the next commit */
    uint64_t us;    /* until it is over */
    uint64_t whom;  /* SUSPEND: 0 the broker, then workers, then clients; ROT: any number */
};

struct plan {
    struct engine_options options;
    uint64_t commit_us_max; /* 0: what is written is durable at once */
    uint64_t load_us_max;
    uint64_t delay_us_min; /* of a message */
    uint64_t delay_us_max;
    uint64_t worker_count;
    uint64_t client_count;
    uint64_t batch_count;
    uint64_t encore_from; /* batches from here on are asked for when all others are done */
    struct plan_worker workers[PLAN_WORKERS_MAX];
    struct plan_batch batches[PLAN_BATCHES_MAX];
    uint64_t calm_at;       /* faults stop */
    uint64_t end_at;        /* by then everything must have ended */
    uint64_t fault_us;      /* mean time between two; 0: none */
    bool is_durable;        /* the broker has a disk, and dies as the mishaps say */
    uint64_t disk_bytes;    /* of its disk */
    uint64_t reserve_bytes; /* of them: kept for what is under way */
    uint64_t mishap_count;
    struct plan_mishap mishaps[PLAN_EVILS_MAX];
};

/* Draw a plan from sim->prng. */
void plan_draw(struct sim *sim, struct plan *plan);

/* ... from sim->other: batches for the time when all others are done; what befalls the broker. */
void plan_draw_encores(struct sim *sim, struct plan *plan);
void plan_draw_mishaps(struct sim *sim, struct plan *plan);

/* ... from `prng`: what befalls a broker whose disk tears, besides. */
void plan_draw_disk(struct tri_prng *prng, struct plan *plan);
void plan_draw_rots(struct tri_prng *prng, enum mishap_kind kind, struct plan *plan);

/* ... from sim->coda: one batch more, after all else; the time until it must have ended. False:
 * there is none. */
bool plan_draw_coda(struct sim *sim, struct plan *plan);

struct deed plan_deed(const struct plan_batch *batch,
                      uint64_t generation,
                      uint64_t index,
                      uint64_t attempt);
struct fate plan_fate(const struct plan_batch *batch, uint64_t generation, uint64_t index);

/* enum tri_outcome of one attempt. */
uint64_t plan_outcome(const struct plan_batch *batch,
                      uint64_t generation,
                      uint64_t index,
                      uint64_t attempt);

/* Append the msgpack of the argument, which is the result as well. */
void plan_value(const struct plan_batch *batch, uint64_t index, struct tri_buffer *out);

/* The encoded SPEC record. */
void plan_spec(const struct plan_batch *batch, struct tri_buffer *out);

const struct plan_batch *plan_find(const struct plan *plan, struct tri_bytes uuid);

const char *plan_deed_text(enum deed_kind kind);

#endif
