/* Results on their way to the application: the row whose turn it is, task by task or run by run. */
#include "client/lib/internal.h"
#include "common/assert.h"
#include "common/proto/codec.h"
#include "common/value.h"

#include <stdlib.h>

#define JAM_MS 200    /* without a row, until the window is taken for too small */
#define STILL_MS 1000 /* without a lease; PROGRESS comes four times in it if there are any */

uint64_t tri_row_key(const struct tri_follow *self, const struct tri_row *row)
{
    return tri_follow_in_order(self) ? row->index : 0;
}

/* Go on by `count` tasks of the run at hand. */
static void advance(struct tri_follow *self, struct tri_row *row, uint64_t count)
{
    bool more;

    if (tri_row_has_runs(row)) {
        row->at += count;
        row->index += count;
        if (row->at < row->run_end)
            return;
        more = ++row->run < row->run_count;
        if (more)
            tri_row_load_run(row);
    } else {
        more = ++row->entry_at < row->entry_count;
        if (more)
            row->index = row->entries[row->entry_at].index;
    }
    if (!more)
        tri_heap_remove(&self->turns, &row->turn);
    else if (tri_follow_in_order(self))
        tri_heap_update(&self->turns, &row->turn, row->index);
}

static uint64_t run_length(const struct tri_row *row)
{
    return row->success ? row->run_end - row->at : 1;
}

/* `count` tasks of `row` are consumed. */
static enum tri_status consume(struct tri_follow *self,
                               tri_time now,
                               struct tri_row *row,
                               uint64_t count)
{
    if (row->left == count) {
        if (tri_rows_finish(self, now, row->number, row->bytes) != TRI_OK)
            return TRI_MEMORY;
        tri_dlist_remove(&self->rows, &row->node);
        self->held_bytes -= row->bytes;
        tri_session_release(self->session, row);
        return TRI_OK;
    }
    row->left -= count;
    return TRI_OK;
}

/* What was given by the last call is consumed by this one. */
static enum tri_status consume_given(struct tri_follow *self, tri_time now)
{
    if (self->given == NULL)
        return TRI_OK;
    if (consume(self, now, self->given, self->given_count) != TRI_OK)
        return TRI_MEMORY;
    self->given = NULL;
    return TRI_OK;
}

/* The next index that can come. */
static uint64_t next_index(const struct tri_follow *self)
{
    struct tri_range gone;

    if (tri_rangeset_next(&self->settled, self->cursor, &gone) && gone.first == self->cursor)
        return gone.first + gone.count;
    return self->cursor;
}

/* Of rows with the same next index, the one of the oldest generation: what replaces it is still
 * here then. */
static struct tri_row *oldest_of_index(const struct tri_follow *self, struct tri_row *row)
{
    if (row == NULL || !tri_follow_in_order(self) || row->generation == self->first_generation)
        return row;
    tri_dlist_foreach(&self->rows, node)
    {
        struct tri_row *other = tri_container_of(node, struct tri_row, node);

        if (other->generation < row->generation && tri_heap_is_linked(&other->turn)
            && other->index == row->index)
            row = other;
    }
    return row;
}

/* The row whose turn it is, or NULL. */
static struct tri_row *first_row(const struct tri_follow *self)
{
    struct tri_heap_node *node = tri_heap_peek(&self->turns);
    struct tri_row *row = node != NULL ? tri_container_of(node, struct tri_row, turn) : NULL;

    row = oldest_of_index(self, row);
    if (row == NULL || !tri_follow_in_order(self) || row->index <= self->cursor || self->ended
        || self->state == FOLLOW_FAILED)
        return row;
    return row->index <= next_index(self) ? row : NULL;
}

/* Tasks that have been given, are here, or were given to others; each once, whatever the number of
 * its results that are here. */
static uint64_t seen_count(const struct tri_follow *self)
{
    return self->cursor
           + tri_rangeset_count_in(&self->seen, self->cursor, TRI_INDEX_END - self->cursor);
}

/* More tasks have ended than were seen here: a row is kept at the broker. */
static bool misses_a_row(const struct tri_follow *self)
{
    const struct tri_batch_summary *summary = &self->summary;
    uint64_t ended = summary->ok + summary->failed + summary->cancelled;

    return (ended != 0 && ended >= summary->count) || ended > seen_count(self);
}

/* Rows come in the order in which they were made, and the window is as large as it is. Who comes
 * (back) to a batch may find more rows kept for it than that, and the one whose turn it is behind
 * them. Failures that were retried since are seen and have not ended, so counting does not always
 * tell; but then nothing is leased any more, for the owner's window is full. Of a row that is lost
 * for good counting tells, too: then ATTACHED says which tasks it was about, and they are passed.
 */
