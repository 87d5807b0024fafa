/* ordered.h - intrusive balanced tree (AVL) of nodes ordered by a u64 key.
 *
 * Equal keys are allowed and stand in the order in which they were inserted, so that a walk over
 * the tree depends on nothing but the calls made.
 *
 * Time:    O(log n) for insert, remove and searches; next and prev O(1) amortised over a walk.
 * Threads: one owner at a time.
 * Memory:  allocates nothing; the node lives in the element, which must be removed before it is
 *          freed.
 */
#ifndef TRI_ORDERED_H
#define TRI_ORDERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tri_ordered_node {
    struct tri_ordered_node *left;
    struct tri_ordered_node *right;
    struct tri_ordered_node *parent;
    uint64_t key;
    int height; /* 0 = not in a tree */
};

struct tri_ordered {
    struct tri_ordered_node *root;
};

static inline void tri_ordered_init(struct tri_ordered *self)
{
    self->root = NULL;
}

static inline bool tri_ordered_is_empty(const struct tri_ordered *self)
{
    return self->root == NULL;
}

static inline bool tri_ordered_is_linked(const struct tri_ordered_node *node)
{
    return node->height != 0;
}

/* Insert `node` under `key`, after any nodes of the same key. */
void tri_ordered_insert(struct tri_ordered *self, struct tri_ordered_node *node, uint64_t key);

/* Remove `node`, which is in this tree. */
void tri_ordered_remove(struct tri_ordered *self, struct tri_ordered_node *node);

/* Remove and insert again under another key. */
void tri_ordered_move(struct tri_ordered *self, struct tri_ordered_node *node, uint64_t key);

/* The first node with exactly this key, or NULL. */
struct tri_ordered_node *tri_ordered_find(const struct tri_ordered *self, uint64_t key);

/* The last node whose key is at most `key`; the first whose key is at least `key`; or NULL. */
struct tri_ordered_node *tri_ordered_at_most(const struct tri_ordered *self, uint64_t key);
struct tri_ordered_node *tri_ordered_at_least(const struct tri_ordered *self, uint64_t key);

/* The ends, or NULL when empty. */
struct tri_ordered_node *tri_ordered_first(const struct tri_ordered *self);
struct tri_ordered_node *tri_ordered_last(const struct tri_ordered *self);

/* The neighbours in order, or NULL at the end. */
struct tri_ordered_node *tri_ordered_next(const struct tri_ordered_node *node);
struct tri_ordered_node *tri_ordered_prev(const struct tri_ordered_node *node);

/* Verify order, balance and links; assert on the first that is broken. O(n). */
void tri_ordered_check(const struct tri_ordered *self);

#endif
