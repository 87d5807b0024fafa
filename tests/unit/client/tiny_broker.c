#include "tests/unit/client/tiny_broker.h"

#include "common/net/parts.h"
#include "common/prng.h"
#include "common/proto/chunk.h"
#include "common/rangeset.h"
#include "common/reduce.h"
#include "common/value.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>
#include <zmq.h>

#define BATCHES_MAX 8
#define RANGE_ROW 1000
#define SLICE_MS 5

struct tiny_row {
    struct tri_buffer body;
    uint64_t kind;
    struct tri_range range;
    bool acked;
};

struct tiny_batch {
    uint8_t uuid[16];
    struct tri_buffer spec;
    char reducer[64];
    bool sealed;
    bool end_sent;
    bool attached;
    uint64_t window;
    uint64_t unacked;
    uint64_t count;
    uint64_t appended;
    uint64_t next; /* row to send */
    struct tiny_row *rows;
    size_t row_count;
    size_t row_capacity;
    XXH3_state_t *hash;
    uint8_t digest[16];
};

struct tiny_broker {
    struct tiny_options options;
    void *context;
    void *socket;
    char endpoint[128];
    char directory[64];
    pthread_t thread;
    atomic_bool stop;
    atomic_bool restart;
    atomic_ulong peak;
    atomic_ulong acked;
    atomic_ulong tasks_asked;
    struct tri_parts parts;
    uint8_t peer[32]; /* the one session; one client at a time is enough */
    size_t peer_size;
    uint64_t messages;
    uint64_t lose_at; /* the next message that is lost */
    struct tri_prng prng;
    struct tiny_batch batches[BATCHES_MAX];
    size_t batch_count;
};

/* ---- speaking ------------------------------------------------------------------------------- */

static void say(struct tiny_broker *self,
                struct tri_bytes peer,
                const struct tri_message *message,
                const struct tri_buffer *body)
{
    struct tri_buffer head = { 0 };

    tri_message_encode(message, &head);
    if (self->options.old_rows && message->type == TRI_MESSAGE_ROW) {
        head.data[0]--; /* a field less in the array; the last one is one byte */
        head.size--;
    }
    zmq_send(self->socket, peer.data, peer.size, ZMQ_SNDMORE);
    zmq_send(self->socket, head.data, head.size, body != NULL ? ZMQ_SNDMORE : 0);
    if (body != NULL)
        zmq_send(self->socket, body->data, body->size, 0);
    tri_buffer_deinit(&head);
}

static void reply(struct tiny_broker *self, const struct tri_message *message)
{
    say(self, (struct tri_bytes){ self->peer, self->peer_size }, message, NULL);
}

static void reply_error(struct tiny_broker *self, uint64_t request, enum tri_status status)
{
    struct tri_message message = { .type = TRI_MESSAGE_ERROR };

    message.error.request = request;
    message.error.status = status;
    message.error.text = tri_bytes_of(tri_status_text(status));
    reply(self, &message);
}

static void send_row(struct tiny_broker *self, size_t number, uint64_t row)
{
    struct tiny_batch *batch = &self->batches[number];
    struct tri_message message = { .type = TRI_MESSAGE_ROW };

    message.row.number = number + 1;
    message.row.generation = 1;
    message.row.row = row;
    message.row.kind = batch->rows[row].kind;
    message.row.worker = tri_bytes_of("tiny");
    message.row.ranges = tri_ranges_of(&batch->rows[row].range, 1);
    say(self, (struct tri_bytes){ self->peer, self->peer_size }, &message, &batch->rows[row].body);
    batch->unacked += batch->rows[row].body.size;
    if (batch->unacked > atomic_load(&self->peak))
        atomic_store(&self->peak, batch->unacked);
}