tri_time tri_rows_jam_at(const struct tri_follow *self)
{
    bool is_full = self->held_bytes >= self->window_bytes / 2;
    bool is_still = self->owner && self->still_since != TRI_NEVER;

    if (self->state != FOLLOW_FOLLOWED || !tri_follow_in_order(self) || self->ended
        || tri_dlist_is_empty(&self->rows) || first_row(self) != NULL)
        return TRI_NEVER;
    if (misses_a_row(self) && (is_full || !self->asked_for_lost))
        return self->heard_at + JAM_MS;
    return is_full && is_still ? self->still_since + STILL_MS : TRI_NEVER;
}

static int compare_index(const void *key, const void *entry)
{
    uint64_t index = *(const uint64_t *)key;
    uint64_t other = ((const struct tri_row_entry *)entry)->index;

    return index < other ? -1 : index > other;
}

static bool row_has(const struct tri_row *row, uint64_t index)
{
    if (!tri_row_has_runs(row))
        return bsearch(&index, row->entries, row->entry_count, sizeof(*row->entries), compare_index)
               != NULL;
    for (size_t i = row->run; i < row->run_count; i++) {
        struct tri_range run =
            row->runs != NULL ? row->runs[i].range : tri_ranges_at(row->head.runs, i);

        if (index - run.first < run.count)
            return true;
    }
    return false;
}

/* A failed task was tried again by hand, and that result is here too: it takes the place of this.
 */
static bool is_replaced(const struct tri_follow *self, const struct tri_row *row)
{
    if (row->success || row->generation == self->last_generation || !tri_follow_in_order(self))
        return false;
    tri_dlist_foreach(&self->rows, node)
    {
        const struct tri_row *other = tri_container_of(node, struct tri_row, node);

        if (other->generation > row->generation && row_has(other, row->index))
            return true;
    }
    return false;
}

/* A task that was given before in the same generation: an honest broker sends none. */
static uint64_t stale_count(const struct tri_follow *self, const struct tri_row *row)
{
    uint64_t length = run_length(row);

    if (is_replaced(self, row))
        return 1;
    if (!tri_follow_in_order(self) || row->index >= self->cursor
        || row->generation != self->first_generation)
        return 0;
    return row->index + length <= self->cursor ? length : self->cursor - row->index;
}

static enum tri_status next_row(struct tri_follow *self, tri_time now, struct tri_row **row)
{
    if (consume_given(self, now) != TRI_OK)
        return TRI_MEMORY;
    for (;;) {
        uint64_t stale;

        *row = first_row(self);
        if (*row == NULL)
            return TRI_EMPTY;
        stale = stale_count(self, *row);
        if (stale == 0)
            return TRI_OK;
        advance(self, *row, stale);
        self->given = *row;
        self->given_count = stale;
        if (consume_given(self, now) != TRI_OK)
            return TRI_MEMORY;
    }
}

static enum tri_status nothing(const struct tri_follow *self, struct tri_error *error)
{
    if (self->state == FOLLOW_FAILED)
        return tri_fail(error, self->failure.status, "%s", self->failure.text);
    if (self->window_bytes == 0)
        return tri_fail(error, TRI_INVALID,
                        "the batch was submitted detached: attach to it for its results");
    if (self->ended && tri_dlist_is_empty(&self->rows) && self->lost.status != TRI_OK)
        return tri_fail(error, TRI_STORE, "%s", self->lost.text);
    if (self->ended && tri_dlist_is_empty(&self->rows))
        return tri_fail(error, TRI_CLOSED, "the batch has ended and all its results were given");
    return TRI_EMPTY;
}

static void give(struct tri_follow *self, struct tri_row *row, uint64_t count)
{
    if (row->index + count > self->cursor)
        self->cursor = row->index + count;
    self->given = row;
    self->given_count = count;
    advance(self, row, count);
}

static void open_value(struct tri_task_result *result)
{
    struct tri_error error;

    if (result->packed.size == 0
        || tri_value_unpack_whole(result->packed, &result->value, &error) == TRI_OK)
        return;
    result->value = (struct tri_value){ .type = TRI_NIL };
    result->outcome = TRI_OUTCOME_FAILED;
    result->error = tri_bytes_of("the worker sent a value that is not msgpack");
}

/* task_us holds the wall and the CPU time of each task, two little-endian u32, where known. */
static void set_times(struct tri_task_result *result, const struct tri_row *row)
{
    const struct tri_rec_result *head = &row->head;
    uint32_t times[2];

    if (head->task_us.size == head->count * sizeof(times)) {
        memcpy(times, head->task_us.data + row->at * sizeof(times), sizeof(times));
        result->wall_us = times[0];
        result->cpu_us = times[1];
        result->sampled = (head->flags & TRI_RESULT_SAMPLED) != 0;
        return;
    }
    result->wall_us = head->wall_ns / head->count / 1000;
    result->cpu_us = head->cpu_ns / head->count / 1000;
    result->sampled = true;
}

