#include "tests/unit/unit.h"
#include "worker/oars/arena.h"

#include <stdlib.h>
#include <string.h>

START_TEST(memory_is_aligned_and_apart)
{
    struct arena arena = { 0 };
    uint8_t *pieces[200];

    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 7 % 61;

        pieces[i] = arena_alloc(&arena, size);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t at = 0; at < i * 7 % 61; at++)
            ck_assert_uint_eq(pieces[i][at], (uint8_t)i);
    }
    arena_free(&arena);
    ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(large_pieces_do_not_waste_what_is_left_of_a_block)
{
    struct arena arena = { 0 };
    uint8_t *small = arena_alloc(&arena, 16);
    uint8_t *large = arena_alloc(&arena, 1 << 20);
    uint8_t *next = arena_alloc(&arena, 16);

    memset(large, 1, 1 << 20);
    ck_assert_ptr_eq(next, small + 16);
    arena_free(&arena);
}
END_TEST

START_TEST(what_was_taken_is_freed_with_the_rest)
{
    struct arena arena = { 0 };
    void *memory = malloc(100);

    ck_assert_ptr_eq(arena_take(&arena, memory), memory);
    arena_reset(&arena); /* a leak would be reported */
    ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(a_size_beyond_reason_gives_nothing)
{
    struct arena arena = { 0 };

    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 15));
    arena_reset(&arena);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("arena");

    tcase_add_test(tcase, memory_is_aligned_and_apart);
    tcase_add_test(tcase, large_pieces_do_not_waste_what_is_left_of_a_block);
    tcase_add_test(tcase, what_was_taken_is_freed_with_the_rest);
    tcase_add_test(tcase, a_size_beyond_reason_gives_nothing);
    return unit_run("arena", tcase);
}
