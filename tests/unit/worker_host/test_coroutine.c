#include "common/types.h"
#include "tests/unit/unit.h"
#include "worker/oars/coroutine.h"

#include <sys/wait.h>
#include <unistd.h>

struct counter {
    struct coroutine coroutine;
    unsigned steps;
    unsigned limit;
};

/* Counts its steps, one each time it is resumed; its stack keeps a copy to compare with. */
static void count(struct coroutine *coroutine)
{
    struct counter *self = tri_container_of(coroutine, struct counter, coroutine);
    unsigned mine = 0;

    for (;;) {
        ck_assert_uint_eq(self->steps, mine);
        self->steps = ++mine;
        coroutine_suspend(coroutine);
    }
}

START_TEST(each_coroutine_goes_on_where_it_stopped)
{
    struct coroutine_pool pool;
    struct counter *counters[100];
    bool fresh;

    ck_assert_int_eq(coroutine_pool_open(&pool, 100, 65536, sizeof(struct counter), count, NULL),
                     TRI_OK);
    for (unsigned i = 0; i < 100; i++) {
        struct coroutine *coroutine = coroutine_take(&pool, &fresh);

        ck_assert(fresh);
        ck_assert_uint_eq(coroutine->number, i);
        counters[i] = tri_container_of(coroutine, struct counter, coroutine);
    }
    for (unsigned turn = 0; turn < 50; turn++) {
        for (unsigned i = 0; i < 100; i += 1 + turn % 3)
            coroutine_resume(&counters[i]->coroutine);
    }
    ck_assert_uint_eq(counters[0]->steps, 50);
    ck_assert_uint_lt(counters[1]->steps, 50);
    coroutine_pool_close(&pool);
}
END_TEST

START_TEST(a_pool_is_empty_when_all_are_taken_and_gives_the_last_put_first)
{
    struct coroutine_pool pool;
    struct coroutine *taken[3];
    bool fresh;

    ck_assert_int_eq(coroutine_pool_open(&pool, 3, 65536, sizeof(struct counter), count, NULL),
                     TRI_OK);
    for (unsigned i = 0; i < 3; i++)
        taken[i] = coroutine_take(&pool, &fresh);
    ck_assert_ptr_null(coroutine_take(&pool, &fresh));
    ck_assert_uint_eq(pool.taken, 3);
    coroutine_put(&pool, taken[0]);
    coroutine_put(&pool, taken[2]);
    ck_assert_ptr_eq(coroutine_take(&pool, &fresh), taken[2]);
    ck_assert(!fresh);
    ck_assert_ptr_eq(coroutine_take(&pool, &fresh), taken[0]);
    coroutine_pool_close(&pool);
}
END_TEST

static unsigned dive(unsigned depth)
{
    volatile char room[1024];

    room[0] = (char)depth;
    return depth == 0 ? 0 : dive(depth - 1) + (unsigned char)room[0];
}

static void overflow(struct coroutine *coroutine)
{
    struct counter *self = tri_container_of(coroutine, struct counter, coroutine);

    self->steps = dive(100000);
    coroutine_suspend(coroutine);
}

START_TEST(a_stack_that_overflows_ends_the_process_and_harms_no_neighbour)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct coroutine_pool pool;
        bool fresh;

        coroutine_pool_open(&pool, 2, 65536, sizeof(struct counter), overflow, NULL);
        coroutine_take(&pool, &fresh);
        coroutine_resume(coroutine_take(&pool, &fresh));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_ne(status, 0);
}
END_TEST

START_TEST(more_stacks_than_guards_can_be_are_still_there)
{
    struct coroutine_pool pool;
    unsigned total = COROUTINE_GUARDS_MAX + 10;
    bool fresh;

    ck_assert_int_eq(coroutine_pool_open(&pool, total, 65536, sizeof(struct counter), count, NULL),
                     TRI_OK);
    for (unsigned i = 0; i < 100; i++) {
        struct coroutine *coroutine = coroutine_take(&pool, &fresh);

        coroutine_resume(coroutine);
        ck_assert_uint_eq(tri_container_of(coroutine, struct counter, coroutine)->steps, 1);
    }
    coroutine_pool_close(&pool);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coroutine");

    tcase_add_test(tcase, each_coroutine_goes_on_where_it_stopped);
    tcase_add_test(tcase, a_pool_is_empty_when_all_are_taken_and_gives_the_last_put_first);
    tcase_add_test(tcase, a_stack_that_overflows_ends_the_process_and_harms_no_neighbour);
    tcase_add_test(tcase, more_stacks_than_guards_can_be_are_still_there);
    return unit_run("coroutine", tcase);
}
