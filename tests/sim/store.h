/* store.h - the rows of the broker's store. What is committed when is the broker's business.
 *
 * Memory: payloads are shared by reference.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "broker/engine/event.h"
#include "common/frame.h"
#include "common/map.h"

struct store {
    struct tri_map batches; /* number to struct store_batch */
    size_t rows;
};

void store_begin(struct store *self);
void store_end(struct store *self);

/* `payload` may be NULL. */
void store_put(struct store *self, struct store_key key, struct tri_frame *payload);
void store_delete(struct store *self, struct store_key key, bool whole_batch);

/* Rows that belong to batches. */
size_t store_batch_rows(const struct store *self);

/* The payload; NULL when there is no such row, or none in it. Borrowed. */
struct tri_frame *store_find(const struct store *self, struct store_key key);

#endif
