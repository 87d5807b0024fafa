/* reduce_support.h - what the tests of reducers share. */
#ifndef REDUCE_SUPPORT_H
#define REDUCE_SUPPORT_H

#include "common/prng.h"
#include "common/reduce.h"

/* One spec of every kind. */
#define REDUCE_SPECS 9
extern const char *const reduce_specs[REDUCE_SPECS];

/* A reducer, or the test fails. */
struct tri_reducer *reducer(const char *spec);

/* The test fails unless the result is this JSON. */
void expect_json(struct tri_reducer *self, const char *json);

/* Fold, or the test fails. */
void fold_text(struct tri_reducer *self, uint64_t index, const char *text);
void fold_float(struct tri_reducer *self, uint64_t index, double number);

/* A value that this reducer takes; `text` is storage for strings. */
struct tri_value random_value(const char *spec, struct tri_prng *prng, char text[8]);

#endif
