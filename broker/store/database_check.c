/* database_check.c - refuse a file that is no store before SQLite opens it: SQLite would roll back
 * journals and fold logs of a database that belongs to somebody else. */
#include "broker/store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 100 /* the first page begins with them: https://sqlite.org/fileformat.html */
#define PAGE_BYTES_AT 16
#define PAGE_COUNT_AT 28
#define AUTO_VACUUM_AT 52
#define USER_VERSION_AT 60
#define INCREMENTAL_AT 64
#define APPLICATION_ID_AT 68

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool can(const char *path, int what)
{
    return faccessat(AT_FDCWD, path, what, AT_EACCESS) == 0;
}

/* The log and the reserve are made beside the file. */
static enum tri_status check_directory(const char *file, struct tri_error *error)
{
    char directory[PATH_MAX] = ".";
    const char *slash = strrchr(file, '/');
    struct stat info;

    if (slash != NULL)
        snprintf(directory, sizeof(directory), "%.*s", slash == file ? 1 : (int)(slash - file),
                 file);
    if (stat(directory, &info) != 0)
        return tri_fail(error, TRI_STORE, "store %s: its directory cannot be used (%s): make it",
                        file, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return tri_fail(error, TRI_STORE, "store %s: %s is not a directory: name a file in one",
                        file, directory);
    if (!can(directory, R_OK | W_OK | X_OK))
        return tri_fail(error, TRI_STORE,
                        "store %s: cannot write in directory %s (%s): change its owner or mode",
                        file, directory, strerror(errno));
    return TRI_OK;
}

/* Without it there would never be room. It is made when it is absent. */
static enum tri_status check_reserve(const char *file, struct tri_error *error)
{
    char reserve[PATH_MAX];
    struct stat info;

    snprintf(reserve, sizeof(reserve), "%s-reserve", file);
    if (lstat(reserve, &info) != 0)
        return TRI_OK;
    if (!S_ISREG(info.st_mode))
        return tri_fail(error, TRI_STORE,
                        "store %s: its reserve %s is not a regular file: remove it", file, reserve);
    if (!can(reserve, R_OK | W_OK))
        return tri_fail(error, TRI_STORE,
                        "store %s: its reserve %s cannot be written (%s): change its owner or mode",
                        file, reserve, strerror(errno));
    return TRI_OK;
}

/* A log without its file: the file was lost or cut, and a new one would end the log too. */
static enum tri_status check_empty(const char *file, struct tri_error *error)
{
    char log[PATH_MAX];
    struct stat info;

    snprintf(log, sizeof(log), "%s-wal", file);
    if (stat(log, &info) == 0 && info.st_size > 0)
        return tri_fail(error, TRI_STORE,
                        "store %s is empty or gone, but its log %s is not: restore both from a "
                        "copy, or move the log away to begin anew",
                        file, log);
    return TRI_OK;
}

/* A power cut while the file was made: its pages came to the disk in any order, and its journal
 * says how to undo them. */
static bool was_being_made(const char *file, const uint8_t *header, ssize_t size)
{
    char journal[PATH_MAX];
    struct stat info;

    for (ssize_t i = 0; i < size; i++) {
        if (header[i] != 0)
            return false;
    }
    snprintf(journal, sizeof(journal), "%s-journal", file);
    return stat(journal, &info) == 0 && info.st_size > 0;
}

/* A broker was killed while it made the file: SQLite writes the first page by itself, with what
 * database_schema.c has asked for so far, before the transaction that makes it a store. */
static bool was_begun(const uint8_t *header)
{
    return big_endian(header + PAGE_BYTES_AT) >> 16 == DATABASE_PAGE_BYTES
           && big_endian(header + PAGE_COUNT_AT) == 1 && big_endian(header + AUTO_VACUUM_AT) == 1
           && big_endian(header + INCREMENTAL_AT) == 1 && big_endian(header + USER_VERSION_AT) == 0
           && big_endian(header + APPLICATION_ID_AT) == 0;
}

static enum tri_status check_header(const char *file, struct tri_error *error)
{
    uint8_t header[HEADER_BYTES] = { 0 };
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0)
        return tri_fail(error, TRI_STORE, "store %s cannot be opened: %s", file, strerror(errno));
    size = pread(fd, header, sizeof(header), 0);
    close(fd);
    if (size < 0)
        return tri_fail(error, TRI_STORE, "store %s cannot be read: %s", file, strerror(errno));
    if (was_being_made(file, header, size))
        return TRI_OK;
    if (size < HEADER_BYTES || memcmp(header, "SQLite format 3", 16) != 0)
        return tri_fail(error, TRI_STORE,
                        "%s is not a store of Trireme, or a damaged one: name another file, or "
                        "restore it from a copy",
                        file);
    if (big_endian(header + APPLICATION_ID_AT) != DATABASE_APPLICATION_ID && !was_begun(header))
        return tri_fail(error, TRI_STORE,
                        "%s is an SQLite database of another program: name another file", file);
    return TRI_OK;
}

/* The log stands beside the file that SQLite opens, and so must all else. */
enum tri_status database_resolve(const char *file, char path[PATH_MAX], struct tri_error *error)
{
    struct stat info;

    if (lstat(file, &info) == 0 && S_ISLNK(info.st_mode)) {
        if (realpath(file, path) == NULL)
            return tri_fail(error, TRI_STORE,
                            "store %s is a link that leads nowhere (%s): name the file itself",
                            file, strerror(errno));
        return TRI_OK;
    }
    if (snprintf(path, PATH_MAX, "%s", file) >= PATH_MAX)
        return tri_fail(error, TRI_STORE, "store \"%.64s\": not the name of a file", file);
    return TRI_OK;
}

enum tri_status database_check_file(const char *file, struct tri_error *error)
{
    struct stat info;
    enum tri_status status;

    if (strlen(file) + sizeof("-reserve") > PATH_MAX || file[0] == '\0')
        return tri_fail(error, TRI_STORE, "store \"%.64s\": not the name of a file", file);
    status = check_directory(file, error);
    if (status == TRI_OK)
        status = check_reserve(file, error);
    if (status != TRI_OK)
        return status;
    if (stat(file, &info) != 0)
        return errno == ENOENT ? check_empty(file, error)
                               : tri_fail(error, TRI_STORE, "store %s cannot be used: %s", file,
                                          strerror(errno));
    if (S_ISDIR(info.st_mode))
        return tri_fail(error, TRI_STORE, "store %s is a directory: name a file in it", file);
    if (!S_ISREG(info.st_mode))
        return tri_fail(error, TRI_STORE, "store %s is not a regular file: name another file",
                        file);
    if (!can(file, R_OK | W_OK))
        return tri_fail(error, TRI_STORE,
                        "store %s cannot be read and written (%s): change its owner or mode", file,
                        strerror(errno));
    return info.st_size == 0 ? check_empty(file, error) : check_header(file, error);
}
