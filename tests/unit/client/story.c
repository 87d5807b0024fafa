#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define WINDOW_BYTES (UINT64_C(1) << 20)

struct story story_new(void)
{
    struct story self = { .now = 1000 };
    struct tri_session_options options = { .name = "test",
                                           .software = "test/1",
                                           .pid = 4,
                                           .endpoint_count = STORY_ENDPOINTS,
                                           .seed = 5,
                                           .give_up_ms = STORY_GIVE_UP_MS };

    self.effects = calloc(STORY_EFFECTS_MAX, sizeof(*self.effects));
    ck_assert_int_eq(tri_session_new(&self.session, &options, self.now), TRI_OK);
    return self;
}

struct story story_up(void)
{
    struct story self = story_new();

    time_passes_ms(&self, 0);
    expect_connect(&self, 0);
    expect_message(&self, TRI_MESSAGE_HELLO);
    broker_welcomes(&self);
    expect_nothing(&self);
    return self;
}

void story_end(struct story *self)
{
    tri_session_close(self->session);
    story_perform(self);
    ck_assert_uint_eq(self->kept, 0);
    tri_session_destroy(&self->session);
    for (size_t i = 0; i < self->effect_count; i++) {
        tri_buffer_deinit(&self->effects[i].frames[0]);
        tri_buffer_deinit(&self->effects[i].frames[1]);
    }
    free(self->effects);
}

void time_passes_ms(struct story *self, uint64_t ms)
{
    self->now += ms;
    tri_session_tick(self->session, self->now);
    story_perform(self);
}

/* Tokens are copies of the frames, so that a session that looks at one too late is caught. */
static void give_back(struct story *self, void *token)
{
    free(token);
    self->kept--;
}

static void collect(struct story *self, const struct tri_client_effect *effect)
{
    struct story_effect *kept;

    ck_assert_uint_lt(self->effect_count, STORY_EFFECTS_MAX);
    kept = &self->effects[self->effect_count++];
    kept->type = effect->type;
    kept->endpoint = effect->endpoint;
    for (size_t i = 0; i < effect->frame_count; i++)
        tri_buffer_append(&kept->frames[i], effect->frames[i].data, effect->frames[i].size);
    if (effect->type == TRI_CLIENT_SEND)
        ck_assert_int_eq(
            tri_message_decode(tri_buffer_bytes(&kept->frames[0]), &kept->message, &self->error),
            TRI_OK);
    if (effect->text != NULL)
        snprintf(kept->text, sizeof(kept->text), "%s", effect->text);
}

void story_perform(struct story *self)
{
    struct tri_client_effect effect;

    while (tri_session_effect(self->session, self->now, &effect) == TRI_OK) {
        if (effect.type == TRI_CLIENT_RELEASE)
            give_back(self, effect.token);
        else
            collect(self, &effect);
    }
}

static struct story_effect *take(struct story *self, enum tri_client_effect_type type)
{
    struct story_effect *effect;

    story_perform(self);
    if (self->effect_at == self->effect_count)
        ck_abort_msg("nothing more to do, effect %d was expected", (int)type);
    effect = &self->effects[self->effect_at++];
    ck_assert_msg(effect->type == type, "effect %d (%s%s) instead of %d", (int)effect->type,
                  effect->type == TRI_CLIENT_SEND ? tri_message_name(effect->message.type) : "",
                  effect->text, (int)type);
    return effect;
}

const struct tri_message *expect_message(struct story *self, enum tri_message_type type)
{
    struct story_effect *effect = take(self, TRI_CLIENT_SEND);

    ck_assert_str_eq(tri_message_name(effect->message.type), tri_message_name(type));
    return &effect->message;
}

struct tri_bytes last_body(const struct story *self)
{
    return tri_buffer_bytes(&self->effects[self->effect_at - 1].frames[1]);
}

void expect_connect(struct story *self, size_t endpoint)
{
    ck_assert_uint_eq(take(self, TRI_CLIENT_CONNECT)->endpoint, endpoint);
}

void expect_notice(struct story *self, const char *part)
{
    const char *text = take(self, TRI_CLIENT_NOTICE)->text;

    ck_assert_msg(strstr(text, part) != NULL, "'%s' does not say '%s'", text, part);
}

