/* grade.h - how a task has to be run, by what has happened to it so far.
 *
 * Tasks are never objects: those of the same grade are pending together as ranges. A fresh task
 * has a grade of all zeros.
 */
#ifndef ENGINE_GRADE_H
#define ENGINE_GRADE_H

#include "common/list.h"
#include "common/rangeset.h"

struct grade {
    uint32_t failures; /* charged failures, timeouts, too large values */
    uint32_t crashes;  /* charged crashes */
    uint32_t vanished; /* workers that vanished with it: never charged */
    uint64_t cap;      /* tasks in one lease at most; 0: no limit. Halves with each vanishing */
};

/* The number of the next try: charged tries and one. */
static inline uint64_t grade_attempt(const struct grade *grade)
{
    return (uint64_t)grade->failures + grade->crashes + 1;
}

/* In flight on two vanished workers: one of its lease kills machines. */
static inline bool grade_is_suspect(const struct grade *grade)
{
    return grade->vanished >= 2;
}

/* To be run singly in one-oar hosts. */
static inline bool grade_is_isolated(const struct grade *grade)
{
    return grade->crashes != 0 || (grade_is_suspect(grade) && grade->cap == 1);
}

static inline bool grade_is_fresh(const struct grade *grade)
{
    return grade->failures == 0 && grade->crashes == 0 && grade->vanished == 0;
}

static inline bool grade_equals(const struct grade *a, const struct grade *b)
{
    return a->failures == b->failures && a->crashes == b->crashes && a->vanished == b->vanished
           && a->cap == b->cap;
}

/* Pending tasks of one grade. */
struct pool {
    struct tri_dlist_node node; /* in batch->pools; the fresh pool is not in it */
    struct grade grade;
    struct tri_rangeset tasks;
};

#endif
