/* history.h - the charged tries of one task, in bounds: the first one and the last ones.
 *
 * They are ATTEMPT records back to back (record_table.h), the same bytes in memory and in the
 * store. What is kept says when: `age_ms` is what the durable clock showed (stored.h), `restarts`
 * the epoch. history_tell makes of it what a client gets: how long ago, and how often the broker
 * was started since, for the clock does not know how long it was away. Epoch 0: in an
 * earlier life, and nobody has noted when.
 *
 * The tries of a task are numbered from 1 without a gap: those before the last that are not here
 * have been left out.
 *
 * Threads: pure functions.
 * Memory:  a history owns its bytes.
 * Limits:  HISTORY_COUNT_MAX tries, HISTORY_BYTES_MAX bytes; the one after the first goes first.
 */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H

#include "common/buffer.h"
#include "common/proto/message.h"
#include "trireme/status.h"

#define HISTORY_COUNT_MAX 16
#define HISTORY_BYTES_MAX 4096

/* Of the error of one try; the client's row has all of it. */
#define HISTORY_ERROR_BYTES_MAX 500

/* Zeroed: nothing has been charged. */
struct history {
    uint8_t *data;
    uint32_t size;
    uint32_t last; /* where the last record begins */
    uint32_t count;
};

void history_deinit(struct history *self);

/* One more try; its error is cut. */
void history_add(struct history *self, const struct tri_rec_attempt *attempt);

/* The last try, which borrows from the history. False: there is none. */
bool history_last(const struct history *self, struct tri_rec_attempt *attempt);

/* All tries, at this time of the durable clock and in this epoch, appended to `out`. */
void history_tell(const struct history *self,
                  uint64_t clock_ms,
                  uint64_t epoch,
                  struct tri_buffer *out);

/* Bytes that a history once was; TRI_STORE when they cannot be. `self` is zeroed or whole. */
enum tri_status history_open(struct history *self, struct tri_bytes bytes, struct tri_error *error);

#endif
