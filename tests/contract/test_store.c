/* test_store.c - what broker/store/store.h promises, asked of every store. */
#include "common/net/parts.h"
#include "tests/contract/open.h"
#include "tests/unit/unit.h"

#include <poll.h>
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
    clean_store();
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

/* Take what the store has done; sleep until there is something when it has a thread of its own. */
static void turn(void)
{
    struct tri_error error = { 0 };
    struct pollfd fd = { .fd = store->operations->fd(store), .events = POLLIN };
    enum tri_status status;

    if (fd.fd >= 0)
        ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    status = store->operations->turn(store, &error);
    ck_assert_msg(status == TRI_OK, "%s", error.text);
}

static enum tri_status fetch(struct store_key key)
{
    struct store_key fetched;
    enum tri_status status;

    store->operations->fetch(store, key);
    while (!store->operations->fetched(store, &fetched, &status))
        turn();
    ck_assert(store_key_equals(fetched, key));
    return status;
}

/* Read, and fetch it first if need be. */
static enum tri_status get(struct store_key key, zmq_msg_t *payload)
{
    enum tri_status status = store->operations->read(store, key, payload);

    if (status != TRI_EMPTY)
        return status;
    status = fetch(key);
    return status == TRI_OK ? store->operations->read(store, key, payload) : status;
}

static void expect(struct store_key key, size_t size, uint64_t seed)
{
    zmq_msg_t payload;

    ck_assert_int_eq(get(key, &payload), TRI_OK);
    check_bytes(&payload, size, seed);
    zmq_msg_close(&payload);
}

static void expect_none(struct store_key key)
{
    zmq_msg_t payload;

    ck_assert_int_eq(get(key, &payload), TRI_NOTFOUND);
}

static uint64_t commit(void)
{
    struct tri_error error = { 0 };
    uint64_t ticket = store->operations->commit(store, &error);

    ck_assert_msg(ticket > 0, "%s", error.text);
    return ticket;
}

static void make_durable(void)
{
    struct tri_error error = { 0 };
    uint64_t ticket = commit();

    ck_assert_msg(store_settle(store, ticket, &error) == TRI_OK, "%s", error.text);
    ck_assert_uint_ge(store->operations->durable(store), ticket);
}

static void reopen(void)
{
    make_durable();
    reopen_store(&store);
}

static enum tri_status count_row(void *context,
                                 struct store_key key,
                                 struct tri_bytes head,
                                 uint64_t payload_bytes,
                                 struct tri_error *error)
{
    (void)key;
    (void)head;
    (void)payload_bytes;
    (void)error;
    ++*(uint64_t *)context;
    return TRI_OK;
}

/* Durable rows, after a start. */
static uint64_t scanned_rows(void)
{
    struct tri_error error = { 0 };
    uint64_t count = 0;

    reopen();
    ck_assert_int_eq(store->operations->scan(store, count_row, &count, &error), TRI_OK);
    ck_assert_uint_eq(store->operations->stats(store).rows, count);
    return count;
}

static uint64_t rows(void)
{
    make_durable();
    return store->operations->stats(store).rows;
}

static void remove_one(struct store_key key)
{
    ck_assert_int_eq(store->operations->remove(store, key, false), TRI_OK);
}

static void remove_batch(uint64_t batch)
{
    ck_assert_int_eq(store->operations->remove(store, key_of(STORE_META, batch, 0), true), TRI_OK);
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
    make_durable();
    ck_assert_uint_gt(store->operations->durable(store), second);
}
END_TEST

START_TEST(counts_follow_what_is_kept)
{
    put(key_of(STORE_CHUNK, 1, 0), 1000, 1);
    put(key_of(STORE_CHUNK, 1, 1), 5000, 1);
    put_head(key_of(STORE_BATCH, 1, 0));
    ck_assert_uint_eq(rows(), 3);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 6000);
    ck_assert_uint_eq(store->operations->stats(store).waiting_bytes, 0);

    store->operations->remove(store, key_of(STORE_CHUNK, 1, 1), false);
    ck_assert_uint_eq(rows(), 2);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 1000);

    store->operations->remove(store, key_of(STORE_CHUNK, 1, 0), true);
    ck_assert_uint_eq(rows(), 0);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 0);
}
END_TEST

enum { BATCHES = 5, KEYS = 400 };

static void expect_model(uint64_t model[BATCHES][KEYS])
{
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        for (uint64_t key = 0; key < KEYS; key++) {
            if (model[batch][key] == 0)
                expect_none(key_of(STORE_CHUNK, batch, key));
            else
                expect(key_of(STORE_CHUNK, batch, key), 40 + key * 3, model[batch][key]);
        }
    }
}

