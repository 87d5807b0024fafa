/* recover.h - the parts of recovery (engine.h has its contract), and what the rest of the engine
 * has to know about it.
 *
 * recover.c reads META and hands out the rows, recover_rows.c reads those of batches,
 * recover_finish.c says what follows from all of them.
 */
#ifndef ENGINE_RECOVER_H
#define ENGINE_RECOVER_H

#include "broker/engine/engine.h"
#include "common/map.h"
#include "common/rangeset.h"

struct batch;

/* From the first row that was not acknowledged to the last one. */
#define ROW_SPAN_MAX (UINT64_C(1) << 26)

/* ---- what lives only meanwhile -------------------------------------------------------------- */

struct recovery {
    struct store_key last;
    bool has_rows;
    bool has_meta;
    struct recovery_counts counts;
};

/* Maps from generations to the tasks that died in them, as rangesets. */
struct recovering {
    uint64_t rows;               /* from here on no row can be missing */
    struct tri_map acknowledged; /* settled if the task has not been retried since */
    struct tri_map dead;         /* as the TASKs say, of a batch that was retried */
};

/* Free it. NULL-safe. */
void recovery_free(struct engine *engine);
void recovering_free(struct batch *batch);

/* The tasks that died in a generation, to be added to. */
struct tri_rangeset *deaths_at(struct tri_map *map, uint64_t generation);

/* ---- one row; TRI_STORE says what is wrong with it ------------------------------------------ */

enum tri_status recover_batch(struct engine *engine,
                              struct store_key key,
                              struct tri_bytes head,
                              struct tri_error *error);
enum tri_status recover_chunk(struct engine *engine,
                              struct store_key key,
                              struct tri_bytes head,
                              uint64_t payload_bytes,
                              struct tri_error *error);
enum tri_status recover_result(struct engine *engine,
                               struct store_key key,
                               struct tri_bytes head,
                               uint64_t payload_bytes,
                               struct tri_error *error);
enum tri_status recover_task(struct engine *engine,
                             struct store_key key,
                             struct tri_bytes head,
                             uint64_t payload_bytes,
                             struct tri_error *error);

/* All rows of the batch have been read. What is wrong with them together; NULL: nothing. */
const char *recover_finish(struct engine *engine, struct batch *batch);

#endif
