/* Tiny handlers, each for one thing that a host must bear. */
#include "fake_session.h"

#include "trireme/handler.h"
#include "worker/registry.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int hold_fd;
static int begun_fd;

#define HANDLER .abi = TRI_HANDLER_ABI, .size = sizeof(struct tri_handler)

static enum tri_status echo(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    (void)task;
    return tri_result_borrow(out, argument);
}

static enum tri_status square(struct tri_task *task,
                              const struct tri_value *argument,
                              struct tri_result *out)
{
    (void)task;
    return tri_result_integer(out, argument->integer * argument->integer);
}

static enum tri_status index_of(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    (void)argument;
    return tri_result_integer(out, (int64_t)(tri_task_index(task) * 10 + tri_task_attempt(task)));
}

static enum tri_status fail_odd(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    tri_result_integer(out, -argument->integer);
    if (argument->integer % 2 != 0)
        return tri_task_fail(task, TRI_FAILED, "%lld is odd", (long long)argument->integer);
    return TRI_OK;
}

static enum tri_status half(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    (void)task;
    return tri_result_number(out, argument->number / 2);
}

/* A string of as many bytes as the argument says. */
static enum tri_status large(struct tri_task *task,
                             const struct tri_value *argument,
                             struct tri_result *out)
{
    size_t size = (size_t)argument->integer;
    char *text = tri_task_alloc(task, size);

    if (text == NULL)
        return TRI_MEMORY;
    memset(text, 'x', size);
    return tri_result_bytes(task, out, TRI_STRING, text, size);
}

static enum tri_status napping(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    enum tri_status status = tri_sleep(task, argument->number);

    return status != TRI_OK ? status : tri_result_borrow(out, argument);
}

static enum tri_status napping_ms(struct tri_task *task,
                                  const struct tri_value *argument,
                                  struct tri_result *out)
{
    enum tri_status status = tri_sleep(task, (double)argument->integer / 1000);

    return status != TRI_OK ? status : tri_result_borrow(out, argument);
}

static void tell_begun(void)
{
    if (write(begun_fd, "b", 1) != 1)
        abort();
}

/* Arguments below 0 wait, in a way the runtime knows of, until the test lets go. */
static enum tri_status hold(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    char byte;
    short ready;

    if (argument->integer < 0) {
        enum tri_status status;

        tell_begun();
        do {
            status = tri_wait_fd(task, hold_fd, POLLIN, -1, &ready);
            if (status != TRI_OK)
                return status;
        } while (read(hold_fd, &byte, 1) != 1);
    }
    return tri_result_borrow(out, argument);
}

/* Holds only where the argument is 500. */
static enum tri_status hold_500(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    struct tri_value below = { .type = TRI_INT, .integer = -1 };

    return hold(task, argument->integer == 500 ? &below : argument, out);
}

/* The same behind the runtime's back: whatever carries the oar is blocked. */
static enum tri_status press(struct tri_task *task,
                             const struct tri_value *argument,
                             struct tri_result *out)
{
    char byte;

    (void)task;
    if (argument->integer < 0) {
        struct pollfd fd = { .fd = hold_fd, .events = POLLIN };

        tell_begun();
        while (read(hold_fd, &byte, 1) != 1)
            poll(&fd, 1, -1);
    }
    return tri_result_borrow(out, argument);
}

/* Arguments below 0 compute for ever; -1 asks now and then whether it should stop. */
static enum tri_status spin(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    if (argument->integer < 0)
        tell_begun();
    while (argument->integer == -1) {
        if (tri_cancelled(task))
            return TRI_CANCELLED;
    }
    for (volatile uint64_t turns = 0; argument->integer < 0; turns++)
        ;
    return tri_result_borrow(out, argument);
}

/* Below 0: the signal of that number, as a fault where there is one. */
__attribute__((no_sanitize("undefined"))) static enum tri_status crash(
    struct tri_task *task, const struct tri_value *argument, struct tri_result *out)
{
    int signal = (int)-argument->integer;
    volatile uintptr_t nowhere = 8; /* no object is there, which the compiler need not know */
    volatile int zero = 0;
    volatile int ten = 10;

    (void)task;
    if (signal == SIGSEGV)
        *(volatile int *)nowhere = 1;
    else if (signal == SIGFPE)
        zero = ten / zero; /* NOLINT(clang-analyzer-core.DivideZero): the fault is the point */
    else if (signal == SIGABRT)
        abort();
    else if (signal > 0)
        raise(signal);
    return tri_result_borrow(out, argument);
}

/* Naps first, so that it crashes where it was resumed. */
static enum tri_status crash_later(struct tri_task *task,
                                   const struct tri_value *argument,
                                   struct tri_result *out)
{
    enum tri_status status = tri_sleep(task, argument->integer < 0 ? 0.01 : 3600);

    return status != TRI_OK ? status : crash(task, argument, out);
}

static enum tri_status steps(struct tri_task *task,
                             const struct tri_value *argument,
                             struct tri_result *out)
{
    tri_progress(task, 0.25);
    return hold(task, argument, out);
}