static void send_end(struct tiny_broker *self, size_t number)
{
    struct tiny_batch *batch = &self->batches[number];
    struct tri_message message = { .type = TRI_MESSAGE_END };

    message.end.number = number + 1;
    message.end.generation = 1;
    message.end.state = TRI_BATCH_DONE;
    message.end.count = message.end.done = batch->count;
    message.end.rows = batch->row_count;
    reply(self, &message);
    batch->end_sent = true;
}

static void pump(struct tiny_broker *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        struct tiny_batch *batch = &self->batches[i];

        if (!batch->attached || batch->count < self->options.hold_results)
            continue;
        while (batch->next < batch->row_count
               && (batch->unacked == 0
                   || batch->unacked + batch->rows[batch->next].body.size <= batch->window)) {
            if (!batch->rows[batch->next].acked)
                send_row(self, i, batch->next);
            batch->next++;
        }
        if (batch->sealed && batch->next == batch->row_count && !batch->end_sent)
            send_end(self, i);
    }
}

/* ---- working -------------------------------------------------------------------------------- */

static struct tiny_row *new_row(struct tiny_batch *batch)
{
    if (batch->row_count == batch->row_capacity) {
        batch->row_capacity = batch->row_capacity * 2 + 64;
        batch->rows = realloc(batch->rows, batch->row_capacity * sizeof(*batch->rows));
    }
    batch->rows[batch->row_count] = (struct tiny_row){ 0 };
    return &batch->rows[batch->row_count++];
}

static void answer_values(struct tiny_batch *batch,
                          const struct tri_chunk_builder *builder,
                          uint64_t first)
{
    struct tiny_row *row = new_row(batch);
    struct tri_rec_result head = { .model = TRI_MODEL_THREAD };

    row->range = (struct tri_range){ first, builder->count };
    head.runs = tri_ranges_of(&row->range, 1);
    tri_result_encode(builder, &head, &row->body);
}

static void answer_range(struct tiny_broker *self, struct tiny_batch *batch, uint64_t count)
{
    struct tri_chunk_builder builder = { 0 };
    uint64_t rows = (count + RANGE_ROW - 1) / RANGE_ROW;

    for (uint64_t i = 0; i < rows; i++) {
        uint64_t first = (self->options.reverse ? rows - 1 - i : i) * RANGE_ROW;

        tri_chunk_builder_clear(&builder);
        for (uint64_t k = first; k < first + RANGE_ROW && k < count; k++) {
            tri_pack_int(&builder.blob, (int64_t)k);
            tri_chunk_builder_close_value(&builder);
        }
        answer_values(batch, &builder, first);
    }
    tri_chunk_builder_deinit(&builder);
}

static void answer_reduced(struct tiny_batch *batch, uint64_t count)
{
    for (uint64_t first = 0; first < count; first += RANGE_ROW) {
        struct tri_reducer *reducer = tri_reducer_new(batch->reducer, NULL);
        struct tiny_row *row = new_row(batch);

        row->kind = TRI_ROW_PARTIAL;
        row->range =
            (struct tri_range){ first, count - first < RANGE_ROW ? count - first : RANGE_ROW };
        for (uint64_t k = first; k < first + row->range.count; k++)
            tri_reducer_fold_int(reducer, k, (int64_t)k);
        tri_reducer_encode(reducer, &row->body, NULL);
        tri_reducer_destroy(&reducer);
    }
}

static void append_chunk(struct tiny_batch *batch, const struct tri_chunk *chunk)
{
    struct tri_chunk_builder builder = { 0 };

    for (uint32_t i = 0; i < chunk->count; i++) {
        struct tri_bytes value = tri_chunk_at(chunk, i);

        tri_buffer_append(&builder.blob, value.data, value.size);
        tri_chunk_builder_close_value(&builder);
    }
    answer_values(batch, &builder, batch->count);
    tri_chunk_builder_deinit(&builder);
    batch->count += chunk->count;
    XXH3_128bits_update(batch->hash, chunk->blob, chunk->blob_bytes);
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)batch->digest,
                             XXH3_128bits_digest(batch->hash));
}

