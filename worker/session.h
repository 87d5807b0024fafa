/* session.h - the rules of a worker, and nothing else.
 *
 * A deterministic state machine between one broker and many hosts: (state, event) -> (state,
 * effects). It takes leases, chooses oars, cuts leases into slices for hosts, keeps results until
 * they are acknowledged, finds the culprit when a host dies, and gives back what it cannot hold.
 * It reads no clock and opens nothing; the shell (shell.h) and the simulator perform its effects.
 *
 * Slices: what a host gets is named by a number of the session's own (LEASE.lease towards hosts),
 *         never used twice, so that anything late from a host that was given up is recognised.
 * Time:    milliseconds of boot time, only ever from event->now, which never goes backwards.
 *          A step costs O(log n) in what is held, plus the ranges it names.
 * Threads: one session belongs to one thread.
 * Memory:  events are borrowed for the call (frames the session keeps get an owner more); effects
 *          are borrowed until the next step.
 * Errors:  what a broker or a host says wrongly costs that connection or that host.
 * Limits:  what is unacknowledged is bounded by the broker's credit (LEASE.result_bytes).
 */
#ifndef SESSION_H
#define SESSION_H

#include "common/frame.h"
#include "worker/chooser.h"

struct session;

struct session_handler {
    const char *name;
    uint64_t argument;  /* enum tri_type */
    uint64_t flags;     /* HANDLER_* */
    const char *plugin; /* the shared object that brings it, or "" */
};

struct session_options {
    const char *name;
    const char *software; /* "trireme/0.1.0" */
    struct tri_uuid instance;
    uint64_t pid;
    uint64_t seed; /* for jitter */
    const struct session_handler *handlers;
    size_t handler_count;
    const char *const *labels;
    size_t label_count;
    struct chooser_machine machine;
    bool allow_commands;      /* batches with argv */
    bool private_run;         /* the broker's BYE ends this worker */
    bool fork_unsafe;         /* hosts are always spawned afresh */
    uint64_t recycle_count;   /* one-oar hosts end after so many tasks; 0: never */
    uint64_t stall_ms;        /* 500: how long over its timeout a task may hold the loop */
    uint64_t drain_grace_ms;  /* 3000: how long a host that asked to be replaced may finish */
    uint64_t term_grace_ms;   /* 1000: between TERM and KILL of a one-oar host */
    uint64_t credit_grace_ms; /* 60000: how long a worker that leaves waits for room for results */
    uint64_t idle_ms;         /* 30000: hosts of a batch without leases end after this */
    uint64_t feed_ms;         /* 20: work a one-oar host gets at once */
};

/* Defaults for everything but name, instance, handlers and machine. */
void session_options_init(struct session_options *options);

/* ---- events --------------------------------------------------------------------------------- */

#define SESSION_EVENT_MAP(X)                                                                  \
    X(CONNECTED, "a fresh socket is connecting")                                              \
    X(MESSAGE, "the broker's message, decoded")                                               \
    X(BAD_MESSAGE, "the broker sent what cannot be decoded: `text` says why")                 \
    X(CONNECTION_LOST, "the socket is of no use any more")                                    \
    X(HOST_UP, "`host` has process number `pid`")                                             \
    X(HOST_MESSAGE, "a host's message, decoded")                                              \
    X(HOST_BROKEN, "a host's link carries what cannot be decoded, or has no end: give it up") \
    X(HOST_GONE, "a host is dead and its link read to the end")                               \
    X(HOST_STALLED, "`stalled` has held its host for its timeout and stall_ms")               \
    X(LAUNCHER_GONE, "the launcher died, and every host with it")                             \
    X(TICK, "session_deadline() has come; `started` is what hosts are on now")                \
    X(DRAIN, "finish what runs, give back the rest, leave")                                   \
    X(STOP, "leave now")

enum session_event_type {
#define X(name, text) SESSION_##name,
    SESSION_EVENT_MAP(X)
#undef X
};

/* A task as a host's table names it. */
struct session_task {
    uint64_t slice;
    uint64_t index;
};

struct session_event {
    enum session_event_type type;
    tri_time now;
    const struct tri_message *message; /* MESSAGE HOST_MESSAGE */
    struct tri_frame *const *frames;   /* payload frames 1..n */
    size_t frame_count;
    uint64_t host;          /* HOST_* */
    uint64_t pid;           /* HOST_UP */
    int wait_status;        /* HOST_GONE: as waitpid gives it */
    enum tri_status status; /* HOST_GONE: not OK when it could not be started */
    const char *text;       /* BAD_MESSAGE HOST_BROKEN HOST_GONE */
    bool has_culprit;       /* HOST_GONE: the table names the task that faulted */
    int culprit_signal;
    struct session_task culprit;
    struct session_task stalled;
    const struct session_task *started; /* HOST_GONE: of that host; TICK: of all */
    size_t started_count;
};

/* ---- effects -------------------------------------------------------------------------------- */

#define SESSION_EFFECT_MAP(X)                                                       \
    X(SEND, "send frames[0..frame_count) to the broker as one message")             \
    X(CONNECT, "close the socket; after `after_ms` connect a fresh one: CONNECTED") \
    X(HOST_START, "start a host; HOST_UP or HOST_GONE follows")                     \
    X(HOST_SEND, "send `message` and frames to a host")                             \
    X(HOST_KILL, "send `signal` to a host; HOST_GONE follows")                      \
    X(HOST_END, "say BYE and close the link; HOST_GONE follows")                    \
    X(EXIT, "end the program with `status`; nothing follows")                       \
    X(TRACE, "one line for the log and for golden traces")

enum session_effect_type {
#define X(name, text) SESSION_DO_##name,
    SESSION_EFFECT_MAP(X)
#undef X
};

struct session_effect {
    enum session_effect_type type;
    struct tri_frame *const *frames; /* SEND: all; HOST_SEND: payload frames */
    size_t frame_count;
    uint64_t host;
    const struct tri_message *message; /* HOST_SEND */
    enum tri_model model;              /* HOST_START */
    uint64_t width;                    /* HOST_START */
    uint64_t timeout_ms;               /* HOST_START: per task, 0: none */
    bool spawn;                        /* HOST_START: afresh, not forked */
    struct tri_bytes plugin;           /* HOST_START */
    int signal;                        /* HOST_KILL */
    int status;                        /* EXIT */
    uint64_t after_ms;                 /* CONNECT */
    const char *text;                  /* TRACE: "event key=value ..." */
};

struct session_effects {
    const struct session_effect *items;
    size_t count;
};

/* ---- the session ---------------------------------------------------------------------------- */

/* Never returns NULL. What the options point to must outlive the session. */
struct session *session_new(const struct session_options *options);

/* NULL-safe. */
void session_destroy(struct session **self);

/* Apply one event. The first effect of the whole life is asked for with CONNECTED. */
struct session_effects session_step(struct session *self, const struct session_event *event);

/* When the next TICK is due, or TRI_NEVER. */
tri_time session_deadline(const struct session *self);

/* Verify every invariant; assert on the first broken one. O(everything). */
void session_check(const struct session *self);

#endif
