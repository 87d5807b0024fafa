/* rangeset_model.h - a plain bitmap with the operations of a rangeset, to compare with. */
#ifndef RANGESET_MODEL_H
#define RANGESET_MODEL_H

#include "common/prng.h"
#include "common/rangeset.h"

/* The universe [base, base + size). */
struct model {
    uint64_t base;
    uint64_t size;
    uint64_t count;
    uint8_t *member;
};

struct model model_new(uint64_t base, uint64_t size);
void model_free(struct model *self);

uint64_t model_add(struct model *self, uint64_t first, uint64_t count);
uint64_t model_remove(struct model *self, uint64_t first, uint64_t count);
uint64_t model_count_in(const struct model *self, uint64_t first, uint64_t count);

/* As tri_rangeset_next and tri_rangeset_prev. */
bool model_next(const struct model *self, uint64_t from, struct tri_range *out);
bool model_prev(const struct model *self, uint64_t end, struct tri_range *out);

/* Fail the test unless the set holds exactly what the model holds; checks its invariants, too. */
void expect_same(const struct tri_rangeset *set, const struct model *model);

#endif
