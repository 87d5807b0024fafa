/* limit_sync FILE [COUNT]: how long the disk takes to make 4 KiB durable - appended to FILE, then
 * fdatasync, COUNT times. The limit beside the latency of a durable task. FILE is removed. */
#include "bench/bench.h"

#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static uint8_t page[4096];
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 500;
    uint64_t *times = calloc(count, sizeof(*times));
    size_t half;
    size_t most;
    int fd;

    if (argc < 2) {
        fputs("usage: limit_sync FILE [COUNT]\n", stderr);
        return 2;
    }
    fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BENCH_CHECK(times != NULL && fd >= 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = bench_now_ns();

        BENCH_CHECK(write(fd, page, sizeof(page)) == (ssize_t)sizeof(page));
        BENCH_CHECK(fdatasync(fd) == 0);
        times[i] = bench_now_ns() - start;
    }
    qsort(times, count, sizeof(*times), bench_compare_u64);
    half = count / 2;
    most = count * 99 / 100;
    printf("p50_us %.1f\np99_us %.1f\n", (double)times[half] / 1e3, (double)times[most] / 1e3);
    BENCH_CHECK(unlink(argv[1]) == 0);
    return 0;
}
