/* launcher.h - the process that starts all others, and buries them.
 *
 * Forked first (posix_spawn of the worker's own program with --launcher), single-threaded, child
 * subreaper. It starts the zygote (which forks hosts, having loaded the plugin), spawns hosts
 * afresh when asked, runs commands for hosts, and kills whole trees of processes.
 *
 * This header is the session's end. Control messages on the link: HOST_START (with three
 * descriptors: link, table, command link), HOST_KILL; answered by HOST_UP, HOST_GONE.
 *
 * When the session dies, the launcher (end of file on its link, and PR_SET_PDEATHSIG) kills all
 * its descendants and exits. When the launcher dies, the session's caller sees TRI_CLOSED, kills
 * and reaps all descendants (launcher_bury) and opens a new one.
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
    const char *program;      /* NULL: /proc/self/exe */
    bool test_handlers;
};

/* Start a launcher. The caller must be a child subreaper (set here). */
enum tri_status launcher_open(struct launcher *self,
                              const struct launcher_options *options,
                              struct tri_error *error);

/* Kill and reap it and every descendant of this process. Safe when it is dead already. */
void launcher_close(struct launcher *self);

/* Kill and reap every descendant of this process (after the launcher died). */
void launcher_bury(void);

/* Entry points of the other processes of the same program. */
int launcher_main(int link_fd, const struct launcher_options *options);
int zygote_main(int link_fd, const char *plugin, const struct launcher_options *options);

#endif
