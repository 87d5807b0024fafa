#include "common/heap.h"

#include "common/assert.h"

#include <stdlib.h>

static bool is_before(const struct tri_heap_node *a, const struct tri_heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void place(struct tri_heap *self, size_t at, struct tri_heap_node *node)
{
    self->nodes[at] = node;
    node->position = at + 1;
}

static void sift_up(struct tri_heap *self, size_t at, struct tri_heap_node *node)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (!is_before(node, self->nodes[parent]))
            break;
        place(self, at, self->nodes[parent]);
        at = parent;
    }
    place(self, at, node);
}

static void sift_down(struct tri_heap *self, size_t at, struct tri_heap_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= self->count)
            break;
        if (child + 1 < self->count && is_before(self->nodes[child + 1], self->nodes[child]))
            child++;
        if (!is_before(self->nodes[child], node))
            break;
        place(self, at, self->nodes[child]);
        at = child;
    }
    place(self, at, node);
}

/* Put `node` where it belongs, starting from the free place `at`. */
static void settle(struct tri_heap *self, size_t at, struct tri_heap_node *node)
{
    if (at > 0 && is_before(node, self->nodes[(at - 1) / 2]))
        sift_up(self, at, node);
    else
        sift_down(self, at, node);
}

void tri_heap_init(struct tri_heap *self)
{
    *self = (struct tri_heap){ 0 };
}

void tri_heap_deinit(struct tri_heap *self)
{
    free(self->nodes);
    *self = (struct tri_heap){ 0 };
}

bool tri_heap_reserve(struct tri_heap *self, size_t more)
{
    size_t capacity = self->capacity != 0 ? self->capacity : 16;
    struct tri_heap_node **nodes;

    if (self->capacity - self->count >= more)
        return true;
    while (capacity - self->count < more) {
        if (capacity > SIZE_MAX / 16)
            return false;
        capacity *= 2;
    }
    nodes = realloc(self->nodes, capacity * sizeof(*nodes));
    if (nodes == NULL)
        return false;
    self->nodes = nodes;
    self->capacity = capacity;
    return true;
}

void tri_heap_insert(struct tri_heap *self, struct tri_heap_node *node, uint64_t key)
{
    tri_assert(node->position == 0);
    if (!tri_heap_reserve(self, 1))
        tri_out_of_memory();
    node->key = key;
    node->order = self->order++;
    sift_up(self, self->count++, node);
}

void tri_heap_remove(struct tri_heap *self, struct tri_heap_node *node)
{
    size_t at = node->position - 1;
    struct tri_heap_node *last;

    tri_assert(node->position != 0 && at < self->count && self->nodes[at] == node);
    last = self->nodes[--self->count];
    node->position = 0;
    if (last != node)
        settle(self, at, last);
}

void tri_heap_update(struct tri_heap *self, struct tri_heap_node *node, uint64_t key)
{
    if (node->position == 0) {
        tri_heap_insert(self, node, key);
        return;
    }
    tri_assert(self->nodes[node->position - 1] == node);
    node->key = key;
    node->order = self->order++;
    settle(self, node->position - 1, node);
}

struct tri_heap_node *tri_heap_pop(struct tri_heap *self)
{
    struct tri_heap_node *node = tri_heap_peek(self);

    if (node != NULL)
        tri_heap_remove(self, node);
    return node;
}

void tri_heap_check(const struct tri_heap *self)
{
    tri_assert(self->count <= self->capacity);
    for (size_t i = 0; i < self->count; i++) {
        tri_assert(self->nodes[i]->position == i + 1);
        tri_assert(i == 0 || !is_before(self->nodes[i], self->nodes[(i - 1) / 2]));
    }
}