/* ---- listening ------------------------------------------------------------------------------ */

static struct tiny_batch *batch_of(struct tiny_broker *self, uint64_t number)
{
    return number >= 1 && number <= self->batch_count ? &self->batches[number - 1] : NULL;
}

static size_t find_uuid(const struct tiny_broker *self, struct tri_bytes uuid)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        if (uuid.size == 16 && memcmp(self->batches[i].uuid, uuid.data, 16) == 0)
            return i;
    }
    return SIZE_MAX;
}

static void attach(struct tiny_batch *batch, uint64_t window)
{
    batch->attached = true;
    batch->window = window;
    batch->next = 0;
    batch->unacked = 0;
    batch->end_sent = false;
}

static size_t make_batch(struct tiny_broker *self, const struct tri_msg_submit *submit)
{
    size_t number = self->batch_count++;
    struct tiny_batch *batch = &self->batches[number];
    struct tri_rec_spec spec;

    memcpy(batch->uuid, submit->batch.data, 16);
    tri_buffer_append(&batch->spec, submit->spec.data, submit->spec.size);
    tri_record_decode(TRI_RECORD_SPEC, tri_buffer_bytes(&batch->spec), &spec, NULL);
    snprintf(batch->reducer, sizeof(batch->reducer), "%.*s", (int)spec.reducer.size,
             (const char *)spec.reducer.data);
    batch->hash = XXH3_createState();
    XXH3_128bits_reset(batch->hash);
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)batch->digest,
                             XXH3_128bits_digest(batch->hash));
    batch->sealed = submit->open == 0;
    if (spec.source == TRI_SOURCE_RANGE && batch->reducer[0] != '\0')
        answer_reduced(batch, spec.count);
    else if (spec.source == TRI_SOURCE_RANGE)
        answer_range(self, batch, spec.count);
    if (spec.source == TRI_SOURCE_RANGE)
        batch->count = spec.count;
    return number;
}

static void on_submit(struct tiny_broker *self, const struct tri_msg_submit *submit)
{
    size_t number = find_uuid(self, submit->batch);
    struct tri_message message = { .type = TRI_MESSAGE_ACCEPTED };
    struct tiny_batch *batch;

    if (number == SIZE_MAX && self->batch_count == BATCHES_MAX) {
        reply_error(self, submit->request, TRI_FULL);
        return;
    }
    if (number == SIZE_MAX)
        number = make_batch(self, submit);
    batch = &self->batches[number];
    attach(batch, submit->window_bytes);
    message.accepted.request = submit->request;
    message.accepted.number = number + 1;
    message.accepted.count = batch->count;
    message.accepted.hash = (struct tri_bytes){ batch->digest, 16 };
    message.accepted.append_bytes_max = batch->appended + self->options.append_bytes;
    reply(self, &message);
}

static void on_attach(struct tiny_broker *self, const struct tri_msg_attach *message)
{
    size_t number =
        message->batch.size == 16 ? find_uuid(self, message->batch) : (size_t)message->number - 1;
    struct tri_message answer = { .type = TRI_MESSAGE_ATTACHED };
    struct tiny_batch *batch;

    if (number >= self->batch_count) {
        reply_error(self, message->request, TRI_NOTFOUND);
        return;
    }
    batch = &self->batches[number];
    attach(batch, message->window_bytes);
    for (size_t i = 0; i < message->have.count && message->owner != 0; i++) {
        struct tri_range range = tri_ranges_at(message->have, i);

        for (uint64_t row = range.first; row < range.first + range.count; row++)
            batch->rows[row].acked = true;
    }
    answer.attached.request = message->request;
    answer.attached.number = number + 1;
    answer.attached.batch = (struct tri_bytes){ batch->uuid, 16 };
    answer.attached.count = batch->count;
    answer.attached.state = batch->sealed ? TRI_BATCH_RUNNING : TRI_BATCH_OPEN;
    answer.attached.hash = (struct tri_bytes){ batch->digest, 16 };
    answer.attached.append_bytes_max = batch->appended + self->options.append_bytes;
    answer.attached.spec = tri_buffer_bytes(&batch->spec);
    reply(self, &answer);
}

