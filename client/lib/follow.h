/* follow.h - one batch that a client follows: its acceptance, its arguments on their way out, its
 * rows on their way in. Pure, part of the session.
 *
 *     SUBMITTING --(ACCEPTED)--> FOLLOWED <--(ATTACHED)-- ATTACHING
 *        lost: submitted again        lost: ATTACHING, with the rows consumed so far
 *     any --(ERROR)--> FAILED, which is the end
 *
 * Arguments gather in a builder; full chunks are kept until the broker's durable count covers them
 * and are sent again from there after a lost connection, when the hash over what it has agrees.
 * Rows are kept, not copied: a heap of rows by their next index gives the next run, so the cost is
 * per run, whatever the order of arrival. Each row is applied once, by its number.
 *
 * Time:    tri_follow_add and _next O(1) per task amortised; a run costs O(log rows).
 * Threads: the session's owner.
 * Memory:  what is given is borrowed until the next call on the same follow; held rows are bounded
 *          by the window, unacknowledged chunks by TRI_FLIGHT_BYTES_MAX and the broker's credit.
 * Errors:  TRI_MEMORY leaves everything as it was; the call may be repeated.
 */
#ifndef TRI_CLIENT_FOLLOW_H
#define TRI_CLIENT_FOLLOW_H

#include "client/lib/session.h"
#include "common/buffer.h"
#include "trireme/client.h"

#define TRI_CHUNK_TASKS 1000          /* of a chunk, at most */
#define TRI_CHUNK_BYTES 65536         /* about; a larger value goes alone */
#define TRI_CHUNK_TASKS_FIRST 16      /* the first chunk, doubling from there */
#define TRI_FLIGHT_BYTES_MAX 8388608u /* of chunks sent and not yet durable */
#define TRI_WINDOW_BYTES 33554432u
#define TRI_ACK_DELAY_MS 10

struct tri_follow;

struct tri_follow_options {
    struct tri_uuid uuid; /* submit */
    uint64_t number;      /* attach */
    bool owner;
    bool unordered;
    uint64_t window_bytes; /* 0: submit without following the results */
};

/* Begin to submit: name and spec are copied, open says that arguments follow. TRI_MEMORY, or what
 * is wrong with the reducer. */
enum tri_status tri_follow_submit(struct tri_session *session,
                                  const struct tri_follow_options *options,
                                  tri_time now,
                                  struct tri_bytes name,
                                  struct tri_bytes spec,
                                  bool open,
                                  struct tri_follow **follow,
                                  struct tri_error *error);

/* Begin to attach to a batch that exists. TRI_MEMORY, or TRI_CONFLICT: the session follows it. */
enum tri_status tri_follow_attach(struct tri_session *session,
                                  const struct tri_follow_options *options,
                                  tri_time now,
                                  struct tri_follow **follow);

/* Forget it here; its rows become RELEASE effects. */
void tri_follow_close(struct tri_follow **self);

/* TRI_EMPTY until it is first accepted or attached, then TRI_OK for good; or why it failed. */
enum tri_status tri_follow_state(const struct tri_follow *self, struct tri_error *error);

uint64_t tri_follow_number(const struct tri_follow *self);
const struct tri_uuid *tri_follow_uuid(const struct tri_follow *self);
bool tri_follow_is_absent(const struct tri_follow *self);

/* ---- arguments ------------------------------------------------------------------------------ */

/* Add one argument. TRI_BUSY: no room now. TRI_TOO_LARGE, TRI_INVALID (not one msgpack value),
 * TRI_CLOSED (sealed), or why the broker takes no more. */
enum tri_status tri_follow_add(struct tri_follow *self,
                               const struct tri_value *argument,
                               struct tri_error *error);
enum tri_status tri_follow_add_packed(struct tri_follow *self,
                                      struct tri_bytes packed,
                                      struct tri_error *error);

/* Close the chunk at hand, however small. */
enum tri_status tri_follow_flush(struct tri_follow *self, struct tri_error *error);

/* A closed chunk is ready to be sent. */
bool tri_follow_has_chunk(const struct tri_follow *self);

/* What was refused with TRI_BUSY would fit now, or will never. */
bool tri_follow_has_room(const struct tri_follow *self);

/* No more arguments; TRI_MEMORY. */
enum tri_status tri_follow_seal(struct tri_follow *self, struct tri_error *error);

/* TRI_OK when everything added is durable and the seal (if asked for) confirmed; TRI_EMPTY until
 * then; or why it will never be. */
enum tri_status tri_follow_durable(const struct tri_follow *self, struct tri_error *error);

/* ---- results -------------------------------------------------------------------------------- */

/* The next result (client.h). TRI_EMPTY: none here now; TRI_CLOSED: ended, and all were given. */
enum tri_status tri_follow_next(struct tri_follow *self,
                                tri_time now,
                                struct tri_task_result *result,
                                struct tri_error *error);

/* The next run of successes. TRI_EMPTY: none here now, or the next result is not a success (then
 * tri_follow_has_result is true). */
enum tri_status tri_follow_next_run(struct tri_follow *self,
                                    tri_time now,
                                    struct tri_result_run *run,
                                    struct tri_error *error);
bool tri_follow_has_result(const struct tri_follow *self);

/* Enough rows are consumed that the broker should hear of it now. */
bool tri_follow_has_acks(const struct tri_follow *self);

/* From now on what is consumed is acknowledged only when it has been passed on. */
void tri_follow_withhold(struct tri_follow *self);

/* What has been consumed so far is safe: it may be acknowledged; but partials of a batch that has
 * not ended only when they are very many. TRI_MEMORY. */
enum tri_status tri_follow_pass_on(struct tri_follow *self, tri_time now, struct tri_error *error);

/* Before closing: whatever is consumed is acknowledged now. */
void tri_follow_finish(struct tri_follow *self, tri_time now);

void tri_follow_summary(const struct tri_follow *self, struct tri_batch_summary *summary);

/* Append the reduced value as JSON. TRI_INVALID without a reducer. */
enum tri_status tri_follow_reduced(struct tri_follow *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error);

#endif
