/* numbers.c - echo sleep add subtract square primes pi demo: arithmetic and waiting. */
#include "common/prng.h"
#include "worker/handlers/arguments.h"
#include "worker/handlers/builtin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum tri_status run_echo(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    (void)task;
    return tri_result_borrow(out, argument);
}

static enum tri_status run_sleep(struct tri_task *task,
                                 const struct tri_value *argument,
                                 struct tri_result *out)
{
    double seconds = argument->type == TRI_INT ? (double)argument->integer : argument->number;
    enum tri_status status;

    if (!(seconds >= 0))
        return tri_task_fail(task, TRI_INVALID, "cannot sleep %g seconds", seconds);
    status = tri_sleep(task, seconds);
    return status == TRI_OK ? tri_result_borrow(out, argument) : status;
}

static enum tri_status run_add(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    int64_t terms[2];
    int64_t sum;
    size_t count;
    enum tri_status status =
        arguments_integers(task, argument, "two integers, [a, b] or \"a b\"", 2, 2, terms, &count);

    if (status != TRI_OK)
        return status;
    if (__builtin_add_overflow(terms[0], terms[1], &sum))
        return tri_task_fail(task, TRI_OVERFLOW, "the sum does not fit 64 bits");
    return tri_result_integer(out, sum);
}

static enum tri_status run_subtract(struct tri_task *task,
                                    const struct tri_value *argument,
                                    struct tri_result *out)
{
    int64_t terms[2];
    int64_t difference;
    size_t count;
    enum tri_status status =
        arguments_integers(task, argument, "two integers, [a, b] or \"a b\"", 2, 2, terms, &count);

    if (status != TRI_OK)
        return status;
    if (__builtin_sub_overflow(terms[0], terms[1], &difference))
        return tri_task_fail(task, TRI_OVERFLOW, "the difference does not fit 64 bits");
    return tri_result_integer(out, difference);
}

static enum tri_status run_square(struct tri_task *task,
                                  const struct tri_value *argument,
                                  struct tri_result *out)
{
    int64_t square;

    if (__builtin_mul_overflow(argument->integer, argument->integer, &square))
        return tri_task_fail(task, TRI_OVERFLOW, "the square of %lld does not fit 64 bits",
                             (long long)argument->integer);
    return tri_result_integer(out, square);
}

/* ---- primes: a segmented sieve of Eratosthenes over odd numbers ------------------------------ */

#define SEGMENT 32768

/* The odd primes up to `limit`, in task memory. */
static uint32_t *small_primes(struct tri_task *task, uint32_t limit, size_t *count)
{
    uint8_t *composite = tri_task_alloc(task, (size_t)limit / 2 + 1);
    uint32_t *primes = tri_task_alloc(task, ((size_t)limit / 2 + 1) * sizeof(*primes));

    *count = 0;
    if (composite == NULL || primes == NULL)
        return NULL;
    memset(composite, 0, (size_t)limit / 2 + 1);
    for (uint32_t n = 3; n <= limit; n += 2) {
        if (composite[n / 2])
            continue;
        primes[(*count)++] = n;
        for (uint64_t m = (uint64_t)n * n; m <= limit; m += 2 * (uint64_t)n)
            composite[m / 2] = 1;
    }
    return primes;
}

/* Primes among the odd numbers low, low + 2, ... below high (low odd, at most SEGMENT of them). */
static uint64_t count_segment(
    uint64_t low, uint64_t high, const uint32_t *primes, size_t prime_count, uint8_t *composite)
{
    size_t size = (size_t)((high - low + 1) / 2);
    uint64_t found = 0;

    memset(composite, 0, size);
    for (size_t i = 0; i < prime_count; i++) {
        uint64_t p = primes[i];
        uint64_t m = p * p;

        if (m >= high)
            break;
        if (m < low) {
            m = (low + p - 1) / p * p;
            m += m % 2 == 0 ? p : 0;
        }
        for (; m < high; m += 2 * p)
            composite[(m - low) / 2] = 1;
    }
    for (size_t i = 0; i < size; i++)
        found += !composite[i];
    return found;
}

static enum tri_status run_primes(struct tri_task *task,
                                  const struct tri_value *argument,
                                  struct tri_result *out)
{
    int64_t bounds[2] = { 0, 0 };
    uint64_t low;
    uint64_t high;
    uint64_t found;
    uint32_t *primes;
    uint8_t *composite;
    size_t count;
    enum tri_status status =
        arguments_integers(task, argument, "n, or [a, b]", 1, 2, bounds, &count);

