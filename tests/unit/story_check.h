/* story_check.h - an assertion about each of very many things. Check writes a record for every
 * ck_assert that holds, and reads them all back: of a million they take longer than the test. */
#ifndef TESTS_STORY_CHECK_H
#define TESTS_STORY_CHECK_H

#include <check.h>

#define STORY_CHECK(condition, ...)    \
    do {                               \
        if (!(condition))              \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)

#endif
