#include "broker/engine/resume.h"
#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* A lease carries about this much of items; a chunk that is larger alone travels in one piece. */
#define LEASE_ITEM_BYTES_MAX (UINT64_C(2) << 20)

/* Frames of one LEASE at most. */
#define LEASE_CHUNKS_MAX 256

/* ---- life ----------------------------------------------------------------------------------- */

void stock_new(struct engine *engine, struct batch *batch)
{
    struct stock *self = tri_alloc(1, sizeof(*self));

    self->state = XXH3_createState();
    tri_assert(self->state != NULL);
    XXH3_128bits_reset(self->state);
    batch->stock = self;
    credit_append(engine, batch);
}

bool stock_restore(struct batch *batch,
                   struct tri_bytes hash,
                   struct tri_bytes hashing,
                   uint64_t appended_bytes)
{
    struct stock *self = tri_alloc(1, sizeof(*self));

    batch->stock = self;
    self->appended_bytes = self->credit_bytes = self->told_bytes = appended_bytes;
    memcpy(self->hash, hash.data, sizeof(self->hash));
    if (batch->sealed)
        return true;
    self->state = XXH3_createState();
    tri_assert(self->state != NULL);
    return resume_open(hashing, self->state);
}

static void drop(struct engine *engine, struct chunk *chunk)
{
    struct stock *stock = chunk->batch->stock;

    if (chunk->dropped)
        return;
    chunk->dropped = true;
    if (tri_dlist_is_linked(&chunk->spent))
        tri_dlist_remove(&engine->spent_chunks, &chunk->spent);
    else
        stock->live_bytes -= chunk->bytes;
    engine->memory.chunk_bytes -= chunk->bytes;
    memory_freed(engine);
}

static void forget_dropped(struct stock *self)
{
    while (self->first < self->count && self->chunks[self->first]->dropped)
        free(self->chunks[self->first++]);
    if (self->first > 64 && self->first > self->count / 2) {
        self->count -= self->first;
        memmove(self->chunks, self->chunks + self->first, self->count * sizeof(*self->chunks));
        self->first = 0;
    }
}

static void end_hash(struct stock *self)
{
    if (self->state == NULL)
        return;
    stock_hash(self);
    XXH3_freeState(self->state);
    self->state = NULL;
}

void stock_destroy(struct engine *engine, struct batch *batch)
{
    struct stock *self = batch->stock;

    if (self == NULL)
        return;
    engine->memory.granted_bytes -= self->credit_bytes - self->appended_bytes;
    for (size_t i = self->first; i < self->count; i++) {
        drop(engine, self->chunks[i]);
        free(self->chunks[i]);
    }
    end_hash(self);
    free(self->chunks);
    free(self);
    batch->stock = NULL;
}

void stock_seal(struct engine *engine, struct batch *batch)
{
    struct stock *self = batch->stock;

    engine->memory.granted_bytes -= self->credit_bytes - self->appended_bytes;
    self->credit_bytes = self->appended_bytes;
    end_hash(self);
    forget_dropped(self);
    memory_freed(engine);
}

struct tri_bytes stock_hash(struct stock *self)
{
    if (self->state != NULL) {
        XXH128_hash_t digest = XXH3_128bits_digest(self->state);
        XXH128_canonical_t canonical;

        XXH128_canonicalFromHash(&canonical, digest);
        memcpy(self->hash, canonical.digest, sizeof(self->hash));
    }
    return (struct tri_bytes){ self->hash, sizeof(self->hash) };
}

/* ---- chunks --------------------------------------------------------------------------------- */

void stock_add(struct engine *engine, struct batch *batch, const struct chunk *values)
{
    struct stock *self = batch->stock;
    struct chunk *chunk = tri_alloc(1, sizeof(*chunk));

    *chunk = *values;
    chunk->batch = batch;
    chunk->left = chunk->count;
    if (self->count == self->capacity) {
        self->capacity = self->capacity != 0 ? self->capacity * 2 : 8;
        self->chunks = tri_realloc(self->chunks, self->capacity, sizeof(struct chunk *));
    }
    self->chunks[self->count++] = chunk;
    self->live_bytes += chunk->bytes;
    engine->memory.chunk_bytes += chunk->bytes;
}

