/* test_store.c - what broker/store/store.h promises, asked of every store. */
#include "common/net/parts.h"
#include "tests/contract/open.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct store *store;

static void open_one(void)
{
    store = open_store();
}

static void close_one(void)
{
    store->operations->close(&store);
    ck_assert_ptr_null(store);
}

static struct store_key key_of(enum store_table table, uint64_t batch, uint64_t key)
{
    return (struct store_key){ .table = table, .batch = batch, .key = key };
}

/* `size` bytes that are different for each `seed`. */
static void fill(uint8_t *data, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)((seed * 31 + i) * 131 >> 3);
}

static void put(struct store_key key, size_t size, uint64_t seed)
{
    struct tri_error error = { 0 };
    zmq_msg_t payload;
    enum tri_status status;

    zmq_msg_init_size(&payload, size);
    fill(zmq_msg_data(&payload), size, seed);
    status = store->operations->put(store, key, (struct tri_bytes){ (const uint8_t *)"head", 4 },
                                    &payload, &error);
    ck_assert_msg(status == TRI_OK, "%s", error.text);
    ck_assert_uint_eq(zmq_msg_size(&payload), 0);
    zmq_msg_close(&payload);
}

static void put_head(struct store_key key)
{
    struct tri_error error = { 0 };
    enum tri_status status = store->operations->put(
        store, key, (struct tri_bytes){ (const uint8_t *)"head", 4 }, NULL, &error);

    ck_assert_int_eq(status, TRI_OK);
}

static void check_bytes(zmq_msg_t *payload, size_t size, uint64_t seed)
{
    uint8_t *want = malloc(size + 1);

    fill(want, size, seed);
    ck_assert_uint_eq(zmq_msg_size(payload), size);
    ck_assert_int_eq(memcmp(zmq_msg_data(payload), want, size), 0);
    free(want);
}

static void expect(struct store_key key, size_t size, uint64_t seed)
{
    zmq_msg_t payload;

    ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_OK);
    check_bytes(&payload, size, seed);
    zmq_msg_close(&payload);
}

static void expect_none(struct store_key key)
{
    zmq_msg_t payload;

    ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_NOTFOUND);
}

static uint64_t commit(void)
{
    struct tri_error error = { 0 };
    uint64_t ticket = store->operations->commit(store, &error);

    ck_assert_msg(ticket > 0, "%s", error.text);
    return ticket;
}

static uint64_t rows(void)
{
    return store->operations->stats(store).rows;
}

START_TEST(a_row_is_read_as_it_was_put)
{
    const size_t sizes[] = { 0, 1, 33, 34, 4095, 4096, 8192, 1 << 20 };

    for (size_t i = 0; i < TRI_COUNT_OF(sizes); i++)
        put(key_of(STORE_CHUNK, 1, i), sizes[i], i);
    commit();
    for (size_t i = 0; i < TRI_COUNT_OF(sizes); i++)
        expect(key_of(STORE_CHUNK, 1, i), sizes[i], i);
}
END_TEST

START_TEST(a_row_is_read_before_its_commit)
{
    put(key_of(STORE_CHUNK, 1, 0), 100, 1);
    expect(key_of(STORE_CHUNK, 1, 0), 100, 1);
}
END_TEST

START_TEST(what_was_never_put_is_not_found)
{
    put(key_of(STORE_CHUNK, 1, 7), 10, 1);

    expect_none(key_of(STORE_CHUNK, 1, 8));
    expect_none(key_of(STORE_CHUNK, 2, 7));
    expect_none(key_of(STORE_ROW, 1, 7));
}
END_TEST

START_TEST(a_row_without_payload_has_none_to_read)
{
    put_head(key_of(STORE_BATCH, 1, 0));
    ck_assert_uint_eq(rows(), 1);
    expect_none(key_of(STORE_BATCH, 1, 0));
}
END_TEST

START_TEST(a_second_put_replaces_the_first)
{
    put(key_of(STORE_ROW, 1, 0), 100, 1);
    put(key_of(STORE_ROW, 1, 0), 5000, 2);

    expect(key_of(STORE_ROW, 1, 0), 5000, 2);
    ck_assert_uint_eq(rows(), 1);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 5000);

    put_head(key_of(STORE_ROW, 1, 0));
    expect_none(key_of(STORE_ROW, 1, 0));
}
END_TEST

