/* shelf.h - what the caller of a store on a disk sees of it: what it has written and is not yet
 * durable, and the payloads that happen to be in memory.
 *
 * A row's entry is dirty from its put or remove until the commit that has it is durable; nothing
 * the disk says counts meanwhile. A durable payload stays, the one used longest ago goes first when
 * there are more than `cache_bytes` of them. One that was fetched stays at least until the caller
 * had it.
 *
 * A write that is overtaken by another of the same row, before the disk has begun with it, is
 * dropped: a row that was put and removed costs a look at the index.
 *
 * Time:    O(1) a call; shelf_remove_batch O(rows of it in memory); shelf_seal O(writes).
 * Threads: one owner; shelf_seal while the list it is given is not taken by another.
 * Memory:  payloads are shared by reference with writes and readers.
 */
#ifndef STORE_SHELF_H
#define STORE_SHELF_H

#include "broker/store/writes.h"
#include "common/map.h"

struct shelf {
    struct tri_map batches;       /* number -> struct binder */
    struct tri_dlist_head dirty;  /* entries in the order of their tickets */
    struct tri_dlist_head gone;   /* binders whose batch was removed, likewise */
    struct tri_dlist_head cached; /* durable payloads, the one used longest ago first */
    uint64_t cached_bytes;
    uint64_t cache_bytes;
    struct writes open;            /* not committed */
    uint64_t ticket;               /* the last that was given out */
    struct tri_dlist_head fetched; /* to be told */
    struct store_key held;         /* the fetch told last keeps its payload */
    bool has_held;
};

void shelf_init(struct shelf *self, uint64_t cache_bytes);
void shelf_deinit(struct shelf *self);

/* As in store.h. shelf_put leaves `payload` empty. */
void shelf_put(struct shelf *self, struct store_key key, struct tri_bytes head, zmq_msg_t *payload);
void shelf_remove(struct shelf *self, struct store_key key);
void shelf_remove_batch(struct shelf *self, uint64_t batch);
enum tri_status shelf_read(struct shelf *self, struct store_key key, zmq_msg_t *payload);

/* Commit: what is open joins `sealed`, in which some of it may replace what waits there.
 * `generation` names that list: another number, another list. Returns the ticket. */
uint64_t shelf_seal(struct shelf *self, struct writes *sealed, uint64_t generation);

/* Commits up to `ticket` are durable. */
void shelf_durable(struct shelf *self, uint64_t ticket);

/* True: the disk must be asked for it, and shelf_loaded told. Otherwise shelf_fetched knows. */
bool shelf_fetch(struct shelf *self, struct store_key key);

/* What the disk said. `payload` is taken on TRI_OK, which is also when it is open. Before
 * shelf_durable for any commit that the disk had not done when it was read. */
void shelf_loaded(struct shelf *self,
                  struct store_key key,
                  enum tri_status status,
                  zmq_msg_t *payload);

bool shelf_fetched(struct shelf *self, struct store_key *key, enum tri_status *status);

#endif
