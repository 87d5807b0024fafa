/* list.h - intrusive doubly linked list: the node lives in the element, nothing is allocated.
 * (tri_list without the d is a list of records in a message.)
 * Time:    O(1) each.   Threads: one owner at a time.
 * Memory:  the list owns nothing; an element must be unlinked before it is freed.
 */
#ifndef TRI_LIST_H
#define TRI_LIST_H

#include "common/assert.h"

#include <stdbool.h>
#include <stddef.h>

struct tri_dlist_node {
    struct tri_dlist_node *next;
    struct tri_dlist_node *prev;
};

/* The head is a ring of itself and the elements. It must not move in memory once initialised. */
struct tri_dlist_head {
    struct tri_dlist_node ring;
    size_t count;
};

static inline void tri_dlist_init(struct tri_dlist_head *self)
{
    self->ring.next = self->ring.prev = &self->ring;
    self->count = 0;
}

static inline bool tri_dlist_is_empty(const struct tri_dlist_head *self)
{
    return self->ring.next == &self->ring;
}

/* A zeroed or removed node is linked nowhere. */
static inline bool tri_dlist_is_linked(const struct tri_dlist_node *node)
{
    return node->next != NULL;
}

static inline void tri_dlist_link(struct tri_dlist_head *self,
                                  struct tri_dlist_node *before,
                                  struct tri_dlist_node *node)
{
    tri_assert(node->next == NULL && before != NULL && before->prev != NULL);
    node->next = before;
    node->prev = before->prev;
    before->prev->next = node;
    before->prev = node;
    self->count++;
}

/* Insert `node` just before `before`, an element of the same list. */
static inline void tri_dlist_insert_before(struct tri_dlist_head *self,
                                           struct tri_dlist_node *before,
                                           struct tri_dlist_node *node)
{
    tri_dlist_link(self, before, node);
}

static inline void tri_dlist_push_front(struct tri_dlist_head *self, struct tri_dlist_node *node)
{
    tri_dlist_link(self, self->ring.next, node);
}

static inline void tri_dlist_push_back(struct tri_dlist_head *self, struct tri_dlist_node *node)
{
    tri_dlist_link(self, &self->ring, node);
}

/* Unlink `node`, an element of this list; its pointers are NULL afterwards. */
static inline void tri_dlist_remove(struct tri_dlist_head *self, struct tri_dlist_node *node)
{
    tri_assert(node->next != NULL && self->count > 0);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    self->count--;
}

/* The first or last element, or NULL. */
static inline struct tri_dlist_node *tri_dlist_first(const struct tri_dlist_head *self)
{
    return tri_dlist_is_empty(self) ? NULL : self->ring.next;
}

static inline struct tri_dlist_node *tri_dlist_last(const struct tri_dlist_head *self)
{
    return tri_dlist_is_empty(self) ? NULL : self->ring.prev;
}

/* The element after or before `node`, or NULL at the end. */
static inline struct tri_dlist_node *tri_dlist_next(const struct tri_dlist_head *self,
                                                    const struct tri_dlist_node *node)
{
    return node->next == &self->ring ? NULL : node->next;
}

static inline struct tri_dlist_node *tri_dlist_prev(const struct tri_dlist_head *self,
                                                    const struct tri_dlist_node *node)
{
    return node->prev == &self->ring ? NULL : node->prev;
}

/* Unlink and return the first element, or NULL. */
static inline struct tri_dlist_node *tri_dlist_pop_front(struct tri_dlist_head *self)
{
    struct tri_dlist_node *node = tri_dlist_first(self);

    if (node != NULL)
        tri_dlist_remove(self, node);
    return node;
}

/* Visit every element; the one at hand may be removed (and freed) in the body. */
#define tri_dlist_foreach(self, node)                                                 \
    for (struct tri_dlist_node *node = (self)->ring.next, *node##_next_ = node->next; \
         node != &(self)->ring; node = node##_next_, node##_next_ = node->next)

#endif