START_TEST(a_removed_row_is_gone_and_its_neighbours_are_not)
{
    for (uint64_t i = 0; i < 3; i++)
        put(key_of(STORE_CHUNK, 1, i), 100, i);

    ck_assert_int_eq(store->operations->remove(store, key_of(STORE_CHUNK, 1, 1), false), TRI_OK);

    expect_none(key_of(STORE_CHUNK, 1, 1));
    expect(key_of(STORE_CHUNK, 1, 0), 100, 0);
    expect(key_of(STORE_CHUNK, 1, 2), 100, 2);
}
END_TEST

START_TEST(removing_what_is_absent_is_fine)
{
    ck_assert_int_eq(store->operations->remove(store, key_of(STORE_ROW, 9, 9), false), TRI_OK);
    ck_assert_int_eq(store->operations->remove(store, key_of(STORE_ROW, 9, 0), true), TRI_OK);
    ck_assert_uint_eq(rows(), 0);
}
END_TEST

START_TEST(a_whole_batch_goes_with_all_its_tables_and_no_other_batch)
{
    for (uint64_t batch = 1; batch <= 3; batch++) {
        put_head(key_of(STORE_BATCH, batch, 0));
        for (uint64_t i = 0; i < 50; i++) {
            put(key_of(STORE_CHUNK, batch, i), 100, i);
            put(key_of(STORE_ROW, batch, i), 100, i);
            put_head(key_of(STORE_TASK, batch, i));
        }
    }

    ck_assert_int_eq(store->operations->remove(store, key_of(STORE_META, 2, 0), true), TRI_OK);

    ck_assert_uint_eq(rows(), 2 * 151);
    for (uint64_t i = 0; i < 50; i++) {
        expect_none(key_of(STORE_CHUNK, 2, i));
        expect_none(key_of(STORE_ROW, 2, i));
        expect(key_of(STORE_CHUNK, 1, i), 100, i);
        expect(key_of(STORE_ROW, 3, i), 100, i);
    }
}
END_TEST

START_TEST(a_batch_can_be_put_again_after_it_was_removed)
{
    put(key_of(STORE_CHUNK, 1, 0), 100, 1);
    store->operations->remove(store, key_of(STORE_CHUNK, 1, 0), true);
    put(key_of(STORE_CHUNK, 1, 0), 100, 2);
    expect(key_of(STORE_CHUNK, 1, 0), 100, 2);
}
END_TEST

START_TEST(a_reference_stays_valid_after_its_row_is_removed_or_replaced)
{
    const size_t sizes[] = { 20, 1000, 100000 };

    for (size_t i = 0; i < TRI_COUNT_OF(sizes); i++) {
        zmq_msg_t removed;
        zmq_msg_t replaced;

        put(key_of(STORE_CHUNK, 1, 0), sizes[i], 1);
        put(key_of(STORE_CHUNK, 1, 1), sizes[i], 2);
        ck_assert_int_eq(store->operations->read(store, key_of(STORE_CHUNK, 1, 0), &removed), 0);
        ck_assert_int_eq(store->operations->read(store, key_of(STORE_CHUNK, 1, 1), &replaced), 0);
        store->operations->remove(store, key_of(STORE_CHUNK, 1, 0), false);
        put(key_of(STORE_CHUNK, 1, 1), sizes[i], 3);
        commit();

        check_bytes(&removed, sizes[i], 1);
        check_bytes(&replaced, sizes[i], 2);
        zmq_msg_close(&removed);
        zmq_msg_close(&replaced);
    }
}
END_TEST

START_TEST(two_rows_may_share_one_payload)
{
    struct tri_error error = { 0 };
    zmq_msg_t first;
    zmq_msg_t second;

    zmq_msg_init_size(&first, 10000);
    fill(zmq_msg_data(&first), 10000, 5);
    zmq_msg_init(&second);
    zmq_msg_copy(&second, &first);
    store->operations->put(store, key_of(STORE_ROW, 1, 0), (struct tri_bytes){ 0 }, &first, &error);
    store->operations->put(store, key_of(STORE_ROW, 1, 1), (struct tri_bytes){ 0 }, &second,
                           &error);
    zmq_msg_close(&first);
    zmq_msg_close(&second);

    store->operations->remove(store, key_of(STORE_ROW, 1, 0), false);
    expect(key_of(STORE_ROW, 1, 1), 10000, 5);
}
END_TEST

