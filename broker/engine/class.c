#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the key -------------------------------------------------------------------------------- */

static bool label_before(struct tri_bytes a, struct tri_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size != 0 ? memcmp(a.data, b.data, size) : 0;

    return order != 0 ? order < 0 : a.size < b.size;
}

static size_t sorted_labels(struct tri_list list, struct tri_bytes labels[64])
{
    struct tri_rec_text label;
    size_t count = 0;

    while (count < 64 && tri_list_next(&list, TRI_RECORD_TEXT, &label)) {
        size_t at = count++;

        for (; at > 0 && label_before(label.text, labels[at - 1]); at--)
            labels[at] = labels[at - 1];
        labels[at] = label.text;
    }
    return count;
}

static void append_text(struct tri_buffer *key, struct tri_bytes text)
{
    tri_buffer_append(key, text.data, text.size);
    tri_buffer_append(key, "", 1);
}

/* A mark for a plugin's handler, the handler, the labels in order: NUL-terminated each. */
static void make_key(const struct tri_rec_spec *spec, struct tri_buffer *key)
{
    struct tri_bytes labels[64];
    size_t count = sorted_labels(spec->labels, labels);

    tri_buffer_clear(key);
    tri_buffer_append(key, spec->plugin.size != 0 ? "p" : "h", 1);
    append_text(key, spec->handler);
    for (size_t i = 0; i < count; i++)
        append_text(key, labels[i]);
}

static struct tri_bytes text_at(const struct class *self, size_t at)
{
    return tri_bytes_of((const char *)self->key + at);
}

struct tri_bytes class_handler(const struct class *self)
{
    return text_at(self, 1);
}

/* ---- matching ------------------------------------------------------------------------------- */

const char *class_mismatch(const struct class *self,
                           const struct worker *worker,
                           char *text,
                           size_t size)
{
    struct tri_bytes handler = class_handler(self);

    if (!self->any_handler && tri_bytemap_find(&worker->handlers, handler) == NULL) {
        snprintf(text, size, "does not offer the handler %s", (const char *)handler.data);
        return text;
    }
    for (size_t at = 1 + handler.size + 1; at < self->key_size;) {
        struct tri_bytes label = text_at(self, at);

        if (tri_bytemap_find(&worker->labels, label) == NULL) {
            snprintf(text, size, "does not have the label %s", (const char *)label.data);
            return text;
        }
        at += label.size + 1;
    }
    return NULL;
}

static void link_if_matching(struct class *self, struct worker *worker)
{
    char text[160];
    struct link *link;

    if (class_mismatch(self, worker, text, sizeof(text)) != NULL)
        return;
    link = tri_alloc(1, sizeof(*link));
    link->worker = worker;
    link->class = self;
    tri_dlist_push_back(&worker->links, &link->of_worker);
    tri_dlist_push_back(&self->links, &link->of_class);
}

static void unplace(struct link *link)
{
    struct class *class = link->class;

    if (tri_dlist_is_linked(&link->idle))
        tri_dlist_remove(link->is_hungry ? &class->hungry : &class->roomy, &link->idle);
}

static void free_link(struct link *link)
{
    unplace(link);
    tri_dlist_remove(&link->worker->links, &link->of_worker);
    tri_dlist_remove(&link->class->links, &link->of_class);
    free(link);
}

void class_place_worker(struct worker *worker)
{
    tri_dlist_foreach(&worker->links, node)
    {
        struct link *link = tri_container_of(node, struct link, of_worker);
        struct class *class = link->class;

        unplace(link);
        link->is_hungry = worker->appetite == WORKER_HUNGRY;
        if (worker->appetite != WORKER_FULL)
            tri_dlist_push_back(link->is_hungry ? &class->hungry : &class->roomy, &link->idle);
    }
}

void class_add_worker(struct engine *engine, struct worker *worker)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&engine->classes, &at, &key, &value);)
        link_if_matching(value.pointer, worker);
    class_place_worker(worker);
}

void class_remove_worker(struct worker *worker)
{
    while (!tri_dlist_is_empty(&worker->links))
        free_link(tri_container_of(tri_dlist_first(&worker->links), struct link, of_worker));
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct class *class_new(struct engine *engine, struct tri_bytes key)
{
    struct class *self = tri_alloc(1, sizeof(*self));

    tri_assert(key.data != NULL);
    self->key = tri_alloc(1, key.size);
    memcpy(self->key, key.data, key.size);
    self->key_size = key.size;
    self->any_handler = key.data[0] == 'p';
    tri_dlist_init(&self->links);
    tri_dlist_init(&self->hungry);
    tri_dlist_init(&self->roomy);
    tri_dlist_init(&self->ranks);
    tri_dlist_init(&self->draining);
    tri_bytemap_init(&self->flows, engine->options.seed);
    tri_dlist_push_back(&engine->unused_classes, &self->unused);
    tri_dlist_foreach(&engine->workers, node)
    {
        link_if_matching(self, tri_container_of(node, struct worker, node));
    }
    tri_dlist_foreach(&self->links, node)
    {
        struct link *link = tri_container_of(node, struct link, of_class);

        link->is_hungry = link->worker->appetite == WORKER_HUNGRY;
        if (link->worker->appetite != WORKER_FULL)
            tri_dlist_push_back(link->is_hungry ? &self->hungry : &self->roomy, &link->idle);
    }
    return self;
}

static void class_free(struct class *self)
{
    while (!tri_dlist_is_empty(&self->links))
        free_link(tri_container_of(tri_dlist_first(&self->links), struct link, of_class));
    fair_free_flows(self);
    free(self->key);
    free(self);
}

/* A few classes without batches are kept: the next batch is often like the last one. */
static void evict_unused(struct engine *engine)
{
    while (engine->unused_classes.count > CLASS_UNUSED_MAX) {
        struct class *oldest =
            tri_container_of(tri_dlist_pop_front(&engine->unused_classes), struct class, unused);

        tri_bytemap_remove(&engine->classes, (struct tri_bytes){ oldest->key, oldest->key_size });
        class_free(oldest);
    }
}

struct class *class_of(struct engine *engine, const struct tri_rec_spec *spec)
{
    struct tri_bytes key;
    union tri_bytemap_value *value;
    struct class *self;

    make_key(spec, &engine->scratch);
    key = tri_buffer_bytes(&engine->scratch);
    value = tri_bytemap_find(&engine->classes, key);
    if (value != NULL)
        return value->pointer;
    if (engine->classes.count >= CLASS_COUNT_MAX + CLASS_UNUSED_MAX)
        return NULL;
    self = class_new(engine, key);
    tri_bytemap_at(&engine->classes, key, NULL)->pointer = self;
    return self;
}

void class_enter(struct engine *engine, struct class *self, struct batch *batch)
{
    if (self->batch_count++ == 0)
        tri_dlist_remove(&engine->unused_classes, &self->unused);
    batch->class = self;
    batch->flow = fair_flow(self, batch->principal, batch->priority);
    batch->flow->batch_count++;
}

void class_leave(struct engine *engine, struct class *self, struct batch *batch)
{
    fair_unlink(batch);
    fair_leave_flow(batch);
    batch->class = NULL;
    if (--self->batch_count == 0)
        tri_dlist_push_back(&engine->unused_classes, &self->unused);
    evict_unused(engine);
}

void class_destroy_all(struct engine *engine)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&engine->classes, &at, &key, &value);)
        class_free(value.pointer);
}
