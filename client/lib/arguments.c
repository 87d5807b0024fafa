#include "client/lib/arguments.h"

#include "client/lib/session.h"
#include "common/json.h"
#include "common/proto/codec.h"
#include "common/value.h"

#include <stdlib.h>

enum tri_status tri_arguments_open(struct tri_arguments *self,
                                   struct tri_client *client,
                                   uint64_t number,
                                   struct tri_list tasks,
                                   struct tri_error *error)
{
    struct tri_rec_task_info task;

    *self = (struct tri_arguments){ .client = client, .number = number };
    if (tasks.count == 0)
        return TRI_OK;
    self->ranges = calloc(tasks.count, sizeof(*self->ranges));
    if (self->ranges == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    while (tri_list_next(&tasks, TRI_RECORD_TASK_INFO, &task)) {
        struct tri_range *last =
            self->range_count != 0 ? &self->ranges[self->range_count - 1] : NULL;

        if (last != NULL && task.index == last->first + last->count)
            last->count++;
        else
            self->ranges[self->range_count++] = (struct tri_range){ task.index, 1 };
    }
    return TRI_OK;
}

void tri_arguments_close(struct tri_arguments *self)
{
    tri_request_close(&self->request);
    free(self->ranges);
    *self = (struct tri_arguments){ 0 };
}

/* ---- asking --------------------------------------------------------------------------------- */

/* What is asked for from `index` on; the ranges before it are used up. */
static struct tri_ranges rest_from(struct tri_arguments *self, uint64_t index)
{
    size_t at = 0;

    while (at < self->range_count && self->ranges[at].first + self->ranges[at].count <= index)
        at++;
    if (at < self->range_count && self->ranges[at].first < index) {
        self->ranges[at].count -= index - self->ranges[at].first;
        self->ranges[at].first = index;
    }
    return tri_ranges_of(self->ranges + at, self->range_count - at);
}

static enum tri_status ask_from(struct tri_arguments *self, uint64_t index, struct tri_error *error)
{
    struct tri_message message = { .type = TRI_MESSAGE_ARGUMENTS };
    struct tri_message answer;
    enum tri_status status;

    tri_request_close(&self->request);
    message.arguments.number = self->number;
    message.arguments.tasks = rest_from(self, index);
    status = tri_ask_for(self->client, &message, TRI_MESSAGE_ARGUMENTS_INFO, &self->request,
                         &answer, error);
    if (status != TRI_OK)
        return status;
    self->info = answer.arguments_info;
    self->next = self->info.next != 0 ? self->info.next : UINT64_MAX;
    self->range_at = 0;
    self->value_base = 0;
    if (self->next <= index)
        return tri_fail(error, TRI_INVALID, "the broker answers ARGUMENTS with what was not asked");
    if (self->info.status != TRI_OK)
        return TRI_OK;
    return tri_items_open(tri_request_body(self->request), &self->chunk, error);
}

/* The value of a task in the answer at hand; empty: it is not there. */
static struct tri_bytes find(struct tri_arguments *self, uint64_t index)
{
    for (; self->range_at < self->info.tasks.count; self->range_at++) {
        struct tri_range range = tri_ranges_at(self->info.tasks, self->range_at);

        if (index < range.first)
            break;
        if (index - range.first < range.count) {
            uint64_t at = self->value_base + (index - range.first);

            return at < self->chunk.count ? tri_chunk_at(&self->chunk, (uint32_t)at)
                                          : (struct tri_bytes){ 0 };
        }
        self->value_base += (uint32_t)range.count;
    }
    return (struct tri_bytes){ 0 };
}

/* ---- as JSON -------------------------------------------------------------------------------- */

/* The bytes of the head of a string or binary that may be longer than what is shown; 0: none. Five
 * bytes at most. */
static size_t head_bytes(struct tri_bytes value)
{
    switch (value.data[0]) {
    case 0xc4: /* bin 8, str 8 */
    case 0xd9:
        return 2;
    case 0xc5: /* bin 16, str 16 */
    case 0xda:
        return 3;
    case 0xc6: /* bin 32, str 32 */
    case 0xdb:
        return 5;
    default:
        return 0;
    }
}

/* The start of a text, not cut inside a character. */
static struct tri_bytes clip(struct tri_bytes bytes)
{
    struct tri_bytes clipped = bytes;

    for (int i = 0; i < 4 && clipped.size != 0; i++, clipped.size--)
        if (tri_utf8_is_valid(clipped))
            return clipped;
    return bytes;
}

static void write_cut(struct tri_bytes value, struct tri_buffer *out)
{
    size_t head = value.size > 5 ? head_bytes(value) : 0;
    struct tri_bytes bytes = { value.data + head, value.size - head };

    if (bytes.size > TRI_ARGUMENT_SHOWN_MAX)
        bytes.size = TRI_ARGUMENT_SHOWN_MAX;
    if (head != 0)
        tri_json_bytes(out, clip(bytes));
    else
        tri_json_raw(out, "null"); /* half an array says nothing */
    tri_json_raw(out, ",\"argument_cut\":true");
}

static void write_value(struct tri_bytes bytes, struct tri_buffer *out)
{
    struct tri_value value;
    bool is_whole = tri_value_unpack_whole(bytes, &value, NULL) == TRI_OK;

    tri_json_raw(out, ",\"argument\":");
    if (is_whole && (value.type == TRI_STRING || value.type == TRI_BINARY))
        is_whole = value.bytes.size <= TRI_ARGUMENT_SHOWN_MAX;
    if (!is_whole)
        write_cut(bytes, out);
    else if (tri_value_to_json(&value, out, NULL) != TRI_OK)
        tri_json_raw(out, "null");
}

enum tri_status tri_arguments_write(struct tri_arguments *self,
                                    uint64_t index,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    struct tri_bytes value;

    if (index >= self->next) {
        enum tri_status status = ask_from(self, index, error);

        if (status != TRI_OK)
            return status;
    }
    if (self->info.status != TRI_OK) {
        tri_json_raw(out, ",\"argument_error\":");
        tri_json_string(out, self->info.status == TRI_NOTFOUND
                                 ? "the broker does not keep it any more"
                                 : "the broker cannot read it from its store");
        return TRI_OK;
    }
    value = find(self, index);
    if (value.size != 0)
        write_value(value, out);
    return TRI_OK;
}
