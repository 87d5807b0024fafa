/* scenario.c - the world around the engine: its store, steps, restarts, and what was sent. */
#include "tests/engine/scenario.h"

#include "tests/engine/recovered.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* Steps of a story after each of which a restart is tried; later ones now and then. */
#define RECOVERED_STEPS 200

/* ---- the model of the store ----------------------------------------------------------------- */

static struct tri_bytes key_bytes(const struct store_key *key, uint64_t packed[3])
{
    packed[0] = key->table;
    packed[1] = key->batch;
    packed[2] = key->key;
    return (struct tri_bytes){ (uint8_t *)packed, 3 * sizeof(uint64_t) };
}

struct kept *kept_row(const struct scenario *s, struct store_key key)
{
    uint64_t packed[3];
    union tri_bytemap_value *value = tri_bytemap_find(&s->rows, key_bytes(&key, packed));

    return value != NULL ? value->pointer : NULL;
}

static void free_kept(struct kept *kept)
{
    free(kept->head);
    free(kept);
}

void keep_row(struct scenario *s, const struct kept *row)
{
    uint64_t packed[3];
    union tri_bytemap_value *value = tri_bytemap_at(&s->rows, key_bytes(&row->key, packed), NULL);
    struct kept *kept = tri_alloc(1, sizeof(*kept));

    *kept = *row;
    if (value->pointer != NULL)
        free_kept(value->pointer);
    value->pointer = kept;
}

void lose_row(struct scenario *s, struct store_key key)
{
    uint64_t packed[3];
    struct kept *kept = kept_row(s, key);

    STORY_CHECK(kept != NULL, "a row is deleted that is not there");
    tri_bytemap_remove(&s->rows, key_bytes(&key, packed));
    free_kept(kept);
}

static void delete_batch(struct scenario *s, uint64_t batch)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&s->rows, &at, &key, &value);) {
        struct kept *kept = value.pointer;

        if (kept->key.batch == batch && kept->key.table != STORE_META)
            lose_row(s, kept->key);
    }
}

/* ---- effects -------------------------------------------------------------------------------- */

static struct peer *peer_at(struct scenario *s, const struct peer_id *id)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used && s->peers[i].id.size == id->size
            && memcmp(s->peers[i].id.bytes, id->bytes, id->size) == 0)
            return &s->peers[i];
    return NULL;
}

static void hold(struct peer *peer, const struct tri_msg_lease *lease)
{
    struct held *held = &peer->held[peer->held_count++];

    tri_assert(peer->held_count <= HELD_MAX);
    *held = (struct held){
        .lease = lease->lease,
        .number = lease->number,
        .generation = lease->generation,
        .attempt = lease->attempt,
        .first = lease->first,
        .count = lease->count,
    };
    tri_rangeset_add(&held->undone, lease->first, lease->count);
}

static void let_go(struct peer *peer, const struct tri_msg_cancel_lease *cancel)
{
    for (size_t i = 0; i < peer->held_count; i++) {
        struct held *held = &peer->held[i];

        if (held->lease != cancel->lease)
            continue;
        if (cancel->ranges.count == 0)
            tri_rangeset_clear(&held->undone);
        for (size_t r = 0; r < cancel->ranges.count; r++) {
            struct tri_range range = tri_ranges_at(cancel->ranges, r);

            tri_rangeset_remove(&held->undone, range.first, range.count);
        }
    }
}

static struct sent *note_sent(struct scenario *s, struct peer *peer)
{
    struct sent *sent = &peer->sent[peer->sent_count++];

    tri_assert(peer->sent_count <= SENT_MAX);
    *sent = (struct sent){ .order = s->hash };
    return sent;
}

static void remember(struct scenario *s, const char *name, const char *text)
{
    char line[700];
    int size = snprintf(line, sizeof(line), "%s %s\n", name, text);

    tri_buffer_append(&s->history, line, (size_t)size);
}

static bool is_noise(const struct scenario *s, const struct peer *peer, enum tri_message_type type)
{
    return type == TRI_MESSAGE_BATCH_END || (type == TRI_MESSAGE_BATCH && peer->takes_batches)
           || (type == TRI_MESSAGE_PROGRESS && !s->wants_progress);
}

static void check_attachments(const struct scenario *s, const struct effect *effect)
{
    for (size_t i = 0; i < effect->send.attachment_count; i++)
        STORY_CHECK(kept_row(s, effect->send.attachments[i].key) != NULL,
                    "a payload is sent that is not in the store");
}