static void on_append(struct tiny_broker *self,
                      const struct tri_msg_append *message,
                      struct tri_bytes body)
{
    struct tiny_batch *batch = batch_of(self, message->number);
    struct tri_message answer = { .type = TRI_MESSAGE_APPENDED };
    struct tri_chunk chunk;

    if (batch == NULL || tri_items_open(body, &chunk, NULL) != TRI_OK) {
        reply_error(self, message->request, TRI_INVALID);
        return;
    }
    if (message->first > batch->count || batch->sealed) {
        reply_error(self, message->request, TRI_CONFLICT);
        return;
    }
    if (message->first == batch->count) {
        append_chunk(batch, &chunk);
        batch->appended += body.size;
    }
    answer.appended.number = message->number;
    answer.appended.count = batch->count;
    answer.appended.hash = (struct tri_bytes){ batch->digest, 16 };
    answer.appended.append_bytes_max = batch->appended + self->options.append_bytes;
    reply(self, &answer);
}

static void on_seal(struct tiny_broker *self, const struct tri_msg_seal *message)
{
    struct tiny_batch *batch = batch_of(self, message->number);
    struct tri_message answer = { .type = TRI_MESSAGE_DONE };

    if (batch == NULL || batch->count != message->count) {
        reply_error(self, message->request, TRI_CONFLICT);
        return;
    }
    batch->sealed = true;
    answer.done.request = message->request;
    answer.done.count = batch->count;
    reply(self, &answer);
}

static void on_ack(struct tiny_broker *self, const struct tri_msg_ack *message)
{
    struct tiny_batch *batch = batch_of(self, message->number);

    for (size_t i = 0; batch != NULL && i < message->rows.count; i++) {
        struct tri_range range = tri_ranges_at(message->rows, i);

        for (uint64_t row = range.first; row < range.first + range.count; row++) {
            if (batch->rows[row].acked || row >= batch->next)
                continue;
            batch->rows[row].acked = true;
            batch->unacked -= batch->rows[row].body.size;
            tri_buffer_deinit(&batch->rows[row].body);
            atomic_fetch_add(&self->acked, 1);
        }
    }
}

static void on_list(struct tiny_broker *self, const struct tri_msg_list *message)
{
    struct tri_message answer = { .type = TRI_MESSAGE_LISTED };
    struct tri_buffer list = { 0 };
    size_t count = 0;

    /* two a page */
    for (size_t i = (size_t)message->after; i < self->batch_count && count < 2; i++, count++) {
        struct tri_rec_batch_info info = { .number = i + 1,
                                           .batch = { self->batches[i].uuid, 16 },
                                           .handler = tri_bytes_of("echo"),
                                           .state = TRI_BATCH_DONE,
                                           .count = self->batches[i].count };

        tri_record_encode(TRI_RECORD_BATCH_INFO, &info, &list);
    }
    answer.listed.request = message->request;
    answer.listed.more = message->after + count < self->batch_count;
    answer.listed.batches = tri_list_of(&list, count);
    reply(self, &answer);
    tri_buffer_deinit(&list);
}

/* Task 4 is tried again, 9 has died of its second try. */
static struct tri_rec_attempt attempt_of(uint64_t number)
{
    return (struct tri_rec_attempt){ .attempt = number,
                                     .outcome =
                                         number == 1 ? TRI_OUTCOME_TIMEOUT : TRI_OUTCOME_CRASHED,
                                     .model = TRI_MODEL_THREAD,
                                     .worker = tri_bytes_of("tiny"),
                                     .error = tri_bytes_of(number == 1 ? "late" : "gone"),
                                     .wall_us = 7 * number,
                                     .cpu_us = number,
                                     .age_ms = 3000 - number,
                                     .restarts = number == 1 };
}

