#include "broker/store/reserve.h"

#include "common/assert.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of a small disk the reserve may be this part. */
#define DISK_PART 16

#define SUFFIX "-reserve"

static char *copy_text(const char *text, size_t size)
{
    char *copy = tri_alloc(size + 1, 1);

    memcpy(copy, text, size);
    return copy;
}

void reserve_init(struct reserve *self, const char *file, uint64_t bytes)
{
    const char *slash = strrchr(file, '/');
    size_t size = strlen(file) + sizeof(SUFFIX);

    *self = (struct reserve){ .bytes = bytes };
    self->file = copy_text(file, strlen(file));
    self->path = tri_alloc(size, 1);
    snprintf(self->path, size, "%s" SUFFIX, file);
    self->directory = slash == NULL ? copy_text(".", 1)
                                    : copy_text(file, slash == file ? 1 : (size_t)(slash - file));
}

void reserve_deinit(struct reserve *self)
{
    free(self->file);
    free(self->path);
    free(self->directory);
    *self = (struct reserve){ 0 };
}

static uint64_t wanted_bytes(const struct reserve *self, struct disk disk)
{
    return self->bytes < disk.bytes / DISK_PART ? self->bytes : disk.bytes / DISK_PART;
}

/* A limit on the size of files is a small disk. The reserve is a file of its own and takes nothing
 * from it: as much is left in the store's file. */
static struct disk within_limit(const struct reserve *self, struct disk disk)
{
    struct rlimit limit;
    struct stat info = { 0 };
    uint64_t taken;

    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return disk;
    if (disk.bytes > limit.rlim_cur)
        disk.bytes = limit.rlim_cur;
    stat(self->file, &info);
    taken = (uint64_t)info.st_size + wanted_bytes(self, disk);
    if (taken >= limit.rlim_cur)
        disk.free_bytes = 0;
    else if (disk.free_bytes > limit.rlim_cur - taken)
        disk.free_bytes = limit.rlim_cur - taken;
    return disk;
}

struct disk reserve_disk(const struct reserve *self)
{
    struct disk disk = { UINT64_MAX, UINT64_MAX };
    struct statvfs info;

    if (self->directory == NULL)
        return disk;
    if (statvfs(self->directory, &info) == 0)
        disk = (struct disk){ (uint64_t)info.f_bavail * info.f_frsize,
                              (uint64_t)info.f_blocks * info.f_frsize };
    return within_limit(self, disk);
}

/* What is in the file already counts as free: it is ours to spend. */
static uint64_t occupied_bytes(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}

/* How much of it there is now. */
static uint64_t occupy(const struct reserve *self, int fd)
{
    struct disk disk = reserve_disk(self);
    uint64_t bytes = wanted_bytes(self, disk);
    uint64_t has = occupied_bytes(fd);

    if (has < bytes && disk.free_bytes < 2 * bytes - has)
        return 0;
    if (posix_fallocate(fd, 0, (off_t)bytes) != 0 || ftruncate(fd, (off_t)bytes) != 0)
        return 0;
    return bytes;
}

bool reserve_take(struct reserve *self)
{
    int fd;

    if (self->held_bytes != 0 || self->path == NULL || self->bytes == 0)
        return true;
    fd = open(self->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    self->held_bytes = occupy(self, fd);
    if (self->held_bytes == 0 && ftruncate(fd, 0) != 0)
        self->held_bytes = 0;
    close(fd);
    return self->held_bytes != 0;
}

bool reserve_spend(struct reserve *self)
{
    if (self->held_bytes == 0)
        return false;
    self->held_bytes = 0;
    return truncate(self->path, 0) == 0;
}
