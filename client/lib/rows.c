/* Rows on their way in: opened once, kept as they are, and acknowledged when consumed. */
#include "client/lib/internal.h"
#include "common/assert.h"
#include "common/planted.h"
#include "common/proto/codec.h"

#include <stdlib.h>

#define ACK_RANGES_MAX 65536
#define PARTIALS_KEPT_MAX 16384

/* ---- acknowledging -------------------------------------------------------------------------- */

static bool acks_are_due(const struct tri_follow *self, tri_time now)
{
    if (self->ack_all)
        return !tri_rangeset_is_empty(&self->consumed);
    if (tri_rangeset_is_empty(&self->to_ack))
        return false;
    return self->to_ack_bytes >= self->window_bytes / 4 || now >= self->ack_at
           || (self->ended && tri_dlist_is_empty(&self->rows));
}

static enum tri_status prepare_ack(struct tri_follow *self)
{
    if (self->withholds && !tri_rangeset_prepare(&self->withheld))
        return TRI_MEMORY;
    return tri_rangeset_prepare(&self->to_ack) ? TRI_OK : TRI_MEMORY;
}

/* After tri_rangeset_prepare. */
static void ack_later(struct tri_follow *self, tri_time now, uint64_t number, uint64_t bytes)
{
    if (tri_rangeset_is_empty(&self->to_ack))
        self->ack_at = now + TRI_ACK_DELAY_MS;
    tri_rangeset_add(&self->to_ack, number, 1);
    self->to_ack_bytes += bytes;
}

enum tri_status tri_rows_finish(struct tri_follow *self,
                                tri_time now,
                                uint64_t number,
                                uint64_t bytes)
{
    if (!tri_rangeset_prepare(&self->consumed) || prepare_ack(self) != TRI_OK)
        return TRI_MEMORY;
    tri_rangeset_add(&self->consumed, number, 1);
    if (self->withholds) {
        tri_rangeset_add(&self->withheld, number, 1);
        self->withheld_bytes += bytes;
    } else {
        ack_later(self, now, number, bytes);
    }
    return TRI_OK;
}

/* Partials are folded in memory until the batch has ended: whoever is killed before that takes with
 * it what it has acknowledged. A long batch has too many of them to be kept. */
static bool keeps_partials(const struct tri_follow *self)
{
    return self->reducer != NULL && !self->ended && self->withheld_bytes < self->window_bytes / 4
           && tri_rangeset_count(&self->withheld) < PARTIALS_KEPT_MAX;
}

enum tri_status tri_follow_pass_on(struct tri_follow *self, tri_time now, struct tri_error *error)
{
    struct tri_range range;

    if (keeps_partials(self))
        return TRI_OK;
    while (tri_rangeset_next(&self->withheld, 0, &range)) {
        if (prepare_ack(self) != TRI_OK)
            return tri_fail(error, TRI_MEMORY, "out of memory");
        if (tri_rangeset_is_empty(&self->to_ack))
            self->ack_at = now + TRI_ACK_DELAY_MS;
        tri_rangeset_add(&self->to_ack, range.first, range.count);
        tri_rangeset_remove(&self->withheld, range.first, range.count);
    }
    self->to_ack_bytes += self->withheld_bytes;
    self->withheld_bytes = 0;
    return TRI_OK;
}

/* About to wait: a window that is filling should not wait for the delay to pass. */
void tri_rows_hurry(struct tri_follow *self, tri_time now)
{
    if (!tri_rangeset_is_empty(&self->to_ack) && self->to_ack_bytes >= self->window_bytes / 16)
        self->ack_at = now;
}

bool tri_follow_has_acks(const struct tri_follow *self)
{
    return self->to_ack_bytes >= self->window_bytes / 4;
}

void tri_follow_withhold(struct tri_follow *self)
{
    self->withholds = true;
}

void tri_follow_finish(struct tri_follow *self, tri_time now)
{
    self->ack_at = now;
}

bool tri_rows_next_to_ack(const struct tri_follow *self,
                          const struct tri_rangeset *rows,
                          uint64_t at,
                          struct tri_range *range)
{
    struct tri_range withheld;

    while (tri_rangeset_next(rows, at, range)) {
        if (!tri_rangeset_next(&self->withheld, range->first, &withheld)
            || withheld.first - range->first >= range->count)
            return true;
        range->count = withheld.first - range->first;
        if (range->count != 0)
            return true;
        at = withheld.first + withheld.count;
    }
    return false;
}

