/* Hosts as the shell sees them: a link, a table, a number; and the launcher that has them. */
#include "worker/shell_state.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- epoll ---------------------------------------------------------------------------------- */

static void watch(struct shell *self, int operation, int fd, uint64_t what, bool out)
{
    struct epoll_event event = { .events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.u64 = what };

    tri_assert(epoll_ctl(self->epoll_fd, operation, fd, &event) == 0);
}

static void tend(struct shell *self, struct shell_host *host)
{
    bool wants_out = link_pending(&host->link) != 0;

    if (wants_out == host->wants_out)
        return;
    host->wants_out = wants_out;
    watch(self, EPOLL_CTL_MOD, host->link.fd, host->id, wants_out);
}

void shell_tend_launcher(struct shell *self)
{
    bool wants_out = link_pending(&self->launcher.link) != 0;

    if (self->launcher_failed || wants_out == self->launcher_wants_out)
        return;
    self->launcher_wants_out = wants_out;
    watch(self, EPOLL_CTL_MOD, self->launcher.link.fd, SHELL_WATCH_LAUNCHER, wants_out);
}

/* ---- the life of a host --------------------------------------------------------------------- */

static struct shell_host *host_find(struct shell *self, uint64_t id)
{
    return tri_map_find(&self->hosts, id);
}

static void close_link(struct shell *self, struct shell_host *host)
{
    if (host->link.fd < 0)
        return;
    epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, host->link.fd, NULL);
    link_deinit(&host->link);
    host->link.fd = -1;
}

static void host_free(struct shell *self, struct shell_host *host)
{
    close_link(self, host);
    if (host->table != NULL)
        munmap(host->table, host->table_bytes);
    tri_map_remove(&self->hosts, host->id);
    free(host);
}

void shell_host_forget(struct shell *self, uint64_t id)
{
    struct shell_host *host = host_find(self, id);

    if (host != NULL)
        host_free(self, host);
}

