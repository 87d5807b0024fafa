/* launcher_parts.h - the inside of the launcher process.
 *
 * A tree is a process that the launcher is answerable for (zygote, host or command) with all that
 * descends from it. The launcher is a child subreaper, so whatever loses its parent becomes its
 * own child; whose it was is told, in this order, by
 *   1. its process group or session: the root of each tree leads a group of its own;
 *   2. its environment: TRIREME_TREE names the tree, and the trees around it when workers nest;
 *   3. its age: it was started by a command that is older than itself. When no such command is
 *      left, nobody is answerable for it any more, and it is killed.
 * Orphans of a tree whose root lives are left alone until that root ends.
 *
 * A tree whose root has ended is `ending`: its orphans are killed, and theirs in turn, until a
 * look at the children shows none; only then is its end reported (RAN, HOST_GONE).
 *
 * Threads: one.   Memory: aborts when it is out.
 */
#ifndef LAUNCHER_PARTS_H
#define LAUNCHER_PARTS_H

#include "common/list.h"
#include "common/map.h"
#include "worker/launcher.h"
#include "worker/launcher_channel.h"
#include "worker/launcher_process.h"

#include <signal.h>

#define LAUNCHER_TREE_VARIABLE "TRIREME_TREE"
#define LAUNCHER_OUTPUT_BYTES_DEFAULT ((uint64_t)16 << 20)
#define LAUNCHER_SCRATCH_BYTES 65536 /* what a pipe holds */

/* ---- trees ---------------------------------------------------------------------------------- */

enum tree_kind { TREE_ZYGOTE, TREE_HOST, TREE_COMMAND };

struct tree {
    struct tri_dlist_node node; /* in state.running by kind, oldest first, or in state.ending */
    enum tree_kind kind;
    bool ended;      /* its root has been reaped, or never was */
    uint64_t number; /* never used twice; TRIREME_TREE carries it */
    uint64_t birth;  /* clock ticks of boot time */
    pid_t pid;       /* of the root; 0: not known yet */
    size_t left;     /* orphans killed for it by the last sweep */
};

struct zygote {
    struct tree tree;
    struct tri_dlist_node node; /* in state.zygotes while new hosts may be asked of it */
    struct channel channel;
    char *plugin;
    bool loaded;     /* it has forked a host */
    bool spawn_only; /* the plugin starts threads: only this record is left */
    size_t host_count;
};

struct host {
    struct tree tree;
    uint64_t id;
    struct zygote *zygote;             /* NULL: spawned */
    int link_fd, table_fd, command_fd; /* its ends, until it is up; else -1 */
    char *plugin;
    struct channel channel;  /* the command link */
    struct tri_map commands; /* by RUN.id */
    int wait_status;
    struct tri_error failure; /* why it could not be started */
};

/* A process on its way to become a command: what it reads until it calls exec, and its stack. It
 * stays with the command until that is reported, for only then is it sure to be read no more. */
struct launch {
    struct launch *next; /* in state.idle_launches */
    struct spawn spawn;
    struct tri_buffer words; /* strings: arguments, environment, directory */
    struct tri_buffer names; /* strings: where the program may be */
    char **pointers;         /* to both */
    size_t pointer_capacity;
    _Alignas(16) char stack[SPAWN_STACK_BYTES];
};

struct command {
    struct tree tree;
    struct host *host;
    struct launch *launch;
    uint64_t id;
    uint64_t output_bytes_max;
    struct watch input, output, error;
    struct tri_buffer input_bytes; /* what the pipe has not taken yet */
    size_t input_start;
    struct tri_buffer output_bytes, error_bytes;
    bool truncated;
    struct tri_dlist_node fresh; /* in state.fresh */
    tri_time watch_at;
    struct tri_dlist_node stopping; /* in state.stopping */
    tri_time kill_at;
    int wait_status;
    uint64_t started_ns, wall_ns, cpu_us;
};

/* ---- the whole ------------------------------------------------------------------------------ */

struct launcher_state {
    int epoll_fd;
    int signal_fd;
    int children_fd; /* /proc/.../children; -1: this kernel has none */
    pid_t parent;
    struct watch signal_watch;
    struct channel session;
    struct launcher_options options;
    struct rlimit files; /* as it was: children get it back, */
    int fd_end;          /* pipes are below: what is above is kept for hosts */
    bool files_raised;   /* if it has been raised for the launcher */
    bool stop;
    bool reap;            /* children have changed state */
    bool sweep;           /* a root has ended, or an orphan of one */
    tri_time sweep_at;    /* again, for what was just inside exec; or TRI_NEVER */
    unsigned sweep_count; /* for that reason, in a row */
    uint64_t tree_count;
    char tag_prefix[256];             /* TRIREME_TREE=<outer>:<this launcher>. */
    const char *tag_own;              /* the part that only this launcher writes */
    struct tri_dlist_head running[3]; /* trees by kind, oldest first */
    struct tri_dlist_head ending;
    struct tri_dlist_head zygotes;
    struct tri_dlist_head fresh; /* commands whose output is not watched yet, oldest first */
    struct tri_dlist_head stopping;
    tri_time kill_at;         /* the first of them */
    struct tri_map by_pid;    /* roots that live */
    struct tri_map by_number; /* trees that are not yet reported */
    struct tri_map hosts;     /* by id */
    struct tri_map orphans;   /* of pid: the number of the tree it was found to belong to */
    void **dead;              /* to be freed when the turn is over */
    size_t dead_count, dead_capacity;
    char **environment; /* without TRIREME_TREE; NULL-terminated */
    size_t environment_count;
    struct launch *idle_launches;
    struct link_message message;
    uint8_t scratch[LAUNCHER_SCRATCH_BYTES];
};

