/* Zygotes and hosts.
 *
 * A forked host is its zygote's child: the zygote reports its end. When the zygote dies, its hosts
 * are killed by the kernel and become the launcher's children, which reaps them itself. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- zygotes -------------------------------------------------------------------------------- */

static struct zygote *zygote_find(const struct launcher_state *self, const char *plugin)
{
    tri_dlist_foreach(&self->zygotes, node)
    {
        struct zygote *zygote = tri_container_of(node, struct zygote, node);

        if (strcmp(zygote->plugin, plugin) == 0)
            return zygote;
    }
    return NULL;
}

static struct zygote *zygote_start(struct launcher_state *self,
                                   const char *plugin,
                                   struct tri_error *error)
{
    struct zygote *zygote = tri_alloc(1, sizeof(*zygote));
    int fds[2];
    pid_t pid = 0;

    launcher_tree_start(self, &zygote->tree, TREE_ZYGOTE);
    zygote->channel.watch.fd = -1;
    zygote->plugin = strdup(plugin);
    if (zygote->plugin == NULL)
        tri_out_of_memory();
    if (link_pair(fds, error) == TRI_OK) {
        pid = launcher_spawn_role(self, &zygote->tree, "--zygote", plugin, &fds[1], 1, error);
        close(fds[1]);
        launcher_channel_open(self, &zygote->channel, fds[0], WATCH_ZYGOTE, zygote);
    }
    if (pid == 0) {
        launcher_tree_end(self, &zygote->tree); /* the sweep frees it */
        return NULL;
    }
    launcher_tree_up(self, &zygote->tree, pid);
    tri_dlist_push_back(&self->zygotes, &zygote->node);
    return zygote;
}

/* Ask no new hosts of it. */
static void zygote_retire(struct launcher_state *self, struct zygote *zygote)
{
    if (tri_dlist_is_linked(&zygote->node))
        tri_dlist_remove(&self->zygotes, &zygote->node);
}

/* A zygote without hosts that gets no new ones ends with its link. */
static void zygote_leave(struct launcher_state *self, struct host *host)
{
    struct zygote *zygote = host->zygote;

    if (zygote == NULL)
        return;
    host->zygote = NULL;
    zygote->host_count--;
    if (zygote->host_count == 0 && (zygote->spawn_only || !tri_dlist_is_linked(&zygote->node)))
        launcher_channel_close(self, &zygote->channel);
}

/* ---- starting ------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_fds(struct host *host)
{
    close_fd(&host->link_fd);
    close_fd(&host->table_fd);
    close_fd(&host->command_fd);
}

static void say_up(struct launcher_state *self, struct host *host)
{
    struct tri_message message = { .type = TRI_MESSAGE_HOST_UP,
                                   .host_up = { .host = host->id,
                                                .pid = (uint64_t)host->tree.pid } };

    close_fds(host);
    launcher_channel_post(self, &self->session, &message, NULL, 0, NULL, 0);
}

static void spawn_host(struct launcher_state *self, struct host *host)
{
    int fds[] = { host->link_fd, host->table_fd, host->command_fd };
    pid_t pid =
        launcher_spawn_role(self, &host->tree, "--host", host->plugin, fds, 3, &host->failure);

    if (pid == 0) {
        launcher_host_ended(self, host, 0);
        return;
    }
    launcher_tree_up(self, &host->tree, pid);
    say_up(self, host);
}

static void fork_host(struct launcher_state *self, struct host *host)
{
    struct zygote *zygote = zygote_find(self, host->plugin);
    struct tri_message message = { .type = TRI_MESSAGE_HOST_START,
                                   .host_start = { .host = host->id } };
    int fds[] = { host->link_fd, host->table_fd, host->command_fd };
    char tag[320];

    if (zygote != NULL && zygote->spawn_only) {
        spawn_host(self, host);
        return;
    }
    if (zygote == NULL)
        zygote = zygote_start(self, host->plugin, &host->failure);
    if (zygote == NULL) {
        launcher_host_ended(self, host, 0);
        return;
    }
    host->zygote = zygote;
    zygote->host_count++;
    launcher_tree_tag(self, &host->tree, tag);
    message.host_start.plugin = tri_bytes_of(tag);
    launcher_channel_post(self, &zygote->channel, &message, NULL, 0, fds, 3);
}

static struct host *host_new(struct launcher_state *self,
                             const struct tri_msg_host_start *start,
                             int link_fd,
                             int table_fd)
{
    struct host *host = tri_alloc(1, sizeof(*host));

    host->id = start->host;
    host->link_fd = link_fd;
    host->table_fd = table_fd;
    host->command_fd = -1;
    host->channel.watch.fd = -1;
    host->plugin = strndup((const char *)start->plugin.data, start->plugin.size);
    if (host->plugin == NULL)
        tri_out_of_memory();
    tri_map_init(&host->commands);
    launcher_tree_start(self, &host->tree, TREE_HOST);
    tri_map_put(&self->hosts, host->id, host);
    return host;
}

void launcher_host_start(struct launcher_state *self,
                         const struct tri_msg_host_start *start,
                         int link_fd,
                         int table_fd)
{
    struct host *host = host_new(self, start, link_fd, table_fd);
    int fds[2];

    if (link_pair(fds, &host->failure) != TRI_OK) {
        launcher_host_ended(self, host, 0);
        return;
    }
    host->command_fd = fds[1];
    launcher_channel_open(self, &host->channel, fds[0], WATCH_HOST, host);
    if (start->spawn != 0)
        spawn_host(self, host);
    else
        fork_host(self, host);
}

void launcher_host_kill(struct launcher_state *self, const struct tri_msg_host_kill *order)
{
    struct host *host = tri_map_find(&self->hosts, order->host);
    struct tri_message message = { .type = TRI_MESSAGE_HOST_KILL, .host_kill = *order };

    if (host == NULL || host->tree.ended)
        return;
    if (host->zygote != NULL) /* which reaps it, and so knows whether its pid is still its own */
        launcher_channel_post(self, &host->zygote->channel, &message, NULL, 0, NULL, 0);
    else if (host->tree.pid != 0)
        kill(host->tree.pid, (int)order->signal);
}

