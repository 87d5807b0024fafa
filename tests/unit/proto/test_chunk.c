#include "common/proto/chunk.h"

#include "tests/unit/proto/suite.h"
#include "tests/vectors/structs.h"

#include <stdlib.h>

/* Value i is a msgpack binary of i % 40 bytes, each of them i. */
static void add_values(struct tri_chunk_builder *builder, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t value[42];

        memset(value, (int)i, sizeof(value));
        value[0] = 0xc4;
        value[1] = (uint8_t)(i % 40);
        tri_buffer_append(&builder->blob, value, 2 + i % 40);
        tri_chunk_builder_close_value(builder);
    }
}

/* Not ck_assert, which talks to its runner each time, for each byte. */
static bool value_is(struct tri_bytes value, uint32_t i)
{
    if (value.size != 2 + i % 40 || value.data[1] != i % 40)
        return false;
    for (uint32_t k = 2; k < value.size; k++) {
        if (value.data[k] != (i & 255))
            return false;
    }
    return true;
}

static void check_values(const struct tri_chunk *chunk, uint32_t first)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (!value_is(tri_chunk_at(chunk, i), first + i))
            ck_abort_msg("value %u of %u from %u", i, chunk->count, first);
    }
}

static struct tri_buffer items_of(uint32_t count)
{
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };

    tri_chunk_builder_init(&builder);
    add_values(&builder, count);
    tri_items_encode(&builder, &frame);
    ck_assert(!frame.failed);
    tri_chunk_builder_deinit(&builder);
    return frame;
}

START_TEST(an_item_chunk_gives_back_its_values)
{
    static const uint32_t counts[] = { 0, 1, 2, 127, 128, 1000, 65536 };

    for (size_t n = 0; n < TRI_COUNT_OF(counts); n++) {
        struct tri_buffer frame = items_of(counts[n]);
        struct tri_chunk chunk;
        struct tri_error error;

        ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&frame), &chunk, &error), TRI_OK);
        ck_assert_uint_eq(chunk.count, counts[n]);
        check_values(&chunk, 0);
        tri_buffer_deinit(&frame);
    }
}
END_TEST

START_TEST(a_chunk_of_the_largest_count_opens_and_one_more_is_refused)
{
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };
    struct tri_chunk chunk;
    struct tri_error error;

    tri_chunk_builder_init(&builder);
    for (uint32_t i = 0; i < TRI_CHUNK_COUNT_MAX; i++) {
        tri_buffer_append(&builder.blob, "\xc0", 1);
        tri_chunk_builder_close_value(&builder);
    }
    tri_items_encode(&builder, &frame);
    ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&frame), &chunk, &error), TRI_OK);
    ck_assert_uint_eq(chunk.count, TRI_CHUNK_COUNT_MAX);
    frame.data[6]++; /* the last byte of count in 92 01 ce 00 10 00 00 */
    ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&frame), &chunk, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "ITEMS.count: 1048577 is over the limit 1048576");
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(a_cut_holds_the_values_from_its_first)
{
    struct tri_buffer whole = items_of(100);
    struct tri_chunk chunk;
    struct tri_error error;

    ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&whole), &chunk, &error), TRI_OK);
    for (uint32_t first = 0; first <= 100; first += 7) {
        for (uint32_t count = 0; count <= 100 - first; count += 13) {
            struct tri_buffer part = { 0 };
            struct tri_chunk cut;

            tri_items_cut(&chunk, first, count, &part);
            ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&part), &cut, &error), TRI_OK);
            ck_assert_uint_eq(cut.count, count);
            check_values(&cut, first);
            tri_buffer_deinit(&part);
        }
    }
    tri_buffer_deinit(&whole);
}
END_TEST

START_TEST(a_cut_of_everything_is_the_same_frame)
{
    struct tri_buffer whole = items_of(1000);
    struct tri_buffer part = { 0 };
    struct tri_chunk chunk;
    struct tri_error error;

    ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&whole), &chunk, &error), TRI_OK);
    tri_items_cut(&chunk, 0, 1000, &part);
    ck_assert_uint_eq(part.size, whole.size);
    ck_assert_mem_eq(part.data, whole.data, whole.size);
    tri_buffer_deinit(&whole);
    tri_buffer_deinit(&part);
}
END_TEST

START_TEST(cutting_past_the_end_is_an_assertion)
{
    struct tri_buffer whole = items_of(10);
    struct tri_buffer part = { 0 };
    struct tri_chunk chunk;
    struct tri_error error;

    ck_assert_int_eq(tri_items_open(tri_buffer_bytes(&whole), &chunk, &error), TRI_OK);
    tri_items_cut(&chunk, 5, 6, &part);
}
END_TEST

