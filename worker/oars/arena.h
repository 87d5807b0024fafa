/* arena.h - memory that lives as long as a task.
 *
 * Time:    alloc O(1) amortised; reset O(1) when nothing was allocated.
 * Threads: one owner at a time.
 * Errors:  NULL when memory is out: handlers see it, nothing aborts.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    uint8_t *at;
    size_t left;
};

void *arena_alloc(struct arena *self, size_t size);

/* Take malloc'ed memory: it is freed with the rest. Returns `memory`; NULL (and it is freed) when
 * there is no memory to remember it. */
void *arena_take(struct arena *self, void *memory);

void arena_free(struct arena *self);

static inline void arena_reset(struct arena *self)
{
    if (self->blocks != NULL)
        arena_free(self);
}

#endif
