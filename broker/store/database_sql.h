/* database_sql.h - what database.c and database_schema.c share: the connection, the statements, the
 * schema, and what SQLite's errors mean.
 *
 * Threads: as database.h.
 */
#ifndef STORE_DATABASE_SQL_H
#define STORE_DATABASE_SQL_H

#include "broker/store/database.h"

#include <sqlite3.h>
#include <sys/types.h>

#define STATEMENT_MAP(X)                                                                           \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(FIND, "SELECT payload, bytes FROM heads WHERE tab = ? AND batch = ? AND key = ?")            \
    X(PUT_HEAD, "INSERT OR REPLACE INTO heads (tab, batch, key, head, bytes, sum, small, payload)" \
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)")                                                \
    X(PUT_PAYLOAD, "INSERT INTO payloads (id, data) VALUES (?, ?)")                                \
    X(DELETE_HEAD, "DELETE FROM heads WHERE tab = ? AND batch = ? AND key = ?")                    \
    X(DELETE_PAYLOAD, "DELETE FROM payloads WHERE id = ?")                                         \
    X(COUNT_BATCH, "SELECT count(*), coalesce(sum(bytes), 0) FROM heads"                           \
                   " WHERE tab = ? AND batch = ?")                                                 \
    X(FORGET_PAYLOADS, "INSERT INTO forgotten (id) SELECT payload FROM heads"                      \
                       " WHERE tab = ? AND batch = ? AND payload IS NOT NULL")                     \
    X(DELETE_BATCH_HEADS, "DELETE FROM heads WHERE tab = ? AND batch = ?")                         \
    X(SWEEP_PAYLOADS, "DELETE FROM payloads WHERE id IN"                                           \
                      " (SELECT id FROM forgotten ORDER BY id LIMIT ?)")                           \
    X(SWEEP_FORGOTTEN, "DELETE FROM forgotten WHERE id IN"                                         \
                       " (SELECT id FROM forgotten ORDER BY id LIMIT ?)")                          \
    X(GET_HEAD, "SELECT bytes, sum, small, payload FROM heads"                                     \
                " WHERE tab = ? AND batch = ? AND key = ?")                                        \
    X(GET_PAYLOAD, "SELECT data FROM payloads WHERE id = ?")                                       \
    X(FREE_PAGES, "PRAGMA freelist_count")                                                         \
    X(SCAN, "SELECT tab, batch, key, head, bytes FROM heads ORDER BY tab, batch, key")

enum statement {
#define X(name, sql) STATEMENT_##name,
    STATEMENT_MAP(X)
#undef X
        STATEMENT_COUNT
};

extern const char *const database_statements[STATEMENT_COUNT];

/* Which file of the system it is. */
struct database_place {
    dev_t device;
    ino_t inode;
};

struct database {
    char *file;
    uint64_t pages_bytes;
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int64_t next_payload; /* id */
    struct database_stats stats;
    struct database_place log; /* where it was made; 0: SQLite's files are none of this system */
    bool is_broken;
    bool is_moved; /* what stands under its names is not its own */
};

/* Turn a result code into a status and a line. */
enum tri_status database_fail(struct database *self, int rc, struct tri_error *error);

/* Run one that gives no row. A result code. */
int database_run(struct database *self, enum statement which);

/* Bind a row's key to the first three parameters. */
sqlite3_stmt *database_keyed(struct database *self, enum statement which, struct store_key key);

/* The one number that a query gives. */
enum tri_status database_number(struct database *self,
                                const char *sql,
                                int64_t *number,
                                struct tri_error *error);

/* Note where the log is. */
void database_note_place(struct database *self);

/* The file and its log still have their names: nobody has removed, renamed or replaced them. What
 * is written to others nobody will find. */
enum tri_status database_check_place(struct database *self, struct tri_error *error);

/* The file is open: lock it, see that it is a store, make or migrate its tables, set how it works.
 * Nothing is written before it is known to be one. */
enum tri_status database_set_up(struct database *self, struct tri_error *error);

#endif
