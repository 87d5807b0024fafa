/* limit_pipe [TASKS [CHUNK [WINDOW [FILE]]]]: what three processes can move at most - client,
 * broker, worker and back over tcp loopback, 16-byte values in chunks of CHUNK with an offset
 * table, a function call for each. The broker keeps a record per chunk and nothing else: no
 * durability, no retries, no order. With FILE payloads and results go through an SQLite file: what
 * arrives together is one transaction, durable before it is sent on. The limit beside
 * bench/throughput. */
#include "bench/bench.h"
#include "bench/limit_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define VALUE_BYTES 16
#define BUDGET 64

struct header {
    uint64_t batch;
    uint32_t first;
    uint32_t count;
};

struct lease {
    uint64_t batch;
    uint32_t count;
    uint32_t state;
    uint64_t deadline;
    uint8_t client[16];
    uint32_t client_bytes;
};

static long chunk_tasks = 1000;
static long task_count = 20000000;
static long window = 32;
static const char *store_file;

static void *open_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);
    int high = 2000;
    int none = 0;

    BENCH_CHECK(socket != NULL);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high, sizeof(high));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &high, sizeof(high));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    return socket;
}

static __attribute__((noinline)) void handler(const uint8_t *in, uint8_t *out)
{
    memcpy(out, in, VALUE_BYTES);
    __asm__ volatile("" ::"r"(out) : "memory");
}

/* Both ports go to the other processes through the pipe. */
static void *bind_any(void *context, int pipe_fd)
{
    char endpoint[128] = { 0 };
    size_t size = sizeof(endpoint);
    void *socket = open_socket(context, ZMQ_ROUTER);

    BENCH_CHECK(zmq_bind(socket, "tcp://127.0.0.1:*") == 0);
    BENCH_CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    BENCH_CHECK(write(pipe_fd, endpoint, sizeof(endpoint)) == (ssize_t)sizeof(endpoint));
    return socket;
}

/* A message that the broker has received and not yet sent on. */
struct held {
    zmq_msg_t to;
    zmq_msg_t head;
    zmq_msg_t payload;
    uint64_t row;
    bool is_result;
};

static void send_on(void *front, void *back, struct held *held)
{
    void *socket = held->is_result ? front : back;

    zmq_msg_send(&held->to, socket, ZMQ_SNDMORE);
    zmq_msg_send(&held->head, socket, ZMQ_SNDMORE);
    zmq_msg_send(&held->payload, socket, 0);
}

/* Take a chunk from the client; false: there is none. */
static bool take_task(
    void *front, zmq_msg_t *worker, struct lease *leases, uint64_t *next, struct held *held)
{
    uint64_t now = bench_now_ns();
    zmq_msg_t id;
    struct header *header;
    struct lease *lease = &leases[*next & 0xffff];

    zmq_msg_init(&id);
    if (zmq_msg_recv(&id, front, ZMQ_DONTWAIT) < 0)
        return false;
    zmq_msg_init(&held->head);
    zmq_msg_init(&held->payload);
    zmq_msg_recv(&held->head, front, 0);
    zmq_msg_recv(&held->payload, front, 0);
    header = zmq_msg_data(&held->head);
    lease->batch = header->batch;
    lease->count = header->count;
    lease->state = 1;
    lease->deadline = now + UINT64_C(30000000000);
    lease->client_bytes = (uint32_t)zmq_msg_size(&id);
    memcpy(lease->client, zmq_msg_data(&id), lease->client_bytes);
    held->row = header->batch = (*next)++;
    held->is_result = false;
    zmq_msg_init(&held->to);
    zmq_msg_copy(&held->to, worker);
    zmq_msg_close(&id);
    return true;
}

/* Take a chunk of results from the worker; false: there is none. */
static bool take_result(void *back, struct lease *leases, struct held *held)
{
    zmq_msg_t id;
    struct header *header;
    struct lease *lease;

    zmq_msg_init(&id);
    if (zmq_msg_recv(&id, back, ZMQ_DONTWAIT) < 0)
        return false;
    zmq_msg_close(&id);
    zmq_msg_init(&held->head);
    zmq_msg_init(&held->payload);
    zmq_msg_recv(&held->head, back, 0);
    zmq_msg_recv(&held->payload, back, 0);
    header = zmq_msg_data(&held->head);
    held->row = header->batch;
    held->is_result = true;
    lease = &leases[header->batch & 0xffff];
    BENCH_CHECK(lease->state == 1 && lease->count == header->count);
    lease->state = 2;
    header->batch = lease->batch;
    zmq_msg_init_size(&held->to, lease->client_bytes);
    memcpy(zmq_msg_data(&held->to), lease->client, lease->client_bytes);
    return true;
}

