#include "common/buffer.h"

#include <stdlib.h>

void tri_buffer_deinit(struct tri_buffer *self)
{
    free(self->data);
    *self = (struct tri_buffer){ 0 };
}

bool tri_buffer_grow(struct tri_buffer *self, size_t bytes)
{
    size_t need;
    size_t capacity = self->capacity < 64 ? 64 : self->capacity;
    uint8_t *data;

    if (self->failed || __builtin_add_overflow(self->size, bytes, &need)) {
        self->failed = true;
        return false;
    }
    while (capacity < need) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity)) {
            self->failed = true;
            return false;
        }
    }
    data = realloc(self->data, capacity);
    if (data == NULL) {
        self->failed = true;
        return false;
    }
    self->data = data;
    self->capacity = capacity;
    return true;
}

uint8_t *tri_buffer_give(struct tri_buffer *self, size_t *size)
{
    uint8_t *data = self->data;

    *size = self->size;
    *self = (struct tri_buffer){ 0 };
    return data;
}
