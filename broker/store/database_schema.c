/* database_schema.c - is it ours, how old is it, and how it is to be worked on. */
#include "broker/store/database_sql.h"

#include "common/assert.h"
#include "common/planted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TEXT(number) #number
#define NUMBER(number) TEXT(number)

const char *const database_statements[STATEMENT_COUNT] = {
#define X(name, sql) [STATEMENT_##name] = (sql),
    STATEMENT_MAP(X)
#undef X
};

/* Number i leads from version i to i + 1; they are appended, never changed. */
static const char *const migrations[DATABASE_VERSION] = {
    "CREATE TABLE heads (tab INTEGER NOT NULL, batch INTEGER NOT NULL, key INTEGER NOT NULL,"
    " head BLOB NOT NULL, bytes INTEGER, sum INTEGER, small BLOB, payload INTEGER,"
    " PRIMARY KEY (tab, batch, key)) WITHOUT ROWID;"
    "CREATE TABLE payloads (id INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    "CREATE TABLE forgotten (id INTEGER PRIMARY KEY);",
};

/* ---- errors --------------------------------------------------------------------------------- */

static enum tri_status fail_io(struct database *self, int rc, struct tri_error *error)
{
    int number = self->sqlite != NULL ? sqlite3_system_errno(self->sqlite) : 0;

    return tri_fail(error, TRI_STORE,
                    "store %s: the disk failed (%s, code %d%s%s): what was acknowledged is on it; "
                    "mend the disk, then start again",
                    self->file, sqlite3_errstr(rc), rc, number != 0 ? ", " : "",
                    number != 0 ? strerror(number) : "");
}

enum tri_status database_fail(struct database *self, int rc, struct tri_error *error)
{
    int number = rc == SQLITE_IOERR_WRITE ? sqlite3_system_errno(self->sqlite) : 0;

    if ((rc & 0xff) == SQLITE_FULL || number == EDQUOT || number == EFBIG
        || (rc == SQLITE_IOERR_FSYNC && PLANTED(SYNC_RETRIED)))
        return tri_fail(error, TRI_NO_SPACE, "store %s: the disk is full", self->file);
    self->is_broken = true;
    switch (rc & 0xff) {
    case SQLITE_IOERR:
        return fail_io(self, rc, error);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tri_fail(error, TRI_STORE,
                        "store %s is in use: stop the other broker, or name another file",
                        self->file);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our own SQL does not fit its schema */
        return tri_fail(error, TRI_STORE,
                        "store %s is damaged (%s): restore it with its log from a copy, or move "
                        "both away to begin anew",
                        self->file, sqlite3_errstr(rc));
    case SQLITE_READONLY:
        return tri_fail(error, TRI_STORE,
                        "store %s is read-only: make it and its directory writable", self->file);
    case SQLITE_CANTOPEN:
        return tri_fail(error, TRI_STORE, "store %s cannot be opened: %s", self->file,
                        self->sqlite != NULL && sqlite3_system_errno(self->sqlite) != 0
                            ? strerror(sqlite3_system_errno(self->sqlite))
                            : sqlite3_errstr(rc));
    case SQLITE_NOMEM:
        return tri_fail(error, TRI_STORE,
                        "store %s: there is no memory for what it says that it holds: it is "
                        "damaged, or memory is short",
                        self->file);
    default:
        return tri_fail(error, TRI_STORE, "store %s: %s (code %d)", self->file, sqlite3_errstr(rc),
                        rc);
    }
}

/* ---- queries -------------------------------------------------------------------------------- */

static enum tri_status execute(struct database *self, const char *sql, struct tri_error *error)
{
    int rc = sqlite3_exec(self->sqlite, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? TRI_OK : database_fail(self, rc, error);
}

enum tri_status database_number(struct database *self,
                                const char *sql,
                                int64_t *number,
                                struct tri_error *error)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(self->sqlite, sql, -1, &statement, NULL);

    *number = 0;
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TRI_OK : database_fail(self, rc, error);
}

/* ---- is it where it was --------------------------------------------------------------------- */

static struct database_place log_place(const struct database *self)
{
    const char *log = sqlite3_filename_wal(sqlite3_db_filename(self->sqlite, "main"));
    struct stat info;

    if (log == NULL || stat(log, &info) != 0)
        return (struct database_place){ 0 };
    return (struct database_place){ .device = info.st_dev, .inode = info.st_ino };
}

void database_note_place(struct database *self)
{
    self->log = log_place(self);
}

static bool log_has_moved(const struct database *self)
{
    struct database_place now;

    if (self->log.inode == 0)
        return false;
    now = log_place(self);
    return now.inode != self->log.inode || now.device != self->log.device;
}

enum tri_status database_check_place(struct database *self, struct tri_error *error)
{
    int has_moved = 0;

    sqlite3_file_control(self->sqlite, NULL, SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved == 0 && !log_has_moved(self))
        return TRI_OK;
    self->is_moved = true;
    return tri_fail(error, TRI_STORE,
                    "store %s: %s was removed, renamed or replaced while the broker used it: put "
                    "both back as they were, or restore them from a copy",
                    self->file, has_moved != 0 ? "the file" : "its log");
}

/* ---- is it ours ----------------------------------------------------------------------------- */

static enum tri_status check_owner(struct database *self, int64_t *version, struct tri_error *error)
{
    int64_t owner = 0;
    int64_t tables = 0;
    enum tri_status status =
        database_number(self, "SELECT count(*) FROM sqlite_schema", &tables, error);

