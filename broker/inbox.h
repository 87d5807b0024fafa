/* inbox.h - multipart messages to events.
 *
 * Frames: 0 the routing id, that the ROUTER puts there; 1 the message; 2..n payload. What cannot
 * be a message becomes BAD_MESSAGE, and the engine answers ERROR; only a routing id that does not
 * fit into an event is dropped, since nobody could be answered.
 *
 * Threads: one owner, the ROUTER's.
 * Memory:  an event borrows from the inbox until the next inbox_next.
 */
#ifndef BROKER_INBOX_H
#define BROKER_INBOX_H

#include "broker/engine/event.h"
#include "common/net/parts.h"

/* Payload frames of one message to the broker: one is all the protocol has. */
#define INBOX_PAYLOADS_MAX 16

/* Who every peer is as long as there are no keys. */
extern const struct tri_bytes inbox_principal;

struct inbox {
    struct tri_parts parts;
    struct tri_parts_limits limits;
    struct tri_message message;
    struct tri_bytes payloads[INBOX_PAYLOADS_MAX];
    struct tri_error error;
    struct event event;
    uint64_t dropped; /* messages whose routing id is too long */
};

void inbox_init(struct inbox *self, uint64_t message_bytes_max);
void inbox_deinit(struct inbox *self);

/* The next message of `router` as an event at `now`. TRI_EMPTY: none; TRI_SYSTEM: the socket
 * failed, `self->error` says how. */
enum tri_status inbox_next(struct inbox *self, void *router, tri_time now);

/* Payload i of the event at hand, to be kept by whoever stores it. */
static inline zmq_msg_t *inbox_payload(struct inbox *self, size_t i)
{
    return &self->parts.frames[2 + i];
}

#endif
