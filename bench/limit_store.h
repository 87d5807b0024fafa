/* limit_store.h - rows of payload and of results in an SQLite file, in the settings of the broker's
 * own store, for the broker of limit_pipe. A row of results takes the place of its payload. */
#ifndef BENCH_LIMIT_STORE_H
#define BENCH_LIMIT_STORE_H

#include <stddef.h>
#include <stdint.h>

/* A new file; one that is there goes. */
void limit_store_open(const char *file);

void limit_store_put_payload(uint64_t row, const void *data, size_t size);
/* Also deletes the payload of that row. */
void limit_store_put_result(uint64_t row, const void *data, size_t size);
/* What its client has. */
void limit_store_delete_result(uint64_t row);

/* Make everything since the last commit durable. */
void limit_store_commit(void);

#endif
