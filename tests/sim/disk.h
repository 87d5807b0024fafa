/* disk.h - the broker's disk: what has been written to it, and what would be left of that if the
 * broker died now.
 *
 * As a transactional store behaves: what is written is seen at once, and becomes durable commit by
 * commit, each all or nothing. A commit that was under way when the broker died has got there, or
 * not; what was written after it was begun is lost.
 *
 * Memory: rows are shared by reference.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "common/list.h"
#include "tests/sim/store.h"

struct disk {
    struct store seen;
    struct store durable;
    struct tri_dlist_head journal; /* written and not durable, in order */
};

void disk_begin(struct disk *self);
void disk_end(struct disk *self);

/* Write, as a part of the commit of that number. */
void disk_put(struct disk *self, uint64_t commit, const struct store_row *row);
void disk_delete(struct disk *self, uint64_t commit, struct store_key key, bool whole_batch);

/* Bytes that this commit writes. */
uint64_t disk_commit_bytes(const struct disk *self, uint64_t commit);

/* Everything up to that commit is durable. */
void disk_sync(struct disk *self, uint64_t commit);

/* What was written after that commit is lost; whether that commit is will be seen. */
void disk_forget(struct disk *self, uint64_t commit);

/* The broker died: what is not durable never was. */
void disk_lose(struct disk *self);

#endif
