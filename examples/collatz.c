/* collatz.c - a handler of your own, in a shared object that needs trireme/handler.h alone:
 *
 *     cc -shared -fPIC -o collatz.so collatz.c $(pkg-config --cflags trireme)
 *     trireme run --plugin ./collatz.so --fn collatz --range 1-1000000 --reduce max
 *
 * The value is how many steps n takes to reach 1 (halve what is even, else 3n + 1). */
#include <trireme/handler.h>

static enum tri_status collatz(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    int64_t n = argument->integer;
    int64_t steps = 0;

    if (n < 1)
        return tri_task_fail(task, TRI_INVALID, "collatz wants a positive integer");
    for (; n != 1; steps++) {
        if (n % 2 == 0)
            n /= 2;
        else if (__builtin_mul_overflow(n, 3, &n) || __builtin_add_overflow(n, 1, &n))
            return tri_task_fail(task, TRI_OVERFLOW, "it grows beyond 64 bits");
    }
    return tri_result_integer(out, steps);
}

TRI_HANDLER(.name = "collatz",
            .run = collatz,
            .argument = TRI_INT,
            .summary = "steps of the Collatz sequence from n to 1");
