/* client.h - a client program in the simulated world: the shell around the real session, and an
 * application that submits batches, adds arguments as they come, takes results at its own pace,
 * cancels, retries, asks questions, looks at other clients' batches, and crashes.
 *
 * Memory: clients live as long as the world; what they hold of one life ends with it.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "client/lib/follow.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/sim.h"

#define JOBS_MAX (2 * PLAN_BATCHES_MAX)

#define JOB_STATE_MAP(X)                                \
    X(WAITING, "waits for its time")                    \
    X(OPENING, "asked for, not accepted yet")           \
    X(WORKING, "arguments go out, results come in")     \
    X(RETRYING, "asked to run dead tasks again")        \
    X(SITTING, "has everything; others may be reading") \
    X(FORGETTING, "asked to be forgotten")              \
    X(OVER, "nothing is left to do")

enum job_state {
#define X(name, text) JOB_##name,
    JOB_STATE_MAP(X)
#undef X
};

/* What a client does about one batch. */
struct job {
    struct client *client;
    const struct plan_batch *batch;
    enum job_state state;
    bool submits; /* else it attaches */
    bool owner;
    bool watches; /* somebody else's batch */
    bool retried;
    bool whole;        /* it reads from the beginning, alone */
    uint64_t rounds;   /* to read without acknowledging, before it does (coda.h) */
    uint64_t hurry_at; /* ... and not to the end */
    uint64_t at;       /* when to begin */
    uint64_t add_at;
    uint64_t take_at;
    uint64_t cancel_at; /* 0: no more */
    uint64_t added;
    bool is_sealed;
    struct tri_follow *follow;
    struct tri_request *cancel;
    struct tri_request *request; /* RETRY or FORGET */
    struct reader *reader;
};

struct client {
    struct sim_node node;
    uint64_t number;
    uint64_t lives;
    struct tri_session *session; /* NULL: it is not running */
    struct net_socket *socket;
    struct sim_timer wake;
    struct sim_timer start;
    struct job jobs[JOBS_MAX];
    size_t job_count;
    struct tri_request *question;         /* LIST, SHOW, ... */
    const struct plan_batch *asked_about; /* its arguments (rough.h) ... */
    uint64_t asked_from;                  /* ... of this task and others */
    uint64_t ask_at;
    tri_time turn_ms; /* how often it has had its turn in this millisecond */
    uint64_t turns;
};

void client_begin(struct sim *sim);
void client_end(struct sim *sim);

/* Everything asked for is done, as far as reading goes (over: forgotten, too). */
bool client_all_read(const struct sim *sim);
bool client_all_over(const struct sim *sim);

/* What they have to do about the encore that is next and was not planned at the beginning. */
void client_add_jobs(struct sim *sim);

/* When all is read: go on with one more batch. False: there is none. */
bool client_encore(struct sim *sim);

/* Who has read a batch reads it once more, from `at` on. */
void client_look_again(struct sim *sim, struct client *self, uint64_t at);

/* Whoever submitted a batch may have it forgotten now. */
void client_forget_all(struct sim *sim);

/* Somebody else is about to read the batch of this job as its owner. */
bool client_works(const struct sim *sim, const struct job *job);

/* What it waits for: for people. */
void client_tell(const struct sim *sim);

/* ---- faults --------------------------------------------------------------------------------- */

void client_crash(struct sim *sim, struct client *self, uint64_t down_us);
void client_revive(struct sim *sim, struct client *self);

/* ---- client_job.c --------------------------------------------------------------------------- */

/* Do what is due for a job now, and say when it has something to do again. */
void job_turn(struct sim *sim, struct job *self, tri_time now_ms);
uint64_t job_deadline(const struct sim *sim, const struct job *self);

/* Its client has crashed (or it stops): everything it held is gone. */
void job_drop(struct job *self);

/* What it has read it reads once more, and takes nothing from others. */
void job_look_again(struct job *self, uint64_t at);

/* The client runs again: go on as a new process would. */
void job_resume(struct sim *sim, struct job *self);

const char *job_state_text(enum job_state state);

#endif
