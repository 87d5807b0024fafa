#include "client/cli/private.h"

#include "common/clock.h"
#include "common/net/socket.h"
#include "common/types.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 30000

extern char **environ;

/* The program beside this one, else as found in PATH. */
static void program_path(const char *name, char path[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash;

    path[length > 0 ? length : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash != NULL && (size_t)(slash + 1 - path) + strlen(name) < PATH_MAX) {
        strcpy(slash + 1, name);
        if (access(path, X_OK) == 0)
            return;
    }
    strcpy(path, name);
}

/* Start `argv` in a process group of its own, so that Ctrl-C reaches only this program; `fds`
 * become 3, 4, ... in the child. Returns the pid or -1 after printing why. */
static pid_t start(const char *const argv[], const int *fds, int count)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    char program[PATH_MAX];
    pid_t pid = -1;
    int rc;

    program_path(argv[0], program);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    for (int i = 0; i < count; i++)
        posix_spawn_file_actions_adddup2(&actions, fds[i], 3 + i);
    /* The words are only read. */
    rc =
        posix_spawnp(&pid, program, &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (rc == 0)
        return pid;
    cli_error("cannot start %s: %s", program, strerror(rc));
    return -1;
}

/* A pipe whose ends are both above the descriptors that children get, close-on-exec. */
static bool high_pipe(int ends[2])
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) != 0) {
        cli_error("cannot make a pipe: %s", strerror(errno));
        return false;
    }
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 16);
        close(low[i]);
    }
    if (ends[0] >= 0 && ends[1] >= 0)
        return true;
    cli_error("cannot make a pipe: %s", strerror(errno));
    return false;
}

/* Wait for the broker's line `listening ENDPOINT`. */
static bool wait_ready(struct private *self, int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    char line[256];

    if (poll(&ready, 1, START_MS) == 1 && read(fd, line, sizeof(line)) > 0)
        return true;
    (void)self;
    cli_error("the private broker did not start (its reason is above)");
    return false;
}

/* A message carries twice the output that a task may have. */
static bool start_broker(struct private *self, const struct cli *cli, int lifeline)
{
    int ready[2];
    int fds[2];
    bool ok;
    const char *max_message = 2 * cli->output_bytes_max > TRI_MESSAGE_BYTES_MAX ? "128M" : "64M";
    const char *argv[] = { "trireme-broker",
                           "--listen",
                           self->endpoint,
                           "--store",
                           "memory",
                           "--name",
                           "private",
                           "--private",
                           "3",
                           "--ready-fd",
                           "4",
                           "--max-message",
                           max_message,
                           "--log-level",
                           "error",
                           NULL };

    if (!high_pipe(ready))
        return false;
    fds[0] = lifeline;
    fds[1] = ready[1];
    self->broker = start(argv, fds, 2);
    close(ready[1]);
    ok = self->broker > 0 && wait_ready(self, ready[0]);
    close(ready[0]);
    return ok;
}

static bool start_worker(struct private *self, const struct cli *cli, int lifeline)
{
    const char *argv[16] = { "trireme-worker", "--broker", self->endpoint, "--name", "local",
                             "--private",      "3",        "--log-level",  "warn" };
    size_t count = 9;

    if (cli->test_handlers)
        argv[count++] = "--test-handlers";
    if (cli->plugin != NULL) {
        argv[count++] = "--plugin";
        argv[count++] = cli->plugin;
    }
    argv[count] = NULL;
    self->worker = start(argv, &lifeline, 1);
    return self->worker > 0;
}

bool private_open(struct private *self, const struct cli *cli)
{
    const char *base = getenv("TMPDIR");
    int ends[2];

    *self = (struct private){ .lifeline = -1 };
    /* An ipc path has room for 107 bytes. */
    if (base == NULL || base[0] != '/' || strlen(base) > 40)
        base = "/tmp";
    snprintf(self->directory, sizeof(self->directory), "%s/trireme-XXXXXX", base);
    if (mkdtemp(self->directory) == NULL) {
        cli_error("cannot make a directory in %s: %s", base, strerror(errno));
        return false;
    }
    snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/broker", self->directory);
    if (!high_pipe(ends)) {
        rmdir(self->directory);
        return false;
    }
    self->lifeline = ends[1];
    if (start_broker(self, cli, ends[0]) && start_worker(self, cli, ends[0])) {
        close(ends[0]);
        return true;
    }
    close(ends[0]);
    private_close(self);
    return false;
}

int private_wait_worker(struct private *self, struct tri_client *client)
{
    tri_time deadline = tri_clock_now_ms() + START_MS;
    struct tri_error error;
    char *json = NULL;
    int status;

    while (tri_clock_now_ms() < deadline) {
        bool joined;

        if (tri_client_workers(client, &json, &error) != TRI_OK) {
            cli_error("%s", error.text);
            return CLI_INTERNAL;
        }
        joined = strstr(json, "\"instance\"") != NULL;
        free(json);
        if (joined)
            return CLI_OK;
        if (waitpid(self->worker, &status, WNOHANG) == self->worker) {
            self->worker = -1;
            cli_error("the private worker did not start (its reason is above)");
            return WIFEXITED(status) && WEXITSTATUS(status) == CLI_USAGE ? CLI_USAGE : CLI_INTERNAL;
        }
        tri_client_process(client, 2, NULL);
    }
    cli_error("the private worker did not join within %d s", START_MS / 1000);
    return CLI_INTERNAL;
}

static bool runs(pid_t *pid, const char *name)
{
    int status;

    if (*pid <= 0 || waitpid(*pid, &status, WNOHANG) != *pid)
        return true;
    *pid = -1;
    cli_error("the private %s was ended %s %d: the batch is lost", name,
              WIFSIGNALED(status) ? "by signal" : "with status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

bool private_is_well(struct private *self)
{
    return runs(&self->worker, "worker") && runs(&self->broker, "broker");
}

void private_close(struct private *self)
{
    char path[128];

    if (self->lifeline >= 0)
        close(self->lifeline);
    self->lifeline = -1;
    if (self->worker > 0)
        waitpid(self->worker, NULL, 0);
    if (self->broker > 0)
        waitpid(self->broker, NULL, 0);
    self->worker = self->broker = 0;
    /* The broker removes these; they are still here only if it never ran or was killed. */
    snprintf(path, sizeof(path), "%s/broker", self->directory);
    unlink(path);
    rmdir(self->directory);
}
