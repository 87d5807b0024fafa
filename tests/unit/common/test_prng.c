#include "common/backoff.h"
#include "common/prng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

START_TEST(the_same_seed_gives_the_same_numbers)
{
    struct tri_prng a;
    struct tri_prng b;

    tri_prng_init(&a, 42);
    tri_prng_init(&b, 42);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(tri_prng_next(&a), tri_prng_next(&b));
    tri_prng_init(&b, 43);
    ck_assert_uint_ne(tri_prng_next(&a), tri_prng_next(&b));
}
END_TEST

/* The generator itself: from the state 1, 2, 3, 4, as its authors' reference code computes. */
START_TEST(the_generator_is_xoshiro256_starstar)
{
    static const uint64_t expected[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct tri_prng prng = { { 1, 2, 3, 4 } };

    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(tri_prng_next(&prng), expected[i]);
}
END_TEST

START_TEST(numbers_below_a_bound_reach_all_of_it_evenly)
{
    struct tri_prng prng;
    int hits[7] = { 0 };

    tri_prng_init(&prng, 1);
    for (int i = 0; i < 70000; i++)
        hits[tri_prng_below(&prng, 7)]++;
    for (int i = 0; i < 7; i++)
        ck_assert_int_lt(abs(hits[i] - 10000), 500);
    for (int i = 0; i < 100; i++) {
        uint64_t value = tri_prng_between(&prng, 5, 7);
        double unit = tri_prng_unit(&prng);

        ck_assert(value >= 5 && value <= 7);
        ck_assert(unit >= 0.0 && unit < 1.0);
    }
    tri_prng_between(&prng, 0, UINT64_MAX);
    ck_assert_uint_eq(tri_prng_below(&prng, 1), 0);
}
END_TEST

START_TEST(a_backoff_doubles_up_to_its_limit_and_stays_in_bounds)
{
    struct tri_backoff backoff = { .base_ms = 100, .max_ms = 5000 };
    struct tri_prng prng;

    tri_prng_init(&prng, 1);
    ck_assert_uint_eq(tri_backoff_min_ms(&backoff, 1), 50);
    ck_assert_uint_eq(tri_backoff_max_ms(&backoff, 1), 100);
    ck_assert_uint_eq(tri_backoff_max_ms(&backoff, 4), 800);
    ck_assert_uint_eq(tri_backoff_max_ms(&backoff, 7), 5000);
    ck_assert_uint_eq(tri_backoff_max_ms(&backoff, UINT64_MAX), 5000);
    for (uint64_t retry = 1; retry < 200; retry++) {
        uint64_t wait = tri_backoff_ms(&backoff, retry, &prng);

        ck_assert_uint_ge(wait, tri_backoff_min_ms(&backoff, retry));
        ck_assert_uint_le(wait, tri_backoff_max_ms(&backoff, retry));
    }
    backoff = (struct tri_backoff){ .base_ms = 1, .max_ms = UINT64_MAX };
    ck_assert_uint_eq(tri_backoff_max_ms(&backoff, 1000), UINT64_MAX);
    ck_assert_uint_eq(tri_backoff_ms(&backoff, 1, &prng), 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("prng");

    tcase_add_test(tcase, the_same_seed_gives_the_same_numbers);
    tcase_add_test(tcase, the_generator_is_xoshiro256_starstar);
    tcase_add_test(tcase, numbers_below_a_bound_reach_all_of_it_evenly);
    tcase_add_test(tcase, a_backoff_doubles_up_to_its_limit_and_stays_in_bounds);
    return unit_run("prng", tcase);
}
