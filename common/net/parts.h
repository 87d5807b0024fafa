/* parts.h - one multipart message, frame by frame, without copying a byte.
 *
 * Receiving bounds what a peer can make us hold: a message of too many frames or bytes is read to
 * its end and dropped as it comes in, all but its first `kept` frames.
 *
 * Threads: one owner at a time, the socket's.
 * Memory:  frames are libzmq's; the array is reused from message to message.
 * Errors:  see each function; errno does not leave here.
 */
#ifndef TRI_NET_PARTS_H
#define TRI_NET_PARTS_H

#include "common/types.h"

#include <zmq.h>

struct tri_parts {
    zmq_msg_t *frames; /* all `capacity` are initialised, those past `count` are empty */
    size_t count;
    size_t capacity;
    size_t bytes; /* of all frames received, dropped ones included */
};

struct tri_parts_limits {
    size_t frames_max;
    size_t bytes_max;
};

void tri_parts_init(struct tri_parts *self);
void tri_parts_deinit(struct tri_parts *self);

/* Release the frames, keep the array. */
void tri_parts_clear(struct tri_parts *self);

/* Receive the next message into `self` (cleared first); `flags` as zmq_msg_recv. TRI_OK;
 * TRI_EMPTY: nothing there; TRI_TOO_LARGE: over a limit, `count` frames of it are kept; TRI_CLOSED:
 * the context ends; TRI_MEMORY; TRI_SYSTEM. */
enum tri_status tri_parts_receive(struct tri_parts *self,
                                  void *socket,
                                  int flags,
                                  const struct tri_parts_limits *limits,
                                  struct tri_error *error);

/* Send `count` frames as one message, without ever blocking. They are taken on TRI_OK and left as
 * they were otherwise. TRI_BUSY: the high-water mark, or nobody connected; TRI_UNREACHABLE: a
 * ROUTER has no such peer; TRI_CLOSED; TRI_SYSTEM. */
enum tri_status tri_parts_send(void *socket,
                               zmq_msg_t *frames,
                               size_t count,
                               struct tri_error *error);

/* The bytes of frame i, borrowed until the next receive. */
static inline struct tri_bytes tri_msg_bytes(zmq_msg_t *frame)
{
    return (struct tri_bytes){ zmq_msg_data(frame), zmq_msg_size(frame) };
}

/* A frame of its own with a copy of `bytes`. TRI_MEMORY leaves `*frame` uninitialised. */
enum tri_status tri_msg_copy(zmq_msg_t *frame, struct tri_bytes bytes);

/* A frame that takes `data`, which was malloc'ed, and frees it when it is sent. On TRI_MEMORY the
 * caller keeps `data`. */
enum tri_status tri_msg_take(zmq_msg_t *frame, void *data, size_t size);

#endif
