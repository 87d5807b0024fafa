/* client.h - submit batches to a Trireme broker and gather their results.
 *
 *     struct tri_client *client;        struct tri_client_options options;
 *     struct tri_batch *batch;          struct tri_batch_options job;
 *
 *     tri_client_options_init(&options);
 *     options.endpoints = "tcp://head:7117";
 *     tri_client_open(&client, &options, &error);
 *     tri_batch_options_init(&job);
 *     job.handler = "square";
 *     tri_batch_submit(client, &job, &batch, &error);
 *     tri_batch_add(batch, &(struct tri_value){ .type = TRI_INT, .integer = 7 }, &error);
 *     tri_batch_seal(batch, &error);
 *     while (tri_batch_next(batch, -1, &result, &error) == TRI_OK)
 *         ...                                       the result is consumed by the next call
 *     tri_batch_close(&batch), tri_client_close(&client);
 *
 * Time:    milliseconds; a negative timeout waits for ever. All waiting is done inside the calls:
 *          sockets are served, heartbeats sent and lost brokers found again only there. A broker
 *          lost after a batch was accepted is waited for (options.on_notice hears of it). A
 *          program that calls nothing for seconds loses its connection, and finds it again.
 * Threads: one client and its batches belong to one thread at a time. No thread, signal handler or
 *          global state of the library's own is visible; it never aborts.
 * Memory:  what a call gives is borrowed until the next call on the same batch, unless said.
 * Errors:  a tri_status; `error` (may be NULL) gets a text that says what to do.
 */
#ifndef TRIREME_CLIENT_H
#define TRIREME_CLIENT_H

#include "trireme/status.h"
#include "trireme/value.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tri_client;
struct tri_batch;

struct tri_client_options {
    uint32_t size;          /* set by tri_client_options_init: later fields may be added */
    const char *endpoints;  /* one or more, comma-separated; no default */
    const char *name;       /* shown by the broker; NULL: host:pid */
    int connect_timeout_ms; /* 5000: TRI_UNREACHABLE after that */
    bool insecure;          /* permit endpoints beyond loopback without keys */
    /* Hears "the broker is lost ...", "batch 7 waits ...", and when that is over; NULL: nobody. It
     * must not call the library. */
    void (*on_notice)(void *context, const char *text);
    void *context;
};
TRI_API void tri_client_options_init(struct tri_client_options *options);
/* Connect and say HELLO; returns when a broker answered, or TRI_UNREACHABLE, TRI_VERSION. */
TRI_API enum tri_status tri_client_open(struct tri_client **client,
                                        const struct tri_client_options *options,
                                        struct tri_error *error);
TRI_API void tri_client_close(struct tri_client **client);

/* A descriptor that becomes readable when a call may make progress (for poll loops of the
 * caller's); level semantics are not promised: call tri_client_process until TRI_EMPTY. */
TRI_API int tri_client_fd(const struct tri_client *client);
/* Serve the connection for at most timeout_ms; TRI_OK when something came, TRI_EMPTY if not. */
TRI_API enum tri_status tri_client_process(struct tri_client *client,
                                           int timeout_ms,
                                           struct tri_error *error);
/* A call that waits returns TRI_CANCELLED once. From any thread; async-signal-safe. */
TRI_API void tri_client_interrupt(struct tri_client *client);

/* ---- batches -------------------------------------------------------------------------------- */

