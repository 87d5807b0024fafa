/* scenario.c - the world around the engine: steps, peers, time, and what was sent. */
#include "tests/engine/scenario.h"

#include "tests/engine/recovered.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* Steps of a story after each of which a restart is tried; later ones now and then. */
#define RECOVERED_STEPS 200

static const char *const default_handlers[] = { "square", "echo", "command", NULL };
static const char *const no_labels[] = { NULL };

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

/* ---- peers ---------------------------------------------------------------------------------- */

struct peer *peer_of(struct scenario *s, const char *name)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used && strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    ck_abort_msg("no peer %s", name);
    return NULL;
}

static void new_route(struct scenario *s, struct peer *peer)
{
    uint64_t route = ++s->routes;

    peer->id.size = 9;
    peer->id.bytes[0] = 0;
    memcpy(peer->id.bytes + 1, &route, sizeof(route));
}

static struct peer *new_peer(struct scenario *s, const char *name, const char *principal)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &s->peers[i];

        if (peer->used)
            continue;
        *peer = (struct peer){ .used = true, .starts = true, .principal = principal };
        snprintf(peer->name, sizeof(peer->name), "%s", name);
        snprintf((char *)peer->instance.bytes, 16, "i-%.12s", name);
        peer->handlers = default_handlers;
        peer->labels = no_labels;
        peer->sent = tri_alloc(SENT_MAX, sizeof(*peer->sent));
        peer->held = tri_alloc(HELD_MAX, sizeof(*peer->held));
        new_route(s, peer);
        return peer;
    }
    ck_abort_msg("too many peers");
    return NULL;
}

void peer_sends(struct scenario *s,
                const char *name,
                const struct tri_message *message,
                const struct tri_bytes *frames,
                size_t frame_count)
{
    struct peer *peer = peer_of(s, name);
    struct tri_buffer frame = { 0 };
    struct tri_message decoded;
    struct event event = { .type = EVENT_MESSAGE, .now = s->now, .peer = peer->id };

    tri_message_encode(message, &frame);
    ck_assert(tri_message_decode(tri_buffer_bytes(&frame), &decoded, NULL) == TRI_OK);
    event.message = &decoded;
    event.frames = frames;
    event.frame_count = frame_count;
    event.principal = tri_bytes_of(peer->principal);
    step(s, &event);
    tri_buffer_deinit(&frame);
}

static size_t pack_names(const char *const *names, bool handlers, struct tri_buffer *out)
{
    size_t count = 0;

    for (; names[count] != NULL; count++) {
        struct tri_rec_handler handler = { tri_bytes_of(names[count]), 0, 0 };
        struct tri_rec_text text = { tri_bytes_of(names[count]) };

        if (handlers)
            tri_record_encode(TRI_RECORD_HANDLER, &handler, out);
        else
            tri_record_encode(TRI_RECORD_TEXT, &text, out);
    }
    return count;
}

static struct tri_ranges pack_set(const struct tri_rangeset *set, struct tri_buffer *out)
{
    struct tri_range range;
    size_t count = 0;

    tri_buffer_clear(out);
    for (uint64_t at = 0; tri_rangeset_next(set, at, &range); at = range.first + range.count) {
        tri_buffer_append(out, &range, sizeof(range));
        count++;
    }
    return (struct tri_ranges){ out->data, count };
}

static size_t pack_held(const struct peer *peer, struct tri_buffer *out)
{
    struct tri_buffer ranges = { 0 };
    size_t count = 0;

    for (size_t i = 0; i < peer->held_count; i++) {
        const struct held *held = &peer->held[i];
        struct tri_rec_held record = { held->lease, held->number, { 0 } };

        if (tri_rangeset_is_empty(&held->undone))
            continue;
        record.ranges = pack_set(&held->undone, &ranges);
        tri_record_encode(TRI_RECORD_HELD, &record, out);
        count++;
    }
    tri_buffer_deinit(&ranges);
    return count;
}

static void say_hello(struct scenario *s, struct peer *peer)
{
    struct tri_message message = { .type = TRI_MESSAGE_HELLO };
    struct tri_buffer handlers = { 0 };
    struct tri_buffer labels = { 0 };
    struct tri_buffer held = { 0 };

    message.hello.version_min = 1;
    message.hello.version_max = 1;
    message.hello.role = peer->is_worker ? TRI_ROLE_WORKER : TRI_ROLE_CLIENT;
    message.hello.instance = (struct tri_bytes){ peer->instance.bytes, 16 };
    message.hello.name = tri_bytes_of(peer->name);
    message.hello.software = tri_bytes_of("test");
    message.hello.width = peer->width;
    if (peer->is_worker) {
        size_t count = pack_names(peer->handlers, true, &handlers);

        message.hello.handlers = tri_list_of(&handlers, count);
        count = pack_names(peer->labels, false, &labels);
        message.hello.labels = tri_list_of(&labels, count);
        count = pack_held(peer, &held);
        message.hello.held = tri_list_of(&held, count);
    }
    peer_sends(s, peer->name, &message, NULL, 0);
    tri_buffer_deinit(&handlers);
    tri_buffer_deinit(&labels);
    tri_buffer_deinit(&held);
}

void client_of(struct scenario *s, const char *name, const char *principal)
{
    expect_nothing_else(s);
    say_hello(s, new_peer(s, name, principal));
    expect(s, name, "WELCOME");
}

void client_joins(struct scenario *s, const char *name)
{
    client_of(s, name, "local");
}

