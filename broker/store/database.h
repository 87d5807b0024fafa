/* database.h - the store's SQLite file: opened, checked, written, read, folded.
 *
 * Rows stand in two tables (docs/spec/3-storage.md): `heads`, dense, in key order, with payloads
 * that are small; and `payloads`, in order of arrival, for the others.
 *
 * Time:    everything blocks on the disk.
 * Threads: one at a time.
 * Errors:  TRI_NO_SPACE: nothing of the call has happened, it may be tried again. TRI_STORE: close
 *          it. The text is one line that says what to do.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include "broker/store/writes.h"

#include <limits.h>

/* "Trme" at offset 68 of the file. */
#define DATABASE_APPLICATION_ID 0x54726d65

/* The newest schema that this program knows: PRAGMA user_version. */
#define DATABASE_VERSION 2

#define DATABASE_PAGE_BYTES 16384

struct database;

struct database_stats {
    uint64_t rows; /* of those scanned and written since */
    uint64_t payload_bytes;
    uint64_t log_bytes;      /* of the write-ahead log, not yet folded into the file */
    uint64_t log_file_bytes; /* what the log occupies */
    uint64_t file_bytes;
    uint64_t free_bytes; /* of the file, to be used again; as of the last database_look */
    bool has_forgotten;  /* payloads that database_sweep deletes */
};

/* `pages_bytes`: of the file's pages, kept in memory (by SQLite, ten pages at least); more only
 * while a transaction needs them. */
enum tri_status database_open(const char *file,
                              const char *vfs,
                              uint64_t pages_bytes,
                              struct database **self,
                              struct tri_error *error);

/* Folds the log into the file unless a call has failed with TRI_STORE. */
void database_close(struct database **self);

enum tri_status database_scan(struct database *self,
                              store_scan_fn *visit,
                              void *context,
                              struct tri_error *error);

/* All of it or nothing, on the disk when it returns. The list stays as it is. TRI_STORE, too, when
 * the file or its log is not where it was any more. Payloads of a batch that is removed are only
 * noted; `sweeps`: as many that were noted before, twice as many as there are writes and 64 at
 * most, are deleted along with this. */
enum tri_status database_write(struct database *self,
                               struct writes *writes,
                               bool sweeps,
                               struct tri_error *error);

/* Delete 64 payloads of batches that were removed, as a transaction of its own. Errors: as
 * database_write. */
enum tri_status database_sweep(struct database *self, struct tri_error *error);

/* The payload of a row in `*payload` (initialised on TRI_OK). TRI_NOTFOUND; TRI_INVALID: what the
 * file holds for it is damaged, other rows may be well; TRI_STORE. */
enum tri_status database_load(struct database *self,
                              struct store_key key,
                              zmq_msg_t *payload,
                              struct tri_error *error);

/* Fold the log into the file. The log begins anew with the next write, in the space it has. */
enum tri_status database_fold(struct database *self, struct tri_error *error);

/* Give at most `bytes` of free space at the end of the file back, once it is folded. */
enum tri_status database_shrink(struct database *self, uint64_t bytes, struct tri_error *error);

/* Look at what the file occupies. */
enum tri_status database_look(struct database *self, struct tri_error *error);

struct database_stats database_stats(const struct database *self);

/* ---- database_check.c ----------------------------------------------------------------------- */

/* The name of the file itself when `file` is a link to it. */
enum tri_status database_resolve(const char *file, char path[PATH_MAX], struct tri_error *error);

/* What the file system alone can tell about `file`, before SQLite may touch it: TRI_OK, or why it
 * cannot be a store. */
enum tri_status database_check_file(const char *file, struct tri_error *error);

#endif
