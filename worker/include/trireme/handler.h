/* handler.h - write a task handler once, in plain blocking style; run it on any oar.
 *
 *     static enum tri_status get_size(struct tri_task *task, const struct tri_value *url,
 *                                     struct tri_result *out)
 *     {
 *         struct tri_http_response response;
 *         enum tri_status status = tri_http(task, &(struct tri_http_request){
 *             .url = url->bytes }, &response);
 *         if (status != TRI_OK)
 *             return status;
 *         return tri_result_integer(out, (int64_t)response.body.size);
 *     }
 *     TRI_HANDLER(.name = "get_size", .run = get_size, .argument = TRI_STRING, .waits = true);
 *
 * In a process or a thread the tri_* calls below block; on the event loop they suspend the
 * coroutine. The same code is therefore compared fairly under all models.
 *
 * Threads: `run` may be called from many threads at once unless `.process_only` is set. A task and
 *          its result belong to the call; do not use them from other threads.
 * Memory:  the argument, and memory from tri_task_alloc, live until `run` returns.
 * Errors:  return TRI_OK, or tri_task_fail(...), or the status of a failed tri_* call unchanged.
 *          After TRI_CANCELLED clean up and return it at once.
 * Limits:  coroutine stacks are 64 KiB (256 KiB with `.big_stack`): no large arrays on the stack.
 */
#ifndef TRIREME_HANDLER_H
#define TRIREME_HANDLER_H

#include "trireme/status.h"
#include "trireme/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRI_HANDLER_ABI 1

struct tri_task;

/* Where a handler leaves its value. Nil until one of tri_result_* is called; the last call wins. */
struct tri_result {
    struct tri_value value;
};

typedef enum tri_status tri_handler_fn(struct tri_task *task,
                                       const struct tri_value *argument,
                                       struct tri_result *out);

struct tri_handler {
    uint32_t abi;        /* TRI_HANDLER_ABI */
    uint32_t size;       /* sizeof(struct tri_handler) as the handler was compiled */
    const char *name;    /* [a-z0-9_.-]{1,64} */
    const char *summary; /* one line for people, or NULL */
    tri_handler_fn *run;
    enum tri_type argument; /* TRI_ANY: whatever comes; else a task of another type fails */
    bool waits;        /* spends its time waiting in tri_* calls: many at once are worth while */
    bool blocks;       /* blocks behind the runtime's back: `auto` keeps it off the loop */
    bool process_only; /* not thread-safe: `auto` gives each task a process of its own */
    bool big_stack;
};

/* Make a handler known when its shared object is loaded; at file scope, with designated
 * initialisers of struct tri_handler. */