static void apply_send(struct scenario *s,
                       const struct effect *effect,
                       uint64_t *batches,
                       size_t *count)
{
    struct peer *peer = peer_at(s, &effect->send.peer);
    struct tri_message message;
    struct tri_error error;
    struct sent *sent;

    STORY_CHECK(tri_message_decode(effect->send.frame, &message, &error) == TRI_OK, "%s",
                error.text);
    check_attachments(s, effect);
    if (peer == NULL)
        return;
    if (message.type == TRI_MESSAGE_ACCEPTED)
        for (size_t i = 0; i < s->batch_count; i++)
            if (s->batches[i].number == 0)
                s->batches[i].number = message.accepted.number;
    if (message.type == TRI_MESSAGE_ATTACHED && message.attached.hash.size == 16)
        memcpy(s->attached_hash, message.attached.hash.data, 16);
    if (message.type == TRI_MESSAGE_WELCOME) {
        s->welcome_epoch = message.welcome.epoch;
        memcpy(s->welcome_cluster, message.welcome.cluster.data, 16);
    }
    if (message.type == TRI_MESSAGE_ERROR)
        s->refused_request = message.error.request;
    if (message.type == TRI_MESSAGE_APPENDED) {
        s->credit_bytes = message.appended.append_bytes_max;
        s->appended_count = message.appended.count;
    }
    if (message.type == TRI_MESSAGE_LEASE)
        hold(peer, &message.lease);
    if (message.type == TRI_MESSAGE_CANCEL_LEASE)
        let_go(peer, &message.cancel_lease);
    if (message.type == TRI_MESSAGE_BATCH && peer->takes_batches) {
        batches[*count * 2] = (uint64_t)(peer - s->peers);
        batches[*count * 2 + 1] = message.batch.number;
        ++*count;
        tri_assert(*count < 512);
    }
    sent = note_sent(s, peer);
    scenario_text(s, peer, &message, effect, sent->text, sizeof(sent->text));
    remember(s, peer->name, sent->text);
    sent->waits = effect->send.waits;
    sent->informs = effect->send.informs;
    sent->haste = effect->send.haste;
    sent->taken = is_noise(s, peer, message.type);
}

static void apply_put(struct scenario *s, const struct effect *effect)
{
    struct kept row = { .key = effect->put.key,
                        .payload_bytes = effect->put.payload.size,
                        .head_size = effect->put.head.size };

    row.head = tri_alloc(1, row.head_size + row.payload_bytes + 1);
    memcpy(row.head, effect->put.head.data, row.head_size);
    if (row.key.table == STORE_TASK && row.payload_bytes != 0)
        memcpy(row.head + row.head_size, effect->put.payload.data, row.payload_bytes);
    keep_row(s, &row);
}

static void apply_delete(struct scenario *s, const struct effect *effect)
{
    if (effect->delete.whole_batch)
        delete_batch(s, effect->delete.key.batch);
    else
        lose_row(s, effect->delete.key);
}

static void mix(struct scenario *s, const void *data, size_t size)
{
    s->hash = XXH3_64bits_withSeed(data, size, s->hash);
}

static void apply(struct scenario *s, const struct effect *effect, uint64_t *batches, size_t *count)
{
    mix(s, &effect->type, sizeof(effect->type));
    switch (effect->type) {
    case EFFECT_PUT:
        mix(s, effect->put.head.data, effect->put.head.size);
        apply_put(s, effect);
        break;
    case EFFECT_DELETE:
        apply_delete(s, effect);
        break;
    case EFFECT_GET:
        ck_assert_ptr_nonnull(kept_row(s, effect->get));
        if (effect->get.table == STORE_TASK) {
            tri_assert(s->wanted_count < sizeof(s->wanted) / sizeof(s->wanted[0]));
            s->wanted[s->wanted_count++] = effect->get;
            break;
        }
        s->get_keys[s->get_count++ % 64] = effect->get;
        break;
    case EFFECT_SEND:
        mix(s, effect->send.frame.data, effect->send.frame.size);
        apply_send(s, effect, batches, count);
        break;
    case EFFECT_TRACE:
        tri_buffer_append(&s->trace, effect->trace, strlen(effect->trace));
        tri_buffer_append(&s->trace, "\n", 1);
        break;
    }
}

static void answer_batch(struct scenario *s, struct peer *peer, uint64_t number)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    message.oars.number = number;
    message.oars.width = peer->width;
    message.oars.model = TRI_MODEL_THREAD;
    peer_sends(s, peer->name, &message, NULL, 0);
}

/* A restart now would find everything. */
static void recover_and_compare(struct scenario *s)
{
    struct engine *again = recovered_engine(s);

    recovered_equals(s->engine, again);
    engine_destroy(&again);
}

