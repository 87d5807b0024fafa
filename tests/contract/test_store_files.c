/* test_store_files.c - what is no store, or cannot be one, is refused with one line that says what
 * to do, and stays as it was: every file beside it, byte for byte.
 *
 * Root may do everything: whoever runs this as root is nobody while a store is opened. */
#include "tests/unit/unit.h"

#include "broker/store/store.h"
#include "common/assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define FILES_MAX 8
#define PAGE 16384
#define ROWS_MANY 320 /* on more than one page */

static char directory[64];
static char file[80];

/* ---- files ---------------------------------------------------------------------------------- */

static const char *beside(const char *suffix)
{
    static char path[sizeof(file) + 256];

    snprintf(path, sizeof(path), "%s%s", file, suffix);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *stream = fopen(path, "wb");

    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, size, stream), size);
    ck_assert_int_eq(fclose(stream), 0);
}

/* `count` bytes at `at` become others. */
static void damage(const char *path, long at, size_t count)
{
    FILE *stream = fopen(path, "r+b");

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(fseek(stream, at, SEEK_SET), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_ne(fputc(0xa5, stream), EOF);
    ck_assert_int_eq(fclose(stream), 0);
}

static long size_of(const char *path)
{
    struct stat info;

    ck_assert_int_eq(stat(path, &info), 0);
    return (long)info.st_size;
}

struct copy {
    char name[256];
    mode_t mode;
    uint8_t *bytes;
    size_t size;
};

/* All that is in the directory, in the order of names. */
struct copies {
    struct copy files[FILES_MAX];
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct copy *)a)->name, ((const struct copy *)b)->name);
}

static void copy_bytes(struct copy *copy, const char *path)
{
    FILE *stream = fopen(path, "rb");

    ck_assert_ptr_nonnull(stream);
    copy->size = (size_t)size_of(path);
    copy->bytes = tri_alloc(copy->size + 1, 1);
    ck_assert_uint_eq(fread(copy->bytes, 1, copy->size + 1, stream), copy->size);
    fclose(stream);
}

static void copy_all(struct copies *self)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;

    *self = (struct copies){ 0 };
    ck_assert_ptr_nonnull(stream);
    while ((entry = readdir(stream)) != NULL) {
        struct copy *copy = &self->files[self->count];
        struct stat info;
        char path[sizeof(directory) + sizeof(copy->name)];

        if (entry->d_name[0] == '.')
            continue;
        ck_assert_uint_lt(self->count, FILES_MAX);
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        ck_assert_int_eq(lstat(path, &info), 0);
        snprintf(copy->name, sizeof(copy->name), "%s", entry->d_name);
        copy->mode = info.st_mode;
        if (S_ISREG(info.st_mode))
            copy_bytes(copy, path);
        self->count++;
    }
    closedir(stream);
    qsort(self->files, self->count, sizeof(self->files[0]), by_name);
}

static void free_copies(struct copies *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->files[i].bytes);
}

static void expect_same(const struct copies *before)
{
    struct copies now;

    copy_all(&now);
    for (size_t i = 0; i < now.count && i < before->count; i++) {
        const struct copy *a = &before->files[i];
        const struct copy *b = &now.files[i];

        ck_assert_str_eq(a->name, b->name);
        ck_assert_uint_eq(a->mode, b->mode);
        ck_assert_uint_eq(a->size, b->size);
        ck_assert_msg(a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0, "%s", a->name);
    }
    ck_assert_msg(now.count == before->count, "%zu files were %zu", now.count, before->count);
    free_copies(&now);
}

/* ---- stores --------------------------------------------------------------------------------- */

static enum tri_status open_store(struct store **store, struct tri_error *error)
{
    struct store_sqlite_options options;

    store_sqlite_options_init(&options);
    options.file = file;
    options.reserve_bytes = 1 << 16;
    return store_sqlite_open(&options, store, error);
}

/* It is refused with a line that has all these in it, and everything stays as it is. */
static void expect_refused(const char *what, const char *remedy)
{
    struct tri_error error = { 0 };
    struct store *store;
    struct copies before;
    uid_t user = geteuid();
    enum tri_status status;

    copy_all(&before);
    if (user == 0)
        ck_assert_int_eq(seteuid(NOBODY), 0);
    status = open_store(&store, &error);
    if (user == 0)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(status, TRI_STORE);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(error.text, what) != NULL, "\"%s\" lacks \"%s\"", error.text, what);
    ck_assert_msg(strstr(error.text, remedy) != NULL, "\"%s\" lacks \"%s\"", error.text, remedy);
    ck_assert_ptr_null(strchr(error.text, '\n'));
    expect_same(&before);
    free_copies(&before);
}