    if (status == TRI_OK)
        status = database_number(self, "PRAGMA application_id", &owner, error);
    if (status == TRI_OK)
        status = database_number(self, "PRAGMA user_version", version, error);
    if (status != TRI_OK)
        return status;
    if (owner == 0 && *version == 0 && tables == 0)
        return TRI_OK;
    if (owner != DATABASE_APPLICATION_ID)
        return tri_fail(error, TRI_STORE,
                        "%s is an SQLite database of another program: name another file",
                        self->file);
    if (*version < 1 || *version > DATABASE_VERSION)
        return tri_fail(error, TRI_STORE,
                        "store %s has format %lld, this trireme-broker knows %d: use the version "
                        "that wrote it, or a newer one",
                        self->file, (long long)*version, DATABASE_VERSION);
    return TRI_OK;
}

/* The file itself can be written (database_check.c): its header says that nobody may. */
static enum tri_status check_writable(struct database *self, struct tri_error *error)
{
    return sqlite3_db_readonly(self->sqlite, "main") == 1
               ? database_fail(self, SQLITE_NOTADB, error)
               : TRI_OK;
}

/* ---- make and migrate ----------------------------------------------------------------------- */

static enum tri_status migrate_in(struct database *self, int64_t from, struct tri_error *error)
{
    enum tri_status status =
        execute(self, "PRAGMA application_id = " NUMBER(DATABASE_APPLICATION_ID), error);
    char sql[64];

    for (int64_t i = from; i < DATABASE_VERSION && status == TRI_OK; i++)
        status = execute(self, migrations[i], error);
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", DATABASE_VERSION);
    return status == TRI_OK ? execute(self, sql, error) : status;
}

/* All steps are one transaction: a store is of one version or of the other. */
static enum tri_status migrate(struct database *self, int64_t from, struct tri_error *error)
{
    enum tri_status status;

    if (from == DATABASE_VERSION)
        return TRI_OK;
    status = execute(self, "BEGIN EXCLUSIVE", error);
    if (status == TRI_OK)
        status = migrate_in(self, from, error);
    return status == TRI_OK ? execute(self, "COMMIT", error) : status;
}

/* ---- set up --------------------------------------------------------------------------------- */

/* Holds for a file that is only looked at, too. Exclusive before the log is first used: it needs no
 * shared memory then, and a second broker finds the file locked. */
static const char *const before[] = {
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
};

/* Page size and vacuum mode are fixed with the first table. */
static const char *const for_new[] = {
    ("PRAGMA page_size = " NUMBER(DATABASE_PAGE_BYTES)),
    "PRAGMA auto_vacuum = INCREMENTAL",
};

static const char *const after[] = {
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = OFF",
    "PRAGMA wal_autocheckpoint = 0",
    /* What one transaction made of the log's file, to forget a batch say, is given back when the
     * log begins anew: a few of the usual lengths stay. */
    "PRAGMA journal_size_limit = 33554432",
    /* In pages: what one transaction writes stays in memory up to here, and is written once. */
    "PRAGMA cache_spill = 512",
};

static enum tri_status execute_all(struct database *self,
                                   const char *const *sql,
                                   size_t count,
                                   struct tri_error *error)
{
    enum tri_status status = TRI_OK;

    for (size_t i = 0; i < count && status == TRI_OK; i++)
        status = execute(self, sql[i], error);
    return status;
}

static enum tri_status use_log(struct database *self, struct tri_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool is_used = false;
    int rc = sqlite3_prepare_v2(self->sqlite, "PRAGMA journal_mode = WAL", -1, &statement, NULL);

    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        is_used = strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK)
        return database_fail(self, rc, error);
    if (!is_used)
        return tri_fail(error, TRI_STORE, "store %s: this disk cannot keep a write-ahead log",
                        self->file);
    return TRI_OK;
}

/* In kibibytes, of which SQLite makes pages once: it must know their size by then. */
static enum tri_status bound_pages(struct database *self, struct tri_error *error)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%llu",
             (unsigned long long)(self->pages_bytes / 1024));
    return execute(self, sql, error);
}

/* A file that may not grow is full before anything is written, not when the log is folded. */
static enum tri_status bound_file(struct database *self, struct tri_error *error)
{
    struct rlimit limit;
    char sql[64];

    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return TRI_OK;
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %llu",
             (unsigned long long)(limit.rlim_cur / DATABASE_PAGE_BYTES));
    return execute(self, sql, error);
}

enum tri_status database_set_up(struct database *self, struct tri_error *error)
{
    int64_t version = 0;
    enum tri_status status;

    /* What is no store, or is damaged, stays as it is, its log too. */
    sqlite3_db_config(self->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(self->sqlite, 0);
    status = execute_all(self, before, TRI_COUNT_OF(before), error);
    if (status == TRI_OK)
        status = check_owner(self, &version, error);
    if (status == TRI_OK)
        status = check_writable(self, error);
    if (status == TRI_OK && version == 0)
        status = execute_all(self, for_new, TRI_COUNT_OF(for_new), error);
    if (status == TRI_OK)
        status = execute_all(self, after, TRI_COUNT_OF(after), error);
    if (status == TRI_OK && PLANTED(SYNC_LATER))
        status = execute(self, "PRAGMA synchronous = NORMAL", error);
    if (status == TRI_OK)
        status = migrate(self, version, error);
    if (status == TRI_OK)
        status = use_log(self, error);
    if (status == TRI_OK)
        status = bound_pages(self, error);
    if (status == TRI_OK)
        status = bound_file(self, error);
    return status;
}
