#include "fake_session.h"
#include "oars_cases.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const int faults[] = { SIGSEGV, SIGFPE, SIGABRT, SIGBUS, SIGILL, SIGSYS, SIGTRAP };

static void expect_culprit(const char *handler, int signal, uint64_t task)
{
    struct fake fake;
    struct host_table *table;
    int status;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = handler, .width = 8, .first = (int64_t)task - signal, .step = -1 },
              1000);
    table = fake.table;
    fake_lease(&fake, task, 1);
    status = fake_bury(&fake);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), signal);
    ck_assert_int_ge(atomic_load(&table->culprit), 0);
    ck_assert_uint_eq(atomic_load(&table->culprit_task), task + 1);
    ck_assert_int_eq(atomic_load(&table->culprit_signal), signal);
}

START_TEST(a_fault_names_its_task_and_kills_the_host)
{
    expect_culprit("crash", faults[_i], 5);
}
END_TEST

START_TEST(a_fault_after_a_wait_names_its_task_too)
{
    expect_culprit("crash.later", faults[_i], 5);
}
END_TEST

START_TEST(the_culprit_is_found_among_others_that_wait)
{
    struct fake fake;
    int status;

    if (model_under_test == TRI_MODEL_PROCESS)
        return;
    /* Arguments 7, 6, ... 0 and then -6 times one: only the last task crashes, the others nap. */
    fake_open(
        &fake,
        &(struct fake_options){ .handler = "crash.later", .width = 9, .first = 42, .step = -6 }, 9);
    fake_lease(&fake, 0, 9);
    status = fake_bury(&fake);
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
    ck_assert_uint_eq(atomic_load(&fake.table->culprit_task), 9);
    for (unsigned i = 0, found = 0; i < 9; i++) {
        found += atomic_load(&fake.table->slots[i].task) != 0;
        ck_assert(i < 8 || found == 9);
    }
}
END_TEST

START_TEST(a_kill_from_outside_names_nobody)
{
    struct fake fake;
    int status;

    fake_open(&fake, &(struct fake_options){ .handler = "press", .width = 1, .first = -1 }, 1);
    fake_lease(&fake, 0, 1);
    fake_expect_begun(1);
    ck_assert_int_eq(kill(fake.pid, _i == 0 ? SIGKILL : SIGSEGV), 0);
    status = fake_bury(&fake);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(atomic_load(&fake.table->culprit), -1);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[0].task), 1);
    ck_assert_uint_eq(atomic_load(&fake.table->slots[0].lease), 1);
}
END_TEST

TCase *crashes_case(void)
{
    TCase *tcase = tcase_create("crashes");

    tcase_add_loop_test(tcase, a_fault_names_its_task_and_kills_the_host, 0,
                        (int)TRI_COUNT_OF(faults));
    tcase_add_loop_test(tcase, a_fault_after_a_wait_names_its_task_too, 0,
                        (int)TRI_COUNT_OF(faults));
    tcase_add_test(tcase, the_culprit_is_found_among_others_that_wait);
    tcase_add_loop_test(tcase, a_kill_from_outside_names_nobody, 0, 2);
    return tcase;
}
