/* An AVL tree with parent pointers. A node carries its height (a leaf has 1), a missing subtree has
 * 0; after a change the path to the root is walked until nothing changes any more. */
#include "common/ordered.h"

#include "common/assert.h"

static int height_of(const struct tri_ordered_node *node)
{
    return node != NULL ? node->height : 0;
}

static void height_update(struct tri_ordered_node *node)
{
    int left = height_of(node->left);
    int right = height_of(node->right);

    node->height = 1 + (left > right ? left : right);
}

/* Let `parent` point to `new_child` where it pointed to `old_child`. */
static void child_replace(struct tri_ordered *self,
                          struct tri_ordered_node *parent,
                          struct tri_ordered_node *old_child,
                          struct tri_ordered_node *new_child)
{
    if (parent == NULL)
        self->root = new_child;
    else if (parent->left == old_child)
        parent->left = new_child;
    else
        parent->right = new_child;
    if (new_child != NULL)
        new_child->parent = parent;
}

/* Raise the right (left) child of `node` above it. Returns that child. */
static struct tri_ordered_node *rotate_left(struct tri_ordered *self, struct tri_ordered_node *node)
{
    struct tri_ordered_node *child = node->right;

    child_replace(self, node->parent, node, child);
    node->right = child->left;
    if (node->right != NULL)
        node->right->parent = node;
    child->left = node;
    node->parent = child;
    height_update(node);
    height_update(child);
    return child;
}

static struct tri_ordered_node *rotate_right(struct tri_ordered *self,
                                             struct tri_ordered_node *node)
{
    struct tri_ordered_node *child = node->left;

    child_replace(self, node->parent, node, child);
    node->left = child->right;
    if (node->left != NULL)
        node->left->parent = node;
    child->right = node;
    node->parent = child;
    height_update(node);
    height_update(child);
    return child;
}

/* Restore balance from `node` up to the root; stop where a height stays what it was. */
static void rebalance(struct tri_ordered *self, struct tri_ordered_node *node)
{
    while (node != NULL) {
        int before = node->height;
        int lean = height_of(node->left) - height_of(node->right);

        if (lean > 1) {
            if (height_of(node->left->left) < height_of(node->left->right))
                rotate_left(self, node->left);
            node = rotate_right(self, node);
        } else if (lean < -1) {
            if (height_of(node->right->right) < height_of(node->right->left))
                rotate_right(self, node->right);
            node = rotate_left(self, node);
        } else {
            height_update(node);
        }
        if (node->height == before)
            return;
        node = node->parent;
    }
}

void tri_ordered_insert(struct tri_ordered *self, struct tri_ordered_node *node, uint64_t key)
{
    struct tri_ordered_node *parent = NULL;
    struct tri_ordered_node **link = &self->root;

    tri_assert(node->height == 0);
    while (*link != NULL) {
        parent = *link;
        link = key < parent->key ? &parent->left : &parent->right;
    }
    *node = (struct tri_ordered_node){ .parent = parent, .key = key, .height = 1 };
    *link = node;
    rebalance(self, parent);
}

void tri_ordered_remove(struct tri_ordered *self, struct tri_ordered_node *node)
{
    struct tri_ordered_node *from = node->parent;

    tri_assert(node->height != 0);
    if (node->left == NULL) {
        child_replace(self, node->parent, node, node->right);
    } else if (node->right == NULL) {
        child_replace(self, node->parent, node, node->left);
    } else {
        struct tri_ordered_node *heir = node->right;

        while (heir->left != NULL)
            heir = heir->left;
        from = heir;
        if (heir->parent != node) {
            from = heir->parent;
            child_replace(self, heir->parent, heir, heir->right);
            heir->right = node->right;
            heir->right->parent = heir;
        }
        heir->left = node->left;
        heir->left->parent = heir;
        heir->height = node->height;
        child_replace(self, node->parent, node, heir);
    }
    rebalance(self, from);
    *node = (struct tri_ordered_node){ 0 };
}

void tri_ordered_move(struct tri_ordered *self, struct tri_ordered_node *node, uint64_t key)
{
    tri_ordered_remove(self, node);
    tri_ordered_insert(self, node, key);
}

struct tri_ordered_node *tri_ordered_at_most(const struct tri_ordered *self, uint64_t key)
{
    struct tri_ordered_node *node = self->root;
    struct tri_ordered_node *best = NULL;

    while (node != NULL) {
        if (node->key <= key) {
            best = node;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return best;
}

struct tri_ordered_node *tri_ordered_at_least(const struct tri_ordered *self, uint64_t key)
{
    struct tri_ordered_node *node = self->root;
    struct tri_ordered_node *best = NULL;

    while (node != NULL) {
        if (node->key >= key) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct tri_ordered_node *tri_ordered_find(const struct tri_ordered *self, uint64_t key)
{
    struct tri_ordered_node *node = tri_ordered_at_least(self, key);

    return node != NULL && node->key == key ? node : NULL;
}

struct tri_ordered_node *tri_ordered_first(const struct tri_ordered *self)
{
    struct tri_ordered_node *node = self->root;

    while (node != NULL && node->left != NULL)
        node = node->left;
    return node;
}

struct tri_ordered_node *tri_ordered_last(const struct tri_ordered *self)
{
    struct tri_ordered_node *node = self->root;

    while (node != NULL && node->right != NULL)
        node = node->right;
    return node;
}

struct tri_ordered_node *tri_ordered_next(const struct tri_ordered_node *node)
{
    struct tri_ordered_node *parent = node->parent;

    if (node->right != NULL) {
        struct tri_ordered_node *next = node->right;

        while (next->left != NULL)
            next = next->left;
        return next;
    }
    while (parent != NULL && parent->right == node) {
        node = parent;
        parent = parent->parent;
    }
    return parent;
}

struct tri_ordered_node *tri_ordered_prev(const struct tri_ordered_node *node)
{
    struct tri_ordered_node *parent = node->parent;

    if (node->left != NULL) {
        struct tri_ordered_node *prev = node->left;

        while (prev->right != NULL)
            prev = prev->right;
        return prev;
    }
    while (parent != NULL && parent->left == node) {
        node = parent;
        parent = parent->parent;
    }
    return parent;
}

/* Height of a verified subtree. Recursion is as deep as the tree is high. */
static int subtree_check(const struct tri_ordered_node *node)
{
    int left;
    int right;

    if (node == NULL)
        return 0;
    tri_assert(node->left == NULL || (node->left->parent == node && node->left->key <= node->key));
    tri_assert(node->right == NULL
               || (node->right->parent == node && node->right->key >= node->key));
    left = subtree_check(node->left);
    right = subtree_check(node->right);
    tri_assert(left - right >= -1 && left - right <= 1);
    tri_assert(node->height == 1 + (left > right ? left : right));
    return node->height;
}

void tri_ordered_check(const struct tri_ordered *self)
{
    const struct tri_ordered_node *prev = NULL;

    tri_assert(self->root == NULL || self->root->parent == NULL);
    subtree_check(self->root);
    for (const struct tri_ordered_node *node = tri_ordered_first(self); node != NULL;
         node = tri_ordered_next(node)) {
        tri_assert(prev == NULL || prev->key <= node->key);
        prev = node;
    }
}
