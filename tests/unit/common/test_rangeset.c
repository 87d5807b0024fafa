/* Rangesets against a plain bitmap, under seeded random operations, and the shapes that the design
 * is about: one long range, a front that is eaten, blocks that fragment and heal. */
#include "tests/unit/common/rangeset_model.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define BLOCK 65536u

struct pair {
    struct tri_rangeset set;
    struct model model;
};

static void pair_add(struct pair *self, uint64_t first, uint64_t count)
{
    uint64_t want = model_add(&self->model, first, count);

    EXPECT_EQ(tri_rangeset_add(&self->set, first, count), want);
}

static void pair_remove(struct pair *self, uint64_t first, uint64_t count)
{
    uint64_t want = model_remove(&self->model, first, count);

    EXPECT_EQ(tri_rangeset_remove(&self->set, first, count), want);
}

/* A random range inside the universe; short ones are common, some end at a block's border. */
static struct tri_range random_range(const struct model *model, struct tri_prng *prng)
{
    static const uint64_t longest[] = { 1, 3, 8, 64, 700, 9000, 70000, 200000 };
    uint64_t first = tri_prng_below(prng, model->size);
    uint64_t count = 1 + tri_prng_below(prng, longest[tri_prng_below(prng, 8)]);

    if (tri_prng_below(prng, 8) == 0)
        first = (first + model->base) / BLOCK * BLOCK < model->base
                    ? 0
                    : (first + model->base) / BLOCK * BLOCK - model->base;
    if (tri_prng_below(prng, 8) == 0)
        count = BLOCK - (first + model->base) % BLOCK;
    if (count > model->size - first)
        count = model->size - first;
    return (struct tri_range){ model->base + first, count };
}

/* Every `step`-th index of a stretch: what makes bitmaps, and what heals them. */
static void comb(struct pair *self, struct tri_prng *prng)
{
    struct tri_range range = random_range(&self->model, prng);
    uint64_t step = 2 + tri_prng_below(prng, 20);
    bool add = tri_prng_below(prng, 2) == 0;
    uint64_t width = 1 + tri_prng_below(prng, step - 1);

    range.count = range.count > 20000 ? 20000 : range.count;
    for (uint64_t at = 0; at + width <= range.count; at += step) {
        if (add)
            pair_add(self, range.first + at, width);
        else
            pair_remove(self, range.first + at, width);
    }
}

static void take(struct pair *self, struct tri_prng *prng, bool front)
{
    uint64_t limit = 1 + tri_prng_below(prng, 100);
    struct tri_range want;
    struct tri_range got;
    bool some;

    some = front ? model_next(&self->model, self->model.base, &want)
                 : model_prev(&self->model, self->model.base + self->model.size, &want);
    if (some && want.count > limit) {
        want.first += front ? 0 : want.count - limit;
        want.count = limit;
    }
    ck_assert_int_eq(front ? tri_rangeset_take_first(&self->set, limit, &got)
                           : tri_rangeset_take_last(&self->set, limit, &got),
                     some);
    if (!some)
        return;
    ck_assert_uint_eq(got.first, want.first);
    ck_assert_uint_eq(got.count, want.count);
    model_remove(&self->model, want.first, want.count);
}

