/* open.h - the one thing in which the stores under test differ: how one is opened. */
#ifndef TESTS_CONTRACT_OPEN_H
#define TESTS_CONTRACT_OPEN_H

#include "broker/store/store.h"

/* A new, empty one. */
struct store *open_store(void);

/* Close it and open what it left behind. A store that leaves nothing behind stays as it is. */
void reopen_store(struct store **store);

/* It is closed: remove what it left behind. */
void clean_store(void);

#endif
