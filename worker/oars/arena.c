#include "worker/oars/arena.h"

#include <stdlib.h>

#define BLOCK_BYTES ((size_t)4096)
#define ALIGN ((size_t)16)

struct arena_block {
    struct arena_block *next;
    void *taken; /* memory adopted, or NULL: the bytes stand behind the struct */
};

_Static_assert(sizeof(struct arena_block) % 16 == 0, "blocks keep the alignment");

static struct arena_block *add_block(struct arena *self, size_t bytes)
{
    struct arena_block *block = malloc(sizeof(*block) + bytes);

    if (block == NULL)
        return NULL;
    *block = (struct arena_block){ .next = self->blocks };
    self->blocks = block;
    return block;
}

void *arena_alloc(struct arena *self, size_t size)
{
    struct arena_block *block;
    void *memory;

    if (size > PTRDIFF_MAX / 2)
        return NULL;
    size = (size + (size == 0) + ALIGN - 1) & ~(ALIGN - 1);
    if (size > self->left) {
        size_t bytes = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES - sizeof(*block);

        block = add_block(self, bytes);
        if (block == NULL)
            return NULL;
        if (bytes == size)
            return block + 1;
        self->at = (uint8_t *)(block + 1);
        self->left = bytes;
    }
    memory = self->at;
    self->at += size;
    self->left -= size;
    return memory;
}

void *arena_take(struct arena *self, void *memory)
{
    struct arena_block *block = add_block(self, 0);

    if (block == NULL) {
        free(memory);
        return NULL;
    }
    block->taken = memory;
    return memory;
}

void arena_free(struct arena *self)
{
    struct arena_block *block = self->blocks;

    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block->taken);
        free(block);
        block = next;
    }
    *self = (struct arena){ 0 };
}
