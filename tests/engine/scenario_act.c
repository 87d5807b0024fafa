/* scenario_act.c - what clients and workers do in stories. */
#include "tests/engine/scenario.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW_BYTES (UINT64_C(16) << 20)

struct scenario_batch *batch_of(struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->batch_count; i++)
        if (strcmp(s->batches[i].name, name) == 0)
            return &s->batches[i];
    ck_abort_msg("no batch %s", name);
    return NULL;
}

static struct scenario_batch *batch_at(struct scenario *s, const char *name)
{
    struct scenario_batch *batch;

    for (size_t i = 0; i < s->batch_count; i++)
        if (strcmp(s->batches[i].name, name) == 0)
            return &s->batches[i];
    tri_assert(s->batch_count < BATCHES_MAX);
    batch = &s->batches[s->batch_count++];
    snprintf(batch->name, sizeof(batch->name), "%s", name);
    snprintf((char *)batch->uuid.bytes, 16, "b-%.12s", name);
    return batch;
}

/* ---- clients -------------------------------------------------------------------------------- */

static void fill_spec(struct tri_rec_spec *out,
                      const struct scenario_spec *spec,
                      uint64_t count,
                      struct tri_buffer *labels)
{
    size_t label_count = 0;

    *out = (struct tri_rec_spec){
        .handler = tri_bytes_of(spec->handler != NULL ? spec->handler : "square"),
        .source = TRI_SOURCE_RANGE,
        .first = spec->first,
        .step = spec->step != 0 ? spec->step : 1,
        .count = count,
        .retries = spec->retries,
        .crash_limit = spec->crash_limit != 0 ? spec->crash_limit : 3,
        .halt = spec->halt,
        .halt_fail_count = spec->halt_fail_count,
        .halt_fail_percent = spec->halt_fail_percent,
        .priority = spec->priority,
    };
    for (; spec->labels != NULL && spec->labels[label_count] != NULL; label_count++) {
        struct tri_rec_text text = { tri_bytes_of(spec->labels[label_count]) };

        tri_record_encode(TRI_RECORD_TEXT, &text, labels);
    }
    out->labels = tri_list_of(labels, label_count);
    if (spec->reducer != NULL)
        out->reducer = tri_bytes_of(spec->reducer);
    if (spec->plugin != NULL)
        out->plugin = tri_bytes_of(spec->plugin);
}

static void submit(struct scenario *s,
                   const char *client,
                   const char *name,
                   uint64_t count,
                   uint64_t window_bytes,
                   const struct scenario_spec *spec,
                   bool open)
{
    struct scenario_batch *batch = batch_at(s, name);
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };
    struct tri_rec_spec record;
    struct tri_buffer labels = { 0 };
    struct tri_buffer encoded = { 0 };

    expect_nothing_else(s);
    fill_spec(&record, spec, count, &labels);
    if (open)
        record.source = TRI_SOURCE_ITEMS;
    tri_record_encode(TRI_RECORD_SPEC, &record, &encoded);
    message.submit.request = ++s->request;
    message.submit.batch = (struct tri_bytes){ batch->uuid.bytes, 16 };
    message.submit.name = tri_bytes_of(name);
    message.submit.open = open;
    message.submit.window_bytes = window_bytes;
    message.submit.spec = tri_buffer_bytes(&encoded);
    peer_sends(s, client, &message, NULL, 0);
    tri_buffer_deinit(&labels);
    tri_buffer_deinit(&encoded);
}

void client_submits_with(struct scenario *s,
                         const char *client,
                         const char *batch,
                         uint64_t count,
                         uint64_t window_bytes,
                         const struct scenario_spec *spec)
{
    submit(s, client, batch, count, window_bytes, spec, false);
}

void client_submits(struct scenario *s, const char *client, const char *batch, uint64_t count)
{
    struct scenario_spec spec = { 0 };

    submit(s, client, batch, count, WINDOW_BYTES, &spec, false);
    expect_waiting(s, client, "ACCEPTED %s %llu", batch, (unsigned long long)count);
}

void client_opens_with(struct scenario *s,
                       const char *client,
                       const char *batch,
                       uint64_t window_bytes,
                       const struct scenario_spec *spec)
{
    submit(s, client, batch, 0, window_bytes, spec, true);
}

