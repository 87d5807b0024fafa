/* internal.h - what the files of the client session say to one another. Private.
 *
 * Memory: messages and frames are borrowed for the call, unless a row takes its frame.
 * Errors: TRI_MEMORY changes nothing and may be tried again.
 */
#ifndef TRI_CLIENT_INTERNAL_H
#define TRI_CLIENT_INTERNAL_H

#include "client/lib/state.h"

/* session.c, receive.c */
void tri_session_notice(struct tri_session *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whatever was on its way may be lost. */
void tri_session_forget_connection(struct tri_session *self, tri_time now);
uint64_t tri_session_request_id(struct tri_session *self);
/* Give a row's token back through an effect, then free it. */
void tri_session_release(struct tri_session *self, struct tri_row *row);

/* request.c */
struct tri_request *tri_request_find(struct tri_session *session, uint64_t id);
void tri_request_answer(struct tri_request *self, struct tri_bytes reply, struct tri_bytes body);
void tri_request_refuse(struct tri_request *self,
                        tri_time now,
                        const struct tri_msg_error *message,
                        uint64_t give_up_ms);
void tri_request_lost(struct tri_request *self);
void tri_request_give_up(struct tri_request *self);

/* follow.c, follow_events.c, follow_effect.c */
struct tri_follow *tri_follow_by_request(struct tri_session *session, uint64_t id);
struct tri_follow *tri_follow_by_number(struct tri_session *session, uint64_t number);
void tri_follow_free(struct tri_follow *self);
/* The state of a batch by its number on the wire. */
void tri_follow_set_state(struct tri_follow *self, uint64_t state);
/* Create the reducer that the spec names, if it names one. */
enum tri_status tri_follow_make_reducer(struct tri_follow *self,
                                        struct tri_bytes spec,
                                        struct tri_error *error);
/* Go back to where the broker is asked for this batch. */
void tri_follow_ask_again(struct tri_follow *self);
void tri_follow_on_accepted(struct tri_follow *self, const struct tri_msg_accepted *message);
enum tri_status tri_follow_on_attached(struct tri_follow *self,
                                       tri_time now,
                                       const struct tri_msg_attached *message,
                                       struct tri_error *error);
void tri_follow_on_error(struct tri_follow *self, tri_time now, const struct tri_msg_error *error);
void tri_follow_on_progress(struct tri_session *session,
                            tri_time now,
                            const struct tri_msg_progress *message);
void tri_follow_on_end(struct tri_session *session, const struct tri_msg_end *message);
void tri_follow_lost(struct tri_follow *self);
/* Somebody waits for its first answer, and not for ever. */
bool tri_follow_is_impatient(const struct tri_follow *self);
void tri_follow_give_up(struct tri_follow *self);
void tri_follow_fail(struct tri_follow *self, enum tri_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
tri_time tri_follow_deadline(const struct tri_follow *self);
void tri_follow_tick(struct tri_follow *self, tri_time now);
/* Failures of a batch with a reducer come as they happen: what would order them stays away. */
static inline bool tri_follow_in_order(const struct tri_follow *self)
{
    return !self->unordered && self->reducer == NULL;
}
/* When rows that cannot be given are to be taken for all that the window lets come, while more are
 * kept at the broker; TRI_NEVER: they are not. */
tri_time tri_rows_jam_at(const struct tri_follow *self);
/* The next message of this batch, encoded into session->out; `body` may be set to a chunk. */
enum tri_status tri_follow_effect(struct tri_follow *self, tri_time now, struct tri_bytes *body);
bool tri_error_is_temporary(uint64_t status);

/* patience.c: notices of batches that wait for room at the broker. */
void tri_patience_tick(struct tri_follow *self, tri_time now);
/* The broker has said itself that its store has none. */
void tri_patience_hear(struct tri_session *session, tri_time now);
/* A new batch is not accepted for now; `text` is why. */
void tri_patience_refuse(struct tri_follow *self, tri_time now, struct tri_bytes text);

/* append.c */
#define TRI_CHUNK_OFFSET_BYTES 4
#define TRI_CHUNK_HEAD_BYTES 20 /* of a chunk at most, with its first offset */
static inline size_t tri_append_builder_bytes(const struct tri_append *self)
{
    return self->builder.blob.size + (size_t)self->builder.count * TRI_CHUNK_OFFSET_BYTES;
}

/* The builder's arguments become a chunk. TRI_MEMORY changes nothing. */
enum tri_status tri_append_close_chunk(struct tri_append *self);
enum tri_status tri_append_init(struct tri_append *self, struct tri_session *session, bool open);
void tri_append_deinit(struct tri_append *self);
void tri_append_limits(struct tri_append *self);
/* The broker takes no more; the first reason stays. */
void tri_append_stop(struct tri_append *self, enum tri_status status, const char *text);
/* What the broker has: drop what is durable. `resend`: the rest goes out again. */
enum tri_status tri_append_resume(struct tri_append *self,
                                  uint64_t count,
                                  struct tri_bytes hash,
                                  uint64_t credit,
                                  bool resend,
                                  struct tri_error *error);
void tri_append_on_error(struct tri_follow *self,
                         tri_time now,
                         const struct tri_msg_error *message);
enum tri_status tri_append_effect(struct tri_follow *self, tri_time now, struct tri_bytes *body);

/* rows.c */
enum tri_status tri_rows_receive(struct tri_follow *self,
                                 tri_time now,
                                 const struct tri_msg_row *message,
                                 struct tri_bytes frame,
                                 void *token,
                                 bool *taken,
                                 struct tri_error *error);
void tri_rows_drop(struct tri_follow *self);
/* A row number is finished: acknowledge it. TRI_MEMORY changes nothing. */
enum tri_status tri_rows_finish(struct tri_follow *self,
                                tri_time now,
                                uint64_t number,
                                uint64_t bytes);
/* The next of `rows` from `at` on that are not withheld. */
bool tri_rows_next_to_ack(const struct tri_follow *self,
                          const struct tri_rangeset *rows,
                          uint64_t at,
                          struct tri_range *range);
enum tri_status tri_rows_ack_effect(struct tri_follow *self, tri_time now);
void tri_rows_hurry(struct tri_follow *self, tri_time now);

/* Go to the first task of run `row->run`. */
void tri_row_load_run(struct tri_row *row);

/* deliver.c: where a row stands in the order of delivery. */
uint64_t tri_row_key(const struct tri_follow *self, const struct tri_row *row);

#endif
