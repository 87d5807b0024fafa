/* story.h - a client session and a broker made of paper: what tests of the session say.
 *
 * Time stands still unless a test says otherwise. Every effect that the session wants performed
 * is collected at once; tests take them off one by one with the expect functions.
 */
#ifndef TEST_CLIENT_STORY_H
#define TEST_CLIENT_STORY_H

#include "client/lib/follow.h"
#include "common/buffer.h"
#include "common/proto/chunk.h"
#include "tests/unit/unit.h"

#define STORY_EFFECTS_MAX 4096
#define STORY_ENDPOINTS 3
#define STORY_GIVE_UP_MS 5000

struct story_effect {
    enum tri_client_effect_type type;
    size_t endpoint;
    struct tri_buffer frames[2];
    struct tri_message message; /* of frames[0] */
    char text[600];
};

struct story {
    struct tri_session *session;
    tri_time now;
    struct story_effect *effects;
    size_t effect_count;
    size_t effect_at;
    size_t kept;     /* frames the session holds */
    uint8_t cluster; /* of the broker */
    struct tri_error error;
};

/* A session that has just been made; or one that is UP, with nothing left to do. */
struct story story_new(void);
struct story story_up(void);

/* Close and free everything; every frame kept must have been given back. */
void story_end(struct story *self);

void time_passes_ms(struct story *self, uint64_t ms);

/* Collect the effects of the session. */
void story_perform(struct story *self);

/* The next effect must be a message of this type; it stays readable until the end of the story. */
const struct tri_message *expect_message(struct story *self, enum tri_message_type type);
struct tri_bytes last_body(const struct story *self);
void expect_connect(struct story *self, size_t endpoint);
void expect_notice(struct story *self, const char *part);
void expect_nothing(struct story *self);

/* Skip whatever is left. */
void story_skip(struct story *self);

/* ---- the broker speaks ---------------------------------------------------------------------- */

void broker_says(struct story *self,
                 const struct tri_message *message,
                 const struct tri_bytes *body);
void broker_sends_bytes(struct story *self, struct tri_bytes frame);
void broker_welcomes(struct story *self);
void broker_answers_error(struct story *self,
                          uint64_t request,
                          enum tri_status status,
                          uint64_t retry_after_ms);
void broker_beats(struct story *self, uint64_t seq);
void broker_appended(
    struct story *self, uint64_t number, uint64_t count, const uint8_t hash[16], uint64_t credit);
void broker_attached(struct story *self,
                     uint64_t request,
                     uint64_t number,
                     uint64_t count,
                     const uint8_t hash[16],
                     uint64_t credit);
void broker_ends(struct story *self, uint64_t number, uint64_t count, uint64_t done);

/* Rows. The value of task i is the integer 3 i + generation. `counted` may be NULL: all. */
void broker_row(struct story *self,
                uint64_t number,
                uint64_t row,
                uint64_t generation,
                const struct tri_range *runs,
                size_t run_count,
                const struct tri_range *counted,
                size_t counted_count);
void broker_run(struct story *self, uint64_t number, uint64_t row, uint64_t first, uint64_t count);
/* Failures of the tasks given, in the order given. */
void broker_entries(struct story *self,
                    uint64_t number,
                    uint64_t row,
                    uint64_t generation,
                    const uint64_t *indexes,
                    size_t count);

/* ---- the client's batches ------------------------------------------------------------------- */

/* Batch 7, accepted, with this credit. Items may be added, or a range. */
struct tri_follow *batch_open(struct story *self, uint64_t credit);
struct tri_follow *batch_range(struct story *self, uint64_t count, bool unordered);

/* Open, and its results are not asked for. */
struct tri_follow *batch_detached(struct story *self, uint64_t credit);
struct tri_follow *batch_reduced(struct story *self, const char *reducer);

/* Add the integers first, first + 1, ... */
void batch_adds(struct story *self, struct tri_follow *follow, int64_t first, int64_t count);

/* The hash that a broker has after the integers 0 .. count-1. */
void hash_of(uint64_t count, uint8_t hash[16]);

/* The connection breaks and is made again; the session is UP afterwards. */
void connection_breaks(struct story *self);
void connection_is_lost(struct story *self);
void connection_returns(struct story *self);

/* Take results until none is here; returns how many. They must be tasks first, first + 1, ... with
 * their values. */
uint64_t results_in_order(struct story *self, struct tri_follow *follow, uint64_t first);

/* The batch has ended and everything of it was given. */
void expect_end(struct story *self, struct tri_follow *follow);

/* An ACK of exactly these rows is sent. */
void expect_ack(struct story *self, uint64_t first, uint64_t count);

#endif
