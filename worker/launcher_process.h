/* launcher_process.h - what the launcher asks of the kernel: start a process, who are my children.
 *
 * Threads: one for launcher_spawn; any for the rest.
 * Memory:  aborts when it is out.
 */
#ifndef LAUNCHER_PROCESS_H
#define LAUNCHER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* ---- launcher_spawn.c ----------------------------------------------------------------------- */

#define SPAWN_STACK_BYTES ((size_t)16 * 1024)

enum spawn_stage { SPAWN_CLONE, SPAWN_WORKDIR, SPAWN_EXEC };

struct spawn {
    char *const *files; /* tried one after the other; NULL-terminated */
    char *const *argv;
    char *const *environment;
    const char *workdir; /* NULL: this process's */
    int fds[6];          /* fds[i] becomes descriptor i; -1: i stays as it is */
    size_t fd_count;
    const struct rlimit *files_limit; /* to be set; may be NULL */
    char *stack;                      /* SPAWN_STACK_BYTES for the child */
    pid_t parent;                     /* filled in */
    enum spawn_stage stage;           /* how far it came, */
    int reason;                       /* and the errno that ended it; 0: it runs the program */
};

/* Start a process in a group of its own, to be killed with the launcher. Sources in fds are above
 * 5. Returns its pid when it runs the program, or 0 and says why in stage and reason. */
pid_t launcher_spawn(struct spawn *spawn);

/* The same without waiting for the program: a pid says only that there is a process. It reads and
 * writes `spawn` and what that points at, which stay where they are until it has been reaped; then
 * `reason` tells whether it became the program. */
pid_t launcher_spawn_begin(struct spawn *spawn);

/* ---- launcher_child.c ----------------------------------------------------------------------- */

/* Whether a child may run beside us: only where system calls can be made without errno. */
bool launcher_child_is_apart(void);

/* What a child runs: become the program; it does not return. */
int launcher_child_main(void *spawn);

/* ---- launcher_children.c -------------------------------------------------------------------- */

/* A descriptor of this thread's list of children; -1 when this kernel has none. */
int launcher_children_open(void);

/* The children (also dead ones that are not reaped) of the thread that opened `fd`. The caller
 * frees `*pids`. */
size_t launcher_children_read(int fd, pid_t **pids);

/* The children of all threads. */
size_t launcher_children_all(pid_t **pids);

struct process_stat {
    pid_t parent;
    uint64_t birth;          /* clock ticks of boot time */
    bool has_finished;       /* but is not reaped */
    bool has_no_environment; /* really: not because exec has not put it there yet */
};

/* False when there is no such process. */
bool launcher_process_stat(pid_t pid, struct process_stat *stat);

#endif
