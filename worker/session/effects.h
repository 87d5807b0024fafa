/* effects.h - what is to be done, kept until the next step. Private to worker/session. */
#ifndef SESSION_EFFECTS_H
#define SESSION_EFFECTS_H

#include "worker/session/state.h"

void effects_begin(struct session *self);
void effects_deinit(struct session *self);

/* Memory until the next step. */
void *effects_alloc(struct session *self, size_t size);

/* Release one owner's share of `frame` at the next step: an effect may still name it. */
void effects_retire(struct session *self, struct tri_frame *frame);

/* A frame with the encoded message; the caller is its one owner. */
struct tri_frame *effects_encode(struct session *self, const struct tri_message *message);

/* Frames are borrowed: they get an owner more until the next step. */
void effects_send(struct session *self, struct tri_frame *head, struct tri_frame *body);
void effects_send_message(struct session *self, const struct tri_message *message);
void effects_host_send(struct session *self,
                       const struct host *host,
                       const struct tri_message *message,
                       struct tri_frame *const *frames,
                       size_t frame_count);
void effects_host_start(struct session *self, const struct host *host, enum tri_model model);
void effects_host_kill(struct session *self, const struct host *host, int signal);
void effects_host_end(struct session *self, const struct host *host);
void effects_connect(struct session *self, uint64_t after_ms);
void effects_exit(struct session *self, int status);
void effects_trace(struct session *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