void client_opens(struct scenario *s, const char *client, const char *batch, uint64_t window_bytes)
{
    struct scenario_spec spec = { 0 };

    submit(s, client, batch, 0, window_bytes, &spec, true);
    expect_waiting(s, client, "ACCEPTED %s 0", batch);
}

static void pack_item(struct tri_chunk_builder *builder, uint64_t index, size_t bytes, char fill)
{
    uint8_t head[5] = { 0xc6 };
    size_t body = bytes > 5 ? bytes - 5 : 0;
    uint8_t *out;

    head[1] = (uint8_t)(body >> 24);
    head[2] = (uint8_t)(body >> 16);
    head[3] = (uint8_t)(body >> 8);
    head[4] = (uint8_t)body;
    tri_buffer_append(&builder->blob, head, sizeof(head));
    out = tri_buffer_reserve(&builder->blob, body);
    if (body != 0) {
        memset(out, fill, body);
        out[0] = (uint8_t)index;
    }
    builder->blob.size += body;
    tri_chunk_builder_close_value(builder);
}

static void items_frame(
    uint64_t first, uint64_t count, size_t item_bytes, char fill, struct tri_buffer *frame)
{
    struct tri_chunk_builder builder;

    tri_chunk_builder_init(&builder);
    for (uint64_t i = 0; i < count; i++)
        pack_item(&builder, first + i, item_bytes, fill);
    tri_items_encode(&builder, frame);
    tri_chunk_builder_deinit(&builder);
}

void client_appends_at(struct scenario *s,
                       const char *client,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       size_t item_bytes,
                       char fill)
{
    struct tri_message message = { .type = TRI_MESSAGE_APPEND };
    struct tri_buffer frame = { 0 };
    struct tri_bytes payload;

    expect_nothing_else(s);
    items_frame(first, count, item_bytes, fill, &frame);
    payload = tri_buffer_bytes(&frame);
    message.append.request = ++s->request;
    message.append.number = batch_of(s, batch)->number;
    message.append.first = first;
    peer_sends(s, client, &message, &payload, 1);
    tri_buffer_deinit(&frame);
}

void client_appends(struct scenario *s, const char *client, const char *batch, uint64_t count)
{
    struct scenario_batch *known = batch_of(s, batch);

    client_appends_at(s, client, batch, known->appended, count, 8, 'x');
    known->appended += count;
    expect_waiting(s, client, "APPENDED %s %llu", batch, (unsigned long long)known->appended);
}

void client_asks(struct scenario *s, const char *client, struct tri_message *message)
{
    expect_nothing_else(s);
    peer_sends(s, client, message, NULL, 0);
}

void client_seals(struct scenario *s, const char *client, const char *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_SEAL };

    message.seal.request = ++s->request;
    message.seal.number = batch_of(s, batch)->number;
    message.seal.count = batch_of(s, batch)->appended;
    client_asks(s, client, &message);
}

void client_attaches(
    struct scenario *s, const char *client, const char *batch, bool owner, uint64_t window_bytes)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACH };

    message.attach.request = ++s->request;
    message.attach.number = batch_of(s, batch)->number;
    message.attach.owner = owner;
    message.attach.window_bytes = window_bytes;
    client_asks(s, client, &message);
}

void client_acks(struct scenario *s, const char *client, const char *batch, uint64_t row)
{
    struct tri_message message = { .type = TRI_MESSAGE_ACK };
    struct tri_range range = { row, 1 };

    message.ack.number = batch_of(s, batch)->number;
    message.ack.rows = tri_ranges_of(&range, 1);
    client_asks(s, client, &message);
}

/* `tasks` of them, or the batch. */
static void cancel(struct scenario *s,
                   const char *client,
                   const char *batch,
                   const struct tri_range *tasks)
{
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL };

    message.cancel.request = ++s->request;
    message.cancel.number = batch_of(s, batch)->number;
    if (tasks != NULL)
        message.cancel.tasks = tri_ranges_of(tasks, 1);
    client_asks(s, client, &message);
}

void client_cancels(struct scenario *s, const char *client, const char *batch)
{
    cancel(s, client, batch, NULL);
}

void client_cancels_tasks(
    struct scenario *s, const char *client, const char *batch, uint64_t first, uint64_t count)
{
    cancel(s, client, batch, &(struct tri_range){ first, count });
}

