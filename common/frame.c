#include "common/frame.h"

#include "common/assert.h"

#include <stdlib.h>
#include <string.h>

static struct tri_frame *frame_new(size_t extra)
{
    struct tri_frame *self = tri_alloc(1, sizeof(*self) + extra);

    atomic_init(&self->owners, 1);
    return self;
}

struct tri_frame *tri_frame_copy(struct tri_bytes bytes)
{
    struct tri_frame *self = frame_new(bytes.size);

    if (bytes.size != 0)
        memcpy(self + 1, bytes.data, bytes.size);
    self->bytes = (struct tri_bytes){ (const uint8_t *)(self + 1), bytes.size };
    return self;
}

struct tri_frame *tri_frame_take(struct tri_buffer *buffer)
{
    struct tri_frame *self = frame_new(0);

    tri_assert(!buffer->failed);
    self->context = tri_buffer_give(buffer, &self->bytes.size);
    self->bytes.data = self->context;
    self->free_fn = free;
    return self;
}

struct tri_frame *tri_frame_wrap(struct tri_bytes bytes, tri_frame_free_fn *free_fn, void *context)
{
    struct tri_frame *self = frame_new(0);

    self->bytes = bytes;
    self->free_fn = free_fn;
    self->context = context;
    return self;
}

struct tri_frame *tri_frame_ref(struct tri_frame *self)
{
    atomic_fetch_add_explicit(&self->owners, 1, memory_order_relaxed);
    return self;
}

void tri_frame_unref(struct tri_frame *self)
{
    if (self == NULL || atomic_fetch_sub_explicit(&self->owners, 1, memory_order_acq_rel) != 1)
        return;
    if (self->free_fn != NULL)
        self->free_fn(self->context);
    free(self);
}
