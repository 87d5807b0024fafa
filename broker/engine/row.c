#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

static struct store_key row_key(const struct batch *batch, uint64_t id)
{
    return (struct store_key){ STORE_ROW, batch->number, id };
}

size_t row_ranges(const struct tri_rangeset *set, uint64_t from, size_t max, struct tri_buffer *out)
{
    struct tri_range range;
    size_t count = 0;

    tri_buffer_clear(out);
    for (uint64_t at = from; count < max && tri_rangeset_next(set, at, &range); count++) {
        tri_buffer_append(out, &range, sizeof(range));
        at = range.first + range.count;
    }
    tri_assert(!out->failed);
    return count;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void push(struct batch *batch, struct row *row)
{
    size_t used = (size_t)(batch->row_next - batch->row_base);

    if (used == batch->row_capacity) {
        batch->row_capacity = batch->row_capacity != 0 ? batch->row_capacity * 2 : 4;
        batch->rows = tri_realloc(batch->rows, batch->row_capacity, sizeof(struct row *));
    }
    batch->rows[used] = row;
    batch->row_next++;
}

/* Rows acknowledged at the front make room; looked at once and moved at most once per row, on
 * average: a row that is gone does not come back. */
static void trim(struct batch *batch)
{
    size_t used = (size_t)(batch->row_next - batch->row_base);

    while (batch->row_gone < used && batch->rows[batch->row_gone] == NULL)
        batch->row_gone++;
    if (batch->row_gone < used && (batch->row_gone < 64 || batch->row_gone < used / 2))
        return;
    memmove(batch->rows, batch->rows + batch->row_gone,
            (used - batch->row_gone) * sizeof(struct row *));
    batch->row_base += batch->row_gone;
    batch->row_gone = 0;
}

struct row *row_find(const struct batch *batch, uint64_t id)
{
    if (id < batch->row_base || id >= batch->row_next)
        return NULL;
    return batch->rows[id - batch->row_base];
}

/* ---- make ----------------------------------------------------------------------------------- */

static void keep_frame(struct row *row,
                       struct tri_buffer *scratch,
                       const struct tri_message *message)
{
    tri_buffer_clear(scratch);
    tri_message_encode(message, scratch);
    tri_assert(!scratch->failed);
    free(row->frame); /* what is encoded may borrow from it */
    row->frame_size = scratch->size;
    row->frame = tri_alloc(1, scratch->size);
    memcpy(row->frame, scratch->data, scratch->size);
}

uint64_t row_kind(enum row_what what)
{
    static const uint8_t kinds[] = {
        [ROW_VALUES] = TRI_ROW_VALUES,
        [ROW_PARTIAL] = TRI_ROW_PARTIAL,
        [ROW_DEAD] = TRI_ROW_ENTRIES,
        [ROW_CANCELLED] = TRI_ROW_ENTRIES,
    };

    return kinds[what];
}

static struct row *row_new(struct engine *engine,
                           const struct batch *batch,
                           const struct row_origin *origin,
                           const struct tri_rangeset *ranges)
{
    struct tri_message message = { .type = TRI_MESSAGE_ROW };
    struct tri_buffer pairs = { 0 };
    size_t count = row_ranges(ranges, 0, ROW_RANGES_MAX, &pairs);
    struct row *row = tri_alloc(1, sizeof(*row));

    row->id = batch->row_next;
    row->generation = batch->generation;
    row->what = origin->what;
    message.row.number = batch->number;
    message.row.generation = batch->generation;
    message.row.row = row->id;
    message.row.kind = row_kind(origin->what);
    message.row.worker = origin->worker;
    message.row.model = origin->model;
    message.row.ranges = (struct tri_ranges){ pairs.data, count };
    keep_frame(row, &engine->scratch, &message);
    tri_rangeset_last(ranges, &row->last);
    tri_buffer_deinit(&pairs);
    return row;
}

/* Keep it until the owner has it. */
static void keep(struct engine *engine, struct batch *batch, struct row *row)
{
    push(batch, row);
    if (row->on_reserve)
        tri_dlist_push_back(&batch->reserve_rows, &row->reserve);
    batch->row_bytes += row->bytes;
    engine->memory.row_bytes += row->bytes;
}

static struct tri_bytes head_of(struct engine *engine,
                                const struct batch *batch,
                                const struct row *row,
                                uint64_t flags)
{
    tri_buffer_clear(&engine->scratch);
    stored_row(batch, row, flags | (row->on_reserve ? ROW_ON_RESERVE : 0), &engine->scratch);
    return tri_buffer_bytes(&engine->scratch);
}

void row_add(struct engine *engine,
             struct batch *batch,
             const struct row_origin *origin,
             const struct tri_rangeset *ranges,
             struct tri_bytes payload,
             int frame,
             bool on_reserve)
{
    struct row *row = row_new(engine, batch, origin, ranges);
    struct tri_bytes head;

    row->bytes = payload.size;
    row->on_reserve = on_reserve;
    keep(engine, batch, row);
    if (row->what == ROW_DEAD)
        entry_bury(batch, ranges, row->id);
    head = head_of(engine, batch, row, 0);
    if (frame >= 0)
        out_put_frame(&engine->out, row_key(batch, row->id), head, payload, frame);
    else
        out_put_payload(&engine->out, row_key(batch, row->id), head, payload);
    batch_touch(engine, batch);
    post_pump_all(engine, batch);
}

/* Rows before `id` that are not there have been acknowledged, or retried. However many they are,
 * they take only addresses: pages of zeros that nobody writes. */
static void skip_to(struct batch *batch, uint64_t id)
{
    size_t used = (size_t)(batch->row_next - batch->row_base);
    size_t needed;
    struct row **rows;

    if (used == 0)
        batch->row_base = batch->row_next = id;
    if (id <= batch->row_next)
        return;
    needed = (size_t)(id - batch->row_base);
    if (needed > batch->row_capacity) {
        batch->row_capacity = needed > 2 * batch->row_capacity ? needed : 2 * batch->row_capacity;
        rows = tri_alloc(batch->row_capacity, sizeof(struct row *));
        if (used != 0)
            memcpy(rows, batch->rows, used * sizeof(struct row *));
        free(batch->rows);
        batch->rows = rows;
    } else {
        memset(batch->rows + used, 0, (needed - used) * sizeof(struct row *));
    }
    batch->row_next = id;
}

void row_restore(struct engine *engine,
                 struct batch *batch,
                 const struct tri_msg_row *message,
                 struct tri_bytes frame,
                 enum row_what what,
                 uint64_t payload_bytes,
                 bool on_reserve)
{
    struct row *row = tri_alloc(1, sizeof(*row));
    struct tri_range last = tri_ranges_at(message->ranges, message->ranges.count - 1);

    row->id = message->row;
    row->generation = message->generation;
    row->what = what;
    row->bytes = payload_bytes;
    row->on_reserve = on_reserve;
    row->last = last.first + last.count - 1;
    row->frame_size = frame.size;
    row->frame = tri_alloc(1, frame.size);
    memcpy(row->frame, frame.data, frame.size);
    skip_to(batch, row->id);
    keep(engine, batch, row);
}

void row_restore_gap(struct batch *batch, uint64_t id)
{
    tri_rangeset_add(&batch->unfolded, id, 1);
    skip_to(batch, id + 1);
}

void row_restore_end(struct batch *batch, uint64_t id)
{
    skip_to(batch, id);
}

bool row_reserve_blocks(const struct batch *batch, uint64_t oldest)
{
    tri_dlist_foreach(&batch->reserve_rows, node)
    {
        const struct row *row = tri_container_of(node, struct row, reserve);

        if (row->last < oldest && !row->lost)
            return true;
    }
    return false;
}

/* ---- end ------------------------------------------------------------------------------------ */

/* Not what is running again since: a dead task that was retried by hand. */
static void settle_range(struct batch *batch, struct tri_range range)
{
    uint64_t end = range.first + range.count;
    struct tri_range undone;

    tri_rangeset_add(&batch->settled, range.first, range.count);
    if (batch->generation == 1)
        return;
    for (uint64_t at = range.first; batch_next_undone(batch, at, end, &undone);) {
        tri_rangeset_remove(&batch->settled, undone.first, undone.count);
        at = undone.first + undone.count;
    }
}

static void decode(const struct row *row, struct tri_message *message)
{
    enum tri_status status =
        tri_message_decode((struct tri_bytes){ row->frame, row->frame_size }, message, NULL);

    tri_assert(status == TRI_OK);
}

void row_tasks(const struct row *row, struct tri_rangeset *out)
{
    struct tri_message message;

    decode(row, &message);
    for (size_t i = 0; i < message.row.ranges.count; i++) {
        struct tri_range range = tri_ranges_at(message.row.ranges, i);

        tri_rangeset_add(out, range.first, range.count);
    }
}

void row_settle(struct batch *batch, uint64_t id)
{
    const struct row *row = row_find(batch, id);
    struct tri_message message;

    if (row == NULL || row->retried)
        return;
    decode(row, &message);
    for (size_t i = 0; i < message.row.ranges.count; i++)
        settle_range(batch, tri_ranges_at(message.row.ranges, i));
}

void row_fold(struct engine *engine, struct batch *batch)
{
    struct tri_range ids;

    batch->folds =
        row_ranges(&batch->settled, 0, STORED_RANGES_MAX + 1, &engine->scratch) <= STORED_RANGES_MAX
        && row_ranges(&batch->cancelled, 0, STORED_RANGES_MAX + 1, &engine->scratch)
               <= STORED_RANGES_MAX;
    if (!batch->folds)
        return;
    tri_rangeset_copy(&batch->folded_settled, &batch->settled);
    tri_rangeset_copy(&batch->folded_cancelled, &batch->cancelled);
    batch_put(engine, batch);
    while (tri_rangeset_take_first(&batch->unfolded, UINT64_MAX, &ids))
        for (uint64_t id = ids.first; id < ids.first + ids.count; id++)
            out_delete(&engine->out, row_key(batch, id));
}

static void row_free(struct engine *engine, struct batch *batch, struct row *row)
{
    batch->row_bytes -= row->bytes;
    engine->memory.row_bytes -= row->bytes;
    batch->lost_rows -= row->lost;
    batch->lost_bytes -= row->lost ? row->bytes : 0;
    if (row->on_reserve)
        tri_dlist_remove(&batch->reserve_rows, &row->reserve);
    free(row->frame);
    free(row);
}

void row_lose(struct engine *engine, struct batch *batch, struct row *row)
{
    if (row->lost)
        return;
    row->lost = true;
    batch->lost_rows++;
    batch->lost_bytes += row->bytes;
    batch_gain(engine, batch);
}

void row_lost_tasks(const struct batch *batch, struct tri_rangeset *out)
{
    for (uint64_t id = batch->row_base; batch->lost_rows != 0 && id < batch->row_next; id++) {
        const struct row *row = row_find(batch, id);

        if (row != NULL && row->lost && !row->retried)
            row_tasks(row, out);
    }
}

void row_drop(struct engine *engine, struct batch *batch, struct row *row)
{
    batch->rows[row->id - batch->row_base] = NULL;
    row_free(engine, batch, row);
    trim(batch);
    memory_freed(engine);
}

void row_delete(struct engine *engine, struct batch *batch, uint64_t id)
{
    struct row *row = row_find(batch, id);

    if (row == NULL)
        return;
    if (batch->folds && !row->retried) {
        out_delete(&engine->out, row_key(batch, id));
    } else if (!row->retried) {
        out_put(&engine->out, row_key(batch, id), head_of(engine, batch, row, ROW_ACKNOWLEDGED));
        tri_rangeset_add(&batch->unfolded, id, 1);
    }
    row_drop(engine, batch, row);
}

bool row_cut(struct engine *engine, struct row *row, const struct tri_rangeset *tasks)
{
    struct tri_rangeset left = { 0 };
    struct tri_buffer pairs = { 0 };
    struct tri_message message;
    bool is_left;

    row_tasks(row, &left);
    if (tri_rangeset_subtract(&left, tasks) != 0) {
        decode(row, &message);
        message.row.ranges.count = row_ranges(&left, 0, ROW_RANGES_MAX, &pairs);
        message.row.ranges.data = pairs.data;
        if (message.row.ranges.count != 0)
            keep_frame(row, &engine->scratch, &message);
    }
    is_left = !tri_rangeset_is_empty(&left);
    tri_buffer_deinit(&pairs);
    tri_rangeset_deinit(&left);
    return is_left;
}

static void retry_in(struct engine *engine,
                     struct batch *batch,
                     uint64_t id,
                     const struct tri_rangeset *tasks)
{
    const struct post *owner = post_owner(batch);
    struct row *row = row_find(batch, id);

    if (row == NULL || row->what != ROW_DEAD || row->retried)
        return;
    engine->rows_searched++;
    if (row_cut(engine, row, tasks))
        return;
    out_delete(&engine->out, row_key(batch, id));
    row->retried = true;
    if (owner == NULL || !post_awaits(owner, id))
        row_drop(engine, batch, row);
}

void row_retry(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks)
{
    struct tri_rangeset rows = { 0 };
    struct tri_range range;

    if (!entry_rows(batch, tasks, &rows))
        tri_rangeset_add(&rows, batch->row_base, batch->row_next - batch->row_base);
    for (uint64_t at = 0; tri_rangeset_next(&rows, at, &range); at = range.first + range.count)
        for (uint64_t i = 0; i < range.count; i++)
            retry_in(engine, batch, range.first + i, tasks);
    tri_rangeset_deinit(&rows);
}

void row_free_all(struct engine *engine, struct batch *batch)
{
    for (uint64_t id = batch->row_base; id < batch->row_next; id++) {
        struct row *row = row_find(batch, id);

        if (row != NULL)
            row_free(engine, batch, row);
    }
    free(batch->rows);
    batch->rows = NULL;
    memory_freed(engine);
}