static void ask(const struct pair *self, struct tri_prng *prng)
{
    struct tri_range range = random_range(&self->model, prng);
    uint64_t members = model_count_in(&self->model, range.first, range.count);
    struct tri_range got;
    struct tri_range want;

    ck_assert_uint_eq(tri_rangeset_count_in(&self->set, range.first, range.count), members);
    ck_assert_int_eq(tri_rangeset_contains_all(&self->set, range.first, range.count),
                     members == range.count);
    ck_assert_int_eq(tri_rangeset_intersects(&self->set, range.first, range.count), members > 0);
    ck_assert_int_eq(tri_rangeset_contains(&self->set, range.first),
                     self->model.member[range.first - self->model.base]);
    ck_assert_int_eq(tri_rangeset_next(&self->set, range.first, &got),
                     model_next(&self->model, range.first, &want));
    if (want.count > 0)
        ck_assert(got.first == want.first && got.count == want.count);
    ck_assert_int_eq(tri_rangeset_prev(&self->set, range.first, &got),
                     model_prev(&self->model, range.first, &want));
    if (want.count > 0)
        ck_assert(got.first == want.first && got.count == want.count);
    if (!tri_rangeset_next_gap(&self->set, range.first, &got)) {
        ck_assert_uint_eq(model_count_in(&self->model, range.first, TRI_INDEX_END - range.first),
                          TRI_INDEX_END - range.first);
        return;
    }
    ck_assert(got.first >= range.first && got.count > 0);
    ck_assert(got.first == range.first
              || tri_rangeset_contains_all(&self->set, range.first, got.first - range.first));
    ck_assert(!tri_rangeset_intersects(&self->set, got.first, got.count));
}

static void random_operation(struct pair *self, struct tri_prng *prng)
{
    struct tri_range range = random_range(&self->model, prng);

    switch (tri_prng_below(prng, 16)) {
    case 0:
        comb(self, prng);
        break;
    case 1:
        take(self, prng, true);
        break;
    case 2:
        take(self, prng, false);
        break;
    case 3:
    case 4:
        ask(self, prng);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        pair_add(self, range.first, range.count);
        break;
    default:
        pair_remove(self, range.first, range.count);
        break;
    }
}

static void run_seed(uint64_t seed, uint64_t base, uint64_t size, int operations)
{
    struct pair pair = { .model = model_new(base, size) };
    struct tri_prng prng;

    tri_rangeset_init(&pair.set);
    tri_prng_init(&prng, seed);
    for (int i = 0; i < operations; i++) {
        random_operation(&pair, &prng);
        if (i % 8 == 0)
            expect_same(&pair.set, &pair.model);
    }
    expect_same(&pair.set, &pair.model);
    tri_rangeset_deinit(&pair.set);
    model_free(&pair.model);
}

START_TEST(random_operations_on_a_small_universe_match_a_bitmap)
{
    for (uint64_t seed = 0; seed < 200; seed++)
        run_seed(seed, 0, 300, 300);
}
END_TEST

START_TEST(random_operations_across_blocks_match_a_bitmap)
{
    for (uint64_t seed = 0; seed < 16; seed++) {
        run_seed((uint64_t)_i * 16 + seed, 0, 3 * BLOCK, 150);
        run_seed((uint64_t)_i * 16 + seed, 5 * BLOCK - 1000, BLOCK + 3000, 150);
    }
}
END_TEST

START_TEST(random_operations_at_the_largest_indexes_match_a_bitmap)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        run_seed(seed, TRI_INDEX_END - 2 * BLOCK, 2 * BLOCK, 100);
        run_seed(seed, TRI_INDEX_END - 300, 300, 300);
    }
}
END_TEST

START_TEST(a_thousand_million_indexes_in_one_range_need_no_memory)
{
    struct tri_rangeset set = { 0 };
    struct tri_range range;

    ck_assert_uint_eq(tri_rangeset_add(&set, 0, 1000000000), 1000000000);
    ck_assert_uint_eq(tri_rangeset_memory_bytes(&set), 0);
    for (int i = 0; i < 100000; i++) {
        EXPECT_EQ(tri_rangeset_take_first(&set, 1, &range), true);
        EXPECT_EQ(range.first, (uint64_t)i);
        EXPECT_EQ(range.count, 1);
    }
    ck_assert_uint_eq(tri_rangeset_memory_bytes(&set), 0);
    ck_assert_uint_eq(tri_rangeset_count(&set), 999900000);
    tri_rangeset_deinit(&set);
}
END_TEST

START_TEST(a_hole_in_a_long_range_costs_one_range_more)
{
    struct tri_rangeset set = { 0 };

    tri_rangeset_add(&set, 0, 1000000000);
    tri_rangeset_remove(&set, 500000000, 10);
    tri_rangeset_check(&set);
    ck_assert_uint_le(tri_rangeset_memory_bytes(&set), 200);
    ck_assert_uint_eq(tri_rangeset_add(&set, 500000000, 10), 10);
    ck_assert_uint_eq(tri_rangeset_memory_bytes(&set), 0);
    tri_rangeset_deinit(&set);
}
END_TEST

