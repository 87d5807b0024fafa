/* state.h - what the session remembers. Private to worker/session.
 *
 *     batch -< lease -< slice >- host >- batch
 *
 * A lease's tasks that are not reported yet are each in exactly one place: queued, suspects, or
 * outstanding in one of its slices. A slice belongs to one lease and is with one host.
 *
 * Memory: the session owns batches, leases, hosts; a lease and a host together own their slices.
 */
#ifndef SESSION_STATE_H
#define SESSION_STATE_H

#include "common/backoff.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/map.h"
#include "common/proto/chunk.h"
#include "common/rangeset.h"
#include "worker/session.h"

struct batch;
struct lease;
struct host;
struct revoke;

/* ---- timers --------------------------------------------------------------------------------- */

enum timer_kind {
    TIMER_CONNECTION, /* HELLO unanswered, or a heartbeat is due */
    TIMER_LEASES,     /* what is held may be past its deadline */
    TIMER_HOST,       /* a host must be dead by now */
    TIMER_BATCH,      /* feed again, or end idle hosts */
    TIMER_DRAINING,   /* leaving has waited long enough for credit */
};

struct timer {
    struct tri_heap_node node;
    enum timer_kind kind;
};

/* ---- leases --------------------------------------------------------------------------------- */

/* A message on its way to the broker, kept until RESULTS_OK (or, without seq, until there is credit
 * for its frames). */
struct report {
    struct tri_dlist_node node;
    uint64_t seq;
    uint64_t lease;
    uint64_t number;
    struct tri_frame *head; /* frame 0 as it was sent */
    struct tri_frame *body; /* frame 1 or NULL */
};

struct slice {
    uint64_t id;
    struct lease *lease;
    struct host *host;
    struct tri_range range;          /* as it was given */
    struct tri_rangeset outstanding; /* not reported, not given back, not cancelled */
    struct tri_dlist_node of_lease;
    struct tri_dlist_node of_host;
    bool revoking;         /* a REVOKE is unanswered */
    struct revoke *revoke; /* ... and this one of the broker's waits for it; or NULL */
};

/* A REVOKE of the broker that waits for hosts. */
struct revoke {
    struct tri_dlist_node node; /* of its lease */
    struct tri_range range;
    struct tri_rangeset given; /* what is given back */
    size_t waiting;            /* slices that have not answered */
};

struct lease {
    uint64_t id;
    struct batch *batch;
    struct tri_range range;
    uint64_t generation;
    uint64_t attempt;
    bool isolated;
    bool starved;              /* reports are held for want of credit: start nothing new */
    tri_time starved_at;       /* ... since then, or the last of them could be sent */
    struct tri_frame **frames; /* items: what came with it */
    struct tri_chunk *chunks;  /* opened when first cut, else NULL */
    uint64_t *firsts;          /* the index of the first item of each frame */
    size_t frame_count;
    uint64_t credit_bytes;
    uint64_t used_bytes;
    uint64_t reported_count;
    struct tri_rangeset unreported;
    struct tri_rangeset queued;
    struct tri_rangeset suspects;
    struct tri_dlist_head slices;
    struct tri_dlist_head held; /* reports without credit */
    uint64_t held_bytes;
    struct tri_dlist_head revokes;
    struct tri_dlist_node waiting;   /* in batch->waiting while queued is not empty */
    struct tri_dlist_node suspected; /* in batch->suspected while suspects is not empty */
    struct tri_dlist_node touched;   /* in session->touched_leases until the step ends */
};

/* ---- hosts ---------------------------------------------------------------------------------- */

enum host_kind {
    HOST_SHARED,   /* many oars: gets whole leases */
    HOST_ONE,      /* one oar of the process model: gets what it does in feed_ms */
    HOST_ISOLATED, /* one oar, one task at a time: suspects */
    HOST_GROUP,    /* many oars: a part of very many suspects, once */
};

#define HOST_STATE_MAP(X)                                                                \
    X(SERVING, "serving", "may get slices")                                              \
    X(LEAVING, "leaving", "asked to be replaced: finishes what it has, until its timer") \
    X(ENDING, "ending", "has nothing; its link is closed, its timer kills it")           \
    X(KILLED, "killed", "has nothing; HOST_GONE will come")

enum host_state {
#define X(name, text, why) HOST_##name,
    HOST_STATE_MAP(X)
#undef X
};

