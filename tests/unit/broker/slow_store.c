#include "tests/unit/broker/slow_store.h"

#include "common/assert.h"

#include <stdlib.h>

struct slow {
    struct store store;
    struct store *memory;
    uint64_t ticket;
    uint64_t durable;
    uint64_t room;
    bool is_broken;
};

static struct slow *of(const struct store *self)
{
    return tri_container_of((struct store *)(uintptr_t)self, struct slow, store);
}

static enum tri_status slow_put(struct store *self,
                                struct store_key key,
                                struct tri_bytes head,
                                zmq_msg_t *payload,
                                struct tri_error *error)
{
    struct store *memory = of(self)->memory;

    return memory->operations->put(memory, key, head, payload, error);
}

static enum tri_status slow_remove(struct store *self, struct store_key key, bool whole_batch)
{
    struct store *memory = of(self)->memory;

    return memory->operations->remove(memory, key, whole_batch);
}

static enum tri_status slow_read(struct store *self, struct store_key key, zmq_msg_t *payload)
{
    struct store *memory = of(self)->memory;

    return memory->operations->read(memory, key, payload);
}

static enum tri_status slow_scan(struct store *self,
                                 store_scan_fn *visit,
                                 void *context,
                                 struct tri_error *error)
{
    struct store *memory = of(self)->memory;

    return memory->operations->scan(memory, visit, context, error);
}

static void slow_fetch(struct store *self, struct store_key key)
{
    struct store *memory = of(self)->memory;

    memory->operations->fetch(memory, key);
}

static bool slow_fetched(struct store *self, struct store_key *key, enum tri_status *status)
{
    struct store *memory = of(self)->memory;

    return memory->operations->fetched(memory, key, status);
}

static int slow_fd(const struct store *self)
{
    (void)self;
    return -1;
}

static enum tri_status slow_turn(struct store *self, struct tri_error *error)
{
    return of(self)->is_broken ? tri_fail(error, TRI_STORE, "the disk is gone") : TRI_OK;
}

static uint64_t slow_room(const struct store *self)
{
    return of(self)->room;
}

static bool slow_is_busy(const struct store *self)
{
    (void)self;
    return false;
}

static uint64_t slow_commit(struct store *self, struct tri_error *error)
{
    if (of(self)->is_broken) {
        tri_fail(error, TRI_STORE, "the disk is gone");
        return 0;
    }
    return ++of(self)->ticket;
}

static uint64_t slow_durable(const struct store *self)
{
    return of(self)->durable;
}

static struct store_stats slow_stats(const struct store *self)
{
    struct store *memory = of(self)->memory;
    struct store_stats stats = memory->operations->stats(memory);

    stats.is_full = of(self)->room == 0;
    return stats;
}

static void slow_close(struct store **self)
{
    struct slow *slow = of(*self);

    slow->memory->operations->close(&slow->memory);
    free(slow);
    *self = NULL;
}

static const struct store_operations operations = {
    .name = "slow",
    .put = slow_put,
    .remove = slow_remove,
    .read = slow_read,
    .scan = slow_scan,
    .fetch = slow_fetch,
    .fetched = slow_fetched,
    .commit = slow_commit,
    .durable = slow_durable,
    .fd = slow_fd,
    .turn = slow_turn,
    .room = slow_room,
    .is_busy = slow_is_busy,
    .stats = slow_stats,
    .close = slow_close,
};

struct store *slow_store_new(void)
{
    struct slow *self = tri_alloc(1, sizeof(*self));

    self->store.operations = &operations;
    self->memory = store_memory_new();
    self->room = UINT64_MAX;
    return &self->store;
}

void slow_store_durable(struct store *self, uint64_t ticket)
{
    of(self)->durable = ticket;
}

void slow_store_room(struct store *self, uint64_t bytes)
{
    of(self)->room = bytes;
}

void slow_store_break(struct store *self)
{
    of(self)->is_broken = true;
}
