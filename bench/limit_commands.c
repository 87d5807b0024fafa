/* limit_commands [COUNT]: what one thread can do at most - run `/bin/true N` for N below COUNT, two
 * at once, by vfork and exec, with standard output and error captured through two pipes. The limit
 * beside `trireme run -- /bin/true {}`, which runs the same: with an argument, true reads its
 * locale, and takes half as long again. */
#include "bench/bench.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 2

struct running {
    pid_t pid;
    int fds[2]; /* output, error; -1 at the end of file */
};

static void start(struct running *one, long number)
{
    static char program[] = "/bin/true";
    static char argument[24];
    static char *const argv[] = { program, argument, NULL };
    int output[2];
    int error[2];
    pid_t pid;

    snprintf(argument, sizeof(argument), "%ld", number);
    BENCH_CHECK(pipe2(output, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
    pid = vfork();
    /* dup2 changes the child's descriptors only: safe behind vfork, though POSIX does not say so.
     * NOLINTBEGIN(clang-analyzer-unix.Vfork) */
    if (pid == 0) {
        dup2(output[1], 1);
        dup2(error[1], 2);
        execve(argv[0], argv, environ);
        _exit(127);
    }
    /* NOLINTEND(clang-analyzer-unix.Vfork) */
    BENCH_CHECK(pid > 0);
    one->pid = pid;
    close(output[1]);
    close(error[1]);
    one->fds[0] = output[0];
    one->fds[1] = error[0];
}

/* True at the end of file. */
static bool drain(int fd)
{
    char bytes[4096];
    ssize_t count = read(fd, bytes, sizeof(bytes));

    BENCH_CHECK(count >= 0);
    if (count > 0)
        return false;
    close(fd);
    return true;
}

/* Wait for news of the commands that run; returns how many have ended. */
static int serve(struct running *running)
{
    struct pollfd polled[2 * AT_ONCE];
    int ended = 0;
    int status;

    for (int i = 0; i < 2 * AT_ONCE; i++)
        polled[i] = (struct pollfd){ .fd = running[i / 2].fds[i % 2], .events = POLLIN };
    BENCH_CHECK(poll(polled, 2 * AT_ONCE, -1) > 0);
    for (int i = 0; i < 2 * AT_ONCE; i++)
        if (polled[i].revents != 0 && drain(polled[i].fd))
            running[i / 2].fds[i % 2] = -1;
    for (int i = 0; i < AT_ONCE; i++) {
        struct running *one = &running[i];

        if (one->pid == 0 || one->fds[0] >= 0 || one->fds[1] >= 0)
            continue;
        BENCH_CHECK(waitpid(one->pid, &status, 0) == one->pid && status == 0);
        one->pid = 0;
        ended++;
    }
    return ended;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 3000;
    struct running running[AT_ONCE] = { { .fds = { -1, -1 } }, { .fds = { -1, -1 } } };
    uint64_t begin = bench_now_ns();
    long started = 0;
    long ended = 0;

    while (ended < count) {
        for (int i = 0; i < AT_ONCE; i++)
            if (running[i].pid == 0 && started < count)
                start(&running[i], started++);
        ended += serve(running);
    }
    printf("commands/s %.0f\n", (double)count * 1e9 / (double)(bench_now_ns() - begin));
    return 0;
}