/* A model beside the store: the same puts and removes, then every key is compared, before and after
 * a start. Commits come at random and are not waited for. */
START_TEST(ten_thousand_random_writes_leave_what_a_plain_table_says)
{
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
            put(key_of(STORE_CHUNK, batch, key), 40 + key * 3, model[batch][key]);
        }
        if ((random >> 50) % 20 == 0)
            commit();
        if ((random >> 30) % 100 == 0) {
            struct tri_error error;

            ck_assert_int_eq(store->operations->turn(store, &error), TRI_OK);
        }
    }
    expect_model(model);
    reopen();
    expect_model(model);
}
END_TEST

struct seen {
    struct store_key keys[16];
    uint64_t payload_bytes[16];
    size_t count;
};

static enum tri_status see(void *context,
                           struct store_key key,
                           struct tri_bytes head,
                           uint64_t payload_bytes,
                           struct tri_error *error)
{
    struct seen *seen = context;

    (void)error;
    ck_assert_uint_lt(seen->count, 16);
    ck_assert_uint_eq(head.size, 4);
    ck_assert_mem_eq(head.data, "head", 4);
    seen->keys[seen->count] = key;
    seen->payload_bytes[seen->count++] = payload_bytes;
    return TRI_OK;
}

START_TEST(a_scan_gives_every_head_in_the_order_of_table_batch_and_key)
{
    const struct store_key want[] = {
        { STORE_META, 0, 0 },  { STORE_BATCH, 1, 0 }, { STORE_BATCH, 300, 0 },
        { STORE_CHUNK, 1, 0 }, { STORE_CHUNK, 1, 9 }, { STORE_CHUNK, 2, 5 },
        { STORE_ROW, 1, 255 }, { STORE_ROW, 1, 256 }, { STORE_TASK, 1, 3 },
    };
    struct tri_error error = { 0 };
    struct seen seen = { .count = 0 };

    for (size_t i = TRI_COUNT_OF(want); i-- > 0;) {
        if (want[i].table == STORE_CHUNK || want[i].table == STORE_ROW)
            put(want[i], 100 + i * 5000, i);
        else
            put_head(want[i]);
    }
    reopen();
    ck_assert_int_eq(store->operations->scan(store, see, &seen, &error), TRI_OK);

    ck_assert_uint_eq(seen.count, TRI_COUNT_OF(want));
    for (size_t i = 0; i < TRI_COUNT_OF(want); i++) {
        bool has_payload = want[i].table == STORE_CHUNK || want[i].table == STORE_ROW;

        ck_assert(store_key_equals(seen.keys[i], want[i]));
        ck_assert_uint_eq(seen.payload_bytes[i], has_payload ? 100 + i * 5000 : 0);
    }
}
END_TEST

static enum tri_status refuse(void *context,
                              struct store_key key,
                              struct tri_bytes head,
                              uint64_t payload_bytes,
                              struct tri_error *error)
{
    count_row(context, key, head, payload_bytes, error);
    return tri_fail(error, TRI_INVALID, "not this one");
}

START_TEST(a_scan_ends_when_its_visitor_refuses_a_row)
{
    struct tri_error error = { 0 };
    uint64_t visited = 0;

    put_head(key_of(STORE_BATCH, 1, 0));
    put_head(key_of(STORE_BATCH, 2, 0));
    reopen();

    ck_assert_int_eq(store->operations->scan(store, refuse, &visited, &error), TRI_INVALID);
    ck_assert_uint_eq(visited, 1);
    ck_assert_str_eq(error.text, "not this one");
}
END_TEST

START_TEST(what_was_removed_or_replaced_does_not_come_back_with_a_start)
{
    put(key_of(STORE_CHUNK, 1, 0), 30000, 1);
    put(key_of(STORE_CHUNK, 1, 1), 30000, 2);
    put(key_of(STORE_CHUNK, 2, 0), 30000, 3);
    put(key_of(STORE_CHUNK, 2, 1), 100, 4);
    make_durable();
    remove_one(key_of(STORE_CHUNK, 1, 0));
    put(key_of(STORE_CHUNK, 1, 1), 200, 5);
    remove_batch(2);
    ck_assert_uint_eq(scanned_rows(), 1);
    ck_assert_uint_eq(store->operations->stats(store).payload_bytes, 200);
    expect_none(key_of(STORE_CHUNK, 1, 0));
    expect(key_of(STORE_CHUNK, 1, 1), 200, 5);
    expect_none(key_of(STORE_CHUNK, 2, 0));
    expect_none(key_of(STORE_CHUNK, 2, 1));
}
END_TEST

