/* store.h - what a store promises, whatever it is made of.
 *
 * A store keeps rows (event.h: struct store_key) of a head and a payload. Writes are gathered with
 * store_put and store_delete and become durable together at store_commit, in order. Payloads are
 * held by reference count while anybody reads them.
 *
 * Threads: one store belongs to one thread; commits of a durable store run on a thread of its own
 *          and are announced by `committed`.
 * Memory:  store_put takes its payload (a zmq_msg_t is moved out of); store_read gives one.
 * Errors:  TRI_NO_SPACE when full, TRI_STORE when the store can no longer be trusted: stop then.
 */
#ifndef STORE_H
#define STORE_H

#include "broker/engine/event.h"

#include <zmq.h>

struct store;

struct store_stats {
    uint64_t rows;
    uint64_t payload_bytes;
    uint64_t commits;
};

struct store_operations {
    const char *name;
    /* Write a row. `head` is copied; `payload` (NULL: none) is moved out of and left empty. */
    enum tri_status (*put)(struct store *self,
                           struct store_key key,
                           struct tri_bytes head,
                           zmq_msg_t *payload,
                           struct tri_error *error);
    /* Remove one row (absent: fine), or every row of key.batch. */
    enum tri_status (*remove)(struct store *self, struct store_key key, bool whole_batch);
    /* A new reference to the payload of a row in `*payload` (uninitialised on entry, initialised
     * on TRI_OK). TRI_EMPTY: it must be fetched first (GET); TRI_NOTFOUND: no such row. */
    enum tri_status (*read)(struct store *self, struct store_key key, zmq_msg_t *payload);
    /* Make all writes so far durable. Returns the ticket of this commit; it is durable once
     * `durable` says a number at least as high. A store in memory is durable at once. */
    uint64_t (*commit)(struct store *self, struct tri_error *error);
    uint64_t (*durable)(const struct store *self);
    struct store_stats (*stats)(const struct store *self);
    void (*close)(struct store **self);
};

/* Every implementation's struct starts with this. */
struct store {
    const struct store_operations *operations;
};

/* Payloads in memory: private runs, `--store memory`, and the simulator. */
struct store *store_memory_new(void);

#endif