/* The table, and the descriptor that the host maps it by. */
static enum tri_status open_table(struct shell_host *host, int *fd, struct tri_error *error)
{
    host->table_bytes = sizeof(*host->table) + host->width * sizeof(host->table->slots[0]);
    *fd = memfd_create("trireme-host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return tri_fail(error, TRI_SYSTEM, "memfd_create: %s", strerror(errno));
    if (ftruncate(*fd, (off_t)host->table_bytes) != 0
        || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        enum tri_status status =
            tri_fail(error, TRI_SYSTEM, "a table for a host: %s", strerror(errno));

        close(*fd);
        return status;
    }
    host->table = mmap(NULL, host->table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (host->table == MAP_FAILED) {
        host->table = NULL;
        close(*fd);
        return tri_fail(error, TRI_SYSTEM, "mmap of a host's table: %s", strerror(errno));
    }
    host->table->version = 1;
    host->table->width = host->width;
    host->table->culprit = -1;
    host->table->running = -1;
    return TRI_OK;
}

static enum tri_status start(struct shell *self,
                             struct shell_host *host,
                             const struct session_effect *effect,
                             struct tri_error *error)
{
    enum tri_status status;
    int table_fd;
    int fds[2];

    status = open_table(host, &table_fd, error);
    if (status != TRI_OK)
        return status;
    status = link_pair(fds, error);
    if (status != TRI_OK) {
        close(table_fd);
        return status;
    }
    link_init(&host->link, fds[0]);
    watch(self, EPOLL_CTL_ADD, fds[0], host->id, false);
    status = launcher_start_host(&self->launcher, host->id, effect->spawn, effect->plugin, fds[1],
                                 table_fd, error);
    close(fds[1]);
    close(table_fd);
    return status;
}

static void note_failure(struct shell *self, uint64_t host, const struct tri_error *error)
{
    if (self->failure_count == self->failure_capacity) {
        self->failure_capacity = self->failure_capacity * 2 + 8;
        self->failures =
            tri_realloc(self->failures, self->failure_capacity, sizeof(*self->failures));
    }
    self->failures[self->failure_count++] = (struct shell_failure){ host, *error };
}

void shell_host_start(struct shell *self, const struct session_effect *effect)
{
    struct shell_host *host = tri_alloc(1, sizeof(*host));
    struct tri_error error;

    host->id = effect->host;
    host->width = (uint32_t)effect->width;
    host->model = effect->model;
    host->timeout_ms = effect->timeout_ms;
    host->link.fd = -1;
    host->closed_at = TRI_NEVER;
    tri_map_put(&self->hosts, host->id, host);
    if (start(self, host, effect, &error) != TRI_OK)
        note_failure(self, host->id, &error);
    shell_tend_launcher(self);
    if (host->timeout_ms != 0 && self->watch_at == TRI_NEVER)
        self->watch_at = tri_clock_now_ms();
}

void shell_host_send(struct shell *self, const struct session_effect *effect)
{
    struct shell_host *host = host_find(self, effect->host);
    struct tri_bytes frames[LINK_PARTS_MAX];
    struct tri_error error;

    if (host == NULL || host->link.fd < 0)
        return;
    tri_assert(effect->frame_count < LINK_PARTS_MAX);
    for (size_t i = 0; i < effect->frame_count; i++)
        frames[i] = effect->frames[i]->bytes;
    if (link_post(&host->link, effect->message, frames, effect->frame_count, NULL, 0, &error)
        == TRI_TOO_LARGE)
        note_failure(self, host->id, &error);
    /* A closed link means a dead host: HOST_GONE says so, and who was to blame. */
    tend(self, host);
}

void shell_host_kill(struct shell *self, const struct session_effect *effect)
{
    struct tri_error error;

    if (!self->launcher_failed)
        launcher_kill_host(&self->launcher, effect->host, effect->signal, &error);
    shell_tend_launcher(self);
}

void shell_host_end(struct shell *self, uint64_t id)
{
    const struct tri_message bye = { .type = TRI_MESSAGE_BYE };
    struct shell_host *host = host_find(self, id);
    struct tri_error error;

    if (host == NULL || host->link.fd < 0)
        return;
    link_post(&host->link, &bye, NULL, 0, NULL, 0, &error);
    close_link(self, host);
}

void shell_hosts_close(struct shell *self)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);)
        host_free(self, value);
}

/* ---- what hosts say ------------------------------------------------------------------------- */

static void deliver(struct shell *self, struct shell_host *host)
{
    struct link_message *received = &self->received;
    struct session_event event = {
        .type = SESSION_HOST_MESSAGE,
        .host = host->id,
        .message = &received->message,
        .frame_count = received->frame_count,
    };

    event.frames = shell_frames(self, event.frame_count);
    for (size_t i = 0; i < event.frame_count; i++)
        self->frames[i] = tri_frame_copy(received->frames[i]);
    shell_apply(self, &event);
    shell_release_frames(self, event.frame_count);
}

/* Everything that is there. The host may be ended, or freed, by what it said. */
static void receive(struct shell *self, uint64_t id)
{
    struct tri_error error = { .status = TRI_OK };
    enum tri_status status = TRI_OK;
    struct shell_host *host;
    bool drained = false;

    while (!drained && !self->exiting && (host = host_find(self, id)) != NULL
           && host->link.fd >= 0) {
        status = link_receive(&host->link, false, &self->received, &error);
        if (status != TRI_OK)
            break;
        drained = link_is_drained(&host->link);
        deliver(self, host);
    }
    host = host_find(self, id);
    if (status == TRI_OK || status == TRI_EMPTY || host == NULL || host->link.fd < 0)
        return;
    close_link(self, host);
    host->closed_at = tri_clock_now_ms();
    if (self->watch_at > host->closed_at)
        self->watch_at = host->closed_at;
    if (status != TRI_CLOSED)
        shell_apply(self, &(struct session_event){
                              .type = SESSION_HOST_BROKEN, .host = id, .text = error.text });
}

