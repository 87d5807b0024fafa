/* The session's end of the launcher, and the way into the inner processes. */
#include "worker/launcher.h"

#include "common/assert.h"
#include "common/clock.h"
#include "worker/host.h"
#include "worker/launcher_process.h"
#include "worker/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURY_MS 5000

extern char **environ;

/* ---- the session's end ---------------------------------------------------------------------- */

static int spawn_launcher(pid_t *pid, int fd, const struct launcher_options *options)
{
    const char *program = options->program != NULL ? options->program : "/proc/self/exe";
    char *argv[] = { program_invocation_name, (char[]){ "--launcher" },
                     options->test_handlers ? (char[]){ "--test-handlers" } : NULL, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    int failure;

    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        tri_out_of_memory();
    if (posix_spawnattr_init(&attributes) != 0)
        tri_out_of_memory();
    /* Its signals are blocked from its first instruction: it has no handlers. */
    posix_spawnattr_setsigmask(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    posix_spawn_file_actions_adddup2(&actions, fd, LAUNCHER_LINK_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, LAUNCHER_LINK_FD + 1);
    failure = posix_spawn(pid, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

enum tri_status launcher_open(struct launcher *self,
                              const struct launcher_options *options,
                              struct tri_error *error)
{
    enum tri_status status;
    int failure;
    int fds[2];

    *self = (struct launcher){ .link = { .fd = -1 }, .pid = 0 };
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return tri_fail(error, TRI_SYSTEM, "PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
    status = link_pair(fds, error);
    if (status != TRI_OK)
        return status;
    failure = spawn_launcher(&self->pid, fds[1], options);
    close(fds[1]);
    if (failure != 0) {
        close(fds[0]);
        self->pid = 0;
        return tri_fail(error, TRI_SYSTEM, "cannot start the launcher: %s", strerror(failure));
    }
    link_init(&self->link, fds[0]);
    return TRI_OK;
}

enum tri_status launcher_start_host(struct launcher *self,
                                    uint64_t host,
                                    bool spawn,
                                    struct tri_bytes plugin,
                                    int link_fd,
                                    int table_fd,
                                    struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_HOST_START,
                                   .host_start = {
                                       .host = host, .spawn = spawn, .plugin = plugin } };

    return link_post(&self->link, &message, NULL, 0, (int[]){ link_fd, table_fd }, 2, error);
}

enum tri_status launcher_kill_host(struct launcher *self,
                                   uint64_t host,
                                   int signal,
                                   struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_HOST_KILL,
                                   .host_kill = { .host = host, .signal = (uint64_t)signal } };

    return link_post(&self->link, &message, NULL, 0, NULL, 0, error);
}

void launcher_close(struct launcher *self)
{
    if (self->pid == 0)
        return;
    kill(self->pid, SIGKILL);
    launcher_bury();
    link_deinit(&self->link);
    self->pid = 0;
}

/* Wait for the end of a child of ours, which stays to be reaped. */
static void await(pid_t pid, tri_time until)
{
    tri_time now = tri_clock_now_ms();
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0)
        return;
    poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, until > now ? (int)(until - now) : 0);
    close(fd);
}

void launcher_bury(void)
{
    tri_time until = tri_clock_now_ms() + BURY_MS;

    do {
        pid_t target = 0;
        pid_t *pids;
        pid_t pid;
        size_t count;

        do {
            pid = waitpid(-1, NULL, WNOHANG);
        } while (pid > 0 || (pid < 0 && errno == EINTR));
        if (pid < 0)
            return;
        count = launcher_children_all(&pids);
        for (size_t i = 0; i < count; i++)
            if (kill(pids[i], SIGKILL) == 0)
                target = pids[i];
        free(pids);
        if (target == 0 && count > 0)
            return; /* what is left is another user's */
        if (target != 0)
            await(target, until);
    } while (tri_clock_now_ms() < until);
}

/* ---- the inner processes -------------------------------------------------------------------- */

/* Ignored signals are inherited through exec; nobody below wants them ignored. */
static void restore_signals(void)
{
    struct sigaction action;

    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) != 0 || action.sa_handler != SIG_IGN)
            continue;
        action.sa_handler = SIG_DFL;
        sigaction(number, &action, NULL);
    }
}

/* A host that was spawned afresh: load the plugin here, so that a failure can be told to the
 * launcher as the reason why the host could not be started. */
static int spawned_host_main(const char *plugin, const struct launcher_options *options)
{
    struct host_setup setup = { .link_fd = LAUNCHER_LINK_FD,
                                .table_fd = LAUNCHER_TABLE_FD,
                                .command_fd = LAUNCHER_COMMAND_FD,
                                .plugin = plugin,
                                .test_handlers = options->test_handlers };
    struct tri_error error = { .status = TRI_OK };

    prctl(PR_SET_NAME, "trireme-host");
    for (int fd = LAUNCHER_LINK_FD; fd <= LAUNCHER_COMMAND_FD; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return EXIT_FAILURE;
    if (plugin[0] != '\0' && registry_load(plugin, &error) != TRI_OK) {
        struct tri_message gone = { .type = TRI_MESSAGE_HOST_GONE,
                                    .host_gone = { .status = error.status,
                                                   .text = tri_bytes_of(error.text) } };
        struct link link;

        link_init(&link, LAUNCHER_COMMAND_FD);
        link_send(&link, &gone, NULL, 0, NULL, 0, NULL);
        return EXIT_FAILURE;
    }
    return host_main(&setup);
}

void launcher_take_role(int argc, char **argv)
{
    struct launcher_options options = { .program = NULL };
    const char *role = argc > 1 ? argv[1] : "";
    bool is_launcher = strcmp(role, "--launcher") == 0;
    bool is_zygote = strcmp(role, "--zygote") == 0 && argc > 2;
    bool is_host = strcmp(role, "--host") == 0 && argc > 2;
    int status;

    if (!is_launcher && !is_zygote && !is_host)
        return;
    options.test_handlers = strcmp(argv[argc - 1], "--test-handlers") == 0;
    restore_signals();
    if (is_launcher)
        status = launcher_main(LAUNCHER_LINK_FD, &options);
    else if (is_zygote)
        status = zygote_main(LAUNCHER_LINK_FD, argv[2], &options);
    else
        status = spawned_host_main(argv[2], &options);
    /* Not exit(): threads of a host may still be in a task, and would meet destroyed statics. */
    fflush(NULL);
    _exit(status);
}
