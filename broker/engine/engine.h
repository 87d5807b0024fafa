/* engine.h - the broker's rules, and nothing else.
 *
 * A deterministic state machine: (state, event) -> (state, effects). It reads no clock, opens
 * nothing and logs nothing. The same limits, seed and events give the same effects, byte for byte:
 * that is what tests/sim relies on.
 *
 * Time:    milliseconds of boot time, only ever from event->now, which never goes backwards
 *          (asserted).
 * Threads: one engine belongs to one thread. No locks inside.
 * Memory:  events are borrowed for the call; effects are borrowed by the caller until the next
 *          engine_step().
 * Errors:  a peer's mistake becomes a SEND of ERROR; ours becomes a failed assertion. There is no
 *          third kind.
 * Limits:  struct engine_limits; reaching one is FULL, BUSY or NO_SPACE to the peer.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "broker/engine/effect.h"
#include "broker/engine/event.h"

struct engine;

struct engine_limits {
    uint64_t heartbeat_ms;      /* 1000: a lease unnamed in two heartbeats returns to pending */
    uint64_t lease_ms;          /* 10000 */
    uint64_t lease_target_ms;   /* 100: work queued at a worker beyond its oars */
    uint64_t open_grace_ms;     /* 60000: an open batch without its client is sealed */
    uint64_t reclaim_ms;        /* 15000: after a restart workers may come back with leases */
    uint64_t refusal_grace_ms;  /* 30000: one whose worker left waits for a willing one */
    uint64_t retention_ms;      /* 7 days: ended batches are kept this long */
    uint64_t backoff_ms_min;    /* 100 */
    uint64_t backoff_ms_max;    /* 30000 */
    uint64_t message_bytes_max; /* 64 MiB: ZMQ_MAXMSGSIZE */
    uint64_t item_bytes_max;    /* 16 MiB */
    uint64_t memory_bytes_max;  /* payload kept for all batches, until ROOM says what the store has:
                                   APPEND credit ends here */
    uint64_t batch_bytes_max;   /* payload of one batch, not yet done or, when it is stored, not yet
                                   durable: its APPEND credit */
    uint64_t window_bytes_max;  /* of a client's window, what tasks are leased for at most */
    uint64_t batches_max;       /* 1 000 000 */
    uint64_t peers_max;         /* 20 000 */
    uint64_t entries_max;       /* exceptional tasks kept in memory, 1 000 000 */
    uint64_t history_bytes_max; /* of the tries of all of them, 64 MiB */
    uint64_t result_bytes_guess; /* 64: reserved per task until the mean is known */
};

struct engine_options {
    struct engine_limits limits;
    uint64_t seed;           /* for jitter */
    struct tri_uuid cluster; /* goes into WELCOME */
    uint64_t epoch;          /* goes into WELCOME and lease numbers */
    uint64_t first_lease;    /* counted from here: in a copy of a store an epoch may come twice */
    const char *software;    /* "trireme/0.1.0" */
    bool payloads_stored;    /* payloads are not all in memory: GET before they are sent */
};

/* The defaults of docs/man/trireme-broker.1. */
void engine_options_init(struct engine_options *options);

/* Never returns NULL: the broker cannot run without it. */
struct engine *engine_new(const struct engine_options *options);

/* Free everything and set *self to NULL. NULL-safe and idempotent. */
void engine_destroy(struct engine **self);

/* ---- recovery: an engine rebuilt from the rows of its store, before its first event ---------- */

struct recovery_counts {
    uint64_t batches;
    uint64_t chunks;
    uint64_t rows;
    uint64_t workers; /* whose leases are waited for */
};

/* The rows are coming; it is `now`. With none the engine is a new one, of the epoch and cluster
 * that its options say; otherwise of those of its META row, the epoch one higher. */
void engine_recover_begin(struct engine *self, tri_time now);

/* The next row in the order of (table, batch, key), with the size of its payload. TRI_STORE, with a
 * text that names the row, when it is not one that this engine has written: the engine can then
 * only be destroyed. Borrows `head` for the call. */
enum tri_status engine_recover_row(struct engine *self,
                                   struct store_key key,
                                   struct tri_bytes head,
                                   uint64_t payload_bytes,
                                   struct tri_error *error);

/* All rows have come. TRI_STORE when they contradict each other. Otherwise everything that was
 * acknowledged is known, engine_check() holds, and the engine waits for its first event: tasks of
 * batches from before are leased again when the known workers have said what they hold, or
 * limits.reclaim_ms has passed. */
enum tri_status engine_recover_end(struct engine *self,
                                   struct recovery_counts *counts,
                                   struct tri_error *error);

/* Apply one event. The caller makes every PUT durable, as one transaction, before it performs any
 * waiting SEND of the same step or a later one (effect.h, "Order"). */
struct effects engine_step(struct engine *self, const struct event *event);

/* When the next TICK is due, or TRI_NEVER. */
tri_time engine_deadline(const struct engine *self);

/* Verify every invariant that spans structures, conservation first; assert on the first broken
 * one. O(everything). Called after every step by tests and the simulator. */
void engine_check(const struct engine *self);

#endif
