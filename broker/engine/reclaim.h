/* reclaim.h - after a restart: whose work from before may still be running.
 *
 * Leases are not stored. A worker is known to the store from its WELCOME on until its session ends,
 * so that after a restart the broker knows whom to wait for: tasks of old batches are leased again
 * when every known worker has named in HELLO what it holds, or reclaim_ms has passed. What a worker
 * names it keeps, under the old number (docs/spec/2-lifecycle.md, "Recovery").
 *
 * Time: O(batches) once, when the waiting ends; else as HELLO.
 */
#ifndef ENGINE_RECLAIM_H
#define ENGINE_RECLAIM_H

#include "common/proto/message.h"
#include "common/types.h"

struct engine;
struct batch;
struct lease;
struct session;

/* The rows have been read: the waiting begins. */
void reclaim_begin(struct engine *engine);

/* A worker has a session (no longer). */
void reclaim_join(struct engine *engine, struct session *session);
void reclaim_leave(struct engine *engine, struct session *session);

/* Take over a lease of an earlier life that the worker names; NULL: nothing of it can be had. */
struct lease *reclaim_lease(struct engine *engine,
                            struct session *session,
                            const struct tri_rec_held *held);

/* True when a report about this lease may be about tasks of the batch: it was given in this life,
 * or after the batch had been submitted. Then tasks below `*end` are meant. */
bool reclaim_covers(const struct engine *engine,
                    const struct batch *batch,
                    uint64_t lease,
                    uint64_t *end);

/* True when the lease was given in an earlier life. */
bool reclaim_is_from_before(const struct engine *engine, uint64_t lease);

/* Every known worker has come, or the time is over: what was held back is leased. */
void reclaim_settle(struct engine *engine);

#endif