void expect_nothing(struct story *self)
{
    const struct story_effect *effect = &self->effects[self->effect_at];

    story_perform(self);
    if (self->effect_at < self->effect_count)
        ck_abort_msg("an effect was not expected: %d %s%s", (int)effect->type, effect->text,
                     effect->type == TRI_CLIENT_SEND ? tri_message_name(effect->message.type) : "");
}

void story_skip(struct story *self)
{
    story_perform(self);
    self->effect_at = self->effect_count;
}

/* ---- the broker speaks ---------------------------------------------------------------------- */

void broker_says(struct story *self,
                 const struct tri_message *message,
                 const struct tri_bytes *body)
{
    struct tri_buffer head = { 0 };
    struct tri_bytes copy = { 0 };
    uint8_t *token = NULL;
    bool taken;

    tri_message_encode(message, &head);
    if (body != NULL) {
        token = malloc(body->size);
        memcpy(token, body->data, body->size);
        copy = (struct tri_bytes){ token, body->size };
    }
    ck_assert_int_eq(tri_session_receive(self->session, self->now, tri_buffer_bytes(&head),
                                         body != NULL ? &copy : NULL, token, &taken, &self->error),
                     TRI_OK);
    if (taken)
        self->kept++;
    else
        free(token);
    tri_buffer_deinit(&head);
    story_perform(self);
}

void broker_sends_bytes(struct story *self, struct tri_bytes frame)
{
    bool taken;

    ck_assert_int_eq(
        tri_session_receive(self->session, self->now, frame, NULL, NULL, &taken, &self->error),
        TRI_OK);
    ck_assert(!taken);
    story_perform(self);
}

void broker_welcomes(struct story *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_WELCOME };
    const uint8_t cluster[16] = { 1, self->cluster };

    message.welcome.version = 1;
    message.welcome.cluster = (struct tri_bytes){ cluster, 16 };
    message.welcome.heartbeat_ms = 1000;
    message.welcome.lease_ms = 10000;
    message.welcome.message_bytes_max = 64 << 20;
    message.welcome.item_bytes_max = 1 << 20;
    broker_says(self, &message, NULL);
}

void broker_answers_error(struct story *self,
                          uint64_t request,
                          enum tri_status status,
                          uint64_t retry_after_ms)
{
    struct tri_message message = { .type = TRI_MESSAGE_ERROR };

    message.error.request = request;
    message.error.status = status;
    message.error.retry_after_ms = retry_after_ms;
    message.error.text = tri_bytes_of("because");
    broker_says(self, &message, NULL);
}

void broker_beats(struct story *self, uint64_t seq)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT_OK };

    message.heartbeat_ok.seq = seq;
    broker_says(self, &message, NULL);
}

void broker_appended(
    struct story *self, uint64_t number, uint64_t count, const uint8_t hash[16], uint64_t credit)
{
    struct tri_message message = { .type = TRI_MESSAGE_APPENDED };

    message.appended.number = number;
    message.appended.count = count;
    message.appended.hash = (struct tri_bytes){ hash, 16 };
    message.appended.append_bytes_max = credit;
    broker_says(self, &message, NULL);
}

static struct tri_buffer spec_of(const char *reducer, uint64_t source, uint64_t count)
{
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 },
                                 .source = source,
                                 .step = 1,
                                 .count = count,
                                 .reducer = tri_bytes_of(reducer) };
    struct tri_buffer bytes = { 0 };

    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    return bytes;
}

void broker_attached(struct story *self,
                     uint64_t request,
                     uint64_t number,
                     uint64_t count,
                     const uint8_t hash[16],
                     uint64_t credit)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_buffer spec = spec_of("", TRI_SOURCE_ITEMS, 0);
    static const uint8_t uuid[16] = { 9 };

    message.attached.request = request;
    message.attached.number = number;
    message.attached.batch = (struct tri_bytes){ uuid, 16 };
    message.attached.count = count;
    message.attached.hash = (struct tri_bytes){ hash, hash != NULL ? 16 : 0 };
    message.attached.append_bytes_max = credit;
    message.attached.spec = tri_buffer_bytes(&spec);
    broker_says(self, &message, NULL);
    tri_buffer_deinit(&spec);
}

