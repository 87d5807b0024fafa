#include "tests/vectors/structs.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdlib.h>

void maker_init(struct maker *self, uint64_t seed)
{
    *self = (struct maker){ .state = seed };
}

void maker_deinit(struct maker *self)
{
    for (size_t i = 0; i < self->block_count; i++)
        free(self->blocks[i]);
    free(self->blocks);
    *self = (struct maker){ 0 };
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t maker_next(struct maker *self)
{
    uint64_t mix = self->state += 0x9e3779b97f4a7c15u;

    mix = (mix ^ (mix >> 30)) * 0xbf58476d1ce4e5b9u;
    mix = (mix ^ (mix >> 27)) * 0x94d049bb133111ebu;
    return mix ^ (mix >> 31);
}

uint64_t maker_below(struct maker *self, uint64_t end)
{
    return maker_next(self) % end;
}

void *maker_alloc(struct maker *self, size_t size)
{
    void *block = tri_alloc(1, size);

    self->blocks = tri_realloc(self->blocks, self->block_count + 1, sizeof(*self->blocks));
    self->blocks[self->block_count++] = block;
    return block;
}

static uint64_t make_number(struct maker *self, uint64_t max)
{
    static const uint64_t edges[] = { 0,     1,     127,        128,        255,      256,
                                      65535, 65536, UINT32_MAX, 1ull << 32, INT64_MAX };
    uint64_t pick = maker_below(self, TRI_COUNT_OF(edges) + 4);

    if (pick < TRI_COUNT_OF(edges))
        return edges[pick] <= max ? edges[pick] : max;
    if (pick == TRI_COUNT_OF(edges))
        return max;
    return max == UINT64_MAX ? maker_next(self) : maker_below(self, max + 1);
}

static int64_t make_signed(struct maker *self)
{
    static const int64_t edges[] = { 0,         -1,        -32,    -33,       -128,
                                     -129,      -32768,    -32769, INT32_MIN, INT32_MIN - 1ll,
                                     INT64_MIN, INT64_MAX, 127 };
    uint64_t pick = maker_below(self, TRI_COUNT_OF(edges) + 3);

    return pick < TRI_COUNT_OF(edges) ? edges[pick] : (int64_t)maker_next(self);
}

static struct tri_bytes make_bytes(struct maker *self, uint64_t max)
{
    static const size_t edges[] = { 0, 1, 15, 16, 31, 32, 64, 255, 256, 65535, 65536 };
    uint64_t pick = maker_below(self, 40);
    size_t size = pick < TRI_COUNT_OF(edges) ? edges[pick] : maker_below(self, 24);
    uint8_t *data;

    if (size > max)
        size = max;
    data = maker_alloc(self, size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)maker_next(self);
    return (struct tri_bytes){ data, size };
}

static struct tri_ranges make_ranges(struct maker *self, uint64_t max)
{
    size_t count = maker_below(self, 20) == 0 ? 300 : maker_below(self, 6);
    struct tri_range *ranges;
    uint64_t end = 0;

    if (count > max)
        count = max;
    ranges = maker_alloc(self, count * sizeof(*ranges));
    for (size_t i = 0; i < count; i++) {
        ranges[i].first = end + maker_below(self, 3) * maker_below(self, 1000000);
        ranges[i].count = 1 + maker_below(self, 2) * maker_below(self, 1000000);
        end = ranges[i].first + ranges[i].count;
    }
    if (count > 0 && maker_below(self, 4) == 0)
        ranges[count - 1].count = TRI_RANGE_END_MAX - ranges[count - 1].first;
    return tri_ranges_of(ranges, count);
}

static struct tri_list make_list(struct maker *self, const struct tri_field *field)
{
    size_t count = maker_below(self, 12) == 0 ? 17 : maker_below(self, 4);
    struct tri_buffer buffer = { 0 };
    struct tri_list list;
    uint8_t *copy;

    if (count > field->max)
        count = field->max;
    for (size_t i = 0; i < count; i++) {
        union tri_any_record record;

        struct_make(self, tri_record_shape(field->record), &record);
        tri_record_encode(field->record, &record, &buffer);
    }
    tri_assert(!buffer.failed);
    copy = maker_alloc(self, buffer.size);
    if (buffer.size > 0)
        memcpy(copy, buffer.data, buffer.size);
    list = (struct tri_list){ copy, buffer.size, count };
    tri_buffer_deinit(&buffer);
    return list;
}

static void make_field(struct maker *self, const struct tri_field *field, void *slot)
{
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        *(uint64_t *)slot = make_number(self, field->max);
        break;
    case TRI_FIELD_SIGNED:
        *(int64_t *)slot = make_signed(self);
        break;
    case TRI_FIELD_STRING:
    case TRI_FIELD_BINARY:
        *(struct tri_bytes *)slot = make_bytes(self, field->max);
        break;
    case TRI_FIELD_RANGES:
        *(struct tri_ranges *)slot = make_ranges(self, field->max);
        break;
    case TRI_FIELD_LIST:
        *(struct tri_list *)slot = make_list(self, field);
        break;
    }
}

void struct_make(struct maker *self, const struct tri_shape *shape, void *slot)
{
    uint8_t *at = slot;

    for (size_t i = 0; i < shape->count; i++) {
        make_field(self, &shape->fields[i], at);
        at += tri_field_size(shape->fields[i].kind);
    }
}

