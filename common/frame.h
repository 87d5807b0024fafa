/* frame.h - immutable bytes with several owners: a message part on its way through a process.
 *
 * What arrives from a socket is wrapped, handed on, kept until it is acknowledged and sent again,
 * without being copied: the bytes stay where they came (a libzmq message, malloc'ed memory) until
 * the last owner lets go.
 *
 * Threads: the count is atomic: owners may live in different threads (libzmq frees sent parts in
 *          its own). The bytes never change.
 * Memory:  tri_frame_unref of the last owner frees bytes and frame.
 * Errors:  aborts when memory is out.
 */
#ifndef TRI_FRAME_H
#define TRI_FRAME_H

#include "common/buffer.h"

#include <stdatomic.h>

typedef void tri_frame_free_fn(void *context);

struct tri_frame {
    struct tri_bytes bytes;
    atomic_uint owners;
    tri_frame_free_fn *free_fn; /* NULL: the bytes stand behind the struct */
    void *context;
};

/* A frame with a copy of `bytes`; the caller is its one owner. */
struct tri_frame *tri_frame_copy(struct tri_bytes bytes);

/* A frame that takes what `buffer` holds (the buffer is empty afterwards). */
struct tri_frame *tri_frame_take(struct tri_buffer *buffer);

/* A frame around bytes of somebody else's; `free_fn(context)` is called, in the thread of the last
 * owner, when nobody needs them any more. */
struct tri_frame *tri_frame_wrap(struct tri_bytes bytes, tri_frame_free_fn *free_fn, void *context);

/* One owner more. Returns `self`. */
struct tri_frame *tri_frame_ref(struct tri_frame *self);

/* One owner less; NULL-safe. */
void tri_frame_unref(struct tri_frame *self);

#endif
