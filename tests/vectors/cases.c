#include "tests/vectors/cases.h"

#include "common/assert.h"
#include "common/proto/codec.h"
#include "tests/vectors/parts.h"

#define VECTOR_MAX 512

struct collector {
    struct maker *maker;
    struct vector *vectors;
    size_t count;
};

static void collect(struct collector *self, struct vector vector)
{
    tri_assert(self->count < VECTOR_MAX);
    self->vectors[self->count++] = vector;
}

static void fill(struct maker *maker, const struct tri_shape *shape, void *slot);

/* Long enough for every header width that the limit allows a short vector to show. */
static struct tri_bytes fill_bytes(struct maker *maker, uint64_t max)
{
    size_t size = max < 40 ? max : 40;
    uint8_t *data = maker_alloc(maker, size);

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)('a' + i % 26);
    return (struct tri_bytes){ data, size };
}

static struct tri_list fill_list(struct maker *maker, enum tri_record_type type)
{
    const struct tri_shape *shape = tri_record_shape(type);
    union tri_any_record record;
    struct tri_bytes bytes;

    fill(maker, shape, &record);
    bytes = keep_record(maker, type, &record);
    return (struct tri_list){ bytes.data, bytes.size, 1 };
}

static struct tri_ranges fill_ranges(struct maker *maker)
{
    struct tri_range *ranges = maker_alloc(maker, 3 * sizeof(*ranges));

    ranges[0] = (struct tri_range){ 0, 1 };
    ranges[1] = (struct tri_range){ 1, 4294967296 };
    ranges[2] = (struct tri_range){ INT64_MAX - 1, 1 };
    return tri_ranges_of(ranges, 3);
}

static void fill_field(struct maker *maker, const struct tri_field *field, void *slot)
{
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        *(uint64_t *)slot = field->max;
        break;
    case TRI_FIELD_SIGNED:
        *(int64_t *)slot = INT64_MIN;
        break;
    case TRI_FIELD_STRING:
    case TRI_FIELD_BINARY:
        *(struct tri_bytes *)slot = fill_bytes(maker, field->max);
        break;
    case TRI_FIELD_RANGES:
        *(struct tri_ranges *)slot = fill_ranges(maker);
        break;
    case TRI_FIELD_LIST:
        *(struct tri_list *)slot = fill_list(maker, field->record);
        break;
    }
}

static void fill(struct maker *maker, const struct tri_shape *shape, void *slot)
{
    uint8_t *at = slot;

    for (size_t i = 0; i < shape->count; i++) {
        fill_field(maker, &shape->fields[i], at);
        at += tri_field_size(shape->fields[i].kind);
    }
}

/* The same array with one more element: a map with the unknown optional key 2. */
static struct tri_bytes extend(struct maker *maker, struct tri_bytes bytes)
{
    static const uint8_t map[] = { 0x81, 0x02, 0xa5, 'l', 'a', 't', 'e', 'r' };
    size_t head = bytes.data[0] == 0xdc ? 3 : 1;
    unsigned count = (head == 3 ? bytes.data[2] : bytes.data[0] & 15u) + 1;
    struct tri_buffer buffer = { 0 };
    uint8_t start[3] = { 0xdc, 0, (uint8_t)count };

    if (count < 16)
        tri_buffer_append(&buffer, &(uint8_t){ (uint8_t)(0x90 | count) }, 1);
    else
        tri_buffer_append(&buffer, start, 3);
    tri_buffer_append(&buffer, bytes.data + head, bytes.size - head);
    tri_buffer_append(&buffer, map, sizeof(map));
    return keep_buffer(maker, &buffer);
}