void broker_ends(struct story *self, uint64_t number, uint64_t count, uint64_t done)
{
    struct tri_message message = { .type = TRI_MESSAGE_END };

    message.end.number = number;
    message.end.generation = 1;
    message.end.state = TRI_BATCH_DONE;
    message.end.count = count;
    message.end.done = done;
    message.end.dead = count - done;
    broker_says(self, &message, NULL);
}

static void send_row(struct story *self,
                     uint64_t number,
                     uint64_t row,
                     uint64_t generation,
                     uint64_t kind,
                     struct tri_ranges ranges,
                     struct tri_bytes body)
{
    struct tri_message message = { .type = TRI_MESSAGE_ROW };

    message.row.number = number;
    message.row.generation = generation;
    message.row.row = row;
    message.row.kind = kind;
    message.row.worker = tri_bytes_of("w1");
    message.row.ranges = ranges;
    broker_says(self, &message, &body);
}

void broker_row(struct story *self,
                uint64_t number,
                uint64_t row,
                uint64_t generation,
                const struct tri_range *runs,
                size_t run_count,
                const struct tri_range *counted,
                size_t counted_count)
{
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, run_count),
                                   .model = TRI_MODEL_THREAD,
                                   .wall_ns = 1000 };
    struct tri_chunk_builder builder;
    struct tri_buffer body = { 0 };

    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < run_count; i++) {
        for (uint64_t k = 0; k < runs[i].count; k++) {
            tri_pack_int(&builder.blob, (int64_t)(3 * (runs[i].first + k) + generation));
            tri_chunk_builder_close_value(&builder);
        }
    }
    tri_result_encode(&builder, &head, &body);
    tri_chunk_builder_deinit(&builder);
    send_row(self, number, row, generation, TRI_ROW_VALUES,
             counted != NULL ? tri_ranges_of(counted, counted_count)
                             : tri_ranges_of(runs, run_count),
             tri_buffer_bytes(&body));
    tri_buffer_deinit(&body);
}

void broker_run(struct story *self, uint64_t number, uint64_t row, uint64_t first, uint64_t count)
{
    struct tri_range run = { first, count };

    broker_row(self, number, row, 1, &run, 1, NULL, 0);
}

static int compare(const void *a, const void *b)
{
    const struct tri_range *left = a;
    const struct tri_range *right = b;

    return left->first < right->first ? -1 : left->first > right->first;
}

void broker_entries(struct story *self,
                    uint64_t number,
                    uint64_t row,
                    uint64_t generation,
                    const uint64_t *indexes,
                    size_t count)
{
    struct tri_range *ranges = calloc(count, sizeof(*ranges));
    struct tri_buffer list = { 0 };
    struct tri_buffer body = { 0 };
    struct tri_rec_entries entries;

    for (size_t i = 0; i < count; i++) {
        struct tri_rec_entry entry = { .index = indexes[i],
                                       .outcome = TRI_OUTCOME_FAILED,
                                       .attempts = 2,
                                       .error = { (const uint8_t *)"broken", 6 } };

        tri_record_encode(TRI_RECORD_ENTRY, &entry, &list);
        ranges[i] = (struct tri_range){ indexes[i], 1 };
    }
    entries.entries = tri_list_of(&list, count);
    tri_record_encode(TRI_RECORD_ENTRIES, &entries, &body);
    qsort(ranges, count, sizeof(*ranges), compare);
    send_row(self, number, row, generation, TRI_ROW_ENTRIES, tri_ranges_of(ranges, count),
             tri_buffer_bytes(&body));
    tri_buffer_deinit(&body);
    tri_buffer_deinit(&list);
    free(ranges);
}

/* ---- the client's batches ------------------------------------------------------------------- */

