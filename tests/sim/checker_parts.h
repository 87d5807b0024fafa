/* checker_parts.h - what the parts of the checker do for each other. Private to checker*.c. */
#ifndef CHECKER_PARTS_H
#define CHECKER_PARTS_H

#include "tests/sim/checker_state.h"

/* ---- checker.c ------------------------------------------------------------------------------ */

struct watch *watch_find(const struct sim *sim, uint64_t number);
struct task *watch_task(const struct sim *sim, struct watch *watch, uint64_t index);

/* ---- checker_hold.c ------------------------------------------------------------------------- */

/* The broker is about to take it, and has done so. */
void hold_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);
void hold_got(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

void hold_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

/* The broker has died. */
void hold_forget(struct sim *sim);

/* It was said of these tasks that this lease of them is over. */
void hold_returns(struct sim *sim, struct watch *watch, uint64_t lease, struct tri_ranges ranges);
void hold_worker_gets(struct sim *sim,
                      const struct worker *worker,
                      const struct tri_message *message);
void hold_worker_sends(struct sim *sim,
                       const struct worker *worker,
                       const struct tri_message *message);
void hold_lends(struct sim *sim,
                const struct peer_id *peer,
                const struct tri_msg_lease *lease,
                struct task *task);

/* A task begins, of a lease of that generation. */
void hold_begins(const struct sim *sim,
                 const struct worker *worker,
                 struct watch *watch,
                 uint64_t generation,
                 uint64_t index);

/* ---- checker_vanish.c ----------------------------------------------------------------------- */

/* Who speaks from there; NULL: no worker. */
struct mate *vanish_mate(const struct sim *sim, const struct peer_id *peer);

/* By its name; it is made when it is new. */
struct mate *vanish_mate_of(struct checker *self, struct tri_bytes instance);
void vanish_end(struct checker *self);

void vanish_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

/* A LEASE of one isolated task. */
void vanish_lends(struct sim *sim, const struct peer_id *peer, struct task *task);

/* Workers that have vanished with it so far while it was alone there. */
uint64_t vanish_count(const struct sim *sim, struct task *task);

/* ---- checker_count.c ------------------------------------------------------------------------ */

void count_gets(struct sim *sim,
                const struct peer_id *peer,
                const struct tri_message *message,
                struct tri_frame *const *frames,
                size_t count);
void count_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

/* ---- checker_row.c -------------------------------------------------------------------------- */

void row_sends(struct sim *sim,
               const struct tri_message *message,
               struct tri_frame *const *frames,
               size_t count);

/* An owner has these rows, and they may go. */
void row_acknowledge(struct watch *watch, struct tri_ranges rows);

/* Rows that nobody has ever got, and perhaps cannot: their disk has rotted. */
uint64_t row_lost_count(const struct watch *watch);

/* The row in which it ended has been acknowledged. */
bool row_may_be_gone(const struct watch *watch, const struct task *task);

/* What the reducer of the batch makes of the tasks that `is_counted` says: decimal digits. */
typedef bool count_fn(const struct task *task);
void row_expect_reduced(const struct watch *watch, count_fn *is_counted, char *text, size_t size);

/* It may halt by itself. */
bool row_may_halt(const struct sim *sim, const struct plan_batch *batch);

/* ---- checker_retry.c ------------------------------------------------------------------------ */

void retry_gets(struct sim *sim, const struct tri_msg_retry *retry);
void retry_got(struct sim *sim);

/* It was told that tasks in [first, first+count) were retried when those were of `generation`; or
 * one of them is leased in a later one. */
void retry_ends(struct sim *sim, struct task *task, uint64_t generation, bool for_good);

/* The broker has died. */
void retry_forget(struct watch *watch);

/* A row of failures shows none that was retried, whenever it is sent. */
void retry_check(struct sim *sim,
                 struct watch *watch,
                 const struct tri_msg_row *row,
                 struct tri_bytes frame);

/* It was sent before with other tasks: it may only lack those that were retried. */
void retry_check_rest(struct sim *sim, struct watch *watch, const struct tri_msg_row *row);

/* The row goes from the store because all of it is being retried. */
bool retry_takes(const struct sim *sim, const struct watch *watch, uint64_t row);

/* ... and before anybody had seen it: rows of the generation that has ended were all sent. */
bool retry_has_taken(const struct watch *watch, uint64_t row, uint64_t generation);

/* ---- checker_promise.c ---------------------------------------------------------------------- */

/* What is asked for or reported, before the broker hears it; and what it acknowledges. */
void promise_gets(struct sim *sim,
                  const struct peer_id *peer,
                  const struct tri_message *message,
                  struct tri_ranges runs);
void promise_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

void promise_lends(struct sim *sim, struct watch *watch, const struct tri_msg_lease *lease);

/* The broker cannot but take this result: nothing else can have become of the task. */
bool promise_is_sure(const struct sim *sim,
                     const struct loan *loan,
                     const struct watch *watch,
                     uint64_t index);
void promise_begin(struct checker *self);
void promise_end(struct checker *self);

/* ---- checker_credit.c ----------------------------------------------------------------------- */

void window_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);
void window_sends(struct sim *sim,
                  const struct peer_id *peer,
                  const struct tri_message *message,
                  uint64_t bytes);

/* Who is there has said that it has everything, only to be held back for no longer. */
bool window_has_left(const struct sim *sim, const struct peer_id *peer, uint64_t number);

/* The broker has died, and all connections with it. */
void window_forget(struct checker *self);
void credit_begin(struct checker *self);
void credit_end(struct checker *self);

/* ---- checker_reserve.c ---------------------------------------------------------------------- */

/* `runs`: of a report, the tasks with results. */
void reserve_gets(struct sim *sim, const struct tri_message *message, struct tri_ranges runs);

/* CREDIT for this lease that does not fit into the window of its owner. */
void reserve_lends(struct sim *sim, uint64_t lease);

/* ---- checker_policy.c ----------------------------------------------------------------------- */

void policy_gets(const struct sim *sim,
                 const struct peer_id *peer,
                 const struct tri_message *message);

void policy_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message);

/* A failure of the attempt that counts. */
void policy_ended(const struct sim *sim,
                  struct task *task,
                  uint64_t generation,
                  const struct tri_rec_entry *entry);
void policy_lends(const struct sim *sim,
                  const struct peer_id *peer,
                  const struct watch *watch,
                  const struct tri_msg_lease *lease);

/* `dead`: so many of its tasks are. */
void policy_ends(const struct sim *sim,
                 struct watch *watch,
                 const struct tri_msg_end *end,
                 uint64_t dead);

/* ---- checker_reclaim.c ---------------------------------------------------------------------- */

/* A worker says HELLO; the broker answers it. */
void reclaim_gets(struct sim *sim, struct mate *mate, const struct tri_msg_hello *hello);
void reclaim_sends(const struct sim *sim, struct mate *mate, const struct tri_message *message);

/* The broker dies: before what it had is forgotten. */
void reclaim_dies(struct sim *sim);

/* ---- checker_reader.c ----------------------------------------------------------------------- */

void readers_end(struct checker *self);

#endif