/* Everything held is durable before any of it goes on; what the client got last time goes. */
static void keep(const struct held *held, size_t count, uint64_t *sent, size_t *sent_count)
{
    for (size_t i = 0; i < *sent_count; i++)
        limit_store_delete_result(sent[i]);
    *sent_count = 0;
    for (size_t i = 0; i < count; i++) {
        zmq_msg_t *payload = (zmq_msg_t *)(uintptr_t)&held[i].payload;

        if (held[i].is_result) {
            limit_store_put_result(held[i].row, zmq_msg_data(payload), zmq_msg_size(payload));
            sent[(*sent_count)++] = held[i].row;
        } else {
            limit_store_put_payload(held[i].row, zmq_msg_data(payload), zmq_msg_size(payload));
        }
    }
    limit_store_commit();
}

static void broker(const int pipes[2])
{
    void *context = zmq_ctx_new();
    void *front = bind_any(context, pipes[0]);
    void *back = bind_any(context, pipes[1]);
    struct lease *leases = calloc(0x10000, sizeof(*leases));
    zmq_pollitem_t items[2] = { { front, 0, ZMQ_POLLIN, 0 }, { back, 0, ZMQ_POLLIN, 0 } };
    struct held held[2 * BUDGET];
    uint64_t sent[2 * BUDGET];
    size_t sent_count = 0;
    zmq_msg_t worker, ready;
    uint64_t next = 0;

    if (store_file != NULL)
        limit_store_open(store_file);
    zmq_msg_init(&worker);
    zmq_msg_init(&ready);
    BENCH_CHECK(leases != NULL && zmq_msg_recv(&worker, back, 0) > 0);
    zmq_msg_recv(&ready, back, 0);
    for (;;) {
        size_t count = 0;

        if (zmq_poll(items, 2, -1) < 0)
            return;
        for (int i = 0; items[0].revents != 0 && i < BUDGET; i++) {
            if (!take_task(front, &worker, leases, &next, &held[count]))
                break;
            if (store_file != NULL)
                count++;
            else
                send_on(front, back, &held[count]);
        }
        for (int i = 0; items[1].revents != 0 && i < BUDGET; i++) {
            if (!take_result(back, leases, &held[count]))
                break;
            if (store_file != NULL)
                count++;
            else
                send_on(front, back, &held[count]);
        }
        if (count != 0)
            keep(held, count, sent, &sent_count);
        for (size_t i = 0; i < count; i++)
            send_on(front, back, &held[i]);
    }
}

static void *connect_to(int pipe_fd)
{
    char endpoint[128];
    void *socket = open_socket(zmq_ctx_new(), ZMQ_DEALER);

    BENCH_CHECK(read(pipe_fd, endpoint, sizeof(endpoint)) == (ssize_t)sizeof(endpoint));
    BENCH_CHECK(zmq_connect(socket, endpoint) == 0);
    return socket;
}

static void worker(int pipe_fd)
{
    void *socket = connect_to(pipe_fd);

    zmq_send(socket, "R", 1, 0);
    for (;;) {
        zmq_msg_t head, payload, result;
        uint32_t *in, *out;
        uint8_t *in_bytes, *out_bytes;

        zmq_msg_init(&head);
        zmq_msg_init(&payload);
        if (zmq_msg_recv(&head, socket, 0) < 0)
            return;
        zmq_msg_recv(&payload, socket, 0);
        in = zmq_msg_data(&payload);
        in_bytes = (uint8_t *)(in + in[0] + 2);
        zmq_msg_init_size(&result, zmq_msg_size(&payload));
        out = zmq_msg_data(&result);
        out[0] = in[0];
        out_bytes = (uint8_t *)(out + in[0] + 2);
        for (uint32_t i = 0; i < in[0]; i++) {
            handler(in_bytes + in[1 + i], out_bytes + (size_t)VALUE_BYTES * i);
            out[1 + i] = VALUE_BYTES * i;
        }
        out[1 + in[0]] = VALUE_BYTES * in[0];
        zmq_msg_close(&payload);
        zmq_msg_send(&head, socket, ZMQ_SNDMORE);
        zmq_msg_send(&result, socket, 0);
    }
}