static void retry(struct scenario *s,
                  const char *client,
                  const char *batch,
                  const struct tri_range *tasks)
{
    struct tri_message message = { .type = TRI_MESSAGE_RETRY };

    message.retry.request = ++s->request;
    message.retry.number = batch_of(s, batch)->number;
    if (tasks != NULL)
        message.retry.tasks = tri_ranges_of(tasks, 1);
    client_asks(s, client, &message);
}

void client_retries(struct scenario *s, const char *client, const char *batch)
{
    retry(s, client, batch, NULL);
}

void client_retries_tasks(
    struct scenario *s, const char *client, const char *batch, uint64_t first, uint64_t count)
{
    retry(s, client, batch, &(struct tri_range){ first, count });
}

void client_forgets(struct scenario *s, const char *client, const char *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_FORGET };

    message.forget.request = ++s->request;
    message.forget.number = batch_of(s, batch)->number;
    client_asks(s, client, &message);
}

/* ---- the store ------------------------------------------------------------------------------ */

void store_has_room(struct scenario *s, uint64_t bytes)
{
    struct event event = { .type = EVENT_ROOM, .now = s->now, .room_bytes = bytes };

    expect_nothing_else(s);
    step(s, &event);
}

/* ---- workers -------------------------------------------------------------------------------- */

struct held *lease_of(struct scenario *s, const char *worker, const char *batch, uint64_t index)
{
    struct peer *peer = peer_of(s, worker);
    uint64_t number = batch_of(s, batch)->number;
    struct held *found = NULL;

    for (size_t i = 0; i < peer->held_count; i++) {
        struct held *held = &peer->held[i];

        if (held->number == number && index >= held->first && index - held->first < held->count
            && (found == NULL || tri_rangeset_contains(&held->undone, index)))
            found = held;
    }
    ck_assert_msg(found != NULL, "%s has no lease of %s/%llu", worker, batch,
                  (unsigned long long)index);
    return found;
}

static void report(struct scenario *s,
                   struct peer *peer,
                   const struct tri_message *message,
                   const struct tri_buffer *frame)
{
    struct tri_bytes payload = frame != NULL ? tri_buffer_bytes(frame) : (struct tri_bytes){ 0 };
    char text[40];

    expect_nothing_else(s);
    peer_sends(s, peer->name, message, &payload, frame != NULL);
    snprintf(text, sizeof(text), "RESULTS_OK %llu", (unsigned long long)peer->seq);
    for (size_t i = 0; i < peer->sent_count; i++)
        if (!peer->sent[i].taken && strcmp(peer->sent[i].text, text) == 0) {
            ck_assert(peer->sent[i].waits);
            ck_assert_int_eq(peer->sent[i].haste, HASTE_NONE);
            peer->sent[i].taken = true;
            return;
        }
    ck_abort_msg("%s was not sent %s", peer->name, text);
}

static void results_frame(
    uint64_t first, uint64_t count, size_t value_bytes, uint64_t task_ns, struct tri_buffer *frame)
{
    struct tri_chunk_builder builder;
    struct tri_range run = { first, count };
    struct tri_rec_result head = { 0 };

    tri_chunk_builder_init(&builder);
    for (uint64_t i = 0; i < count; i++)
        pack_item(&builder, i, value_bytes, 'v');
    head.runs = tri_ranges_of(&run, 1);
    head.model = TRI_MODEL_THREAD;
    head.wall_ns = task_ns * count;
    tri_result_encode(&builder, &head, frame);
    tri_chunk_builder_deinit(&builder);
}

void worker_returns_in(struct scenario *s,
                       const char *worker,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       size_t value_bytes,
                       uint64_t task_ns)
{
    struct peer *peer = peer_of(s, worker);
    struct held *held = lease_of(s, worker, batch, first);
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_buffer frame = { 0 };

    results_frame(first, count, value_bytes, task_ns, &frame);
    message.results.seq = ++peer->seq;
    message.results.lease = held->lease;
    message.results.number = held->number;
    message.results.generation = held->generation;
    tri_rangeset_remove(&held->undone, first, count);
    report(s, peer, &message, &frame);
    tri_buffer_deinit(&frame);
}

void worker_returns(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count)
{
    /* So long that nothing is queued ahead by time. */
    worker_returns_in(s, worker, batch, first, count, 8, UINT64_C(1000000000));
}

