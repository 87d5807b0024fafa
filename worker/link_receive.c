/* Links: the receiving half. Bytes are received straight into `in`, and what is returned is a view
 * of it: they move only when half a message has reached the end of the buffer.
 *
 * The kernel ends a receive after the bytes that descriptors came with, so at most two sets can be
 * here before their messages are whole: one of the half message that was waited for, and one of
 * the message begun behind it. */
#include "worker/link.h"

#include "common/assert.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECEIVE_BYTES ((size_t)65536)
#define KEEP_BYTES ((size_t)4 << 20) /* an empty buffer larger than this is given back */

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* How many bytes the message at in_start has, as far as its head is here; 0 when it can be none. */
static size_t message_size(const struct link *self, size_t have)
{
    const uint8_t *start;
    struct link_head head;
    size_t size;

    if (have < sizeof(head))
        return sizeof(head);
    start = self->in.data + self->in_start;
    memcpy(&head, start, sizeof(head));
    if (head.part_count == 0 || head.part_count > LINK_PARTS_MAX || head.fd_count > LINK_FDS_MAX)
        return 0;
    size = sizeof(head) + head.part_count * sizeof(uint32_t);
    if (have < size)
        return size;
    for (size_t i = 0; i < head.part_count; i++) {
        uint32_t part;

        memcpy(&part, start + sizeof(head) + i * sizeof(part), sizeof(part));
        if (part > LINK_PART_BYTES_MAX)
            return 0;
        size += part;
    }
    return size <= LINK_BYTES_MAX ? size : 0;
}

/* Room behind the bytes at hand for a message of `need` bytes, or at least for a good part of it:
 * memory grows with what has arrived, not with what a head claims. */
static void make_room(struct link *self, size_t have, size_t need)
{
    size_t want = need > RECEIVE_BYTES ? need : RECEIVE_BYTES;

    if (have == 0 && self->in.capacity > KEEP_BYTES && need <= KEEP_BYTES)
        tri_buffer_deinit(&self->in);
    if (self->in.capacity - self->in_start >= want)
        return;
    if (have > 0 && self->in_start > 0)
        memmove(self->in.data, self->in.data + self->in_start, have);
    self->in.size = have;
    self->in_start = 0;
    if (want > have + (have > RECEIVE_BYTES ? have : RECEIVE_BYTES))
        want = 2 * have + RECEIVE_BYTES;
    if (want > self->in.capacity && tri_buffer_reserve(&self->in, want - have) == NULL)
        tri_out_of_memory();
}

static enum tri_status keep_fds(struct link *self, struct msghdr *header, struct tri_error *error)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const unsigned char *data = CMSG_DATA(c);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
            if (self->early_count < TRI_COUNT_OF(self->early))
                self->early[self->early_count++] = fd;
            else
                close(fd);
        }
    }
    if ((header->msg_flags & MSG_CTRUNC) != 0)
        return tri_fail(error, TRI_INVALID, "link: more descriptors than a message may carry");
    return TRI_OK;
}

/* How much to receive next: a large message to its end and no further, so that the next one need
 * not be moved to the front; of small ones as many as there is room for. */
static size_t receive_limit(const struct link *self, size_t have, size_t need)
{
    size_t room = self->in.capacity - self->in.size;
    size_t limit = need > RECEIVE_BYTES ? need - have : room;

    if (have == 0)
        limit = RECEIVE_BYTES;
    return limit < room ? limit : room;
}

/* One receive behind the bytes at hand. */
static enum tri_status receive_more(struct link *self,
                                    size_t limit,
                                    bool wait,
                                    struct tri_error *error)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * LINK_FDS_MAX)];
    } control;
    struct iovec room = { self->in.data + self->in.size, limit };
    struct msghdr header = { .msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes) };
    ssize_t count = recvmsg(self->fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));

    if (count > 0) {
        self->in.size += (size_t)count;
        self->emptied = (size_t)count < limit && header.msg_controllen == 0;
        return header.msg_controllen > 0 ? keep_fds(self, &header, error) : TRI_OK;
    }
    if (count == 0 || errno == ECONNRESET) {
        self->closed = true;
        return tri_fail(error, TRI_CLOSED, "link: closed%s",
                        self->in.size > self->in_start ? " in the middle of a message" : "");
    }
    if (errno == EINTR)
        return TRI_OK;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return tri_fail(error, TRI_SYSTEM, "link: recvmsg: %s", strerror(errno));
    if (!wait)
        return TRI_EMPTY;
    poll(&(struct pollfd){ .fd = self->fd, .events = POLLIN }, 1, -1);
    return TRI_OK;
}

/* Take the whole message at in_start out of the buffer. */
static enum tri_status take_message(struct link *self,
                                    size_t size,
                                    struct link_message *message,
                                    struct tri_error *error)
{
    const uint8_t *start = self->in.data + self->in_start;
    const uint8_t *body;
    enum tri_status status;
    struct link_head head;
    struct tri_bytes part_0 = { NULL, 0 };

    memcpy(&head, start, sizeof(head));
    body = start + sizeof(head) + head.part_count * sizeof(uint32_t);
    for (size_t i = 0; i < head.part_count; i++) {
        uint32_t part;

        memcpy(&part, start + sizeof(head) + i * sizeof(part), sizeof(part));
        *(i == 0 ? &part_0 : &message->frames[i - 1]) = (struct tri_bytes){ body, part };
        body += part;
    }
    if (head.fd_count > self->early_count)
        return tri_fail(error, TRI_INVALID, "link: %u descriptors announced, %zu came",
                        head.fd_count, self->early_count);
    self->in_start += size;
    memcpy(self->fds, self->early, head.fd_count * sizeof(int));
    self->fd_count = head.fd_count;
    self->early_count -= head.fd_count;
    memmove(self->early, self->early + head.fd_count, self->early_count * sizeof(int));
    message->frame_count = head.part_count - 1u;
    status = tri_message_decode(part_0, &message->message, error);
    if (status != TRI_OK) {
        close_all(self->fds, self->fd_count);
        self->fd_count = 0;
    }
    return status;
}

enum tri_status link_receive(struct link *self,
                             bool wait,
                             struct link_message *message,
                             struct tri_error *error)
{
    self->fd_count = 0;
    for (;;) {
        size_t have = self->in.size - self->in_start;
        size_t need = message_size(self, have);
        enum tri_status status;

        if (need == 0)
            return tri_fail(error, TRI_INVALID, "link: the head of a message is out of bounds");
        if (have >= need)
            return take_message(self, need, message, error);
        if (self->closed)
            return tri_fail(error, TRI_CLOSED, "link: closed");
        if (have == 0)
            self->in.size = self->in_start = 0;
        make_room(self, have, need);
        status = receive_more(self, receive_limit(self, have, need), wait, error);
        if (status != TRI_OK)
            return status;
    }
}
