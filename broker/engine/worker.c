/* worker.c - what a session has when it is a worker's. */
#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* Keep the lists of HELLO as they came: WORKERS_INFO gives them out again. */
static void keep_offer(struct worker *self, const struct tri_msg_hello *hello)
{
    self->handlers_size = hello->handlers.size;
    self->handler_count = hello->handlers.count;
    self->labels_size = hello->labels.size;
    self->label_count = hello->labels.count;
    self->offer = tri_realloc(self->offer, self->handlers_size + self->labels_size + 1, 1);
    if (self->handlers_size != 0)
        memcpy(self->offer, hello->handlers.data, self->handlers_size);
    if (self->labels_size != 0)
        memcpy(self->offer + self->handlers_size, hello->labels.data, self->labels_size);
}

static void read_offer(struct engine *engine,
                       struct worker *self,
                       const struct tri_msg_hello *hello)
{
    struct tri_list handlers = hello->handlers;
    struct tri_list labels = hello->labels;
    struct tri_rec_handler handler;
    struct tri_rec_text label;

    tri_bytemap_clear(&self->handlers);
    tri_bytemap_clear(&self->labels);
    while (tri_list_next(&handlers, TRI_RECORD_HANDLER, &handler)) {
        tri_bytemap_at(&self->handlers, handler.name, NULL)->number = 1;
        if (engine->handlers.count < HANDLERS_KNOWN_MAX
            && tri_bytemap_find(&engine->handlers, handler.name) == NULL) {
            tri_bytemap_at(&engine->handlers, handler.name, NULL)->number = 1;
            stored_put_note(engine, engine->next_note++, NOTE_HANDLER, handler.name);
        }
    }
    while (tri_list_next(&labels, TRI_RECORD_TEXT, &label))
        tri_bytemap_at(&self->labels, label.text, NULL)->number = 1;
}

void worker_set_offer(struct engine *engine, struct worker *self, const struct tri_msg_hello *hello)
{
    keep_offer(self, hello);
    read_offer(engine, self, hello);
    self->width = hello->width != 0 ? hello->width : 1;
    class_remove_worker(self);
    class_add_worker(engine, self);
    worker_touch(engine, self);
}

struct worker *worker_new(struct engine *engine,
                          struct session *session,
                          const struct tri_msg_hello *hello)
{
    struct worker *self = tri_alloc(1, sizeof(*self));

    self->session = session;
    self->heartbeat_at = engine->now;
    tri_bytemap_init(&self->handlers, engine->options.seed);
    tri_bytemap_init(&self->labels, engine->options.seed);
    tri_dlist_init(&self->links);
    tri_dlist_init(&self->berths);
    tri_map_init(&self->berth_by_batch);
    tri_dlist_push_back(&engine->workers, &self->node);
    session->worker = self;
    worker_set_offer(engine, self, hello);
    return self;
}

void worker_touch(struct engine *engine, struct worker *self)
{
    if (!tri_dlist_is_linked(&self->touched))
        tri_dlist_push_back(&engine->touched_workers, &self->touched);
}

void worker_disconnect(struct engine *engine, struct worker *self)
{
    tri_dlist_foreach(&self->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_worker);

        if (berth->state == BERTH_ASKED)
            berth_late(engine, berth);
    }
    worker_touch(engine, self);
}

/* A heartbeat has named something that had begun. */
static bool has_begun(const struct worker *self)
{
    tri_dlist_foreach(&self->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_worker);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            if (!tri_rangeset_is_empty(&tri_container_of(lease_node, struct lease, node)->started))
                return true;
        }
    }
    return false;
}

static uint64_t count_suspects(const struct worker *self)
{
    uint64_t count = 0;

    tri_dlist_foreach(&self->berths, node)
    {
        const struct berth *berth = tri_container_of(node, struct berth, of_worker);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            count += grade_is_suspect(&tri_container_of(lease_node, struct lease, node)->grade);
        }
    }
    return count;
}

void worker_give_back(struct engine *engine, struct worker *self, bool vanished)
{
    const struct last_words words = { has_begun(self), count_suspects(self) };

    tri_dlist_foreach(&self->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_worker);

        while (!tri_dlist_is_empty(&berth->leases)) {
            struct lease *lease =
                tri_container_of(tri_dlist_first(&berth->leases), struct lease, node);

            if (vanished)
                lease_vanish(engine, lease, &words);
            else
                lease_drop(engine, lease);
        }
        berth_destroy(engine, berth, false);
    }
}

void worker_destroy(struct engine *engine, struct worker *self)
{
    class_remove_worker(self);
    if (tri_dlist_is_linked(&self->touched))
        tri_dlist_remove(&engine->touched_workers,
                         &self->touched); /* postponed: not between steps */
    tri_dlist_remove(&engine->workers, &self->node);
    tri_bytemap_deinit(&self->handlers);
    tri_bytemap_deinit(&self->labels);
    tri_map_deinit(&self->berth_by_batch);
    free(self->offer);
    free(self);
}
