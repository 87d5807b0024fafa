#include "common/heap.h"

#include "common/assert.h"

#include <stdlib.h>

#define CHILDREN 4

static bool is_before(const struct tri_heap_slot *a, const struct tri_heap_slot *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void place(struct tri_heap *self, size_t at, struct tri_heap_slot slot)
{
    self->slots[at] = slot;
    slot.node->position = at + 1;
}

static void sift_up(struct tri_heap *self, size_t at, struct tri_heap_slot slot)
{
    while (at > 0) {
        size_t parent = (at - 1) / CHILDREN;

        if (!is_before(&slot, &self->slots[parent]))
            break;
        place(self, at, self->slots[parent]);
        at = parent;
    }
    place(self, at, slot);
}

static size_t first_child(const struct tri_heap *self, size_t at)
{
    size_t child = CHILDREN * at + 1;
    size_t end = child + CHILDREN < self->count ? child + CHILDREN : self->count;
    size_t first = child;

    for (size_t i = child + 1; i < end; i++)
        if (is_before(&self->slots[i], &self->slots[first]))
            first = i;
    return first;
}

static void sift_down(struct tri_heap *self, size_t at, struct tri_heap_slot slot)
{
    while (CHILDREN * at + 1 < self->count) {
        size_t child = first_child(self, at);

        if (!is_before(&self->slots[child], &slot))
            break;
        place(self, at, self->slots[child]);
        at = child;
    }
    place(self, at, slot);
}

/* Put `slot` where it belongs, starting from the free place `at`. */
static void settle(struct tri_heap *self, size_t at, struct tri_heap_slot slot)
{
    if (at > 0 && is_before(&slot, &self->slots[(at - 1) / CHILDREN]))
        sift_up(self, at, slot);
    else
        sift_down(self, at, slot);
}

static struct tri_heap_slot slot_of(struct tri_heap *self, struct tri_heap_node *node, uint64_t key)
{
    node->key = key;
    node->order = self->order++;
    return (struct tri_heap_slot){ key, node->order, node };
}

void tri_heap_init(struct tri_heap *self)
{
    *self = (struct tri_heap){ 0 };
}

void tri_heap_deinit(struct tri_heap *self)
{
    free(self->slots);
    *self = (struct tri_heap){ 0 };
}

bool tri_heap_reserve(struct tri_heap *self, size_t more)
{
    size_t capacity = self->capacity != 0 ? self->capacity : 16;
    struct tri_heap_slot *slots;

    if (self->capacity - self->count >= more)
        return true;
    while (capacity - self->count < more) {
        if (capacity > SIZE_MAX / 64)
            return false;
        capacity *= 2;
    }
    slots = realloc(self->slots, capacity * sizeof(*slots));
    if (slots == NULL)
        return false;
    self->slots = slots;
    self->capacity = capacity;
    return true;
}

void tri_heap_insert(struct tri_heap *self, struct tri_heap_node *node, uint64_t key)
{
    tri_assert(node->position == 0);
    if (!tri_heap_reserve(self, 1))
        tri_out_of_memory();
    sift_up(self, self->count++, slot_of(self, node, key));
}

void tri_heap_remove(struct tri_heap *self, struct tri_heap_node *node)
{
    size_t at = node->position - 1;
    struct tri_heap_slot last;

    tri_assert(node->position != 0 && at < self->count && self->slots[at].node == node);
    last = self->slots[--self->count];
    node->position = 0;
    if (last.node != node)
        settle(self, at, last);
}

void tri_heap_update(struct tri_heap *self, struct tri_heap_node *node, uint64_t key)
{
    if (node->position == 0) {
        tri_heap_insert(self, node, key);
        return;
    }
    tri_assert(self->slots[node->position - 1].node == node);
    settle(self, node->position - 1, slot_of(self, node, key));
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
        const struct tri_heap_slot *slot = &self->slots[i];

        tri_assert(slot->node->position == i + 1);
        tri_assert(slot->key == slot->node->key && slot->order == slot->node->order);
        tri_assert(i == 0 || !is_before(slot, &self->slots[(i - 1) / CHILDREN]));
    }
}
