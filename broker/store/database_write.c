/* database_write.c - one transaction. */
#include "broker/store/database_sql.h"
#include "common/assert.h"
#include "common/net/parts.h"
#include "common/planted.h"

#include <xxhash.h>

/* A payload of this size stands in `heads`: one page is written for it instead of two. */
#define SMALL_BYTES_MAX 256

/* Of payloads that were forgotten, in one transaction: a write that comes waits for no more. */
#define SWEEP_ROWS_MAX 64

/* ---- one row --------------------------------------------------------------------------------- */

/* What stands under a key. */
struct found {
    bool is_there;
    int64_t payload; /* 0: none of its own */
    uint64_t payload_bytes;
};

static int find(struct database *self, struct store_key key, struct found *found)
{
    sqlite3_stmt *statement = database_keyed(self, STATEMENT_FIND, key);

    *found = (struct found){ .is_there = sqlite3_step(statement) == SQLITE_ROW };
    if (found->is_there) {
        found->payload = sqlite3_column_int64(statement, 0);
        found->payload_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return sqlite3_reset(statement);
}

static int delete_payload(struct database *self, const struct found *found)
{
    if (found->payload == 0)
        return SQLITE_OK;
    sqlite3_bind_int64(self->statements[STATEMENT_DELETE_PAYLOAD], 1, found->payload);
    return database_run(self, STATEMENT_DELETE_PAYLOAD);
}

static int insert_payload(struct database *self, struct tri_bytes payload)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_PUT_PAYLOAD];
    int rc;

    sqlite3_bind_int64(statement, 1, self->next_payload);
    sqlite3_bind_blob64(statement, 2, payload.data, payload.size, SQLITE_STATIC);
    rc = database_run(self, STATEMENT_PUT_PAYLOAD);
    sqlite3_bind_null(statement, 2);
    return rc;
}

/* The columns of a payload: bytes, sum, small, payload. */
static int bind_payload(struct database *self, sqlite3_stmt *statement, struct write *write)
{
    struct tri_bytes payload = tri_msg_bytes(&write->payload);
    int rc;

    for (int column = 5; column <= 8; column++)
        sqlite3_bind_null(statement, column);
    if (!write->has_payload)
        return SQLITE_OK;
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)payload.size);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)XXH3_64bits(payload.data, payload.size));
    if (payload.size <= SMALL_BYTES_MAX)
        return payload.size == 0
                   ? SQLITE_OK
                   : sqlite3_bind_blob64(statement, 7, payload.data, payload.size, SQLITE_STATIC);
    rc = insert_payload(self, payload);
    sqlite3_bind_int64(statement, 8, self->next_payload++);
    return rc;
}

static int put(struct database *self, struct write *write)
{
    sqlite3_stmt *statement = database_keyed(self, STATEMENT_PUT_HEAD, write->key);
    struct found found;
    int rc = find(self, write->key, &found);

    if (rc == SQLITE_OK)
        rc = delete_payload(self, &found);
    if (rc == SQLITE_OK)
        rc = bind_payload(self, statement, write);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_blob64(statement, 4, write->head, write->head_bytes, SQLITE_STATIC);
    rc = database_run(self, STATEMENT_PUT_HEAD);
    sqlite3_clear_bindings(statement);
    self->stats.rows += !found.is_there;
    self->stats.payload_bytes += zmq_msg_size(&write->payload) - found.payload_bytes;
    return rc;
}

static int remove_one(struct database *self, struct store_key key)
{
    struct found found;
    int rc = find(self, key, &found);

    if (rc != SQLITE_OK || !found.is_there)
        return rc;
    rc = delete_payload(self, &found);
    if (rc != SQLITE_OK)
        return rc;
    database_keyed(self, STATEMENT_DELETE_HEAD, key);
    self->stats.rows--;
    self->stats.payload_bytes -= found.payload_bytes;
    return database_run(self, STATEMENT_DELETE_HEAD);
}

static sqlite3_stmt *of_batch(struct database *self,
                              enum statement which,
                              enum store_table table,
                              uint64_t batch)
{
    sqlite3_stmt *statement = self->statements[which];

    sqlite3_bind_int(statement, 1, (int)table);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)batch);
    return statement;
}

