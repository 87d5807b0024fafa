/* stock.h - the item chunks of a batch: what has been appended and what of it is still needed.
 *
 * A chunk is one frame in the store. It is deleted as soon as all its tasks are done or cancelled.
 * Chunks in which only dead tasks are left are kept for a retry by hand while there is memory; the
 * oldest go first when there is none, and their dead tasks cannot be retried then.
 *
 * Time: O(log chunks) to find one.   Memory: belongs to its batch.
 */
#ifndef ENGINE_STOCK_H
#define ENGINE_STOCK_H

#include "broker/engine/event.h"
#include "common/list.h"
#include "common/rangeset.h"

#include <xxhash.h>

struct engine;
struct batch;
struct session;

/* There may be very many. */
struct chunk {
    struct batch *batch;
    uint64_t first;
    uint64_t hash;               /* of its items: the same chunk again is no conflict */
    struct tri_dlist_node spent; /* engine->spent_chunks */
    uint32_t count;
    uint32_t left;       /* tasks that are not done or cancelled */
    uint32_t dead;       /* of these, dead */
    uint32_t bytes : 31; /* of the frame, of which there are at most CHUNK_BYTES_MAX */
    uint32_t dropped : 1;
};

#define CHUNK_BYTES_MAX (UINT64_C(1) << 30)

struct stock {
    struct chunk **chunks; /* in order, without gaps, until the batch is sealed */
    size_t first;          /* chunks before it are freed */
    size_t count;
    size_t capacity;
    uint64_t live_bytes; /* of chunks with tasks that may still run */
    uint64_t appended_bytes;
    uint64_t credit_bytes; /* append_bytes_max */
    uint64_t told_bytes;   /* as last sent */
    bool told_to_wait;     /* for room in the store, since credit was last granted */
    XXH3_state_t *state;   /* while the batch is open */
    uint8_t hash[16];
};

void stock_new(struct engine *engine, struct batch *batch);

/* The stock of a batch as the store has it, without a chunk. False: `hashing` says nothing. */
bool stock_restore(struct batch *batch,
                   struct tri_bytes hash,
                   struct tri_bytes hashing,
                   uint64_t appended_bytes);

/* What has been read of the batch's tasks tells what its chunks are good for. */
void stock_recovered(struct engine *engine, struct batch *batch);
void stock_destroy(struct engine *engine, struct batch *batch);

/* No chunk will be added: the hash is final, dropped chunks are forgotten. */
void stock_seal(struct engine *engine, struct batch *batch);

/* The chunk that holds task `index`, or NULL. */
struct chunk *stock_find(const struct stock *self, uint64_t index);

/* Where the chunk of task `index` ends, or, when that is forgotten, where the next one begins. */
uint64_t stock_end(const struct stock *self, uint64_t index);

/* Tasks have ended; chunks that are not needed any more are deleted. */
void stock_end_tasks(struct engine *engine,
                     struct batch *batch,
                     const struct tri_rangeset *tasks,
                     bool dead);

/* Dead tasks are about to run again. False when the chunk of one has been dropped. */
bool stock_has(const struct stock *self, const struct tri_rangeset *tasks);
void stock_revive(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks);

/* Delete chunks kept only for dead tasks until `bytes` can be promised or there are none left. */
void stock_reclaim(struct engine *engine, uint64_t bytes);

/* The hash over the items so far; 16 bytes, valid until the next change. */
struct tri_bytes stock_hash(struct stock *self);

/* How many tasks from `first` a lease of at most `count` may take: not much more than 2 MiB of
 * items, and one chunk when `single`. */
uint64_t stock_cut(const struct stock *self, uint64_t first, uint64_t count, bool single);

/* The chunks that tasks [first, first+count) are in, as attachments appended to the buffer. */
size_t stock_attach(const struct batch *batch,
                    uint64_t first,
                    uint64_t count,
                    struct tri_buffer *out);

void on_append(struct engine *engine,
               struct session *session,
               const struct tri_msg_append *append,
               const struct event *event);
void on_seal(struct engine *engine, struct session *session, const struct tri_msg_seal *seal);

/* Add a chunk whose first, count, bytes and hash are known. */
void stock_add(struct engine *engine, struct batch *batch, const struct chunk *values);

/* Send APPENDED: how far the batch and the credit go. */
/* Its client shall add nothing more: somebody else has sealed or stopped the batch. */
void append_refuse(struct engine *engine, struct batch *batch);

void append_tell(struct engine *engine, struct session *session, struct batch *batch);

#endif
