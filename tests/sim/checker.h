/* checker.h - watches what programs say to each other, and knows what must come of it.
 *
 * It shares no code with what it checks but the codec: where tasks stand is a byte each, not a
 * range. What it holds the world to, with the guarantees of docs/spec and the design by number:
 *
 *   counts    ACCEPTED, APPENDED, ATTACHED: as many as were sent, with their hash (1, 3); PROGRESS
 *             and lists add up (2)
 *   results   each task and generation in one row, with the right value, or an outcome that was
 *             planned or inflicted, after as many attempts as allowed (4, 6, 7); each given to an
 *             application once (5); nothing that was reported after a cancel (8)
 *   credit    results of a lease, windows and APPENDs stay within what was granted (12)
 *   leases    a task has one holder; an attempt is counted only when its failure was reported, by
 *             that one (4, 7); clocks do not matter, who is not heard begins nothing, and no worker
 *             is at work longer than for a lease from when it sent what was answered last (11)
 *   ends      END adds up with all rows; everything ends (13)
 *   promises  what was acknowledged or shown is still so after the broker has died (1, 10): counts,
 *             results, SEAL, CANCEL, FORGET, END
 *
 * Memory: aborts when out.
 */
#ifndef CHECKER_H
#define CHECKER_H

#include "broker/engine/event.h"
#include "tests/sim/plan.h"
#include "tests/sim/sim.h"
#include "trireme/client.h"

struct reader;

void checker_begin(struct sim *sim);

/* A batch that was not planned at the beginning. */
void checker_follow(struct sim *sim, const struct plan_batch *batch);
void checker_end(struct sim *sim);

/* ---- messages ------------------------------------------------------------------------------- */

void checker_broker_gets(struct sim *sim,
                         const struct peer_id *peer,
                         const struct tri_message *message,
                         struct tri_frame *const *frames,
                         size_t count);

/* ... and has done what follows from it. */
void checker_broker_got(struct sim *sim,
                        const struct peer_id *peer,
                        const struct tri_message *message);

/* It was decided to be sent then, and may have waited for a commit since. */
void checker_broker_sends(struct sim *sim,
                          const struct peer_id *peer,
                          struct tri_frame *const *frames,
                          size_t count,
                          uint64_t decided_at);

/* This row of results goes from its store, or what was in it. */
void checker_broker_drops(struct sim *sim, uint64_t number, uint64_t row);

/* It is there, with what its disk has. */
void checker_broker_starts(struct sim *sim);

/* What it has not acknowledged it may have forgotten when it is back. */
void checker_broker_dies(struct sim *sim);

/* The credit that a worker has, and uses. */
void checker_worker_gets(struct sim *sim,
                         const struct worker *worker,
                         const struct tri_message *message);
void checker_worker_sends(struct sim *sim,
                          const struct worker *worker,
                          const struct tri_message *message,
                          struct tri_frame *const *frames,
                          size_t count);
void checker_worker_dies(struct sim *sim, const struct worker *worker);

/* The same of a client, by its instance. */
void checker_client_gets(struct sim *sim, const struct tri_message *message);
void checker_client_sends(struct sim *sim,
                          const struct tri_message *message,
                          struct tri_frame *const *frames,
                          size_t count);

/* ---- tasks ---------------------------------------------------------------------------------- */

void checker_task_begins(struct sim *sim,
                         const struct worker *worker,
                         const struct plan_batch *batch,
                         uint64_t generation,
                         uint64_t index,
                         uint64_t attempt,
                         struct tri_bytes argument);

/* A host of this worker begins something; or ends it. */
void checker_host_begins(struct sim *sim, const struct worker *worker);
void checker_host_works(struct sim *sim, const struct worker *worker);

/* A fault killed the one-oar host that was on this task: it may be charged with a crash. */
void checker_blames(struct sim *sim,
                    const struct plan_batch *batch,
                    uint64_t generation,
                    uint64_t index);

/* So many arguments of that batch can perhaps not be read from the store any more: their tasks may
 * fail. */
void checker_spoils(struct sim *sim, uint64_t number, uint64_t first, uint64_t count);

/* This row of results can perhaps not be read any more. */
void checker_spoils_row(struct sim *sim, uint64_t number, uint64_t row);

/* ARGUMENTS of this and other tasks were answered so. */
void checker_arguments(const struct sim *sim,
                       const struct plan_batch *batch,
                       uint64_t index,
                       enum tri_status status);

/* ---- applications --------------------------------------------------------------------------- */

/* Somebody who reads the results of a batch; `whole`: from its beginning, and alone. */
struct reader *checker_reads(struct sim *sim,
                             const struct plan_batch *batch,
                             bool ordered,
                             bool whole);
void checker_result(struct sim *sim, struct reader *reader, const struct tri_task_result *result);
void checker_run(struct sim *sim, struct reader *reader, const struct tri_result_run *run);

/* It was told that it has everything; `reduced` is the value as JSON or NULL. */
void checker_reader_ends(struct sim *sim,
                         struct reader *reader,
                         const struct tri_batch_summary *summary,
                         const char *reduced);

/* ... or that a row is lost, but nothing else. False: none can be. */
bool checker_lacks(const struct sim *sim, const struct reader *reader);

/* The client has added (sealed) so many arguments, and was told that they are durable. */
void checker_durable(struct sim *sim, const struct plan_batch *batch, uint64_t count, bool sealed);

/* The number that the broker gave a batch; 0: none yet. */
uint64_t checker_number(const struct sim *sim, const struct plan_batch *batch);

/* Every result of what was accepted has been given to somebody. */
void checker_finish(struct sim *sim);

#endif
