/* credit.h - room: for items in the broker, for results in the broker and at the client.
 *
 * Memory here is where payloads are kept: limits.memory_bytes_max of it or, once ROOM has come,
 * what is kept then and the room that the store still has.
 *
 * APPEND credit: the bytes that a client may have sent in all. It is promised memory: what has been
 * granted and not used counts as taken. Items take at most three quarters of the memory, so that
 * results always find room.
 *
 * Result room: every lease reserves what its results are expected to need, in the window of the
 * batch's owner and in memory. Where there is none, only the oldest undone task is leased, on a
 * reserve of its own; the reserve is free again when its row is acknowledged, or when that row
 * cannot be because it also covers younger tasks.
 */
#ifndef ENGINE_CREDIT_H
#define ENGINE_CREDIT_H

#include "common/types.h"

struct engine;
struct batch;
struct lease;
struct event;
struct session;

/* Bytes of payload that are kept or promised. */
struct memory {
    uint64_t bytes_max;
    bool is_full; /* of the store: no room for anything new, whatever was promised */
    uint64_t chunk_bytes;
    uint64_t row_bytes;
    uint64_t granted_bytes;  /* append credit given and not used */
    uint64_t reserved_bytes; /* room of leases for their results */
};

uint64_t memory_free(const struct engine *engine);

/* The store says how much room it has. */
void on_room(struct engine *engine, const struct event *event);

/* Something was freed: who waits for memory is looked at before the step ends. */
void memory_freed(struct engine *engine);

/* The batch cannot lease, or cannot take items, for want of memory. */
void credit_starve(struct engine *engine, struct batch *batch);

/* Not even the result of one task fits. */
bool memory_is_short(const struct engine *engine, const struct batch *batch);

/* When those who wait for memory should try again in any case. */
tri_time memory_deadline(const struct engine *engine);

/* Let those who wait for memory try, a few in the order in which they came. */
void memory_serve(struct engine *engine);

/* Bytes that may still be promised for items. */
uint64_t credit_append_room(const struct engine *engine);

/* Grow the append credit of an open batch as far as limits and memory allow. */
void credit_append(struct engine *engine, struct batch *batch);

/* Its client hears, once, that it has to wait for room in the store, if it has to. It stands behind
 * what tells the client of the batch. */
void credit_tell_feeder(struct engine *engine, struct batch *batch);

/* Say NO_SPACE to whoever wants something new of a store that is full; or a new batch that will be
 * appended to, of one in which no room for items can be promised. False: there is room. */
bool credit_refuse_new(struct engine *engine, struct session *session, uint64_t request);
bool credit_refuse_items(struct engine *engine, struct session *session, uint64_t request);
bool credit_refuse_append(struct engine *engine,
                          struct session *session,
                          struct batch *batch,
                          uint64_t request);

/* True when the client has been told of so little credit that it may be waiting for more. */
bool credit_append_is_short(const struct engine *engine, const struct batch *batch);

/* True when the client should hear of the credit that has grown. */
bool credit_append_is_news(const struct engine *engine, const struct batch *batch);

/* Bytes that new leases of the batch may reserve now. */
uint64_t credit_room(const struct engine *engine, const struct batch *batch);

/* How many tasks' results fit in `room`, and the room that `count` tasks need. */
uint64_t credit_tasks(const struct engine *engine, const struct batch *batch, uint64_t room);
uint64_t credit_need(const struct engine *engine, const struct batch *batch, uint64_t count);

/* True when the oldest undone task may be leased beyond all room. */
bool credit_reserve_is_free(struct batch *batch);

/* A worker needs `bytes` more for the results of a lease (0: no more). Call berth_update
 * afterwards. */
void credit_want(struct engine *engine, struct lease *lease, uint64_t bytes);

/* Grant what is wanted while there is room. */
void credit_serve(struct engine *engine, struct batch *batch);

/* Its worker has come back with the lease: a CREDIT of the reserve may have got lost on the way,
 * and the worker will say so. */
void credit_doubt(struct lease *lease);

/* Reserve or give back result room of a lease. */
void credit_reserve(struct engine *engine, struct lease *lease, uint64_t bytes);
void credit_release(struct engine *engine, struct lease *lease, uint64_t bytes);

#endif