static enum tri_status cat(struct tri_task *task,
                           const struct tri_value *argument,
                           struct tri_result *out)
{
    char path[256];
    struct tri_value content = { .type = TRI_STRING };
    enum tri_status status;

    snprintf(path, sizeof(path), "%.*s", (int)argument->bytes.size,
             (const char *)argument->bytes.data);
    status = tri_read_file(task, path, &content.bytes);
    return status != TRI_OK ? status : tri_result_borrow(out, &content);
}

static enum tri_status put(struct tri_task *task,
                           const struct tri_value *argument,
                           struct tri_result *out)
{
    char path[256];

    (void)out;
    snprintf(path, sizeof(path), "%.*s", (int)argument->bytes.size,
             (const char *)argument->bytes.data);
    return tri_write_file(task, path, (struct tri_bytes){ (const uint8_t *)"new", 3 });
}

static void add_1000(void *context)
{
    *(int64_t *)context += 1000;
}

static enum tri_status offload(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    int64_t number = argument->integer;
    enum tri_status status = tri_offload(task, add_1000, &number);

    return status != TRI_OK ? status : tri_result_integer(out, number);
}

static enum tri_status wait_50(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    (void)argument;
    return tri_result_integer(out, tri_wait_fd(task, hold_fd, POLLIN, 50, NULL));
}

static enum tri_status get(struct tri_task *task,
                           const struct tri_value *argument,
                           struct tri_result *out)
{
    struct tri_http_request request = { .url = argument->bytes, .response_bytes_max = 900 };
    struct tri_http_response response;
    enum tri_status status = tri_http(task, &request, &response);
    char text[1000];
    int size;

    if (status != TRI_OK)
        return status;
    size = snprintf(text, sizeof(text), "%ld %.*s", response.status, (int)response.body.size,
                    (const char *)response.body.data);
    return tri_result_bytes(task, out, TRI_STRING, text, (size_t)size);
}

static enum tri_status command_run(struct tri_task *task,
                                   const struct tri_value *argument,
                                   struct tri_result *out)
{
    char word[64];
    const char *argv[] = { "say", word, NULL };
    struct tri_command command = { .argv = argv,
                                   .input = { (const uint8_t *)"input", 5 },
                                   .output_bytes_max = 1000 };
    struct tri_command_result result;
    enum tri_status status;
    char text[256];
    int size;

    snprintf(word, sizeof(word), "%.*s", (int)argument->bytes.size,
             (const char *)argument->bytes.data);
    status = tri_run_command(task, &command, &result);
    if (status != TRI_OK)
        return status;
    size = snprintf(text, sizeof(text), "exit %d signal %d: %.*s, %.*s", result.exit_code,
                    result.signal, (int)result.output.size, (const char *)result.output.data,
                    (int)result.error.size, (const char *)result.error.data);
    return tri_result_bytes(task, out, TRI_STRING, text, (size_t)size);
}

static const struct tri_handler handlers[] = {
    { HANDLER, .name = "echo", .run = echo },
    { HANDLER, .name = "square", .run = square, .argument = TRI_INT },
    { HANDLER, .name = "index", .run = index_of },
    { HANDLER, .name = "fail.odd", .run = fail_odd, .argument = TRI_INT },
    { HANDLER, .name = "half", .run = half, .argument = TRI_FLOAT },
    { HANDLER, .name = "large", .run = large, .argument = TRI_INT },
    { HANDLER, .name = "nap", .run = napping, .argument = TRI_FLOAT, .waits = true },
    { HANDLER, .name = "hold", .run = hold, .argument = TRI_INT, .waits = true },
    { HANDLER, .name = "hold.500", .run = hold_500, .argument = TRI_INT },
    { HANDLER, .name = "nap.ms", .run = napping_ms, .argument = TRI_INT, .waits = true },
    { HANDLER, .name = "press", .run = press, .argument = TRI_INT },
    { HANDLER, .name = "spin", .run = spin, .argument = TRI_INT },
    { HANDLER, .name = "crash", .run = crash, .argument = TRI_INT },
    { HANDLER, .name = "crash.later", .run = crash_later, .argument = TRI_INT },
    { HANDLER, .name = "cat", .run = cat, .argument = TRI_STRING, .waits = true },
    { HANDLER, .name = "put", .run = put, .argument = TRI_STRING, .waits = true },
    { HANDLER, .name = "offload", .run = offload, .argument = TRI_INT, .waits = true },
    { HANDLER, .name = "wait.50", .run = wait_50, .waits = true },
    { HANDLER, .name = "get", .run = get, .argument = TRI_STRING, .waits = true },
    { HANDLER, .name = "command.run", .run = command_run, .argument = TRI_STRING },
    { HANDLER, .name = "steps", .run = steps, .argument = TRI_INT },
};

void fake_handlers_register(const int hold_pipe[2], const int begun_pipe[2])
{
    const struct tri_handler *all[TRI_COUNT_OF(handlers)];

    hold_fd = hold_pipe[0];
    begun_fd = begun_pipe[1];
    for (size_t i = 0; i < TRI_COUNT_OF(handlers); i++)
        all[i] = &handlers[i];
    registry_add_builtin(all, TRI_COUNT_OF(handlers));
}
