/* effect.h - everything the engine can want done, as data.
 *
 * Order: effects are performed in the order given. All PUTs and DELETEs of one step, and of as
 * many later steps as the caller likes, form one transaction; a SEND with `waits` set must not
 * leave before all of its step and of earlier ones are durable, one without leaves at once. Waiting
 * SENDs to one peer keep their order; in one step, what comes after a waiting one to the same peer
 * waits, too, so that the messages of a step to a peer keep their order. Only an acknowledgement
 * may stay behind, see enum haste.
 *
 * Memory: borrowed from the engine until its next step; PUT payloads that name an event's frame
 * are borrowed from the event (the caller owns those frames and keeps what it needs).
 */
#ifndef ENGINE_EFFECT_H
#define ENGINE_EFFECT_H

#include "broker/engine/event.h"

#define EFFECT_MAP(X)                                                               \
    X(PUT, "write one row of the store")                                            \
    X(DELETE, "remove one row, or with `whole_batch` every row of its batch")       \
    X(GET, "bring the payload of a row into the cache, then LOADED or LOAD_FAILED") \
    X(SEND, "send one message to a peer")                                           \
    X(TRACE, "one line for the log and for golden traces")

enum effect_type {
#define X(name, text) EFFECT_##name,
    EFFECT_MAP(X)
#undef X
};

/* Payload to be sent after frame 0, each as one frame. From a CHUNK: items [first, first+count)
 * relative to the chunk's own first item; a cut that takes all of it is sent unchanged. From a
 * ROW: the whole payload, first and count are 0. */
struct attachment {
    struct store_key key;
    uint32_t first;
    uint32_t count;
};

/* How a waiting SEND stands to others to its peer. An acknowledgement stands for all before it of
 * the same `subject`, so a later one may take its place; it may stay behind for some milliseconds,
 * but nothing except rows and leases, which somebody waits for, overtakes it. */
enum haste {
    HASTE_NORMAL,
    HASTE_OVERTAKES, /* a row, a lease */
    HASTE_NONE,      /* an acknowledgement */
};

struct effect {
    enum effect_type type;
    union {
        struct {
            struct store_key key;
            struct tri_bytes head;    /* what recovery needs, a msgpack record */
            struct tri_bytes payload; /* frame bytes, or empty */
            int frame;                /* >= 0: payload is event->frames[frame]; -1: engine's own */
        } put;
        struct {
            struct store_key key;
            bool whole_batch;
        } delete;
        struct store_key get;
        struct {
            struct peer_id peer;
            struct tri_bytes frame; /* frame 0, encoded */
            const struct attachment *attachments;
            size_t attachment_count;
            uint32_t item_bytes_max; /* not 0: the attachments, parts of one chunk, are one frame,
                                        an item chunk of values that are cut to this */
            bool waits;
            bool informs; /* waits, but promises nothing: it may leave while the store is full */
            enum haste haste;
            uint64_t subject; /* HASTE_NONE */
        } send;
        const char *trace;
    };
};

struct effects {
    const struct effect *items;
    size_t count;
    bool writes; /* there is a PUT or DELETE among them */
};

#endif
