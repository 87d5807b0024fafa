/* suite.h - one test program: run its suite, exit with 1 when anything failed. */
#ifndef TESTS_PROTO_SUITE_H
#define TESTS_PROTO_SUITE_H

#include <check.h>
#include <signal.h>

/* `mistakes` must end in a failed assertion. */
static inline int suite_run_aborting(const char *name,
                                     const TTest *const *tests,
                                     size_t count,
                                     const TTest *const *mistakes,
                                     size_t mistake_count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 0); /* ctest has one, and machines may be busy */
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    for (size_t i = 0; i < mistake_count; i++)
        tcase_add_test_raise_signal(tcase, mistakes[i], SIGABRT);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

static inline int suite_run(const char *name, const TTest *const *tests, size_t count)
{
    return suite_run_aborting(name, tests, count, NULL, 0);
}

#endif
