/* task.h - exceptional tasks: what failed, waits, crashed, died or was cancelled.
 *
 * Only these are ever looked at one by one. In memory they are up to limits.entries_max, and of
 * them the history of those that are not dead, up to limits.history_bytes_max; all else is in the
 * store only, from where TASKS fetches it (tasks.c). What decides about them is their grade, which
 * is a property of the pool they are in.
 */
#ifndef ENGINE_TASK_H
#define ENGINE_TASK_H

#include "broker/engine/grade.h"
#include "common/buffer.h"
#include "common/proto/message.h"

struct engine;
struct batch;
struct delay;
struct entry;
struct event;
struct lease;
struct session;

/* ---- entry.c: history ---- */

/* Note how a try of a task ended; its TASK row is written with the grade it has now, and its
 * history: in the head what memory keeps, too, else as the payload. What memory has no room for
 * begins its history anew: the store keeps the last try then. */
void entry_note(struct engine *engine,
                struct batch *batch,
                const struct tri_rec_entry *record,
                const struct grade *grade,
                uint64_t wait_ms,
                bool dead);

/* The history of a task as the store has it; `dead` and pending are not its business. TRI_STORE
 * when it cannot be. */
struct stored_task;
enum tri_status entry_restore(struct engine *engine,
                              struct batch *batch,
                              uint64_t index,
                              const struct stored_task *stored,
                              uint64_t payload_bytes,
                              struct tri_error *error);

/* This row says how the tasks died. */
void entry_bury(struct batch *batch, const struct tri_rangeset *tasks, uint64_t row);

/* Add the rows that say how the tasks died. False: of some of them nobody knows in which. */
bool entry_rows(const struct batch *batch,
                const struct tri_rangeset *tasks,
                struct tri_rangeset *rows);

/* The tasks have succeeded (or run again from the start): their history goes. */
void entry_forget(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks);
void entry_free_all(struct engine *engine, struct batch *batch);

/* ---- delay.c: waiting for the next try ---- */

/* Tasks of a batch wait `wait_ms` and are pending with `grade` then. */
void delay_new(struct engine *engine,
               struct batch *batch,
               const struct grade *grade,
               const struct tri_rangeset *tasks,
               uint64_t wait_ms);

/* The store says that a task waits; together with the one before if that waits for the same. */
void delay_restore(struct engine *engine,
                   struct batch *batch,
                   const struct grade *grade,
                   uint64_t index,
                   uint64_t wait_ms);
void delay_free(struct engine *engine, struct delay *self);

/* Take tasks out of every delay of the batch; returns how many there were. */
uint64_t delay_pull(struct engine *engine, struct batch *batch, struct tri_range range);

/* Everything delayed is cancelled. */
void delay_cancel_all(struct engine *engine, struct batch *batch, struct tri_rangeset *cancelled);

/* What is due becomes pending. */
void delay_expire(struct engine *engine);

/* ---- suspects.c ---- */

/* Write down which tasks are suspects, if that has changed. */
void suspects_note(struct engine *engine, struct batch *batch);

/* Make suspects of what its row names and is pending. False: these bytes are not ours. */
bool suspects_restore(struct batch *batch);

/* ---- ended.c, retry.c, cancel.c, halt.c ---- */

void on_results(struct engine *engine,
                struct session *session,
                const struct tri_msg_results *results,
                const struct event *event);
void on_partial(struct engine *engine,
                struct session *session,
                const struct tri_msg_partial *partial,
                const struct event *event);
void on_ended(struct engine *engine, struct session *session, const struct tri_msg_ended *ended);
void on_retry(struct engine *engine, struct session *session, const struct tri_msg_retry *retry);
void on_cancel(struct engine *engine, struct session *session, const struct tri_msg_cancel *cancel);
void on_forget(struct engine *engine, struct session *session, const struct tri_msg_forget *forget);

/* Tasks of a lease are dead, all for the same reason: `entry`, which stands for each of them in
 * their row, so that it fits into the room that the lease had. */
void bury_tasks(struct engine *engine,
                const struct lease *lease,
                const struct tri_rangeset *tasks,
                const struct tri_rec_entry *entry);

void on_submit(struct engine *engine, struct session *session, const struct tri_msg_submit *submit);

/* What is wrong with a spec that could be decoded, or NULL. */
const char *submit_fault(const struct tri_rec_spec *spec);

/* Report cancelled tasks to the batch's clients: one row however many they are. */
void cancel_report(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks);

/* Cancel everything that has not ended; what runs, too, when `running`. Returns how many. */
uint64_t cancel_rest(struct engine *engine, struct batch *batch, bool running);

/* Start nothing more of a batch: it will be HALTED when what runs has ended (NOW: at once). */
void halt_batch(struct engine *engine, struct batch *batch, enum tri_halt how, const char *reason);

/* After a restart: what nobody came back with is cancelled, what has not been started asked back.
 */
void halt_again(struct engine *engine, struct batch *batch);

/* Halt it if its rule says so, after a task died. */
void halt_if_due(struct engine *engine, struct batch *batch);

/* Halt it if every worker that could run it has refused to. */
void halt_if_refused(struct engine *engine, struct batch *batch);

/* True for a report that is to be processed: the next of this worker. Answers the others. */
bool report_is_next(struct engine *engine, struct session *session, uint64_t seq);

/* Tell the worker that every report up to the last is durable. */
void report_take(struct engine *engine, struct session *session, uint64_t seq);

/* Tasks that took so long together: what leases of the batch are sized by. */
void report_measure(struct session *session, struct batch *batch, uint64_t tasks, uint64_t wall_ns);

/* Oar-time that was charged by estimate when they were leased (NULL: it has been given back) is
 * corrected by what they took. */
void report_charge(struct batch *batch,
                   const struct lease *lease,
                   uint64_t tasks,
                   uint64_t wall_ns);

/* Results from this worker count for the batch: wall and CPU time, and that it took part. */
void report_account(struct engine *engine,
                    struct session *session,
                    struct batch *batch,
                    uint64_t tasks,
                    uint64_t wall_ns,
                    uint64_t cpu_ns,
                    uint64_t model);

#endif