START_TEST(tickets_rise_and_become_durable_in_order)
{
    uint64_t before = store->operations->durable(store);
    uint64_t first;
    uint64_t second;

    put(key_of(STORE_ROW, 1, 0), 100, 1);
    first = commit();
    put(key_of(STORE_ROW, 1, 1), 100, 1);
    second = commit();

    ck_assert_uint_gt(first, before);
    ck_assert_uint_gt(second, first);
    ck_assert_uint_ge(store->operations->durable(store), before);
    ck_assert_uint_le(store->operations->durable(store), second);
}
END_TEST

START_TEST(counts_follow_what_is_kept)
{
    put(key_of(STORE_CHUNK, 1, 0), 1000, 1);
    put(key_of(STORE_CHUNK, 1, 1), 5000, 1);
    put_head(key_of(STORE_BATCH, 1, 0));
    ck_assert_uint_eq(rows(), 3);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 6000);

    store->operations->remove(store, key_of(STORE_CHUNK, 1, 1), false);
    ck_assert_uint_eq(rows(), 2);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 1000);

    store->operations->remove(store, key_of(STORE_CHUNK, 1, 0), true);
    ck_assert_uint_eq(rows(), 0);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 0);
}
END_TEST

/* A model beside the store: the same puts and removes, then every key is compared. */
START_TEST(ten_thousand_random_writes_leave_what_a_plain_table_says)
{
    enum { BATCHES = 5, KEYS = 400 };
    static uint64_t model[BATCHES][KEYS]; /* seed, or 0: absent */
    uint64_t random = 12345;

    memset(model, 0, sizeof(model));
    for (int i = 0; i < 10000; i++) {
        uint64_t batch;
        uint64_t key;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        batch = (random >> 33) % BATCHES;
        key = (random >> 40) % KEYS;
        if ((random >> 20) % 500 == 0) {
            store->operations->remove(store, key_of(STORE_CHUNK, batch, 0), true);
            memset(model[batch], 0, sizeof(model[batch]));
        } else if ((random >> 20) % 3 == 0) {
            store->operations->remove(store, key_of(STORE_CHUNK, batch, key), false);
            model[batch][key] = 0;
        } else {
            model[batch][key] = (uint64_t)i + 1;
            put(key_of(STORE_CHUNK, batch, key), 40, model[batch][key]);
        }
    }
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        for (uint64_t key = 0; key < KEYS; key++) {
            if (model[batch][key] == 0)
                expect_none(key_of(STORE_CHUNK, batch, key));
            else
                expect(key_of(STORE_CHUNK, batch, key), 40, model[batch][key]);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, open_one, close_one);
    tcase_add_test(tcase, a_row_is_read_as_it_was_put);
    tcase_add_test(tcase, a_row_is_read_before_its_commit);
    tcase_add_test(tcase, what_was_never_put_is_not_found);
    tcase_add_test(tcase, a_row_without_payload_has_none_to_read);
    tcase_add_test(tcase, a_second_put_replaces_the_first);
    tcase_add_test(tcase, a_removed_row_is_gone_and_its_neighbours_are_not);
    tcase_add_test(tcase, removing_what_is_absent_is_fine);
    tcase_add_test(tcase, a_whole_batch_goes_with_all_its_tables_and_no_other_batch);
    tcase_add_test(tcase, a_batch_can_be_put_again_after_it_was_removed);
    tcase_add_test(tcase, a_reference_stays_valid_after_its_row_is_removed_or_replaced);
    tcase_add_test(tcase, two_rows_may_share_one_payload);
    tcase_add_test(tcase, tickets_rise_and_become_durable_in_order);
    tcase_add_test(tcase, counts_follow_what_is_kept);
    tcase_add_test(tcase, ten_thousand_random_writes_leave_what_a_plain_table_says);
    return unit_run("store", tcase);
}
