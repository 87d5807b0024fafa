/* test_store_faults.c - the n-th write, sync, read, truncation or allocation fails, for n = 1, 2,
 * ... until a run is clean. Whatever happened, the file is opened again and must hold what a whole
 * number of commits leaves: at least those that were said to be durable.
 *
 * Commit number m puts a marker with m in its head, a row of results, a chunk of items, takes an
 * old row back, and now and then forgets a batch: so the marker tells what else must be there. */
#include "tests/contract/disk.h"
#include "tests/unit/unit.h"

#include "broker/store/store.h"
#include "common/assert.h"

#include <poll.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COMMITS 24
#define ROWS_KEPT 5
#define FORGET_EVERY 7

/* Loops that are not clean by then would never be. */
#define RUNS_MAX 5000

/* A disk that is full is tried again after this: at once, or not while a test lasts. */
#define SOON_MS 1
#define LATER_MS 600000

static struct store *store;
static uint64_t acknowledged; /* commits */

static enum tri_status open_as(uint64_t full_ms, bool by_hand)
{
    struct store_sqlite_options options;
    struct tri_error error = { 0 };
    enum tri_status status;

    store_sqlite_options_init(&options);
    options.file = "store";
    options.vfs = "disk";
    options.cache_bytes = 0;
    options.log_bytes_max = 160 << 10;
    options.full_ms = full_ms;
    options.by_hand = by_hand;
    status = store_sqlite_open(&options, &store, &error);
    if (status != TRI_OK) {
        ck_assert_ptr_null(store);
        ck_assert_int_eq(status, TRI_STORE);
        ck_assert_uint_gt(strlen(error.text), 0);
        ck_assert_ptr_null(strchr(error.text, '\n'));
    }
    return status;
}

static enum tri_status open_to_try(uint64_t full_ms)
{
    return open_as(full_ms, false);
}

static enum tri_status open_it(void)
{
    return open_to_try(SOON_MS);
}

static void close_it(void)
{
    if (store != NULL)
        store->operations->close(&store);
}

/* ---- the writes ----------------------------------------------------------------------------- */

static size_t size_of(uint64_t m)
{
    static const size_t sizes[] = { 10, 300, 5000, 20000, 40000 };

    return sizes[m % TRI_COUNT_OF(sizes)] + m;
}

static void put(enum store_table table, uint64_t batch, uint64_t m)
{
    struct tri_error error = { 0 };
    zmq_msg_t payload;

    zmq_msg_init_size(&payload, size_of(m));
    memset(zmq_msg_data(&payload), (int)m, size_of(m));
    ck_assert_int_eq(store->operations->put(store, (struct store_key){ table, batch, m },
                                            (struct tri_bytes){ (const uint8_t *)&m, sizeof(m) },
                                            &payload, &error),
                     TRI_OK);
    zmq_msg_close(&payload);
}

static uint64_t commit_number(uint64_t m)
{
    struct tri_error error = { 0 };

    put(STORE_ROW, 1, m);
    if (m > ROWS_KEPT)
        store->operations->remove(store, (struct store_key){ STORE_ROW, 1, m - ROWS_KEPT }, false);
    if (m % FORGET_EVERY == 0)
        store->operations->remove(store, (struct store_key){ STORE_META, 2, 0 }, true);
    put(STORE_CHUNK, 2, m);
    store->operations->put(store, (struct store_key){ STORE_BATCH, 1, 0 },
                           (struct tri_bytes){ (const uint8_t *)&m, sizeof(m) }, NULL, &error);
    return store->operations->commit(store, &error);
}

/* Fetch a payload and sleep until it came. TRI_STORE: the store has failed. */
static enum tri_status fetch(struct store_key key, enum tri_status *status)
{
    struct pollfd fd = { .fd = store->operations->fd(store), .events = POLLIN };
    struct tri_error error = { 0 };
    struct store_key fetched;

    store->operations->fetch(store, key);
    while (!store->operations->fetched(store, &fetched, status)) {
        ck_assert_int_eq(poll(&fd, 1, 10000), 1);
        if (store->operations->turn(store, &error) != TRI_OK)
            return TRI_STORE;
    }
    return TRI_OK;
}

/* A payload that is on the disk only. */
static enum tri_status fetch_row(uint64_t m)
{
    enum tri_status status;

    if (fetch((struct store_key){ STORE_ROW, 1, m }, &status) != TRI_OK)
        return TRI_STORE;
    ck_assert_msg(status == TRI_OK || status == TRI_STORE, "%s", tri_status_text(status));
    return TRI_OK;
}

/* Wait even for a disk that is full. */
static enum tri_status settle(uint64_t ticket, struct tri_error *error)
{
    enum tri_status status;

