/* The next thing to do, worked out of the state: releases and notices first, then the connection,
 * then whatever the broker has not been told yet. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"

#include <stdlib.h>
#include <string.h>

/* Encode `message` as the effect's frame 0. */
static enum tri_status encode(struct tri_session *self, const struct tri_message *message)
{
    tri_buffer_clear(&self->out);
    tri_message_encode(message, &self->out);
    return self->out.failed ? TRI_MEMORY : TRI_OK;
}

static enum tri_status hello(struct tri_session *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_HELLO };
    enum tri_status status;

    message.hello.version_min = TRI_PROTOCOL_VERSION;
    message.hello.version_max = TRI_PROTOCOL_VERSION;
    message.hello.features = TRI_FEATURES;
    message.hello.role = TRI_ROLE_CLIENT;
    message.hello.instance = (struct tri_bytes){ self->instance.bytes, 16 };
    message.hello.name = tri_bytes_of(self->name);
    message.hello.software = tri_bytes_of(self->software);
    message.hello.pid = self->pid;
    status = encode(self, &message);
    if (status == TRI_OK)
        self->hello_sent = true;
    return status;
}

static enum tri_status heartbeat(struct tri_session *self, tri_time now)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT };
    enum tri_status status;

    message.heartbeat.seq = self->heartbeat_seq + 1;
    status = encode(self, &message);
    if (status != TRI_OK)
        return status;
    self->heartbeat_seq++;
    self->heartbeats_unanswered++;
    self->heartbeat_at = now + self->heartbeat_ms;
    return TRI_OK;
}

/* A request's frame is its own; frame 0 is a view of it. */
static struct tri_request *next_request(struct tri_session *self, tri_time now)
{
    tri_dlist_foreach(&self->requests, node)
    {
        struct tri_request *request = tri_container_of(node, struct tri_request, node);

        if (request->status == TRI_EMPTY && !request->sent && now >= request->not_before)
            return request;
    }
    return NULL;
}

static enum tri_status next_of_follows(struct tri_session *self,
                                       tri_time now,
                                       struct tri_bytes *body)
{
    tri_dlist_foreach(&self->follows, node)
    {
        enum tri_status status =
            tri_follow_effect(tri_container_of(node, struct tri_follow, node), now, body);

        if (status != TRI_EMPTY)
            return status;
    }
    return TRI_EMPTY;
}

static enum tri_status bye(struct tri_session *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE };
    enum tri_status status = encode(self, &message);

    if (status == TRI_OK)
        self->bye_wanted = false;
    return status;
}

/* The next message, encoded into self->out unless it is a request's own frame. */
static enum tri_status next_message(struct tri_session *self,
                                    tri_time now,
                                    struct tri_client_effect *effect)
{
    struct tri_request *request;
    enum tri_status status;

    if (self->link == TRI_LINK_GREETING && !self->hello_sent)
        return hello(self);
    if (self->link != TRI_LINK_UP)
        return TRI_EMPTY;
    if (now >= self->heartbeat_at && self->heartbeats_unanswered < 3)
        return heartbeat(self, now);
    request = next_request(self, now);
    if (request != NULL) {
        request->sent = true;
        effect->frames[0] = tri_buffer_bytes(&request->frame);
        return TRI_OK;
    }
    status = next_of_follows(self, now, &effect->frames[1]);
    if (status == TRI_EMPTY && self->bye_wanted)
        return bye(self);
    return status;
}

static bool next_release(struct tri_session *self, struct tri_client_effect *effect)
{
    struct tri_dlist_node *node = tri_dlist_pop_front(&self->released);

    if (node == NULL)
        return false;
    self->releasing = tri_container_of(node, struct tri_row, node);
    effect->type = TRI_CLIENT_RELEASE;
    effect->token = self->releasing->token;
    return true;
}

enum tri_status tri_session_effect(struct tri_session *self,
                                   tri_time now,
                                   struct tri_client_effect *effect)
{
    enum tri_status status;

    *effect = (struct tri_client_effect){ 0 };
    free(self->releasing);
    self->releasing = NULL;
    if (next_release(self, effect))
        return TRI_OK;
    if (self->notice_wanted) {
        self->notice_wanted = false;
        effect->type = TRI_CLIENT_NOTICE;
        effect->text = self->notice;
        return TRI_OK;
    }
    if (self->connect_wanted) {
        self->connect_wanted = false;
        effect->type = TRI_CLIENT_CONNECT;
        effect->endpoint = self->endpoint;
        return TRI_OK;
    }
    status = next_message(self, now, effect);
    if (status != TRI_OK)
        return status;
    effect->type = TRI_CLIENT_SEND;
    if (effect->frames[0].size == 0)
        effect->frames[0] = tri_buffer_bytes(&self->out);
    effect->frame_count = effect->frames[1].size != 0 ? 2 : 1;
    return TRI_OK;
}
