/* test_store_space.c - a real disk that fills up and grows: a small tmpfs, mounted in a name space
 * of this process. Who may not mount skips it (exit status 77). */
#include "tests/unit/unit.h"

#include "broker/store/store.h"
#include "common/assert.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SKIPPED 77
#define MIB (UINT64_C(1) << 20)

/* A sixteenth of the disk each for the log and the reserve. */
#define DISK_BYTES (16 * MIB)
#define RESERVE_BYTES MIB
#define CHUNK_BYTES (64 << 10)
#define SMALL_BYTES 2000
#define BATCHES 4 /* that stand on the same pages */

/* So much that is free may stay in the file (3-storage.md), and a few pages in use. */
#define SMALL_FILE_BYTES (4 * MIB + (256 << 10))

/* What one commit has made of the log, at most, some commits later (3-storage.md). */
#define LOG_FILE_BYTES_MAX (32 * MIB)

/* On such a disk the store does not look at what others do to it. */
#define LARGE_DISK_BYTES (2048 * MIB)

#define TURN_MS_MAX 10000

static char directory[64];
static char file[80];
static struct store *store;
static uint64_t next_key;
static uint64_t disk_bytes;

/* ---- the disk ------------------------------------------------------------------------------- */

static bool mount_disk(uint64_t bytes, unsigned long flags)
{
    char options[64];

    disk_bytes = bytes;
    snprintf(options, sizeof(options), "size=%llu,mode=0700", (unsigned long long)bytes);
    return mount("trireme-test", directory, "tmpfs", flags, options) == 0;
}

