/* test_attachment.c - payload out of the store: whole frames by reference, parts of chunks cut. */
#include "broker/attachment.h"

#include "common/net/parts.h"
#include "common/proto/chunk.h"
#include "tests/unit/unit.h"

#include <string.h>

enum { COUNT = 3000 };

static struct store *store;
static const struct store_key chunk_key = { STORE_CHUNK, 1, 0 };
static const struct store_key row_key = { STORE_ROW, 1, 0 };

/* COUNT values of different sizes: i is a msgpack string of i % 7 bytes 'a' + i % 26. */
static void fill(struct tri_buffer *frame)
{
    struct tri_chunk_builder builder;

    tri_chunk_builder_init(&builder);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t value[8] = { (uint8_t)(0xa0 + i % 7) };

        memset(value + 1, 'a' + (int)(i % 26), i % 7);
        tri_buffer_append(&builder.blob, value, 1 + i % 7);
        tri_chunk_builder_close_value(&builder);
    }
    tri_items_encode(&builder, frame);
    tri_chunk_builder_deinit(&builder);
}

static void put(struct store_key key)
{
    struct tri_buffer frame;
    zmq_msg_t payload;
    struct tri_error error;

    tri_buffer_init(&frame);
    fill(&frame);
    tri_msg_copy(&payload, tri_buffer_bytes(&frame));
    tri_buffer_deinit(&frame);
    ck_assert_int_eq(store->operations->put(store, key, (struct tri_bytes){ 0 }, &payload, &error),
                     TRI_OK);
    zmq_msg_close(&payload);
}

static void open_one(void)
{
    store = store_memory_new();
    put(chunk_key);
    put(row_key);
}

static void close_one(void)
{
    store->operations->close(&store);
}

static const void *stored_data(struct store_key key)
{
    zmq_msg_t frame;
    const void *data;

    ck_assert_int_eq(store->operations->read(store, key, &frame), TRI_OK);
    data = zmq_msg_data(&frame);
    zmq_msg_close(&frame);
    return data;
}

START_TEST(a_whole_chunk_is_the_stored_frame_itself)
{
    struct attachment whole = { .key = chunk_key, .first = 0, .count = COUNT };
    zmq_msg_t frame;

    ck_assert_int_eq(attachment_open(store, &whole, &frame), TRI_OK);
    ck_assert_ptr_eq(zmq_msg_data(&frame), stored_data(chunk_key));
    zmq_msg_close(&frame);
}
END_TEST

START_TEST(a_row_is_the_stored_frame_itself)
{
    struct attachment row = { .key = row_key };
    zmq_msg_t frame;

    ck_assert_int_eq(attachment_open(store, &row, &frame), TRI_OK);
    ck_assert_ptr_eq(zmq_msg_data(&frame), stored_data(row_key));
    zmq_msg_close(&frame);
}
END_TEST

START_TEST(a_part_of_a_chunk_holds_exactly_its_values)
{
    static const struct {
        uint32_t first;
        uint32_t count;
    } parts[] = { { 0, 1 }, { 0, COUNT - 1 }, { COUNT - 1, 1 }, { 1000, 1000 }, { 7, 0 } };

    for (size_t i = 0; i < TRI_COUNT_OF(parts); i++) {
        struct attachment part = { .key = chunk_key,
                                   .first = parts[i].first,
                                   .count = parts[i].count };
        struct tri_chunk chunk;
        struct tri_error error;
        zmq_msg_t frame;

        ck_assert_int_eq(attachment_open(store, &part, &frame), TRI_OK);
        ck_assert_msg(tri_items_open(tri_msg_bytes(&frame), &chunk, &error) == TRI_OK, "%s",
                      error.text);
        ck_assert_uint_eq(chunk.count, parts[i].count);
        for (uint32_t j = 0; j < chunk.count; j++) {
            struct tri_bytes value = tri_chunk_at(&chunk, j);
            uint32_t index = parts[i].first + j;

            ck_assert_uint_eq(value.size, 1 + index % 7);
            ck_assert(value.size == 1 || value.data[1] == 'a' + index % 26);
        }
        zmq_msg_close(&frame);
    }
}
END_TEST

START_TEST(parts_that_are_cut_are_one_chunk_of_the_starts_of_their_values)
{
    const struct attachment parts[] = {
        { .key = chunk_key, .first = 3, .count = 2 },
        { .key = chunk_key, .first = COUNT - 1, .count = 1 },
    };
    static const uint32_t indexes[] = { 3, 4, COUNT - 1 };
    struct tri_chunk chunk;
    struct tri_error error;
    zmq_msg_t frame;

    ck_assert_int_eq(attachment_open_cut(store, parts, TRI_COUNT_OF(parts), 4, &frame), TRI_OK);
    ck_assert_int_eq(tri_items_open(tri_msg_bytes(&frame), &chunk, &error), TRI_OK);
    ck_assert_uint_eq(chunk.count, TRI_COUNT_OF(indexes));
    for (uint32_t i = 0; i < chunk.count; i++) {
        struct tri_bytes value = tri_chunk_at(&chunk, i);
        uint32_t size = 1 + indexes[i] % 7;

        ck_assert_uint_eq(value.size, size < 4 ? size : 4);
        ck_assert_uint_eq(value.data[0], 0xa0 + indexes[i] % 7);
    }
    zmq_msg_close(&frame);
}
END_TEST

START_TEST(what_is_not_stored_is_not_found)
{
    struct attachment missing = { .key = { STORE_CHUNK, 2, 0 }, .count = 1 };
    zmq_msg_t frame;

    ck_assert_int_eq(attachment_open(store, &missing, &frame), TRI_NOTFOUND);
    ck_assert_int_eq(attachment_open_cut(store, &missing, 1, 9, &frame), TRI_NOTFOUND);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("attachment");

    tcase_add_checked_fixture(tcase, open_one, close_one);
    tcase_add_test(tcase, a_whole_chunk_is_the_stored_frame_itself);
    tcase_add_test(tcase, a_row_is_the_stored_frame_itself);
    tcase_add_test(tcase, a_part_of_a_chunk_holds_exactly_its_values);
    tcase_add_test(tcase, parts_that_are_cut_are_one_chunk_of_the_starts_of_their_values);
    tcase_add_test(tcase, what_is_not_stored_is_not_found);
    return unit_run("attachment", tcase);
}
