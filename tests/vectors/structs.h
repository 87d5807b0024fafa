/* structs.h - random messages and records of any shape, and their comparison.
 *
 * Everything comes from a seed, so a failing test names the seed and repeats.
 * Memory: what struct_make hands out lives until maker_deinit.
 */
#ifndef TESTS_VECTORS_STRUCTS_H
#define TESTS_VECTORS_STRUCTS_H

#include "common/proto/chunk.h"
#include "common/proto/shape.h"

struct maker {
    uint64_t state;
    void **blocks;
    size_t block_count;
};

void maker_init(struct maker *self, uint64_t seed);
void maker_deinit(struct maker *self);

uint64_t maker_next(struct maker *self);
uint64_t maker_below(struct maker *self, uint64_t end);
void *maker_alloc(struct maker *self, size_t size);

/* Fill the struct of `shape` with values inside the limits, edges preferred. */
void struct_make(struct maker *self, const struct tri_shape *shape, void *slot);

/* Field by field, lists record by record. */
bool struct_same(const struct tri_shape *shape, const void *left, const void *right);

/* Whether `frame` decodes; when it does, everything in it has been looked at and encoding it again
 * gives a message or record that is the same. Aborts where that does not hold. */
bool message_survives(struct tri_bytes frame);
bool record_survives(enum tri_record_type type, struct tri_bytes bytes);

/* The same for chunks: every value of an open chunk is read, and a cut of it opens again. */
bool items_survive(struct tri_bytes frame);
bool result_survives(struct tri_bytes frame);

#endif