static void on_show(struct tiny_broker *self, const struct tri_msg_show *message)
{
    struct tri_message answer = { .type = TRI_MESSAGE_SHOWN };
    struct tri_rec_batch_info info = { .number = message->number, .count = 10 };
    struct tri_rec_entry entry = { .index = message->after <= 4 ? 4 : 9,
                                   .outcome = TRI_OUTCOME_TIMEOUT,
                                   .attempts = 1,
                                   .error = tri_bytes_of("late"),
                                   .worker = tri_bytes_of("tiny") };
    struct tri_rec_spec spec = { .source = TRI_SOURCE_ITEMS };
    struct tri_buffer batch = { 0 };
    struct tri_buffer list = { 0 };
    struct tri_buffer items = { 0 };

    tri_record_encode(TRI_RECORD_BATCH_INFO, &info, &batch);
    tri_record_encode(TRI_RECORD_ENTRY, &entry, &list);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &items);
    if (self->options.knows_arguments)
        answer.shown.spec = tri_buffer_bytes(&items);
    answer.shown.request = message->request;
    answer.shown.batches = tri_list_of(&batch, 1);
    answer.shown.entries = tri_list_of(&list, 1); /* one a page */
    answer.shown.more = entry.index == 4;
    reply(self, &answer);
    tri_buffer_deinit(&batch);
    tri_buffer_deinit(&list);
    tri_buffer_deinit(&items);
}

/* The argument of task 4 cannot be read; that of 9 is a long text of umlauts, cut inside of one. */
static void on_arguments(struct tiny_broker *self, const struct tri_msg_arguments *message)
{
    struct tri_message answer = { .type = TRI_MESSAGE_ARGUMENTS_INFO };
    struct tri_chunk_builder builder = { 0 };
    struct tri_buffer body = { 0 };
    bool is_readable = tri_ranges_at(message->tasks, 0).first != 4;

    tri_buffer_append(&builder.blob, "\xda\x10\x00x", self->options.breaks_arguments ? 1 : 4);
    while (!self->options.breaks_arguments && builder.blob.size < TRI_ARGUMENT_BYTES_MAX)
        tri_buffer_append(&builder.blob, builder.blob.size % 2 == 0 ? "\xc3" : "\xbc", 1);
    tri_chunk_builder_close_value(&builder);
    tri_items_encode(&builder, &body);
    answer.arguments_info.request = message->request;
    answer.arguments_info.status = is_readable ? TRI_OK : TRI_STORE;
    answer.arguments_info.tasks = message->tasks;
    say(self, (struct tri_bytes){ self->peer, self->peer_size }, &answer,
        is_readable ? &body : NULL);
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&body);
}

static void on_tasks(struct tiny_broker *self, const struct tri_msg_tasks *message)
{
    struct tri_message answer = { .type = TRI_MESSAGE_TASKS_INFO };
    struct tri_rec_task_info info = { .index = message->after <= 4 ? 4 : 9 };
    struct tri_buffer history = { 0 };
    struct tri_buffer list = { 0 };

    atomic_fetch_add(&self->tasks_asked, 1);
    info.state = info.index == 4 ? TRI_TASK_RETRYING : TRI_TASK_DEAD;
    for (uint64_t number = 1; number <= 1 + info.state; number++) {
        struct tri_rec_attempt attempt = attempt_of(number);

        tri_record_encode(TRI_RECORD_ATTEMPT, &attempt, &history);
    }
    info.history = tri_list_of(&history, 1 + info.state);
    tri_record_encode(TRI_RECORD_TASK_INFO, &info, &list);
    answer.tasks_info.request = message->request;
    answer.tasks_info.tasks = tri_list_of(&list, 1);
    answer.tasks_info.more = info.index == 4;
    reply(self, &answer);
    tri_buffer_deinit(&history);
    tri_buffer_deinit(&list);
}