START_TEST(the_worst_pattern_costs_about_one_bit_an_index_and_heals)
{
    const uint64_t count = 6 * BLOCK;
    struct tri_rangeset set = { 0 };

    for (uint64_t i = 0; i < count; i += 2)
        EXPECT_EQ(tri_rangeset_add(&set, i, 1), 1);
    tri_rangeset_check(&set);
    ck_assert_uint_eq(tri_rangeset_count(&set), count / 2);
    ck_assert_uint_le(tri_rangeset_memory_bytes(&set), count / 8 * 102 / 100 + 4096);
    for (uint64_t i = 1; i < count; i += 2)
        EXPECT_EQ(tri_rangeset_add(&set, i, 1), 1);
    tri_rangeset_check(&set);
    ck_assert_uint_eq(tri_rangeset_memory_bytes(&set), 0);
    for (uint64_t i = 0; i < count; i += 2)
        EXPECT_EQ(tri_rangeset_remove(&set, i, 1), 1);
    tri_rangeset_check(&set);
    for (uint64_t i = count - 1; i < count; i -= 2)
        EXPECT_EQ(tri_rangeset_remove(&set, i, 1), 1);
    ck_assert(tri_rangeset_is_empty(&set));
    ck_assert_uint_eq(tri_rangeset_memory_bytes(&set), 0);
    tri_rangeset_deinit(&set);
}
END_TEST

/* Far apart, so that they stay ranges; upwards, downwards, and from both ends. */
static uint64_t scattered_index(int order, uint64_t i, uint64_t ranges)
{
    if (order == 0)
        return i;
    if (order == 1)
        return ranges - 1 - i;
    return i % 2 == 0 ? i / 2 : ranges - 1 - i / 2;
}

START_TEST(scattered_indexes_added_in_any_order_stay_under_forty_bytes_a_range)
{
    const uint64_t ranges = 20000;

    for (int order = 0; order < 3; order++) {
        struct tri_rangeset set = { 0 };

        for (uint64_t i = 0; i < ranges; i++)
            tri_rangeset_add(&set, scattered_index(order, i, ranges) * 1000, 10);
        tri_rangeset_check(&set);
        ck_assert_uint_eq(tri_rangeset_count(&set), ranges * 10);
        ck_assert_uint_le(tri_rangeset_memory_bytes(&set), ranges * 40);
        tri_rangeset_deinit(&set);
    }
}
END_TEST

static void random_pair(struct pair *self, uint64_t size, struct tri_prng *prng)
{
    *self = (struct pair){ .model = model_new(0, size) };
    for (int i = 0; i < 12; i++)
        random_operation(self, prng);
}

static void expect_whole_set_operations_match(uint64_t seed)
{
    struct tri_prng prng;
    struct pair a;
    struct pair b;
    struct tri_rangeset c = { 0 };
    uint64_t both = 0;
    uint64_t size = seed % 2 == 0 ? 500 : 3 * BLOCK;

    tri_prng_init(&prng, seed);
    random_pair(&a, size, &prng);
    random_pair(&b, size, &prng);
    for (uint64_t i = 0; i < size; i++)
        both += a.model.member[i] & b.model.member[i];
    ck_assert_int_eq(tri_rangeset_disjoint(&a.set, &b.set), both == 0);

    tri_rangeset_copy(&c, &a.set);
    expect_same(&c, &a.model);
    ck_assert(tri_rangeset_equals(&c, &a.set) && tri_rangeset_equals(&a.set, &c));
    ck_assert_uint_eq(tri_rangeset_union(&c, &b.set), b.model.count - both);
    for (uint64_t i = 0; i < size; i++)
        a.model.member[i] |= b.model.member[i];
    a.model.count += b.model.count - both;
    expect_same(&c, &a.model);
    ck_assert_int_eq(tri_rangeset_equals(&c, &a.set), b.model.count == both);

    tri_rangeset_swap(&c, &a.set);
    ck_assert_uint_eq(tri_rangeset_subtract(&a.set, &b.set), b.model.count);
    for (uint64_t i = 0; i < size; i++)
        a.model.member[i] &= !b.model.member[i];
    a.model.count -= b.model.count;
    expect_same(&a.set, &a.model);
    ck_assert(tri_rangeset_disjoint(&a.set, &b.set) && tri_rangeset_disjoint(&b.set, &a.set));

    tri_rangeset_deinit(&a.set);
    tri_rangeset_deinit(&b.set);
    tri_rangeset_deinit(&c);
    model_free(&a.model);
    model_free(&b.model);
}

