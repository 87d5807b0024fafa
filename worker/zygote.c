/* zygote.c - the process that hosts are forked from.
 *
 * It has loaded the plugin and nothing else, and no thread ever runs in it, so a plain fork gives a
 * sound host. It is its hosts' parent: it reaps them and tells the launcher how they ended. They
 * die with it (PR_SET_PDEATHSIG).
 *
 * On its link: HOST_START with three descriptors (link, table, command link) and the host's
 * TRIREME_TREE in `plugin`, HOST_KILL; HOST_UP, HOST_GONE. A plugin that cannot be loaded answers
 * each HOST_START by its status and text; one that starts threads while it is loaded by
 * UNSUPPORTED: the launcher then spawns that host. */
#include "common/assert.h"
#include "worker/host.h"
#include "worker/launcher_parts.h"
#include "worker/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct zygote_state {
    struct link link;
    int signal_fd;
    const char *plugin;
    const struct launcher_options *options;
    struct tri_error failure; /* of loading the plugin */
    struct tri_map by_pid;    /* of pid: a host's number + 1 */
    struct tri_map by_host;   /* the other way round */
    struct link_message message;
};

static size_t thread_count(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;

    if (tasks == NULL)
        return 0;
    while ((entry = readdir(tasks)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void load_plugin(struct zygote_state *self)
{
    size_t threads = thread_count();

    if (self->plugin[0] == '\0' || registry_load(self->plugin, &self->failure) != TRI_OK)
        return;
    if (thread_count() > threads)
        tri_fail(&self->failure, TRI_UNSUPPORTED, "%s starts threads while it is loaded",
                 self->plugin);
}

static void send_gone(struct zygote_state *self,
                      uint64_t host,
                      int wait_status,
                      const struct tri_error *failure)
{
    struct tri_message message = { .type = TRI_MESSAGE_HOST_GONE,
                                   .host_gone = { .host = host,
                                                  .wait_status = (uint32_t)wait_status } };

    if (failure != NULL) {
        message.host_gone.status = failure->status;
        message.host_gone.text = tri_bytes_of(failure->text);
    }
    link_send(&self->link, &message, NULL, 0, NULL, 0, NULL);
}

/* Descriptor `from` becomes `to`, close-on-exec. */
static void move_fd(int from, int to)
{
    if (from == to)
        return;
    if (dup3(from, to, O_CLOEXEC) < 0)
        _exit(EXIT_FAILURE);
    if (from > LAUNCHER_COMMAND_FD)
        close(from);
}

/* The new host's own TRIREME_TREE, written over the zygote's where the kernel shows it
 * (/proc/PID/environ): what the host forks, and does not exec, is then known by it too. */
static void take_tag(const char *tag)
{
    const char *value = strchr(tag, '=');
    char *inherited = getenv(LAUNCHER_TREE_VARIABLE);

    if (value == NULL)
        return;
    if (inherited != NULL && strlen(inherited) == strlen(value + 1))
        memcpy(inherited, value + 1, strlen(inherited));
    else
        setenv(LAUNCHER_TREE_VARIABLE, value + 1, 1);
}

/* In the new host. The three descriptors came later than the zygote's own two (3 and 4), so each
 * is moved before its number is taken by another. */
static _Noreturn void be_host(struct zygote_state *self,
                              pid_t zygote,
                              const char *tag,
                              const int fds[3])
{
    struct host_setup setup = { .link_fd = LAUNCHER_LINK_FD,
                                .table_fd = LAUNCHER_TABLE_FD,
                                .command_fd = LAUNCHER_COMMAND_FD,
                                .plugin = self->plugin,
                                .test_handlers = self->options->test_handlers };
    sigset_t none;
    int status;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "trireme-host");
    if (getppid() != zygote)
        kill(getpid(), SIGKILL); /* it died before the line above */
    setpgid(0, 0);
    move_fd(fds[0], LAUNCHER_LINK_FD);
    move_fd(fds[1], LAUNCHER_TABLE_FD);
    move_fd(fds[2], LAUNCHER_COMMAND_FD);
    take_tag(tag);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    status = host_main(&setup);
    fflush(NULL);
    _exit(status);
}

static void fork_host(struct zygote_state *self,
                      uint64_t host,
                      struct tri_bytes tree,
                      const int fds[3])
{
    struct tri_message up = { .type = TRI_MESSAGE_HOST_UP, .host_up = { .host = host } };
    struct tri_error failure;
    char *tag = strndup((const char *)tree.data, tree.size);
    pid_t zygote = getpid();
    pid_t pid;

    if (tag == NULL)
        tri_out_of_memory();
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        be_host(self, zygote, tag, fds);
    free(tag);
    if (pid < 0) {
        tri_fail(&failure, TRI_SYSTEM, "cannot fork a host: %s", strerror(errno));
        send_gone(self, host, 0, &failure);
        return;
    }
    setpgid(pid, pid); /* by both: whoever is first */
    tri_map_put(&self->by_pid, (uint64_t)pid, (void *)(uintptr_t)(host + 1));
    tri_map_put(&self->by_host, host, (void *)(uintptr_t)pid);
    up.host_up.pid = (uint64_t)pid;
    link_send(&self->link, &up, NULL, 0, NULL, 0, NULL);
}

static void on_start(struct zygote_state *self)
{
    const struct tri_msg_host_start *start = &self->message.message.host_start;

    if (self->failure.status != TRI_OK)
        send_gone(self, start->host, 0, &self->failure);
    else if (self->link.fd_count == 3)
        fork_host(self, start->host, start->plugin, self->link.fds);
    for (size_t i = 0; i < self->link.fd_count; i++)
        close(self->link.fds[i]);
}

static void on_kill(struct zygote_state *self)
{
    const struct tri_msg_host_kill *order = &self->message.message.host_kill;
    pid_t pid = (pid_t)(uintptr_t)tri_map_find(&self->by_host, order->host);

    if (pid > 0)
        kill(pid, (int)order->signal);
}

static void reap(struct zygote_state *self)
{
    struct signalfd_siginfo info[4];
    ssize_t size = read(self->signal_fd, info, sizeof(info));
    pid_t pid;
    int status;

    if (size < 0)
        return;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        uint64_t host = (uintptr_t)tri_map_remove(&self->by_pid, (uint64_t)pid);

        if (host == 0)
            continue;
        tri_map_remove(&self->by_host, host - 1);
        send_gone(self, host - 1, status, NULL);
    }
}

/* False at the end of the link. */
static bool receive(struct zygote_state *self)
{
    for (;;) {
        enum tri_status status = link_receive(&self->link, false, &self->message, NULL);

        if (status == TRI_EMPTY)
            return true;
        if (status != TRI_OK)
            return false;
        if (self->message.message.type == TRI_MESSAGE_HOST_START)
            on_start(self);
        else if (self->message.message.type == TRI_MESSAGE_HOST_KILL)
            on_kill(self);
    }
}

int zygote_main(int link_fd, const char *plugin, const struct launcher_options *options)
{
    struct zygote_state self = { .plugin = plugin, .options = options };
    sigset_t all;

    prctl(PR_SET_NAME, "trireme-zygote");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    link_init(&self.link, link_fd);
    fcntl(link_fd, F_SETFD, FD_CLOEXEC);
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    self.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.signal_fd < 0)
        return EXIT_FAILURE;
    load_plugin(&self);
    for (;;) {
        struct pollfd polled[] = { { .fd = self.signal_fd, .events = POLLIN },
                                   { .fd = self.link.fd, .events = POLLIN } };

        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (polled[0].revents != 0)
            reap(&self);
        if (polled[1].revents != 0 && !receive(&self))
            return EXIT_SUCCESS; /* the hosts go with us */
    }
}