/* The position of the last chunk that begins at or before `index`; count when there is none. */
static size_t position(const struct stock *self, uint64_t index)
{
    size_t low = self->first;
    size_t high = self->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (self->chunks[middle]->first <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low > self->first ? low - 1 : self->count;
}

struct chunk *stock_find(const struct stock *self, uint64_t index)
{
    size_t at = position(self, index);

    if (at == self->count || index - self->chunks[at]->first >= self->chunks[at]->count)
        return NULL;
    return self->chunks[at];
}

uint64_t stock_end(const struct stock *self, uint64_t index)
{
    size_t at = position(self, index);
    const struct chunk *chunk = at != self->count ? self->chunks[at] : NULL;

    if (chunk != NULL && index - chunk->first < chunk->count)
        return chunk->first + chunk->count;
    at = chunk != NULL ? at + 1 : self->first;
    return at < self->count ? self->chunks[at]->first : UINT64_MAX;
}

/* ---- tasks end ------------------------------------------------------------------------------ */

/* While items may follow, the newest chunk's row says where they go on. */
static bool is_newest(const struct chunk *chunk)
{
    return !chunk->batch->sealed && chunk->first + chunk->count == chunk->batch->count;
}

static void settle(struct engine *engine, struct chunk *chunk)
{
    struct stock *stock = chunk->batch->stock;

    if (chunk->left == 0 && !chunk->dropped) {
        if (is_newest(chunk))
            batch_put_later(engine, chunk->batch);
        out_delete(&engine->out,
                   (struct store_key){ STORE_CHUNK, chunk->batch->number, chunk->first });
        drop(engine, chunk);
    } else if (chunk->left == chunk->dead && !chunk->dropped
               && !tri_dlist_is_linked(&chunk->spent)) {
        stock->live_bytes -= chunk->bytes;
        tri_dlist_push_back(&engine->spent_chunks, &chunk->spent);
        memory_freed(engine);
    }
}

static void end_in_chunk(struct engine *engine, struct chunk *chunk, uint32_t count, bool dead)
{
    if (dead)
        chunk->dead += count;
    else
        chunk->left -= count;
    settle(engine, chunk);
}

/* Visit the part of each chunk that a range covers. */
typedef void part_fn(struct engine *engine, struct chunk *chunk, uint32_t count, bool dead);

static void each_part(
    struct engine *engine, struct stock *stock, struct tri_range range, part_fn *visit, bool dead)
{
    for (size_t at = position(stock, range.first); range.count != 0; at++) {
        struct chunk *chunk = stock->chunks[at];
        uint64_t inside = chunk->first + chunk->count - range.first;
        uint64_t count = range.count < inside ? range.count : inside;

        visit(engine, chunk, (uint32_t)count, dead);
        range.first += count;
        range.count -= count;
    }
}

void stock_end_tasks(struct engine *engine,
                     struct batch *batch,
                     const struct tri_rangeset *tasks,
                     bool dead)
{
    struct stock *self = batch->stock;
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        each_part(engine, self, range, end_in_chunk, dead);
    if (batch->sealed)
        forget_dropped(self);
    else
        credit_append(engine, batch);
}

/* ---- recovery ------------------------------------------------------------------------------- */

void stock_recovered(struct engine *engine, struct batch *batch)
{
    struct stock *self = batch->stock;

    for (size_t i = self->first; i < self->count; i++) {
        struct chunk *chunk = self->chunks[i];

        chunk->left -= tri_rangeset_count_in(&batch->done, chunk->first, chunk->count)
                       + tri_rangeset_count_in(&batch->cancelled, chunk->first, chunk->count);
        chunk->dead = tri_rangeset_count_in(&batch->dead, chunk->first, chunk->count);
        if (chunk->left == 0) {
            drop(engine, chunk);
        } else if (chunk->left == chunk->dead) {
            self->live_bytes -= chunk->bytes;
            tri_dlist_push_back(&engine->spent_chunks, &chunk->spent);
        }
    }
}

/* ---- retry by hand -------------------------------------------------------------------------- */

bool stock_has(const struct stock *self, const struct tri_rangeset *tasks)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range);) {
        const struct chunk *chunk = stock_find(self, range.first);

        if (chunk == NULL || chunk->dropped)
            return false;
        at = chunk->first + chunk->count;
    }
    return true;
}

static void revive_in_chunk(struct engine *engine, struct chunk *chunk, uint32_t count, bool dead)
{
    (void)dead;
    chunk->dead -= count;
    if (tri_dlist_is_linked(&chunk->spent)) {
        tri_dlist_remove(&engine->spent_chunks, &chunk->spent);
        chunk->batch->stock->live_bytes += chunk->bytes;
    }
}

void stock_revive(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(tasks, at, &range); at = range.first + range.count)
        each_part(engine, batch->stock, range, revive_in_chunk, false);
}

void stock_reclaim(struct engine *engine, uint64_t bytes)
{
    while (credit_append_room(engine) < bytes && !tri_dlist_is_empty(&engine->spent_chunks)) {
        struct chunk *chunk =
            tri_container_of(tri_dlist_first(&engine->spent_chunks), struct chunk, spent);

        out_trace(&engine->out, "chunk.dropped batch=%llu first=%llu why=memory",
                  (unsigned long long)chunk->batch->number, (unsigned long long)chunk->first);
        if (is_newest(chunk))
            batch_put_later(engine, chunk->batch);
        out_delete(&engine->out,
                   (struct store_key){ STORE_CHUNK, chunk->batch->number, chunk->first });
        drop(engine, chunk);
    }
}

/* ---- leases --------------------------------------------------------------------------------- */

uint64_t stock_cut(const struct stock *self, uint64_t first, uint64_t count, bool single)
{
    uint64_t bytes = 0;
    uint64_t taken = 0;
    size_t at = position(self, first);
    size_t end = at + (single ? 1 : LEASE_CHUNKS_MAX);

    for (; at < self->count && at < end && taken < count; at++) {
        const struct chunk *chunk = self->chunks[at];
        uint64_t inside = chunk->first + chunk->count - (first + taken);
        uint64_t wanted = inside < count - taken ? inside : count - taken;

        bytes += (uint64_t)((double)chunk->bytes * (double)wanted / (double)chunk->count);
        if (taken != 0 && bytes > LEASE_ITEM_BYTES_MAX)
            break;
        taken += wanted;
    }
    return taken;
}

size_t stock_attach(const struct batch *batch,
                    uint64_t first,
                    uint64_t count,
                    struct tri_buffer *out)
{
    const struct stock *self = batch->stock;
    size_t attached = 0;

    tri_buffer_clear(out);
    for (size_t at = position(self, first); count != 0; at++, attached++) {
        const struct chunk *chunk = self->chunks[at];
        uint64_t skip = first - chunk->first;
        uint64_t part = chunk->count - skip < count ? chunk->count - skip : count;
        struct attachment attachment = {
            .key = { STORE_CHUNK, batch->number, chunk->first },
            .first = (uint32_t)skip,
            .count = (uint32_t)part,
        };

        tri_assert(!chunk->dropped);
        tri_buffer_append(out, &attachment, sizeof(attachment));
        first += part;
        count -= part;
    }
    return attached;
}
