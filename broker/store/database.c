#include "broker/store/database.h"

#include "broker/store/database_sql.h"
#include "common/assert.h"
#include "common/net/parts.h"
#include "common/planted.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* What SQLITE_FCNTL_LOCKSTATE says of a file that nobody else can use: EXCLUSIVE_LOCK of os.h. */
#define LOCK_EXCLUSIVE 4

/* ---- open ----------------------------------------------------------------------------------- */

static int on_log_grown(void *context, sqlite3 *sqlite, const char *name, int pages)
{
    struct database *self = context;

    (void)sqlite;
    (void)name;
    self->stats.log_bytes = (uint64_t)pages * DATABASE_PAGE_BYTES;
    return SQLITE_OK;
}

static enum tri_status prepare(struct database *self, struct tri_error *error)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int rc = sqlite3_prepare_v3(self->sqlite, database_statements[i], -1,
                                    SQLITE_PREPARE_PERSISTENT, &self->statements[i], NULL);

        if (rc != SQLITE_OK)
            return database_fail(self, rc, error);
    }
    return TRI_OK;
}

static enum tri_status find_next_payload(struct database *self, struct tri_error *error)
{
    int64_t newest;
    enum tri_status status =
        database_number(self, "SELECT coalesce(max(id), 0) FROM payloads", &newest, error);

    self->next_payload = newest + 1;
    return status;
}

static enum tri_status find_forgotten(struct database *self, struct tri_error *error)
{
    int64_t some;
    enum tri_status status =
        database_number(self, "SELECT EXISTS (SELECT 1 FROM forgotten)", &some, error);

    self->stats.has_forgotten = some != 0;
    return status;
}

static enum tri_status open_it(struct database *self, const char *vfs, struct tri_error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
                | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(self->file, &self->sqlite, flags, vfs);
    enum tri_status status;

    if (rc != SQLITE_OK)
        return database_fail(self, rc, error);
    sqlite3_extended_result_codes(self->sqlite, 1);
    status = database_set_up(self, error);
    if (status != TRI_OK)
        return status;
    sqlite3_wal_hook(self->sqlite, on_log_grown, self);
    status = prepare(self, error);
    if (status == TRI_OK)
        status = find_next_payload(self, error);
    if (status == TRI_OK)
        status = find_forgotten(self, error);
    if (status == TRI_OK)
        status = database_fold(self, error);
    if (status == TRI_OK || status == TRI_NO_SPACE)
        status = database_look(self, error);
    database_note_place(self);
    return status;
}

/* A log that SQLite has made only to look at a file that is refused. While the file is locked no
 * other broker can have begun to use it. */
static void remove_empty_log(struct database *self)
{
    int lock = 0;
    char log[PATH_MAX];
    struct stat info;

    if (self->sqlite == NULL
        || sqlite3_file_control(self->sqlite, NULL, SQLITE_FCNTL_LOCKSTATE, &lock) != SQLITE_OK
        || lock != LOCK_EXCLUSIVE)
        return;
    snprintf(log, sizeof(log), "%s-wal", self->file);
    if (stat(log, &info) == 0 && info.st_size == 0)
        unlink(log);
}

/* Values of tasks are nobody else's business, whatever the umask. The log and the journal get the
 * mode of the file. What goes wrong here SQLite finds again and says. */
static void make_private(const char *file)
{
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
}

enum tri_status database_open(const char *file,
                              const char *vfs,
                              uint64_t pages_bytes,
                              struct database **self,
                              struct tri_error *error)
{
    enum tri_status status = vfs == NULL ? database_check_file(file, error) : TRI_OK;

    *self = NULL;
    if (status != TRI_OK)
        return status;
    *self = tri_alloc(1, sizeof(**self));
    (*self)->pages_bytes = pages_bytes;
    (*self)->file = strdup(file);
    if ((*self)->file == NULL)
        tri_out_of_memory();
    if (vfs == NULL)
        make_private(file);
    status = open_it(*self, vfs, error);
    if (status != TRI_OK) {
        (*self)->is_broken = true;
        remove_empty_log(*self);
        database_close(self);
        return TRI_STORE;
    }
    return TRI_OK;
}

void database_close(struct database **database)
{
    struct database *self = *database;

    if (self == NULL)
        return;
    if (!self->is_broken && database_fold(self, NULL) == TRI_OK && !self->is_moved)
        sqlite3_db_config(self->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(self->statements[i]);
    sqlite3_close(self->sqlite);
    free(self->file);
    free(self);
    *database = NULL;
}

/* ---- statements ----------------------------------------------------------------------------- */

int database_run(struct database *self, enum statement which)
{
    sqlite3_step(self->statements[which]);
    return sqlite3_reset(self->statements[which]);
}

sqlite3_stmt *database_keyed(struct database *self, enum statement which, struct store_key key)
{
    sqlite3_stmt *statement = self->statements[which];

    sqlite3_bind_int(statement, 1, (int)key.table);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)key.batch);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)key.key);
    return statement;
}

/* ---- read ----------------------------------------------------------------------------------- */

static enum tri_status damaged(struct store_key key, struct tri_error *error)
{
    return tri_fail(error, TRI_INVALID, "the payload of table %d batch %llu key %llu is damaged",
                    (int)key.table, (unsigned long long)key.batch, (unsigned long long)key.key);
}

/* The blob in `column`, when it is what was written. */
static enum tri_status take_blob(sqlite3_stmt *statement,
                                 int column,
                                 struct store_key key,
                                 uint64_t bytes,
                                 uint64_t sum,
                                 zmq_msg_t *payload,
                                 struct tri_error *error)
{
    struct tri_bytes blob = { .data = sqlite3_column_blob(statement, column) };