/* ---- the command link ----------------------------------------------------------------------- */

static void kill_commands(struct host *host)
{
    uint64_t id;
    void *command;

    for (size_t at = 0; tri_map_next(&host->commands, &at, &id, &command);)
        launcher_command_kill(command);
}

/* A host that was spawned could not load its plugin, and says why before it ends. */
static void on_failure(struct host *host, const struct tri_msg_host_gone *gone)
{
    tri_fail(&host->failure, (enum tri_status)gone->status, "%.*s", (int)gone->text.size,
             (const char *)gone->text.data);
}

static void on_message(struct launcher_state *self, struct host *host)
{
    const struct tri_message *message = &self->message.message;

    for (size_t i = 0; i < host->channel.link.fd_count; i++)
        close(host->channel.link.fds[i]);
    if (message->type == TRI_MESSAGE_HOST_GONE)
        on_failure(host, &message->host_gone);
    else if (message->type == TRI_MESSAGE_RUN && !host->tree.ended)
        launcher_command_run(self, host, &self->message);
    else if (message->type == TRI_MESSAGE_STOP)
        launcher_command_stop(self, host, &message->stop);
}

static void receive_all(struct launcher_state *self, struct host *host)
{
    enum tri_status status;

    do {
        status = link_receive(&host->channel.link, false, &self->message, NULL);
        if (status == TRI_OK)
            on_message(self, host);
        if (link_is_drained(&host->channel.link) && !host->tree.ended)
            return;
    } while (status == TRI_OK);
    if (status == TRI_EMPTY)
        return;
    /* The host is gone, or about to be, or out of its mind. */
    launcher_channel_close(self, &host->channel);
    kill_commands(host);
}

void launcher_host_event(struct launcher_state *self, struct host *host, uint32_t events)
{
    if ((events & EPOLLOUT) != 0)
        launcher_channel_flush(self, &host->channel);
    if (host->channel.watch.fd >= 0)
        receive_all(self, host);
}

/* ---- the end -------------------------------------------------------------------------------- */

void launcher_host_ended(struct launcher_state *self, struct host *host, int wait_status)
{
    launcher_tree_end(self, &host->tree);
    host->wait_status = wait_status;
    close_fds(host);
    if (host->channel.watch.fd >= 0)
        receive_all(self, host); /* its last words */
    launcher_channel_close(self, &host->channel);
    kill_commands(host);
}

void launcher_host_report(struct launcher_state *self, struct host *host)
{
    struct tri_message message = { .type = TRI_MESSAGE_HOST_GONE,
                                   .host_gone = { .host = host->id,
                                                  .wait_status = (uint32_t)host->wait_status,
                                                  .status = host->failure.status,
                                                  .text = tri_bytes_of(host->failure.text) } };

    if (host->commands.count > 0)
        return;
    zygote_leave(self, host);
    launcher_channel_post(self, &self->session, &message, NULL, 0, NULL, 0);
    tri_map_remove(&self->hosts, host->id);
    launcher_tree_forget(self, &host->tree);
    tri_map_deinit(&host->commands);
    free(host->plugin);
    launcher_free_later(self, host);
}

