/* Out of memory: after tri_rangeset_prepare the next change works, with fewer savings at worst. */
#include "tests/unit/common/rangeset_model.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool memory_is_out;

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_is_out ? NULL : __real_calloc(count, size);
}

START_TEST(a_prepared_set_changes_without_memory)
{
    struct tri_rangeset set = { 0 };
    struct tri_prng prng;
    uint64_t count = 0;

    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 4000; i++) {
        uint64_t first = tri_prng_below(&prng, 150000);
        uint64_t length = 1 + tri_prng_below(&prng, i % 50 == 0 ? 20000 : 3);
        bool add = tri_prng_below(&prng, 2) == 0;

        ck_assert(tri_rangeset_prepare(&set));
        memory_is_out = tri_prng_below(&prng, 4) != 0;
        if (add)
            count += tri_rangeset_add(&set, first, length);
        else
            count -= tri_rangeset_remove(&set, first, length);
        memory_is_out = false;
        ck_assert_uint_eq(count, tri_rangeset_count(&set));
        if (i % 64 == 0)
            tri_rangeset_check(&set);
    }
    tri_rangeset_check(&set);
    tri_rangeset_deinit(&set);
}
END_TEST

START_TEST(prepare_says_when_memory_is_out)
{
    struct tri_rangeset set = { 0 };

    memory_is_out = true;
    ck_assert(!tri_rangeset_prepare(&set));
    memory_is_out = false;
    ck_assert(tri_rangeset_prepare(&set));
    tri_rangeset_deinit(&set);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rangeset_memory");

    tcase_add_loop_test(tcase, a_prepared_set_changes_without_memory, 0, 8);
    tcase_add_test(tcase, prepare_says_when_memory_is_out);
    return unit_run("rangeset_memory", tcase);
}
