/* stored_open.c - heads read again, strictly: any bytes give a head or TRI_STORE. */
#include "broker/engine/stored.h"

#include "broker/engine/history.h"
#include "common/proto/codec.h"
#include "common/proto/head.h"

#include <stdio.h>

/* A head being read: after the first fault everything reads as nothing. */
struct reader {
    struct tri_cursor cursor;
    const char *fault;
};

static uint64_t read_head(struct reader *self, enum tri_head wanted, const char *fault)
{
    uint64_t number = 0;

    if (self->fault == NULL && tri_head_read(&self->cursor, &number) != wanted)
        self->fault = fault;
    return self->fault == NULL ? number : 0;
}

static uint64_t read_uint(struct reader *self, uint64_t max)
{
    uint64_t number = read_head(self, TRI_HEAD_UNSIGNED, "a number is missing");

    if (self->fault == NULL && number > max)
        self->fault = "a number is over its limit";
    return self->fault == NULL ? number : 0;
}

static struct tri_bytes read_bytes(struct reader *self, enum tri_head wanted, size_t max)
{
    uint64_t size = read_head(self, wanted, "bytes are missing");
    struct tri_bytes bytes;

    if (self->fault == NULL && (size > tri_cursor_left(&self->cursor) || size > max))
        self->fault = "a length is over its limit";
    if (self->fault != NULL)
        return (struct tri_bytes){ NULL, 0 };
    bytes = (struct tri_bytes){ self->cursor.at, (size_t)size };
    self->cursor.at += size;
    return bytes;
}

static struct tri_bytes read_text(struct reader *self, size_t max)
{
    struct tri_bytes text = read_bytes(self, TRI_HEAD_STRING, max);

    if (self->fault == NULL && text.size != 0 && memchr(text.data, '\0', text.size) != NULL)
        self->fault = "a text holds a NUL";
    return text;
}

static struct tri_bytes read_exactly(struct reader *self, size_t size)
{
    struct tri_bytes bytes = read_bytes(self, TRI_HEAD_BINARY, size);

    if (self->fault == NULL && bytes.size != size)
        self->fault = "an identifier is too short";
    return bytes;
}

/* The format, and the number of values of the array that it is the first of. */
static uint64_t read_format(struct reader *self, uint64_t newest, uint64_t *count)
{
    uint64_t format;

    *count = read_head(self, TRI_HEAD_ARRAY, "it is no array");
    format = read_uint(self, UINT64_MAX);
    if (self->fault == NULL && (format == 0 || format > newest))
        self->fault = "it has a format that this version does not know";
    return format;
}

static void expect_fields(struct reader *self, uint64_t found, uint64_t count)
{
    if (self->fault == NULL && found != count)
        self->fault = "it has another number of fields";
}

/* An array of `count` values, the first of which is the format. */
static struct reader begin(struct tri_bytes head, uint64_t count)
{
    struct reader self = { tri_cursor_of(head), NULL };
    uint64_t found;

    read_format(&self, STORED_FORMAT, &found);
    expect_fields(&self, found, count);
    return self;
}

static enum tri_status end(const struct reader *self, struct tri_error *error)
{
    if (self->fault != NULL)
        return tri_fail(error, TRI_STORE, "%s", self->fault);
    if (self->cursor.at != self->cursor.end)
        return tri_fail(error, TRI_STORE, "something follows its last field");
    return TRI_OK;
}

enum tri_status stored_open_meta(struct tri_bytes head,
                                 struct stored_meta *out,
                                 struct tri_error *error)
{
    struct reader reader = begin(head, 5);

    out->epoch = read_uint(&reader, INT64_MAX);
    out->next_number = read_uint(&reader, STORE_KEY_END - 1);
    out->cluster = read_exactly(&reader, sizeof(struct tri_uuid));
    out->clock_ms = read_uint(&reader, INT64_MAX);
    return end(&reader, error);
}

enum tri_status stored_open_note(struct tri_bytes head,
                                 struct stored_note *out,
                                 struct tri_error *error)
{
    struct reader reader = begin(head, 3);

    out->kind = read_uint(&reader, UINT64_MAX);
    out->name = read_bytes(&reader, TRI_HEAD_BINARY, 64);
    if (reader.fault == NULL && out->kind != NOTE_HANDLER
        && (out->kind != NOTE_WORKER || out->name.size != sizeof(struct tri_uuid)))
        reader.fault = "it says neither a handler nor a worker";
    return end(&reader, error);
}

enum tri_status stored_open_batch(struct tri_bytes head,
                                  struct stored_batch *out,
                                  struct tri_error *error)
{
    struct reader reader = begin(head, 28);