    do {
        status = store_settle(store, ticket, error);
    } while (status == TRI_NO_SPACE);
    return status;
}

/* All commits; some are waited for, so that others share a transaction. Ends with the first
 * failure. */
static enum tri_status run_all(uint64_t first)
{
    struct tri_error error = { 0 };
    enum tri_status status = TRI_OK;
    uint64_t base;

    base = store->operations->durable(store);
    for (uint64_t m = first; m <= COMMITS && status == TRI_OK; m++) {
        uint64_t ticket = commit_number(m);

        if (ticket == 0)
            return TRI_STORE;
        if (m % 3 == 0 || m == COMMITS)
            status = settle(ticket, &error);
        acknowledged = first - 1 + store->operations->durable(store) - base;
        if (status == TRI_OK && m % 4 == 0)
            status = fetch_row(m);
    }
    if (status != TRI_OK)
        ck_assert_msg(status == TRI_STORE && strlen(error.text) < 400, "%s", error.text);
    return status;
}

/* ---- what must be there --------------------------------------------------------------------- */

struct seen {
    uint64_t marker;
    uint64_t count;
    bool rows[COMMITS + 1];
    bool chunks[COMMITS + 1];
};

static enum tri_status see(void *context,
                           struct store_key key,
                           struct tri_bytes head,
                           uint64_t payload_bytes,
                           struct tri_error *error)
{
    struct seen *seen = context;
    uint64_t m;

    (void)error;
    ck_assert_uint_eq(head.size, sizeof(m));
    memcpy(&m, head.data, sizeof(m));
    ck_assert_uint_le(m, COMMITS);
    seen->count++;
    if (key.table == STORE_BATCH) {
        seen->marker = m;
        return TRI_OK;
    }
    ck_assert_uint_eq(m, key.key);
    ck_assert_uint_eq(payload_bytes, size_of(m));
    ck_assert(key.table == STORE_ROW || key.table == STORE_CHUNK);
    (key.table == STORE_ROW ? seen->rows : seen->chunks)[m] = true;
    return TRI_OK;
}

static void expect_payload(enum store_table table, uint64_t batch, uint64_t m)
{
    struct store_key key = { table, batch, m };
    enum tri_status status;
    zmq_msg_t payload;
    const uint8_t *bytes;

    ck_assert_int_eq(fetch(key, &status), TRI_OK);
    ck_assert_int_eq(status, TRI_OK);
    ck_assert_int_eq(store->operations->read(store, key, &payload), TRI_OK);
    ck_assert_uint_eq(zmq_msg_size(&payload), size_of(m));
    bytes = zmq_msg_data(&payload);
    /* All are the same, and the first is the right one. */
    ck_assert_uint_eq(bytes[0], m);
    ck_assert_int_eq(memcmp(bytes, bytes + 1, size_of(m) - 1), 0);
    zmq_msg_close(&payload);
}

/* Open it and compare everything. Returns how many commits it holds. */
static uint64_t check_it(void)
{
    struct tri_error error = { 0 };
    struct seen seen = { 0 };
    uint64_t count = 0;
    uint64_t m;

    ck_assert_int_eq(open_it(), TRI_OK);
    ck_assert_int_eq(store->operations->scan(store, see, &seen, &error), TRI_OK);
    m = seen.marker;
    ck_assert_msg(m >= acknowledged, "%llu acknowledged, %llu there",
                  (unsigned long long)acknowledged, (unsigned long long)m);
    for (uint64_t i = 1; i <= m; i++) {
        bool is_row = i + ROWS_KEPT > m;
        bool is_chunk = i >= m - m % FORGET_EVERY;

        ck_assert_msg(seen.rows[i] == is_row && seen.chunks[i] == is_chunk, "%llu of %llu",
                      (unsigned long long)i, (unsigned long long)m);
        count += is_row + is_chunk;
        if (is_row)
            expect_payload(STORE_ROW, 1, i);
        if (is_chunk)
            expect_payload(STORE_CHUNK, 2, i);
    }
    ck_assert_uint_eq(seen.count, m == 0 ? 0 : count + 1);
    return m;
}

/* ---- loops ---------------------------------------------------------------------------------- */

/* One run with the fault that is set, what it leaves (after a power cut too if `cut`) is checked,
 * and work goes on from there. Returns how the run ended; `*failed`: faults that it met. */
static enum tri_status run_once(uint64_t n, bool cut, uint64_t *failed)
{
    enum tri_status status;

    acknowledged = 0;
    status = open_it();
    if (status == TRI_OK)
        status = run_all(1);
    if (status == TRI_OK)
        ck_assert_uint_eq(acknowledged, COMMITS);
    close_it();
    *failed = disk_failed();
    if (cut)
        disk_power_cut(n);
    else
        disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    ck_assert_int_eq(run_all(check_it() + 1), TRI_OK);
    close_it();
    return status;
}

