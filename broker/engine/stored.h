/* stored.h - the heads of rows of the store: what recovery needs, as msgpack arrays
 * (docs/spec/3-storage.md). A ROW's head is its ROW message, a CHUNK's the ITEMS record.
 *
 * Threads: pure functions.   Memory: append to the caller's buffer.
 */
#ifndef ENGINE_STORED_H
#define ENGINE_STORED_H

#include "common/buffer.h"

struct engine;
struct batch;
struct entry;
struct grade;

#define STORED_FORMAT 1

/* Ranges of one set that fit into a BATCH head. */
#define STORED_RANGES_MAX 1024

/* [format, epoch, next batch number] */
void stored_meta(const struct engine *engine, struct tri_buffer *out);

void stored_put_meta(struct engine *engine);

/* [format, uuid, name, principal, spec, state, sealed, halting, cancelling, generation, count,
 *  hash, reason, age_ms, ended_ms, rows, wall_ns, cpu_ns, workers, settled, cancelled]
 * ranges as binary pairs; age_ms: since it was submitted, ended_ms: since it ended. */
void stored_batch(const struct engine *engine, const struct batch *batch, struct tri_buffer *out);

/* [format, outcome, attempts, failures, crashes, vanished, cap, dead, wait_ms, error, worker,
 *  wall_us, cpu_us, model] */
void stored_task(const struct entry *entry,
                 const struct grade *grade,
                 uint64_t wait_ms,
                 struct tri_buffer *out);

#endif
