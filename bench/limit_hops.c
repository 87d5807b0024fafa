/* limit_hops [COUNT]: the latency that four hops of libzmq have at least - client, broker, worker
 * and back, one 16-byte message at a time over tcp loopback. The limit beside bench/latency. */
#include "bench/bench.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define WARM 500

static void *bind_any(void *context, int pipe_fd)
{
    char endpoint[128] = { 0 };
    size_t size = sizeof(endpoint);
    void *socket = zmq_socket(context, ZMQ_ROUTER);

    BENCH_CHECK(socket != NULL && zmq_bind(socket, "tcp://127.0.0.1:*") == 0);
    BENCH_CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    BENCH_CHECK(write(pipe_fd, endpoint, sizeof(endpoint)) == (ssize_t)sizeof(endpoint));
    return socket;
}

static void *connect_to(int pipe_fd)
{
    char endpoint[128];
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);

    BENCH_CHECK(read(pipe_fd, endpoint, sizeof(endpoint)) == (ssize_t)sizeof(endpoint));
    BENCH_CHECK(socket != NULL && zmq_connect(socket, endpoint) == 0);
    return socket;
}

/* `first`, then what else stands in `from`, to `to`. */
static void forward(void *from, void *to, zmq_msg_t *first)
{
    int more = 1;

    BENCH_CHECK(zmq_msg_send(first, to, ZMQ_SNDMORE) >= 0);
    while (more) {
        zmq_msg_t part;

        zmq_msg_init(&part);
        BENCH_CHECK(zmq_msg_recv(&part, from, 0) >= 0);
        more = zmq_msg_more(&part);
        BENCH_CHECK(zmq_msg_send(&part, to, more ? ZMQ_SNDMORE : 0) >= 0);
    }
}

static void broker(const int pipes[2])
{
    void *context = zmq_ctx_new();
    void *front = bind_any(context, pipes[0]);
    void *back = bind_any(context, pipes[1]);
    zmq_pollitem_t items[2] = { { front, 0, ZMQ_POLLIN, 0 }, { back, 0, ZMQ_POLLIN, 0 } };
    zmq_msg_t worker, part;

    zmq_msg_init(&worker);
    zmq_msg_init(&part);
    BENCH_CHECK(zmq_msg_recv(&worker, back, 0) > 0 && zmq_msg_recv(&part, back, 0) >= 0);
    while (zmq_poll(items, 2, -1) >= 0) {
        zmq_msg_t id, to;

        zmq_msg_init(&id);
        if (items[0].revents != 0 && zmq_msg_recv(&id, front, ZMQ_DONTWAIT) >= 0) {
            zmq_msg_init(&to);
            zmq_msg_copy(&to, &worker);
            BENCH_CHECK(zmq_msg_send(&to, back, ZMQ_SNDMORE) >= 0);
            forward(front, back, &id);
        }
        zmq_msg_init(&to);
        if (items[1].revents != 0 && zmq_msg_recv(&to, back, ZMQ_DONTWAIT) >= 0) {
            zmq_msg_close(&to);
            zmq_msg_init(&id);
            BENCH_CHECK(zmq_msg_recv(&id, back, 0) >= 0);
            forward(back, front, &id);
        }
    }
}

static void worker(int pipe_fd)
{
    void *socket = connect_to(pipe_fd);

    zmq_send(socket, "R", 1, 0);
    for (;;) {
        zmq_msg_t id;

        zmq_msg_init(&id);
        if (zmq_msg_recv(&id, socket, 0) < 0)
            return;
        forward(socket, socket, &id);
    }
}

static void client(int pipe_fd, long count)
{
    void *socket = connect_to(pipe_fd);
    uint64_t *times = calloc((size_t)count, sizeof(*times));
    uint8_t value[16] = { 1 };
    uint8_t back[16];

    BENCH_CHECK(times != NULL);
    for (long i = -WARM; i < count; i++) {
        uint64_t start = bench_now_ns();

        BENCH_CHECK(zmq_send(socket, value, sizeof(value), 0) == (int)sizeof(value));
        BENCH_CHECK(zmq_recv(socket, back, sizeof(back), 0) == (int)sizeof(back));
        if (i >= 0)
            times[i] = bench_now_ns() - start;
    }
    qsort(times, (size_t)count, sizeof(*times), bench_compare_u64);
    printf("p50_us %.1f\np99_us %.1f\n", (double)times[count / 2] / 1e3,
           (double)times[count * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 3000;
    int front[2], back[2];
    pid_t pids[2];

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
    client(front[0], count);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    _exit(0);
}
