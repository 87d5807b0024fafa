/* scenario.h - the vocabulary of the engine's stories.
 *
 * A scenario is an engine with peers around it. Actions are events; what the engine sends waits,
 * per peer and as one line of text each, until the story expects it. Anything that was sent and is
 * not expected fails at the next action, and so does anything expected that was not sent. After
 * every step engine_check() runs, PUTs and DELETEs are applied to a model of the store, every
 * payload that a SEND names must be there, and an engine recovered from the model must know all
 * that this one knows (recovered.h).
 *
 *     LEASE b1 0+10 attempt=2 isolated      tasks first+count; attempt and flags when not usual
 *     ROW b1 #3 values 0+4,7+1              row number, kind, ranges
 *     END b1 done done=10 dead=0 cancelled=0 rows=2
 *
 * Peers keep themselves alive with heartbeats while time passes, unless they are told to be silent.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "broker/engine/engine.h"
#include "common/buffer.h"
#include "common/map.h"
#include "common/rangeset.h"
#include "tests/unit/story_check.h"

#define HEARTBEAT_MS 1000
#define LEASE_MS 10000
#define PEERS_MAX 40
#define BATCHES_MAX 40
#define SENT_MAX 4096
#define HELD_MAX 4096

struct sent {
    uint64_t order;
    char text[600];
    bool waits;
    bool informs;
    enum haste haste;
    bool taken;
};

/* What a worker in the story has been given. */
struct held {
    uint64_t lease;
    uint64_t number;
    uint64_t generation;
    uint64_t attempt;
    uint64_t first;
    uint64_t count;
    struct tri_rangeset undone;
    struct tri_rangeset started;
    uint64_t wanted;
};

struct peer {
    char name[32];
    bool used;
    bool silent;
    bool is_worker;
    bool starts;        /* heartbeats name as started what its oars hold */
    bool takes_batches; /* answers BATCH with OARS of `width` */
    uint64_t width;
    struct peer_id id;
    struct tri_uuid instance;
    const char *principal;
    const char *const *handlers;
    const char *const *labels;
    uint64_t seq;       /* reports sent */
    uint64_t heartbeat; /* heartbeats sent */
    struct sent *sent;
    size_t sent_count;
    struct held *held;
    size_t held_count;
};

struct scenario_batch {
    char name[32];
    struct tri_uuid uuid;
    uint64_t number;
    uint64_t appended;
};

struct scenario {
    struct engine *engine;
    struct engine_options options;
    tri_time now;
    struct peer peers[PEERS_MAX];
    struct scenario_batch batches[BATCHES_MAX];
    size_t batch_count;
    uint64_t request;
    uint64_t routes;
    tri_time next_beat;
    bool wants_progress;
    struct tri_bytemap rows; /* the store's model: keys to struct kept */
    struct tri_buffer trace;
    struct tri_buffer history; /* every line sent, as "w1 LEASE b1 0+2\n" */
    uint64_t hash;             /* over every effect, for determinism */
    struct store_key get_keys[64];
    size_t get_count;     /* GETs so far, but for those of histories: these come at once */
    size_t history_count; /* of histories */
    struct store_key wanted[8];
    size_t wanted_count;       /* of these, not come yet */
    bool holds_histories;      /* until histories_come */
    bool has_lost_histories;   /* they cannot be read */
    uint8_t attached_hash[16]; /* of the last ATTACHED */
    uint64_t appended_count;   /* of the last APPENDED */
    uint64_t credit_bytes;     /* append_bytes_max, as last told */
    uint64_t refused_request;  /* of the last ERROR */
    uint64_t welcome_epoch;    /* of the last WELCOME */
    uint8_t welcome_cluster[16];
    uint64_t steps;
    bool is_random; /* it looks for itself whether what the store has is enough */
};

/* A row of the store. */
struct kept {
    struct store_key key;
    uint64_t payload_bytes;
    size_t head_size;
    uint8_t *head; /* with the payload behind it when that is a history */
};

struct scenario_spec {
    const char *handler; /* "square" */
    uint64_t retries;
    uint64_t crash_limit; /* 0: 3 */
    enum tri_halt halt;
    uint64_t halt_fail_count;
    uint64_t halt_fail_percent;
    uint64_t priority;
    const char *const *labels;
    const char *reducer;
    const char *plugin;
    int64_t first;
    int64_t step; /* 0: 1 */
};

/* ---- life ---- */

void scenario_begin(struct scenario *s);
void scenario_begin_with(struct scenario *s, const struct engine_options *options);
struct engine_options scenario_options(void);

/* Nothing unexpected may be left. */
void scenario_end(struct scenario *s);

/* ---- the broker's life ---- */

/* A second engine from the rows of the store, as they are now. */
struct engine *recovered_engine(struct scenario *s);

/* The same, which may be refused. */
enum tri_status recover_into(struct scenario *s, struct engine *engine, struct tri_error *error);

/* The broker is killed and comes back with its store. Nobody is connected; what peers were sent is
 * forgotten, what workers hold is not. */
void broker_restarts(struct scenario *s);

/* ---- time ---- */

void time_passes_ms(struct scenario *s, uint64_t ms);
void tick(struct scenario *s);

/* ---- peers ---- */

void client_joins(struct scenario *s, const char *name);
void client_of(struct scenario *s, const char *name, const char *principal);

/* Offers "square", "echo" and "command"; answers BATCH with `width` oars. */
void worker_joins(struct scenario *s, const char *name, uint64_t width);
void worker_joins_with(struct scenario *s,
                       const char *name,
                       uint64_t width,
                       const char *const *handlers,
                       const char *const *labels);

/* It does not answer BATCH by itself. */
void worker_hesitates(struct scenario *s, const char *name);
void worker_mans(struct scenario *s, const char *name, const char *batch, uint64_t width);
void worker_refuses(struct scenario *s, const char *name, const char *batch, enum tri_status why);

/* HELLO again on a new connection, with what it holds; its unacknowledged reports are not sent. */
void peer_returns(struct scenario *s, const char *name);

/* It forgets all leases without reporting (as if their messages had been lost). */
void worker_loses_leases(struct scenario *s, const char *name);
void peer_goes_silent(struct scenario *s, const char *name);
void peer_lost(struct scenario *s, const char *name);
void peer_says_bye(struct scenario *s, const char *name);
void heartbeat(struct scenario *s, const char *name);

/* Any message, as it is. */
void peer_sends(struct scenario *s,
                const char *name,
                const struct tri_message *message,
                const struct tri_bytes *frames,
                size_t frame_count);
void step(struct scenario *s, const struct event *event);

/* What was asked for and has been held back. */
void histories_come(struct scenario *s);

/* A row of the store's model, or NULL, to look at or to damage; to add one (its head is the model's
 * then), and to remove one. */
struct kept *kept_row(const struct scenario *s, struct store_key key);
void keep_row(struct scenario *s, const struct kept *row);

/* All rows as a store gives them back, then NULL; the caller frees the list. */
struct kept **kept_in_order(const struct scenario *s);
void lose_row(struct scenario *s, struct store_key key);

struct peer *peer_of(struct scenario *s, const char *name);
struct scenario_batch *batch_of(struct scenario *s, const char *name);

/* scenario_text.c: one line for a message. */
void scenario_text(struct scenario *s,
                   struct peer *peer,
                   const struct tri_message *message,
                   const struct effect *effect,
                   char *text,
                   size_t size);

#include "tests/engine/scenario_act.h"
#include "tests/engine/scenario_expect.h"

#endif
