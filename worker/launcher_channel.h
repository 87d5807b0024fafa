/* launcher_channel.h - what the launcher's epoll watches: descriptors, and links without blocking.
 *
 * Threads: one.   Memory: embedded in their owners, which outlive the turn (launcher_free_later).
 */
#ifndef LAUNCHER_CHANNEL_H
#define LAUNCHER_CHANNEL_H

#include "worker/link.h"

#include <sys/epoll.h>

struct launcher_state;

enum watch_kind {
    WATCH_NOTHING, /* its owner is gone; later events of the same turn find this */
    WATCH_SIGNAL,
    WATCH_SESSION,
    WATCH_ZYGOTE,
    WATCH_HOST,
    WATCH_INPUT,
    WATCH_OUTPUT,
    WATCH_ERROR,
};

struct watch {
    enum watch_kind kind;
    bool watched; /* epoll knows it */
    int fd;       /* -1: closed */
    void *owner;
};

/* A link that is served without blocking. */
struct channel {
    struct link link;
    struct watch watch;
    bool writing; /* epoll also waits for room */
};

/* Add to epoll. */
void launcher_watch(struct launcher_state *self, struct watch *watch, uint32_t events);
/* Drop from epoll and close the descriptor. Closing alone would not do: exec lets the launcher go
 * on before it closes the child's copies, and while one is open epoll goes on telling of it. */
void launcher_watch_close(struct launcher_state *self, struct watch *watch);

/* Serve `fd`. */
void launcher_channel_open(struct launcher_state *self,
                           struct channel *channel,
                           int fd,
                           enum watch_kind kind,
                           void *owner);
void launcher_channel_close(struct launcher_state *self, struct channel *channel);
/* A post to a peer that is gone is nothing: its end is seen elsewhere. */
void launcher_channel_post(struct launcher_state *self,
                           struct channel *channel,
                           const struct tri_message *message,
                           const struct tri_bytes *frames,
                           size_t frame_count,
                           const int *fds,
                           size_t fd_count);
/* Go on sending. */
void launcher_channel_flush(struct launcher_state *self, struct channel *channel);

#endif
