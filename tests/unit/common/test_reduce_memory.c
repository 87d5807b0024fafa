/* Reducers promise TRI_MEMORY and all or nothing: fail the n-th allocation, for n = 1, 2, ... until
 * the run is clean. */
#include "common/reduce.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int allocations_left = -1; /* -1: no limit */

static bool fails(void)
{
    if (allocations_left < 0)
        return false;
    return allocations_left == 0 || --allocations_left == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static const char *const specs[] = { "count",           "sum",   "min",   "max",   "mean",
                                     "histogram:0:9:3", "tally", "top:3", "concat" };

/* Fold, give, merge, finish. Every step that fails must say TRI_MEMORY and is tried again with
 * memory, so the result must be right whatever failed. Returns whether anything failed. */
static bool run(const char *spec, int fail_at, struct tri_buffer *result)
{
    struct tri_error error;
    struct tri_reducer *part;
    struct tri_reducer *whole;
    struct tri_buffer partial;
    bool failed = false;
    int kept = -1;

#define STEP(call)                                   \
    do {                                             \
        enum tri_status status = (call);             \
                                                     \
        kept = allocations_left;                     \
        allocations_left = -1; /* Check allocates */ \
        if (status != TRI_OK) {                      \
            ck_assert_int_eq(status, TRI_MEMORY);    \
            failed = true;                           \
            partial.failed = result->failed = false; \
            ck_assert_int_eq(call, TRI_OK);          \
        }                                            \
        allocations_left = kept;                     \
    } while (0)

    tri_buffer_init(&partial);
    allocations_left = fail_at;
    part = tri_reducer_new(spec, &error);
    kept = allocations_left;
    allocations_left = -1;
    if (part == NULL) {
        ck_assert_int_eq(error.status, TRI_MEMORY);
        failed = true;
        part = tri_reducer_new(spec, &error);
    }
    whole = tri_reducer_new(spec, &error);
    allocations_left = kept;
    for (uint64_t i = 0; i < 40; i++) {
        char text[100];
        struct tri_value value;

        memset(text, 'a' + (int)(i % 26), sizeof(text));
        value = tri_value_string(text, 60 + i);
        if (spec[0] == 'h' || spec[0] == 's' || strcmp(spec, "mean") == 0)
            value = tri_value_float((double)i);
        STEP(tri_reducer_fold(part, 2 * i, &value, &error));
    }
    STEP(tri_reducer_give(part, &partial, &error));
    STEP(tri_reducer_merge(whole, tri_buffer_bytes(&partial), NULL, 0, &error));
    STEP(tri_reducer_finish_json(whole, result, &error));
    allocations_left = -1;
    tri_buffer_deinit(&partial);
    tri_reducer_destroy(&part);
    tri_reducer_destroy(&whole);
    return failed;
#undef STEP
}

START_TEST(any_failed_allocation_is_a_status_and_changes_nothing)
{
    struct tri_buffer want;
    bool failed = true;

    tri_buffer_init(&want);
    ck_assert(!run(specs[_i], -1, &want));
    for (int n = 1; failed; n++) {
        struct tri_buffer got;

        tri_buffer_init(&got);
        failed = run(specs[_i], n, &got);
        ck_assert(got.size == want.size && memcmp(got.data, want.data, got.size) == 0);
        tri_buffer_deinit(&got);
        ck_assert_int_lt(n, 1000);
    }
    tri_buffer_deinit(&want);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reduce_memory");

    tcase_add_loop_test(tcase, any_failed_allocation_is_a_status_and_changes_nothing, 0,
                        (int)TRI_COUNT_OF(specs));
    return unit_run("reduce_memory", tcase);
}