static void give_to_nobody(const char *path)
{
    if (geteuid() == 0)
        ck_assert_int_eq(chown(path, NOBODY, (gid_t)-1), 0);
}

/* A store with rows in it, folded and closed; its reserve is gone. */
static void make_store_of(uint64_t rows)
{
    struct tri_error error = { 0 };
    struct store *store;

    ck_assert_msg(open_store(&store, &error) == TRI_OK, "%s", error.text);
    for (uint64_t i = 0; i < rows; i++) {
        zmq_msg_t payload;

        zmq_msg_init_size(&payload, 1000);
        memset(zmq_msg_data(&payload), (int)i, 1000);
        store->operations->put(store, (struct store_key){ STORE_ROW, 1, i },
                               (struct tri_bytes){ (const uint8_t *)"head of a row", 13 }, &payload,
                               &error);
        zmq_msg_close(&payload);
    }
    ck_assert_int_eq(store_settle(store, store->operations->commit(store, &error), &error), TRI_OK);
    store->operations->close(&store);
    unlink(beside("-reserve"));
    give_to_nobody(file);
}

static void make_store(void)
{
    make_store_of(ROWS_MANY);
}

/* Run SQL as another program would, and leave as a killed one does: log or journal stay. */
static void run_sql(const char *const *sql, size_t count, bool is_killed)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        sqlite3 *sqlite;
        int rc = sqlite3_open(file, &sqlite);

        for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
            rc = sqlite3_exec(sqlite, sql[i], NULL, NULL, NULL);
        if (!is_killed)
            sqlite3_close(sqlite);
        _exit(rc != SQLITE_OK);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    give_to_nobody(file);
}

