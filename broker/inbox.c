#include "broker/inbox.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <string.h>

const struct tri_bytes inbox_principal = { (const uint8_t *)"local", 5 };

void inbox_init(struct inbox *self, uint64_t message_bytes_max)
{
    *self = (struct inbox){ 0 };
    tri_parts_init(&self->parts);
    self->limits.frames_max = 2 + INBOX_PAYLOADS_MAX;
    /* Frame 0 and the payload may each be as large as one frame may be. */
    self->limits.bytes_max = (size_t)message_bytes_max * 2;
}

void inbox_deinit(struct inbox *self)
{
    tri_parts_deinit(&self->parts);
}

static void set_bad(struct inbox *self, enum tri_status status)
{
    self->event.type = EVENT_BAD_MESSAGE;
    self->event.status = status;
    self->event.text = self->error.text;
}

static void decode(struct inbox *self)
{
    enum tri_status status;

    if (self->parts.count < 2) {
        set_bad(self, tri_fail(&self->error, TRI_INVALID, "a message without frames"));
        return;
    }
    status =
        tri_message_decode(tri_msg_bytes(&self->parts.frames[1]), &self->message, &self->error);
    if (status != TRI_OK) {
        set_bad(self, status);
        return;
    }
    self->event.type = EVENT_MESSAGE;
    self->event.message = &self->message;
    self->event.frames = self->payloads;
    self->event.frame_count = self->parts.count - 2;
    for (size_t i = 0; i < self->event.frame_count; i++)
        self->payloads[i] = tri_msg_bytes(inbox_payload(self, i));
}

/* The sender, from frame 0. False: its routing id is longer than any that libzmq makes. */
static bool set_peer(struct inbox *self)
{
    struct tri_bytes id = tri_msg_bytes(&self->parts.frames[0]);
    struct peer_id *peer = &self->event.peer;

    if (id.size > sizeof(peer->bytes))
        return false;
    peer->size = (uint8_t)id.size;
    memcpy(peer->bytes, id.data, id.size);
    return true;
}

enum tri_status inbox_next(struct inbox *self, void *router, tri_time now)
{
    for (;;) {
        enum tri_status status =
            tri_parts_receive(&self->parts, router, ZMQ_DONTWAIT, &self->limits, &self->error);

        tri_assert(status != TRI_MEMORY);
        if (status != TRI_OK && status != TRI_TOO_LARGE)
            return status;
        self->event = (struct event){
            .now = now,
            .principal = inbox_principal,
        };
        if (!set_peer(self)) {
            self->dropped++;
            continue;
        }
        if (status == TRI_TOO_LARGE)
            set_bad(self, status);
        else
            decode(self);
        return TRI_OK;
    }
}