void worker_folds(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count)
{
    struct peer *peer = peer_of(s, worker);
    struct held *held = lease_of(s, worker, batch, first);
    struct tri_message message = { .type = TRI_MESSAGE_PARTIAL };
    struct tri_range range = { first, count };
    struct tri_buffer frame = { 0 };

    tri_buffer_append(&frame, "\x01", 1);
    message.partial.seq = ++peer->seq;
    message.partial.lease = held->lease;
    message.partial.number = held->number;
    message.partial.generation = held->generation;
    message.partial.ranges = tri_ranges_of(&range, 1);
    message.partial.model = TRI_MODEL_THREAD;
    message.partial.wall_ns = count * UINT64_C(1000000000);
    tri_rangeset_remove(&held->undone, first, count);
    report(s, peer, &message, &frame);
    tri_buffer_deinit(&frame);
}

static void end_tasks(struct scenario *s,
                      const char *worker,
                      const char *batch,
                      struct tri_range tasks,
                      enum tri_outcome outcome,
                      uint64_t task_us)
{
    struct peer *peer = peer_of(s, worker);
    struct held *held = lease_of(s, worker, batch, tasks.first);
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };
    struct tri_buffer list = { 0 };

    for (uint64_t i = 0; i < tasks.count; i++) {
        struct tri_rec_entry entry = {
            .index = tasks.first + i,
            .outcome = outcome,
            .attempts = held->attempt,
            .error = tri_bytes_of("it went wrong"),
            .wall_us = task_us,
            .model = TRI_MODEL_THREAD,
        };

        tri_record_encode(TRI_RECORD_ENTRY, &entry, &list);
    }
    message.ended.seq = ++peer->seq;
    message.ended.lease = held->lease;
    message.ended.number = held->number;
    message.ended.generation = held->generation;
    message.ended.entries = tri_list_of(&list, tasks.count);
    tri_rangeset_remove(&held->undone, tasks.first, tasks.count);
    tri_rangeset_remove(&held->started, tasks.first, tasks.count);
    report(s, peer, &message, NULL);
    tri_buffer_deinit(&list);
}

void worker_fails(struct scenario *s,
                  const char *worker,
                  const char *batch,
                  uint64_t index,
                  enum tri_outcome outcome)
{
    end_tasks(s, worker, batch, (struct tri_range){ index, 1 }, outcome, 1000000);
}

void worker_fails_many(struct scenario *s,
                       const char *worker,
                       const char *batch,
                       uint64_t first,
                       uint64_t count,
                       uint64_t task_us)
{
    end_tasks(s, worker, batch, (struct tri_range){ first, count }, TRI_OUTCOME_FAILED, task_us);
}

void worker_starts(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count)
{
    tri_rangeset_add(&lease_of(s, worker, batch, first)->started, first, count);
}

void worker_releases(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t count)
{
    struct peer *peer = peer_of(s, worker);
    struct held *held = lease_of(s, worker, batch, first);
    struct tri_message message = { .type = TRI_MESSAGE_RELEASED };
    struct tri_range range = { first, count };

    message.released.seq = ++peer->seq;
    message.released.lease = held->lease;
    message.released.ranges = tri_ranges_of(&range, count != 0);
    tri_rangeset_remove(&held->undone, first, count);
    report(s, peer, &message, NULL);
}

void worker_wants(
    struct scenario *s, const char *worker, const char *batch, uint64_t first, uint64_t bytes)
{
    lease_of(s, worker, batch, first)->wanted = bytes;
    heartbeat(s, worker);
    lease_of(s, worker, batch, first)->wanted = 0;
}

/* Runs of one size, lease by lease, as long as there are any. */
void worker_returns_everything(struct scenario *s, const char *worker, uint64_t task_ns)
{
    struct peer *peer = peer_of(s, worker);

    for (size_t i = 0; i < peer->held_count; i++) {
        struct held *held = &peer->held[i];
        struct tri_range range;

        while (tri_rangeset_next(&held->undone, 0, &range)) {
            const char *batch = NULL;

            for (size_t b = 0; b < s->batch_count; b++)
                if (s->batches[b].number == held->number)
                    batch = s->batches[b].name;
            if (range.count > 1000)
                range.count = 1000;
            for (size_t p = 0; p < PEERS_MAX; p++)
                if (s->peers[p].used)
                    ignore(s, s->peers[p].name);
            worker_returns_in(s, worker, batch, range.first, range.count, 8, task_ns);
        }
    }
}
