/* coroutine.h - functions that can stop in the middle: stacks from one mapping, switched by
 * Boost.Context's assembly (8 ns).
 *
 * The user's control block stands at the top of each stack, so that a coroutine that waits close to
 * its beginning touches a single page. Stacks are made when first needed, kept, and used again
 * last in, first out. Below each stack is a page that faults, up to COROUTINE_GUARDS_MAX of them
 * (the kernel counts mappings).
 *
 * Threads: a pool and its coroutines belong to one thread.
 * Memory:  what stacks were ever used for stays resident.
 * Errors:  TRI_MEMORY when so much address space is not to be had.
 */
#ifndef COROUTINE_H
#define COROUTINE_H

#include "trireme/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COROUTINE_GUARDS_MAX 30000u

struct coroutine;

/* What a coroutine does, for ever: it must not return, but suspend when it has nothing to do. */
typedef void coroutine_fn(struct coroutine *self);

/* The first member of the user's control block. */
struct coroutine {
    void *context;  /* where it stopped */
    void *caller;   /* where coroutine_resume was called */
    uint8_t *stack; /* lowest usable byte */
    size_t stack_bytes;
    coroutine_fn *run;
    struct coroutine *next_free;
    unsigned number;
    void *fake_stack; /* the sanitizers' view of the same */
    const void *caller_stack;
    size_t caller_bytes;
    void *fibre;
    void *caller_fibre;
};

struct coroutine_pool {
    uint8_t *memory;
    size_t bytes;
    size_t stride;
    size_t control_bytes;
    unsigned count;
    unsigned made;
    unsigned taken;
    coroutine_fn *run;
    struct coroutine *free;
};

/* Room for `count` coroutines with stacks of `stack_bytes`; each runs `run` and has a control block
 * of `control_bytes`, zeroed, that begins with struct coroutine. */
enum tri_status coroutine_pool_open(struct coroutine_pool *self,
                                    unsigned count,
                                    size_t stack_bytes,
                                    size_t control_bytes,
                                    coroutine_fn *run,
                                    struct tri_error *error);
void coroutine_pool_close(struct coroutine_pool *self);

/* A coroutine that is at rest, or NULL when all are taken. `*fresh`: it was made just now. */
struct coroutine *coroutine_take(struct coroutine_pool *self, bool *fresh);
void coroutine_put(struct coroutine_pool *self, struct coroutine *coroutine);

/* Run it until it suspends itself. */
void coroutine_resume(struct coroutine *self);

/* From inside: back to whoever resumed it; returns when it is resumed again. */
void coroutine_suspend(struct coroutine *self);

#endif