/* launcher_main.c ----------------------------------------------------------------------------- */

/* Free `memory` after this turn's last event. */
void launcher_free_later(struct launcher_state *self, void *memory);

/* launcher_spawn.c ---------------------------------------------------------------------------- */

/* One's own program in an inner role: "--zygote" or "--host". */
pid_t launcher_spawn_role(struct launcher_state *self,
                          struct tree *tree,
                          const char *role,
                          const char *plugin,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error);

/* launcher_words.c ---------------------------------------------------------------------------- */

/* Write what a RUN says into the launch, as execve wants it: files, argv, environment, workdir. */
enum tri_status launcher_words_of(const struct launcher_state *self,
                                  const struct tri_msg_run *run,
                                  const struct tree *tree,
                                  struct launch *launch,
                                  struct tri_error *error);

/* launcher_tree.c ----------------------------------------------------------------------------- */

/* Who am I: the tag's prefix and the environment without the one that was inherited. */
void launcher_tree_begin(struct launcher_state *self);

/* Write TRIREME_TREE=... for this tree. */
void launcher_tree_tag(const struct launcher_state *self, const struct tree *tree, char tag[320]);

/* Number it and put it among the running. */
void launcher_tree_start(struct launcher_state *self, struct tree *tree, enum tree_kind kind);
/* Its root has this pid. */
void launcher_tree_up(struct launcher_state *self, struct tree *tree, pid_t pid);
/* Its root is gone: from now on it is ending. */
void launcher_tree_end(struct launcher_state *self, struct tree *tree);
/* It has been reported: forget it. */
void launcher_tree_forget(struct launcher_state *self, struct tree *tree);

/* Reap what has died, and tell the trees. */
void launcher_tree_reap(struct launcher_state *self);
/* Kill the orphans of ending trees; report the trees of which nothing is left. */
void launcher_tree_sweep(struct launcher_state *self);

/* launcher_launch.c --------------------------------------------------------------------------- */

/* Start the command's process and open our ends of its pipes (no input: none). It takes a launch,
 * whatever comes of it. */
enum tri_status launcher_launch(struct launcher_state *self,
                                struct command *command,
                                const struct tri_msg_run *run,
                                bool with_input,
                                struct tri_error *error);
/* Did the process become the command? Known when it has been reaped. */
enum tri_status launcher_launch_result(const struct launch *launch, struct tri_error *error);
void launcher_launch_release(struct launcher_state *self, struct command *command);

/* launcher_command.c -------------------------------------------------------------------------- */

void launcher_command_run(struct launcher_state *self,
                          struct host *host,
                          const struct link_message *message);
void launcher_command_stop(struct launcher_state *self,
                           struct host *host,
                           const struct tri_msg_stop *stop);
void launcher_command_kill(struct command *command);
void launcher_command_event(struct launcher_state *self, struct watch *watch);
void launcher_command_ended(struct launcher_state *self,
                            struct command *command,
                            int wait_status,
                            const struct rusage *usage);
/* Nothing of it is left: RAN. */
void launcher_command_report(struct launcher_state *self, struct command *command);
/* When something is due, or TRI_NEVER; and do what is due: kill what was told to stop and has not,
 * watch the output of what has not ended soon. */
tri_time launcher_command_deadline(const struct launcher_state *self);
void launcher_command_tick(struct launcher_state *self, tri_time now);

/* launcher_host.c ----------------------------------------------------------------------------- */

/* The session's HOST_START; the descriptors are taken. */
void launcher_host_start(struct launcher_state *self,
                         const struct tri_msg_host_start *start,
                         int link_fd,
                         int table_fd);
void launcher_host_kill(struct launcher_state *self, const struct tri_msg_host_kill *kill);
void launcher_host_event(struct launcher_state *self, struct host *host, uint32_t events);
void launcher_host_ended(struct launcher_state *self, struct host *host, int wait_status);
/* Nothing of it is left: HOST_GONE. */
void launcher_host_report(struct launcher_state *self, struct host *host);

void launcher_zygote_event(struct launcher_state *self, struct zygote *zygote, uint32_t events);
void launcher_zygote_ended(struct launcher_state *self, struct zygote *zygote, int wait_status);
void launcher_zygote_report(struct launcher_state *self, struct zygote *zygote);

#endif
