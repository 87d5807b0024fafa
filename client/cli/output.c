#include "client/cli/output.h"

#include "client/cli/result_json.h"
#include "client/cli/signals.h"
#include "common/json.h"
#include "common/types.h"
#include "common/value.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (64u * 1024u)

bool output_open(struct output *self, const struct cli *cli, bool command)
{
    *self =
        (struct output){ .form = cli->output, .command = command, .reduced = cli->reduce != NULL };
    tri_buffer_init(&self->out);
    tri_buffer_init(&self->err);
    if (cli->joblog != NULL) {
        self->joblog = fopen(cli->joblog, "we");
        self->joblog_path = cli->joblog;
        if (self->joblog == NULL) {
            cli_error("cannot write --joblog %s: %s", cli->joblog, strerror(errno));
            return false;
        }
        fputs("index\tstatus\tattempts\tmodel\tworker\twall_us\tcpu_us\terror\n", self->joblog);
    }
    if (self->form == CLI_JSON)
        tri_json_raw(&self->out, "{\"results\":[");
    return true;
}

/* Keep why the job log could first not be written: stdio keeps only that it could not. */
static void joblog_note(struct output *self, bool failed)
{
    if ((failed || ferror(self->joblog)) && self->joblog_errno == 0)
        self->joblog_errno = errno;
}

bool output_close(struct output *self)
{
    bool ok = true;

    tri_buffer_deinit(&self->out);
    tri_buffer_deinit(&self->err);
    if (self->joblog != NULL) {
        joblog_note(self, fflush(self->joblog) != 0);
        if (fclose(self->joblog) != 0 && self->joblog_errno == 0)
            self->joblog_errno = errno;
        ok = self->joblog_errno == 0;
    }
    self->joblog = NULL;
    if (!ok)
        cli_error("cannot write --joblog %s: %s", self->joblog_path, strerror(self->joblog_errno));
    return ok;
}

int output_exit(enum tri_status status)
{
    return status == TRI_CLOSED      ? CLI_STDOUT_CLOSED
           : status == TRI_CANCELLED ? CLI_INTERRUPTED
                                     : CLI_INTERNAL;
}

/* How much to write at once: all, but after a signal only what surely does not wait. */
static size_t piece_size(int fd, size_t left)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };

    if (!signals_came())
        return left;
    if (poll(&room, 1, 0) != 1)
        return 0;
    return left < PIPE_BUF ? left : PIPE_BUF;
}

/* Wait until a descriptor that does not block has room. */
static void await_room(int fd)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };

    poll(&room, 1, -1);
}

static enum tri_status write_all(int fd, struct tri_buffer *buffer)
{
    size_t done = 0;

    while (done < buffer->size) {
        size_t piece = piece_size(fd, buffer->size - done);
        ssize_t wrote = piece > 0 ? write(fd, buffer->data + done, piece) : 0;

        if (piece == 0) {
            memmove(buffer->data, buffer->data + done, buffer->size - done);
            buffer->size -= done;
            return TRI_CANCELLED;
        }
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno == EAGAIN) {
            await_room(fd);
            continue;
        }
        if (wrote < 0) {
            buffer->size = 0;
            return errno == EPIPE || errno == EBADF ? TRI_CLOSED : TRI_SYSTEM;
        }
        done += (size_t)wrote;
    }
    buffer->size = 0;
    return TRI_OK;
}

enum tri_status output_flush(struct output *self)
{
    enum tri_status status = write_all(STDOUT_FILENO, &self->out);

    if (status == TRI_SYSTEM)
        cli_error("cannot write to stdout: %s", strerror(errno));
    write_all(STDERR_FILENO, &self->err);
    if (self->joblog != NULL)
        joblog_note(self, fflush(self->joblog) != 0);
    self->joblog_is_behind = false;
    return status;
}

bool output_is_empty(const struct output *self)
{
    return self->out.size + self->err.size == 0 && !self->joblog_is_behind;
}

static void append_bytes(struct tri_buffer *out, struct tri_bytes bytes)
{
    tri_buffer_append(out, bytes.data, bytes.size);
}

/* A command's value: [exit code, stdout, stderr, truncated]. False when it is not of that form. */
static bool open_command(const struct tri_value *value, struct tri_bytes streams[2])
{
    struct tri_value_walk walk;
    struct tri_value part;

    if (value->type != TRI_COMPOUND || tri_value_walk(value, &walk, NULL) != TRI_OK || walk.is_map
        || walk.count < 3 || tri_value_walk_next(&walk, &part, NULL) != TRI_OK)
        return false;
    for (int i = 0; i < 2; i++) {
        if (tri_value_walk_next(&walk, &part, NULL) != TRI_OK
            || (part.type != TRI_BINARY && part.type != TRI_STRING))
            return false;
        streams[i] = part.bytes;
    }
    return true;
}

