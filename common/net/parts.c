#include "common/net/parts.h"

#include "common/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tri_parts_init(struct tri_parts *self)
{
    *self = (struct tri_parts){ 0 };
}

void tri_parts_deinit(struct tri_parts *self)
{
    for (size_t i = 0; i < self->capacity; i++)
        zmq_msg_close(&self->frames[i]);
    free(self->frames);
    *self = (struct tri_parts){ 0 };
}

void tri_parts_clear(struct tri_parts *self)
{
    for (size_t i = 0; i < self->count; i++) {
        zmq_msg_close(&self->frames[i]);
        zmq_msg_init(&self->frames[i]);
    }
    self->count = 0;
    self->bytes = 0;
}

static bool grow(struct tri_parts *self)
{
    size_t capacity = self->capacity == 0 ? 8 : self->capacity * 2;
    zmq_msg_t *frames = malloc(capacity * sizeof(*frames));

    if (frames == NULL)
        return false;
    for (size_t i = 0; i < capacity; i++) {
        zmq_msg_init(&frames[i]);
        if (i < self->capacity) {
            zmq_msg_move(&frames[i], &self->frames[i]);
            zmq_msg_close(&self->frames[i]);
        }
    }
    free(self->frames);
    self->frames = frames;
    self->capacity = capacity;
    return true;
}

static enum tri_status fail(struct tri_error *error)
{
    switch (errno) {
    case EAGAIN:
        return TRI_EMPTY;
    case ETERM:
        return tri_fail(error, TRI_CLOSED, "the sockets are being closed");
    case ENOMEM:
        return tri_fail(error, TRI_MEMORY, "out of memory for a message");
    default:
        return tri_fail(error, TRI_SYSTEM, "a message could not be received: %s",
                        zmq_strerror(errno));
    }
}

/* The next frame, interrupted or not. */
static int receive_frame(zmq_msg_t *frame, void *socket, int flags)
{
    int size;

    do {
        size = zmq_msg_recv(frame, socket, flags);
    } while (size < 0 && errno == EINTR);
    return size;
}

/* Read the frames after the last one kept, and forget them. */
static enum tri_status skip_rest(struct tri_parts *self, void *socket, struct tri_error *error)
{
    zmq_msg_t frame;
    int size;
    bool more;

    zmq_msg_init(&frame);
    do {
        size = receive_frame(&frame, socket, 0);
        more = size >= 0 && zmq_msg_more(&frame);
        self->bytes += size >= 0 ? (size_t)size : 0;
    } while (more);
    zmq_msg_close(&frame);
    return size < 0 ? fail(error) : TRI_OK;
}

enum tri_status tri_parts_receive(struct tri_parts *self,
                                  void *socket,
                                  int flags,
                                  const struct tri_parts_limits *limits,
                                  struct tri_error *error)
{
    enum tri_status status;
    bool more = true;

    tri_parts_clear(self);
    while (more) {
        zmq_msg_t *frame;
        int size;

        if (self->count == self->capacity && !grow(self))
            return tri_fail(error, TRI_MEMORY, "out of memory for a message");
        frame = &self->frames[self->count];
        size = receive_frame(frame, socket, flags);
        if (size < 0)
            return fail(error);
        flags = 0; /* the rest of a message is there as soon as its first frame is */
        self->count++;
        self->bytes += (size_t)size;
        more = zmq_msg_more(frame);
        if (more && (self->count == limits->frames_max || self->bytes > limits->bytes_max)) {
            status = skip_rest(self, socket, error);
            if (status != TRI_OK)
                return status;
            return tri_fail(error, TRI_TOO_LARGE, "a message of more than %zu frames or %zu bytes",
                            limits->frames_max, limits->bytes_max);
        }
    }
    if (self->bytes > limits->bytes_max)
        return tri_fail(error, TRI_TOO_LARGE, "a message of %zu bytes, at most %zu are taken",
                        self->bytes, limits->bytes_max);
    return TRI_OK;
}

enum tri_status tri_parts_send(void *socket,
                               zmq_msg_t *frames,
                               size_t count,
                               struct tri_error *error)
{
    for (size_t i = 0; i < count; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
        int sent;

        do {
            sent = zmq_msg_send(&frames[i], socket, flags);
        } while (sent < 0 && errno == EINTR);
        if (sent >= 0)
            continue;
        /* libzmq takes a message whole or refuses its first frame. */
        tri_assert(i == 0 || errno == ETERM || errno == ENOTSOCK);
        if (errno == EAGAIN)
            return tri_fail(error, TRI_BUSY, "the peer takes no more messages now");
        if (errno == EHOSTUNREACH)
            return tri_fail(error, TRI_UNREACHABLE, "the peer is not connected");
        return fail(error);
    }
    return TRI_OK;
}

enum tri_status tri_msg_copy(zmq_msg_t *frame, struct tri_bytes bytes)
{
    if (zmq_msg_init_size(frame, bytes.size) != 0)
        return TRI_MEMORY;
    if (bytes.size > 0)
        memcpy(zmq_msg_data(frame), bytes.data, bytes.size);
    return TRI_OK;
}

static void free_data(void *data, void *hint)
{
    (void)hint;
    free(data);
}

enum tri_status tri_msg_take(zmq_msg_t *frame, void *data, size_t size)
{
    return zmq_msg_init_data(frame, data, size, free_data, NULL) == 0 ? TRI_OK : TRI_MEMORY;
}
