#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* ---- where it is ---------------------------------------------------------------------------- */

static struct tri_bytes peer_bytes(const struct peer_id *peer)
{
    return (struct tri_bytes){ peer->bytes, peer->size };
}

struct session *session_find(struct engine *engine, const struct peer_id *peer)
{
    union tri_bytemap_value *value = tri_bytemap_find(&engine->routes, peer_bytes(peer));

    return value != NULL ? value->pointer : NULL;
}

void session_hear(struct engine *engine, struct session *self)
{
    self->heard = engine->now;
    if (self->node.next == &engine->sessions.ring)
        return; /* it is the last one heard already */
    tri_dlist_remove(&engine->sessions, &self->node);
    tri_dlist_push_back(&engine->sessions, &self->node);
}

void session_disconnect(struct engine *engine, struct session *self)
{
    if (!self->connected)
        return;
    tri_bytemap_remove(&engine->routes, peer_bytes(&self->peer));
    self->connected = false;
    question_drop_all(self);
    if (self->worker != NULL)
        worker_disconnect(engine, self->worker);
}

/* ---- life ----------------------------------------------------------------------------------- */

void session_connect(struct engine *engine, struct session *self, const struct peer_id *peer)
{
    session_disconnect(engine, self);
    self->peer = *peer;
    self->connected = true;
    self->greeted = false;
    tri_bytemap_at(&engine->routes, peer_bytes(peer), NULL)->pointer = self;
}

static void copy_text(char *out, size_t size, struct tri_bytes bytes)
{
    out_printable(bytes, out, size);
}

struct session *session_new(struct engine *engine, const struct event *event)
{
    const struct tri_msg_hello *hello = &event->message->hello;
    struct session *self = tri_alloc(1, sizeof(*self));

    self->role = (enum tri_role)hello->role;
    memcpy(self->instance.bytes, hello->instance.data, sizeof(self->instance.bytes));
    self->principal = engine_principal(engine, event->principal);
    copy_text(self->name, sizeof(self->name), hello->name);
    copy_text(self->software, sizeof(self->software), hello->software);
    self->pid = hello->pid;
    self->heard = engine->now;
    tri_dlist_init(&self->attachments);
    tri_dlist_init(&self->feeding);
    tri_dlist_init(&self->questions);
    tri_dlist_push_back(&engine->sessions, &self->node);
    tri_bytemap_at(&engine->instances, hello->instance, NULL)->pointer = self;
    return self;
}

static void free_session(struct engine *engine, struct session *self)
{
    struct tri_bytes instance = { self->instance.bytes, sizeof(self->instance.bytes) };

    session_disconnect(engine, self);
    tri_bytemap_remove(&engine->instances, instance);
    tri_dlist_remove(&engine->sessions, &self->node);
    if (self->worker != NULL)
        worker_destroy(engine, self->worker);
    free(self);
}

/* Its open batches have nobody who appends to them. */
static void abandon_feeding(struct engine *engine, struct session *self)
{
    while (!tri_dlist_is_empty(&self->feeding)) {
        struct batch *batch =
            tri_container_of(tri_dlist_first(&self->feeding), struct batch, feeding);

        batch_set_feeder(engine, batch, NULL);
    }
}

void session_end(struct engine *engine, struct session *self, enum session_end why)
{
    static const char *const words[] = { "left", "silent", "replaced" };

    out_trace(&engine->out, "session.ended name=%s why=%s", self->name, words[why]);
    while (!tri_dlist_is_empty(&self->attachments))
        post_destroy(
            engine, tri_container_of(tri_dlist_first(&self->attachments), struct post, of_session));
    abandon_feeding(engine, self);
    if (self->worker != NULL) {
        worker_give_back(engine, self->worker, why == SESSION_SILENT);
        reclaim_leave(engine, self);
    }
    free_session(engine, self);
}

void session_expire(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->sessions)) {
        struct session *oldest =
            tri_container_of(tri_dlist_first(&engine->sessions), struct session, node);

        if (engine->now - oldest->heard < engine->options.limits.lease_ms)
            break;
        session_end(engine, oldest, SESSION_SILENT);
    }
}

void session_destroy_all(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->sessions))
        free_session(engine,
                     tri_container_of(tri_dlist_first(&engine->sessions), struct session, node));
}
