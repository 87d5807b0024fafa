/* host_box.h - finished tasks of one lease, waiting to leave.
 *
 * Time:    keeping a value is a few instructions; moving a haul out is O(1).
 * Threads: a box belongs to its owner (host_state.h); a haul that was moved out to its holder.
 * Memory:  values are copied.
 * Errors:  keeping fails with TRI_TOO_LARGE, or as the reducer says; then nothing was kept.
 */
#ifndef HOST_BOX_H
#define HOST_BOX_H

#include "worker/host_state.h"

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* A box in lease->boxes without an owner; `reducer` is NULL or the batch's (known to be good). */
struct box *box_new(struct lease *lease, const char *reducer);
void box_destroy(struct box **self);

/* How many tasks the haul accounts for. */
uint64_t haul_count(const struct haul *self);

/* Move everything out of the box into `*haul`, an uninitialised struct; the box is empty. */
void box_give(struct box *self, const char *reducer, struct haul *haul);
void haul_deinit(struct haul *self);

/* Forget what is in the box. Returns how many tasks that were. */
uint64_t box_forget(struct box *self);

void host_runs_grow(struct host_runs *self, uint64_t index);

static inline void host_runs_add(struct host_runs *self, uint64_t index)
{
    if (likely(self->count != 0)) {
        struct tri_range *last = &self->items[self->count - 1];

        if (likely(last->first + last->count == index)) {
            last->count++;
            return;
        }
    }
    host_runs_grow(self, index);
}

/* The rarer halves of box_keep. */
enum tri_status box_keep_value(struct box *self,
                               uint64_t index,
                               const struct tri_value *value,
                               const struct batch *batch,
                               struct tri_error *error);
enum tri_status box_fold(struct box *self,
                         uint64_t index,
                         const struct tri_value *value,
                         const struct batch *batch,
                         struct tri_error *error);

/* Keep what task `index` gave. */
static inline enum tri_status box_keep(struct box *self,
                                       uint64_t index,
                                       const struct tri_value *value,
                                       const struct batch *batch,
                                       struct tri_error *error)
{
    struct tri_reducer *reducer = self->haul.reducer;

    if (reducer == NULL)
        return box_keep_value(self, index, value, batch, error);
    if (value->type != TRI_INT || unlikely(self->haul.grows)
        || unlikely(tri_reducer_fold_int(reducer, index, value->integer) != TRI_OK))
        return box_fold(self, index, value, batch, error);
    host_runs_add(&self->haul.folded, index);
    return TRI_OK;
}

/* What a task cost. */
struct task_cost {
    uint64_t wall_ns;
    uint64_t cpu_ns;
};

/* Account for the value kept last, timed alone. */
void box_cost(struct box *self, struct task_cost cost);

/* Record a task that did not end well. `value` may be NULL; over the cap it is left out. */
void box_entry(struct box *self,
               uint64_t index,
               enum tri_outcome outcome,
               enum tri_model model,
               struct tri_bytes text,
               const struct tri_value *value,
               const struct batch *batch,
               struct task_cost cost);

/* Time to send it, without waiting for more? */
static inline bool box_is_full(const struct box *self)
{
    return self->haul.values.blob.size >= HOST_FLUSH_BYTES
           || self->haul.value_runs.count >= HOST_FLUSH_RUNS
           || self->haul.folded.count >= HOST_FLUSH_RUNS || self->haul.swollen
           || self->haul.entries.size >= HOST_FLUSH_BYTES;
}

static inline bool box_is_empty(const struct box *self)
{
    return self->haul.value_runs.count == 0 && self->haul.folded.count == 0
           && self->haul.entry_count == 0;
}

#endif
