/* limit_read FILE: how long it takes to read FILE once, a mebibyte at a time. The limit beside the
 * start of a broker on a full store. */
#include "bench/bench.h"

#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static uint8_t block[1 << 20];
    uint64_t start = bench_now_ns();
    uint64_t bytes = 0;
    ssize_t count;
    int fd;

    if (argc != 2) {
        fputs("usage: limit_read FILE\n", stderr);
        return 2;
    }
    fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(fd >= 0);
    while ((count = read(fd, block, sizeof(block))) > 0)
        bytes += (uint64_t)count;
    BENCH_CHECK(count == 0);
    printf("seconds %.6f\nbytes %llu\n", (double)(bench_now_ns() - start) / 1e9,
           (unsigned long long)bytes);
    return 0;
}
