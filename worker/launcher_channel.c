#include "worker/launcher_channel.h"

#include "common/assert.h"
#include "worker/launcher_parts.h"

#include <unistd.h>

void launcher_watch(struct launcher_state *self, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data = { .ptr = watch } };

    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) != 0)
        tri_out_of_memory(); /* ENOMEM or ENOSPC: the descriptor is good and new */
    watch->watched = true;
}

void launcher_watch_close(struct launcher_state *self, struct watch *watch)
{
    if (watch->fd < 0)
        return;
    if (watch->watched)
        epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
    watch->kind = WATCH_NOTHING;
}

void launcher_channel_open(
    struct launcher_state *self, struct channel *channel, int fd, enum watch_kind kind, void *owner)
{
    *channel = (struct channel){ .watch = { .kind = kind, .fd = fd, .owner = owner } };
    link_init(&channel->link, fd);
    launcher_watch(self, &channel->watch, EPOLLIN);
}

void launcher_channel_close(struct launcher_state *self, struct channel *channel)
{
    if (channel->watch.fd < 0)
        return;
    epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, channel->watch.fd, NULL);
    link_deinit(&channel->link);
    channel->watch.fd = -1;
    channel->watch.kind = WATCH_NOTHING;
}

/* Wait for room exactly while something is queued. */
static void update(struct launcher_state *self, struct channel *channel)
{
    struct epoll_event event = { .data = { .ptr = &channel->watch } };
    bool writing = link_pending(&channel->link) > 0;

    if (writing == channel->writing)
        return;
    channel->writing = writing;
    event.events = EPOLLIN | (writing ? EPOLLOUT : 0u);
    epoll_ctl(self->epoll_fd, EPOLL_CTL_MOD, channel->watch.fd, &event);
}

void launcher_channel_post(struct launcher_state *self,
                           struct channel *channel,
                           const struct tri_message *message,
                           const struct tri_bytes *frames,
                           size_t frame_count,
                           const int *fds,
                           size_t fd_count)
{
    if (channel->watch.fd < 0)
        return;
    link_post(&channel->link, message, frames, frame_count, fds, fd_count, NULL);
    update(self, channel);
}

void launcher_channel_flush(struct launcher_state *self, struct channel *channel)
{
    if (channel->watch.fd < 0)
        return;
    link_flush(&channel->link, NULL);
    update(self, channel);
}
