/* Partials: whatever the slicing and the order of merging, the same bits; and bytes from outside
 * are not trusted. */
#include "tests/unit/common/reduce_support.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define TASKS 200

struct slice {
    struct tri_buffer partial;
    struct tri_range range;
};

/* Fold tasks [0, TASKS) into one reducer, and by slices into others; merge those in random order.
 * Partial and result must be the same. */
static void expect_slicing_is_invisible(const char *spec, uint64_t seed)
{
    struct tri_value values[TASKS];
    char texts[TASKS][8];
    struct slice slices[TASKS];
    size_t slice_count = 0;
    struct tri_prng prng;
    struct tri_reducer *whole = reducer(spec);
    struct tri_reducer *part = reducer(spec);
    struct tri_reducer *merged = reducer(spec);
    struct tri_buffer a;
    struct tri_buffer b;

    tri_prng_init(&prng, seed);
    tri_buffer_init(&a);
    tri_buffer_init(&b);
    for (uint64_t i = 0; i < TASKS; i++) {
        values[i] = random_value(spec, &prng, texts[i]);
        ck_assert_int_eq(tri_reducer_fold(whole, i, &values[i], NULL), TRI_OK);
    }
    for (uint64_t first = 0; first < TASKS;) {
        uint64_t count = 1 + tri_prng_below(&prng, 20);
        struct slice *slice = &slices[slice_count++];

        if (count > TASKS - first)
            count = TASKS - first;
        for (uint64_t i = count; i-- > 0;) { /* any order within */
            struct tri_value *value = &values[first + i];

            if (value->type == TRI_INT && i % 2 == 0)
                ck_assert_int_eq(tri_reducer_fold_int(part, first + i, value->integer), TRI_OK);
            else
                ck_assert_int_eq(tri_reducer_fold(part, first + i, value, NULL), TRI_OK);
        }
        *slice = (struct slice){ .range = { first, count } };
        ck_assert_int_eq(tri_reducer_give(part, &slice->partial, NULL), TRI_OK);
        ck_assert_uint_eq(tri_reducer_count(part), 0);
        first += count;
    }
    while (slice_count > 0) {
        size_t at = tri_prng_below(&prng, slice_count);

        ck_assert_int_eq(tri_reducer_merge(merged, tri_buffer_bytes(&slices[at].partial),
                                           &slices[at].range, 1, NULL),
                         TRI_OK);
        tri_buffer_deinit(&slices[at].partial);
        slices[at] = slices[--slice_count];
    }
    ck_assert_uint_eq(tri_reducer_count(merged), TASKS);
    ck_assert_int_eq(tri_reducer_encode(whole, &a, NULL), TRI_OK);
    ck_assert_int_eq(tri_reducer_encode(merged, &b, NULL), TRI_OK);
    ck_assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    tri_buffer_clear(&a);
    ck_assert_int_eq(tri_reducer_finish_json(whole, &a, NULL), TRI_OK);
    tri_buffer_append(&a, "", 1);
    expect_json(merged, (const char *)a.data);
    tri_buffer_deinit(&a);
    tri_buffer_deinit(&b);
    tri_reducer_destroy(&whole);
    tri_reducer_destroy(&part);
    tri_reducer_destroy(&merged);
}

START_TEST(any_slicing_and_any_order_of_merging_give_the_same_bits)
{
    for (size_t i = 0; i < REDUCE_SPECS; i++)
        for (uint64_t seed = 0; seed < 20; seed++)
            expect_slicing_is_invisible(reduce_specs[i], seed);
}
END_TEST

START_TEST(concat_partials_must_cover_what_they_name_and_nothing_twice)
{
    struct tri_reducer *part = reducer("concat");
    struct tri_reducer *whole = reducer("concat");
    struct tri_range named[] = { { 3, 1 }, { 4, 1 }, { 9, 1 } };
    struct tri_range wrong[] = { { 3, 1 }, { 5, 1 }, { 9, 1 } };
    struct tri_buffer partial;
    struct tri_error error;

    tri_buffer_init(&partial);
    fold_text(part, 3, "a");
    fold_text(part, 4, "b");
    fold_text(part, 9, "c");
    ck_assert_int_eq(tri_reducer_give(part, &partial, NULL), TRI_OK);
    ck_assert_int_eq(tri_reducer_merge(whole, tri_buffer_bytes(&partial), wrong, 3, &error),
                     TRI_INVALID);
    ck_assert_int_eq(tri_reducer_merge(whole, tri_buffer_bytes(&partial), named, 2, &error),
                     TRI_INVALID);
    expect_json(whole, "\"\"");
    ck_assert_int_eq(tri_reducer_merge(whole, tri_buffer_bytes(&partial), named, 3, &error),
                     TRI_OK);
    ck_assert_int_eq(tri_reducer_merge(whole, tri_buffer_bytes(&partial), named, 3, &error),
                     TRI_CONFLICT);
    expect_json(whole, "\"abc\"");
    tri_buffer_deinit(&partial);
    tri_reducer_destroy(&part);
    tri_reducer_destroy(&whole);
}
END_TEST

