/* limit_loop COUNT: what two threads can do at most - call a handler through its pointer COUNT
 * times in all and add up what it returns. The limit beside `--range --fn echo --reduce sum`. */
#include "bench/bench.h"
#include "trireme/handler.h"

#include <pthread.h>

static enum tri_status echo(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    (void)task;
    return tri_result_borrow(out, argument);
}

struct half {
    pthread_t thread;
    tri_handler_fn *run;
    int64_t first;
    int64_t end;
    __int128 sum;
};

static void *loop(void *context)
{
    struct half *half = context;
    __int128 sum = 0;

    for (int64_t i = half->first; i < half->end; i++) {
        struct tri_value argument = { .type = TRI_INT, .integer = i };
        struct tri_result result = { .value = { .type = TRI_NIL } };

        BENCH_CHECK(half->run(NULL, &argument, &result) == TRI_OK);
        sum += result.value.integer;
    }
    half->sum = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t count = argc > 1 ? atoll(argv[1]) : 1000000000;
    tri_handler_fn *volatile run = echo; /* not to be inlined */
    struct half halves[2] = { { .run = run, .first = 1, .end = count / 2 + 1 },
                              { .run = run, .first = count / 2 + 1, .end = count + 1 } };
    uint64_t start = bench_now_ns();

    for (int i = 0; i < 2; i++)
        BENCH_CHECK(pthread_create(&halves[i].thread, NULL, loop, &halves[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(halves[i].thread, NULL);
    BENCH_CHECK(halves[0].sum + halves[1].sum == (__int128)count * (count + 1) / 2);
    printf("tasks/s %.0f\n", (double)count * 1e9 / (double)(bench_now_ns() - start));
    return 0;
}
