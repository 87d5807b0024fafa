#include "tests/unit/common/rangeset_model.h"

#include <stdlib.h>

struct model model_new(uint64_t base, uint64_t size)
{
    return (struct model){ .base = base, .size = size, .member = calloc(size, 1) };
}

void model_free(struct model *self)
{
    free(self->member);
}

static uint64_t change(struct model *self, uint64_t first, uint64_t count, uint8_t to)
{
    uint64_t changed = 0;

    for (uint64_t i = first - self->base; i < first - self->base + count; i++) {
        changed += self->member[i] != to;
        self->member[i] = to;
    }
    return changed;
}

uint64_t model_add(struct model *self, uint64_t first, uint64_t count)
{
    uint64_t added = change(self, first, count, 1);

    self->count += added;
    return added;
}

uint64_t model_remove(struct model *self, uint64_t first, uint64_t count)
{
    uint64_t removed = change(self, first, count, 0);

    self->count -= removed;
    return removed;
}

uint64_t model_count_in(const struct model *self, uint64_t first, uint64_t count)
{
    uint64_t members = 0;

    for (uint64_t i = first - self->base; i < first - self->base + count; i++)
        members += self->member[i];
    return members;
}

bool model_next(const struct model *self, uint64_t from, struct tri_range *out)
{
    uint64_t i = from - self->base;
    uint64_t end;

    while (i < self->size && !self->member[i])
        i++;
    for (end = i; end < self->size && self->member[end];)
        end++;
    *out = (struct tri_range){ self->base + i, end - i };
    return end > i;
}

bool model_prev(const struct model *self, uint64_t end, struct tri_range *out)
{
    uint64_t stop = end - self->base;
    uint64_t first;

    while (stop > 0 && !self->member[stop - 1])
        stop--;
    for (first = stop; first > 0 && self->member[first - 1];)
        first--;
    *out = (struct tri_range){ self->base + first, stop - first };
    return stop > first;
}

void expect_same(const struct tri_rangeset *set, const struct model *model)
{
    struct tri_range got;
    struct tri_range want;
    uint64_t at = model->base;

    tri_rangeset_check(set);
    ck_assert_uint_eq(tri_rangeset_count(set), model->count);
    while (model_next(model, at, &want)) {
        EXPECT_EQ(tri_rangeset_next(set, at, &got), true);
        EXPECT_EQ(got.first, want.first);
        EXPECT_EQ(got.count, want.count);
        at = want.first + want.count;
    }
    ck_assert(!tri_rangeset_next(set, at, &got));
}