/* ---- hostile partials ----------------------------------------------------------------------- */

/* What a merge answers to bytes in an allocation of exactly their size. It must leave the reducer
 * usable, and as it was when it refuses. */
static void offer_bytes(struct tri_reducer *self, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    struct tri_buffer before;
    struct tri_buffer after;
    struct tri_error error;
    enum tri_status status;

    memcpy(copy, data, size);
    tri_buffer_init(&before);
    tri_buffer_init(&after);
    ck_assert_int_eq(tri_reducer_encode(self, &before, NULL), TRI_OK);
    status = tri_reducer_merge(self, (struct tri_bytes){ copy, size }, NULL, 0, &error);
    ck_assert_int_eq(tri_reducer_encode(self, &after, NULL), TRI_OK);
    if (status != TRI_OK)
        ck_assert(before.size == after.size && memcmp(before.data, after.data, after.size) == 0);
    tri_buffer_clear(&after);
    tri_reducer_finish_json(self, &after, NULL);
    tri_buffer_deinit(&before);
    tri_buffer_deinit(&after);
    free(copy);
}

START_TEST(mutilated_partials_are_refused_or_harmless)
{
    for (size_t i = 0; i < REDUCE_SPECS; i++) {
        struct tri_reducer *source = reducer(reduce_specs[i]);
        struct tri_reducer *self = reducer(reduce_specs[i]);
        struct tri_buffer partial;
        struct tri_prng prng;
        char text[8];

        tri_prng_init(&prng, (uint64_t)_i);
        tri_buffer_init(&partial);
        for (uint64_t task = 0; task < 10; task++) {
            struct tri_value value = random_value(reduce_specs[i], &prng, text);

            tri_reducer_fold(source, 2 * task, &value, NULL);
        }
        tri_reducer_encode(source, &partial, NULL);
        for (size_t cut = 0; cut < partial.size; cut++)
            offer_bytes(self, partial.data, cut);
        ck_assert_uint_eq(tri_reducer_count(self), 0);
        for (int round = 0; round < 300; round++) {
            size_t at = tri_prng_below(&prng, partial.size);
            uint8_t byte = partial.data[at];

            partial.data[at] = (uint8_t)tri_prng_next(&prng);
            offer_bytes(self, partial.data, partial.size);
            partial.data[at] = byte;
        }
        tri_buffer_deinit(&partial);
        tri_reducer_destroy(&source);
        tri_reducer_destroy(&self);
    }
}
END_TEST

START_TEST(a_partial_of_another_reducer_is_refused)
{
    for (size_t i = 0; i < REDUCE_SPECS; i++) {
        for (size_t j = 0; j < REDUCE_SPECS; j++) {
            struct tri_reducer *source = reducer(reduce_specs[i]);
            struct tri_reducer *self = reducer(reduce_specs[j]);
            struct tri_buffer partial;

            tri_buffer_init(&partial);
            tri_reducer_fold_int(source, 0, 1);
            tri_reducer_encode(source, &partial, NULL);
            ck_assert_int_eq(tri_reducer_merge(self, tri_buffer_bytes(&partial), NULL, 0, NULL),
                             i == j ? TRI_OK : TRI_INVALID);
            tri_buffer_deinit(&partial);
            tri_reducer_destroy(&source);
            tri_reducer_destroy(&self);
        }
    }
}
END_TEST

START_TEST(a_sum_no_tasks_could_give_is_refused)
{
    struct tri_reducer *self = reducer("sum");
    struct tri_buffer partial;
    __int128 huge = ((__int128)1 << 64) + 1; /* two tasks give at most 2^64 */

    tri_buffer_init(&partial);
    tri_pack_array(&partial, 3);
    tri_pack_uint(&partial, TRI_REDUCE_SUM);
    tri_pack_uint(&partial, 2);
    tri_pack_binary(&partial, &huge, sizeof(huge));
    ck_assert_int_eq(tri_reducer_merge(self, tri_buffer_bytes(&partial), NULL, 0, NULL),
                     TRI_INVALID);
    tri_buffer_deinit(&partial);
    tri_reducer_destroy(&self);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reduce_partial");

    tcase_add_test(tcase, any_slicing_and_any_order_of_merging_give_the_same_bits);
    tcase_add_test(tcase, concat_partials_must_cover_what_they_name_and_nothing_twice);
    tcase_add_loop_test(tcase, mutilated_partials_are_refused_or_harmless, 0, 2);
    tcase_add_test(tcase, a_partial_of_another_reducer_is_refused);
    tcase_add_test(tcase, a_sum_no_tasks_could_give_is_refused);
    return unit_run("reduce_partial", tcase);
}