struct host {
    uint64_t id;
    struct batch *batch; /* NULL once its batch has ended */
    enum host_kind kind;
    enum host_state state;
    uint64_t width;
    struct tri_dlist_head slices;
    uint64_t outstanding; /* tasks of all slices */
    uint64_t reported;    /* tasks in all its life */
    tri_time fed_at;
    bool barren;     /* gave nothing back since it last got or reported something */
    bool cancelled;  /* something it had was cancelled since it was last fed */
    size_t revoking; /* slices with an unanswered REVOKE */
    struct tri_dlist_node of_batch;
    struct tri_dlist_node hungry;  /* in its batch's list of its kind: serves and wants more */
    struct tri_dlist_node touched; /* in session->touched_hosts until the step ends */
    struct timer timer;
};

struct batch {
    uint64_t number;
    struct tri_uuid uuid;
    struct tri_frame *spec_frame;
    struct tri_frame *host_spec; /* what hosts are told: its output fits into a message */
    struct tri_rec_spec spec;    /* borrows spec_frame */
    struct tri_bytes plugin;     /* borrows the spec or the options */
    struct choice choice;
    uint64_t leases;
    uint64_t queued;        /* tasks in all leases' queued */
    uint64_t suspect_count; /* tasks in all leases' suspects */
    struct host *shared;
    uint64_t ones;       /* HOST_ONE that serve */
    uint64_t isolated;   /* HOST_ISOLATED that serve */
    uint64_t groups;     /* HOST_GROUP that serve */
    uint64_t group_size; /* suspects that one of them gets */
    struct tri_dlist_head hosts;
    struct tri_dlist_head hungry;          /* HOST_ONE, the idle ones first */
    struct tri_dlist_head hungry_isolated; /* HOST_ISOLATED */
    struct tri_dlist_head waiting;         /* leases with tasks queued, by number */
    struct tri_dlist_head suspected;       /* leases with suspects */
    struct tri_dlist_node touched;         /* in session->touched_batches until the step ends */
    uint64_t failures; /* hosts that died or did not start, since something was last reported */
    uint64_t interruptions; /* launchers that died since something was last reported */
    bool interrupted;       /* ... the one that died now */
    tri_time blocked_until; /* start no host before */
    tri_time busy_at;       /* leases were last seen */
    uint64_t feed_count;    /* tasks last given to a one-oar host: grows by doubling */
    uint64_t measured_ns;
    uint64_t measured_count;
    struct timer timer;
};

/* The process model gives every oar a process of its own. A command is one already: the oars of all
 * of them share a host, which runs no code but ours. */
static inline bool batch_has_a_host_per_oar(const struct batch *self)
{
    return self->choice.model == TRI_MODEL_PROCESS && self->spec.argv.count == 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

enum connection_state {
    CONNECTION_OFFLINE,  /* CONNECT is under way */
    CONNECTION_GREETING, /* HELLO sent */
    CONNECTION_ONLINE,   /* WELCOME came */
};

#define HEARTBEATS_REMEMBERED 16

struct session {
    struct session_options options;
    struct tri_buffer handler_list; /* as HELLO carries them */
    struct tri_buffer label_list;
    tri_time now;
    struct tri_prng prng;

    enum connection_state connection;
    struct tri_backoff backoff;
    uint64_t retries;
    struct tri_uuid cluster;
    bool has_cluster;
    uint64_t heartbeat_ms;
    uint64_t lease_ms;
    uint64_t message_bytes_max; /* of the broker; 0: not said */
    uint64_t heartbeat_seq;
    tri_time heartbeat_at[HEARTBEATS_REMEMBERED]; /* when seq % size was sent */
    tri_time heard_at;                            /* the last WELCOME or HEARTBEAT_OK came */
    tri_time confirmed_at; /* the newest message of ours that it answers was sent */
    tri_time hello_at;
    bool draining;
    bool exited;

    struct tri_map batches; /* by number */
    struct tri_map leases;  /* by lease */
    struct tri_map slices;  /* by slice */
    struct tri_map hosts;   /* by host */
    uint64_t last_slice;
    uint64_t last_host;

    uint64_t seq; /* of the newest report */
    struct tri_dlist_head unacked;

    struct tri_dlist_head touched_leases; /* to be settled when the step ends */
    struct tri_dlist_head touched_hosts;
    struct tri_dlist_head touched_batches;
    struct tri_heap timers;
    struct timer connection_timer;
    struct timer lease_timer;
    struct timer draining_timer;

    struct tri_buffer scratch; /* for encoding */
    struct session_effect *effects;
    size_t effect_count;
    size_t effect_capacity;
    struct arena_block *arena;
    struct tri_frame **retired; /* released at the next step */
    size_t retired_count;
    size_t retired_capacity;
};

#endif
