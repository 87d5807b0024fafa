/* store.h - rows of a store. What is committed when is the disk's business (disk.h).
 *
 * Memory: heads and payloads are shared by reference.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "broker/engine/event.h"
#include "common/frame.h"
#include "common/map.h"

struct store_row {
    struct store_key key;
    struct tri_frame *head;
    struct tri_frame *payload; /* NULL: none */
};

struct store {
    struct tri_map batches; /* number to struct store_batch */
    size_t rows;
    uint64_t bytes; /* of heads and payloads */
};

void store_begin(struct store *self);
void store_end(struct store *self);

/* The frames of `row` get an owner more. */
void store_put(struct store *self, const struct store_row *row);
void store_delete(struct store *self, struct store_key key, bool whole_batch);

/* Rows that belong to batches. */
size_t store_batch_rows(const struct store *self);

/* Borrowed; NULL when there is no such row. */
const struct store_row *store_find(const struct store *self, struct store_key key);

/* All of them in the order of table, batch, key: an array to be freed, of `self->rows`. */
const struct store_row **store_list(const struct store *self);

#endif
