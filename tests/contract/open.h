/* open.h - the one thing in which the stores under test differ: how a new, empty one is opened. */
#ifndef TESTS_CONTRACT_OPEN_H
#define TESTS_CONTRACT_OPEN_H

#include "broker/store/store.h"

struct store *open_store(void);

#endif
