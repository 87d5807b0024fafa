/* link.h - messages between the processes of one worker, over a stream socketpair.
 *
 * On the wire: u32 part_count, u32 size[part_count], then the parts; part 0 is a message of
 * common/proto, the rest its payload frames. The two ends are the same program, yet sizes are
 * bounded and parts validated: a crashing host may leave half a message.
 *
 * Threads: a link belongs to one thread, except that link_send may be called under a lock of the
 *          caller's by several.
 * Memory:  a received message borrows from the link until the next link_receive.
 * Errors:  TRI_CLOSED at end of file, TRI_EMPTY when nothing (whole) is there, TRI_INVALID.
 */
#ifndef LINK_H
#define LINK_H

#include "common/buffer.h"
#include "common/proto/codec.h"

#define LINK_PARTS_MAX 128
#define LINK_FDS_MAX 4

struct link {
    int fd;
    struct tri_buffer in;     /* bytes received and not yet consumed */
    size_t in_start;
    struct tri_buffer out;    /* bytes not yet taken by the socket (non-blocking senders) */
    size_t out_start;
    int fds[LINK_FDS_MAX];    /* descriptors that came with the current message */
    size_t fd_count;
    bool closed;
};

struct link_message {
    struct tri_message message;
    struct tri_bytes frames[LINK_PARTS_MAX];
    size_t frame_count;
};

/* A connected pair, close-on-exec, blocking. */
enum tri_status link_pair(int fds[2], struct tri_error *error);

/* Adopt `fd`. */
void link_init(struct link *self, int fd);
void link_deinit(struct link *self);

/* Receive one message: waits for the socket at most once (`wait`: blocks for it), so a poll loop
 * calls this until TRI_EMPTY. Descriptors that came along are in self->fds, owned by the caller. */
enum tri_status link_receive(struct link *self,
                             bool wait,
                             struct link_message *message,
                             struct tri_error *error);

/* Send all of it, blocking while the other end is slow (hosts, launcher clients). */
enum tri_status link_send(struct link *self,
                          const struct tri_message *message,
                          const struct tri_bytes *frames,
                          size_t frame_count,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error);

/* Queue it and send what the socket takes now; link_flush goes on when it is writable (session,
 * launcher: they must never block on a peer). link_pending says how many bytes wait. */
enum tri_status link_post(struct link *self,
                          const struct tri_message *message,
                          const struct tri_bytes *frames,
                          size_t frame_count,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error);
enum tri_status link_flush(struct link *self, struct tri_error *error);
static inline size_t link_pending(const struct link *self)
{
    return self->out.size - self->out_start;
}

#endif
