/* assert.h - assertions about our own code, on in every build. Bytes from outside are never
 * asserted about: they get a status. */
#ifndef TRI_ASSERT_H
#define TRI_ASSERT_H

/* The one place where out-of-memory ends a program: the engine and the executables use these, the
 * client library and the handlers' API return TRI_MEMORY instead. */
#include <stddef.h>

#define tri_assert(condition) \
    ((condition) ? (void)0 : tri_assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void tri_assert_failed(const char *condition, const char *file, int line);

/* Say so and abort: for those who asked for memory without tri_alloc. */
_Noreturn void tri_out_of_memory(void);

/* Zeroed memory for count x size bytes, or abort. Free with free(). */
void *tri_alloc(size_t count, size_t size);

/* Grow or shrink, or abort. New bytes are not zeroed. */
void *tri_realloc(void *memory, size_t count, size_t size);

#endif
