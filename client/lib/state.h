/* state.h - the structs of the client session; internal.h has what its files say to one another.
 * Private. */
#ifndef TRI_CLIENT_STATE_H
#define TRI_CLIENT_STATE_H

#include "client/lib/follow.h"
#include "common/backoff.h"
#include "common/buffer.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/prng.h"
#include "common/proto/chunk.h"
#include "common/rangeset.h"
#include "common/reduce.h"

#include <xxhash.h>

struct tri_session {
    struct tri_uuid instance;
    char name[65];
    char software[65];
    uint64_t pid;
    size_t endpoint_count;
    uint64_t give_up_ms;
    struct tri_prng prng;

    enum tri_link link;
    bool connect_wanted;
    bool hello_sent;
    bool was_up; /* this session has been UP before */
    bool bye_wanted;
    bool closing;
    size_t endpoint;
    uint64_t failures;       /* connections in a row that did not get UP */
    tri_time retry_at;       /* DOWN */
    tri_time greet_deadline; /* GREETING */
    tri_time down_since;     /* not UP */
    struct tri_error refusal;
    bool store_is_short; /* the broker has said NO_SPACE: it is its disk that batches wait for */
    char last_word[512];
    char notice[600];
    bool notice_wanted;

    uint64_t heartbeat_ms;
    uint64_t heartbeat_seq;
    uint64_t heartbeats_unanswered;
    tri_time heartbeat_at;
    uint64_t item_bytes_max;
    uint64_t message_bytes_max;
    uint64_t features; /* of WELCOME */

    uint64_t next_request;
    struct tri_uuid cluster; /* of WELCOME */
    struct tri_dlist_head requests;
    struct tri_dlist_head follows;
    struct tri_dlist_head released; /* rows whose token is to be given back */
    struct tri_row *releasing;      /* the one whose token was given: freed at the next effect */
    struct tri_buffer out;          /* frame 0 of the effect at hand */
};

struct tri_request {
    struct tri_dlist_node node;
    struct tri_session *session;
    uint64_t id;
    enum tri_message_type type;
    struct tri_buffer frame;
    bool repeatable;
    bool sent;
    bool repeated;
    tri_time not_before;    /* BUSY: when to ask again */
    enum tri_status status; /* EMPTY: unanswered */
    char text[508];
    struct tri_buffer reply;
    struct tri_buffer body; /* frame 1 of the answer, if it has one */
};

/* One closed chunk, kept until it is durable. */
struct tri_append_chunk {
    struct tri_dlist_node node;
    uint64_t first;
    uint32_t count;
    bool sent;
    struct tri_buffer frame;
    uint8_t hash[16]; /* over all arguments up to its end */
};

struct tri_append {
    bool open; /* arguments may be added */
    bool seal_wanted;
    bool seal_sent;
    bool sealed;
    bool resync;           /* an APPEND was refused: learn the true count first */
    uint64_t resync_count; /* the durable count at the last such refusal, + 1 */
    tri_time not_before;   /* BUSY */
    uint64_t request;      /* of every APPEND */
    uint64_t seal_request;
    struct tri_error failure; /* the broker takes no more */
    struct tri_chunk_builder builder;
    size_t builder_limit; /* bytes and offsets the builder may reach before it is looked at again */
    uint32_t task_limit;
    uint64_t chunked; /* arguments in closed chunks */
    uint64_t durable;
    uint8_t durable_hash[16];
    uint64_t made_bytes;   /* of all frames closed so far */
    uint64_t flight_bytes; /* of frames not yet durable */
    uint64_t credit;       /* append_bytes_max */
    size_t refused_bytes;  /* what the last TRI_BUSY was about */
    size_t unsent;         /* chunks */
    struct tri_dlist_head chunks;
    XXH3_state_t *hash;
};

struct tri_row_entry {
    uint64_t index;
    size_t offset; /* of its record in the frame */
};

/* A run of tasks that count; the first of them is number `at` of the chunk (of the row). */
struct tri_row_run {
    struct tri_range range;
    uint64_t at;
};

