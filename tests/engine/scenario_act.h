/* scenario_act.h - what clients and workers of a story do. Part of scenario.h, which includes it.
 */
#ifndef SCENARIO_ACT_H
#define SCENARIO_ACT_H

#include "tests/engine/scenario.h"

/* ---- clients ---- */

void client_submits(struct scenario *s, const char *client, const char *batch, uint64_t count);
void client_submits_with(struct scenario *s,
                         const char *client,
                         const char *batch,
                         uint64_t count,
                         uint64_t window_bytes,
                         const struct scenario_spec *spec);

/* An open batch of items; then items by position, all of `item_bytes`. */
void client_opens(struct scenario *s, const char *client, const char *batch, uint64_t window_bytes);
void client_opens_with(struct scenario *s,
                       const char *client,
                       const char *batch,
                       uint64_t window_bytes,
                       const struct scenario_spec *spec);
void client_appends(struct scenario *s, const char *client, const char *batch, uint64_t count);
void client_appends_at(struct scenario *s,
                       const char *client,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       size_t item_bytes,
                       char fill);
void client_seals(struct scenario *s, const char *client, const char *batch);
void client_attaches(
    struct scenario *s, const char *client, const char *batch, bool owner, uint64_t window_bytes);
void client_acks(struct scenario *s, const char *client, const char *batch, uint64_t row);
void client_cancels(struct scenario *s, const char *client, const char *batch);
void client_cancels_tasks(
    struct scenario *s, const char *client, const char *batch, uint64_t first, uint64_t count);
void client_retries(struct scenario *s, const char *client, const char *batch);
void client_retries_tasks(
    struct scenario *s, const char *client, const char *batch, uint64_t first, uint64_t count);
void client_forgets(struct scenario *s, const char *client, const char *batch);
void client_asks(struct scenario *s, const char *client, struct tri_message *message);

/* ---- the store ---- */

void store_has_room(struct scenario *s, uint64_t bytes);

/* ---- workers: about tasks of leases that they have been given ---- */

void worker_returns(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count);

/* The same with the size of each value and the wall time of each task. */
void worker_returns_in(struct scenario *s,
                       const char *worker,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       size_t value_bytes,
                       uint64_t task_ns);
void worker_returns_everything(struct scenario *s, const char *worker, uint64_t task_ns);
void worker_folds(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count);
void worker_fails(struct scenario *s,
                  const char *worker,
                  const char *batch,
                  uint64_t index,
                  enum tri_outcome outcome);
/* One report of tasks that failed by themselves, after `task_us` each. */
void worker_fails_many(struct scenario *s,
                       const char *worker,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       uint64_t task_us);
void worker_starts(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count);
void worker_releases(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count);
void worker_wants(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t bytes);

/* The lease of the worker that task `index` was last given in, reported or not. */
struct held *lease_of(struct scenario *s, const char *worker, const char *batch, uint64_t index);

#endif