static void loop(enum disk_operation operation, enum disk_fault fault, bool cut)
{
    uint64_t failed = 1;
    uint64_t n;

    for (n = 1; failed > 0; n++) {
        enum tri_status status;

        ck_assert_uint_lt(n, RUNS_MAX);
        disk_format();
        disk_fail(operation, fault, n, 1);
        status = run_once(n, cut, &failed);
        if (failed == 0)
            ck_assert_int_eq(status, TRI_OK);
        else if (operation == DISK_SYNC)
            ck_assert(status == TRI_STORE || acknowledged == COMMITS);
    }
    ck_assert_uint_gt(n, 10);
}

START_TEST(a_failed_write_loses_nothing_acknowledged)
{
    loop(DISK_WRITE, DISK_FAILS, false);
}
END_TEST

START_TEST(a_failed_write_and_a_power_cut_lose_nothing_acknowledged)
{
    loop(DISK_WRITE, DISK_FAILS, true);
}
END_TEST

START_TEST(a_failed_sync_and_a_power_cut_lose_nothing_acknowledged)
{
    loop(DISK_SYNC, DISK_FAILS, true);
}
END_TEST

START_TEST(a_failed_read_loses_nothing)
{
    loop(DISK_READ, DISK_FAILS, false);
}
END_TEST

START_TEST(failed_truncations_lose_nothing)
{
    uint64_t failed;

    disk_format();
    disk_fail(DISK_TRUNCATE, DISK_FAILS, 1, UINT64_MAX);
    run_once(1, true, &failed);
    ck_assert_uint_gt(failed, 0);
}
END_TEST

START_TEST(power_cuts_at_every_write_lose_nothing_acknowledged)
{
    loop(DISK_WRITE, DISK_DIES, true);
}
END_TEST

START_TEST(power_cuts_at_every_sync_lose_nothing_acknowledged)
{
    loop(DISK_SYNC, DISK_DIES, true);
}
END_TEST

/* A disk that is full for some writes: everything is written in the end, by the
 * same store. */
static void fill_up(uint64_t first, uint64_t step, uint64_t count)
{
    uint64_t failed = 1;
    uint64_t n;

    for (n = first; failed > 0; n += step) {
        enum tri_status status;

        ck_assert_uint_lt(n, RUNS_MAX);
        disk_format();
        ck_assert_int_eq(open_it(), TRI_OK);
        close_it();
        disk_fail(DISK_WRITE, DISK_FULL, n, count);
        status = run_once(n, true, &failed);
        /* It may still be full when the file is opened again, where nobody waits for it. */
        ck_assert(status == TRI_OK || acknowledged == 0);
    }
    ck_assert_uint_gt(n, 10 * step);
}

START_TEST(a_disk_that_is_full_for_one_write_is_gone_on_with)
{
    fill_up(1, 1, 1);
}
END_TEST

START_TEST(a_disk_that_stays_full_for_a_while_is_gone_on_with)
{
    fill_up(3, 13, 7);
}
END_TEST

/* The first `durable` commits were written; the next ones find no room, and the store waits. */
static void become_full(uint64_t durable)
{
    struct tri_error error = { 0 };

    disk_format();
    ck_assert_int_eq(open_to_try(LATER_MS), TRI_OK);
    for (uint64_t m = 1; m < durable; m++)
        commit_number(m);
    ck_assert_int_eq(store_settle(store, commit_number(durable), &error), TRI_OK);
    acknowledged = durable;
    disk_fail(DISK_WRITE, DISK_FULL, 1, UINT64_MAX);
    ck_assert_int_eq(store_settle(store, commit_number(durable + 1), &error), TRI_NO_SPACE);
    ck_assert_uint_eq(store->operations->room(store), 0);
}

START_TEST(a_full_disk_is_read_from_and_not_tried_for_each_commit)
{
    struct tri_error error = { 0 };
    uint64_t failures;

    become_full(12);
    failures = disk_failed();
    ck_assert_uint_gt(failures, 0);
    for (uint64_t m = 14; m < 12 + ROWS_KEPT; m++) {
        commit_number(m);
        ck_assert_int_eq(fetch_row(12), TRI_OK);
    }
    ck_assert_int_eq(store_settle(store, acknowledged + 1, &error), TRI_NO_SPACE);
    ck_assert_uint_eq(disk_failed(), failures);
    close_it();
    disk_fail(DISK_WRITE, DISK_FULL, 0, 0);
    ck_assert_uint_eq(check_it(), acknowledged);
    close_it();
}
END_TEST

