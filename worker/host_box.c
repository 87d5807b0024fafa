#include "worker/host_box.h"

#include "common/proto/codec.h"

#include <stdlib.h>
#include <string.h>

void host_runs_grow(struct host_runs *self, uint64_t index)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity != 0 ? self->capacity * 2 : 16;
        self->items = tri_realloc(self->items, self->capacity, sizeof(self->items[0]));
    }
    self->items[self->count++] = (struct tri_range){ index, 1 };
}

static void haul_init(struct haul *self, const char *reducer)
{
    *self = (struct haul){ 0 };
    tri_chunk_builder_init(&self->values);
    if (reducer != NULL) {
        self->reducer = tri_reducer_new(reducer, NULL);
        tri_assert(self->reducer != NULL);
        self->grows = !tri_reducer_is_bounded(self->reducer);
    }
}

void haul_deinit(struct haul *self)
{
    tri_chunk_builder_deinit(&self->values);
    tri_reducer_destroy(&self->reducer);
    tri_buffer_deinit(&self->entries);
    tri_buffer_deinit(&self->task_us);
    free(self->value_runs.items);
    free(self->folded.items);
    *self = (struct haul){ 0 };
}

static uint64_t runs_total(const struct host_runs *runs)
{
    uint64_t total = 0;

    for (size_t i = 0; i < runs->count; i++)
        total += runs->items[i].count;
    return total;
}

uint64_t haul_count(const struct haul *self)
{
    return runs_total(&self->value_runs) + runs_total(&self->folded) + self->entry_count;
}

struct box *box_new(struct lease *lease, const char *reducer)
{
    struct box *self = tri_alloc(1, sizeof(*self));

    self->lease = lease;
    haul_init(&self->haul, reducer);
    tri_dlist_push_back(&lease->boxes, &self->node);
    return self;
}

void box_destroy(struct box **self)
{
    if (*self == NULL)
        return;
    tri_dlist_remove(&(*self)->lease->boxes, &(*self)->node);
    haul_deinit(&(*self)->haul);
    free(*self);
    *self = NULL;
}

void box_give(struct box *self, const char *reducer, struct haul *haul)
{
    *haul = self->haul;
    haul_init(&self->haul, reducer);
}

uint64_t box_forget(struct box *self)
{
    struct haul *haul = &self->haul;
    uint64_t count = haul_count(haul);

    tri_chunk_builder_clear(&haul->values);
    tri_buffer_clear(&haul->entries);
    tri_buffer_clear(&haul->task_us);
    if (haul->reducer != NULL)
        tri_reducer_reset(haul->reducer);
    haul->value_runs.count = haul->folded.count = haul->entry_count = 0;
    haul->scattered = haul->sampled = haul->swollen = false;
    return count;
}

static enum tri_status check(const struct tri_value *value, struct tri_error *error)
{
    size_t size;

    if (value->type == TRI_ANY || value->type > TRI_COMPOUND)
        return tri_fail(error, TRI_FAILED, "the handler left a value of no known type");
    if (value->type == TRI_COMPOUND
        && (tri_msgpack_guard(value->bytes, &size, NULL) != TRI_OK || size != value->bytes.size))
        return tri_fail(error, TRI_FAILED, "the handler left a compound that is not msgpack");
    return TRI_OK;
}

/* Is it within the cap? An array of outputs may have its heads and exit code beside them. */
static bool fits(const struct tri_value *value, uint64_t bytes_max)
{
    uint64_t room = value->type == TRI_COMPOUND ? HOST_ENVELOPE_BYTES : 0;

    return value->type < TRI_STRING || value->bytes.size <= bytes_max + room;
}

/* What may be kept of `*value`: all of it, or, where asked for, bytes that are `cut` to the cap; a
 * cut array would not be a value. */
static enum tri_status judge(const struct tri_value **value,
                             struct tri_value *cut,
                             const struct batch *batch,
                             struct tri_error *error)
{
    enum tri_status status = check(*value, error);

    if (status != TRI_OK || fits(*value, batch->output_bytes_max))
        return status;
    if ((batch->spec.flags & TRI_SPEC_TRUNCATE) == 0 || (*value)->type == TRI_COMPOUND)
        return tri_fail(error, TRI_TOO_LARGE, "a value of %zu bytes is over the cap of %llu",
                        (*value)->bytes.size, (unsigned long long)batch->output_bytes_max);
    *cut = **value;
    cut->bytes.size = batch->output_bytes_max;
    *value = cut;
    return TRI_OK;
}

enum tri_status box_keep_value(struct box *self,
                               uint64_t index,
                               const struct tri_value *value,
                               const struct batch *batch,
                               struct tri_error *error)
{
    struct haul *haul = &self->haul;
    struct host_runs *runs = &haul->value_runs;
    struct tri_value cut;

    if (value->type != TRI_INT) {
        enum tri_status status = judge(&value, &cut, batch, error);

        if (status != TRI_OK)
            return status;
    }
    tri_value_pack(&haul->values.blob, value);
    tri_chunk_builder_close_value(&haul->values);
    if (runs->count != 0 && index < runs->items[runs->count - 1].first)
        haul->scattered = true;
    host_runs_add(runs, index);
    return TRI_OK;
}

enum tri_status box_fold(struct box *self,
                         uint64_t index,
                         const struct tri_value *value,
                         const struct batch *batch,
                         struct tri_error *error)
{
    struct tri_value cut;
    enum tri_status status = judge(&value, &cut, batch, error);

    if (status == TRI_OK)
        status = tri_reducer_fold(self->haul.reducer, index, value, error);
    if (status != TRI_OK)
        return status;
    host_runs_add(&self->haul.folded, index);
    self->haul.swollen =
        self->haul.grows && tri_reducer_partial_bytes(self->haul.reducer) >= HOST_FLUSH_BYTES;
    return TRI_OK;
}

static uint32_t microseconds(uint64_t ns)
{
    return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

void box_cost(struct box *self, struct task_cost cost)
{
    uint32_t pair[2] = { microseconds(cost.wall_ns), microseconds(cost.cpu_ns) };

    self->haul.wall_ns += cost.wall_ns;
    if (self->haul.reducer == NULL)
        tri_buffer_append(&self->haul.task_us, pair, sizeof(pair));
}

void box_entry(struct box *self,
               uint64_t index,
               enum tri_outcome outcome,
               enum tri_model model,
               struct tri_bytes text,
               const struct tri_value *value,
               const struct batch *batch,
               struct task_cost cost)
{
    struct tri_buffer packed;
    struct tri_rec_entry entry = {
        .index = index,
        .outcome = outcome,
        .attempts = self->lease->attempt,
        .error = { text.data, text.size < 4096 ? text.size : 4096 },
        .wall_us = cost.wall_ns / 1000,
        .cpu_us = cost.cpu_ns / 1000,
        .model = model,
    };

    tri_buffer_init(&packed);
    if (value != NULL && value->type != TRI_NIL && check(value, NULL) == TRI_OK
        && fits(value, batch->output_bytes_max))
        tri_value_pack(&packed, value);
    if (packed.size <= TRI_OUTPUT_BYTES_LIMIT)
        entry.value = tri_buffer_bytes(&packed);
    tri_record_encode(TRI_RECORD_ENTRY, &entry, &self->haul.entries);
    self->haul.entry_count++;
    self->haul.wall_ns += cost.wall_ns;
    tri_buffer_deinit(&packed);
}
