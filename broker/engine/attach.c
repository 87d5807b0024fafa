/* attach.c - clients follow a batch: rows to them, acknowledgements from them. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

#include <stdlib.h>

/* Of ATTACHED (client_table.h). */
#define SETTLED_RANGES_MAX 65536

/* ---- the table ------------------------------------------------------------------------------ */

/* A client may follow many batches, a batch may have many clients: whichever is fewer is walked. */
struct post *post_find(const struct session *session, const struct batch *batch)
{
    struct tri_dlist_node *mine = tri_dlist_first(&session->attachments);
    struct tri_dlist_node *theirs = tri_dlist_first(&batch->attachments);

    while (mine != NULL && theirs != NULL) {
        struct post *post = tri_container_of(mine, struct post, of_session);

        if (post->batch == batch)
            return post;
        post = tri_container_of(theirs, struct post, of_batch);
        if (post->session == session)
            return post;
        mine = tri_dlist_next(&session->attachments, mine);
        theirs = tri_dlist_next(&batch->attachments, theirs);
    }
    return NULL;
}

/* The owner stands first. */
struct post *post_owner(const struct batch *batch)
{
    struct tri_dlist_node *first = tri_dlist_first(&batch->attachments);
    struct post *post = first != NULL ? tri_container_of(first, struct post, of_batch) : NULL;

    return post != NULL && post->is_owner ? post : NULL;
}

/* Nobody waits for an acknowledgement of what was retried meanwhile. */
static void give_up_retried(struct engine *engine, const struct post *self)
{
    for (size_t i = 0; self->is_owner && i < self->flight_count; i++) {
        const struct flight *flight = &self->flights[self->flight_first + i];
        const struct row *row = row_find(self->batch, flight->row);

        if (row != NULL && row->retried) {
            row_delete(engine, self->batch, flight->row);
            batch_gain(engine, self->batch);
        }
    }
}

void post_destroy(struct engine *engine, struct post *self)
{
    struct batch *batch = self->batch;

    give_up_retried(engine, self);
    tri_dlist_remove(&self->session->attachments, &self->of_session);
    tri_dlist_remove(&batch->attachments, &self->of_batch);
    tri_rangeset_deinit(&self->have);
    free(self->flights);
    free(self);
    batch_gain(engine, batch);
}

/* Another client of the same principal takes over: the batch has one owner. */
static void depose(struct engine *engine, struct batch *batch)
{
    struct post *owner = post_owner(batch);

    if (owner == NULL)
        return;
    out_error(engine, owner->session, owner->request, TRI_STALE,
              "batch %llu is followed by another client now", (unsigned long long)batch->number);
    batch->deposed = owner->session->instance;
    post_destroy(engine, owner);
}

struct post *post_new(struct engine *engine,
                      struct session *session,
                      struct batch *batch,
                      bool is_owner,
                      uint64_t request,
                      uint64_t window_bytes)
{
    struct post *self = post_find(session, batch);

    if (self != NULL)
        post_destroy(engine, self);
    if (is_owner) {
        depose(engine, batch);
        batch->owned_by = session->instance;
        if (memcmp(&batch->deposed, &session->instance, sizeof(batch->deposed)) == 0)
            batch->deposed = (struct tri_uuid){ 0 };
    }
    self = tri_alloc(1, sizeof(*self));
    self->session = session;
    self->batch = batch;
    self->is_owner = is_owner;
    self->request = request;
    self->window_bytes = window_bytes;
    self->next = batch->row_base;
    tri_dlist_push_back(&session->attachments, &self->of_session);
    if (is_owner)
        tri_dlist_push_front(&batch->attachments, &self->of_batch);
    else
        tri_dlist_push_back(&batch->attachments, &self->of_batch);
    batch_gain(engine, batch);
    return self;
}

/* ---- rows in flight ------------------------------------------------------------------------- */

static void fly(struct post *self, const struct row *row)
{
    if (self->flight_first + self->flight_count == self->flight_capacity) {
        if (self->flight_first > self->flight_count) {
            memmove(self->flights, self->flights + self->flight_first,
                    self->flight_count * sizeof(*self->flights));
            self->flight_first = 0;
        } else {
            self->flight_capacity = self->flight_capacity != 0 ? self->flight_capacity * 2 : 8;
            self->flights =
                tri_realloc(self->flights, self->flight_capacity, sizeof(*self->flights));
        }
    }
    self->flights[self->flight_first + self->flight_count++] =
        (struct flight){ row->id, row->bytes, false };
    self->flight_bytes += row->bytes;
}