START_TEST(a_result_chunk_gives_back_runs_costs_and_values)
{
    static const struct tri_range runs[] = { { 3, 1 }, { 4, 2 }, { 1000, 7 } };
    static const uint8_t times[80];
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, 3),
                                   .model = TRI_MODEL_ASYNC,
                                   .flags = TRI_RESULT_SAMPLED,
                                   .wall_ns = 123,
                                   .cpu_ns = 45,
                                   .switches = 6,
                                   .task_us = { times, sizeof(times) } };
    struct tri_rec_result opened;
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };
    struct tri_chunk chunk;
    struct tri_error error;

    tri_chunk_builder_init(&builder);
    add_values(&builder, 10);
    tri_result_encode(&builder, &head, &frame);
    ck_assert_uint_eq(head.count, 10);
    ck_assert_int_eq(tri_result_open(tri_buffer_bytes(&frame), &opened, &chunk, &error), TRI_OK);
    ck_assert(struct_same(tri_record_shape(TRI_RECORD_RESULT), &head, &opened));
    ck_assert_uint_eq(tri_ranges_at(opened.runs, 2).first, 1000);
    check_values(&chunk, 0);
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(runs_must_cover_exactly_the_values)
{
    static const struct tri_range right[] = { { 0, 2 } };
    static const struct tri_range wrong[][1] = { { { 0, 1 } }, { { 0, 3 } }, { { 0, INT64_MAX } } };
    struct tri_rec_result head = { .runs = tri_ranges_of(right, 1) };
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };
    struct tri_chunk chunk;
    struct tri_error error;

    tri_chunk_builder_init(&builder);
    add_values(&builder, 2);
    tri_result_encode(&builder, &head, &frame);
    ck_assert_int_eq(tri_result_open(tri_buffer_bytes(&frame), &head, &chunk, &error), TRI_OK);
    for (size_t i = 0; i < TRI_COUNT_OF(wrong); i++) {
        memcpy((uint8_t *)head.runs.data, wrong[i], sizeof(wrong[i]));
        ck_assert_int_eq(tri_result_open(tri_buffer_bytes(&frame), &head, &chunk, &error),
                         TRI_INVALID);
        ck_assert_str_eq(error.text, "chunk: the runs name another number of tasks than 2");
    }
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}
END_TEST

START_TEST(a_builder_can_be_used_again)
{
    struct tri_chunk_builder builder;
    struct tri_buffer one = { 0 };
    struct tri_buffer other = { 0 };

    tri_chunk_builder_init(&builder);
    add_values(&builder, 50);
    tri_items_encode(&builder, &one);
    tri_chunk_builder_clear(&builder);
    add_values(&builder, 50);
    tri_items_encode(&builder, &other);
    ck_assert_uint_eq(builder.count, 50);
    ck_assert_uint_eq(one.size, other.size);
    ck_assert_mem_eq(one.data, other.data, one.size);
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&one);
    tri_buffer_deinit(&other);
}
END_TEST

START_TEST(a_builder_without_memory_marks_the_frame)
{
    struct tri_chunk_builder builder;
    struct tri_buffer frame = { 0 };

    tri_chunk_builder_init(&builder);
    builder.blob.failed = true;
    tri_items_encode(&builder, &frame);
    ck_assert(frame.failed);
    tri_chunk_builder_deinit(&builder);
    tri_buffer_deinit(&frame);
}
END_TEST

/* Each offset of a valid frame is replaced by each of these; no such table is accepted unless it
 * is the same. Bytes are copied so that the sanitizer sees the end. */
START_TEST(no_wrong_offset_is_accepted)
{
    struct tri_buffer frame = items_of(8);
    size_t head = 3;

    for (size_t i = 0; i <= 8; i++) {
        uint32_t right;

        memcpy(&right, frame.data + head + 4 * i, sizeof(right));
        for (uint32_t wrong = 0; wrong < 80; wrong++) {
            struct tri_chunk chunk;
            struct tri_error error;
            uint8_t *copy = malloc(frame.size);
            uint32_t before = 0;
            uint32_t after = UINT32_MAX;
            bool fits;

            ck_assert_ptr_nonnull(copy);
            memcpy(copy, frame.data, frame.size);
            memcpy(copy + head + 4 * i, &wrong, sizeof(wrong));
            if (i > 0)
                memcpy(&before, copy + head + 4 * i - 4, sizeof(before));
            if (i < 8)
                memcpy(&after, copy + head + 4 * i + 4, sizeof(after));
            fits = i == 0 || i == 8 ? wrong == right : wrong > before && wrong < after;
            ck_assert_int_eq(tri_items_open((struct tri_bytes){ copy, frame.size }, &chunk, &error),
                             fits ? TRI_OK : TRI_INVALID);
            free(copy);
        }
    }
    tri_buffer_deinit(&frame);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_item_chunk_gives_back_its_values,
        a_chunk_of_the_largest_count_opens_and_one_more_is_refused,
        a_cut_holds_the_values_from_its_first,
        a_cut_of_everything_is_the_same_frame,
        a_result_chunk_gives_back_runs_costs_and_values,
        runs_must_cover_exactly_the_values,
        a_builder_can_be_used_again,
        a_builder_without_memory_marks_the_frame,
        no_wrong_offset_is_accepted,
    };
    const TTest *const mistakes[] = { cutting_past_the_end_is_an_assertion };

    return suite_run_aborting("chunk", tests, TRI_COUNT_OF(tests), mistakes,
                              TRI_COUNT_OF(mistakes));
}
