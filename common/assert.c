#include "common/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to this many bytes glibc keeps a cache for each thread, which calloc does not use. */
#define SMALL_BYTES 1024

void tri_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "trireme: internal error: %s:%d: %s\n", file, line, condition);
    abort();
}

void tri_out_of_memory(void)
{
    fputs("trireme: out of memory\n", stderr);
    abort();
}

void *tri_alloc(size_t count, size_t size)
{
    void *memory;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        tri_out_of_memory();
    if (bytes > SMALL_BYTES) {
        memory = calloc(1, bytes);
    } else {
        memory = malloc(bytes != 0 ? bytes : 1);
        if (memory != NULL)
            memset(memory, 0, bytes);
    }
    if (memory == NULL)
        tri_out_of_memory();
    return memory;
}

void *tri_realloc(void *memory, size_t count, size_t size)
{
    size_t bytes;

    tri_assert(!__builtin_mul_overflow(count, size, &bytes));
    memory = realloc(memory, bytes != 0 ? bytes : 1);
    if (memory == NULL)
        tri_out_of_memory();
    return memory;
}
