#include "bench/limit_store.h"

#include "bench/bench.h"

#include <sqlite3.h>
#include <unistd.h>

enum { PUT_PAYLOAD, DELETE_PAYLOAD, PUT_RESULT, DELETE_RESULT, BEGIN, COMMIT, STATEMENT_COUNT };

static const char *const texts[STATEMENT_COUNT] = {
    "INSERT INTO payload VALUES (?, ?)",
    "DELETE FROM payload WHERE row = ?",
    "INSERT INTO result VALUES (?, ?)",
    "DELETE FROM result WHERE row = ?",
    "BEGIN IMMEDIATE",
    "COMMIT",
};

static sqlite3 *base;
static sqlite3_stmt *statements[STATEMENT_COUNT];
static int is_begun;

static void check(int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    fprintf(stderr, "limit_store: %s\n", sqlite3_errmsg(base));
    exit(2);
}

static void run(int statement)
{
    check(sqlite3_step(statements[statement]));
    check(sqlite3_reset(statements[statement]));
}

static void begin(void)
{
    if (!is_begun)
        run(BEGIN);
    is_begun = 1;
}

static void put(int statement, uint64_t row, const void *data, size_t size)
{
    begin();
    check(sqlite3_bind_int64(statements[statement], 1, (sqlite3_int64)row));
    check(sqlite3_bind_blob64(statements[statement], 2, data, size, SQLITE_STATIC));
    run(statement);
}

static void drop(int statement, uint64_t row)
{
    begin();
    check(sqlite3_bind_int64(statements[statement], 1, (sqlite3_int64)row));
    run(statement);
}

void limit_store_open(const char *file)
{
    char other[4096];

    unlink(file);
    snprintf(other, sizeof(other), "%s-wal", file);
    unlink(other);
    check(sqlite3_open(file, &base));
    check(sqlite3_exec(base,
                       "PRAGMA page_size = 16384; PRAGMA secure_delete = OFF;"
                       "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                       "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
                       "CREATE TABLE payload (row INTEGER PRIMARY KEY, data BLOB);"
                       "CREATE TABLE result (row INTEGER PRIMARY KEY, data BLOB);",
                       NULL, NULL, NULL));
    for (int i = 0; i < STATEMENT_COUNT; i++)
        check(sqlite3_prepare_v2(base, texts[i], -1, &statements[i], NULL));
}

void limit_store_put_payload(uint64_t row, const void *data, size_t size)
{
    put(PUT_PAYLOAD, row, data, size);
}

void limit_store_put_result(uint64_t row, const void *data, size_t size)
{
    drop(DELETE_PAYLOAD, row);
    put(PUT_RESULT, row, data, size);
}

void limit_store_delete_result(uint64_t row)
{
    drop(DELETE_RESULT, row);
}

void limit_store_commit(void)
{
    if (is_begun)
        run(COMMIT);
    is_begun = 0;
}
