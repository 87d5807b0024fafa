#include "client/cli/resume.h"

#include "client/cli/result_json.h"
#include "common/assert.h"
#include "common/json.h"
#include "common/rangeset.h"
#include "common/types.h"
#include "common/value.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct resume {
    const char *path;
    int fd;
    struct tri_rangeset done; /* positions that are ok in the file */
    uint64_t next;            /* position in the source */
    uint64_t *positions;      /* of the batch's tasks */
    size_t count;
    size_t capacity;
    uint64_t shown;
    struct tri_buffer line;
};

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* Show a result of the file as if it had just come. */
static bool show(json_t *object, uint64_t index, struct tri_buffer *packed, struct output *output)
{
    struct tri_task_result result = {
        .index = index,
        .outcome_text = "ok",
        .attempts = (uint64_t)json_integer_value(json_object_get(object, "attempts")),
        .model = text_of(object, "model"),
        .worker = tri_bytes_of_text(text_of(object, "worker")),
        .wall_us = (uint64_t)json_integer_value(json_object_get(object, "wall_us")),
        .cpu_us = (uint64_t)json_integer_value(json_object_get(object, "cpu_us")),
        .sampled = json_is_true(json_object_get(object, "sampled")),
    };
    char *value = json_dumps(json_object_get(object, "value"), JSON_ENCODE_ANY | JSON_COMPACT);
    bool ok;

    tri_buffer_clear(packed);
    ok = value != NULL && tri_value_pack_json(tri_bytes_of_text(value), packed, NULL) == TRI_OK
         && tri_value_unpack_whole(tri_buffer_bytes(packed), &result.value, NULL) == TRI_OK;
    free(value);
    result.packed = tri_buffer_bytes(packed);
    return ok && output_result(output, &result) == TRI_OK;
}

static bool read_line(struct resume *self,
                      const char *line,
                      size_t size,
                      struct tri_buffer *packed,
                      struct output *output)
{
    json_t *object = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
    json_t *index = json_object_get(object, "index");
    bool ok = json_is_integer(index) && json_integer_value(index) >= 0;
    uint64_t position = ok ? (uint64_t)json_integer_value(index) : 0;

    if (ok && strcmp(text_of(object, "status"), "ok") == 0
        && !tri_rangeset_contains(&self->done, position)) {
        tri_rangeset_add(&self->done, position, 1);
        self->shown++;
        ok = show(object, position, packed, output);
    }
    json_decref(object);
    return ok;
}

/* Read the whole file; `*end` is where its last whole line ends. */
static bool read_file(struct resume *self, struct output *output, off_t *end)
{
    FILE *file = fdopen(dup(self->fd), "r");
    struct tri_buffer packed;
    char *line = NULL;
    size_t capacity = 0;
    uint64_t number = 0;
    ssize_t size;
    bool ok = file != NULL;

    tri_buffer_init(&packed);
    *end = 0;
    while (ok && (size = getline(&line, &capacity, file)) > 0 && line[size - 1] == '\n') {
        number++;
        ok = read_line(self, line, (size_t)size - 1, &packed, output);
        if (!ok)
            cli_error("--resume %s: line %llu is not a result of an earlier run", self->path,
                      (unsigned long long)number);
        *end += size;
    }
    free(line);
    tri_buffer_deinit(&packed);
    if (file != NULL)
        fclose(file);
    return ok;
}

struct resume *resume_open(const char *path, struct output *output)
{
    struct resume *self = tri_alloc(1, sizeof(*self));
    struct stat about;
    off_t end = 0;

    self->path = path;
    self->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (self->fd < 0)
        cli_error("cannot open --resume %s: %s", path, strerror(errno));
    else if (fstat(self->fd, &about) != 0 || !S_ISREG(about.st_mode))
        cli_error("--resume %s: not a regular file", path);
    else if (read_file(self, output, &end) && ftruncate(self->fd, end) == 0
             && lseek(self->fd, end, SEEK_SET) == end)
        return self;
    resume_close(&self);
    return NULL;
}

void resume_close(struct resume **self)
{
    if (*self == NULL)
        return;
    if ((*self)->fd >= 0)
        close((*self)->fd);
    tri_rangeset_deinit(&(*self)->done);
    tri_buffer_deinit(&(*self)->line);
    free((*self)->positions);
    free(*self);
    *self = NULL;
}

bool resume_skip(struct resume *self)
{
    uint64_t position = self->next++;

    if (tri_rangeset_contains(&self->done, position))
        return true;
    if (self->count == self->capacity) {
        self->capacity = self->capacity != 0 ? self->capacity * 2 : 1024;
        self->positions = tri_realloc(self->positions, self->capacity, sizeof(*self->positions));
    }
    self->positions[self->count++] = position;
    return false;
}

uint64_t resume_position(const struct resume *self, uint64_t index)
{
    tri_assert(index < self->count);
    return self->positions[index];
}

enum tri_status resume_keep(struct resume *self, const struct tri_task_result *result)
{
    size_t done = 0;

    tri_buffer_clear(&self->line);
    result_json(&self->line, result);
    tri_json_raw(&self->line, "\n");
    while (done < self->line.size) {
        ssize_t wrote = write(self->fd, self->line.data + done, self->line.size - done);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            cli_error("cannot write --resume %s: %s", self->path, strerror(errno));
            return TRI_SYSTEM;
        }
        done += (size_t)wrote;
    }
    return TRI_OK;
}

uint64_t resume_count(const struct resume *self)
{
    return self->shown;
}
