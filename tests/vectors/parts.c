#include "tests/vectors/parts.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <xxhash.h>

/* The arguments 3, 4, 300 and their squares, as msgpack. */
static const struct tri_bytes arguments[] = { TEXT("\x03"), TEXT("\x04"), TEXT("\xcd\x01\x2c") };
static const struct tri_bytes squares[] = { TEXT("\x09"), TEXT("\x10"),
                                            TEXT("\xce\x00\x01\x5f\x90") };
static const uint8_t task_us[] = { 5, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0,
                                   2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0 };

struct tri_bytes keep_buffer(struct maker *maker, struct tri_buffer *buffer)
{
    uint8_t *copy = maker_alloc(maker, buffer->size);
    struct tri_bytes bytes = { copy, buffer->size };

    tri_assert(!buffer->failed);
    if (buffer->size > 0)
        memcpy(copy, buffer->data, buffer->size);
    tri_buffer_deinit(buffer);
    return bytes;
}

struct tri_bytes keep_message(struct maker *maker, const struct tri_message *message)
{
    struct tri_buffer buffer = { 0 };

    tri_message_encode(message, &buffer);
    return keep_buffer(maker, &buffer);
}

struct tri_bytes keep_record(struct maker *maker, enum tri_record_type type, const void *record)
{
    struct tri_buffer buffer = { 0 };

    tri_record_encode(type, record, &buffer);
    return keep_buffer(maker, &buffer);
}

struct tri_list parts_one(struct maker *maker, enum tri_record_type type)
{
    union tri_any_record record;
    struct tri_bytes bytes;

    story_record(maker, type, &record);
    bytes = keep_record(maker, type, &record);
    return (struct tri_list){ bytes.data, bytes.size, 1 };
}

struct tri_list parts_texts(struct maker *maker, const char *const *words, size_t count)
{
    struct tri_buffer buffer = { 0 };
    struct tri_bytes bytes;

    for (size_t i = 0; i < count; i++)
        tri_record_encode(TRI_RECORD_TEXT, &(struct tri_rec_text){ tri_bytes_of(words[i]) },
                          &buffer);
    bytes = keep_buffer(maker, &buffer);
    return (struct tri_list){ bytes.data, bytes.size, count };
}

struct tri_ranges parts_range(struct maker *maker, uint64_t first, uint64_t count)
{
    struct tri_range *kept = maker_alloc(maker, sizeof(*kept));

    *kept = (struct tri_range){ first, count };
    return tri_ranges_of(kept, 1);
}

static void build(struct tri_chunk_builder *builder, const struct tri_bytes *values, size_t count)
{
    tri_chunk_builder_init(builder);
    for (size_t i = 0; i < count; i++) {
        tri_buffer_append(&builder->blob, values[i].data, values[i].size);
        tri_chunk_builder_close_value(builder);
    }
}

struct tri_bytes *parts_items(struct maker *maker)
{
    struct tri_bytes *frame = maker_alloc(maker, sizeof(*frame));
    struct tri_chunk_builder builder;
    struct tri_buffer buffer = { 0 };

    build(&builder, arguments, TRI_COUNT_OF(arguments));
    tri_items_encode(&builder, &buffer);
    tri_chunk_builder_deinit(&builder);
    *frame = keep_buffer(maker, &buffer);
    return frame;
}

struct tri_bytes *parts_result(struct maker *maker)
{
    struct tri_bytes *frame = maker_alloc(maker, sizeof(*frame));
    union tri_any_record head;
    struct tri_chunk_builder builder;
    struct tri_buffer buffer = { 0 };

    story_record(maker, TRI_RECORD_RESULT, &head);
    build(&builder, squares, TRI_COUNT_OF(squares));
    tri_result_encode(&builder, &head.result, &buffer);
    tri_chunk_builder_deinit(&builder);
    *frame = keep_buffer(maker, &buffer);
    return frame;
}

struct tri_bytes parts_hash(struct maker *maker, bool of_nothing)
{
    XXH128_canonical_t *canonical = maker_alloc(maker, sizeof(*canonical));
    struct tri_buffer buffer = { 0 };

    for (size_t i = 0; !of_nothing && i < TRI_COUNT_OF(arguments); i++)
        tri_buffer_append(&buffer, arguments[i].data, arguments[i].size);
    XXH128_canonicalFromHash(canonical, XXH3_128bits(buffer.data, buffer.size));
    tri_buffer_deinit(&buffer);
    return (struct tri_bytes){ canonical->digest, sizeof(canonical->digest) };
}

static struct tri_rec_spec spec_record(struct maker *maker)
{
    static const char *const words[] = { "gpu" };

    return (struct tri_rec_spec){ .handler = TEXT("square"),
                                  .source = TRI_SOURCE_ITEMS,
                                  .model = TRI_MODEL_AUTO,
                                  .crash_limit = 3,
                                  .priority = 500,
                                  .labels = parts_texts(maker, words, 1),
                                  .output_bytes_max = 16777216 };
}

