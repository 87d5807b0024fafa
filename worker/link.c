/* Links: their life and the sending half (link_receive.c has the other).
 *
 * A sender encodes the head (counts and sizes) and part 0 into `out` and hands the caller's frames
 * to the same sendmsg: they are copied only when the socket is full. Descriptors travel with the
 * first byte of their message. */
#include "worker/link.h"

#include "common/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECLAIM_BYTES ((size_t)65536)
#define KEEP_BYTES ((size_t)4 << 20) /* an empty queue larger than this is given back */

enum tri_status link_pair(int fds[2], struct tri_error *error)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return tri_fail(error, TRI_SYSTEM, "socketpair: %s", strerror(errno));
    return TRI_OK;
}

void link_init(struct link *self, int fd)
{
    *self = (struct link){ .fd = fd };
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

void link_deinit(struct link *self)
{
    if (self->fd >= 0)
        close(self->fd);
    close_all(self->early, self->early_count);
    for (size_t i = 0; i < self->parcel_count; i++)
        close_all(self->parcels[i].fds, self->parcels[i].count);
    free(self->parcels);
    tri_buffer_deinit(&self->in);
    tri_buffer_deinit(&self->out);
    *self = (struct link){ .fd = -1, .closed = true };
}

/* Append the head and part 0 to `out`; its size is in *size. */
static enum tri_status encode(struct link *self,
                              const struct tri_message *message,
                              const struct tri_bytes *frames,
                              size_t frame_count,
                              size_t fd_count,
                              size_t *size,
                              struct tri_error *error)
{
    struct link_head head = { (uint16_t)(frame_count + 1), (uint16_t)fd_count };
    size_t begin = self->out.size;
    size_t head_size = sizeof(head) + (frame_count + 1) * sizeof(uint32_t);
    size_t total = 0;
    uint32_t part;

    tri_assert(fd_count <= LINK_FDS_MAX);
    if (frame_count >= LINK_PARTS_MAX)
        return tri_fail(error, TRI_TOO_LARGE, "link: %zu frames in one message", frame_count);
    for (size_t i = 0; i < frame_count; i++) {
        if (frames[i].size > LINK_PART_BYTES_MAX)
            return tri_fail(error, TRI_TOO_LARGE, "link: a frame of %zu bytes", frames[i].size);
        total += frames[i].size;
    }
    if (tri_buffer_reserve(&self->out, head_size) == NULL)
        tri_out_of_memory();
    self->out.size += head_size;
    tri_message_encode(message, &self->out);
    if (self->out.failed)
        tri_out_of_memory();
    part = (uint32_t)(self->out.size - begin - head_size);
    if (total + part + head_size > LINK_BYTES_MAX || part > LINK_PART_BYTES_MAX) {
        self->out.size = begin;
        return tri_fail(error, TRI_TOO_LARGE, "link: a message of %zu bytes", total + part);
    }
    memcpy(self->out.data + begin, &head, sizeof(head));
    memcpy(self->out.data + begin + sizeof(head), &part, sizeof(part));
    for (size_t i = 0; i < frame_count; i++) {
        uint32_t frame = (uint32_t)frames[i].size;

        memcpy(self->out.data + begin + sizeof(head) + (i + 1) * sizeof(part), &frame,
               sizeof(frame));
    }
    *size = self->out.size - begin;
    return TRI_OK;
}

/* One sendmsg. *sent counts the bytes taken; TRI_EMPTY when there is no room now. */
static enum tri_status send_some(struct link *self,
                                 struct iovec *parts,
                                 size_t part_count,
                                 const struct link_parcel *parcel,
                                 bool wait,
                                 size_t *sent,
                                 struct tri_error *error)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * LINK_FDS_MAX)];
    } control = { .bytes = { 0 } };
    struct msghdr header = { .msg_iov = parts, .msg_iovlen = part_count };
    ssize_t count;

    *sent = 0;
    if (parcel != NULL && parcel->count > 0) {
        struct cmsghdr *c = &control.align;

        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * parcel->count);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * parcel->count);
        memcpy(CMSG_DATA(c), parcel->fds, sizeof(int) * parcel->count);
    }
    count = sendmsg(self->fd, &header, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (count >= 0) {
        *sent = (size_t)count;
        self->sent += (size_t)count;
        return TRI_OK;
    }
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return tri_fail(error, TRI_CLOSED, "link: the other end is gone");
    if (errno == EINTR)
        return TRI_OK;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return tri_fail(error, TRI_SYSTEM, "link: sendmsg: %s", strerror(errno));
    if (!wait)
        return TRI_EMPTY;
    poll(&(struct pollfd){ .fd = self->fd, .events = POLLOUT }, 1, -1);
    return TRI_OK;
}

/* Skip `count` bytes of the parts; returns the first that is not empty. */
static size_t skip(struct iovec *parts, size_t part_count, size_t first, size_t count)
{
    while (first < part_count && count >= parts[first].iov_len)
        count -= parts[first++].iov_len;
    if (first < part_count) {
        parts[first].iov_base = (uint8_t *)parts[first].iov_base + count;
        parts[first].iov_len -= count;
    }
    return first;
}

