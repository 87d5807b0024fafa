/* store.h - what a store promises, whatever it is made of.
 *
 * A store keeps rows (event.h: struct store_key) of a head and a payload. Writes are gathered with
 * `put` and `remove` and become durable together at `commit`, in order; whoever asks sees them at
 * once. Heads are read once, by `scan`, when a broker starts. Payloads are read one by one, and may
 * have to be fetched from a disk first; they are held by reference count while anybody reads them.
 *
 * A store on a disk works in a thread of its own. What that has done is taken by `turn`, in the
 * caller's thread, when `fd` becomes readable; nothing changes between two turns but by the
 * caller's own writes.
 *
 * A full disk is a state that comes and goes: `room` is 0, stats.is_full may be set, what was
 * gathered stays gathered and is tried again, nothing of it becomes durable meanwhile.
 *
 * Threads: one store belongs to one thread.
 * Memory:  `put` takes its payload (a zmq_msg_t is moved out of); `read` gives one.
 * Errors:  TRI_STORE when the store can no longer be trusted: stop then, for good. It is never
 *          tried again: after a failed sync nobody knows what the disk holds.
 * Limits:  batch and key below 2^60; a payload of 1 GiB.
 */
#ifndef STORE_H
#define STORE_H

#include "broker/engine/event.h"

#include <zmq.h>

struct store;

/* As far as `turn` knows. Rows from before the start count once they were scanned. */
struct store_stats {
    uint64_t rows;
    uint64_t payload_bytes;
    uint64_t commits;       /* asked for; several may share one transaction */
    uint64_t waiting_bytes; /* written and not yet durable */
    uint64_t cached_bytes;  /* durable payloads in memory */
    uint64_t disk_bytes;    /* everything it occupies on a disk */
    bool is_full;           /* the last transaction found no room, the reserve included */
};

/* One durable row. `head` is borrowed for the call. Anything but TRI_OK ends the scan. */
typedef enum tri_status store_scan_fn(void *context,
                                      struct store_key key,
                                      struct tri_bytes head,
                                      uint64_t payload_bytes,
                                      struct tri_error *error);

struct store_operations {
    const char *name;
    /* Visit every row in the order of table, batch, key, without reading payloads. Before the first
     * put, remove or fetch. Returns what `visit` returned last, or TRI_STORE. */
    enum tri_status (*scan)(struct store *self,
                            store_scan_fn *visit,
                            void *context,
                            struct tri_error *error);
    /* Write a row. `head` is copied; `payload` (NULL: none) is moved out of and left empty. */
    enum tri_status (*put)(struct store *self,
                           struct store_key key,
                           struct tri_bytes head,
                           zmq_msg_t *payload,
                           struct tri_error *error);
    /* Remove one row (absent: fine), or every row of key.batch. */
    enum tri_status (*remove)(struct store *self, struct store_key key, bool whole_batch);
    /* A new reference to the payload of a row in `*payload` (uninitialised on entry, initialised
     * on TRI_OK). TRI_EMPTY: it must be fetched first (GET); TRI_NOTFOUND: no such payload. */
    enum tri_status (*read)(struct store *self, struct store_key key, zmq_msg_t *payload);
    /* Bring a payload into memory; `fetched` will tell, possibly at once. Several fetches of one
     * key may be answered together. */
    void (*fetch)(struct store *self, struct store_key key);
    /* Take the next finished fetch. TRI_OK in `*status`: the payload can be read until the next
     * call of `fetched`, unless its row is written meanwhile; TRI_NOTFOUND: no such payload;
     * TRI_STORE: it is damaged. False: none is finished. */
    bool (*fetched)(struct store *self, struct store_key *key, enum tri_status *status);
    /* Make all writes so far durable, all or none. Returns the ticket of this commit, 0 on failure;
     * it is durable once `durable` says a number at least as high. In memory that is at once. */
    uint64_t (*commit)(struct store *self, struct tri_error *error);
    uint64_t (*durable)(const struct store *self);
    /* Readable when there is something for `turn`; -1: never, nothing needs one. */
    int (*fd)(const struct store *self);
    /* Take what the store's thread has done: `durable`, `fetched`, `room` and `stats` move. Cheap
     * when there is nothing. TRI_STORE: stop. */
    enum tri_status (*turn)(struct store *self, struct tri_error *error);
    /* Bytes of new work that may still be put: grant no more than this. What is under way already
     * (results) may be put beyond it, into the reserve. UINT64_MAX: bounded elsewhere. */
    uint64_t (*room)(const struct store *self);
    /* So much waits to become durable that nothing more should be taken in before the next turn
     * with something to do. Never while the disk is full. */
    bool (*is_busy)(const struct store *self);
    struct store_stats (*stats)(const struct store *self);
    /* What was committed is made durable if it can be; the rest is dropped. */
    void (*close)(struct store **self);
};

/* Every implementation's struct starts with this. */
struct store {
    const struct store_operations *operations;
};

static inline bool store_key_equals(struct store_key a, struct store_key b)
{
    return a.table == b.table && a.batch == b.batch && a.key == b.key;
}

/* Wait until commit `ticket` is durable. TRI_NO_SPACE: the disk is full, it may still become so;
 * TRI_STORE. */
enum tri_status store_settle(struct store *self, uint64_t ticket, struct tri_error *error);

/* Payloads in memory: private runs, `--store memory`, and the simulator. */
struct store *store_memory_new(void);

/* One SQLite file (docs/spec/3-storage.md), with FILE-wal and FILE-reserve beside it. */
struct store_sqlite_options {
    const char *file;     /* made when absent; its directory must exist */
    uint64_t cache_bytes; /* of what is durable, kept in memory: payloads, and pages of the file */
    uint64_t reserve_bytes; /* of the disk, kept for results when all else is full; 0: none */
    uint64_t log_bytes_max; /* a write-ahead log of this size is folded into the file */
    uint64_t full_ms;       /* a disk that was full is tried again after this */
    const char *vfs;        /* how SQLite reaches the disk; NULL: its own way */
    bool by_hand; /* it has no thread: the owner does the disk's work with store_sqlite_step */
};

void store_sqlite_options_init(struct store_sqlite_options *self);

/* With options.by_hand: do one piece of what the store's thread would do: reads that were asked
 * for, one transaction, or upkeep. `turn` tells what came of it. `now` is of any clock that does
 * not jump. Returns when there is more to do, unless something is asked before: TRI_NEVER: nothing.
 */
tri_time store_sqlite_step(struct store *self, tri_time now);

/* Open the file for this process alone. A file that is not a store, is damaged, newer, in use or
 * cannot be written is left as it is: TRI_STORE, with one line that says what to do. */
enum tri_status store_sqlite_open(const struct store_sqlite_options *options,
                                  struct store **self,
                                  struct tri_error *error);

#endif
