/* A host that carries no oars: it passes RUN and STOP on, RAN back, and goes on errands (lab.h). */
#include "lab.h"

#include "worker/host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

static size_t entries(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;

    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Forked twice; the first child tells the pid of the second through a pipe. */
static pid_t leave_daemon(void)
{
    int fds[2];
    pid_t pid = 0;

    if (pipe(fds) != 0)
        return 0;
    if (fork() == 0) {
        setsid();
        pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        _exit(write(fds[1], &pid, sizeof(pid)) != sizeof(pid));
    }
    if (read(fds[0], &pid, sizeof(pid)) != sizeof(pid))
        pid = 0;
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static uint64_t go(enum lab_errand errand, const char *plugin)
{
    void *object;
    pid_t pid;

    switch (errand) {
    case LAB_DAEMON:
        return (uint64_t)leave_daemon();
    case LAB_CHILD:
        pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        return (uint64_t)pid;
    case LAB_FDS:
        return entries("/proc/self/fd") - 1; /* without the one that reads it */
    case LAB_PLUGIN:
        object = dlopen(plugin, RTLD_NOW | RTLD_NOLOAD);
        return object != NULL && dlsym(object, "lab_plugin_symbol") != NULL;
    case LAB_THREADS:
        return entries("/proc/self/task");
    }
    return 0;
}

static void on_order(const struct host_setup *setup,
                     struct link *session,
                     struct link *launcher,
                     const struct link_message *order)
{
    const struct tri_message *message = &order->message;
    struct tri_message answer = { .type = TRI_MESSAGE_HOST_UP };

    if (message->type == TRI_MESSAGE_HOST_KILL) {
        raise((int)message->host_kill.signal);
    } else if (message->type == TRI_MESSAGE_CREDIT) {
        answer.host_up.pid = go((enum lab_errand)message->credit.lease, setup->plugin);
        link_send(session, &answer, NULL, 0, NULL, 0, NULL);
    } else {
        link_send(launcher, message, order->frames, order->frame_count, NULL, 0, NULL);
    }
}

/* Pass on until `from` has nothing more; false at its end. */
static bool serve(const struct host_setup *setup,
                  struct link *from,
                  struct link *session,
                  struct link *launcher)
{
    static struct link_message message;
    enum tri_status status;

    while ((status = link_receive(from, false, &message, NULL)) == TRI_OK) {
        if (from == session)
            on_order(setup, session, launcher, &message);
        else
            link_send(session, &message.message, message.frames, message.frame_count, NULL, 0,
                      NULL);
    }
    return status == TRI_EMPTY;
}

int host_main(const struct host_setup *setup)
{
    struct link session;
    struct link launcher;

    link_init(&session, setup->link_fd);
    link_init(&launcher, setup->command_fd);
    for (;;) {
        struct pollfd polled[] = { { .fd = session.fd, .events = POLLIN },
                                   { .fd = launcher.fd, .events = POLLIN } };

        if (poll(polled, 2, -1) < 0)
            return 1;
        if (polled[0].revents != 0 && !serve(setup, &session, &session, &launcher))
            return 0;
        if (polled[1].revents != 0 && !serve(setup, &launcher, &session, &launcher))
            return 2;
    }
}
