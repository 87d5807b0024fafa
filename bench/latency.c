/* latency ENDPOINT MODEL [COUNT]: one task at a time, added to an open batch and waited for. */
#include "bench/bench.h"
#include "trireme/client.h"

#define WARM 500

int main(int argc, char **argv)
{
    struct tri_client_options options;
    struct tri_batch_options job;
    struct tri_task_result result;
    struct tri_client *client;
    struct tri_batch *batch;
    struct tri_error error;
    long count = argc > 3 ? atol(argv[3]) : 3000;
    uint64_t *times;

    if (argc < 3) {
        fputs("usage: latency ENDPOINT MODEL [COUNT]\n", stderr);
        return 2;
    }
    times = calloc((size_t)count, sizeof(*times));
    BENCH_CHECK(times != NULL);
    tri_client_options_init(&options);
    options.endpoints = argv[1];
    tri_batch_options_init(&job);
    job.handler = "noop";
    job.model = argv[2];
    if (tri_client_open(&client, &options, &error) != TRI_OK
        || tri_batch_submit(client, &job, &batch, &error) != TRI_OK) {
        fprintf(stderr, "latency: %s\n", error.text);
        return 2;
    }
    for (long i = -WARM; i < count; i++) {
        struct tri_value value = { .type = TRI_INT, .integer = i };
        uint64_t start = bench_now_ns();

        BENCH_CHECK(tri_batch_add(batch, &value, &error) == TRI_OK);
        BENCH_CHECK(tri_batch_flush(batch, &error) == TRI_OK);
        BENCH_CHECK(tri_batch_next(batch, 10000, &result, &error) == TRI_OK);
        BENCH_CHECK(result.outcome == 0 && result.value.type == TRI_INT
                    && result.value.integer == i);
        if (i >= 0)
            times[i] = bench_now_ns() - start;
    }
    BENCH_CHECK(tri_batch_seal(batch, &error) == TRI_OK);
    qsort(times, (size_t)count, sizeof(*times), bench_compare_u64);
    printf("p50_us %.1f\np99_us %.1f\n", (double)times[count / 2] / 1e3,
           (double)times[count * 99 / 100] / 1e3);
    tri_batch_close(&batch);
    tri_client_close(&client);
    return 0;
}