static void bring_history(struct scenario *s, struct store_key key)
{
    const struct kept *kept = kept_row(s, key);
    struct event event = { .type = EVENT_LOAD_FAILED, .now = s->now, .key = key };
    struct tri_bytes payload;

    s->history_count++;
    event.status = TRI_STORE;
    event.text = "unreadable";
    if (kept != NULL && kept->payload_bytes != 0 && !s->has_lost_histories) {
        payload = (struct tri_bytes){ kept->head + kept->head_size, kept->payload_bytes };
        event.type = EVENT_LOADED;
        event.status = TRI_OK;
        event.frames = &payload;
        event.frame_count = 1;
    }
    step(s, &event);
}

void step(struct scenario *s, const struct event *event)
{
    struct effects effects = engine_step(s->engine, event);
    uint64_t batches[1024];
    size_t count = 0;

    for (size_t i = 0; i < effects.count; i++)
        apply(s, &effects.items[i], batches, &count);
    engine_check(s->engine);
    if (!s->is_random && (s->steps < RECOVERED_STEPS || s->steps % 64 == 0))
        recover_and_compare(s);
    s->steps++;
    for (size_t i = 0; i < count; i++)
        answer_batch(s, &s->peers[batches[i * 2]], batches[i * 2 + 1]);
    if (!s->holds_histories)
        histories_come(s);
}

void histories_come(struct scenario *s)
{
    s->holds_histories = false;
    while (s->wanted_count != 0)
        bring_history(s, s->wanted[--s->wanted_count]);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct engine_options scenario_options(void)
{
    struct engine_options options;

    engine_options_init(&options);
    options.seed = 7;
    options.limits.heartbeat_ms = HEARTBEAT_MS;
    options.limits.lease_ms = LEASE_MS;
    return options;
}

void scenario_begin_with(struct scenario *s, const struct engine_options *options)
{
    memset(s, 0, sizeof(*s));
    s->options = *options;
    s->engine = engine_new(options);
    s->now = 1000000;
    tri_bytemap_init(&s->rows, 1);
}

void scenario_begin(struct scenario *s)
{
    struct engine_options options = scenario_options();

    scenario_begin_with(s, &options);
}

static void free_peer(struct peer *peer)
{
    for (size_t i = 0; i < peer->held_count; i++) {
        tri_rangeset_deinit(&peer->held[i].undone);
        tri_rangeset_deinit(&peer->held[i].started);
    }
    free(peer->held);
    free(peer->sent);
}

static void free_rows(struct scenario *s)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&s->rows, &at, &key, &value);)
        free_kept(value.pointer);
    tri_bytemap_deinit(&s->rows);
}

/* ---- restarts ------------------------------------------------------------------------------- */

static int by_key(const void *left, const void *right)
{
    const struct store_key *a = &(*(struct kept *const *)left)->key;
    const struct store_key *b = &(*(struct kept *const *)right)->key;

    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->batch != b->batch)
        return a->batch < b->batch ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

struct kept **kept_in_order(const struct scenario *s)
{
    struct kept **rows = tri_alloc(s->rows.count + 1, sizeof(*rows));
    struct tri_bytes key;
    union tri_bytemap_value value;
    size_t count = 0;

    for (size_t at = 0; tri_bytemap_next(&s->rows, &at, &key, &value);)
        rows[count++] = value.pointer;
    qsort(rows, count, sizeof(struct kept *), by_key);
    return rows;
}

enum tri_status recover_into(struct scenario *s, struct engine *engine, struct tri_error *error)
{
    struct kept **rows = kept_in_order(s);
    struct recovery_counts counts;
    enum tri_status status = TRI_OK;

    engine_recover_begin(engine, s->now);
    for (size_t i = 0; rows[i] != NULL && status == TRI_OK; i++)
        status = engine_recover_row(engine, rows[i]->key,
                                    (struct tri_bytes){ rows[i]->head, rows[i]->head_size },
                                    rows[i]->payload_bytes, error);
    if (status == TRI_OK)
        status = engine_recover_end(engine, &counts, error);
    free(rows);
    return status;
}

struct engine *recovered_engine(struct scenario *s)
{
    struct engine *engine = engine_new(&s->options);
    struct tri_error error;
    enum tri_status status = recover_into(s, engine, &error);

    STORY_CHECK(status == TRI_OK, "%s", error.text);
    engine_check(engine);
    return engine;
}

void broker_restarts(struct scenario *s)
{
    struct engine *engine;

    expect_nothing_else(s);
    engine = recovered_engine(s);
    engine_destroy(&s->engine);
    s->engine = engine;
    s->get_count = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        s->peers[i].silent = true;
}

void scenario_end(struct scenario *s)
{
    expect_nothing_else(s);
    engine_destroy(&s->engine);
    engine_destroy(&s->engine);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used)
            free_peer(&s->peers[i]);
    free_rows(s);
    tri_buffer_deinit(&s->trace);
    tri_buffer_deinit(&s->history);
}
