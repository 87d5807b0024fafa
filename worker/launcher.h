/* launcher.h - the process that starts all others, and buries them.
 *
 * Spawned first (the worker's own program with --launcher), single-threaded, child subreaper. It
 * starts the zygotes (one per plugin: it has loaded the plugin and forks hosts), spawns hosts
 * afresh when asked or when a plugin cannot be forked, runs commands for hosts, and kills whole
 * trees of processes.
 *
 * This header is the session's end. On the link: HOST_START (launcher_start_host: with two
 * descriptors, the host's end of its link and its table; the command link is made by the launcher)
 * and HOST_KILL; each HOST_START is answered by HOST_UP and then HOST_GONE, or by HOST_GONE alone
 * with a status and a text. HOST_GONE says that nothing is left of the host: no child of it, and no
 * command that it asked for. A HOST_KILL for a host that is gone does nothing.
 *
 * When the session dies, the launcher (end of file on its link, and PR_SET_PDEATHSIG) kills all
 * its descendants and exits. When the launcher dies, zygotes, hosts and the commands' own processes
 * are killed by the kernel, and the session's caller sees TRI_CLOSED, kills and reaps what is left
 * (launcher_bury) and opens a new one. Signals other than KILL and STOP do nothing to a launcher or
 * a zygote: whoever wants to end it closes the link.
 *
 * Threads: the thread that calls launcher_open must live as long as the launcher shall
 *          (PR_SET_PDEATHSIG watches the thread, and the launcher then looks whether the process
 *          is still there: only that ends it).
 * Memory:  nothing is kept of the options.
 * Errors:  TRI_SYSTEM; TRI_CLOSED once the launcher is dead.
 * Limits:  three descriptors for a command that runs, one for a host: a RUN for which there are
 *          none left fails with TRI_SYSTEM. Processes that multiply faster than they are killed,
 *          or that have become another user's, may be left.
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include "worker/link.h"

#include <sys/types.h>

struct launcher {
    struct link link;
    pid_t pid;
};

struct launcher_options {
    const char *program; /* NULL: /proc/self/exe */
    bool test_handlers;
};

/* Start a launcher. Makes the caller a child subreaper. Its standard input is /dev/null, its
 * standard output goes where standard error goes; of all other descriptors it gets the link only.
 */
enum tri_status launcher_open(struct launcher *self,
                              const struct launcher_options *options,
                              struct tri_error *error);

/* Post HOST_START. The descriptors stay the caller's: close link_fd afterwards, or its other end
 * will not see the end of the host. `plugin` may be "". */
enum tri_status launcher_start_host(struct launcher *self,
                                    uint64_t host,
                                    bool spawn,
                                    struct tri_bytes plugin,
                                    int link_fd,
                                    int table_fd,
                                    struct tri_error *error);

/* Post HOST_KILL. */
enum tri_status launcher_kill_host(struct launcher *self,
                                   uint64_t host,
                                   int signal,
                                   struct tri_error *error);

/* Kill and reap it and every descendant of this process. Safe when it is dead already. */
void launcher_close(struct launcher *self);

/* Kill and reap every descendant of this process (after the launcher died): every child, also one
 * that is no business of the launcher's. Gives up after 5 s on what cannot be killed. */
void launcher_bury(void);

/* The first thing main does, once the program's own handlers are known: when the arguments are
 * those of an inner process
 *     --launcher | --zygote PLUGIN | --host PLUGIN  [--test-handlers]
 * be that process and never return; else return at once. */
void launcher_take_role(int argc, char **argv);

/* ---- the other processes -------------------------------------------------------------------- */

/* The descriptors that they are started with. */
#define LAUNCHER_LINK_FD 3
#define LAUNCHER_TABLE_FD 4
#define LAUNCHER_COMMAND_FD 5

/* Serve until the link ends; the exit status. */
int launcher_main(int link_fd, const struct launcher_options *options);
int zygote_main(int link_fd, const char *plugin, const struct launcher_options *options);

#endif
