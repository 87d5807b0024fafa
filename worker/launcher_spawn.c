/* Start a process. clone(VM): the child works in the launcher's memory, on a stack of its own,
 * until it calls exec (launcher_child.c): nothing is copied. With VFORK the launcher stands still
 * until then. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* clone by the C library's other name: TSan replaces clone by what it does for fork, which is wrong
 * for a child that shares our memory. */
int __clone(int (*run)(void *), void *stack, int flags, void *context, ...);

static pid_t start(struct spawn *spawn, int flags)
{
    pid_t pid;

    for (size_t i = 0; i < spawn->fd_count; i++)
        tri_assert(spawn->fds[i] < 0 || spawn->fds[i] > LAUNCHER_COMMAND_FD);
    spawn->stage = SPAWN_CLONE;
    spawn->reason = 0;
    spawn->parent = getpid();
    pid = __clone(launcher_child_main, spawn->stack + SPAWN_STACK_BYTES, CLONE_VM | SIGCHLD | flags,
                  spawn);
    if (pid > 0)
        return pid;
    spawn->reason = errno;
    return 0;
}

pid_t launcher_spawn_begin(struct spawn *spawn)
{
    return start(spawn, launcher_child_is_apart() ? 0 : CLONE_VFORK);
}

pid_t launcher_spawn(struct spawn *spawn)
{
    pid_t pid = start(spawn, CLONE_VFORK);

    if (pid == 0 || spawn->reason == 0)
        return pid;
    waitpid(pid, NULL, 0);
    return 0;
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
    static _Alignas(16) char stack[SPAWN_STACK_BYTES];
    char own[] = "/proc/self/exe";
    char *files[] = { self->options.program != NULL ? (char *)(uintptr_t)self->options.program
                                                    : own,
                      NULL };
    struct spawn spawn = { .files = files,
                           .argv = argv,
                           .environment = environment,
                           .fds = { -1, -1, -1, -1, -1, -1 },
                           .fd_count = LAUNCHER_LINK_FD + fd_count,
                           .files_limit = self->files_raised ? &self->files : NULL,
                           .stack = stack };
    pid_t pid;

    launcher_tree_tag(self, tree, tag);
    environment[0] = tag;
    memcpy(environment + 1, self->environment, self->environment_count * sizeof(char *));
    for (size_t i = 0; i < fd_count; i++)
        spawn.fds[LAUNCHER_LINK_FD + i] = fds[i];
    pid = launcher_spawn(&spawn);
    free(environment);
    if (pid == 0)
        tri_fail(error, TRI_SYSTEM, "cannot start %s %s: %s", files[0], role,
                 strerror(spawn.reason));
    return pid;
}
