/* peer.h - a raw peer: a DEALER, the codec and nothing else. Receiving waits, with a bound, for
 * the message that the test names; anything else that comes fails the test.
 */
#ifndef TESTS_E2E_BROKER_PEER_H
#define TESTS_E2E_BROKER_PEER_H

#include "common/net/parts.h"
#include "common/proto/codec.h"

struct peer {
    void *context;
    void *socket;
    struct tri_uuid instance;
    struct tri_parts parts;
    struct tri_message message; /* the last one received */
};

/* Connect. Peers of one test may share a context (NULL: a new one). */
struct peer peer_open(const char *endpoint, void *context);
/* The same, and its libzmq takes one message only until that is received. */
struct peer peer_open_deaf(const char *endpoint);
void peer_close(struct peer *self);

void peer_send(struct peer *self, const struct tri_message *message);
void peer_send_payload(struct peer *self,
                       const struct tri_message *message,
                       struct tri_bytes payload);

/* Send any bytes as `count` frames of `size` bytes. */
void peer_send_raw(struct peer *self, const void *bytes, size_t size, size_t count);

void peer_hello(struct peer *self, enum tri_role role);
void peer_heartbeat(struct peer *self, uint64_t seq);

/* A message has come. */
bool peer_is_readable(struct peer *self);

/* The next message, whatever it is. */
const struct tri_message *peer_next(struct peer *self);

/* The next message is a `type`; it stays valid until the next one. */
const struct tri_message *peer_expect(struct peer *self, enum tri_message_type type);

/* Skip everything up to the next message of `type`. */
const struct tri_message *peer_await(struct peer *self, enum tri_message_type type);

/* The next message is ERROR with `status`. */
const struct tri_message *peer_expect_error(struct peer *self, enum tri_status status);

/* Nothing comes for `ms`. */
void peer_expect_silence(struct peer *self, int ms);

/* HELLO and WELCOME. */
void peer_join(struct peer *self, enum tri_role role);

/* Submit a batch whose spec has more than `bytes` (a worker has offered `echo`): its number. */
uint64_t peer_submit_large(struct peer *self, size_t bytes);

/* Ask `times` to SHOW it, and do not wait for the answers. */
void peer_ask(struct peer *self, uint64_t number, uint64_t times);

/* A worker that offers the handler `echo` joins. */
void peer_join_worker(struct peer *self);

#endif
