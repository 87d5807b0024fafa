/* batch.h - a batch: what it asks for, where its tasks stand, and what it owes to whom.
 *
 * At any moment every task is in exactly one of: a pool (pending), a delay, the undone part of a
 * lease, done, dead, cancelled (guarantee 2). The functions here move ranges between those and
 * keep the counts; they touch the batch, so that dispatch settles what follows.
 *
 * Time: O(log ranges) per range moved.   Memory: belongs to the engine.
 */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "broker/engine/batch_state.h"

/* ---- life ---- */

/* The batch of that number if `session` may know of it; NULL after an ERROR NOTFOUND. */
struct batch *batch_find(struct engine *engine,
                         struct session *session,
                         uint64_t number,
                         uint64_t request);

/* Whether each of these ranges begins with a task of the batch; false after an ERROR NOTFOUND. */
bool batch_has_tasks(struct engine *engine,
                     struct session *session,
                     const struct batch *self,
                     struct tri_ranges tasks,
                     uint64_t request);
struct batch *batch_new(struct engine *engine,
                        struct session *session,
                        const struct tri_msg_submit *submit,
                        const struct tri_rec_spec *spec);

/* A batch as the store has it: nothing of it is pending, and no set has been read. NULL: there are
 * too many classes. */
struct stored_batch;
struct batch *batch_restore(struct engine *engine,
                            uint64_t number,
                            const struct stored_batch *stored,
                            const struct tri_rec_spec *spec);

/* Remove every trace of it, in the store too. */
void batch_forget(struct engine *engine, struct batch *self);
void batch_free(struct engine *engine, struct batch *self);

/* Write its row of the store: now, or when the step has settled. */
void batch_put(struct engine *engine, struct batch *self);
void batch_put_later(struct engine *engine, struct batch *self);

/* Something changed: dispatch settles it before the step ends. `batch_gain` also says that there is
 * more to lease than before. */
void batch_touch(struct engine *engine, struct batch *self);
void batch_gain(struct engine *engine, struct batch *self);

/* Seal what has been open without its client for too long; forget what ended too long ago. */
void batch_expire_unfed(struct engine *engine);
void batch_expire_ended(struct engine *engine);

/* Halt those that no worker here has been willing to run for too long (halt.c). */
void batch_expire_forsaken(struct engine *engine);

/* Who appends to an open batch; NULL: nobody, and its grace begins. Who comes back to it goes on;
 * another client that takes it over follows its results, and cannot know what is still to be added.
 */
void batch_set_feeder(struct engine *engine, struct batch *self, struct session *session);
bool batch_may_be_fed_by(const struct batch *self, const struct session *session);

/* Go on to another state (lifecycle.h). */
void batch_set_state(struct batch *self, enum tri_batch_state state);

/* No task will be added. */
void batch_seal(struct engine *engine, struct batch *self, const char *reason);
void batch_set_reason(struct batch *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void batch_clear_reason(struct batch *self);

static inline bool batch_has_ended(const struct batch *self)
{
    return self->state == TRI_BATCH_DONE || self->state == TRI_BATCH_HALTED
           || self->state == TRI_BATCH_CANCELLED;
}

/* ---- where its tasks are ---- */

/* Make tasks pending. In a batch that halts they are cancelled instead. */
void batch_add_pending(struct engine *engine,
                       struct batch *self,
                       const struct grade *grade,
                       const struct tri_rangeset *tasks);

/* The store says that these wait for a worker. */
void batch_restore_pending(struct batch *self,
                           const struct grade *grade,
                           uint64_t first,
                           uint64_t count);

/* Tasks [first, first+count) are new. */
void batch_add_fresh(struct engine *engine, struct batch *self, uint64_t first, uint64_t count);

/* The pool with the smallest pending index that may be leased; NULL: nothing is pending. With
 * `no_suspects` pools of suspects are passed over. */
struct pool *batch_first_pool(struct batch *self, bool no_suspects);

/* Take [first, first+count) out of its pool, which is freed when empty (the fresh one is kept). */
void batch_take(struct batch *self, struct pool *pool, uint64_t first, uint64_t count);

/* Free a pool (not the fresh one) that has nothing pending. */
void pool_free_if_empty(struct batch *self, struct pool *pool);

/* Take tasks out of wherever they are pending, delayed or leased; what was leased is cancelled at
 * its worker. Returns how many there were. */
uint64_t batch_pull(struct engine *engine, struct batch *self, struct tri_range range);

/* Tasks that are done, dead or cancelled now; they have been taken out of where they were. */
void batch_add_done(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks);
void batch_add_dead(struct engine *engine, struct batch *self, const struct tri_rangeset *tasks);
void batch_add_cancelled(struct engine *engine,
                         struct batch *self,
                         const struct tri_rangeset *tasks);

/* The first run of tasks in [at, end) that have not ended. */
bool batch_next_undone(const struct batch *self, uint64_t at, uint64_t end, struct tri_range *out);

/* Something of it can be leased now (dispatch.c). The second also makes a batch that lacks memory
 * wait for it. */
bool batch_may_be_leased(const struct engine *engine, struct batch *self);
bool batch_is_ready(struct engine *engine, struct batch *self);

const char *batch_state_text(uint64_t state);

/* The smallest index that has not ended; count when all have. */
uint64_t batch_oldest(struct batch *self);

#endif
