/* story.h - what every file of stories begins with: one scenario, made and ended around each. */
#ifndef STORY_H
#define STORY_H

#include "tests/engine/scenario.h"

#include "common/proto/codec.h"

static struct scenario s;

static void story_setup(void)
{
    scenario_begin(&s);
}

static void story_teardown(void)
{
    scenario_end(&s);
}

/* Begin again with other options. */
static inline void story_with(const struct engine_options *options)
{
    scenario_end(&s);
    scenario_begin_with(&s, options);
}

static inline void client_and_worker(struct scenario *scenario, uint64_t width)
{
    client_joins(scenario, "c1");
    worker_joins(scenario, "w1", width);
}

#define STORY(name) tcase_add_test(tcase, name)

static inline int story_run(const char *name, TCase *tcase)
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, story_setup, story_teardown);
    tcase_set_timeout(tcase, 30);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