static void collect_message(struct collector *self,
                            uint64_t type,
                            const struct step *steps,
                            size_t step_count)
{
    const struct tri_shape *shape = tri_message_shape(type);
    struct tri_message message = { .type = (enum tri_message_type)type };
    struct vector vector = { VECTOR_MESSAGE, type, shape->name, "empty", { 0 } };
    bool found = false;

    vector.bytes = keep_message(self->maker, &message);
    collect(self, vector);
    fill(self->maker, shape, &message.hello);
    vector.title = "full";
    vector.bytes = keep_message(self->maker, &message);
    collect(self, vector);
    for (size_t i = 0; i < step_count && !found; i++) {
        if (steps[i].message.type != message.type)
            continue;
        found = true;
        vector.title = "typical";
        vector.bytes = keep_message(self->maker, &steps[i].message);
        collect(self, vector);
        vector.title = "extended";
        vector.bytes = extend(self->maker, vector.bytes);
        collect(self, vector);
    }
    tri_assert(found);
}

static void collect_record(struct collector *self, enum tri_record_type type)
{
    const struct tri_shape *shape = tri_record_shape(type);
    union tri_any_record record;
    struct vector vector = { VECTOR_RECORD, type, shape->name, "empty", { 0 } };

    memset(&record, 0, sizeof(record));
    vector.bytes = keep_record(self->maker, type, &record);
    collect(self, vector);
    fill(self->maker, shape, &record);
    vector.title = "full";
    vector.bytes = keep_record(self->maker, type, &record);
    collect(self, vector);
    story_record(self->maker, type, &record);
    vector.title = "typical";
    vector.bytes = keep_record(self->maker, type, &record);
    collect(self, vector);
    vector.title = "extended";
    vector.bytes = extend(self->maker, vector.bytes);
    collect(self, vector);
}

static struct tri_bytes scattered_result(struct maker *maker, uint32_t count)
{
    static const struct tri_range runs[] = { { 0, 1 }, { 5, 2 }, { 4294967296, 1 } };
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, count > 0 ? 3 : 0),
                                   .model = TRI_MODEL_ASYNC,
                                   .flags = TRI_RESULT_SAMPLED };
    struct tri_chunk_builder builder;
    struct tri_buffer buffer = { 0 };

    tri_chunk_builder_init(&builder);
    for (uint32_t i = 0; i < count; i++) {
        tri_buffer_append(&builder.blob, (const uint8_t[]){ 0xa1, (uint8_t)('a' + i) }, 2);
        tri_chunk_builder_close_value(&builder);
    }
    tri_result_encode(&builder, &head, &buffer);
    tri_chunk_builder_deinit(&builder);
    return keep_buffer(maker, &buffer);
}

static void collect_chunks(struct collector *self)
{
    struct vector items = { VECTOR_ITEMS, TRI_RECORD_ITEMS, "ITEM-CHUNK", "typical", { 0 } };
    struct vector result = { VECTOR_RESULT, TRI_RECORD_RESULT, "RESULT-CHUNK", "typical", { 0 } };
    struct tri_chunk chunk;
    struct tri_error error;
    struct tri_buffer part = { 0 };
    struct tri_buffer none = { 0 };

    items.bytes = *parts_items(self->maker);
    collect(self, items);
    tri_assert(tri_items_open(items.bytes, &chunk, &error) == TRI_OK);
    tri_items_cut(&chunk, 1, 2, &part);
    items.title = "cut: its second and third value";
    items.bytes = keep_buffer(self->maker, &part);
    collect(self, items);
    tri_items_cut(&chunk, 0, 0, &none);
    items.title = "no values";
    items.bytes = keep_buffer(self->maker, &none);
    collect(self, items);
    result.bytes = *parts_result(self->maker);
    collect(self, result);
    result.title = "scattered";
    result.bytes = scattered_result(self->maker, 4);
    collect(self, result);
    result.title = "no values";
    result.bytes = scattered_result(self->maker, 0);
    collect(self, result);
}

struct vector *vectors_make(struct maker *maker, size_t *count)
{
    struct collector collector = { maker, maker_alloc(maker, VECTOR_MAX * sizeof(struct vector)),
                                   0 };
    size_t step_count;
    const struct step *steps = story_make(maker, &step_count);

#define X(name, code, lower) collect_message(&collector, code, steps, step_count);
    TRI_MESSAGE_MAP(X)
#undef X
#define X(name, lower) collect_record(&collector, TRI_RECORD_##name);
    TRI_RECORD_MAP(X)
#undef X
    collect_chunks(&collector);
    *count = collector.count;
    return collector.vectors;
}