static void welcome(struct tiny_broker *self, struct tri_bytes peer)
{
    struct tri_message message = { .type = TRI_MESSAGE_WELCOME };
    static const uint8_t cluster[16] = { 3 };

    memcpy(self->peer, peer.data, peer.size);
    self->peer_size = peer.size;
    for (size_t i = 0; i < self->batch_count; i++)
        self->batches[i].attached = false;
    message.welcome.version = 1;
    message.welcome.features = (self->options.knows_tasks ? TRI_FEATURE_TASKS : 0)
                               | (self->options.knows_arguments ? TRI_FEATURE_ARGUMENTS : 0);
    message.welcome.cluster = (struct tri_bytes){ cluster, 16 };
    message.welcome.heartbeat_ms = self->options.heartbeat_ms;
    message.welcome.lease_ms = 10 * self->options.heartbeat_ms;
    message.welcome.message_bytes_max = 64 << 20;
    message.welcome.item_bytes_max = 16 << 20;
    reply(self, &message);
}

static void on_message(struct tiny_broker *self,
                       const struct tri_message *message,
                       struct tri_bytes body)
{
    struct tri_message beat = { .type = TRI_MESSAGE_HEARTBEAT_OK };

    switch ((int)message->type) {
    case TRI_MESSAGE_HEARTBEAT:
        beat.heartbeat_ok.seq = message->heartbeat.seq;
        reply(self, &beat);
        break;
    case TRI_MESSAGE_SUBMIT:
        on_submit(self, &message->submit);
        break;
    case TRI_MESSAGE_ATTACH:
        on_attach(self, &message->attach);
        break;
    case TRI_MESSAGE_APPEND:
        on_append(self, &message->append, body);
        break;
    case TRI_MESSAGE_SEAL:
        on_seal(self, &message->seal);
        break;
    case TRI_MESSAGE_ACK:
        on_ack(self, &message->ack);
        break;
    case TRI_MESSAGE_LIST:
        on_list(self, &message->list);
        break;
    case TRI_MESSAGE_SHOW:
        on_show(self, &message->show);
        break;
    case TRI_MESSAGE_ARGUMENTS:
        on_arguments(self, &message->arguments);
        break;
    case TRI_MESSAGE_TASKS:
        if (self->options.knows_tasks)
            on_tasks(self, &message->tasks);
        else
            reply_error(self, 0, TRI_UNSUPPORTED); /* as for any type that is not known */
        break;
    case TRI_MESSAGE_BYE:
        self->peer_size = 0;
        break;
    default:
        reply_error(self, message->list.request, TRI_UNSUPPORTED);
        break;
    }
}

static void forget_peer(struct tiny_broker *self)
{
    self->peer_size = 0;
    for (size_t i = 0; i < self->batch_count; i++)
        self->batches[i].attached = false;
}

/* Losses come at uneven distances: an even one can equal the number of messages of a recovery, and
 * then takes the same message each time, for ever. */
static bool is_lost(struct tiny_broker *self)
{
    if (self->options.lose_every == 0 || self->messages < self->lose_at)
        return false;
    self->lose_at =
        self->messages + tri_prng_between(&self->prng, 1, 2 * self->options.lose_every - 1);
    return true;
}

static void receive(struct tiny_broker *self)
{
    struct tri_bytes peer = tri_msg_bytes(&self->parts.frames[0]);
    struct tri_bytes body = { 0 };
    struct tri_message message;
    bool known = peer.size == self->peer_size && memcmp(peer.data, self->peer, peer.size) == 0;

    if (self->options.mute
        || tri_message_decode(tri_msg_bytes(&self->parts.frames[1]), &message, NULL) != TRI_OK)
        return;
    self->messages++;
    if (self->options.forget_every != 0 && self->messages % self->options.forget_every == 0)
        forget_peer(self);
    if (message.type == TRI_MESSAGE_HELLO && !self->options.refuse_version) {
        welcome(self, peer);
        return;
    }
    if (message.type == TRI_MESSAGE_HELLO) {
        memcpy(self->peer, peer.data, peer.size);
        self->peer_size = peer.size;
        reply_error(self, 0, TRI_VERSION);
        self->peer_size = 0;
        return;
    }
    if (!known || self->peer_size == 0) {
        say(self, peer, &(struct tri_message){ .type = TRI_MESSAGE_NO_SESSION }, NULL);
        return;
    }
    if (is_lost(self)) {
        forget_peer(self);
        return;
    }
    if (self->parts.count > 2)
        body = tri_msg_bytes(&self->parts.frames[2]);
    on_message(self, &message, body);
}

