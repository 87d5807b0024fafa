/* test_flow.c - batches through a real broker: arguments reach the worker, results the client, and
 * a broker that stood still takes no lease away. */
#include "common/proto/chunk.h"
#include "tests/e2e/broker/peer.h"
#include "tests/e2e/broker/process.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEMS = 5000, CHUNK = 2500, WIDTH = 4, WINDOW = 16 << 20 };

static char directory[64];
static char ipc[128];
static struct process broker;
static struct peer client;
static struct peer worker;
static uint64_t number;     /* of the batch */
static uint64_t sequence;   /* of the worker's reports */
static uint8_t seen[ITEMS]; /* how often a result has come */

static void open_all(void)
{
    directory_make(directory);
    snprintf(ipc, sizeof(ipc), "ipc://%s/broker", directory);
    broker =
        broker_start("--listen", ipc, "--heartbeat", "300ms", "--lease", "1s", "--check", NULL);
    client = peer_open(ipc, NULL);
    worker = peer_open(ipc, NULL);
    peer_join_worker(&worker);
    peer_join(&client, TRI_ROLE_CLIENT);
}

static void close_all(void)
{
    peer_close(&client);
    peer_close(&worker);
    process_stop(&broker);
    directory_remove(directory);
}

static void submit(enum tri_source source, uint64_t count)
{
    struct tri_rec_spec spec = {
        .handler = tri_bytes_of("echo"),
        .source = source,
        .count = count,
        .step = 1,
        .output_bytes_max = 1 << 20,
    };
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };
    struct tri_buffer encoded;

    tri_buffer_init(&encoded);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &encoded);
    message.submit.request = 1;
    message.submit.batch = (struct tri_bytes){ client.instance.bytes, 16 };
    message.submit.open = source == TRI_SOURCE_ITEMS;
    message.submit.window_bytes = WINDOW;
    message.submit.spec = tri_buffer_bytes(&encoded);
    peer_send(&client, &message);
    tri_buffer_deinit(&encoded);
    number = peer_await(&client, TRI_MESSAGE_ACCEPTED)->accepted.number;
}

/* Value `index`: a msgpack integer. */
static void put_value(struct tri_chunk_builder *builder, uint64_t index)
{
    uint8_t value[5] = { 0xce, (uint8_t)(index >> 24), (uint8_t)(index >> 16),
                         (uint8_t)(index >> 8), (uint8_t)index };

    tri_buffer_append(&builder->blob, value, sizeof(value));
    tri_chunk_builder_close_value(builder);
}

static uint64_t value_of(struct tri_bytes value)
{
    ck_assert_uint_eq(value.size, 5);
    return (uint64_t)value.data[1] << 24 | (uint64_t)value.data[2] << 16
           | (uint64_t)value.data[3] << 8 | value.data[4];
}

static void append(uint64_t first, uint64_t count)
{
    struct tri_message message = {
        .type = TRI_MESSAGE_APPEND,
        .append = { .request = 10 + first, .number = number, .first = first },
    };
    struct tri_chunk_builder builder;
    struct tri_buffer frame;

    tri_chunk_builder_init(&builder);
    tri_buffer_init(&frame);
    for (uint64_t i = 0; i < count; i++)
        put_value(&builder, first + i);
    tri_items_encode(&builder, &frame);
    peer_send_payload(&client, &message, tri_buffer_bytes(&frame));
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}

static void seal(uint64_t count)
{
    struct tri_message message = {
        .type = TRI_MESSAGE_SEAL,
        .seal = { .request = 2, .number = number, .count = count },
    };

    peer_send(&client, &message);
}

static void answer_batch(void)
{
    struct tri_message message = {
        .type = TRI_MESSAGE_OARS,
        .oars = { .number = number, .width = WIDTH, .model = TRI_MODEL_THREAD },
    };

    peer_send(&worker, &message);
}

/* The values that the lease at hand brings are those of its tasks, in order. */
static void check_items(const struct tri_msg_lease *lease)
{
    uint64_t index = lease->first;

    for (size_t i = 1; i < worker.parts.count; i++) {
        struct tri_chunk chunk;
        struct tri_error error;

        ck_assert_int_eq(tri_items_open(tri_msg_bytes(&worker.parts.frames[i]), &chunk, &error),
                         TRI_OK);
        for (uint32_t j = 0; j < chunk.count; j++)
            ck_assert_uint_eq(value_of(tri_chunk_at(&chunk, j)), index++);
    }
    ck_assert_uint_eq(index, lease->first + lease->count);
}

static void answer_lease(const struct tri_msg_lease *lease)
{
    struct tri_range run = { lease->first, lease->count };
    struct tri_rec_result head = {
        .runs = tri_ranges_of(&run, 1),
        .model = TRI_MODEL_THREAD,
        .wall_ns = lease->count * 1000,
        .cpu_ns = lease->count * 1000,
    };
    struct tri_message message = {
        .type = TRI_MESSAGE_RESULTS,
        .results = { .seq = ++sequence,
                     .lease = lease->lease,
                     .number = lease->number,
                     .generation = lease->generation },
    };
    struct tri_chunk_builder builder;
    struct tri_buffer frame;

    tri_chunk_builder_init(&builder);
    tri_buffer_init(&frame);
    for (uint64_t i = 0; i < lease->count; i++)
        put_value(&builder, lease->first + i);
    tri_result_encode(&builder, &head, &frame);
    peer_send_payload(&worker, &message, tri_buffer_bytes(&frame));
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}