struct tri_batch_options {
    uint32_t size;
    const char *name;        /* for people; may be NULL */
    const char *handler;     /* registered name; "command" with argv */
    const char *const *argv; /* NULL-terminated template for "command", else NULL */
    const char *const *env;  /* "NAME=value", NULL-terminated, or NULL */
    const char *workdir;
    bool range; /* arguments are integers first, first+step, ... (count of them) */
    int64_t range_first, range_step;
    uint64_t range_count;
    const char *model;             /* "auto" "process" "thread" "async" "serial" */
    uint64_t width;                /* oars per worker; 0: chosen */
    uint64_t timeout_ms;           /* per task; 0: none */
    uint64_t retries, crash_limit; /* 0, 3 */
    int halt;                      /* 0 never, 1 soon, 2 now */
    uint64_t halt_fail_count, halt_fail_percent;
    uint64_t priority;
    const char *const *labels;
    const char *reducer; /* "sum", "top:10", ... or NULL: every value comes back */
    const char *plugin;
    bool truncate, spawn;
    bool lines; /* string arguments are input lines: "12" becomes 12 for an integer handler */
    uint64_t output_bytes_max; /* 0: 16 MiB */
    bool unordered;            /* deliver as results come */
    uint64_t window_bytes;     /* results held at most on the way; 0: 32 MiB */
    bool detached;             /* submit only: no results come to this client */
};
TRI_API void tri_batch_options_init(struct tri_batch_options *options);

/* Create a batch; returns once the broker has durably accepted it. Items are added next, unless it
 * is a range, which is sealed from the start. TRI_NO_SPACE: for connect_timeout_ms the broker's
 * store had no room for a new one. */
TRI_API enum tri_status tri_batch_submit(struct tri_client *client,
                                         const struct tri_batch_options *options,
                                         struct tri_batch **batch,
                                         struct tri_error *error);
/* Attach to a batch by number, once at a time (TRI_CONFLICT). An `owner` frees what it consumes. */
TRI_API enum tri_status tri_batch_attach(struct tri_client *client,
                                         uint64_t number,
                                         bool owner,
                                         bool unordered,
                                         struct tri_batch **batch,
                                         struct tri_error *error);
/* Stop following; the batch lives on at the broker (an open one is sealed after its grace). */
TRI_API void tri_batch_close(struct tri_batch **batch);

TRI_API uint64_t tri_batch_number(const struct tri_batch *batch);
/* 36 characters and a NUL; borrowed for the life of the batch. */
TRI_API const char *tri_batch_uuid(const struct tri_batch *batch);
/* 1 when no worker that offers the handler is connected right now (said at submission). */
TRI_API bool tri_batch_is_waiting_for_workers(const struct tri_batch *batch);

/* Add one argument (copied). Arguments gather into chunks that leave when full, when
 * tri_batch_flush is called, or when the library waits. TRI_BUSY: no append credit now; take
 * results with tri_batch_next or wait with tri_batch_wait_room, then add again. TRI_CLOSED: the
 * batch takes no more (it is sealed, halted, cancelled or has ended); its results go on. */
TRI_API enum tri_status tri_batch_add(struct tri_batch *batch,
                                      const struct tri_value *argument,
                                      struct tri_error *error);
/* The same for one already packed msgpack value. */
TRI_API enum tri_status tri_batch_add_packed(struct tri_batch *batch,
                                             struct tri_bytes packed,
                                             struct tri_error *error);
TRI_API enum tri_status tri_batch_flush(struct tri_batch *batch, struct tri_error *error);
TRI_API enum tri_status tri_batch_wait_room(struct tri_batch *batch,
                                            int timeout_ms,
                                            struct tri_error *error);
/* No more arguments. Returns when everything added is durably accepted. */
TRI_API enum tri_status tri_batch_seal(struct tri_batch *batch, struct tri_error *error);

/* ---- results -------------------------------------------------------------------------------- */

struct tri_task_result {
    uint64_t index;
    int outcome; /* 0 ok 1 failed 2 timeout 3 crashed 4 too-large 5 cancelled */
    const char *outcome_text;
    struct tri_bytes packed; /* the value as msgpack; empty when there is none */
    struct tri_value value;  /* the same, opened */
    struct tri_bytes error;
    uint64_t attempts;
    const char *model;
    struct tri_bytes worker;
    uint64_t wall_us, cpu_us;
    bool sampled;
};

/* The next task result: by index unless `unordered`; with a reducer only failures, as they happen.
 * A task that was retried by hand comes once more, unless the newer result was here before the
 * older one was given. TRI_EMPTY: none within timeout_ms. TRI_CLOSED: the batch has ended, all were
 * given. TRI_STORE: it has ended, but some could not be read from the store: the text names one. A
 * result is consumed (and acknowledged to the broker if owner) when the next one is asked for. */
