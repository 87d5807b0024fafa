/* What a new process does until it calls exec. It runs in the launcher's memory, on a stack of its
 * own, while the launcher goes on: so it calls nothing of any library (errno is the launcher's, and
 * so is all that a sanitizer keeps), only the kernel, and touches nothing but its struct spawn.
 * This file is compiled without sanitizers. */
#include "worker/launcher_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A system call as the kernel takes it, "Architecture calling conventions" in syscall(2): the
 * result, or an errno with its sign turned. */
#if defined(__x86_64__)

#define IS_APART true

static long kernel(long number, long a, long b, long c, long d)
{
    register long fourth __asm__("r10") = d;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

#define IS_APART true

static long kernel(long number, long a, long b, long c, long d)
{
    register long which __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;

    __asm__ volatile("svc #0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth)
                     : "memory");
    return first;
}

#else

#define IS_APART false /* the launcher stands still meanwhile */

static long kernel(long number, long a, long b, long c, long d)
{
    long result = syscall(number, a, b, c, d);

    return result < 0 ? -errno : result;
}

#endif

bool launcher_child_is_apart(void)
{
    return IS_APART;
}

static long word(const void *pointer)
{
    return (long)(uintptr_t)pointer;
}

/* As execvp: a file that is not there, or may not be run, does not end the search. Returns the
 * errno to report: EACCES when it came up, else the first. */
static int run_first(const struct spawn *spawn)
{
    int reason = 0;

    for (char *const *file = spawn->files; *file != NULL; file++) {
        int failure =
            -(int)kernel(SYS_execve, word(*file), word(spawn->argv), word(spawn->environment), 0);

        if (failure != EACCES && failure != ENOENT && failure != ENOTDIR)
            return failure;
        if (reason == 0 || failure == EACCES)
            reason = failure;
    }
    return reason != 0 ? reason : ENOENT;
}

/* The steps of a child, each named in spawn->stage before it is taken; returns the errno of the
 * one that failed. */
static int become(struct spawn *spawn)
{
    const uint64_t no_signals = 0;

    kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    if (kernel(SYS_getppid, 0, 0, 0, 0) != spawn->parent)
        return ECHILD; /* it was killed before it could take us along */
    kernel(SYS_setpgid, 0, 0, 0, 0);
    for (size_t i = 0; i < spawn->fd_count; i++) {
        long result = spawn->fds[i] < 0 ? 0 : kernel(SYS_dup3, spawn->fds[i], (long)i, 0, 0);

        if (result < 0)
            return -(int)result;
    }
    if (spawn->files_limit != NULL)
        kernel(SYS_prlimit64, 0, RLIMIT_NOFILE, word(spawn->files_limit), 0);
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, word(&no_signals), 0, sizeof(no_signals));
    spawn->stage = SPAWN_WORKDIR;
    if (spawn->workdir != NULL) {
        long result = kernel(SYS_chdir, word(spawn->workdir), 0, 0, 0);

        if (result < 0)
            return -(int)result;
    }
    spawn->stage = SPAWN_EXEC;
    return run_first(spawn);
}

int launcher_child_main(void *context)
{
    struct spawn *spawn = context;

    spawn->reason = become(spawn);
    for (;;)
        kernel(SYS_exit_group, 127, 0, 0, 0);
}
