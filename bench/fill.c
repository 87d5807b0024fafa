/* fill ENDPOINT BATCHES TASKS: put BATCHES batches of TASKS 16-byte values each into a broker's
 * queue, and follow none of them. The worker that offered `noop` is gone by then, so nothing runs.
 */
#include "bench/bench.h"
#include "trireme/client.h"

#define VALUE_BYTES 16

static struct tri_error error;

/* How far the library may be behind with what it was told to send. */
#define ROOM_WAIT_MS 60000

static void add(struct tri_batch *batch, uint64_t i)
{
    uint64_t word[2] = { i, i * UINT64_C(0x9e3779b97f4a7c15) };
    struct tri_value value = { .type = TRI_BINARY,
                               .bytes = { (const uint8_t *)word, sizeof(word) } };
    enum tri_status status = tri_batch_add(batch, &value, &error);

    while (status == TRI_BUSY) {
        BENCH_CHECK(tri_batch_wait_room(batch, ROOM_WAIT_MS, &error) == TRI_OK);
        status = tri_batch_add(batch, &value, &error);
    }
    BENCH_CHECK(status == TRI_OK);
}

int main(int argc, char **argv)
{
    struct tri_client_options options;
    struct tri_batch_options job;
    struct tri_client *client;

    if (argc != 4) {
        fputs("usage: fill ENDPOINT BATCHES TASKS\n", stderr);
        return 2;
    }
    tri_client_options_init(&options);
    options.endpoints = argv[1];
    tri_batch_options_init(&job);
    job.handler = "noop";
    job.detached = true;
    if (tri_client_open(&client, &options, &error) != TRI_OK) {
        fprintf(stderr, "fill: %s\n", error.text);
        return 2;
    }
    for (uint64_t b = 0; b < strtoull(argv[2], NULL, 10); b++) {
        struct tri_batch *batch;

        if (tri_batch_submit(client, &job, &batch, &error) != TRI_OK) {
            fprintf(stderr, "fill: %s\n", error.text);
            return 2;
        }
        for (uint64_t i = 0; i < strtoull(argv[3], NULL, 10); i++)
            add(batch, i);
        BENCH_CHECK(tri_batch_seal(batch, &error) == TRI_OK);
        tri_batch_close(&batch);
    }
    tri_client_close(&client);
    return 0;
}
