/* One suite for every kind of oar: test_oars process|thread|async. */
#include "fake_session.h"
#include "oars_cases.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    TCase *(*const cases[])(void) = { results_case, failures_case, stopping_case,
                                      crashes_case, calls_case,    commands_case };
    Suite *suite = suite_create("oars");
    SRunner *runner;
    int failed;

    if (argc != 2 || tri_model_parse(argv[1], &model_under_test) != TRI_OK) {
        fprintf(stderr, "usage: test_oars process|thread|async\n");
        return 2;
    }
    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        TCase *tcase = cases[i]();

        tcase_set_timeout(tcase, 30);
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
