/* rangeset_model.h - a plain bitmap with the operations of a rangeset, to compare with. */
#ifndef RANGESET_MODEL_H
#define RANGESET_MODEL_H

#include "common/prng.h"
#include "common/rangeset.h"

#include <check.h>

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

/* ck_assert_uint_eq for the hot loops: Check's own writes to a pipe each time. */
#define EXPECT_EQ(got, want)                                                  \
    do {                                                                      \
        uint64_t got_ = (got);                                                \
        uint64_t want_ = (want);                                              \
                                                                              \
        if (got_ != want_)                                                    \
            ck_abort_msg(#got " is %llu, not %llu", (unsigned long long)got_, \
                         (unsigned long long)want_);                          \
    } while (0)

/* Fail the test unless the set holds exactly what the model holds; checks its invariants, too. */
void expect_same(const struct tri_rangeset *set, const struct model *model);

#endif