enum tri_status tri_rows_ack_effect(struct tri_follow *self, tri_time now)
{
    const struct tri_rangeset *rows = self->ack_all ? &self->consumed : &self->to_ack;
    struct tri_message message = { .type = TRI_MESSAGE_ACK };
    struct tri_range range;
    size_t count = 0;
    uint64_t at = 0;

    if (!acks_are_due(self, now)) {
        self->ack_all = false;
        return TRI_EMPTY;
    }
    if (prepare_ack(self) != TRI_OK)
        return TRI_MEMORY;
    tri_buffer_clear(&self->scratch);
    for (; count < ACK_RANGES_MAX && tri_rows_next_to_ack(self, rows, at, &range); count++) {
        tri_buffer_append(&self->scratch, &range, sizeof(range));
        at = range.first + range.count;
    }
    if (count == 0 && !self->scratch.failed) {
        self->ack_all = false;
        return TRI_EMPTY;
    }
    message.ack.number = self->number;
    message.ack.rows = (struct tri_ranges){ self->scratch.data, count };
    if (!self->scratch.failed)
        tri_message_encode(&message, &self->session->out);
    if (self->scratch.failed || self->session->out.failed)
        return TRI_MEMORY;
    self->ack_all = false;
    tri_rangeset_remove(&self->to_ack, 0, at);
    if (tri_rangeset_is_empty(&self->to_ack))
        self->to_ack_bytes = 0;
    return TRI_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void row_free(struct tri_row *row)
{
    free(row->runs);
    free(row->entries);
    free(row);
}

void tri_row_load_run(struct tri_row *row)
{
    struct tri_range range;

    if (row->runs != NULL) {
        range = row->runs[row->run].range;
        row->at = row->runs[row->run].at;
    } else {
        range = tri_ranges_at(row->head.runs, row->run);
        row->at = row->run_end;
    }
    row->index = range.first;
    row->run_end = row->at + range.count;
}

static uint64_t end_of(struct tri_range range)
{
    return range.first + range.count;
}

/* Another result was first for some of the tasks: what is left of the runs. */
static enum tri_status cut_runs(struct tri_row *row, struct tri_ranges counted)
{
    struct tri_ranges runs = row->head.runs;
    uint32_t at = 0;
    size_t j = 0;

    row->runs = malloc((runs.count + counted.count) * sizeof(*row->runs));
    if (row->runs == NULL)
        return TRI_MEMORY;
    row->run_count = 0;
    row->left = 0;
    for (size_t i = 0; i < runs.count; i++) {
        struct tri_range run = tri_ranges_at(runs, i);

        while (j < counted.count && end_of(tri_ranges_at(counted, j)) <= run.first)
            j++;
        for (size_t k = j; k < counted.count; k++) {
            struct tri_range part = tri_ranges_at(counted, k);
            uint64_t end = end_of(part) < end_of(run) ? end_of(part) : end_of(run);

            if (part.first >= end_of(run))
                break;
            if (part.first < run.first)
                part.first = run.first;
            part.count = end - part.first;
            row->runs[row->run_count++] =
                (struct tri_row_run){ part, at + (part.first - run.first) };
            row->left += part.count;
        }
        at += run.count;
    }
    return TRI_OK;
}

static enum tri_status open_values(struct tri_row *row,
                                   const struct tri_msg_row *message,
                                   struct tri_bytes frame,
                                   struct tri_error *error)
{
    enum tri_status status = tri_result_open(frame, &row->head, &row->chunk, error);
    struct tri_ranges runs;

