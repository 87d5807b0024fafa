/* oars_cases.h - the parts of the suite, one file each. */
#ifndef OARS_CASES_H
#define OARS_CASES_H

#include <check.h>

TCase *results_case(void);
TCase *failures_case(void);
TCase *stopping_case(void);
TCase *crashes_case(void);
TCase *calls_case(void);
TCase *commands_case(void);

#endif