/* ---- what zygotes say ----------------------------------------------------------------------- */

static void on_up(struct launcher_state *self, struct zygote *zygote)
{
    const struct tri_msg_host_up *up = &self->message.message.host_up;
    struct host *host = tri_map_find(&self->hosts, up->host);

    zygote->loaded = true;
    if (host == NULL || host->tree.ended || host->zygote != zygote)
        return;
    launcher_tree_up(self, &host->tree, (pid_t)up->pid);
    say_up(self, host);
}

static void on_gone(struct launcher_state *self, struct zygote *zygote)
{
    const struct tri_msg_host_gone *gone = &self->message.message.host_gone;
    struct host *host = tri_map_find(&self->hosts, gone->host);

    if (host == NULL || host->tree.ended || host->zygote != zygote)
        return;
    if (gone->status == TRI_UNSUPPORTED) {
        zygote->spawn_only = true;
        zygote_leave(self, host);
        spawn_host(self, host);
        return;
    }
    if (gone->status != TRI_OK) {
        on_failure(host, gone);
        if (!zygote->loaded)
            zygote_retire(self, zygote); /* the file may be mended: ask a new one next time */
    }
    launcher_host_ended(self, host, (int)gone->wait_status);
}

static enum tri_status zygote_receive_all(struct launcher_state *self, struct zygote *zygote)
{
    enum tri_status status;

    if (zygote->channel.watch.fd < 0)
        return TRI_CLOSED;
    do {
        status = link_receive(&zygote->channel.link, false, &self->message, NULL);
        if (status == TRI_OK && self->message.message.type == TRI_MESSAGE_HOST_UP)
            on_up(self, zygote);
        else if (status == TRI_OK && self->message.message.type == TRI_MESSAGE_HOST_GONE)
            on_gone(self, zygote);
    } while (status == TRI_OK && zygote->channel.watch.fd >= 0);
    return status;
}

void launcher_zygote_event(struct launcher_state *self, struct zygote *zygote, uint32_t events)
{
    if ((events & EPOLLOUT) != 0)
        launcher_channel_flush(self, &zygote->channel);
    if (zygote_receive_all(self, zygote) == TRI_EMPTY)
        return;
    zygote_retire(self, zygote);
    if (!zygote->tree.ended && !zygote->spawn_only)
        kill(zygote->tree.pid, SIGKILL);
    launcher_channel_close(self, &zygote->channel);
}

static bool is_child(pid_t pid)
{
    struct process_stat stat;

    return launcher_process_stat(pid, &stat) && stat.parent == getpid();
}

/* A host whose zygote has died without a word about it: one that is our child now will be reaped
 * by us; another has been reaped already, or was never forked. */
static void orphan(struct launcher_state *self,
                   struct zygote *zygote,
                   struct host *host,
                   int wait_status)
{
    bool was_up = host->tree.pid != 0;

    zygote_leave(self, host);
    if (was_up && is_child(host->tree.pid))
        return;
    if (!was_up && !zygote->loaded && host->plugin[0] != '\0' && WIFSIGNALED(wait_status))
        tri_fail(&host->failure, TRI_CRASHED, "loading %.300s ended the process: %s", host->plugin,
                 strsignal(WTERMSIG(wait_status)));
    else if (!was_up && !zygote->loaded && host->plugin[0] != '\0')
        tri_fail(&host->failure, TRI_CRASHED, "loading %.300s ended the process: exit status %d",
                 host->plugin, WEXITSTATUS(wait_status));
    launcher_host_ended(self, host, W_EXITCODE(0, SIGKILL));
}

void launcher_zygote_ended(struct launcher_state *self, struct zygote *zygote, int wait_status)
{
    uint64_t id;
    void *host;

    launcher_tree_end(self, &zygote->tree);
    zygote_receive_all(self, zygote);
    if (!zygote->spawn_only)
        zygote_retire(self, zygote);
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &id, &host);)
        if (((struct host *)host)->zygote == zygote && !((struct host *)host)->tree.ended)
            orphan(self, zygote, host, wait_status);
    launcher_channel_close(self, &zygote->channel);
}

void launcher_zygote_report(struct launcher_state *self, struct zygote *zygote)
{
    launcher_tree_forget(self, &zygote->tree);
    if (zygote->spawn_only)
        return; /* remembered, so that the next host is spawned at once */
    free(zygote->plugin);
    launcher_free_later(self, zygote);
}
