/* event.h - everything the engine can learn. Below this line there is no clock, no socket, no
 * randomness: an event carries them.
 *
 * Memory: everything an event points to is borrowed for the one engine_step() that gets it.
 */
#ifndef ENGINE_EVENT_H
#define ENGINE_EVENT_H

#include "common/proto/message.h"
#include "common/types.h"

/* A ZeroMQ routing id: names a connection, proves nothing, and changes on reconnection. */
struct peer_id {
    uint8_t size;
    uint8_t bytes[31];
};

/* Which row of the store: a table, a batch and a key inside it (docs/spec/3-storage.md).
 *   META   batch 0, key 0: epoch, next batch number     BATCH  key 0: spec, name, owner, state
 *   CHUNK  key = index of its first task; payload = the item chunk frame
 *   ROW    key = row id; payload = the body frame that clients get
 *   TASK   key = index of an exceptional task (failed, retrying, dead); payload = its history, when
 *          that is not in the head: the only payload that the engine itself reads */
enum store_table { STORE_META, STORE_BATCH, STORE_CHUNK, STORE_ROW, STORE_TASK };

struct store_key {
    enum store_table table;
    uint64_t batch;
    uint64_t key;
};

/* Batches and keys are below (store.h). */
#define STORE_KEY_END (UINT64_C(1) << 60)

#define EVENT_MAP(X)                                                                          \
    X(MESSAGE, "a peer's message, decoded")                                                   \
    X(BAD_MESSAGE, "a peer's message that cannot be decoded: `status` and `text` say why")    \
    X(PEER_LOST, "a send to `peer` was refused: that connection is gone")                     \
    X(LOADED, "the payload of `key` is in the cache until the next step")                     \
    X(LOAD_FAILED, "the payload of `key` cannot be read")                                     \
    X(ROOM, "the store has `room_bytes` left for what is new; until one comes: no end of it") \
    X(TICK, "engine_deadline() has come, or nothing happened for a while")                    \
    X(SHUTDOWN, "the broker stops: tell every peer")

enum event_type {
#define X(name, text) EVENT_##name,
    EVENT_MAP(X)
#undef X
};

struct event {
    enum event_type type;
    tri_time now;                      /* never goes backwards */
    struct peer_id peer;               /* MESSAGE BAD_MESSAGE PEER_LOST */
    struct tri_bytes principal;        /* who the peer is: "local" without keys */
    const struct tri_message *message; /* MESSAGE */
    const struct tri_bytes *frames;    /* MESSAGE: payload frames 1..n */
    size_t frame_count;                /* LOADED of a TASK: its payload, 1 */
    struct store_key key;              /* LOADED LOAD_FAILED */
    uint64_t room_bytes;               /* ROOM */
    enum tri_status status;
    const char *text;
};

#endif
