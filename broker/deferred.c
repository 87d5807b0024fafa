#include "broker/deferred.h"

#include <string.h>

void deferred_init(struct deferred *self)
{
    tri_dlist_init(&self->kept);
    tri_dlist_init(&self->free);
    for (size_t i = 0; i < DEFERRED_MAX; i++) {
        self->messages[i] = (struct deferred_message){ 0 };
        tri_dlist_push_back(&self->free, &self->messages[i].node);
    }
}

static struct deferred_message *message_of(struct tri_dlist_node *node)
{
    return tri_container_of(node, struct deferred_message, node);
}

void deferred_deinit(struct deferred *self)
{
    tri_dlist_foreach(&self->kept, node) zmq_msg_close(&message_of(node)->frame);
    deferred_init(self);
}

static bool is_for(const struct deferred_message *message, const struct peer_id *peer)
{
    return message->peer.size == peer->size
           && memcmp(message->peer.bytes, peer->bytes, peer->size) == 0;
}

/* An older one of the subject, or NULL. */
static struct deferred_message *find(struct deferred *self,
                                     const struct peer_id *peer,
                                     uint64_t subject)
{
    tri_dlist_foreach(&self->kept, node)
    {
        struct deferred_message *message = message_of(node);

        if (message->subject == subject && is_for(message, peer))
            return message;
    }
    return NULL;
}

void deferred_put(struct deferred *self,
                  tri_time now,
                  const struct peer_id *peer,
                  uint64_t subject,
                  zmq_msg_t *frame)
{
    struct deferred_message *message = find(self, peer, subject);

    if (message != NULL) {
        zmq_msg_close(&message->frame);
    } else {
        message = message_of(tri_dlist_pop_front(&self->free));
        tri_dlist_push_back(&self->kept, &message->node);
        message->peer = *peer;
        message->subject = subject;
        message->due = now + DEFERRED_MS;
    }
    zmq_msg_init(&message->frame);
    zmq_msg_move(&message->frame, frame);
}

tri_time deferred_deadline(const struct deferred *self)
{
    struct tri_dlist_node *node = tri_dlist_first(&self->kept);

    return node != NULL ? message_of(node)->due : TRI_NEVER;
}

static void take(struct deferred *self, struct deferred_message *message, zmq_msg_t *frame)
{
    zmq_msg_init(frame);
    zmq_msg_move(frame, &message->frame);
    tri_dlist_remove(&self->kept, &message->node);
    tri_dlist_push_back(&self->free, &message->node);
}

bool deferred_take(struct deferred *self, struct peer_id *peer, zmq_msg_t *frame)
{
    struct tri_dlist_node *node = tri_dlist_first(&self->kept);

    if (node == NULL)
        return false;
    *peer = message_of(node)->peer;
    take(self, message_of(node), frame);
    return true;
}

bool deferred_take_for(struct deferred *self, const struct peer_id *peer, zmq_msg_t *frame)
{
    tri_dlist_foreach(&self->kept, node)
    {
        if (!is_for(message_of(node), peer))
            continue;
        take(self, message_of(node), frame);
        return true;
    }
    return false;
}