struct tri_bytes parts_spec(struct maker *maker)
{
    struct tri_rec_spec record = spec_record(maker);

    return keep_record(maker, TRI_RECORD_SPEC, &record);
}

static struct tri_rec_batch_info batch_record(void)
{
    return (struct tri_rec_batch_info){ .number = NUMBER,
                                        .batch = BATCH_ID,
                                        .name = TEXT("squares"),
                                        .handler = TEXT("square"),
                                        .owner = TEXT("local"),
                                        .state = TRI_BATCH_DONE,
                                        .generation = 1,
                                        .count = 3,
                                        .done = 3,
                                        .age_ms = 61000,
                                        .elapsed_ms = 12,
                                        .wall_ns = 9000,
                                        .cpu_ns = 8000,
                                        .model = TRI_MODEL_THREAD,
                                        .workers = 1 };
}

static struct tri_rec_worker_info worker_record(struct maker *maker)
{
    static const char *const words[] = { "gpu", "rack=4" };

    return (struct tri_rec_worker_info){ .name = TEXT("node1"),
                                         .instance = WORKER_ID,
                                         .pid = 4711,
                                         .state = 1,
                                         .width = 8,
                                         .busy = 2,
                                         .leases = 1,
                                         .tasks_leased = 3,
                                         .tasks_done = 1000,
                                         .tasks_failed = 1,
                                         .heartbeat_age_ms = 250,
                                         .version = TEXT("trireme/0.1.0"),
                                         .handlers = parts_one(maker, TRI_RECORD_HANDLER),
                                         .labels = parts_texts(maker, words, 2) };
}

static struct tri_rec_entry entry_record(void)
{
    return (struct tri_rec_entry){ .index = 2,
                                   .outcome = TRI_OUTCOME_FAILED,
                                   .attempts = 2,
                                   .error = TEXT("connection refused"),
                                   .value = TEXT("\xc0"),
                                   .wall_us = 1500,
                                   .cpu_us = 90,
                                   .model = TRI_MODEL_ASYNC,
                                   .worker = TEXT("node1") };
}

static struct tri_rec_attempt attempt_record(void)
{
    return (struct tri_rec_attempt){ .attempt = 2,
                                     .outcome = TRI_OUTCOME_FAILED,
                                     .model = TRI_MODEL_ASYNC,
                                     .worker = TEXT("node1"),
                                     .error = TEXT("connection refused"),
                                     .wall_us = 1500,
                                     .cpu_us = 90,
                                     .age_ms = 61000,
                                     .restarts = 1 };
}

void story_record(struct maker *maker, enum tri_record_type type, union tri_any_record *record)
{
    memset(record, 0, sizeof(*record));
    switch (type) {
    case TRI_RECORD_TEXT:
        record->text = (struct tri_rec_text){ TEXT("gpu") };
        break;
    case TRI_RECORD_HANDLER:
        record->handler = (struct tri_rec_handler){ TEXT("square"), TRI_INT, 0 };
        break;
    case TRI_RECORD_SPEC:
        record->spec = spec_record(maker);
        break;
    case TRI_RECORD_HELD:
        record->held = (struct tri_rec_held){ LEASE, NUMBER, parts_range(maker, 1, 2) };
        break;
    case TRI_RECORD_RENEW:
        record->renew = (struct tri_rec_renew){ LEASE, 0, parts_range(maker, 0, 2) };
        break;
    case TRI_RECORD_LEASE_REF:
        record->lease_ref = (struct tri_rec_lease_ref){ LEASE };
        break;
    case TRI_RECORD_ENTRY:
        record->entry = entry_record();
        break;
    case TRI_RECORD_BATCH_INFO:
        record->batch_info = batch_record();
        break;
    case TRI_RECORD_WORKER_INFO:
        record->worker_info = worker_record(maker);
        break;
    case TRI_RECORD_ITEMS:
        record->items = (struct tri_rec_items){ 1, 3 };
        break;
    case TRI_RECORD_RESULT:
        record->result = (struct tri_rec_result){ .format = 1,
                                                  .count = 3,
                                                  .runs = parts_range(maker, 0, 3),
                                                  .model = TRI_MODEL_THREAD,
                                                  .wall_ns = 9000,
                                                  .cpu_ns = 8000,
                                                  .switches = 1,
                                                  .task_us = { task_us, sizeof(task_us) } };
        break;
    case TRI_RECORD_ENTRIES:
        record->entries = (struct tri_rec_entries){ parts_one(maker, TRI_RECORD_ENTRY) };
        break;
    case TRI_RECORD_ATTEMPT:
        record->attempt = attempt_record();
        break;
    case TRI_RECORD_TASK_INFO:
        record->task_info =
            (struct tri_rec_task_info){ 2, TRI_TASK_DEAD, parts_one(maker, TRI_RECORD_ATTEMPT) };
        break;
    }
}