static void fill_success(struct tri_task_result *result, const struct tri_row *row)
{
    *result = (struct tri_task_result){ .index = row->index,
                                        .packed = tri_chunk_at(&row->chunk, (uint32_t)row->at),
                                        .attempts = 1,
                                        .model = tri_model_text(row->head.model),
                                        .worker = { row->worker, row->worker_size } };
    set_times(result, row);
    open_value(result);
    result->outcome_text = tri_outcome_text((uint64_t)result->outcome);
}

static void fill_entry(struct tri_task_result *result, const struct tri_row *row)
{
    size_t offset = row->entries[row->entry_at].offset;
    struct tri_list list = { row->frame.data + offset, row->frame.size - offset, 1 };
    struct tri_rec_entry entry;

    tri_list_next(&list, TRI_RECORD_ENTRY, &entry);
    *result = (struct tri_task_result){ .index = row->index,
                                        .outcome = (int)entry.outcome,
                                        .packed = entry.value,
                                        .error = entry.error,
                                        .attempts = entry.attempts,
                                        .model = tri_model_text(entry.model),
                                        .worker = entry.worker,
                                        .wall_us = entry.wall_us,
                                        .cpu_us = entry.cpu_us };
    result->value = (struct tri_value){ .type = TRI_NIL };
    open_value(result);
    result->outcome_text = tri_outcome_text((uint64_t)result->outcome);
}

enum tri_status tri_follow_next(struct tri_follow *self,
                                tri_time now,
                                struct tri_task_result *result,
                                struct tri_error *error)
{
    struct tri_row *row;
    enum tri_status status = next_row(self, now, &row);

    if (status == TRI_MEMORY)
        return tri_fail(error, status, "out of memory");
    if (status != TRI_OK)
        return nothing(self, error);
    if (row->success)
        fill_success(result, row);
    else
        fill_entry(result, row);
    give(self, row, 1);
    return TRI_OK;
}

enum tri_status tri_follow_next_run(struct tri_follow *self,
                                    tri_time now,
                                    struct tri_result_run *run,
                                    struct tri_error *error)
{
    struct tri_row *row;
    enum tri_status status = next_row(self, now, &row);

    if (status == TRI_MEMORY)
        return tri_fail(error, status, "out of memory");
    if (status != TRI_OK)
        return nothing(self, error);
    if (!row->success)
        return TRI_EMPTY;
    *run = (struct tri_result_run){ .first = row->index,
                                    .count = (uint32_t)run_length(row),
                                    .offsets = row->chunk.offsets + (size_t)row->at * 4,
                                    .blob = row->chunk.blob,
                                    .model = tri_model_text(row->head.model),
                                    .worker = { row->worker, row->worker_size },
                                    .wall_us = row->head.wall_ns / row->head.count / 1000,
                                    .cpu_us = row->head.cpu_ns / row->head.count / 1000 };
    give(self, row, run->count);
    return TRI_OK;
}

bool tri_follow_has_result(const struct tri_follow *self)
{
    return first_row(self) != NULL;
}

void tri_follow_summary(const struct tri_follow *self, struct tri_batch_summary *summary)
{
    *summary = self->summary;
    if (summary->count < self->append.durable)
        summary->count = self->append.durable;
}

enum tri_status tri_follow_reduced(struct tri_follow *self,
                                   struct tri_buffer *out,
                                   struct tri_error *error)
{
    if (self->reducer == NULL)
        return tri_fail(error, TRI_INVALID, "the batch has no reducer");
    if (self->lost.status != TRI_OK)
        return tri_fail(error, TRI_STORE, "%s", self->lost.text);
    if (self->reduce_failure.status != TRI_OK)
        return tri_fail(error, self->reduce_failure.status, "%s", self->reduce_failure.text);
    if (self->merged < self->summary.ok)
        return tri_fail(
            error, TRI_NOTFOUND,
            "%llu of the results were folded by the run that submitted it, and are gone",
            (unsigned long long)(self->summary.ok - self->merged));
    return tri_reducer_finish_json(self->reducer, out, error);
}

enum tri_status tri_session_settle(struct tri_session *self, tri_time now)
{
    enum tri_status status = TRI_OK;

    tri_dlist_foreach(&self->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        tri_rows_hurry(follow, now);
        if (follow->append.builder.count != 0 && follow->append.failure.status == TRI_OK
            && tri_follow_flush(follow, NULL) == TRI_MEMORY)
            status = TRI_MEMORY;
    }
    return status;
}
