/* Start a process. clone(VM|VFORK): the launcher stands still until the child has called exec, so
 * the child may work in its memory, on a stack of its own, and nothing else ever holds copies of
 * its descriptors. The child uses system calls only. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)256 * 1024)

/* A sanitizer would mark the borrowed stack and never see it unwound. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

/* execve each of the directories of `path` with the name appended; the errno to report. */
UNCHECKED static int search_and_exec(const struct spawn *spawn)
{
    const char *name = spawn->argv[0];
    const char *path = spawn->path;
    size_t name_size = strlen(name);
    int reason = ENOENT;
    char file[4096];

    if (name_size == 0)
        return ENOENT;
    if (strchr(name, '/') != NULL) {
        execve(name, spawn->argv, spawn->environment);
        return errno;
    }
    for (;;) {
        const char *end = strchrnul(path, ':');
        size_t size = (size_t)(end - path);

        if (size + 1 + name_size < sizeof(file)) {
            memcpy(file, path, size);
            file[size] = '/';
            memcpy(file + (size > 0 ? size + 1 : 0), name, name_size + 1); /* empty: here */
            execve(file, spawn->argv, spawn->environment);
            if (errno == EACCES)
                reason = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR)
                return errno;
        }
        if (*end == '\0')
            return reason;
        path = end + 1;
    }
}

/* The steps of a child, each named in spawn->stage before it is taken; returns the errno of the
 * one that failed. */
UNCHECKED static int become(struct spawn *spawn)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawn->parent)
        return ECHILD; /* it was killed before it could take us along */
    setpgid(0, 0);
    for (size_t i = 0; i < spawn->fd_count; i++)
        if (spawn->fds[i] >= 0 && dup2(spawn->fds[i], (int)i) < 0)
            return errno;
    if (spawn->files != NULL)
        setrlimit(RLIMIT_NOFILE, spawn->files);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    spawn->stage = SPAWN_WORKDIR;
    if (spawn->workdir != NULL && chdir(spawn->workdir) != 0)
        return errno;
    spawn->stage = SPAWN_EXEC;
    if (spawn->file == NULL)
        return search_and_exec(spawn);
    execve(spawn->file, spawn->argv, spawn->environment);
    return errno;
}

UNCHECKED static int child(void *spawn)
{
    ((struct spawn *)spawn)->reason = become(spawn);
    _exit(127);
}

/* clone by the C library's other name: TSan replaces clone by what it does for fork, which is wrong
 * for a child that shares our memory. */
int __clone(int (*run)(void *), void *stack, int flags, void *context, ...);

static void *stack_top(void)
{
    static char *stack;

    if (stack == NULL) {
        stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
            tri_out_of_memory();
    }
    return stack + STACK_BYTES;
}

pid_t launcher_spawn(struct spawn *spawn)
{
    pid_t pid;

    for (size_t i = 0; i < spawn->fd_count; i++)
        tri_assert(spawn->fds[i] < 0 || spawn->fds[i] > LAUNCHER_COMMAND_FD);
    spawn->stage = SPAWN_CLONE;
    spawn->reason = 0;
    spawn->parent = getpid();
    pid = __clone(child, stack_top(), CLONE_VM | CLONE_VFORK | SIGCHLD, spawn);
    if (pid < 0) {
        spawn->reason = errno;
        return 0;
    }
    if (spawn->reason != 0) {
        waitpid(pid, NULL, 0);
        return 0;
    }
    spawn->stage = SPAWN_STARTED;
    return pid;
}

pid_t launcher_spawn_role(struct launcher_state *self,
                          struct tree *tree,
                          const char *role,
                          const char *plugin,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error)
{
    char tag[320];
    char *argv[] = { program_invocation_name, (char *)(uintptr_t)role, (char *)(uintptr_t)plugin,
                     self->options.test_handlers ? (char[]){ "--test-handlers" } : NULL, NULL };
    char **environment = tri_alloc(self->environment_count + 2, sizeof(char *));
    struct spawn spawn = { .file = self->options.program != NULL ? self->options.program
                                                                 : "/proc/self/exe",
                           .argv = argv,
                           .environment = environment,
                           .fds = { -1, -1, -1, -1, -1, -1 },
                           .fd_count = LAUNCHER_LINK_FD + fd_count,
                           .files = self->files_raised ? &self->files : NULL };
    pid_t pid;

    launcher_tree_tag(self, tree, tag);
    environment[0] = tag;
    memcpy(environment + 1, self->environment, self->environment_count * sizeof(char *));
    for (size_t i = 0; i < fd_count; i++)
        spawn.fds[LAUNCHER_LINK_FD + i] = fds[i];
    pid = launcher_spawn(&spawn);
    free(environment);
    if (pid == 0)
        tri_fail(error, TRI_SYSTEM, "cannot start %s %s: %s", spawn.file, role,
                 strerror(spawn.reason));
    return pid;
}