static int remove_table(struct database *self, enum store_table table, uint64_t batch)
{
    sqlite3_stmt *count = of_batch(self, STATEMENT_COUNT_BATCH, table, batch);
    uint64_t rows = 0;
    int rc;

    if (sqlite3_step(count) == SQLITE_ROW) {
        rows = (uint64_t)sqlite3_column_int64(count, 0);
        self->stats.rows -= rows;
        self->stats.payload_bytes -= (uint64_t)sqlite3_column_int64(count, 1);
    }
    rc = sqlite3_reset(count);
    if (rc != SQLITE_OK || rows == 0)
        return rc;
    of_batch(self, STATEMENT_FORGET_PAYLOADS, table, batch);
    rc = database_run(self, STATEMENT_FORGET_PAYLOADS);
    if (rc != SQLITE_OK)
        return rc;
    self->stats.has_forgotten = true;
    of_batch(self, STATEMENT_DELETE_BATCH_HEADS, table, batch);
    return database_run(self, STATEMENT_DELETE_BATCH_HEADS);
}

static int remove_batch(struct database *self, uint64_t batch)
{
    int rc = SQLITE_OK;

    for (enum store_table table = STORE_META;
         table <= PLANTED_VALUE(REMAINS, STORE_ROW, STORE_TASK) && rc == SQLITE_OK; table++)
        rc = remove_table(self, table, batch);
    return rc;
}

static int write_one(struct database *self, struct write *write)
{
    switch (write->kind) {
    case WRITE_PUT:
        return put(self, write);
    case WRITE_REMOVE:
        return remove_one(self, write->key);
    case WRITE_REMOVE_BATCH:
        return remove_batch(self, write->key.batch);
    }
    tri_assert(false);
    return SQLITE_MISUSE;
}

/* ---- what was forgotten --------------------------------------------------------------------- */

static int sweep(struct database *self, uint64_t rows)
{
    static const enum statement both[] = { STATEMENT_SWEEP_PAYLOADS, STATEMENT_SWEEP_FORGOTTEN };
    int rc = SQLITE_OK;

    for (size_t i = 0; i < TRI_COUNT_OF(both) && rc == SQLITE_OK; i++) {
        sqlite3_bind_int64(self->statements[both[i]], 1, (sqlite3_int64)rows);
        rc = database_run(self, both[i]);
    }
    self->stats.has_forgotten = rc != SQLITE_OK || sqlite3_changes64(self->sqlite) == (int64_t)rows;
    return rc;
}

/* ---- transactions --------------------------------------------------------------------------- */

/* NULL: only sweep. More goes than comes: the file does not grow while it has what may go. */
static int write_all(struct database *self, struct writes *writes, bool sweeps)
{
    uint64_t rows = writes != NULL ? 2 * writes->list.count : SWEEP_ROWS_MAX;
    bool has_forgotten = self->stats.has_forgotten;
    int rc = database_run(self, STATEMENT_BEGIN);

    if (writes != NULL)
        tri_dlist_foreach(&writes->list, node)
        {
            if (rc != SQLITE_OK)
                return rc;
            rc = write_one(self, tri_container_of(node, struct write, node));
        }
    if (rc == SQLITE_OK && sweeps && has_forgotten && rows != 0)
        rc = sweep(self, rows < SWEEP_ROWS_MAX ? rows : SWEEP_ROWS_MAX);
    return rc == SQLITE_OK ? database_run(self, STATEMENT_COMMIT) : rc;
}

static void roll_back(struct database *self, const struct database_stats *before)
{
    if (!sqlite3_get_autocommit(self->sqlite))
        database_run(self, STATEMENT_ROLLBACK);
    self->stats.rows = before->rows;
    self->stats.payload_bytes = before->payload_bytes;
    self->stats.has_forgotten = before->has_forgotten;
}

static enum tri_status transact(struct database *self,
                                struct writes *writes,
                                bool sweeps,
                                struct tri_error *error)
{
    struct database_stats before = self->stats;
    int rc = write_all(self, writes, sweeps);
    enum tri_status status;

    if (rc == SQLITE_OK)
        return database_check_place(self, error);
    if ((rc & 0xff) == SQLITE_CORRUPT && sweeps && before.has_forgotten) {
        /* Damage of what nobody wants any more is no reason to stop, now and after each start. */
        before.has_forgotten = false;
        roll_back(self, &before);
        return writes == NULL ? TRI_OK : transact(self, writes, false, error);
    }
    status = database_fail(self, rc, error);
    roll_back(self, &before);
    if (status == TRI_NO_SPACE && !sqlite3_get_autocommit(self->sqlite))
        status = database_fail(self, SQLITE_ABORT_ROLLBACK, error);
    return status;
}

enum tri_status database_write(struct database *self,
                               struct writes *writes,
                               bool sweeps,
                               struct tri_error *error)
{
    return transact(self, writes, sweeps, error);
}

enum tri_status database_sweep(struct database *self, struct tri_error *error)
{
    return transact(self, NULL, true, error);
}