void shell_host_ready(struct shell *self, uint64_t id, uint32_t events)
{
    struct shell_host *host = host_find(self, id);
    struct tri_error error;

    if (host == NULL || host->link.fd < 0)
        return;
    if (events & EPOLLOUT) {
        /* A failure shows as the end of what can be received. */
        link_flush(&host->link, &error);
        tend(self, host);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(self, id);
}

/* ---- the launcher --------------------------------------------------------------------------- */

enum tri_status shell_launcher_open(struct shell *self, struct tri_error *error)
{
    enum tri_status status = launcher_open(&self->launcher, &self->options->launcher, error);

    if (status != TRI_OK)
        return status;
    self->launcher_failed = false;
    self->launcher_wants_out = false;
    watch(self, EPOLL_CTL_ADD, self->launcher.link.fd, SHELL_WATCH_LAUNCHER, false);
    return TRI_OK;
}

static void on_host_up(struct shell *self, const struct tri_msg_host_up *message)
{
    shell_apply(self, &(struct session_event){
                          .type = SESSION_HOST_UP, .host = message->host, .pid = message->pid });
}

/* Hear its last words first: they say what need not be run again. Then the table is the witness. */
static void on_host_gone(struct shell *self, const struct tri_msg_host_gone *message)
{
    struct session_event event = { .type = SESSION_HOST_GONE, .host = message->host };
    char text[512];
    struct shell_host *host;

    snprintf(text, sizeof(text), "%.*s", (int)message->text.size,
             message->text.size != 0 ? (const char *)message->text.data : "");
    event.wait_status = (int)message->wait_status;
    event.status = (enum tri_status)message->status;
    event.text = text;
    receive(self, event.host);
    host = host_find(self, event.host);
    if (host == NULL)
        return;
    if (host->table->culprit >= 0 && (uint32_t)host->table->culprit < host->width
        && host->table->culprit_task != 0) {
        event.has_culprit = true;
        event.culprit_signal = host->table->culprit_signal;
        event.culprit.slice = host->table->slots[host->table->culprit].lease;
        event.culprit.index = host->table->culprit_task - 1;
    }
    shell_gather(self, host);
    event.started = self->started;
    event.started_count = self->started_count;
    shell_apply(self, &event);
    host = host_find(self, event.host);
    if (host != NULL)
        host_free(self, host);
}

/* Everything of ours is dead or dying with it: make sure, then begin anew. */
static void replace_launcher(struct shell *self)
{
    struct tri_error error;
    uint64_t key;
    void *value;

    tri_log(TRI_LOG_ERROR, "launcher.died", "hosts=%zu", self->hosts.count);
    for (size_t at = 0; tri_map_next(&self->hosts, &at, &key, &value);)
        receive(self, key);
    epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, self->launcher.link.fd, NULL);
    launcher_bury();
    link_deinit(&self->launcher.link);
    self->launcher.pid = 0;
    shell_hosts_close(self);
    if (shell_launcher_open(self, &error) != TRI_OK) {
        tri_log(TRI_LOG_ERROR, "launcher.failed", "why=%s", TRI_QUOTE(error.text));
        self->exiting = true;
        self->status = WORKER_EXIT_FAILED;
        return;
    }
    shell_apply(self, &(struct session_event){ .type = SESSION_LAUNCHER_GONE });
}

void shell_launcher_ready(struct shell *self, uint32_t events)
{
    struct link_message *received = &self->launcher_received;
    struct tri_error error;
    enum tri_status status = TRI_OK;

    if (events & EPOLLOUT) {
        link_flush(&self->launcher.link, &error);
        shell_tend_launcher(self);
    }
    while (!self->exiting
           && (status = link_receive(&self->launcher.link, false, received, &error)) == TRI_OK) {
        if (received->message.type == TRI_MESSAGE_HOST_UP)
            on_host_up(self, &received->message.host_up);
        else if (received->message.type == TRI_MESSAGE_HOST_GONE)
            on_host_gone(self, &received->message.host_gone);
    }
    if (status != TRI_OK && status != TRI_EMPTY) {
        self->launcher_failed = true;
        replace_launcher(self);
    }
}