/* A row that is here and not yet consumed. */
struct tri_row {
    struct tri_dlist_node node; /* in follow->rows or session->released */
    struct tri_heap_node turn;  /* key: the next index, or 0 when order does not matter */
    void *token;
    uint64_t number;
    uint64_t generation;
    uint64_t bytes;
    uint64_t left; /* tasks not yet consumed */
    bool success;
    uint64_t index; /* of the next task */
    uint8_t worker[64];
    size_t worker_size;
    /* VALUES */
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_row_run *runs; /* NULL: those of the head, all of them */
    size_t run_count;
    size_t run;
    uint64_t at;      /* value number of `index` */
    uint64_t run_end; /* value number after the run */
    /* ENTRIES; one that stands for many tasks has runs, too */
    struct tri_bytes frame;
    struct tri_row_entry *entries;
    size_t entry_count;
    size_t entry_at;
};

/* Its tasks come by runs, not entry by entry. */
static inline bool tri_row_has_runs(const struct tri_row *row)
{
    return row->success || row->runs != NULL;
}

/* What a batch has been told of its waiting for the broker. */
struct tri_patience {
    tri_time since;  /* it has waited, or not */
    uint64_t credit; /* what there was then */
    uint64_t durable;
    bool told; /* that it waits, and not yet that it goes on */
    bool was_told;
    bool wants_credit; /* only more of it shows that there is room again */
};

enum tri_follow_state {
    FOLLOW_SUBMITTING,
    FOLLOW_ATTACHING,
    FOLLOW_FOLLOWED,
    FOLLOW_FAILED,
    FOLLOW_LEAVING, /* closed here; the broker is still to be told */
};

struct tri_follow {
    struct tri_dlist_node node;
    struct tri_session *session;
    enum tri_follow_state state;
    bool asked;              /* SUBMIT or ATTACH is on its way */
    bool known;              /* the broker may have us among those that follow it */
    bool accepted;           /* was FOLLOWED before */
    struct tri_uuid cluster; /* in which it was accepted */
    bool absent;
    bool owner;
    bool unordered;
    uint64_t window_bytes;
    struct tri_uuid uuid;
    uint64_t number;
    uint64_t request;
    tri_time not_before;
    tri_time busy_since;      /* the first time it was asked */
    struct tri_buffer submit; /* encoded SUBMIT */
    struct tri_error failure;

    struct tri_append append;
    struct tri_patience patience;

    struct tri_dlist_head rows;
    struct tri_heap turns;
    uint64_t cursor; /* the next index to give */
    uint64_t first_generation;
    uint64_t last_generation;
    bool any_row;
    tri_time heard_at;            /* the last row, or ATTACHED */
    uint64_t held_bytes;          /* of the rows that are here */
    tri_time still_since;         /* by PROGRESS tasks wait and none runs; TRI_NEVER: some do */
    struct tri_rangeset settled;  /* tasks whose results somebody else has had */
    struct tri_rangeset seen;     /* those, and tasks of rows that came; in order only */
    struct tri_rangeset received; /* row numbers */
    struct tri_rangeset consumed;
    struct tri_rangeset to_ack;
    uint64_t to_ack_bytes;
    bool withholds;               /* acknowledged is only what the application has passed on */
    struct tri_rangeset withheld; /* consumed, and not passed on */
    uint64_t withheld_bytes;
    bool ack_all; /* after a new connection: earlier ACKs may be lost */
    tri_time ack_at;
    struct tri_row *given; /* its tasks are consumed by the next call */
    uint64_t given_count;
    bool ended;
    uint64_t end_generation;
    struct tri_error lost; /* a row that the broker cannot read any more */
    bool asked_for_lost;   /* ATTACHED has said since which tasks it was about */

    struct tri_reducer *reducer;
    struct tri_error reduce_failure;
    uint64_t merged; /* tasks whose results are folded in */
    struct tri_buffer scratch;
    struct tri_batch_summary summary;
};

#endif
