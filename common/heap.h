/* heap.h - min-heap of intrusive nodes keyed by u64: deadlines, next things to do.
 *
 * Nodes of equal key come out in the order in which they went in (or were last updated). Keys stand
 * beside the pointers in one array, four children to a parent: a heap of a million is ten deep, and
 * finding a place in it does not touch the nodes that it passes, except to tell them where they
 * are.
 *
 * Time:    insert, remove, update, pop O(log n); peek O(1).   Threads: one owner at a time.
 * Memory:  owns one array; nodes belong to the caller and must be removed before they
 *          are freed.
 * Errors:  insert aborts when memory is out; after tri_heap_reserve it cannot.
 */
#ifndef TRI_HEAP_H
#define TRI_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tri_heap_node {
    uint64_t key;
    uint64_t order;  /* breaks ties: the heap's counter when the key was set */
    size_t position; /* index in the array plus 1; 0 = not in a heap */
};

struct tri_heap_slot {
    uint64_t key;
    uint64_t order;
    struct tri_heap_node *node;
};

struct tri_heap {
    struct tri_heap_slot *slots;
    size_t count;
    size_t capacity;
    uint64_t order;
};

void tri_heap_init(struct tri_heap *self);

/* Free the array; nodes still in it are forgotten, not touched. */
void tri_heap_deinit(struct tri_heap *self);

/* Room for `more` further nodes. False when memory is out. */
bool tri_heap_reserve(struct tri_heap *self, size_t more);

static inline bool tri_heap_is_linked(const struct tri_heap_node *node)
{
    return node->position != 0;
}

/* The node with the smallest key, or NULL. */
static inline struct tri_heap_node *tri_heap_peek(const struct tri_heap *self)
{
    return self->count != 0 ? self->slots[0].node : NULL;
}

/* The node at place i, i < count: 0 is the smallest, the next few are among the smallest. */
static inline struct tri_heap_node *tri_heap_at(const struct tri_heap *self, size_t i)
{
    return self->slots[i].node;
}

/* Insert `node`, which is in no heap. */
void tri_heap_insert(struct tri_heap *self, struct tri_heap_node *node, uint64_t key);

/* Remove `node`, which is in this heap. */
void tri_heap_remove(struct tri_heap *self, struct tri_heap_node *node);

/* Give `node` another key; inserts it when it is in no heap. */
void tri_heap_update(struct tri_heap *self, struct tri_heap_node *node, uint64_t key);

/* Remove and return the node with the smallest key, or NULL. */
struct tri_heap_node *tri_heap_pop(struct tri_heap *self);

/* Verify heap order and positions; assert on the first that is broken. O(n). */
void tri_heap_check(const struct tri_heap *self);

#endif