/* A line stays a line, and nothing of it is an order to a terminal. */
static unsigned char printable(unsigned char c)
{
    return cli_is_control(c) ? ' ' : c;
}

static void text_result(struct output *self, const struct tri_task_result *result)
{
    struct tri_bytes streams[2];
    char prefix[64];

    if (self->command && result->packed.size > 0 && open_command(&result->value, streams)) {
        append_bytes(&self->out, streams[0]);
        append_bytes(&self->err, streams[1]);
    } else if (result->outcome == TRI_OUTCOME_OK) {
        tri_value_to_text(&result->value, &self->out, NULL);
        tri_buffer_append(&self->out, "\n", 1);
    }
    if (result->outcome == TRI_OUTCOME_OK)
        return;
    snprintf(prefix, sizeof(prefix), "task %llu/%llu: ", (unsigned long long)self->number,
             (unsigned long long)result->index);
    tri_buffer_append(&self->err, prefix, strlen(prefix));
    for (size_t i = 0; i < result->error.size; i++) {
        unsigned char c = printable(result->error.data[i]);

        tri_buffer_append(&self->err, &c, 1);
    }
    if (result->error.size == 0)
        tri_json_raw(&self->err, result->outcome_text);
    tri_buffer_append(&self->err, "\n", 1);
}

static void log_result(FILE *log, const struct tri_task_result *result)
{
    fprintf(log, "%llu\t%s\t%llu\t%s\t%.*s\t%llu\t%llu\t", (unsigned long long)result->index,
            result->outcome_text, (unsigned long long)result->attempts, result->model,
            (int)result->worker.size, (const char *)result->worker.data,
            (unsigned long long)result->wall_us, (unsigned long long)result->cpu_us);
    for (size_t i = 0; i < result->error.size; i++)
        fputc(printable(result->error.data[i]), log);
    fputc('\n', log);
}

enum tri_status output_result(struct output *self, const struct tri_task_result *result)
{
    if (self->joblog != NULL) {
        log_result(self->joblog, result);
        joblog_note(self, false);
        self->joblog_is_behind = true;
    }
    switch (self->form) {
    case CLI_TEXT:
        text_result(self, result);
        break;
    case CLI_JSONL:
        result_json(&self->out, result);
        tri_json_raw(&self->out, "\n");
        break;
    case CLI_JSON:
        tri_json_raw(&self->out, self->written > 0 ? ",\n" : "\n");
        result_json(&self->out, result);
        break;
    case CLI_QUIET:
        break;
    }
    self->written++;
    return self->out.size + self->err.size >= FLUSH_BYTES ? output_flush(self) : TRI_OK;
}

/* The reduced value in text form: strings raw, everything else JSON. */
static void text_reduced(struct output *self, const char *reduced)
{
    struct tri_buffer packed;
    struct tri_value value;

    tri_buffer_init(&packed);
    if (reduced[0] == '"'
        && tri_value_pack_json((struct tri_bytes){ (const uint8_t *)reduced, strlen(reduced) },
                               &packed, NULL)
               == TRI_OK
        && tri_value_unpack_whole(tri_buffer_bytes(&packed), &value, NULL) == TRI_OK)
        tri_value_to_text(&value, &self->out, NULL);
    else
        tri_json_raw(&self->out, reduced);
    tri_buffer_deinit(&packed);
    tri_json_raw(&self->out, "\n");
}

enum tri_status output_end(struct output *self,
                           struct summary_file *file,
                           struct tri_batch *batch,
                           const char *reduced)
{
    struct tri_buffer summary;
    enum tri_status status;

    tri_buffer_init(&summary);
    summary_json(batch, reduced, &summary);
    if (self->form == CLI_TEXT && reduced != NULL)
        text_reduced(self, reduced);
    if (self->form == CLI_JSONL && reduced != NULL) {
        tri_json_raw(&self->out, "{\"reduce\":");
        tri_json_raw(&self->out, reduced);
        tri_json_raw(&self->out, "}\n");
    }
    if (self->form == CLI_JSON) {
        tri_json_raw(&self->out, "\n],\"summary\":");
        append_bytes(&self->out, tri_buffer_bytes(&summary));
        tri_json_raw(&self->out, "}\n");
    }
    status = output_flush(self);
    if (self->form != CLI_QUIET)
        summary_print(batch, stderr);
    if (!summary_write(file, &summary) && status == TRI_OK)
        status = TRI_SYSTEM;
    tri_buffer_deinit(&summary);
    return status;
}