static void send_chunk(void *socket, long number)
{
    struct header header = { 7, (uint32_t)(number * chunk_tasks), (uint32_t)chunk_tasks };
    uint8_t task[VALUE_BYTES] = { 1 };
    zmq_msg_t payload;
    uint32_t *offsets;
    uint8_t *bytes;

    zmq_send(socket, &header, sizeof(header), ZMQ_SNDMORE);
    zmq_msg_init_size(&payload, 4 * ((size_t)chunk_tasks + 2) + VALUE_BYTES * (size_t)chunk_tasks);
    offsets = zmq_msg_data(&payload);
    offsets[0] = (uint32_t)chunk_tasks;
    bytes = (uint8_t *)(offsets + chunk_tasks + 2);
    for (long i = 0; i < chunk_tasks; i++) {
        memcpy(task, &i, sizeof(i));
        offsets[1 + i] = (uint32_t)(VALUE_BYTES * i);
        memcpy(bytes + VALUE_BYTES * i, task, VALUE_BYTES);
    }
    offsets[1 + chunk_tasks] = (uint32_t)(VALUE_BYTES * chunk_tasks);
    zmq_msg_send(&payload, socket, 0);
}

/* Take one chunk of results; false when there is none now. */
static bool take_chunk(void *socket, int flags, uint64_t *sum)
{
    zmq_msg_t head, payload;
    uint32_t *offsets;
    uint8_t *bytes;

    zmq_msg_init(&head);
    if (zmq_msg_recv(&head, socket, flags) < 0)
        return false;
    zmq_msg_init(&payload);
    zmq_msg_recv(&payload, socket, 0);
    offsets = zmq_msg_data(&payload);
    bytes = (uint8_t *)(offsets + offsets[0] + 2);
    for (uint32_t i = 0; i < offsets[0]; i++) {
        uint64_t value;

        memcpy(&value, bytes + offsets[1 + i], sizeof(value));
        *sum += value;
    }
    zmq_msg_close(&head);
    zmq_msg_close(&payload);
    return true;
}

static void client(int pipe_fd)
{
    void *socket = connect_to(pipe_fd);
    long counted = task_count / chunk_tasks;
    long warm = counted / 10 + 1;
    long total = counted + warm;
    long sent = 0;
    long got = 0;
    uint64_t start = 0;
    uint64_t sum = 0;

    while (got < total) {
        int flags = 0;

        for (; sent < total && sent - got < window; sent++)
            send_chunk(socket, sent);
        while (got < total && take_chunk(socket, flags, &sum)) {
            flags = ZMQ_DONTWAIT;
            if (++got == warm)
                start = bench_now_ns();
        }
    }
    BENCH_CHECK(sum == (uint64_t)total * ((uint64_t)chunk_tasks * ((uint64_t)chunk_tasks - 1) / 2));
    printf("tasks/s %.0f\n",
           (double)counted * (double)chunk_tasks * 1e9 / (double)(bench_now_ns() - start));
}

int main(int argc, char **argv)
{
    int front[2], back[2];
    pid_t pids[2];

    task_count = argc > 1 ? atol(argv[1]) : task_count;
    chunk_tasks = argc > 2 ? atol(argv[2]) : chunk_tasks;
    window = argc > 3 ? atol(argv[3]) : window;
    store_file = argc > 4 ? argv[4] : NULL;
    BENCH_CHECK(pipe(front) == 0 && pipe(back) == 0);
    pids[0] = fork();
    if (pids[0] == 0) {
        broker((const int[2]){ front[1], back[1] });
        _exit(0);
    }
    pids[1] = fork();
    if (pids[1] == 0) {
        worker(back[0]);
        _exit(0);
    }
    client(front[0]);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    _exit(0);
}
