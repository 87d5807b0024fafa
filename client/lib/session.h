/* session.h - the client's side of the conversation with a broker, as a pure state machine.
 *
 * What comes in: messages, the passing of time, and what the application asks (session.h, follow.h
 * and append.h). What goes out is never queued: tri_session_effect works the next effect out of the
 * state, so that after a lost connection it is enough to mark what the broker may have missed.
 *
 *     DOWN --(retry time: CONNECT)--> GREETING --(WELCOME)--> UP --(lost)--> DOWN
 *       DOWN, GREETING --(ERROR that no retry mends)--> REFUSED, which is the end
 *
 * A connection is lost when three heartbeats stand unanswered, and on NO_SESSION, BYE, a message
 * that cannot be read, and memory that ran out in the middle of one. Each new connection is a fresh
 * socket, to the next endpoint of the list when the last one did not answer.
 *
 * Time:    milliseconds in `now`, which never goes backwards; no clock is read here.
 * Threads: one session and all that belongs to it have one owner at a time.
 * Memory:  a body frame that was kept is named by the caller's token until a RELEASE effect gives
 *          it back; call tri_session_close and take all effects before tri_session_destroy.
 * Errors:  TRI_MEMORY from a call about a message also loses the connection: the broker will send
 *          again what was missed.
 */
#ifndef TRI_CLIENT_SESSION_H
#define TRI_CLIENT_SESSION_H

#include "common/proto/message.h"
#include "common/types.h"

struct tri_session;
struct tri_request;

struct tri_session_options {
    struct tri_uuid instance;
    const char *name; /* copied, cut at 64 bytes */
    const char *software;
    uint64_t pid;
    size_t endpoint_count; /* at least 1 */
    uint64_t seed;         /* for jitter */
    uint64_t give_up_ms;   /* what was never accepted fails after that long without a broker */
};

#define TRI_LINK_MAP(X)                                       \
    X(DOWN, "no connection; the next try is at a known time") \
    X(GREETING, "HELLO is on its way")                        \
    X(UP, "the broker knows us")                              \
    X(REFUSED, "the broker said something that no retry can mend")

enum tri_link {
#define X(name, text) TRI_LINK_##name,
    TRI_LINK_MAP(X)
#undef X
};

#define TRI_CLIENT_EFFECT_MAP(X)                                            \
    X(CONNECT, "close the socket, open a fresh one to endpoint `endpoint`") \
    X(SEND, "send `frames` as one message")                                 \
    X(RELEASE, "the frame that `token` names is not needed any more")       \
    X(NOTICE, "tell the user `text`")

enum tri_client_effect_type {
#define X(name, text) TRI_CLIENT_##name,
    TRI_CLIENT_EFFECT_MAP(X)
#undef X
};

/* Everything in it is borrowed until the next call with the session. */
struct tri_client_effect {
    enum tri_client_effect_type type;
    size_t endpoint;
    struct tri_bytes frames[2];
    size_t frame_count;
    void *token;
    const char *text;
};

/* TRI_OK, or TRI_MEMORY. The first connection is due at once. */
enum tri_status tri_session_new(struct tri_session **session,
                                const struct tri_session_options *options,
                                tri_time now);

/* Drop every request and followed batch; what is left are RELEASE effects and a BYE. */
void tri_session_close(struct tri_session *self);
void tri_session_destroy(struct tri_session **self);

/* ---- the connection ------------------------------------------------------------------------- */

/* A message of the broker. `body` is frame 1, or NULL. `*taken` says that the body is kept and will
 * be released by `token`; it stays in place until then. */
enum tri_status tri_session_receive(struct tri_session *self,
                                    tri_time now,
                                    struct tri_bytes head,
                                    const struct tri_bytes *body,
                                    void *token,
                                    bool *taken,
                                    struct tri_error *error);

/* The connection does not work: open another one. `why` is for the notice. */
void tri_session_lose(struct tri_session *self, tri_time now, const char *why);

/* Time has passed: do what is due. */
void tri_session_tick(struct tri_session *self, tri_time now);

/* When the next tick is due, or TRI_NEVER. */
tri_time tri_session_deadline(const struct tri_session *self);

/* The caller is about to wait: half-full chunks leave, consumed rows are acknowledged soon.
 * TRI_MEMORY when a chunk could not be closed; it stays where it is. */
enum tri_status tri_session_settle(struct tri_session *self, tri_time now);

/* The next thing to do: TRI_OK, TRI_EMPTY, or TRI_MEMORY (nothing is lost, ask again). */
enum tri_status tri_session_effect(struct tri_session *self,
                                   tri_time now,
                                   struct tri_client_effect *effect);

enum tri_link tri_session_link(const struct tri_session *self);

/* TRI_OK while the session can do its work, sooner or later; else why it never will. */
enum tri_status tri_session_failure(const struct tri_session *self, struct tri_error *error);

/* What the broker said last when it did not let us in, or "". */
const char *tri_session_last_word(const struct tri_session *self);

/* The broker's caps, known once it has said WELCOME. */
uint64_t tri_session_item_bytes_max(const struct tri_session *self);

/* TRI_FEATURE_...: what broker and client both understand, once it has said WELCOME. */
uint64_t tri_session_features(const struct tri_session *self);

/* ---- requests that have one answer ---------------------------------------------------------- */

/* Ask; `message`'s request number is filled in. A `repeatable` one is asked again after a lost
 * connection, others are answered TRI_UNREACHABLE then. TRI_MEMORY. */
enum tri_status tri_session_request(struct tri_session *self,
                                    tri_time now,
                                    const struct tri_message *message,
                                    bool repeatable,
                                    struct tri_request **request);

/* TRI_EMPTY while unanswered, TRI_OK, or the status and text of the answer. */
enum tri_status tri_request_outcome(const struct tri_request *self, struct tri_error *error);

/* Frame 0 of the answer, once that is TRI_OK; borrowed until the request is closed. */
struct tri_bytes tri_request_reply(const struct tri_request *self);

/* Frame 1, likewise; empty when there is none. */
struct tri_bytes tri_request_body(const struct tri_request *self);

/* True when it was sent more than once: the broker may have done it before. */
bool tri_request_was_repeated(const struct tri_request *self);

void tri_request_close(struct tri_request **self);

#endif