static void join_worker(struct scenario *s,
                        const char *name,
                        uint64_t width,
                        const char *const *handlers,
                        const char *const *labels,
                        bool takes)
{
    struct peer *peer;

    expect_nothing_else(s);
    peer = new_peer(s, name, "local");
    peer->is_worker = true;
    peer->takes_batches = takes;
    peer->width = width;
    peer->handlers = handlers;
    peer->labels = labels;
    say_hello(s, peer);
    expect(s, name, "WELCOME");
}

void worker_joins(struct scenario *s, const char *name, uint64_t width)
{
    join_worker(s, name, width, default_handlers, no_labels, true);
}

void worker_joins_with(struct scenario *s,
                       const char *name,
                       uint64_t width,
                       const char *const *handlers,
                       const char *const *labels)
{
    join_worker(s, name, width, handlers, labels, true);
}

void worker_hesitates(struct scenario *s, const char *name)
{
    join_worker(s, name, 2, default_handlers, no_labels, false);
}

static void send_oars(
    struct scenario *s, const char *name, const char *batch, uint64_t width, enum tri_status status)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    expect_nothing_else(s);
    message.oars.number = batch_of(s, batch)->number;
    message.oars.width = width;
    message.oars.model = TRI_MODEL_PROCESS;
    message.oars.status = status;
    message.oars.reason =
        tri_bytes_of(status == TRI_OK ? "processes suit it" : "commands are off here");
    peer_sends(s, name, &message, NULL, 0);
}

void worker_mans(struct scenario *s, const char *name, const char *batch, uint64_t width)
{
    send_oars(s, name, batch, width, TRI_OK);
}

void worker_refuses(struct scenario *s, const char *name, const char *batch, enum tri_status why)
{
    send_oars(s, name, batch, 0, why);
}

void peer_returns(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);

    expect_nothing_else(s);
    peer->silent = false;
    new_route(s, peer);
    say_hello(s, peer);
}

void worker_loses_leases(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);

    for (size_t i = 0; i < peer->held_count; i++)
        tri_rangeset_clear(&peer->held[i].undone);
}

void peer_goes_silent(struct scenario *s, const char *name)
{
    peer_of(s, name)->silent = true;
}

void peer_lost(struct scenario *s, const char *name)
{
    struct event event = { .type = EVENT_PEER_LOST, .now = s->now, .peer = peer_of(s, name)->id };

    expect_nothing_else(s);
    peer_of(s, name)->silent = true;
    step(s, &event);
}

void peer_says_bye(struct scenario *s, const char *name)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE };

    expect_nothing_else(s);
    peer_of(s, name)->silent = true;
    peer_sends(s, name, &message, NULL, 0);
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Unless a story says what has been started, it is as much as there are oars, in order. */
static struct tri_ranges first_undone(const struct held *held,
                                      uint64_t *oars,
                                      struct tri_buffer *out)
{
    struct tri_range range;

    tri_rangeset_next(&held->undone, 0, &range);
    if (range.count > *oars)
        range.count = *oars;
    *oars -= range.count;
    tri_buffer_append(out, &range, sizeof(range));
    return (struct tri_ranges){ out->data, range.count != 0 };
}

static size_t pack_renewals(const struct peer *peer, struct tri_buffer *out)
{
    struct tri_buffer ranges = { 0 };
    uint64_t oars = peer->width;
    size_t count = 0;

    for (size_t i = 0; i < peer->held_count; i++) {
        const struct held *held = &peer->held[i];
        struct tri_rec_renew record = { held->lease, held->wanted, { 0 } };

        if (tri_rangeset_is_empty(&held->undone))
            continue;
        record.started = pack_set(&held->started, &ranges);
        if (tri_rangeset_is_empty(&held->started) && peer->starts)
            record.started = first_undone(held, &oars, &ranges);
        tri_record_encode(TRI_RECORD_RENEW, &record, out);
        count++;
    }
    tri_buffer_deinit(&ranges);
    return count;
}

static void take_line(struct peer *peer, const char *text)
{
    for (size_t i = 0; i < peer->sent_count; i++)
        if (!peer->sent[i].taken && strcmp(peer->sent[i].text, text) == 0) {
            peer->sent[i].taken = true;
            return;
        }
}

static void beat(struct scenario *s, struct peer *peer)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT };
    struct tri_buffer leases = { 0 };
    size_t count = pack_renewals(peer, &leases);

    message.heartbeat.seq = ++peer->heartbeat;
    message.heartbeat.leases = tri_list_of(&leases, count);
    peer_sends(s, peer->name, &message, NULL, 0);
    take_line(peer, "HEARTBEAT_OK");
    tri_buffer_deinit(&leases);
}

void heartbeat(struct scenario *s, const char *name)
{
    expect_nothing_else(s);
    beat(s, peer_of(s, name));
}

void tick(struct scenario *s)
{
    struct event event = { .type = EVENT_TICK, .now = s->now };

    step(s, &event);
}

static void tick_while_due(struct scenario *s)
{
    while (engine_deadline(s->engine) <= s->now)
        tick(s);
}

static void beat_all(struct scenario *s)
{
    s->next_beat = s->now + HEARTBEAT_MS;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used && !s->peers[i].silent)
            beat(s, &s->peers[i]);
}

void time_passes_ms(struct scenario *s, uint64_t ms)
{
    tri_time end = s->now + ms;

    expect_nothing_else(s);
    if (s->next_beat < s->now)
        s->next_beat = s->now + HEARTBEAT_MS;
    tick_while_due(s);
    while (s->now < end) {
        tri_time next = engine_deadline(s->engine);

        if (next > s->next_beat)
            next = s->next_beat;
        s->now = next < end ? next : end;
        if (s->now == s->next_beat)
            beat_all(s);
        tick_while_due(s);
    }
}