START_TEST(whole_set_operations_match_a_bitmap)
{
    for (uint64_t seed = 0; seed < 40; seed++)
        expect_whole_set_operations_match(seed);
}
END_TEST

START_TEST(queries_and_removals_accept_ranges_that_overflow)
{
    struct tri_rangeset set = { 0 };
    struct tri_range range;

    tri_rangeset_add(&set, 100, 10);
    ck_assert_uint_eq(tri_rangeset_count_in(&set, 105, UINT64_MAX), 5);
    ck_assert(tri_rangeset_intersects(&set, 0, UINT64_MAX));
    ck_assert(!tri_rangeset_intersects(&set, 110, UINT64_MAX));
    ck_assert(!tri_rangeset_contains_all(&set, 105, UINT64_MAX));
    ck_assert(!tri_rangeset_contains(&set, UINT64_MAX));
    ck_assert(!tri_rangeset_next(&set, UINT64_MAX, &range));
    ck_assert(!tri_rangeset_next_gap(&set, UINT64_MAX, &range));
    ck_assert_uint_eq(tri_rangeset_remove(&set, UINT64_MAX, UINT64_MAX), 0);
    ck_assert_uint_eq(tri_rangeset_remove(&set, 105, UINT64_MAX), 5);
    ck_assert_uint_eq(tri_rangeset_remove(&set, 0, UINT64_MAX), 5);
    ck_assert(tri_rangeset_is_empty(&set));
    ck_assert(!tri_rangeset_take_first(&set, 1, &range) && range.count == 0);
    tri_rangeset_deinit(&set);
}
END_TEST

START_TEST(the_whole_universe_is_one_range)
{
    struct tri_rangeset set = { 0 };
    uint64_t index;

    ck_assert_uint_eq(tri_rangeset_add(&set, 0, TRI_INDEX_END), TRI_INDEX_END);
    ck_assert_uint_eq(tri_rangeset_remove(&set, 7, 1), 1);
    ck_assert(tri_rangeset_last(&set, &index) && index == TRI_INDEX_END - 1);
    ck_assert(tri_rangeset_first(&set, &index) && index == 0);
    tri_rangeset_check(&set);
    tri_rangeset_deinit(&set);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rangeset");

    tcase_add_test(tcase, random_operations_on_a_small_universe_match_a_bitmap);
    tcase_add_loop_test(tcase, random_operations_across_blocks_match_a_bitmap, 0, 3);
    tcase_add_test(tcase, random_operations_at_the_largest_indexes_match_a_bitmap);
    tcase_add_test(tcase, a_thousand_million_indexes_in_one_range_need_no_memory);
    tcase_add_test(tcase, a_hole_in_a_long_range_costs_one_range_more);
    tcase_add_test(tcase, the_worst_pattern_costs_about_one_bit_an_index_and_heals);
    tcase_add_loop_test(tcase, scattered_indexes_added_in_any_order_stay_under_forty_bytes_a_range,
                        0, 3);
    tcase_add_test(tcase, whole_set_operations_match_a_bitmap);
    tcase_add_test(tcase, queries_and_removals_accept_ranges_that_overflow);
    tcase_add_test(tcase, the_whole_universe_is_one_range);
    return unit_run("rangeset", tcase);
}