static bool tiny_listen(struct tiny_broker *self)
{
    int zero = 0;

    self->socket = zmq_socket(self->context, ZMQ_ROUTER);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(self->socket, ZMQ_SNDHWM, &zero, sizeof(zero));
    return zmq_bind(self->socket, self->endpoint) == 0;
}

static void *serve(void *argument)
{
    struct tiny_broker *self = argument;
    const struct tri_parts_limits limits = { 8, 1 << 28 };

    while (!atomic_load(&self->stop)) {
        zmq_pollitem_t item = { self->socket, 0, ZMQ_POLLIN, 0 };

        if (atomic_exchange(&self->restart, false)) {
            zmq_close(self->socket);
            forget_peer(self);
            tiny_listen(self);
            continue;
        }
        zmq_poll(&item, 1, SLICE_MS);
        while (tri_parts_receive(&self->parts, self->socket, ZMQ_DONTWAIT, &limits, NULL) == TRI_OK)
            receive(self);
        pump(self);
    }
    return NULL;
}

struct tiny_broker *tiny_broker_start(const struct tiny_options *options)
{
    struct tiny_broker *self = calloc(1, sizeof(*self));

    self->options = *options;
    if (self->options.heartbeat_ms == 0)
        self->options.heartbeat_ms = 1000;
    if (self->options.append_bytes == 0)
        self->options.append_bytes = 1 << 30;
    tri_prng_init(&self->prng, self->options.lose_every);
    self->lose_at = self->options.lose_every;
    strcpy(self->directory, "/tmp/tiny-XXXXXX");
    if (mkdtemp(self->directory) == NULL)
        abort();
    snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/broker", self->directory);
    self->context = zmq_ctx_new();
    tri_parts_init(&self->parts);
    if (!tiny_listen(self) || pthread_create(&self->thread, NULL, serve, self) != 0)
        abort();
    return self;
}

const char *tiny_broker_endpoint(const struct tiny_broker *self)
{
    return self->endpoint;
}

void tiny_broker_restart(struct tiny_broker *self)
{
    atomic_store(&self->restart, true);
}

uint64_t tiny_broker_window_peak(const struct tiny_broker *self)
{
    return atomic_load(&self->peak);
}

uint64_t tiny_broker_acked(const struct tiny_broker *self)
{
    return atomic_load(&self->acked);
}

uint64_t tiny_broker_tasks_asked(const struct tiny_broker *self)
{
    return atomic_load(&self->tasks_asked);
}

void tiny_broker_stop(struct tiny_broker **self)
{
    struct tiny_broker *broker = *self;

    atomic_store(&broker->stop, true);
    pthread_join(broker->thread, NULL);
    zmq_close(broker->socket);
    tri_parts_deinit(&broker->parts);
    zmq_ctx_term(broker->context);
    for (size_t i = 0; i < broker->batch_count; i++) {
        struct tiny_batch *batch = &broker->batches[i];

        for (size_t k = 0; k < batch->row_count; k++)
            tri_buffer_deinit(&batch->rows[k].body);
        free(batch->rows);
        tri_buffer_deinit(&batch->spec);
        XXH3_freeState(batch->hash);
    }
    unlink(broker->endpoint + strlen("ipc://"));
    rmdir(broker->directory);
    free(broker);
    *self = NULL;
}
