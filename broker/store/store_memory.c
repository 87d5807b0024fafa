/* store_memory.c - rows in memory: private runs and --store memory.
 *
 * A table of rows with open addressing finds a key; the rows of a batch also hang on a list of
 * their own, so that forgetting a batch costs its rows and nothing else. A commit is durable when
 * it returns: nothing here outlives the process, and nobody was told otherwise.
 */
#include "broker/store/store.h"

#include "common/assert.h"
#include "common/list.h"
#include "common/map.h"
#include "common/net/parts.h"
#include "common/prng.h"

#include <stdlib.h>
#include <string.h>

/* A received frame may lie in libzmq's 8 KiB read buffer, together with others: keeping it keeps
 * the buffer. A payload below this size is worth a copy of its own. */
#define COPY_BYTES_MAX 4096

struct row {
    struct store_key key;
    struct tri_dlist_node in_batch;
    zmq_msg_t payload;
    size_t payload_bytes;
    bool has_payload;
    size_t head_bytes;
    uint8_t head[];
};

struct batch {
    uint64_t number;
    struct tri_dlist_head rows;
};

struct memory {
    struct store store;
    struct row **slots; /* open addressing, linear; NULL = free */
    size_t slot_count;  /* a power of two, at most three quarters full */
    struct tri_map batches;
    struct store_stats stats;
    struct store_key *fetches; /* ring of fetch_capacity, a power of two: to be answered */
    size_t fetch_first;
    size_t fetch_count;
    size_t fetch_capacity;
};

static struct memory *of(const struct store *self)
{
    return tri_container_of((struct store *)(uintptr_t)self, struct memory, store);
}

/* ---- the table ------------------------------------------------------------------------------ */

static size_t key_slot(const struct memory *self, struct store_key key)
{
    uint64_t hash = tri_mix64(key.key + UINT64_C(0x9e3779b97f4a7c15) * (key.batch * 8 + key.table));

    return (size_t)hash & (self->slot_count - 1);
}

/* Where `key` stands, or the free slot where it would. */
static size_t find_slot(const struct memory *self, struct store_key key)
{
    size_t at = key_slot(self, key);

    while (self->slots[at] != NULL && !store_key_equals(self->slots[at]->key, key))
        at = (at + 1) & (self->slot_count - 1);
    return at;
}

static void resize(struct memory *self, size_t slot_count)
{
    struct row **old = self->slots;
    size_t old_count = self->slot_count;

    self->slots = tri_alloc(slot_count, sizeof(*self->slots));
    self->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != NULL)
            self->slots[find_slot(self, old[i]->key)] = old[i];
    }
    free(old);
}

/* Close the gap at `hole`: what follows it and would not be found any more moves up (Knuth,
 * 6.4, algorithm R). */
static void close_gap(struct memory *self, size_t hole)
{
    size_t mask = self->slot_count - 1;

    for (size_t at = (hole + 1) & mask; self->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = key_slot(self, self->slots[at]->key);

        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        self->slots[hole] = self->slots[at];
        hole = at;
    }
    self->slots[hole] = NULL;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static struct batch *batch_at(struct memory *self, uint64_t number)
{
    struct batch *batch = tri_map_find(&self->batches, number);

    if (batch != NULL)
        return batch;
    batch = tri_alloc(1, sizeof(*batch));
    batch->number = number;
    tri_dlist_init(&batch->rows);
    tri_map_put(&self->batches, number, batch);
    return batch;
}

static void remove_row(struct memory *self, size_t slot)
{
    struct row *row = self->slots[slot];
    struct batch *batch = tri_map_find(&self->batches, row->key.batch);

    close_gap(self, slot);
    tri_dlist_remove(&batch->rows, &row->in_batch);
    if (tri_dlist_is_empty(&batch->rows)) {
        tri_map_remove(&self->batches, batch->number);
        free(batch);
    }
    self->stats.rows--;
    self->stats.payload_bytes -= row->payload_bytes;
    zmq_msg_close(&row->payload);
    free(row);
}

static void take_payload(struct row *row, zmq_msg_t *payload)
{
    zmq_msg_init(&row->payload);
    if (payload == NULL)
        return;
    row->has_payload = true;
    row->payload_bytes = zmq_msg_size(payload);
    if (row->payload_bytes >= COPY_BYTES_MAX) {
        zmq_msg_move(&row->payload, payload);
        return;
    }
    zmq_msg_close(&row->payload);
    tri_assert(tri_msg_copy(&row->payload, tri_msg_bytes(payload)) == TRI_OK);
    zmq_msg_close(payload);
    zmq_msg_init(payload);
}

static void insert_row(struct memory *self, struct row *row)
{
    size_t slot = find_slot(self, row->key);

    if (self->slots[slot] != NULL) {
        remove_row(self, slot);
    } else if ((self->stats.rows + 1) * 4 > self->slot_count * 3) {
        resize(self, self->slot_count * 2);
    }
    self->slots[find_slot(self, row->key)] = row;
    tri_dlist_push_back(&batch_at(self, row->key.batch)->rows, &row->in_batch);
    self->stats.rows++;
    self->stats.payload_bytes += row->payload_bytes;
}

/* ---- operations ----------------------------------------------------------------------------- */

static enum tri_status memory_put(struct store *store,
                                  struct store_key key,
                                  struct tri_bytes head,
                                  zmq_msg_t *payload,
                                  struct tri_error *error)
{
    struct row *row = tri_alloc(1, sizeof(*row) + head.size);

    (void)error;
    row->key = key;
    row->head_bytes = head.size;
    if (head.size > 0)
        memcpy(row->head, head.data, head.size);
    take_payload(row, payload);
    insert_row(of(store), row);
    return TRI_OK;
}

static enum tri_status memory_remove(struct store *store, struct store_key key, bool whole_batch)
{
    struct memory *self = of(store);

    if (whole_batch) {
        struct batch *batch = tri_map_find(&self->batches, key.batch);
        size_t left = batch == NULL ? 0 : batch->rows.count;

        /* The batch itself goes with its last row. */
        for (; left > 0; left--) {
            struct row *row = tri_container_of(tri_dlist_first(&batch->rows), struct row, in_batch);

            remove_row(self, find_slot(self, row->key));
        }
        return TRI_OK;
    }
    size_t slot = find_slot(self, key);
    if (self->slots[slot] != NULL)
        remove_row(self, slot);
    return TRI_OK;
}

static enum tri_status memory_read(struct store *store, struct store_key key, zmq_msg_t *payload)
{
    struct memory *self = of(store);
    struct row *row = self->slots[find_slot(self, key)];

    if (row == NULL || !row->has_payload)
        return TRI_NOTFOUND;
    zmq_msg_init(payload);
    zmq_msg_copy(payload, &row->payload);
    return TRI_OK;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *a, const void *b)
{
    struct store_key x = (*(struct row *const *)a)->key;
    struct store_key y = (*(struct row *const *)b)->key;

    if (x.table != y.table)
        return compare_numbers(x.table, y.table);
    return x.batch != y.batch ? compare_numbers(x.batch, y.batch) : compare_numbers(x.key, y.key);
}

/* A broker that starts finds nothing here: this is for tests, and may sort. */
static enum tri_status memory_scan(struct store *store,
                                   store_scan_fn *visit,
                                   void *context,
                                   struct tri_error *error)
{
    struct memory *self = of(store);
    struct row **rows = tri_alloc(self->stats.rows + 1, sizeof(*rows));
    enum tri_status status = TRI_OK;
    size_t count = 0;

    for (size_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i] != NULL)
            rows[count++] = self->slots[i];
    }
    qsort(rows, count, sizeof(struct row *), compare_rows);
    for (size_t i = 0; i < count && status == TRI_OK; i++)
        status =
            visit(context, rows[i]->key, (struct tri_bytes){ rows[i]->head, rows[i]->head_bytes },
                  rows[i]->payload_bytes, error);
    free(rows);
    return status;
}

