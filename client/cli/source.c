#include "client/cli/source.h"

#include "common/assert.h"
#include "common/parse.h"
#include "common/value.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (256u * 1024u)
#define LINE_BYTES_MAX (16u * 1024u * 1024u)

struct source {
    const struct cli_list *values; /* ::: */
    size_t next_value;
    bool is_range; /* --range with --resume: the integers one by one */
    struct tri_span span;
    uint64_t next_integer;
    int fd;
    const char *name;
    char separator;
    bool json;
    bool end;
    uint64_t line;
    struct tri_buffer in;
    size_t start;   /* of the line being read */
    size_t scanned; /* up to here there is no separator */
    struct tri_buffer packed;
};

struct source *source_open(const struct cli *cli)
{
    struct source *self = tri_alloc(1, sizeof(*self));
    struct stat about;
    const char *path = cli->each_line != NULL ? cli->each_line : cli->from_json;

    self->fd = -1;
    self->separator = cli->null_separated ? '\0' : '\n';
    self->json = cli->from_json != NULL;
    self->name = "stdin";
    if (cli->range != NULL) {
        self->is_range = tri_parse_range(cli->range, &self->span, NULL) == TRI_OK;
    } else if (cli->has_values) {
        self->values = &cli->values;
    } else if (path == NULL || strcmp(path, "-") == 0) {
        self->fd = dup(STDIN_FILENO);
    } else {
        self->fd = open(path, O_RDONLY | O_CLOEXEC);
        self->name = path;
        if (self->fd >= 0 && fstat(self->fd, &about) == 0 && S_ISDIR(about.st_mode)) {
            close(self->fd);
            self->fd = -1;
            errno = EISDIR;
        }
    }
    if (!self->is_range && self->values == NULL && self->fd < 0) {
        cli_error("cannot read %s: %s", self->name, strerror(errno));
        source_close(&self);
    }
    return self;
}

void source_close(struct source **self)
{
    if (*self == NULL)
        return;
    if ((*self)->fd >= 0)
        close((*self)->fd);
    tri_buffer_deinit(&(*self)->in);
    tri_buffer_deinit(&(*self)->packed);
    free(*self);
    *self = NULL;
}

int source_fd(const struct source *self)
{
    return self->end ? -1 : self->fd;
}

/* Read one block more, keeping the unfinished line at the front. */
static enum tri_status fill(struct source *self, struct tri_error *error)
{
    struct pollfd ready = { .fd = self->fd, .events = POLLIN };
    ssize_t got;

    if (poll(&ready, 1, 0) == 0)
        return TRI_EMPTY;
    if (self->start > 0) {
        memmove(self->in.data, self->in.data + self->start, self->in.size - self->start);
        self->in.size -= self->start;
        self->scanned -= self->start;
        self->start = 0;
    }
    if (tri_buffer_reserve(&self->in, BLOCK_BYTES) == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory reading %s", self->name);
    got = read(self->fd, self->in.data + self->in.size, BLOCK_BYTES);
    if (got < 0) {
        if (errno == EINTR || errno == EAGAIN)
            return TRI_EMPTY;
        return tri_fail(error, TRI_SYSTEM, "cannot read %s: %s", self->name, strerror(errno));
    }
    self->in.size += (size_t)got;
    self->end = got == 0;
    return TRI_OK;
}

/* The next line without its separator; a missing last separator is fine. */
static enum tri_status next_line(struct source *self,
                                 struct tri_bytes *line,
                                 struct tri_error *error)
{
    for (;;) {
        size_t unscanned = self->in.size - self->scanned;
        uint8_t *from = self->in.data + self->scanned;
        uint8_t *found = unscanned > 0 ? memchr(from, self->separator, unscanned) : NULL;
        size_t stop = found != NULL ? (size_t)(found - self->in.data) : self->in.size;
        enum tri_status status;

        if (stop - self->start > LINE_BYTES_MAX)
            return tri_fail(error, TRI_TOO_LARGE, "%s: line %llu is over 16 MiB", self->name,
                            (unsigned long long)self->line + 1);
        if (found != NULL || (self->end && stop > self->start)) {
            *line = (struct tri_bytes){ self->in.data + self->start, stop - self->start };
            self->start = found != NULL ? stop + 1 : stop;
            self->scanned = self->start;
            self->line++;
            return TRI_OK;
        }
        if (self->end)
            return TRI_CLOSED;
        self->scanned = self->in.size;
        status = fill(self, error);
        if (status != TRI_OK)
            return status;
    }
}

static bool is_blank(struct tri_bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (memchr(" \t\r", line.data[i], 3) == NULL)
            return false;
    }
    return true;
}

static enum tri_status next_json(struct source *self,
                                 struct tri_value *value,
                                 struct tri_error *error)
{
    struct tri_bytes line;
    struct tri_error why;
    enum tri_status status;

    do {
        status = next_line(self, &line, error);
        if (status != TRI_OK)
            return status;
    } while (is_blank(line));
    tri_buffer_clear(&self->packed);
    if (tri_value_pack_json(line, &self->packed, &why) != TRI_OK)
        return tri_fail(error, TRI_INVALID, "%s: line %llu: %s", self->name,
                        (unsigned long long)self->line, why.text);
    value->type = TRI_ANY;
    value->bytes = tri_buffer_bytes(&self->packed);
    return TRI_OK;
}

enum tri_status source_next(struct source *self, struct tri_value *value, struct tri_error *error)
{
    struct tri_bytes line;
    enum tri_status status;

    if (self->is_range) {
        if (self->next_integer == self->span.count)
            return TRI_CLOSED;
        *value = tri_value_int((int64_t)((uint64_t)self->span.first
                                         + self->next_integer++ * (uint64_t)self->span.step));
        return TRI_OK;
    }
    if (self->values != NULL) {
        const char *word;

        if (self->next_value == self->values->count)
            return TRI_CLOSED;
        word = self->values->items[self->next_value++];
        *value = tri_value_string(word, strlen(word));
        return TRI_OK;
    }
    if (self->json)
        return next_json(self, value, error);
    status = next_line(self, &line, error);
    if (status == TRI_OK)
        *value = tri_value_string(line.data, line.size);
    return status;
}

void source_blame(const struct source *self, const struct tri_error *why, struct tri_error *error)
{
    if (self->values != NULL)
        tri_fail(error, why->status, "value %zu: %.400s", self->next_value, why->text);
    else
        tri_fail(error, why->status, "%.80s: line %llu: %.400s", self->name,
                 (unsigned long long)self->line, why->text);
}
