/* slow_store.h - a store in memory whose commits become durable when the test says so, and fail
 * when it says so: what a disk does, without one. */
#ifndef TESTS_UNIT_BROKER_SLOW_STORE_H
#define TESTS_UNIT_BROKER_SLOW_STORE_H

#include "broker/store/store.h"

struct store *slow_store_new(void);

/* Commits up to `ticket` are durable. */
void slow_store_durable(struct store *self, uint64_t ticket);

/* The disk says so much room; without any nothing becomes durable. */
void slow_store_room(struct store *self, uint64_t bytes);

/* The next commit fails. */
void slow_store_break(struct store *self);

#endif