START_TEST(a_store_that_is_closed_after_its_disk_has_room_again_writes_everything)
{
    become_full(6);
    for (uint64_t m = 8; m <= COMMITS; m++)
        commit_number(m);
    disk_fail(DISK_WRITE, DISK_FULL, 0, 0);
    close_it();
    ck_assert_uint_eq(check_it(), COMMITS);
    close_it();
}
END_TEST

/* One step of the store at that time, with somebody who waits for a row. */
static void step_with_a_load(tri_time now)
{
    const struct store_operations *operations = store->operations;
    struct tri_error error = { 0 };
    enum tri_status status;
    struct store_key key;

    operations->fetch(store, (struct store_key){ STORE_ROW, 1, 3 });
    store_sqlite_step(store, now);
    ck_assert_int_eq(operations->turn(store, &error), TRI_OK);
    while (operations->fetched(store, &key, &status))
        ck_assert_int_eq(status, TRI_OK);
}

START_TEST(a_disk_that_has_room_again_is_tried_though_there_is_always_something_to_read)
{
    tri_time now = 0;
    uint64_t ticket;

    disk_format();
    ck_assert_int_eq(open_as(200, true), TRI_OK);
    for (uint64_t m = 1; m <= 3; m++)
        ticket = commit_number(m);
    while (store->operations->durable(store) < ticket)
        step_with_a_load(now++);
    disk_fail(DISK_WRITE, DISK_FULL, 1, UINT64_MAX);
    ticket = commit_number(4);
    while (!store->operations->stats(store).is_full)
        step_with_a_load(now++);
    disk_fail(DISK_WRITE, DISK_FULL, 0, 0);
    for (tri_time until = now + 210; now < until; now += 5)
        step_with_a_load(now);
    ck_assert_uint_ge(store->operations->durable(store), ticket);
    close_it();
}
END_TEST

/* ---- allocations ---------------------------------------------------------------------------- */

static sqlite3_mem_methods memory;
static _Atomic uint64_t allocations;
static _Atomic uint64_t fails_at; /* 0: none */

static bool fails(void)
{
    return atomic_fetch_add(&allocations, 1) + 1 == fails_at;
}

static void *failing_malloc(int size)
{
    return fails() ? NULL : memory.xMalloc(size);
}

static void *failing_realloc(void *old, int size)
{
    return fails() ? NULL : memory.xRealloc(old, size);
}

START_TEST(a_failed_allocation_of_sqlite_loses_nothing_acknowledged)
{
    bool is_clean = false;

    for (uint64_t n = 1; !is_clean; n += n < 200 ? 1 : 7) {
        enum tri_status status;

        ck_assert_uint_lt(n, 100 * RUNS_MAX);
        disk_format();
        acknowledged = 0;
        allocations = 0;
        fails_at = n;
        status = open_it();
        if (status == TRI_OK)
            status = run_all(1);
        close_it();
        is_clean = allocations < n;
        fails_at = 0;
        if (is_clean)
            ck_assert_int_eq(status, TRI_OK);
        disk_power_cut(n);
        check_it();
        close_it();
    }
}
END_TEST

static void configure_sqlite(void)
{
    sqlite3_mem_methods failing;

    tri_assert(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) == SQLITE_OK);
    failing = memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    tri_assert(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) == SQLITE_OK);
    disk_register();
}

int main(void)
{
    TCase *tcase = tcase_create("store_faults");

    configure_sqlite();
    tcase_add_checked_fixture(tcase, NULL, disk_format);
    tcase_add_test(tcase, a_failed_write_loses_nothing_acknowledged);
    tcase_add_test(tcase, a_failed_write_and_a_power_cut_lose_nothing_acknowledged);
    tcase_add_test(tcase, a_failed_sync_and_a_power_cut_lose_nothing_acknowledged);
    tcase_add_test(tcase, a_failed_read_loses_nothing);
    tcase_add_test(tcase, failed_truncations_lose_nothing);
    tcase_add_test(tcase, power_cuts_at_every_write_lose_nothing_acknowledged);
    tcase_add_test(tcase, power_cuts_at_every_sync_lose_nothing_acknowledged);
    tcase_add_test(tcase, a_disk_that_is_full_for_one_write_is_gone_on_with);
    tcase_add_test(tcase, a_full_disk_is_read_from_and_not_tried_for_each_commit);
    tcase_add_test(tcase,
                   a_disk_that_has_room_again_is_tried_though_there_is_always_something_to_read);
    tcase_add_test(tcase, a_store_that_is_closed_after_its_disk_has_room_again_writes_everything);
    tcase_add_test(tcase, a_disk_that_stays_full_for_a_while_is_gone_on_with);
    tcase_add_test(tcase, a_failed_allocation_of_sqlite_loses_nothing_acknowledged);
    return unit_run("store_faults", tcase);
}
