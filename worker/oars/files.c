/* tri_read_file and tri_write_file. Regular files are read and written beside the loop; what is
 * not one (a FIFO, a terminal) is waited for like any descriptor, so that a task can be stopped. */
#include "worker/oars/task_state.h"

#include "common/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 262144u
#define FILE_BYTES_MAX (UINT64_C(1) << 30)

struct file_job {
    struct tri_task *task;
    const char *path;
    struct tri_bytes content; /* to write */
    struct tri_buffer buffer; /* read */
    int fd;
    bool regular;
    bool stopped;
    enum tri_status status;
    char text[256];
};

static void fail_job(struct file_job *self, enum tri_status status, const char *what)
{
    self->status = status;
    snprintf(self->text, sizeof(self->text), "%s", what);
}

static enum tri_status fail_errno(int code)
{
    return code == ENOENT || code == ENOTDIR  ? TRI_NOTFOUND
           : code == EACCES || code == EPERM  ? TRI_DENIED
           : code == ENOSPC || code == EDQUOT ? TRI_NO_SPACE
                                              : TRI_SYSTEM;
}

/* One block. False at the end, on an error, and when nothing is there now. */
static bool read_block(struct file_job *self)
{
    uint8_t *room = tri_buffer_reserve(&self->buffer, BLOCK_BYTES);
    ssize_t count = room != NULL ? read(self->fd, room, BLOCK_BYTES) : 0;

    if (room == NULL) {
        fail_job(self, TRI_MEMORY, "no memory for it");
        return false;
    }
    if (count > 0)
        self->buffer.size += (size_t)count;
    if (count < 0 && errno != EINTR && errno != EAGAIN)
        fail_job(self, fail_errno(errno), strerror(errno));
    if (self->buffer.size > FILE_BYTES_MAX)
        fail_job(self, TRI_TOO_LARGE, "more than 1 GiB");
    return self->status == TRI_OK && (count > 0 || (count < 0 && errno == EINTR));
}

/* Beside the loop: open it, and read it all when it is a regular file. */
static void read_work(void *context)
{
    struct file_job *self = context;
    struct stat about;

    self->fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (self->fd < 0 || fstat(self->fd, &about) != 0) {
        fail_job(self, fail_errno(errno), strerror(errno));
        return;
    }
    if (S_ISDIR(about.st_mode)) {
        fail_job(self, TRI_FAILED, strerror(EISDIR));
        return;
    }
    self->regular = S_ISREG(about.st_mode) || S_ISBLK(about.st_mode);
    if (!self->regular)
        return;
    if (about.st_size > 0 && (uint64_t)about.st_size <= FILE_BYTES_MAX)
        tri_buffer_reserve(&self->buffer, (size_t)about.st_size + BLOCK_BYTES);
    while (!task_is_stopped(self->task) && read_block(self))
        ;
}

static enum tri_status read_stream(struct file_job *self)
{
    for (;;) {
        size_t before = self->buffer.size;
        enum tri_status status = tri_wait_fd(self->task, self->fd, POLLIN, -1, NULL);

        if (status != TRI_OK)
            return status;
        errno = 0;
        read_block(self);
        if (self->status != TRI_OK)
            return TRI_OK;
        if (self->buffer.size == before && errno != EAGAIN && errno != EINTR)
            return TRI_OK;
    }
}

enum tri_status tri_read_file(struct tri_task *task, const char *path, struct tri_bytes *content)
{
    struct file_job *job = tri_task_alloc(task, sizeof(*job));
    enum tri_status status;

    *content = (struct tri_bytes){ NULL, 0 };
    if (job == NULL)
        return tri_task_fail(task, TRI_MEMORY, "no memory to read %s", path);
    *job = (struct file_job){ .task = task, .path = path, .fd = -1 };
    status = tri_offload(task, read_work, job);
    if (status == TRI_OK && job->status == TRI_OK && !job->regular)
        status = read_stream(job);
    if (job->fd >= 0)
        close(job->fd);
    if (status == TRI_OK && job->status != TRI_OK)
        status = tri_task_fail(task, job->status, "cannot read %s: %s", path, job->text);
    if (status == TRI_OK && task_is_stopped(task))
        status = TRI_CANCELLED;
    if (status == TRI_OK && job->buffer.size != 0) {
        size_t size;
        uint8_t *data = tri_buffer_give(&job->buffer, &size);

        if (arena_take(&task->arena, data) == NULL)
            return tri_task_fail(task, TRI_MEMORY, "no memory to read %s", path);
        *content = (struct tri_bytes){ data, size };
    }
    tri_buffer_deinit(&job->buffer);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool write_all(struct file_job *self)
{
    size_t at = 0;

    while (at < self->content.size) {
        ssize_t count = write(self->fd, self->content.data + at, self->content.size - at);

        if (count < 0 && errno != EINTR)
            return false;
        at += count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* Written aside and renamed: whoever looks sees the old file or the new one. A file that was there
 * keeps its permissions. */
static void write_work(void *context)
{
    struct file_job *self = context;
    size_t size = strlen(self->path) + 64;
    char *aside = malloc(size);
    struct stat about;
    mode_t mode = stat(self->path, &about) == 0 ? about.st_mode & 07777 : 0;

    if (aside == NULL) {
        fail_job(self, TRI_MEMORY, "no memory for it");
        return;
    }
    snprintf(aside, size, "%s.%ld.%llx.trireme", self->path, (long)getpid(),
             (unsigned long long)(uintptr_t)self);
    self->fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (self->fd < 0) {
        fail_job(self, fail_errno(errno), strerror(errno));
        free(aside);
        return;
    }
    if (!write_all(self) || (mode != 0 && fchmod(self->fd, mode) != 0)
        || rename(aside, self->path) != 0) {
        fail_job(self, fail_errno(errno), strerror(errno));
        unlink(aside);
    }
    close(self->fd);
    free(aside);
}

enum tri_status tri_write_file(struct tri_task *task, const char *path, struct tri_bytes content)
{
    struct file_job *job = tri_task_alloc(task, sizeof(*job));
    enum tri_status status;

    if (job == NULL)
        return tri_task_fail(task, TRI_MEMORY, "no memory to write %s", path);
    *job = (struct file_job){ .task = task, .path = path, .content = content, .fd = -1 };
    status = tri_offload(task, write_work, job);
    if (status == TRI_OK && job->status != TRI_OK)
        status = tri_task_fail(task, job->status, "cannot write %s: %s", path, job->text);
    return status;
}