START_TEST(what_was_put_and_removed_in_one_commit_leaves_nothing)
{
    put(key_of(STORE_ROW, 1, 0), 30000, 1);
    remove_one(key_of(STORE_ROW, 1, 0));
    ck_assert_uint_eq(store->operations->stats(store).waiting_bytes, 0);
    ck_assert_uint_eq(scanned_rows(), 0);
}
END_TEST

START_TEST(a_fetch_is_answered_once_and_its_payload_can_be_read)
{
    const struct store_key key = key_of(STORE_ROW, 1, 0);
    struct store_key fetched;
    enum tri_status status;
    zmq_msg_t payload;

    put(key, 30000, 1);
    reopen();
    ck_assert_int_eq(fetch(key), TRI_OK);
    ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_OK);
    check_bytes(&payload, 30000, 1);
    ck_assert(!store->operations->fetched(store, &fetched, &status));
    check_bytes(&payload, 30000, 1);
    zmq_msg_close(&payload);
}
END_TEST

START_TEST(a_fetch_sees_what_was_written_after_it_was_asked_for)
{
    const struct store_key key = key_of(STORE_ROW, 1, 0);
    const struct store_key gone = key_of(STORE_ROW, 1, 1);
    const struct store_key forgotten = key_of(STORE_ROW, 2, 1);
    struct store_key fetched;
    enum tri_status status;
    zmq_msg_t payload;

    put(key, 30000, 1);
    put(gone, 30000, 2);
    put(forgotten, 30000, 2);
    reopen();
    store->operations->fetch(store, key);
    store->operations->fetch(store, gone);
    store->operations->fetch(store, forgotten);
    put(key, 20000, 3);
    remove_one(gone);
    remove_batch(2);
    for (int answers = 0; answers < 3;) {
        if (!store->operations->fetched(store, &fetched, &status)) {
            turn();
            continue;
        }
        answers++;
        ck_assert_int_eq(status, store_key_equals(fetched, key) ? TRI_OK : TRI_NOTFOUND);
        if (status == TRI_OK) {
            ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_OK);
            check_bytes(&payload, 20000, 3);
            zmq_msg_close(&payload);
        }
    }
    ck_assert_int_eq(store->operations->read(store, gone, &payload), TRI_NOTFOUND);
    ck_assert_int_eq(store->operations->read(store, forgotten, &payload), TRI_NOTFOUND);
}
END_TEST

START_TEST(many_payloads_can_be_fetched_at_once)
{
    enum { COUNT = 500 };
    bool seen_key[COUNT] = { false };
    struct store_key key;
    enum tri_status status;
    zmq_msg_t payload;

    for (uint64_t i = 0; i < COUNT; i++)
        put(key_of(STORE_CHUNK, 1, i), 1000 + i * 10, i);
    reopen();
    for (uint64_t i = 0; i < COUNT; i++)
        store->operations->fetch(store, key_of(STORE_CHUNK, 1, i));
    for (int left = COUNT; left > 0;) {
        if (!store->operations->fetched(store, &key, &status)) {
            turn();
            continue;
        }
        ck_assert_int_eq(status, TRI_OK);
        ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_OK);
        check_bytes(&payload, 1000 + key.key * 10, key.key);
        zmq_msg_close(&payload);
        ck_assert(!seen_key[key.key]);
        seen_key[key.key] = true;
        left--;
    }
}
END_TEST

START_TEST(an_empty_store_has_room_and_is_not_busy)
{
    ck_assert_uint_gt(store->operations->room(store), 1 << 20);
    ck_assert(!store->operations->is_busy(store));
    ck_assert(!store->operations->stats(store).is_full);
    ck_assert_uint_eq(scanned_rows(), 0);
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
    tcase_add_test(tcase, a_scan_gives_every_head_in_the_order_of_table_batch_and_key);
    tcase_add_test(tcase, a_scan_ends_when_its_visitor_refuses_a_row);
    tcase_add_test(tcase, what_was_removed_or_replaced_does_not_come_back_with_a_start);
    tcase_add_test(tcase, what_was_put_and_removed_in_one_commit_leaves_nothing);
    tcase_add_test(tcase, a_fetch_is_answered_once_and_its_payload_can_be_read);
    tcase_add_test(tcase, a_fetch_sees_what_was_written_after_it_was_asked_for);
    tcase_add_test(tcase, many_payloads_can_be_fetched_at_once);
    tcase_add_test(tcase, an_empty_store_has_room_and_is_not_busy);
    tcase_add_test(tcase, ten_thousand_random_writes_leave_what_a_plain_table_says);
    return unit_run("store", tcase);
}