static bool bytes_same(const void *left, size_t left_size, const void *right, size_t right_size)
{
    return left_size == right_size && (left_size == 0 || memcmp(left, right, left_size) == 0);
}

static bool lists_same(enum tri_record_type type, struct tri_list left, struct tri_list right)
{
    union tri_any_record one;
    union tri_any_record other;

    if (left.count != right.count)
        return false;
    while (tri_list_next(&left, type, &one)) {
        if (!tri_list_next(&right, type, &other)
            || !struct_same(tri_record_shape(type), &one, &other))
            return false;
    }
    return left.size == 0 && right.size == 0;
}

static bool fields_same(const struct tri_field *field, const void *left, const void *right)
{
    const struct tri_bytes *bytes[2] = { left, right };
    const struct tri_ranges *ranges[2] = { left, right };

    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
    case TRI_FIELD_SIGNED:
        return memcmp(left, right, sizeof(uint64_t)) == 0;
    case TRI_FIELD_STRING:
    case TRI_FIELD_BINARY:
        return bytes_same(bytes[0]->data, bytes[0]->size, bytes[1]->data, bytes[1]->size);
    case TRI_FIELD_RANGES:
        return bytes_same(ranges[0]->data, ranges[0]->count * sizeof(struct tri_range),
                          ranges[1]->data, ranges[1]->count * sizeof(struct tri_range));
    case TRI_FIELD_LIST:
        return lists_same(field->record, *(const struct tri_list *)left,
                          *(const struct tri_list *)right);
    }
    return false;
}

bool struct_same(const struct tri_shape *shape, const void *left, const void *right)
{
    const uint8_t *one = left;
    const uint8_t *other = right;

    for (size_t i = 0; i < shape->count; i++) {
        size_t size = tri_field_size(shape->fields[i].kind);

        if (!fields_same(&shape->fields[i], one, other))
            return false;
        one += size;
        other += size;
    }
    return true;
}

bool message_survives(struct tri_bytes frame)
{
    struct tri_message message;
    struct tri_message again;
    struct tri_error error;
    struct tri_buffer buffer = { 0 };

    if (tri_message_decode(frame, &message, &error) != TRI_OK)
        return false;
    tri_message_encode(&message, &buffer);
    tri_assert(!buffer.failed);
    tri_assert(tri_message_decode(tri_buffer_bytes(&buffer), &again, &error) == TRI_OK);
    tri_assert(message.type == again.type);
    tri_assert(struct_same(tri_message_shape(message.type), &message.hello, &again.hello));
    tri_buffer_deinit(&buffer);
    return true;
}

bool record_survives(enum tri_record_type type, struct tri_bytes bytes)
{
    union tri_any_record record;
    union tri_any_record again;
    struct tri_error error;
    struct tri_buffer buffer = { 0 };

    if (tri_record_decode(type, bytes, &record, &error) != TRI_OK)
        return false;
    tri_record_encode(type, &record, &buffer);
    tri_assert(!buffer.failed);
    tri_assert(tri_record_decode(type, tri_buffer_bytes(&buffer), &again, &error) == TRI_OK);
    tri_assert(struct_same(tri_record_shape(type), &record, &again));
    tri_buffer_deinit(&buffer);
    return true;
}

/* Touch every byte of every value; a read outside the frame is the sanitizer's to find. */
static void walk_values(const struct tri_chunk *chunk)
{
    uint64_t sum = 0;
    size_t bytes = 0;

    for (uint32_t i = 0; i < chunk->count; i++) {
        struct tri_bytes value = tri_chunk_at(chunk, i);

        for (size_t k = 0; k < value.size; k++)
            sum += value.data[k];
        bytes += value.size;
    }
    tri_assert(bytes == chunk->blob_bytes);
    __asm__ volatile("" : : "r"(sum)); /* so that no read can be left out */
}

static void check_cut(const struct tri_chunk *chunk)
{
    uint32_t first = chunk->count / 3;
    uint32_t count = (chunk->count - first) / 2;
    struct tri_buffer buffer = { 0 };
    struct tri_chunk part;
    struct tri_error error;

    tri_items_cut(chunk, first, count, &buffer);
    tri_assert(!buffer.failed);
    tri_assert(tri_items_open(tri_buffer_bytes(&buffer), &part, &error) == TRI_OK);
    tri_assert(part.count == count);
    for (uint32_t i = 0; i < count; i++) {
        struct tri_bytes whole = tri_chunk_at(chunk, first + i);
        struct tri_bytes cut = tri_chunk_at(&part, i);

        tri_assert(bytes_same(whole.data, whole.size, cut.data, cut.size));
    }
    tri_buffer_deinit(&buffer);
}

bool items_survive(struct tri_bytes frame)
{
    struct tri_chunk chunk;
    struct tri_error error;

    if (tri_items_open(frame, &chunk, &error) != TRI_OK)
        return false;
    walk_values(&chunk);
    check_cut(&chunk);
    return true;
}

bool result_survives(struct tri_bytes frame)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_error error;
    uint64_t tasks = 0;

    if (tri_result_open(frame, &head, &chunk, &error) != TRI_OK)
        return false;
    for (size_t i = 0; i < head.runs.count; i++)
        tasks += tri_ranges_at(head.runs, i).count;
    tri_assert(tasks == chunk.count && head.count == chunk.count);
    walk_values(&chunk);
    check_cut(&chunk);
    return true;
}
