#include "tests/contract/disk.h"

#include "common/assert.h"
#include "common/prng.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 8
#define NAME_SIZE 64
#define SECTOR 512

struct image {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct file {
    char name[NAME_SIZE];
    bool exists;
    struct image now;
    struct image synced;
    size_t written_begin; /* since both were the same */
    size_t written_end;
    bool is_lost; /* a sync has failed: the next ones mean nothing */
};

/* What SQLite holds. */
struct handle {
    sqlite3_file base;
    struct file *file;
};

static struct {
    pthread_mutex_t lock;
    struct file files[FILES_MAX];
    enum disk_operation operation;
    enum disk_fault fault;
    uint64_t nth; /* 0: none */
    uint64_t count;
    uint64_t seen;
    uint64_t failed;
    bool is_dead;
    uint64_t chance;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- images --------------------------------------------------------------------------------- */

static void image_resize(struct image *self, size_t size)
{
    if (size > self->capacity) {
        self->capacity = 2 * size;
        self->data = tri_realloc(self->data, self->capacity, 1);
    }
    if (size > self->size)
        memset(self->data + self->size, 0, size - self->size);
    self->size = size;
}

/* Make both the same; they differ between `begin` and `end` at most. */
static void image_copy(struct image *to, const struct image *from, size_t begin, size_t end)
{
    if (end > from->size)
        end = from->size;
    image_resize(to, from->size);
    if (begin < end)
        memcpy(to->data + begin, from->data + begin, end - begin);
}

static void image_free(struct image *self)
{
    free(self->data);
    *self = (struct image){ 0 };
}

/* ---- faults --------------------------------------------------------------------------------- */

static int error_of(enum disk_operation operation)
{
    static const int errors[] = { SQLITE_IOERR_READ, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC,
                                  SQLITE_IOERR_TRUNCATE };

    return errors[operation];
}

/* SQLITE_OK: the operation is to be done. The lock is held. */
static int meet_fault(enum disk_operation operation)
{
    if (disk.is_dead)
        return error_of(operation);
    if (disk.nth == 0 || operation != disk.operation || ++disk.seen < disk.nth
        || disk.seen - disk.nth >= disk.count)
        return SQLITE_OK;
    disk.failed++;
    disk.is_dead = disk.fault == DISK_DIES;
    return disk.fault == DISK_FULL ? SQLITE_FULL : error_of(operation);
}

void disk_fail(enum disk_operation operation, enum disk_fault fault, uint64_t nth, uint64_t count)
{
    pthread_mutex_lock(&disk.lock);
    disk.operation = operation;
    disk.fault = fault;
    disk.nth = nth;
    disk.count = count;
    disk.seen = 0;
    disk.failed = 0;
    pthread_mutex_unlock(&disk.lock);
}

uint64_t disk_failed(void)
{
    uint64_t failed;

    pthread_mutex_lock(&disk.lock);
    failed = disk.failed;
    pthread_mutex_unlock(&disk.lock);
    return failed;
}

void disk_format(void)
{
    disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    disk.is_dead = false;
    disk.chance = 0;
    sqlite3_randomness(0, NULL);
    for (size_t i = 0; i < FILES_MAX; i++) {
        image_free(&disk.files[i].now);
        image_free(&disk.files[i].synced);
        disk.files[i] = (struct file){ 0 };
    }
}

/* What is there and what was synced may differ between these from now on. */
static void note_written(struct file *file, size_t begin, size_t end)
{
    if (file->written_begin == file->written_end)
        file->written_begin = begin;
    if (begin < file->written_begin)
        file->written_begin = begin;
    if (end > file->written_end)
        file->written_end = end;
}

/* True: it gets there. */
static bool is_kept(const struct disk_cut *cut, uint64_t *state)
{
    *state = tri_mix64(*state + 1);
    return *state % 100 < cut->kept_percent;
}

static bool is_changed(const struct file *file, size_t at, size_t size)
{
    return file->synced.size < at + size
           || memcmp(file->now.data + at, file->synced.data + at, size) != 0;
}

static void lose_unsynced(struct file *file,
                          const struct disk_cut *cut,
                          uint64_t *state,
                          struct disk_loss *loss)
{
    size_t end = file->written_end < file->now.size ? file->written_end : file->now.size;
    size_t at = file->written_begin - file->written_begin % cut->block_bytes;
    struct image left = { 0 };