/* Send what was queued: everything with `wait`, else what the socket takes. */
static enum tri_status send_queued(struct link *self, bool wait, struct tri_error *error)
{
    while (link_pending(self) > 0) {
        struct link_parcel *parcel = NULL;
        struct iovec part = { self->out.data + self->out_start, link_pending(self) };
        enum tri_status status;
        size_t sent;

        if (self->parcel_count > 0 && self->parcels[0].at == self->sent)
            parcel = &self->parcels[0];
        if (self->parcel_count > (parcel != NULL)) {
            uint64_t until = self->parcels[parcel != NULL].at - self->sent;

            part.iov_len = until < part.iov_len ? (size_t)until : part.iov_len;
        }
        status = send_some(self, &part, 1, parcel, wait, &sent, error);
        if (status != TRI_OK)
            return status;
        self->out_start += sent;
        if (parcel != NULL && sent > 0) {
            close_all(parcel->fds, parcel->count);
            self->parcel_count--;
            memmove(self->parcels, self->parcels + 1, self->parcel_count * sizeof(*self->parcels));
        }
    }
    self->out_start = 0;
    tri_buffer_clear(&self->out);
    if (self->out.capacity > KEEP_BYTES)
        tri_buffer_deinit(&self->out);
    return TRI_OK;
}

/* Queue the caller's frames from `first` on, and the descriptors if nothing has taken them. */
static enum tri_status queue_rest(struct link *self,
                                  const struct iovec *parts,
                                  size_t part_count,
                                  size_t first,
                                  const struct link_parcel *parcel,
                                  struct tri_error *error)
{
    if (parcel->count > 0) {
        struct link_parcel copy = { .at = parcel->at };

        for (; copy.count < parcel->count; copy.count++) {
            int fd = fcntl(parcel->fds[copy.count], F_DUPFD_CLOEXEC, 3);

            if (fd < 0) {
                close_all(copy.fds, copy.count);
                return tri_fail(error, TRI_SYSTEM, "link: %s", strerror(errno));
            }
            copy.fds[copy.count] = fd;
        }
        self->parcels = tri_realloc(self->parcels, self->parcel_count + 1, sizeof(*self->parcels));
        self->parcels[self->parcel_count++] = copy;
    }
    for (size_t i = first; i < part_count; i++)
        tri_buffer_append(&self->out, parts[i].iov_base, parts[i].iov_len);
    if (self->out.failed)
        tri_out_of_memory();
    return TRI_OK;
}

/* The queue is a buffer whose front moves: reclaim it before it is mostly front. */
static void reclaim(struct link *self)
{
    size_t pending = link_pending(self);

    if (self->out_start < RECLAIM_BYTES || self->out_start < pending)
        return;
    memmove(self->out.data, self->out.data + self->out_start, pending);
    self->out.size = pending;
    self->out_start = 0;
}

/* Nothing can be sent any more: forget what waits, so that nobody waits to send it. */
static enum tri_status give_up(struct link *self, enum tri_status status)
{
    self->out_start = 0;
    tri_buffer_clear(&self->out);
    return status;
}

static enum tri_status transmit(struct link *self,
                                const struct tri_message *message,
                                const struct tri_bytes *frames,
                                size_t frame_count,
                                struct link_parcel *parcel,
                                bool wait,
                                struct tri_error *error)
{
    struct iovec parts[LINK_PARTS_MAX];
    size_t first = 0;
    size_t size = 0;
    enum tri_status status = send_queued(self, wait, error);
    bool queued = status == TRI_EMPTY;

    if (status != TRI_OK && !queued)
        return give_up(self, status);
    reclaim(self);
    parcel->at = self->sent + link_pending(self);
    status = encode(self, message, frames, frame_count, parcel->count, &size, error);
    if (status != TRI_OK)
        return status;
    parts[0] = (struct iovec){ self->out.data + self->out.size - size, size };
    for (size_t i = 0; i < frame_count; i++)
        parts[i + 1] = (struct iovec){ (void *)(uintptr_t)frames[i].data, frames[i].size };
    while (!queued && first <= frame_count && status == TRI_OK) {
        size_t sent;

        status =
            send_some(self, parts + first, frame_count + 1 - first, parcel, wait, &sent, error);
        parcel->count = sent > 0 ? 0 : parcel->count;
        first = skip(parts, frame_count + 1, first, sent);
    }
    if (status != TRI_OK && status != TRI_EMPTY)
        return give_up(self, status);
    /* The head is in `out` already: behind the queue, or what the socket left of it. */
    if (!queued)
        self->out_start = first > 0 ? self->out.size : self->out.size - parts[0].iov_len;
    return queue_rest(self, parts, frame_count + 1, first > 0 ? first : 1, parcel, error);
}

static struct link_parcel parcel_of(const int *fds, size_t fd_count)
{
    struct link_parcel parcel = { .count = fd_count };

    tri_assert(fd_count <= LINK_FDS_MAX);
    if (fd_count > 0)
        memcpy(parcel.fds, fds, fd_count * sizeof(*fds));
    return parcel;
}

enum tri_status link_send(struct link *self,
                          const struct tri_message *message,
                          const struct tri_bytes *frames,
                          size_t frame_count,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error)
{
    struct link_parcel parcel = parcel_of(fds, fd_count);

    return transmit(self, message, frames, frame_count, &parcel, true, error);
}

enum tri_status link_post(struct link *self,
                          const struct tri_message *message,
                          const struct tri_bytes *frames,
                          size_t frame_count,
                          const int *fds,
                          size_t fd_count,
                          struct tri_error *error)
{
    struct link_parcel parcel = parcel_of(fds, fd_count);

    return transmit(self, message, frames, frame_count, &parcel, false, error);
}

enum tri_status link_flush(struct link *self, struct tri_error *error)
{
    enum tri_status status = send_queued(self, false, error);

    if (status == TRI_EMPTY)
        return TRI_OK;
    return status == TRI_OK ? TRI_OK : give_up(self, status);
}