    if (status != TRI_OK)
        return status;
    high = bounds[count - 1] > 2 ? (uint64_t)bounds[count - 1] : 2;
    low = count == 2 && bounds[0] > 2 ? (uint64_t)bounds[0] : 2;
    if (high > (uint64_t)1 << 52)
        return tri_task_fail(task, TRI_INVALID, "primes counts below 2^52 only");
    if (low >= high)
        return tri_result_integer(out, 0);
    found = low <= 2 ? 1 : 0;
    low = low <= 2 ? 3 : low | 1;
    primes = small_primes(task, (uint32_t)sqrt((double)high) + 1, &count);
    composite = tri_task_alloc(task, SEGMENT);
    if (primes == NULL || composite == NULL)
        return tri_task_fail(task, TRI_MEMORY, "out of memory");
    for (; low < high; low += 2 * SEGMENT) {
        uint64_t end = low + 2 * SEGMENT < high ? low + 2 * SEGMENT : high;

        found += count_segment(low, end, primes, count, composite);
        if (tri_cancelled(task))
            return TRI_CANCELLED;
    }
    return tri_result_integer(out, (int64_t)found);
}

/* The share of random points of the unit square that lie in the quarter circle, times four. The
 * sequence depends on the task's index alone, so that a batch is repeatable. */
static enum tri_status run_pi(struct tri_task *task,
                              const struct tri_value *argument,
                              struct tri_result *out)
{
    struct tri_prng prng;
    int64_t inside = 0;

    if (argument->integer <= 0)
        return tri_task_fail(task, TRI_INVALID, "pi wants a positive number of samples");
    tri_prng_init(&prng, tri_task_index(task));
    for (int64_t i = 0; i < argument->integer; i++) {
        double x = (double)(tri_prng_next(&prng) >> 11) * 0x1p-53;
        double y = (double)(tri_prng_next(&prng) >> 11) * 0x1p-53;

        inside += x * x + y * y < 1.0;
        if ((i & 0xffff) == 0xffff && tri_cancelled(task))
            return TRI_CANCELLED;
    }
    return tri_result_number(out, 4.0 * (double)inside / (double)argument->integer);
}

/* The textbook's uneven batch: two tasks of thirty take 8 and 12 seconds. */
static enum tri_status run_demo(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    enum tri_status status = TRI_OK;

    if (argument->integer == 8 || argument->integer == 12)
        status = tri_sleep(task, (double)argument->integer);
    return status == TRI_OK ? tri_result_borrow(out, argument) : status;
}

static const struct tri_handler echo = { BUILTIN, .name = "echo", .run = run_echo,
                                         .summary = "the argument itself" };
static const struct tri_handler sleep_seconds = {
    BUILTIN,          .name = "sleep",
    .run = run_sleep, .argument = TRI_FLOAT,
    .waits = true,    .summary = "wait that many seconds"
};
static const struct tri_handler add = { BUILTIN, .name = "add", .run = run_add,
                                        .summary = "a + b of [a, b] or \"a b\"" };
static const struct tri_handler subtract = { BUILTIN, .name = "subtract", .run = run_subtract,
                                             .summary = "a - b of [a, b] or \"a b\"" };
static const struct tri_handler square = { BUILTIN, .name = "square", .run = run_square,
                                           .argument = TRI_INT, .summary = "n * n" };
static const struct tri_handler primes = { BUILTIN, .name = "primes", .run = run_primes,
                                           .summary = "how many primes are below n, or in [a, b)" };
static const struct tri_handler pi = {
    BUILTIN, .name = "pi", .run = run_pi, .argument = TRI_INT,
    .summary = "Monte Carlo estimate of pi from n samples, seeded by the task's index"
};
static const struct tri_handler demo = {
    BUILTIN,         .name = "demo",
    .run = run_demo, .argument = TRI_INT,
    .waits = true,   .summary = "i, after waiting i seconds if i is 8 or 12"
};

const struct tri_handler *const builtin_numbers[] = { &echo,   &sleep_seconds, &add, &subtract,
                                                      &square, &primes,        &pi,  &demo };
const size_t builtin_numbers_count = sizeof(builtin_numbers) / sizeof(builtin_numbers[0]);
