/* throughput ENDPOINT [TASKS [MODEL]]: 16-byte values through libtrireme, a broker and a worker and
 * back, each one delivered in order and compared. The worker offers `noop` (noop.c). */
#include "bench/bench.h"
#include "trireme/client.h"

#define VALUE_BYTES 16

static struct tri_error error;

static void fill(uint8_t value[VALUE_BYTES], uint64_t i)
{
    uint64_t word[2] = { i, i * UINT64_C(0x9e3779b97f4a7c15) };

    memcpy(value, word, sizeof(word));
}

/* Value number i as it travels: msgpack bin 8 (0xc4), its length, 16 bytes. */
static void check_value(const uint8_t *packed, size_t size, uint64_t i)
{
    uint8_t want[VALUE_BYTES];

    fill(want, i);
    BENCH_CHECK(size == VALUE_BYTES + 2 && packed[0] == 0xc4 && packed[1] == VALUE_BYTES);
    BENCH_CHECK(memcmp(packed + 2, want, VALUE_BYTES) == 0);
}

static uint64_t take(struct tri_batch *batch, uint64_t got, int timeout_ms)
{
    struct tri_result_run run;
    enum tri_status status;

    while ((status = tri_batch_next_run(batch, timeout_ms, &run, &error)) == TRI_OK) {
        BENCH_CHECK(run.first == got);
        for (uint32_t i = 0; i < run.count; i++) {
            uint32_t bounds[2];

            memcpy(bounds, run.offsets + (size_t)i * 4, sizeof(bounds));
            check_value(run.blob + bounds[0], bounds[1] - bounds[0], got + i);
        }
        got += run.count;
        timeout_ms = 0;
    }
    BENCH_CHECK(status == TRI_EMPTY || status == TRI_CLOSED);
    return got;
}

int main(int argc, char **argv)
{
    struct tri_client_options options;
    struct tri_batch_options job;
    struct tri_client *client;
    struct tri_batch *batch;
    uint64_t total = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000000;
    uint64_t warm = total / 11;
    uint64_t added = 0;
    uint64_t got = 0;
    uint64_t start = 0;
    uint64_t warm_got = 0;
    bool sealed = false;

    if (argc < 2) {
        fputs("usage: throughput ENDPOINT [TASKS [MODEL]]\n", stderr);
        return 2;
    }
    tri_client_options_init(&options);
    options.endpoints = argv[1];
    tri_batch_options_init(&job);
    job.handler = "noop";
    job.model = argc > 3 ? argv[3] : "thread";
    if (tri_client_open(&client, &options, &error) != TRI_OK
        || tri_batch_submit(client, &job, &batch, &error) != TRI_OK) {
        fprintf(stderr, "throughput: %s\n", error.text);
        return 2;
    }
    while (got < total) {
        uint8_t value[VALUE_BYTES];
        enum tri_status status = TRI_OK;

        for (int i = 0; i < 10000 && added < total && status == TRI_OK; i++) {
            fill(value, added);
            status = tri_batch_add(
                batch, &(struct tri_value){ .type = TRI_BINARY, .bytes = { value, sizeof(value) } },
                &error);
            added += status == TRI_OK;
        }
        BENCH_CHECK(status == TRI_OK || status == TRI_BUSY);
        if (added == total && !sealed) {
            status = tri_batch_flush(batch, &error);
            if (status == TRI_OK) {
                BENCH_CHECK(tri_batch_seal(batch, &error) == TRI_OK);
                sealed = true;
            }
        }
        got = take(batch, got, status == TRI_BUSY || sealed ? 100 : 0);
        if (start == 0 && got >= warm) {
            start = bench_now_ns();
            warm_got = got;
        }
    }
    printf("tasks/s %.0f\n", (double)(got - warm_got) * 1e9 / (double)(bench_now_ns() - start));
    tri_batch_close(&batch);
    tri_client_close(&client);
    return 0;
}