static void grow_fetches(struct memory *self)
{
    size_t capacity = self->fetch_capacity != 0 ? self->fetch_capacity * 2 : 16;
    struct store_key *fetches = tri_alloc(capacity, sizeof(*fetches));

    for (size_t i = 0; i < self->fetch_count; i++)
        fetches[i] = self->fetches[(self->fetch_first + i) & (self->fetch_capacity - 1)];
    free(self->fetches);
    self->fetches = fetches;
    self->fetch_first = 0;
    self->fetch_capacity = capacity;
}

static void memory_fetch(struct store *store, struct store_key key)
{
    struct memory *self = of(store);

    if (self->fetch_count == self->fetch_capacity)
        grow_fetches(self);
    self->fetches[(self->fetch_first + self->fetch_count++) & (self->fetch_capacity - 1)] = key;
}

static bool memory_fetched(struct store *store, struct store_key *key, enum tri_status *status)
{
    struct memory *self = of(store);
    const struct row *row;

    if (self->fetch_count == 0)
        return false;
    *key = self->fetches[self->fetch_first];
    self->fetch_first = (self->fetch_first + 1) & (self->fetch_capacity - 1);
    self->fetch_count--;
    row = self->slots[find_slot(self, *key)];
    *status = row != NULL && row->has_payload ? TRI_OK : TRI_NOTFOUND;
    return true;
}

static int memory_fd(const struct store *store)
{
    (void)store;
    return -1;
}

static enum tri_status memory_turn(struct store *store, struct tri_error *error)
{
    (void)store;
    (void)error;
    return TRI_OK;
}

static uint64_t memory_room(const struct store *store)
{
    (void)store;
    return UINT64_MAX;
}

static bool memory_is_busy(const struct store *store)
{
    (void)store;
    return false;
}

static uint64_t memory_commit(struct store *store, struct tri_error *error)
{
    (void)error;
    return ++of(store)->stats.commits;
}

static uint64_t memory_durable(const struct store *store)
{
    return of(store)->stats.commits;
}

static struct store_stats memory_stats(const struct store *store)
{
    return of(store)->stats;
}

static void memory_close(struct store **store)
{
    struct memory *self;

    if (*store == NULL)
        return;
    self = of(*store);
    for (size_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i] == NULL)
            continue;
        zmq_msg_close(&self->slots[i]->payload);
        free(self->slots[i]);
    }
    free(self->slots);
    void *batch;
    uint64_t number;
    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &batch);)
        free(batch);
    tri_map_deinit(&self->batches);
    free(self->fetches);
    free(self);
    *store = NULL;
}

static const struct store_operations operations = {
    .name = "memory",
    .scan = memory_scan,
    .put = memory_put,
    .remove = memory_remove,
    .read = memory_read,
    .fetch = memory_fetch,
    .fetched = memory_fetched,
    .commit = memory_commit,
    .durable = memory_durable,
    .fd = memory_fd,
    .turn = memory_turn,
    .room = memory_room,
    .is_busy = memory_is_busy,
    .stats = memory_stats,
    .close = memory_close,
};

struct store *store_memory_new(void)
{
    struct memory *self = tri_alloc(1, sizeof(*self));

    self->store.operations = &operations;
    tri_map_init(&self->batches);
    resize(self, 1024);
    return &self->store;
}