/* The position of the first flight at or after `row`. */
static size_t flight_at(const struct post *self, uint64_t row)
{
    size_t low = self->flight_first;
    size_t high = self->flight_first + self->flight_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (self->flights[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool post_awaits(const struct post *self, uint64_t row)
{
    size_t at = flight_at(self, row);

    return at < self->flight_first + self->flight_count && self->flights[at].row == row
           && !self->flights[at].landed;
}

static void land(struct engine *engine, struct post *self, struct tri_range rows)
{
    size_t end = self->flight_first + self->flight_count;

    for (size_t at = flight_at(self, rows.first); at < end; at++) {
        struct flight *flight = &self->flights[at];

        if (flight->row - rows.first >= rows.count)
            break;
        if (flight->landed)
            continue;
        flight->landed = true;
        self->flight_bytes -= flight->bytes;
        if (self->is_owner || PLANTED(READER_DELETES))
            row_delete(engine, self->batch, flight->row);
    }
    while (self->flight_count != 0 && self->flights[self->flight_first].landed) {
        self->flight_first++;
        self->flight_count--;
    }
}

static void settle_in_flight(struct post *self, struct tri_range rows)
{
    size_t end = self->flight_first + self->flight_count;

    for (size_t at = flight_at(self, rows.first); at < end; at++) {
        if (self->flights[at].row - rows.first >= rows.count)
            break;
        row_settle(self->batch, self->flights[at].row);
    }
}

void post_rewind(struct engine *engine, struct post *self)
{
    give_up_retried(engine, self);
    if (self->flight_count != 0)
        self->next = self->flights[self->flight_first].row;
    for (size_t i = 0; i < self->flight_count; i++) {
        struct flight *flight = &self->flights[self->flight_first + i];

        if (flight->landed)
            tri_rangeset_add(&self->have, flight->row, 1);
    }
    self->flight_first = self->flight_count = 0;
    self->flight_bytes = 0;
    self->end_sent = false;
    self->is_full = false;
    self->loading = false;
    post_pump(engine, self);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_end(struct engine *engine, struct post *self)
{
    struct batch *batch = self->batch;
    struct tri_message message = { .type = TRI_MESSAGE_END };
    struct tri_msg_end *end = &message.end;

    end->number = batch->number;
    end->generation = batch->generation;
    end->state = batch->state;
    end->count = batch->count;
    end->done = tri_rangeset_count(&batch->done);
    end->dead = tri_rangeset_count(&batch->dead);
    end->cancelled = tri_rangeset_count(&batch->cancelled);
    end->rows = batch->row_next;
    end->wall_ns = batch->wall_ns;
    end->cpu_ns = batch->cpu_ns;
    end->workers = batch->workers;
    end->elapsed_ms = batch->ended_at - batch->submitted_at;
    if (batch->reason != NULL)
        end->reason = tri_bytes_of(batch->reason);
    self->end_sent = out_send(engine, self->session, &message, true);
}

/* A row larger than the window goes alone; one that was made while the owner had everything before
 * it has its room reserved. */
static bool may_send(const struct post *self, const struct row *row)
{
    return self->flight_bytes == 0 || self->flight_bytes + row->bytes <= self->window_bytes
           || row->on_reserve
           || (self->is_owner
               && self->flight_bytes + row->bytes
                      == self->batch->row_bytes - self->batch->lost_bytes);
}

/* END comes after the last row: who waits for one row among many must not wait for END, too. */
static void tell_full(struct engine *engine, struct post *self)
{
    if (self->is_full || !batch_has_ended(self->batch))
        return;
    self->is_full = true;
    progress_tell(engine, self);
}

static bool send_row(struct engine *engine, struct post *self, const struct row *row)
{
    struct store_key key = { STORE_ROW, self->batch->number, row->id };
    struct tri_bytes frame = { row->frame, row->frame_size };

    if (!engine_payload_is_resident(engine, key)) {
        self->loading = true;
        out_get(&engine->out, key);
        return false;
    }
    out_send_kept(engine, self->session, frame, key);
    fly(self, row);
    return true;
}

void post_pump(struct engine *engine, struct post *self)
{
    struct batch *batch = self->batch;

    if (!self->session->connected || self->loading)
        return;
    if (self->next < batch->row_base)
        self->next = batch->row_base;
    for (; self->next < batch->row_next; self->next++) {
        const struct row *row = row_find(batch, self->next);

        if (row == NULL || row->retried || tri_rangeset_contains(&self->have, self->next))
            continue;
        if (!may_send(self, row)) {
            tell_full(engine, self);
            return;
        }
        if (!send_row(engine, self, row))
            return;
    }
    if (batch_has_ended(batch) && !self->end_sent)
        send_end(engine, self);
}

void post_pump_all(struct engine *engine, struct batch *batch)
{
    tri_dlist_foreach(&batch->attachments, node)
    {
        post_pump(engine, tri_container_of(node, struct post, of_batch));
    }
}

/* ---- ATTACH --------------------------------------------------------------------------------- */

static struct batch *named_batch(struct engine *engine,
                                 struct session *session,
                                 const struct tri_msg_attach *attach)
{
    union tri_bytemap_value *value;

    if (attach->number != 0)
        return batch_find(engine, session, attach->number, attach->request);
    value = tri_bytemap_find(&engine->uuids, attach->batch);
    if (value != NULL && ((struct batch *)value->pointer)->principal == session->principal)
        return value->pointer;
    out_error(engine, session, attach->request, TRI_NOTFOUND, "there is no such batch");
    return NULL;
}

/* What does not come (again): it was acknowledged, or is lost. */
static void list_settled(const struct batch *batch, struct tri_buffer *ranges, size_t *count)
{
    struct tri_rangeset settled = { 0 };

    if (batch->lost_rows == 0) {
        *count = row_ranges(&batch->settled, 0, SETTLED_RANGES_MAX, ranges);
        return;
    }
    tri_rangeset_copy(&settled, &batch->settled);
    row_lost_tasks(batch, &settled);
    *count = row_ranges(&settled, 0, SETTLED_RANGES_MAX, ranges);
    tri_rangeset_deinit(&settled);
}

static void answer_attach(struct engine *engine,
                          struct session *session,
                          uint64_t request,
                          struct batch *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACHED };

    message.attached.request = request;
    message.attached.number = batch->number;
    message.attached.batch = (struct tri_bytes){ batch->uuid.bytes, sizeof(batch->uuid.bytes) };
    message.attached.count = batch->count;
    message.attached.state = batch->state;
    message.attached.spec = (struct tri_bytes){ batch->spec, batch->spec_size };
    list_settled(batch, &engine->scratch, &message.attached.settled.count);
    message.attached.settled.data = engine->scratch.data;
    if (batch->stock != NULL) {
        credit_append(engine, batch);
        message.attached.hash = stock_hash(batch->stock);
        message.attached.append_bytes_max = batch->stock->credit_bytes;
        batch->stock->told_bytes = batch->stock->credit_bytes;
    }
    out_send(engine, session, &message, true);
}

static struct tri_range clip(struct tri_range rows, const struct batch *batch)
{
    uint64_t end = rows.first + rows.count;

    if (end > batch->row_next)
        end = batch->row_next;
    if (rows.first < batch->row_base)
        rows.first = batch->row_base;
    rows.count = end > rows.first ? end - rows.first : 0;
    return rows;
}

/* Rows that the client has consumed before it came (back): from the owner that is as good as an
 * acknowledgement. */
static void take_have(struct engine *engine, struct post *post, struct tri_ranges have)
{
    struct batch *batch = post->batch;

    for (size_t i = 0; i < have.count; i++) {
        struct tri_range rows = clip(tri_ranges_at(have, i), batch);

        if (rows.count == 0)
            continue;
        tri_rangeset_add(&post->have, rows.first, rows.count);
        for (uint64_t id = rows.first; post->is_owner && id < rows.first + rows.count; id++)
            row_settle(batch, id);
    }
    if (!post->is_owner || tri_rangeset_is_empty(&post->have))
        return;
    row_fold(engine, batch);
    for (size_t i = 0; i < have.count; i++) {
        struct tri_range rows = clip(tri_ranges_at(have, i), batch);

        for (uint64_t id = rows.first; id < rows.first + rows.count; id++)
            row_delete(engine, batch, id);
    }
}

/* It was the owner, and has not heard yet that another client took the batch over. */
static bool is_deposed(const struct batch *batch, const struct session *session)
{
    static const struct tri_uuid nobody;

    return memcmp(&batch->owned_by, &nobody, sizeof(nobody)) != 0
           && memcmp(&batch->owned_by, &session->instance, sizeof(nobody)) != 0;
}

void on_attach(struct engine *engine, struct session *session, const struct tri_msg_attach *attach)
{
    struct batch *batch = named_batch(engine, session, attach);
    struct post *post;

    if (batch == NULL)
        return;
    if (attach->owner == ATTACH_OWNER_AGAIN && is_deposed(batch, session)) {
        out_error(engine, session, attach->request, TRI_STALE,
                  "batch %llu is followed by another client now",
                  (unsigned long long)batch->number);
        return;
    }
    post =
        post_new(engine, session, batch, attach->owner != 0, attach->request, attach->window_bytes);
    if (post->is_owner && !batch->sealed)
        batch_set_feeder(engine, batch, batch_may_be_fed_by(batch, session) ? session : NULL);
    else if (batch->feeder == session)
        batch_set_feeder(engine, batch, NULL); /* it only reads from now on */
    if (batch->feeder == session)
        batch->feed_request = attach->request;
    answer_attach(engine, session, attach->request, batch);
    take_have(engine, post, attach->have);
    post_pump(engine, post);
}

/* ---- ACK ------------------------------------------------------------------------------------ */

void on_ack(struct engine *engine, struct session *session, const struct tri_msg_ack *ack)
{
    struct batch *batch = tri_map_find(&engine->batches, ack->number);
    struct post *post = batch != NULL ? post_find(session, batch) : NULL;

    if (post == NULL)
        return; /* it was forgotten or taken over while the acknowledgement was on its way */
    for (size_t i = 0; post->is_owner && i < ack->rows.count; i++)
        settle_in_flight(post, tri_ranges_at(ack->rows, i));
    if (post->is_owner)
        row_fold(engine, batch);
    for (size_t i = 0; i < ack->rows.count; i++)
        land(engine, post, tri_ranges_at(ack->rows, i));
    post_pump(engine, post);
    batch_gain(engine, batch);
}