#define TRI_HANDLER(...) TRI_HANDLER_AT_(__LINE__, __VA_ARGS__)
#define TRI_HANDLER_AT_(line, ...) TRI_HANDLER_ON_(line, __VA_ARGS__)
#define TRI_HANDLER_ON_(line, ...)                                                             \
    static const struct tri_handler tri_handler_##line = { .abi = TRI_HANDLER_ABI,             \
                                                           .size = sizeof(struct tri_handler), \
                                                           __VA_ARGS__ };                      \
    __attribute__((constructor)) static void tri_handler_register_##line(void)                 \
    {                                                                                          \
        tri_handler_register(&tri_handler_##line);                                             \
    }                                                                                          \
    _Static_assert(sizeof(tri_handler_##line) != 0, "")

TRI_API void tri_handler_register(const struct tri_handler *handler);

/* ---- results -------------------------------------------------------------------------------- */

static inline enum tri_status tri_result_integer(struct tri_result *out, int64_t integer)
{
    out->value.type = TRI_INT;
    out->value.integer = integer;
    return TRI_OK;
}

static inline enum tri_status tri_result_number(struct tri_result *out, double number)
{
    out->value.type = TRI_FLOAT;
    out->value.number = number;
    return TRI_OK;
}

static inline enum tri_status tri_result_boolean(struct tri_result *out, bool boolean)
{
    out->value.type = TRI_BOOL;
    out->value.boolean = boolean;
    return TRI_OK;
}

/* Give a value whose bytes stay valid until the task ends without our help: the argument itself,
 * static data, memory from tri_task_alloc. */
static inline enum tri_status tri_result_borrow(struct tri_result *out,
                                                const struct tri_value *value)
{
    out->value = *value;
    return TRI_OK;
}

/* Give bytes of `type` TRI_STRING, TRI_BINARY or TRI_COMPOUND (one whole msgpack value); copied. */
TRI_API enum tri_status tri_result_bytes(struct tri_task *task,
                                         struct tri_result *out,
                                         enum tri_type type,
                                         const void *data,
                                         size_t size);

/* ---- the task ------------------------------------------------------------------------------- */

/* Position in the batch, from 0; which try this is, from 1. */
TRI_API uint64_t tri_task_index(const struct tri_task *task);
TRI_API uint64_t tri_task_attempt(const struct tri_task *task);

/* True once the task should stop (cancelled or past its timeout). Cheap: ask in long loops. On the
 * loop it also lets other coroutines run now and then. */
TRI_API bool tri_cancelled(struct tri_task *task);

/* Say how far the task is, 0..1; kept for `trireme show`. */
TRI_API void tri_progress(struct tri_task *task, double fraction);

/* Memory that is freed when the task ends; NULL when there is none. 16-byte aligned, not zeroed. */
TRI_API void *tri_task_alloc(struct tri_task *task, size_t size);

/* Set the task's error text and return `status` (TRI_FAILED for an ordinary failure). */
TRI_API enum tri_status tri_task_fail(struct tri_task *task,
                                      enum tri_status status,
                                      const char *format,
                                      ...) __attribute__((format(printf, 3, 4)));

/* ---- waiting: TRI_OK, TRI_CANCELLED, or a failure already told to tri_task_fail -------------- */

TRI_API enum tri_status tri_sleep(struct tri_task *task, double seconds);

/* Wait until `fd` is ready for `events` (POLLIN, POLLOUT); `*ready` gets poll()'s revents.
 * timeout_ms < 0: for ever; TRI_TIMEOUT when it passes. */
TRI_API enum tri_status tri_wait_fd(
    struct tri_task *task, int fd, short events, int timeout_ms, short *ready);

/* The whole file, in task memory. Runs beside the loop, not on it. */
TRI_API enum tri_status tri_read_file(struct tri_task *task,
                                      const char *path,
                                      struct tri_bytes *content);
/* Replace the file's content as a whole (written aside, then renamed). */
TRI_API enum tri_status tri_write_file(struct tri_task *task,
                                       const char *path,
                                       struct tri_bytes content);

/* Run `work(context)` beside the loop (blocking code, long computations); in a process or thread
 * it is simply called. */
TRI_API enum tri_status tri_offload(struct tri_task *task,
                                    void (*work)(void *context),
                                    void *context);

struct tri_http_request {
    struct tri_bytes url;
    const char *method;         /* NULL: GET */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct tri_bytes body;
    uint64_t response_bytes_max; /* 0: 64 MiB */
};
struct tri_http_response {
    long status;
    struct tri_bytes body; /* in task memory */
    double total_ms;
};
/* Follows no redirects by itself beyond ten; a status of 400 or more is not a failure here. */
TRI_API enum tri_status tri_http(struct tri_task *task,
                                 const struct tri_http_request *request,
                                 struct tri_http_response *response);

struct tri_command {
    const char *const *argv;   /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;    /* "NAME=value" added to the worker's; NULL-terminated or NULL */
    const char *workdir;       /* NULL: the worker's */
    struct tri_bytes input;    /* standard input */
    uint64_t output_bytes_max; /* each of stdout and stderr; 0: 16 MiB */
};
struct tri_command_result {
    int exit_code; /* -1 when a signal ended it */
    int signal;    /* 0 when it exited */
    bool truncated;
    struct tri_bytes output; /* in task memory */
    struct tri_bytes error;
};
/* TRI_OK when the command was started and has ended, whatever its exit code. When it returns, no
 * process of the command is left, daemonised ones included. */
TRI_API enum tri_status tri_run_command(struct tri_task *task,
                                        const struct tri_command *command,
                                        struct tri_command_result *result);

#ifdef __cplusplus
}
#endif
#endif
