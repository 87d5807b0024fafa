/* out.h - the effects of one step while they are being made.
 *
 * Everything that is encoded in a step goes into one buffer, so that a step allocates nothing once
 * the buffers have grown. Effects hold offsets until out_finish turns them into pointers.
 *
 * Memory: what out_finish returns is borrowed until the next out_begin.
 */
#ifndef ENGINE_OUT_H
#define ENGINE_OUT_H

#include "broker/engine/effect.h"
#include "common/buffer.h"
#include "common/proto/codec.h"

struct engine;
struct session;

struct out {
    struct tri_buffer bytes;
    struct effect *effects;
    size_t count;
    size_t capacity;
    bool writes;   /* there is a PUT or DELETE among them */
    uint64_t step; /* number of this one */
    struct attachment *attachments;
    size_t attachment_count;
    size_t attachment_capacity;
};

void out_init(struct out *self);
void out_deinit(struct out *self);

/* Forget the effects of the previous step. */
void out_begin(struct out *self);
struct effects out_finish(struct out *self);

/* Send to a routing id that has no session (or whose session does not matter). */
void out_answer(struct out *self, const struct peer_id *peer, const struct tri_message *message);

/* ERROR to a routing id, for no request. The text is cut to what a message may hold. */
void out_refuse(struct out *self,
                const struct peer_id *peer,
                enum tri_status status,
                uint64_t retry_after_ms,
                const char *text);

/* Send to a session; nothing happens while it has no connection. A waiting one leaves after the
 * step is durable. Returns whether it was sent. */
bool out_send(struct engine *engine,
              struct session *session,
              const struct tri_message *message,
              bool waits);

/* Tell what nobody relies on: it waits like any other, but not for a store that is full. */
void out_inform(struct engine *engine, struct session *session, const struct tri_message *message);

/* The same with a frame 1: values of one chunk, each cut to TRI_ARGUMENT_BYTES_MAX; none without
 * `parts`, which are copied. */
void out_inform_arguments(struct engine *engine,
                          struct session *session,
                          const struct tri_message *message,
                          const struct attachment *parts,
                          size_t count);

/* Acknowledge, after the step is durable; stands for what was said of `subject` before. */
void out_acknowledge(struct engine *engine,
                     struct session *session,
                     const struct tri_message *message,
                     uint64_t subject);

/* Send a lease with its payload frames; `attachments` is copied. */
bool out_send_payload(struct engine *engine,
                      struct session *session,
                      const struct tri_message *message,
                      const struct attachment *attachments,
                      size_t count,
                      bool waits);

/* Send a row: frame 0 as it is kept, with its payload. Always waits. */
bool out_send_kept(struct engine *engine,
                   struct session *session,
                   struct tri_bytes frame,
                   struct store_key payload);

/* ERROR for a request (0: for none). */
void out_error(struct engine *engine,
               struct session *session,
               uint64_t request,
               enum tri_status status,
               const char *format,
               ...) __attribute__((format(printf, 5, 6)));

/* ERROR with the time after which to try again. */
void out_busy(struct engine *engine,
              struct session *session,
              uint64_t request,
              uint64_t retry_after_ms,
              const char *text);
void out_no_space(struct engine *engine,
                  struct session *session,
                  uint64_t request,
                  uint64_t retry_after_ms,
                  const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* DONE for a request. */
void out_done(struct engine *engine, struct session *session, uint64_t request, uint64_t count);

/* Write a row. `frame` >= 0 names the event's frame that is its payload; otherwise `payload` is
 * copied. `head` is copied. */
void out_put(struct out *self, struct store_key key, struct tri_bytes head);
void out_put_frame(struct out *self,
                   struct store_key key,
                   struct tri_bytes head,
                   struct tri_bytes payload,
                   int frame);
void out_put_payload(struct out *self,
                     struct store_key key,
                     struct tri_bytes head,
                     struct tri_bytes payload);
/* True when this step has written that row. */
bool out_has_put(const struct out *self, const struct store_key *key);

void out_delete(struct out *self, struct store_key key);
void out_delete_batch(struct out *self, uint64_t batch);
void out_get(struct out *self, struct store_key key);

/* One line, "noun.past-participle key=value ...". Bytes from outside must be escaped before. */
void out_trace(struct out *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text bytes of a peer with everything unprintable as '?', for traces and reasons. */
const char *out_printable(struct tri_bytes bytes, char *text, size_t size);

#endif