/* Whatever the broker has told the worker, it does. */
static void work(bool has_items)
{
    while (peer_is_readable(&worker)) {
        const struct tri_message *message = peer_next(&worker);

        if (message->type == TRI_MESSAGE_BATCH)
            answer_batch();
        if (message->type != TRI_MESSAGE_LEASE)
            continue;
        if (has_items)
            check_items(&message->lease);
        answer_lease(&message->lease);
    }
}

static void count_row(void)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_error error;
    uint32_t value = 0;

    ck_assert_uint_eq(client.message.row.kind, TRI_ROW_VALUES);
    ck_assert_uint_eq(client.parts.count, 2);
    ck_assert_int_eq(tri_result_open(tri_msg_bytes(&client.parts.frames[1]), &head, &chunk, &error),
                     TRI_OK);
    for (size_t i = 0; i < head.runs.count; i++) {
        struct tri_range run = tri_ranges_at(head.runs, i);

        for (uint64_t index = run.first; index < run.first + run.count; index++) {
            ck_assert_uint_lt(index, ITEMS);
            ck_assert_uint_eq(value_of(tri_chunk_at(&chunk, value++)), index);
            seen[index]++;
        }
    }
}

/* Work and read until END; every task has exactly one result. */
static void run_to_the_end(bool has_items)
{
    memset(seen, 0, sizeof(seen));
    for (;;) {
        zmq_pollitem_t items[] = { { .socket = worker.socket, .events = ZMQ_POLLIN },
                                   { .socket = client.socket, .events = ZMQ_POLLIN } };

        ck_assert_int_gt(zmq_poll(items, 2, PATIENCE_MS), 0);
        work(has_items);
        while (peer_is_readable(&client)) {
            const struct tri_message *message = peer_next(&client);

            ck_assert_int_ne(message->type, TRI_MESSAGE_ERROR);
            if (message->type == TRI_MESSAGE_ROW)
                count_row();
            if (message->type != TRI_MESSAGE_END)
                continue;
            ck_assert_uint_eq(message->end.done, ITEMS);
            ck_assert_uint_eq(message->end.state, TRI_BATCH_DONE);
            for (size_t i = 0; i < ITEMS; i++)
                ck_assert_uint_eq(seen[i], 1);
            return;
        }
    }
}

START_TEST(a_range_goes_to_the_worker_and_its_results_to_the_client)
{
    submit(TRI_SOURCE_RANGE, ITEMS);
    run_to_the_end(false);
}
END_TEST

START_TEST(items_reach_the_worker_cut_to_its_leases)
{
    submit(TRI_SOURCE_ITEMS, 0);
    for (uint64_t first = 0; first < ITEMS; first += CHUNK)
        append(first, CHUNK);
    seal(ITEMS);
    run_to_the_end(true);
}
END_TEST

/* Name the lease in a heartbeat, with everything started. */
static void renew(const struct tri_msg_lease *lease, uint64_t seq)
{
    struct tri_range started = { lease->first, lease->count };
    struct tri_rec_renew record = { .lease = lease->lease, .started = tri_ranges_of(&started, 1) };
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT, .heartbeat = { .seq = seq } };
    struct tri_buffer leases;

    tri_buffer_init(&leases);
    tri_record_encode(TRI_RECORD_RENEW, &record, &leases);
    message.heartbeat.leases = tri_list_of(&leases, 1);
    peer_send(&worker, &message);
    tri_buffer_deinit(&leases);
}

START_TEST(a_broker_that_stood_still_takes_no_lease_away)
{
    struct tri_msg_lease lease;

    submit(TRI_SOURCE_RANGE, 1);
    peer_await(&worker, TRI_MESSAGE_BATCH);
    answer_batch();
    lease = peer_await(&worker, TRI_MESSAGE_LEASE)->lease;

    kill(broker.pid, SIGSTOP);
    /* Three times as long as a lease lasts; the worker reports all the while. */
    for (uint64_t i = 1; i <= 10; i++) {
        nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
        renew(&lease, i);
    }
    kill(broker.pid, SIGCONT);

    for (uint64_t i = 1; i <= 10; i++) {
        const struct tri_message *message = peer_await(&worker, TRI_MESSAGE_HEARTBEAT_OK);

        ck_assert_uint_eq(message->heartbeat_ok.seq, i);
        ck_assert_uint_eq(message->heartbeat_ok.lost.count, 0);
    }
    process_logs(&broker, "broker.stalled");
    ck_assert(!process_has_logged(&broker, "lease.lost"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_test(tcase, a_range_goes_to_the_worker_and_its_results_to_the_client);
    tcase_add_test(tcase, items_reach_the_worker_cut_to_its_leases);
    tcase_add_test(tcase, a_broker_that_stood_still_takes_no_lease_away);
    return unit_run("broker flow", tcase);
}
