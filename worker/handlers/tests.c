/* tests.c - crash, fail, spin, late: handlers that misbehave on purpose, offered with
 * --test-handlers. */
#include "common/parse.h"
#include "worker/handlers/builtin.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static int signal_of(struct tri_bytes name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = { { "SEGV", SIGSEGV }, { "ABRT", SIGABRT }, { "KILL", SIGKILL },
                    { "BUS", SIGBUS },   { "FPE", SIGFPE },   { "ILL", SIGILL },
                    { "TERM", SIGTERM }, { "none", 0 } };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strlen(signals[i].name) == name.size
            && memcmp(signals[i].name, name.data, name.size) == 0)
            return signals[i].number;
    }
    return -1;
}

static enum tri_status run_crash(struct tri_task *task,
                                 const struct tri_value *argument,
                                 struct tri_result *out)
{
    int number = signal_of(argument->bytes);

    if (number < 0)
        return tri_task_fail(task, TRI_INVALID, "crash wants SEGV ABRT KILL BUS FPE ILL TERM none");
    if (number == SIGKILL || number == SIGTERM)
        kill(getpid(), number);
    else if (number != 0)
        raise(number);
    return tri_result_borrow(out, argument);
}

static enum tri_status run_fail(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    (void)out;
    return tri_task_fail(task, TRI_FAILED, "%.*s", (int)argument->bytes.size,
                         (const char *)argument->bytes.data);
}

/* Computes for ever and asks nobody whether it should; but a number waits that many seconds and
 * returns, so that one batch can mix spinners with tasks that behave. */
static enum tri_status run_spin(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    volatile unsigned turns = 0;
    double seconds = argument->type == TRI_INT ? (double)argument->integer : argument->number;
    enum tri_status status;

    if (argument->type == TRI_INT || argument->type == TRI_FLOAT
        || (argument->type == TRI_STRING
            && tri_parse_bytes_double(argument->bytes, &seconds, NULL) == TRI_OK)) {
        status = seconds > 0 ? tri_sleep(task, seconds) : TRI_OK;
        return status == TRI_OK ? tri_result_borrow(out, argument) : status;
    }
    for (;;)
        turns++;
}

/* A line "late N" waits N seconds first; everything else returns at once. */
static enum tri_status run_late(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    struct tri_bytes rest = argument->bytes;
    enum tri_status status = TRI_OK;
    double seconds;

    if (rest.size > 5 && memcmp(rest.data, "late ", 5) == 0) {
        rest.data += 5;
        rest.size -= 5;
        if (tri_parse_bytes_double(rest, &seconds, NULL) == TRI_OK)
            status = tri_sleep(task, seconds);
    }
    return status == TRI_OK ? tri_result_borrow(out, argument) : status;
}

static const struct tri_handler crash = { BUILTIN, .name = "crash", .run = run_crash,
                                          .argument = TRI_STRING,
                                          .summary = "raise that signal for real; none returns" };
static const struct tri_handler fail = { BUILTIN, .name = "fail", .run = run_fail,
                                         .argument = TRI_STRING, .summary = "fail with that text" };
static const struct tri_handler spin = {
    BUILTIN, .name = "spin", .run = run_spin,
    .summary = "compute for ever; a number waits that many seconds instead"
};

static const struct tri_handler late = { BUILTIN,
                                         .name = "late",
                                         .run = run_late,
                                         .argument = TRI_STRING,
                                         .waits = true,
                                         .summary = "the argument, after N seconds if it is "
                                                    "\"late N\"" };

const struct tri_handler *const builtin_tests[] = { &crash, &fail, &spin, &late };
const size_t builtin_tests_count = sizeof(builtin_tests) / sizeof(builtin_tests[0]);