static uint64_t size_beside(const char *suffix)
{
    struct stat info;
    char path[128];

    snprintf(path, sizeof(path), "%s%s", file, suffix);
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static uint64_t reserve_size(void)
{
    return size_beside("-reserve");
}

/* ---- the store ------------------------------------------------------------------------------ */

static void open_it(void)
{
    struct store_sqlite_options options;
    struct tri_error error = { 0 };

    store_sqlite_options_init(&options);
    options.file = file;
    options.cache_bytes = 0;
    options.reserve_bytes = RESERVE_BYTES;
    options.full_ms = 1;
    ck_assert_msg(store_sqlite_open(&options, &store, &error) == TRI_OK, "%s", error.text);
}

static void begin(void)
{
    ck_assert(mount_disk(DISK_BYTES, 0));
    open_it();
    next_key = 0;
}

static void end(void)
{
    store->operations->close(&store);
    ck_assert_int_eq(umount(directory), 0);
}

/* Sleep until the store has done something. */
static void turn(void)
{
    struct pollfd fd = { .fd = store->operations->fd(store), .events = POLLIN };
    struct tri_error error = { 0 };

    ck_assert_int_eq(poll(&fd, 1, TURN_MS_MAX), 1);
    ck_assert_msg(store->operations->turn(store, &error) == TRI_OK, "%s", error.text);
}

/* Bytes that no disk makes smaller. */
static void put(uint64_t batch, uint64_t key, size_t bytes)
{
    struct tri_error error = { 0 };
    zmq_msg_t payload;

    zmq_msg_init_size(&payload, bytes);
    memset(zmq_msg_data(&payload), (int)key, bytes);
    store->operations->put(store, (struct store_key){ STORE_CHUNK, batch, key },
                           (struct tri_bytes){ (const uint8_t *)"head", 4 }, &payload, &error);
    zmq_msg_close(&payload);
}

/* Returns the ticket. */
static uint64_t commit(void)
{
    struct tri_error error = { 0 };
    uint64_t ticket = store->operations->commit(store, &error);

    ck_assert_msg(ticket != 0, "%s", error.text);
    return ticket;
}

/* One more chunk. Returns its ticket. */
static uint64_t write_chunk(void)
{
    put(1, next_key++, CHUNK_BYTES);
    return commit();
}

static enum tri_status settle(uint64_t ticket)
{
    struct tri_error error = { 0 };
    enum tri_status status = store_settle(store, ticket, &error);

    ck_assert_msg(status != TRI_STORE, "%s", error.text);
    return status;
}

/* New work, while there is room for it. All of it is durable. */
static void fill_while_there_is_room(void)
{
    while (store->operations->room(store) >= CHUNK_BYTES) {
        ck_assert_uint_lt(next_key, disk_bytes / CHUNK_BYTES);
        ck_assert_int_eq(settle(write_chunk()), TRI_OK);
    }
}

/* Results, until there is no room for them either. Returns how many became durable. */
static uint64_t fill_up(void)
{
    uint64_t count = 0;

    while (settle(write_chunk()) == TRI_OK) {
        ck_assert_uint_lt(next_key, disk_bytes / CHUNK_BYTES);
        count++;
    }
    return count;
}

static enum tri_status count_row(void *context,
                                 struct store_key key,
                                 struct tri_bytes head,
                                 uint64_t payload_bytes,
                                 struct tri_error *error)
{
    uint64_t *count = context;

    (void)head;
    (void)error;
    ck_assert_uint_eq(key.key, *count);
    ck_assert_uint_eq(payload_bytes, CHUNK_BYTES);
    ++*count;
    return TRI_OK;
}

static uint64_t rows_after_restart(void)
{
    struct tri_error error = { 0 };
    uint64_t count = 0;

    store->operations->close(&store);
    open_it();
    ck_assert_int_eq(store->operations->scan(store, count_row, &count, &error), TRI_OK);
    return count;
}

/* ---- tests ---------------------------------------------------------------------------------- */

START_TEST(new_work_is_refused_before_the_reserve_is_touched)
{
    ck_assert_uint_gt(store->operations->room(store), DISK_BYTES / 2);
    fill_while_there_is_room();
    ck_assert_uint_gt(next_key * CHUNK_BYTES, DISK_BYTES / 2);
    ck_assert(!store->operations->stats(store).is_full);
    ck_assert_uint_eq(reserve_size(), RESERVE_BYTES);
    ck_assert_uint_le(store->operations->stats(store).disk_bytes, DISK_BYTES);
    ck_assert_uint_eq(rows_after_restart(), next_key);
}
END_TEST

START_TEST(results_go_into_the_reserve_and_a_larger_disk_is_gone_on_with)
{
    uint64_t into_reserve;

    fill_while_there_is_room();
    into_reserve = fill_up();
    ck_assert_uint_gt(into_reserve * CHUNK_BYTES, RESERVE_BYTES / 2);
    ck_assert_uint_eq(reserve_size(), 0);
    ck_assert(store->operations->stats(store).is_full);
    ck_assert_uint_eq(store->operations->room(store), 0);
    /* What comes meanwhile is gathered. */
    ck_assert_int_eq(settle(write_chunk()), TRI_NO_SPACE);

    ck_assert(mount_disk(4 * DISK_BYTES, MS_REMOUNT));
    while (store->operations->stats(store).is_full)
        turn();
    ck_assert_int_eq(settle(write_chunk()), TRI_OK);
    while (store->operations->room(store) == 0)
        turn();
    ck_assert_uint_eq(reserve_size(), RESERVE_BYTES);
    fill_while_there_is_room();
    ck_assert_uint_gt(next_key * CHUNK_BYTES, DISK_BYTES);
    ck_assert_uint_eq(rows_after_restart(), next_key);
}
END_TEST

START_TEST(a_store_on_a_full_disk_is_opened_and_has_no_room)
{
    uint64_t durable;

    fill_while_there_is_room();
    fill_up();
    durable = next_key - 1;
    ck_assert_uint_eq(rows_after_restart(), durable);
    ck_assert_uint_eq(store->operations->room(store), 0);
}
END_TEST

START_TEST(forgetting_gives_room_again)
{
    fill_while_there_is_room();
    store->operations->remove(store, (struct store_key){ STORE_META, 1, 0 }, true);
    ck_assert_int_eq(settle(commit()), TRI_OK);
    while (store->operations->room(store) < DISK_BYTES / 2)
        turn();
}
END_TEST

START_TEST(a_file_that_is_empty_again_is_small_again)
{
    ck_assert(mount_disk(LARGE_DISK_BYTES, MS_REMOUNT));
    for (uint64_t i = 0; i < 2 * DISK_BYTES / CHUNK_BYTES; i++)
        ck_assert_int_eq(settle(write_chunk()), TRI_OK);
    store->operations->remove(store, (struct store_key){ STORE_META, 1, 0 }, true);
    ck_assert_int_eq(settle(commit()), TRI_OK);
    while (size_beside("") > SMALL_FILE_BYTES)
        turn();
}
END_TEST

START_TEST(a_log_that_one_commit_has_made_long_does_not_stay_so)
{
    ck_assert(mount_disk(LARGE_DISK_BYTES, MS_REMOUNT));
    while (next_key * CHUNK_BYTES <= LOG_FILE_BYTES_MAX)
        put(1, next_key++, CHUNK_BYTES);
    ck_assert_int_eq(settle(commit()), TRI_OK);
    ck_assert_uint_gt(size_beside("-wal"), LOG_FILE_BYTES_MAX);
    while (size_beside("-wal") > LOG_FILE_BYTES_MAX) {
        ck_assert_uint_lt(next_key, 2 * LOG_FILE_BYTES_MAX / CHUNK_BYTES);
        ck_assert_int_eq(settle(write_chunk()), TRI_OK);
    }
}
END_TEST

/* One of them stays: every page would have to be written again, and there is no room for that. */
START_TEST(forgetting_gives_room_where_batches_share_pages)
{
    while (store->operations->room(store) >= CHUNK_BYTES) {
        for (uint64_t i = 0; i < CHUNK_BYTES / SMALL_BYTES; i++, next_key++)
            put(1 + next_key % BATCHES, next_key, SMALL_BYTES);
        ck_assert_int_eq(settle(commit()), TRI_OK);
    }
    for (uint64_t batch = 2; batch <= BATCHES; batch++)
        store->operations->remove(store, (struct store_key){ STORE_META, batch, 0 }, true);
    ck_assert_int_eq(settle(commit()), TRI_OK);
    while (store->operations->room(store) < DISK_BYTES / 4)
        turn();
}
END_TEST

/* Another process on the same disk. */
static void others_take(uint64_t bytes)
{
    char path[128];
    FILE *other;

    snprintf(path, sizeof(path), "%s/other", directory);
    other = fopen(path, "w");
    ck_assert_ptr_nonnull(other);
    for (uint64_t i = 0; i < bytes; i += 4096)
        fprintf(other, "%4096d", 0);
    fclose(other);
}

START_TEST(a_store_without_work_hears_of_others_who_fill_the_disk_and_clear_it)
{
    uint64_t before = store->operations->room(store);
    char path[128];

    ck_assert_int_eq(settle(write_chunk()), TRI_OK);
    others_take(DISK_BYTES);
    while (store->operations->room(store) > 0)
        turn();
    snprintf(path, sizeof(path), "%s/other", directory);
    ck_assert_int_eq(unlink(path), 0);
    while (store->operations->room(store) < before - MIB)
        turn();
}
END_TEST

/* Nothing else is full: the store is what may not grow. */
START_TEST(a_limit_on_the_size_of_files_is_a_small_disk)
{
    struct rlimit limit;
    struct tri_error error = { 0 };

    ck_assert(mount_disk(LARGE_DISK_BYTES, MS_REMOUNT));
    disk_bytes = DISK_BYTES;
    store->operations->close(&store);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = DISK_BYTES;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    open_it();
    ck_assert_uint_gt(store->operations->room(store), DISK_BYTES / 2);
    ck_assert_uint_le(store->operations->room(store), DISK_BYTES - RESERVE_BYTES);
    fill_while_there_is_room();
    ck_assert_uint_gt(next_key * CHUNK_BYTES, DISK_BYTES / 2);
    ck_assert(!store->operations->stats(store).is_full);
    ck_assert_uint_gt(fill_up() * CHUNK_BYTES, RESERVE_BYTES / 2);
    ck_assert(store->operations->stats(store).is_full);
    ck_assert_uint_eq(rows_after_restart(), next_key - 1);
    store->operations->remove(store, (struct store_key){ STORE_META, 1, 0 }, true);
    ck_assert_int_eq(settle(store->operations->commit(store, &error)), TRI_OK);
    while (store->operations->room(store) < DISK_BYTES / 2)
        turn();
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
END_TEST

/* What this process mounts is seen by nobody else and goes with it. */
static bool may_mount(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
           && mount_disk(DISK_BYTES, 0) && umount(directory) == 0;
}

int main(void)
{
    TCase *tcase;
    int status;

    snprintf(directory, sizeof(directory), "/tmp/trireme-space-XXXXXX");
    tri_assert(mkdtemp(directory) != NULL);
    snprintf(file, sizeof(file), "%s/store", directory);
    if (!may_mount()) {
        printf("skipped: a small disk cannot be mounted (%s): run it as root\n", strerror(errno));
        rmdir(directory);
        return SKIPPED;
    }
    tcase = tcase_create("store_space");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, new_work_is_refused_before_the_reserve_is_touched);
    tcase_add_test(tcase, results_go_into_the_reserve_and_a_larger_disk_is_gone_on_with);
    tcase_add_test(tcase, a_store_on_a_full_disk_is_opened_and_has_no_room);
    tcase_add_test(tcase, forgetting_gives_room_again);
    tcase_add_test(tcase, a_file_that_is_empty_again_is_small_again);
    tcase_add_test(tcase, forgetting_gives_room_where_batches_share_pages);
    tcase_add_test(tcase, a_log_that_one_commit_has_made_long_does_not_stay_so);
    tcase_add_test(tcase, a_store_without_work_hears_of_others_who_fill_the_disk_and_clear_it);
    tcase_add_test(tcase, a_limit_on_the_size_of_files_is_a_small_disk);
    status = unit_run("store_space", tcase);
    umount2(directory, MNT_DETACH);
    rmdir(directory);
    return status;
}