    if (status != TRI_OK)
        return status;
    runs = row->head.runs;
    row->success = true;
    row->left = row->chunk.count;
    row->run_count = runs.count;
    if (runs.count != 0
        && (message->ranges.count != runs.count
            || memcmp(message->ranges.data, runs.data, runs.count * sizeof(struct tri_range)) != 0)
        && cut_runs(row, message->ranges) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    if (row->left != 0)
        tri_row_load_run(row);
    return TRI_OK;
}

static bool is_counted(struct tri_ranges ranges, uint64_t index)
{
    size_t low = 0;
    size_t high = ranges.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (end_of(tri_ranges_at(ranges, middle)) <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranges.count && tri_ranges_at(ranges, low).first <= index;
}

static int compare_entries(const void *a, const void *b)
{
    const struct tri_row_entry *left = a;
    const struct tri_row_entry *right = b;

    return left->index < right->index ? -1 : left->index > right->index;
}

static uint64_t count_of(struct tri_ranges ranges)
{
    uint64_t count = 0;

    for (size_t i = 0; i < ranges.count; i++)
        count += tri_ranges_at(ranges, i).count;
    return count;
}

/* A single entry stands for every task of the row, whichever it names: what was cancelled together,
 * say, or what is left of it. It is given once for each, without taking the room of each. */
static enum tri_status open_common_entry(struct tri_row *row,
                                         struct tri_list list,
                                         struct tri_ranges ranges,
                                         struct tri_error *error)
{
    row->runs = malloc(ranges.count * sizeof(*row->runs));
    row->entries = calloc(1, sizeof(*row->entries));
    if (row->runs == NULL || row->entries == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    row->entry_count = 1;
    row->entries[0].offset = (size_t)(list.data - row->frame.data);
    for (size_t i = 0; i < ranges.count; i++) {
        row->runs[i] = (struct tri_row_run){ tri_ranges_at(ranges, i), row->left };
        row->left += row->runs[i].range.count;
    }
    row->run_count = ranges.count;
    tri_row_load_run(row);
    return TRI_OK;
}

static enum tri_status open_entries(struct tri_row *row,
                                    const struct tri_msg_row *message,
                                    struct tri_bytes frame,
                                    struct tri_error *error)
{
    struct tri_rec_entries body;
    struct tri_rec_entry entry;
    struct tri_list list;
    bool sorted = true;
    size_t count = 0;
    enum tri_status status = tri_record_decode(TRI_RECORD_ENTRIES, frame, &body, error);

    if (status != TRI_OK || body.entries.count == 0)
        return status;
    row->frame = frame;
    if (body.entries.count == 1 && message->ranges.count != 0)
        return open_common_entry(row, body.entries, message->ranges, error);
    row->entries = calloc(body.entries.count, sizeof(*row->entries));
    if (row->entries == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    list = body.entries;
    while (list.count != 0) {
        size_t offset = (size_t)(list.data - frame.data);

        tri_list_next(&list, TRI_RECORD_ENTRY, &entry);
        if (!is_counted(message->ranges, entry.index))
            continue;
        sorted = sorted && (count == 0 || row->entries[count - 1].index < entry.index);
        row->entries[count++] = (struct tri_row_entry){ entry.index, offset };
    }
    if (!sorted)
        qsort(row->entries, count, sizeof(*row->entries), compare_entries);
    row->entry_count = row->left = count;
    row->index = row->entries[0].index;
    return TRI_OK;
}

static void count_model(struct tri_follow *self, uint64_t model, uint64_t tasks)
{
    if (model < TRI_COUNT_OF(self->summary.model_counts))
        self->summary.model_counts[model] += tasks;
}

static enum tri_status merge_partial(struct tri_follow *self,
                                     const struct tri_msg_row *message,
                                     struct tri_bytes frame,
                                     struct tri_error *error)
{
    struct tri_error local;
    enum tri_status status;

    if (self->reducer == NULL)
        return tri_fail(error, TRI_INVALID, "a partial result of a batch without a reducer");
    tri_buffer_clear(&self->scratch);
    tri_buffer_append(&self->scratch, message->ranges.data,
                      message->ranges.count * sizeof(struct tri_range));
    if (self->scratch.failed)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    status = tri_reducer_merge(self->reducer, frame,
                               (const struct tri_range *)(const void *)self->scratch.data,
                               message->ranges.count, &local);
    if (status == TRI_MEMORY)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    if (status != TRI_OK && self->reduce_failure.status == TRI_OK)
        self->reduce_failure = local;
    count_model(self, message->model, count_of(message->ranges));
    self->merged += count_of(message->ranges);
    return TRI_OK;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static enum tri_status receive_again(struct tri_follow *self, tri_time now, uint64_t number)
{
    if (!tri_rangeset_contains(&self->consumed, number)
        || tri_rangeset_contains(&self->withheld, number))
        return TRI_OK; /* it is here and will be acknowledged in its time */
    if (prepare_ack(self) != TRI_OK)
        return TRI_MEMORY;
    ack_later(self, now, number, 0);
    return TRI_OK;
}

static void keep_row(struct tri_follow *self,
                     const struct tri_msg_row *message,
                     struct tri_row *row,
                     uint64_t bytes,
                     void *token)
{
    row->number = message->row;
    row->generation = message->generation;
    row->bytes = bytes;
    row->token = token;
    row->worker_size = message->worker.size;
    memcpy(row->worker, message->worker.data, message->worker.size);
    tri_dlist_push_back(&self->rows, &row->node);
    self->held_bytes += bytes;
    tri_heap_insert(&self->turns, &row->turn, tri_row_key(self, row));
}

/* A task of several generations counts once. TRI_MEMORY: some of them may be noted. */
static enum tri_status note_seen(struct tri_follow *self, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count && tri_follow_in_order(self); i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        if (!tri_rangeset_prepare(&self->seen))
            return TRI_MEMORY;
        tri_rangeset_add(&self->seen, range.first, range.count);
    }
    return TRI_OK;
}

static enum tri_status receive_tasks(struct tri_follow *self,
                                     tri_time now,
                                     const struct tri_msg_row *message,
                                     struct tri_bytes frame,
                                     void *token,
                                     bool *taken,
                                     struct tri_error *error)
{
    struct tri_row *row = calloc(1, sizeof(*row));
    enum tri_status status = TRI_MEMORY;

    if (row == NULL || !tri_heap_reserve(&self->turns, 1)
        || note_seen(self, message->ranges) != TRI_OK)
        goto out;
    status = message->kind == TRI_ROW_VALUES ? open_values(row, message, frame, error)
                                             : open_entries(row, message, frame, error);
    if (status != TRI_OK)
        goto out;
    if (row->left == 0) {
        status = tri_rows_finish(self, now, message->row, frame.size);
        goto out;
    }
    keep_row(self, message, row, frame.size, token);
    if (row->success)
        count_model(self, row->head.model, row->left);
    *taken = true;
    return TRI_OK;
out:
    if (row != NULL)
        row_free(row);
    return status;
}

enum tri_status tri_rows_receive(struct tri_follow *self,
                                 tri_time now,
                                 const struct tri_msg_row *message,
                                 struct tri_bytes frame,
                                 void *token,
                                 bool *taken,
                                 struct tri_error *error)
{
    struct tri_error why = { .text = "out of memory" };
    enum tri_status status;

    (void)error;
    self->heard_at = now;
    if (tri_rangeset_contains(&self->received, message->row) && !PLANTED(ROW_TWICE))
        return receive_again(self, now, message->row);
    if (!tri_rangeset_prepare(&self->received))
        return TRI_MEMORY;
    if (message->kind == TRI_ROW_PARTIAL) {
        if (!tri_rangeset_prepare(&self->consumed) || prepare_ack(self) != TRI_OK)
            return TRI_MEMORY;
        status = merge_partial(self, message, frame, &why);
        if (status == TRI_OK)
            status = tri_rows_finish(self, now, message->row, frame.size);
    } else {
        status = receive_tasks(self, now, message, frame, token, taken, &why);
    }
    if (status == TRI_MEMORY)
        return status;
    if (status != TRI_OK) {
        tri_follow_fail(self, status, "result row %llu cannot be read: %s",
                        (unsigned long long)message->row, why.text);
        return TRI_OK;
    }
    if (!self->any_row)
        self->first_generation = message->generation;
    self->any_row = true;
    if (message->generation > self->last_generation)
        self->last_generation = message->generation;
    if (self->ended && message->generation > self->end_generation)
        self->ended = false; /* tried again by hand */
    tri_rangeset_add(&self->received, message->row, 1);
    return TRI_OK;
}

void tri_rows_drop(struct tri_follow *self)
{
    tri_dlist_foreach(&self->rows, node)
    {
        struct tri_row *row = tri_container_of(node, struct tri_row, node);

        if (tri_heap_is_linked(&row->turn))
            tri_heap_remove(&self->turns, &row->turn);
        tri_dlist_remove(&self->rows, &row->node);
        tri_session_release(self->session, row);
    }
    self->given = NULL;
    self->held_bytes = 0;
}