    blob.size = (size_t)sqlite3_column_bytes(statement, column);
    if (blob.size != bytes || (XXH3_64bits(blob.data, blob.size) != sum && !PLANTED(SUM_IGNORED)))
        return damaged(key, error);
    if (tri_msg_copy(payload, blob) != TRI_OK)
        tri_out_of_memory();
    return TRI_OK;
}

static enum tri_status load_large(struct database *self,
                                  int64_t id,
                                  struct store_key key,
                                  uint64_t bytes,
                                  uint64_t sum,
                                  zmq_msg_t *payload,
                                  struct tri_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_GET_PAYLOAD];
    enum tri_status status = TRI_OK;
    bool is_there;
    int rc;

    sqlite3_bind_int64(statement, 1, id);
    is_there = sqlite3_step(statement) == SQLITE_ROW;
    if (is_there)
        status = take_blob(statement, 0, key, bytes, sum, payload, error);
    rc = sqlite3_reset(statement);
    if (rc == SQLITE_OK)
        return is_there ? status : damaged(key, error);
    if (is_there && status == TRI_OK)
        zmq_msg_close(payload);
    return (rc & 0xff) == SQLITE_CORRUPT ? damaged(key, error) : database_fail(self, rc, error);
}

enum tri_status database_load(struct database *self,
                              struct store_key key,
                              zmq_msg_t *payload,
                              struct tri_error *error)
{
    sqlite3_stmt *statement = database_keyed(self, STATEMENT_GET_HEAD, key);
    enum tri_status status = TRI_NOTFOUND;
    bool is_there = sqlite3_step(statement) == SQLITE_ROW;
    int64_t id = 0;
    uint64_t bytes = 0;
    uint64_t sum = 0;
    int rc;

    if (is_there && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        bytes = (uint64_t)sqlite3_column_int64(statement, 0);
        sum = (uint64_t)sqlite3_column_int64(statement, 1);
        id = sqlite3_column_int64(statement, 3);
        status = id == 0 ? take_blob(statement, 2, key, bytes, sum, payload, error) : TRI_OK;
    }
    rc = sqlite3_reset(statement);
    if (rc != SQLITE_OK)
        return database_fail(self, rc, error);
    if (status == TRI_OK && id != 0)
        return load_large(self, id, key, bytes, sum, payload, error);
    return status;
}

static enum tri_status visit_row(struct database *self,
                                 sqlite3_stmt *statement,
                                 store_scan_fn *visit,
                                 void *context,
                                 struct tri_error *error)
{
    struct store_key key = {
        .table = (enum store_table)sqlite3_column_int(statement, 0),
        .batch = (uint64_t)sqlite3_column_int64(statement, 1),
        .key = (uint64_t)sqlite3_column_int64(statement, 2),
    };
    struct tri_bytes head = { .data = sqlite3_column_blob(statement, 3) };
    uint64_t payload_bytes = (uint64_t)sqlite3_column_int64(statement, 4);

    head.size = (size_t)sqlite3_column_bytes(statement, 3);
    if (key.table > STORE_TASK || key.batch >= STORE_KEY_END || key.key >= STORE_KEY_END)
        return database_fail(self, SQLITE_CORRUPT, error);
    self->stats.rows++;
    self->stats.payload_bytes += payload_bytes;
    return visit(context, key, head, payload_bytes, error);
}

enum tri_status database_scan(struct database *self,
                              store_scan_fn *visit,
                              void *context,
                              struct tri_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_SCAN];
    enum tri_status status = TRI_OK;
    int rc;

    self->stats.rows = 0;
    self->stats.payload_bytes = 0;
    while (status == TRI_OK && sqlite3_step(statement) == SQLITE_ROW)
        status = visit_row(self, statement, visit, context, error);
    rc = sqlite3_reset(statement);
    return status == TRI_OK && rc != SQLITE_OK ? database_fail(self, rc, error) : status;
}

/* ---- upkeep --------------------------------------------------------------------------------- */

enum tri_status database_fold(struct database *self, struct tri_error *error)
{
    int rc = sqlite3_wal_checkpoint_v2(self->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (rc != SQLITE_OK)
        return database_fail(self, rc, error);
    self->stats.log_bytes = 0;
    return TRI_OK;
}

enum tri_status database_shrink(struct database *self, uint64_t bytes, struct tri_error *error)
{
    char sql[64];
    int rc;

    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%llu)",
             (unsigned long long)(bytes / DATABASE_PAGE_BYTES));
    rc = sqlite3_exec(self->sqlite, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TRI_OK : database_fail(self, rc, error);
}

static uint64_t size_of(struct database *self, int which)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;

    sqlite3_file_control(self->sqlite, NULL, which, &file);
    if (file == NULL || file->pMethods == NULL || file->pMethods->xFileSize(file, &size) != 0)
        return 0;
    return (uint64_t)size;
}

enum tri_status database_look(struct database *self, struct tri_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_FREE_PAGES];
    int rc;

    if (sqlite3_step(statement) == SQLITE_ROW)
        self->stats.free_bytes = (uint64_t)sqlite3_column_int64(statement, 0) * DATABASE_PAGE_BYTES;
    rc = sqlite3_reset(statement);
    return rc == SQLITE_OK ? TRI_OK : database_fail(self, rc, error);
}

struct database_stats database_stats(const struct database *self)
{
    struct database_stats stats = self->stats;

    stats.file_bytes = size_of((struct database *)(uintptr_t)self, SQLITE_FCNTL_FILE_POINTER);
    stats.log_file_bytes =
        size_of((struct database *)(uintptr_t)self, SQLITE_FCNTL_JOURNAL_POINTER);
    return stats;
}
