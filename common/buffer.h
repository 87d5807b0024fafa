/* buffer.h - bytes that grow: what encoders write into.
 *
 * Threads: one owner at a time.
 * Memory:  tri_buffer_give hands the bytes over (free with free()).
 * Errors:  growth that fails sets `failed`; later writes do nothing. Check once at the end.
 */
#ifndef TRI_BUFFER_H
#define TRI_BUFFER_H

#include "common/types.h"

#include <string.h>

struct tri_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

static inline void tri_buffer_init(struct tri_buffer *self)
{
    *self = (struct tri_buffer){ 0 };
}

void tri_buffer_deinit(struct tri_buffer *self);

/* Make room for `bytes` more. False when memory is out. */
bool tri_buffer_grow(struct tri_buffer *self, size_t bytes);

/* Room for `bytes` more at the end, not yet counted in size; NULL when memory is out. */
static inline uint8_t *tri_buffer_reserve(struct tri_buffer *self, size_t bytes)
{
    if (self->capacity - self->size < bytes && !tri_buffer_grow(self, bytes))
        return NULL;
    return self->data + self->size;
}

static inline void tri_buffer_append(struct tri_buffer *self, const void *data, size_t size)
{
    uint8_t *end = size != 0 ? tri_buffer_reserve(self, size) : NULL;

    if (end == NULL)
        return;
    memcpy(end, data, size);
    self->size += size;
}

static inline void tri_buffer_clear(struct tri_buffer *self)
{
    self->size = 0;
    self->failed = false;
}

/* The caller owns the bytes now (possibly NULL when empty); the buffer is empty again. */
uint8_t *tri_buffer_give(struct tri_buffer *self, size_t *size);

static inline struct tri_bytes tri_buffer_bytes(const struct tri_buffer *self)
{
    return (struct tri_bytes){ self->data, self->size };
}

#endif