static void begin(void)
{
    snprintf(directory, sizeof(directory), "/tmp/trireme-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    give_to_nobody(directory);
    snprintf(file, sizeof(file), "%s/store", directory);
}

static void end(void)
{
    struct copies all;

    ck_assert_int_eq(chmod(directory, 0700), 0);
    snprintf(file, sizeof(file), "%s/", directory);
    copy_all(&all);
    for (size_t i = 0; i < all.count; i++)
        ck_assert_int_eq(remove(beside(all.files[i].name)), 0);
    free_copies(&all);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* ---- any byte ------------------------------------------------------------------------------- */

#define ROWS 5
#define STRIDE 29

static enum tri_status see_row(void *context,
                               struct store_key key,
                               struct tri_bytes head,
                               uint64_t payload_bytes,
                               struct tri_error *error)
{
    (void)context, (void)key, (void)head, (void)payload_bytes, (void)error;
    return TRI_OK;
}

/* Ask for all payloads, and wait for the answers or the end of the store. */
static enum tri_status read_all(struct store *store, struct tri_error *error)
{
    enum tri_status status = store->operations->scan(store, see_row, NULL, error);
    enum tri_status loaded;
    struct store_key key;

    for (uint64_t i = 0; i < ROWS; i++)
        store->operations->fetch(store, (struct store_key){ STORE_ROW, 1, i });
    for (unsigned left = ROWS; left > 0 && status == TRI_OK;) {
        struct pollfd fd = { .fd = store->operations->fd(store), .events = POLLIN };

        if (store->operations->fetched(store, &key, &loaded)) {
            left--;
            continue;
        }
        ck_assert_int_eq(poll(&fd, 1, 20000), 1);
        status = store->operations->turn(store, error);
    }
    return status;
}

static bool says_what_is_wrong(const char *text)
{
    static const char *const words[] = { "damaged", "database of another program", "has format" };

    for (size_t i = 0; i < TRI_COUNT_OF(words); i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

static void expect_clear_line(const struct tri_error *error, long at, uint8_t byte)
{
    bool is_plain = true;

    for (const char *c = error->text; *c != '\0'; c++)
        is_plain = is_plain && *c >= ' ' && *c <= '~';
    ck_assert_msg(is_plain && strstr(error->text, file) != NULL && says_what_is_wrong(error->text),
                  "byte %ld is %u: %s", at, byte, error->text);
}

/* What is refused is left as it is; what is found later ends the store with the same words. */
static void try_byte(const struct copy *good, long at, uint8_t byte)
{
    struct tri_error error = { 0 };
    struct store *store;
    struct copy now = { 0 };
    enum tri_status status;

    good->bytes[at] ^= byte;
    write_file(file, good->bytes, good->size);
    status = open_store(&store, &error);
    if (status != TRI_OK) {
        copy_bytes(&now, file);
        ck_assert_uint_eq(now.size, good->size);
        ck_assert_mem_eq(now.bytes, good->bytes, good->size);
        free(now.bytes);
        ck_assert_int_ne(access(beside("-wal"), F_OK), 0);
    } else {
        status = read_all(store, &error);
        store->operations->close(&store);
    }
    if (status != TRI_OK)
        expect_clear_line(&error, at, good->bytes[at]);
    unlink(beside("-wal"));
    good->bytes[at] ^= byte;
}

START_TEST(a_byte_that_is_damaged_is_harmless_or_said_to_be_damage)
{
    struct copy good = { 0 };

    make_store_of(ROWS);
    copy_bytes(&good, file);
    for (long at = 0; at < (long)good.size; at += at < 108 || at % PAGE < 16 ? 1 : STRIDE) {
        if (at >= 108 && at % PAGE >= 16 && good.bytes[at] == 0)
            continue;
        try_byte(&good, at, 0xff);
        try_byte(&good, at, 3);
    }
    free(good.bytes);
}
END_TEST

/* ---- no store ------------------------------------------------------------------------------- */

START_TEST(a_file_that_is_no_database_is_refused)
{
    static char text[2 * PAGE];

    write_file(file, "{}", 2);
    give_to_nobody(file);
    expect_refused("is not a store of Trireme", "name another file");
    memset(text, 'x', sizeof(text));
    write_file(file, text, sizeof(text));
    expect_refused("is not a store of Trireme", "name another file");
}
END_TEST

START_TEST(a_database_of_another_program_is_refused_with_its_log)
{
    static const char *const sql[] = { "PRAGMA journal_mode = WAL", "CREATE TABLE heads (a)",
                                       "INSERT INTO heads VALUES (1)" };

    run_sql(sql, TRI_COUNT_OF(sql), true);
    ck_assert_int_gt(size_of(beside("-wal")), 0);
    expect_refused("database of another program", "name another file");
}
END_TEST

START_TEST(a_database_of_another_program_is_refused_with_its_journal)
{
    static const char *const sql[] = {
        "CREATE TABLE heads (a)",
        "BEGIN",
        "INSERT INTO heads SELECT 1",
        "PRAGMA cache_size = 1",
        "PRAGMA cache_spill = 1",
        ("INSERT INTO heads WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 999)"
         " SELECT randomblob(1000) FROM n")
    };

    run_sql(sql, TRI_COUNT_OF(sql), true);
    ck_assert_int_gt(size_of(beside("-journal")), 0);
    expect_refused("database of another program", "name another file");
}
END_TEST

START_TEST(a_store_that_was_only_begun_is_made)
{
    static const char *const sql[] = {
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA page_size = 16384",
        "PRAGMA auto_vacuum = INCREMENTAL",
    };

    run_sql(sql, TRI_COUNT_OF(sql), true);
    ck_assert_int_eq(size_of(file), PAGE);
    make_store();
    ck_assert_int_gt(size_of(file), PAGE);
}
END_TEST

START_TEST(a_directory_is_refused)
{
    ck_assert_int_eq(mkdir(file, 0777), 0);
    expect_refused("is a directory", "name a file in it");
}
END_TEST

START_TEST(a_pipe_is_refused_and_not_waited_for)
{
    ck_assert_int_eq(mkfifo(file, 0666), 0);
    expect_refused("is not a regular file", "name another file");
}
END_TEST

START_TEST(a_directory_that_is_absent_or_a_file_is_refused)
{
    write_file(file, "text", 4);
    snprintf(file, sizeof(file), "%s/none/store", directory);
    expect_refused("its directory cannot be used", "make it");
    snprintf(file, sizeof(file), "%s/store/store", directory);
    expect_refused("store is not a directory", "name a file in one");
}
END_TEST

/* ---- a store that is not as it was ---------------------------------------------------------- */

START_TEST(a_newer_store_is_refused_with_its_log)
{
    static const char *const newer[] = { "PRAGMA user_version = 3" };
    static const char *const changed[] = { "INSERT INTO payloads VALUES (77777, 'log')" };

    make_store();
    run_sql(newer, 1, false);
    expect_refused("has format 3", "use the version that wrote it");
    run_sql(changed, 1, true);
    ck_assert_int_gt(size_of(beside("-wal")), 0);
    give_to_nobody(beside("-wal"));
    give_to_nobody(beside("-shm"));
    expect_refused("has format 3", "use the version that wrote it");
}
END_TEST

START_TEST(a_store_of_an_older_version_is_migrated_and_keeps_what_it_has)
{
    static const char *const older[] = { "DROP TABLE forgotten", "PRAGMA user_version = 1" };
    struct tri_error error = { 0 };
    struct store *store;

    make_store();
    run_sql(older, TRI_COUNT_OF(older), false);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(open_store(&store, &error) == TRI_OK, "%s", error.text);
        ck_assert_msg(read_all(store, &error) == TRI_OK, "%s", error.text);
        ck_assert_uint_ge(store->operations->stats(store).rows, ROWS);
        store->operations->close(&store);
    }
}
END_TEST

/* Parameter: how much of it is left. */
static const long lengths[] = { 1, 99, 100, 512, 1000, PAGE - 1, PAGE, 2 * PAGE, 5 * PAGE + 7 };

START_TEST(a_store_that_was_cut_is_refused)
{
    make_store();
    ck_assert_int_gt(size_of(file), lengths[_i]);
    ck_assert_int_eq(truncate(file, lengths[_i]), 0);
    expect_refused("damaged", "restore it");
}
END_TEST

START_TEST(a_store_with_damaged_tables_is_refused)
{
    make_store();
    damage(file, 100, 200);
    expect_refused("is damaged", "restore it");
}
END_TEST

/* Overwrite the page on which the payload of row `i` stands. */
static void damage_page_of(uint8_t i)
{
    uint8_t payload[1000];
    struct copy copy = { 0 };
    const uint8_t *at;

    memset(payload, i, sizeof(payload));
    copy_bytes(&copy, file);
    at = memmem(copy.bytes, copy.size, payload, sizeof(payload));
    ck_assert_ptr_nonnull(at);
    damage(file, (at - copy.bytes) / PAGE * PAGE, 8);
    free(copy.bytes);
}

START_TEST(damage_of_what_was_forgotten_stops_nobody)
{
    static const char *const sql[] = { "INSERT INTO forgotten SELECT payload FROM heads",
                                       "DELETE FROM heads" };
    struct tri_error error = { 0 };
    struct store *store;

    make_store();
    run_sql(sql, TRI_COUNT_OF(sql), false);
    damage_page_of(100);
    ck_assert_msg(open_store(&store, &error) == TRI_OK, "%s", error.text);
    for (uint64_t i = 1; i <= ROWS_MANY; i++) {
        store->operations->put(store, (struct store_key){ STORE_ROW, 2, i },
                               (struct tri_bytes){ (const uint8_t *)"head", 4 }, NULL, &error);
        if (i % 32 != 0)
            continue;
        ck_assert_msg(store_settle(store, store->operations->commit(store, &error), &error)
                          == TRI_OK,
                      "%s", error.text);
    }
    ck_assert_uint_eq(store->operations->stats(store).rows, ROWS_MANY);
    store->operations->close(&store);
}
END_TEST

START_TEST(a_log_without_its_file_is_refused)
{
    static const char *const sql[] = { "INSERT INTO payloads VALUES (77777, 'log')" };

    make_store();
    run_sql(sql, 1, true);
    ck_assert_int_gt(size_of(beside("-wal")), 0);
    ck_assert_int_eq(truncate(file, 0), 0);
    expect_refused("is empty or gone, but its log", "restore both");
    ck_assert_int_eq(unlink(file), 0);
    expect_refused("is empty or gone, but its log", "restore both");
}
END_TEST

/* ---- a store that is not ours to use -------------------------------------------------------- */

START_TEST(a_store_that_cannot_be_written_is_refused)
{
    make_store();
    ck_assert_int_eq(chmod(file, 0444), 0);
    expect_refused("cannot be read and written", "change its owner or mode");
    ck_assert_int_eq(chmod(file, 0), 0);
    expect_refused("cannot be read and written", "change its owner or mode");
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_refused)
{
    make_store();
    ck_assert_int_eq(chmod(directory, 0555), 0);
    expect_refused("cannot write in directory", "change its owner or mode");
    ck_assert_int_eq(unlink(file), 0);
    expect_refused("cannot write in directory", "change its owner or mode");
}
END_TEST

START_TEST(a_reserve_that_cannot_be_written_is_refused)
{
    make_store();
    write_file(beside("-reserve"), "", 0);
    ck_assert_int_eq(chmod(beside("-reserve"), 0400), 0);
    expect_refused("its reserve", "change its owner or mode");
    ck_assert_int_eq(unlink(beside("-reserve")), 0);
    ck_assert_int_eq(mkdir(beside("-reserve"), 0700), 0);
    expect_refused("its reserve", "remove it");
}
END_TEST

/* From now on the store is called by a link to it. */
static void call_it_link(void)
{
    char link[sizeof(file)];

    snprintf(link, sizeof(link), "%s/link", directory);
    ck_assert_int_eq(symlink(file, link), 0);
    memcpy(file, link, sizeof(file));
}

START_TEST(what_stands_beside_a_store_stands_where_a_link_to_it_leads)
{
    struct tri_error error = { 0 };
    struct store *store;
    char reserve[sizeof(file) + 16];

    snprintf(reserve, sizeof(reserve), "%s-reserve", file);
    make_store();
    call_it_link();
    ck_assert_msg(open_store(&store, &error) == TRI_OK, "%s", error.text);
    ck_assert_int_eq(size_of(reserve), 1 << 16);
    ck_assert_int_eq(access(beside("-reserve"), F_OK), -1);
    store->operations->close(&store);
}
END_TEST

START_TEST(a_link_that_leads_nowhere_is_refused)
{
    call_it_link();
    expect_refused("is a link that leads nowhere", "name the file itself");
}
END_TEST

/* Another broker, which lives until `to_end` is closed. */
static pid_t hold_store(int *to_end)
{
    int ready[2];
    int over[2];
    char byte;
    pid_t child;

    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(over, O_CLOEXEC), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct tri_error error = { 0 };
        struct store *store;
        uint64_t ticket = 0;

        close(over[1]);
        if (open_store(&store, &error) == TRI_OK) {
            store->operations->put(store, (struct store_key){ STORE_META, 1, 0 },
                                   (struct tri_bytes){ (const uint8_t *)"head", 4 }, NULL, &error);
            ticket = store->operations->commit(store, &error);
        }
        if (ticket == 0 || store_settle(store, ticket, &error) != TRI_OK
            || write(ready[1], "r", 1) != 1 || read(over[0], &byte, 1) != 0)
            _exit(1);
        store->operations->close(&store);
        _exit(0);
    }
    close(over[0]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *to_end = over[1];
    return child;
}

START_TEST(a_store_that_another_broker_uses_is_refused_until_that_ends)
{
    struct tri_error error = { 0 };
    struct store *store;
    int to_end;
    int status;
    pid_t child;

    make_store();
    child = hold_store(&to_end);
    give_to_nobody(beside("-reserve"));
    expect_refused("is in use", "stop the other broker");
    expect_refused("is in use", "stop the other broker");
    close(to_end);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_msg(open_store(&store, &error) == TRI_OK, "%s", error.text);
    store->operations->close(&store);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("store_files");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_byte_that_is_damaged_is_harmless_or_said_to_be_damage);
    tcase_add_test(tcase, a_file_that_is_no_database_is_refused);
    tcase_add_test(tcase, a_database_of_another_program_is_refused_with_its_log);
    tcase_add_test(tcase, a_database_of_another_program_is_refused_with_its_journal);
    tcase_add_test(tcase, a_store_that_was_only_begun_is_made);
    tcase_add_test(tcase, a_directory_is_refused);
    tcase_add_test(tcase, a_pipe_is_refused_and_not_waited_for);
    tcase_add_test(tcase, a_directory_that_is_absent_or_a_file_is_refused);
    tcase_add_test(tcase, a_newer_store_is_refused_with_its_log);
    tcase_add_test(tcase, a_store_of_an_older_version_is_migrated_and_keeps_what_it_has);
    tcase_add_loop_test(tcase, a_store_that_was_cut_is_refused, 0, (int)TRI_COUNT_OF(lengths));
    tcase_add_test(tcase, a_store_with_damaged_tables_is_refused);
    tcase_add_test(tcase, damage_of_what_was_forgotten_stops_nobody);
    tcase_add_test(tcase, a_log_without_its_file_is_refused);
    tcase_add_test(tcase, a_store_that_cannot_be_written_is_refused);
    tcase_add_test(tcase, a_directory_that_cannot_be_written_is_refused);
    tcase_add_test(tcase, a_reserve_that_cannot_be_written_is_refused);
    tcase_add_test(tcase, what_stands_beside_a_store_stands_where_a_link_to_it_leads);
    tcase_add_test(tcase, a_link_that_leads_nowhere_is_refused);
    tcase_add_test(tcase, a_store_that_another_broker_uses_is_refused_until_that_ends);
    return unit_run("store_files", tcase);
}