    out->uuid = read_exactly(&reader, sizeof(struct tri_uuid));
    out->name = read_text(&reader, 256);
    out->principal = read_text(&reader, 64);
    out->spec = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    out->state = read_uint(&reader, 4);
    out->sealed = read_uint(&reader, 1);
    out->halting = read_uint(&reader, 1);
    out->cancelling = read_uint(&reader, 1);
    out->generation = read_uint(&reader, INT64_MAX);
    out->count = read_uint(&reader, INT64_MAX);
    out->hash = read_bytes(&reader, TRI_HEAD_BINARY, 16);
    out->reason = read_text(&reader, 512);
    out->submitted = read_uint(&reader, INT64_MAX);
    out->ended = read_uint(&reader, INT64_MAX);
    out->rows = read_uint(&reader, STORE_KEY_END - 1);
    out->wall_ns = read_uint(&reader, INT64_MAX);
    out->cpu_ns = read_uint(&reader, INT64_MAX);
    out->workers = read_uint(&reader, INT64_MAX);
    out->model = read_uint(&reader, 4);
    out->epoch = read_uint(&reader, INT64_MAX);
    out->fed_by = read_exactly(&reader, sizeof(struct tri_uuid));
    out->appended_bytes = read_uint(&reader, INT64_MAX);
    out->hashing = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    out->settled = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    out->cancelled = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    out->suspects = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    out->served_by = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    return end(&reader, error);
}

enum tri_status stored_open_chunk(struct tri_bytes head,
                                  struct stored_chunk *out,
                                  struct tri_error *error)
{
    struct reader reader = begin(head, 5);

    out->count = read_uint(&reader, UINT32_MAX);
    out->hash = read_uint(&reader, UINT64_MAX);
    out->appended_bytes = read_uint(&reader, INT64_MAX);
    out->hashing = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    if (reader.fault == NULL && out->count == 0)
        reader.fault = "it has no items";
    return end(&reader, error);
}

enum tri_status stored_open_row(struct tri_bytes head,
                                struct stored_row *out,
                                struct tri_error *error)
{
    struct reader reader = begin(head, 7);

    out->what = read_uint(&reader, ROW_CANCELLED);
    out->flags = read_uint(&reader, ROW_ACKNOWLEDGED | ROW_ON_RESERVE);
    out->wall_ns = read_uint(&reader, INT64_MAX);
    out->cpu_ns = read_uint(&reader, INT64_MAX);
    out->workers = read_uint(&reader, INT64_MAX);
    out->message = read_bytes(&reader, TRI_HEAD_BINARY, SIZE_MAX);
    return end(&reader, error);
}

static void read_charges(struct reader *self, struct stored_task *out)
{
    out->failures = read_uint(self, INT32_MAX);
    out->crashes = read_uint(self, INT32_MAX);
    out->vanished = read_uint(self, INT32_MAX);
    out->cap = read_uint(self, INT64_MAX);
    out->dead = read_uint(self, 1);
    out->generation = read_uint(self, INT64_MAX);
    out->due = read_uint(self, INT64_MAX);
}

static void read_last(struct reader *self, struct tri_rec_attempt *last)
{
    last->outcome = read_uint(self, 5);
    last->attempt = read_uint(self, INT64_MAX);
}

static void read_task_1(struct reader *self, struct stored_task *out)
{
    read_last(self, &out->last);
    read_charges(self, out);
    out->last.error = read_text(self, 4096);
    out->last.worker = read_text(self, 64);
    out->last.wall_us = read_uint(self, INT64_MAX);
    out->last.cpu_us = read_uint(self, INT64_MAX);
    out->last.model = read_uint(self, 4);
}

static void read_task_2(struct reader *self, struct stored_task *out)
{
    read_charges(self, out);
    out->history = read_bytes(self, TRI_HEAD_BINARY, HISTORY_BYTES_MAX);
    if (self->fault == NULL && out->history.size == 0)
        self->fault = "it has no history";
}

static void read_task_3(struct reader *self, struct stored_task *out)
{
    read_last(self, &out->last);
    read_charges(self, out);
    out->history = read_bytes(self, TRI_HEAD_BINARY, HISTORY_BYTES_MAX);
}

enum tri_status stored_open_task(struct tri_bytes head,
                                 struct stored_task *out,
                                 struct tri_error *error)
{
    static const struct {
        uint64_t fields;
        void (*read)(struct reader *self, struct stored_task *out);
    } formats[] = { { 15, read_task_1 }, { 9, read_task_2 }, { 11, read_task_3 } };
    struct reader reader = { tri_cursor_of(head), NULL };
    uint64_t count;

    *out = (struct stored_task){ 0 };
    out->format = read_format(&reader, STORED_TASK_FORMAT, &count);
    if (reader.fault != NULL)
        return end(&reader, error);
    expect_fields(&reader, count, formats[out->format - 1].fields);
    formats[out->format - 1].read(&reader, out);
    return end(&reader, error);
}

enum tri_status stored_open_ranges(struct tri_bytes pairs,
                                   struct tri_rangeset *out,
                                   struct tri_error *error)
{
    struct tri_ranges ranges = { pairs.data, pairs.size / sizeof(struct tri_range) };
    uint64_t after = 0;

    if (pairs.size % sizeof(struct tri_range) != 0)
        return tri_fail(error, TRI_STORE, "a list of ranges is cut off");
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        if (range.first < after || range.count == 0 || range.first >= TRI_INDEX_END
            || range.count > TRI_INDEX_END - range.first)
            return tri_fail(error, TRI_STORE, "a list of ranges is not sorted");
        tri_rangeset_add(out, range.first, range.count);
        after = range.first + range.count;
    }
    return TRI_OK;
}
