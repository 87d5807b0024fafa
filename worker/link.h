/* link.h - messages between the processes of one worker, over a stream socketpair.
 *
 * On the wire: u16 part_count, u16 descriptor_count, u32 size[part_count], then the parts; part 0
 * is a message of common/proto, the rest its payload frames. The two ends are the same program,
 * yet sizes are bounded and parts validated: a crashing host may leave half a message.
 *
 * Threads: one thread may receive while another sends. Several may send (link_send, link_post,
 *          link_flush) under one lock of the caller's.
 * Memory:  a received message borrows from the link until the next link_receive.
 * Errors:  TRI_CLOSED at end of file (also in the middle of a message) or when the other end is
 *          gone, TRI_EMPTY when nothing (whole) is there, TRI_INVALID for a stream that is no
 *          link's (it stays so) or a part 0 that is no message (the next one can be received),
 *          TRI_TOO_LARGE for a message over the limits (nothing is sent), TRI_SYSTEM.
 * Limits:  LINK_* below.
 */
#ifndef LINK_H
#define LINK_H

#include "common/buffer.h"
#include "common/proto/codec.h"

#define LINK_PARTS_MAX 128
#define LINK_FDS_MAX 4
#define LINK_PART_BYTES_MAX (256u << 20)
#define LINK_BYTES_MAX (1024u << 20) /* of all parts together */

/* What the sizes follow. */
struct link_head {
    uint16_t part_count;
    uint16_t fd_count;
};

/* Descriptors that wait to be sent: with the byte number `at` of everything ever sent. */
struct link_parcel {
    uint64_t at;
    int fds[LINK_FDS_MAX];
    size_t count;
};

struct link {
    int fd;
    struct tri_buffer in; /* bytes received and not yet consumed */
    size_t in_start;
    struct tri_buffer out; /* bytes not yet taken by the socket (non-blocking senders) */
    size_t out_start;
    int fds[LINK_FDS_MAX]; /* descriptors that came with the current message */
    size_t fd_count;
    bool closed;                 /* end of file was received */
    bool emptied;                /* the last receive took all the socket had */
    int early[2 * LINK_FDS_MAX]; /* descriptors of messages that are not whole yet */
    size_t early_count;
    uint64_t sent; /* bytes the socket has taken in all */
    struct link_parcel *parcels;
    size_t parcel_count;
};

struct link_message {
    struct tri_message message;
    struct tri_bytes frames[LINK_PARTS_MAX];
    size_t frame_count;
};

/* A connected pair, close-on-exec, blocking. */
enum tri_status link_pair(int fds[2], struct tri_error *error);

/* Adopt `fd`, a stream socket. */
void link_init(struct link *self, int fd);

/* Close the socket and everything not yet taken over by the caller or the other end. */
void link_deinit(struct link *self);

/* Receive one message. With `wait` it blocks until one is whole, without it never blocks: a poll
 * loop calls it until TRI_EMPTY. Descriptors that came along are in self->fds (close-on-exec),
 * owned by the caller. A message may still be returned after the other end has gone. */
enum tri_status link_receive(struct link *self,
                             bool wait,
                             struct link_message *message,
                             struct tri_error *error);

/* Nothing whole is at hand, and the socket was empty when it was last read: a poll loop that is
 * told again of a readable socket may stop here, and spare itself a call that says TRI_EMPTY. */
static inline bool link_is_drained(const struct link *self)
{
    return self->emptied && self->in.size == self->in_start;
}

/* Send all of it (after what was posted before), blocking while the other end is slow (hosts,
 * launcher clients). The message, frames and descriptors stay the caller's. */
enum tri_status link_send(struct link *self,
                          const struct tri_message *message,
                          const struct tri_bytes *frames,
                          size_t frame_count,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error);

/* Send what the socket takes now and queue the rest; link_flush goes on when it is writable
 * (session, launcher: they must never block on a peer). link_pending says how many bytes wait.
 * Descriptors that must wait are duplicated: all stay the caller's. */
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