static struct tri_follow *batch_submit(struct story *self,
                                       const char *reducer,
                                       bool open,
                                       uint64_t count,
                                       bool unordered,
                                       uint64_t credit,
                                       uint64_t window_bytes)
{
    struct tri_follow_options options = {
        .uuid = { { 9 } }, .owner = true, .unordered = unordered, .window_bytes = window_bytes
    };
    struct tri_buffer spec =
        spec_of(reducer, open ? TRI_SOURCE_ITEMS : TRI_SOURCE_RANGE, open ? 0 : count);
    struct tri_message accepted = { .type = TRI_MESSAGE_ACCEPTED };
    struct tri_follow *follow;
    uint8_t hash[16];

    ck_assert_int_eq(tri_follow_submit(self->session, &options, self->now, tri_bytes_of("name"),
                                       tri_buffer_bytes(&spec), open, &follow, &self->error),
                     TRI_OK);
    tri_buffer_deinit(&spec);
    ck_assert_int_eq(tri_follow_state(follow, &self->error), TRI_EMPTY);
    accepted.accepted.request = expect_message(self, TRI_MESSAGE_SUBMIT)->submit.request;
    accepted.accepted.number = 7;
    accepted.accepted.count = count;
    hash_of(0, hash);
    accepted.accepted.hash = (struct tri_bytes){ hash, open ? 16 : 0 };
    accepted.accepted.append_bytes_max = credit;
    broker_says(self, &accepted, NULL);
    ck_assert_int_eq(tri_follow_state(follow, &self->error), TRI_OK);
    ck_assert_uint_eq(tri_follow_number(follow), 7);
    return follow;
}

struct tri_follow *batch_open(struct story *self, uint64_t credit)
{
    return batch_submit(self, "", true, 0, false, credit, WINDOW_BYTES);
}

struct tri_follow *batch_detached(struct story *self, uint64_t credit)
{
    return batch_submit(self, "", true, 0, false, credit, 0);
}

struct tri_follow *batch_range(struct story *self, uint64_t count, bool unordered)
{
    return batch_submit(self, "", false, count, unordered, 0, WINDOW_BYTES);
}

struct tri_follow *batch_reduced(struct story *self, const char *reducer)
{
    return batch_submit(self, reducer, false, 1000, false, 0, WINDOW_BYTES);
}

void batch_adds(struct story *self, struct tri_follow *follow, int64_t first, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        struct tri_value value = tri_value_int(first + i);

        ck_assert_int_eq(tri_follow_add(follow, &value, &self->error), TRI_OK);
    }
}

void hash_of(uint64_t count, uint8_t hash[16])
{
    struct tri_buffer blob = { 0 };

    for (uint64_t i = 0; i < count; i++)
        tri_pack_int(&blob, (int64_t)i);
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)hash,
                             XXH3_128bits(blob.data, blob.size));
    tri_buffer_deinit(&blob);
}

void connection_is_lost(struct story *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_NO_SESSION };

    story_skip(self);
    broker_says(self, &message, NULL);
    expect_notice(self, "lost");
}

void connection_returns(struct story *self)
{
    time_passes_ms(self, 0);
    expect_connect(self, 0);
    expect_message(self, TRI_MESSAGE_HELLO);
    expect_nothing(self);
    broker_welcomes(self);
    expect_notice(self, "back");
}

void connection_breaks(struct story *self)
{
    connection_is_lost(self);
    connection_returns(self);
}

uint64_t results_in_order(struct story *self, struct tri_follow *follow, uint64_t first)
{
    struct tri_task_result result;
    uint64_t count = 0;
    enum tri_status status;

    while ((status = tri_follow_next(follow, self->now, &result, &self->error)) == TRI_OK) {
        ck_assert_uint_eq(result.index, first + count);
        ck_assert_int_eq(result.value.integer, (int64_t)(3 * result.index + 1));
        count++;
    }
    ck_assert(status == TRI_EMPTY || status == TRI_CLOSED);
    story_perform(self);
    return count;
}

void expect_end(struct story *self, struct tri_follow *follow)
{
    struct tri_task_result result;

    ck_assert_int_eq(tri_follow_next(follow, self->now, &result, &self->error), TRI_CLOSED);
}

void expect_ack(struct story *self, uint64_t first, uint64_t count)
{
    const struct tri_message *ack = expect_message(self, TRI_MESSAGE_ACK);

    ck_assert_uint_eq(ack->ack.rows.count, 1);
    ck_assert_uint_eq(tri_ranges_at(ack->ack.rows, 0).first, first);
    ck_assert_uint_eq(tri_ranges_at(ack->ack.rows, 0).count, count);
}