    image_copy(&left, &file->synced, 0, SIZE_MAX);
    for (; at < end; at += cut->block_bytes) {
        size_t rest = file->now.size - at;
        size_t size = rest < cut->block_bytes ? rest : cut->block_bytes;

        if (!is_changed(file, at, size))
            continue;
        if (!is_kept(cut, state)) {
            loss->lost++;
            continue;
        }
        loss->kept++;
        if (left.size < at + size)
            image_resize(&left, at + size);
        tri_assert(left.data != NULL);
        memcpy(left.data + at, file->now.data + at, size);
    }
    if (file->now.size < file->synced.size && is_kept(cut, state))
        image_resize(&left, file->now.size);
    image_copy(&file->now, &left, 0, SIZE_MAX);
    image_copy(&file->synced, &left, 0, SIZE_MAX);
    image_free(&left);
    file->written_begin = file->written_end = 0;
    file->is_lost = false;
}

void disk_die(void)
{
    disk.is_dead = true;
}

void disk_restart(void)
{
    disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    disk.is_dead = false;
}

struct disk_loss disk_cut(const struct disk_cut *cut)
{
    struct disk_loss loss = { 0 };
    uint64_t state = cut->seed;

    disk_restart();
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (disk.files[i].exists)
            lose_unsynced(&disk.files[i], cut, &state, &loss);
    }
    return loss;
}

void disk_power_cut(uint64_t seed)
{
    disk_cut(&(struct disk_cut){ seed, SECTOR, 50 });
}

/* ---- a file --------------------------------------------------------------------------------- */

static struct file *file_of(sqlite3_file *handle)
{
    return ((struct handle *)handle)->file;
}

static int disk_close(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_OK;
}

static int disk_read(sqlite3_file *handle, void *into, int amount, sqlite3_int64 at)
{
    struct image *image = &file_of(handle)->now;
    size_t offset = (size_t)at;
    size_t size = (size_t)amount;
    size_t there = 0;
    int rc;

    pthread_mutex_lock(&disk.lock);
    rc = meet_fault(DISK_READ);
    if (rc == SQLITE_OK) {
        if (offset < image->size)
            there = image->size - offset < size ? image->size - offset : size;
        if (there > 0)
            memcpy(into, image->data + offset, there);
        memset((uint8_t *)into + there, 0, size - there);
        rc = there == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int disk_write(sqlite3_file *handle, const void *from, int amount, sqlite3_int64 at)
{
    struct file *file = file_of(handle);
    struct image *image = &file->now;
    size_t end = (size_t)at + (size_t)amount;
    int rc;

    pthread_mutex_lock(&disk.lock);
    rc = meet_fault(DISK_WRITE);
    if (rc == SQLITE_OK) {
        note_written(file, image->size < (size_t)at ? image->size : (size_t)at, end);
        if (image->size < end)
            image_resize(image, end);
        memcpy(image->data + at, from, (size_t)amount);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int disk_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct file *file = file_of(handle);
    int rc;

    pthread_mutex_lock(&disk.lock);
    rc = meet_fault(DISK_TRUNCATE);
    if (rc == SQLITE_OK) {
        note_written(file, file->now.size < (size_t)size ? file->now.size : (size_t)size,
                     file->now.size < (size_t)size ? (size_t)size : file->now.size);
        image_resize(&file->now, (size_t)size);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int disk_sync(sqlite3_file *handle, int flags)
{
    struct file *file = file_of(handle);
    int rc;

    (void)flags;
    pthread_mutex_lock(&disk.lock);
    rc = meet_fault(DISK_SYNC);
    if (rc != SQLITE_OK) {
        file->is_lost = file->is_lost || !disk.is_dead;
    } else if (!file->is_lost) {
        image_copy(&file->synced, &file->now, file->written_begin, file->written_end);
        file->written_begin = file->written_end = 0;
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int disk_size(sqlite3_file *handle, sqlite3_int64 *size)
{
    pthread_mutex_lock(&disk.lock);
    *size = (sqlite3_int64)file_of(handle)->now.size;
    pthread_mutex_unlock(&disk.lock);
    return SQLITE_OK;
}

static int disk_lock(sqlite3_file *handle, int level)
{
    (void)handle;
    (void)level;
    return SQLITE_OK;
}

static int disk_is_reserved(sqlite3_file *handle, int *is_reserved)
{
    (void)handle;
    *is_reserved = 0;
    return SQLITE_OK;
}

static int disk_control(sqlite3_file *handle, int operation, void *argument)
{
    (void)handle;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *handle)
{
    (void)handle;
    return SECTOR;
}

static int disk_characteristics(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_lock,
    .xCheckReservedLock = disk_is_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_characteristics,
};

/* ---- the file system ------------------------------------------------------------------------ */

static struct file *find_file(const char *name, bool make)
{
    struct file *unused = NULL;

    for (size_t i = 0; i < FILES_MAX; i++) {
        struct file *file = &disk.files[i];

        if (file->name[0] != '\0' && strcmp(file->name, name) == 0) {
            file->exists = file->exists || make;
            return file->exists ? file : NULL;
        }
        if (unused == NULL && file->name[0] == '\0')
            unused = file;
    }
    if (!make)
        return NULL;
    tri_assert(unused != NULL && strlen(name) < NAME_SIZE);
    strcpy(unused->name, name);
    unused->exists = true;
    return unused;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out)
{
    struct handle *handle = (struct handle *)base;

    (void)vfs;
    tri_assert(name != NULL);
    pthread_mutex_lock(&disk.lock);
    handle->file = disk.is_dead ? NULL : find_file(name, (flags & SQLITE_OPEN_CREATE) != 0);
    pthread_mutex_unlock(&disk.lock);
    base->pMethods = handle->file != NULL ? &methods : NULL;
    if (out != NULL)
        *out = flags;
    return handle->file != NULL ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct file *file;
    int rc = SQLITE_OK;

    (void)vfs;
    (void)sync;
    pthread_mutex_lock(&disk.lock);
    file = find_file(name, false);
    if (disk.is_dead) {
        rc = SQLITE_IOERR_DELETE;
    } else if (file != NULL) {
        file->exists = false;
        file->is_lost = false;
        file->written_begin = file->written_end = 0;
        image_free(&file->now);
        image_free(&file->synced);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    (void)vfs;
    (void)flags;
    pthread_mutex_lock(&disk.lock);
    *result = find_file(name, false) != NULL;
    pthread_mutex_unlock(&disk.lock);
    return SQLITE_OK;
}

static int disk_full_path(sqlite3_vfs *vfs, const char *name, int size, char *path)
{
    (void)vfs;
    sqlite3_snprintf(size, path, "%s", name);
    return SQLITE_OK;
}

/* Where the only one of them begins. */
static uint8_t *find_bytes(const struct image *image, const uint8_t *bytes, size_t size)
{
    uint8_t *first = image->size != 0 ? memmem(image->data, image->size, bytes, size) : NULL;
    size_t behind = first != NULL ? image->size - (size_t)(first + 1 - image->data) : 0;

    return first != NULL && memmem(first + 1, behind, bytes, size) == NULL ? first : NULL;
}

bool disk_rot(const char *name, const uint8_t *bytes, size_t size)
{
    struct file *file = find_file(name, false);
    uint8_t *now = file != NULL ? find_bytes(&file->now, bytes, size) : NULL;
    uint8_t *synced = file != NULL ? find_bytes(&file->synced, bytes, size) : NULL;

    if (now == NULL || synced == NULL)
        return false;
    now[size / 2] ^= 1;
    synced[size / 2] ^= 1;
    return true;
}

static int disk_randomness(sqlite3_vfs *vfs, int size, char *into)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        into[i] = (char)tri_mix64(++disk.chance);
    return size;
}

void disk_register(void)
{
    static sqlite3_vfs vfs;

    vfs = *sqlite3_vfs_find(NULL);
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(struct handle);
    vfs.pNext = NULL;
    vfs.zName = "disk";
    vfs.xOpen = disk_open;
    vfs.xDelete = disk_delete;
    vfs.xAccess = disk_access;
    vfs.xFullPathname = disk_full_path;
    vfs.xRandomness = disk_randomness;
    tri_assert(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