TRI_API enum tri_status tri_batch_next(struct tri_batch *batch,
                                       int timeout_ms,
                                       struct tri_task_result *result,
                                       struct tri_error *error);

/* Faster for many: the next run of successes of consecutive indexes at once, as a view: value i is
 * blob[offsets[i] .. offsets[i+1]), offsets unaligned little-endian u32. Mixes with
 * tri_batch_next; TRI_EMPTY when the next result is not a success (take it with tri_batch_next). */
struct tri_result_run {
    uint64_t first;
    uint32_t count;
    const uint8_t *offsets;
    const uint8_t *blob;
    const char *model;
    struct tri_bytes worker;
    uint64_t wall_us, cpu_us; /* mean per task */
};
TRI_API enum tri_status tri_batch_next_run(struct tri_batch *batch,
                                           int timeout_ms,
                                           struct tri_result_run *run,
                                           struct tri_error *error);

/* From now on a consumed result is acknowledged only when tri_batch_pass_on says that all consumed
 * before is safe; others fill the window. What is folded stays with the broker until the batch has
 * ended, unless it is more than 16384 partials or a quarter of the window. */
TRI_API void tri_batch_withhold(struct tri_batch *batch);
TRI_API enum tri_status tri_batch_pass_on(struct tri_batch *batch, struct tri_error *error);

struct tri_batch_summary {
    int state; /* 0 open 1 running 2 done 3 halted 4 cancelled */
    const char *state_text;
    uint64_t count, pending, running, ok, failed, cancelled;
    uint64_t wall_ns, cpu_ns, elapsed_ms, workers;
    uint64_t model_counts[5]; /* tasks done by auto(unused) process thread async serial */
    char reason[512];
};
/* What is known now; exact once tri_batch_next has returned TRI_CLOSED. */
TRI_API void tri_batch_summary(const struct tri_batch *batch, struct tri_batch_summary *summary);

/* The reduced value as JSON, after TRI_CLOSED, borrowed for the life of the batch. TRI_NOTFOUND:
 * its owner has had partials that are gone with it. */
TRI_API enum tri_status tri_batch_reduced(struct tri_batch *batch,
                                          const char **json,
                                          struct tri_error *error);

/* ---- administration ------------------------------------------------------------------------- */

TRI_API enum tri_status tri_client_cancel(struct tri_client *client,
                                          uint64_t number,
                                          const uint64_t *tasks,
                                          size_t task_count,
                                          uint64_t *cancelled,
                                          struct tri_error *error);
TRI_API enum tri_status tri_client_retry(struct tri_client *client,
                                         uint64_t number,
                                         const uint64_t *tasks,
                                         size_t task_count,
                                         uint64_t *retried,
                                         struct tri_error *error);
TRI_API enum tri_status tri_client_forget(struct tri_client *client,
                                          uint64_t number,
                                          struct tri_error *error);

/* JSON (docs/man/trireme.1 gives the fields); free() it. `show`: of these tasks, or of all if none
 * is named (TRI_NOTFOUND: it lacks one; an older broker tells of all). `describe`: of none. */
TRI_API enum tri_status tri_client_list(struct tri_client *client,
                                        char **json,
                                        struct tri_error *error);
TRI_API enum tri_status tri_client_show(struct tri_client *client,
                                        uint64_t number,
                                        const uint64_t *tasks,
                                        size_t task_count,
                                        char **json,
                                        struct tri_error *error);
TRI_API enum tri_status tri_client_describe(struct tri_client *client,
                                            uint64_t number,
                                            char **json,
                                            struct tri_error *error);
TRI_API enum tri_status tri_client_explain(struct tri_client *client,
                                           uint64_t number,
                                           char **json,
                                           struct tri_error *error);
TRI_API enum tri_status tri_client_workers(struct tri_client *client,
                                           char **json,
                                           struct tri_error *error);

#ifdef __cplusplus
}
#endif
#endif
