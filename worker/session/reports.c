/* Reports: what hosts say about tasks goes on to the broker under a number of our own, with frames
 * untouched, and is kept until it is acknowledged. Frames need the lease's credit: a report without
 * is held, and nothing new of its lease is begun until there is more. */
#include "common/planted.h"
#include "worker/session/parts.h"

#include <stdlib.h>

#define AHEAD_BYTES 65536u

/* ---- one report ----------------------------------------------------------------------------- */

static void set_seq(struct tri_message *message, uint64_t seq)
{
    if (message->type == TRI_MESSAGE_RESULTS)
        message->results.seq = seq;
    else if (message->type == TRI_MESSAGE_PARTIAL)
        message->partial.seq = seq;
    else if (message->type == TRI_MESSAGE_ENDED)
        message->ended.seq = seq;
    else
        message->released.seq = seq;
}

static struct report *report_new(struct session *self,
                                 uint64_t lease,
                                 uint64_t number,
                                 const struct tri_message *message,
                                 struct tri_frame *body)
{
    struct report *report = tri_alloc(1, sizeof(*report));

    report->lease = lease;
    report->number = number;
    report->head = effects_encode(self, message);
    report->body = body != NULL ? tri_frame_ref(body) : NULL;
    return report;
}

void reports_free(struct session *self, struct report *report)
{
    effects_retire(self, report->head);
    effects_retire(self, report->body);
    free(report);
}

static void report_send(struct session *self,
                        uint64_t lease,
                        uint64_t number,
                        struct tri_message *message,
                        struct tri_frame *body)
{
    struct report *report;

    set_seq(message, ++self->seq);
    report = report_new(self, lease, number, message, body);
    report->seq = self->seq;
    tri_dlist_push_back(&self->unacked, &report->node);
    if (self->connection == CONNECTION_ONLINE)
        effects_send(self, report->head, report->body);
}

void reports_tasks(const struct report *report, struct tri_rangeset *tasks)
{
    struct tri_message message;
    struct tri_ranges ranges = { 0 };
    struct tri_rec_result head;
    struct tri_rec_entry entry;
    size_t size;

    if (tri_message_decode(report->head->bytes, &message, NULL) != TRI_OK)
        return;
    if (message.type == TRI_MESSAGE_PARTIAL)
        ranges = message.partial.ranges;
    else if (message.type == TRI_MESSAGE_RESULTS
             && tri_record_decode_head(TRI_RECORD_RESULT, report->body->bytes, &head, &size, NULL)
                    == TRI_OK)
        ranges = head.runs;
    else if (message.type == TRI_MESSAGE_ENDED)
        while (tri_list_next(&message.ended.entries, TRI_RECORD_ENTRY, &entry))
            tri_rangeset_add(tasks, entry.index, 1);
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        tri_rangeset_add(tasks, range.first, range.count);
    }
}

/* ---- acknowledged --------------------------------------------------------------------------- */

void reports_on_ok(struct session *self, const struct tri_msg_results_ok *ok)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&self->unacked)) != NULL) {
        struct report *report = tri_container_of(node, struct report, node);

        if (report->seq > ok->seq)
            return;
        tri_dlist_remove(&self->unacked, node);
        reports_free(self, report);
    }
}

void reports_resend(struct session *self)
{
    tri_dlist_foreach(&self->unacked, node)
    {
        const struct report *report = tri_container_of(node, struct report, node);

        if (!PLANTED(UNSENT))
            effects_send(self, report->head, report->body);
    }
}

/* ---- credit --------------------------------------------------------------------------------- */

/* All that is awaited still comes after it. */
static bool is_first(const struct lease *lease, const struct report *report)
{
    struct tri_rangeset tasks = { 0 };
    uint64_t first = 0;
    uint64_t next = UINT64_MAX;

    reports_tasks(report, &tasks);
    tri_rangeset_first(&tasks, &first);
    tri_rangeset_first(&lease->unreported, &next);
    tri_rangeset_deinit(&tasks);
    return first < next;
}

/* Room is asked for at once; and again when the first of its tasks has ended, for the broker has
 * room for the oldest task of the batch that it does not give to younger ones while that runs. */
static void hold(struct session *self,
                 struct lease *lease,
                 const struct tri_message *message,
                 struct tri_frame *body)
{
    struct report *report = report_new(self, lease->id, lease->batch->number, message, body);

    tri_dlist_push_back(&lease->held, &report->node);
    lease->held_bytes += body->bytes.size;
    if (lease->starved) {
        if (is_first(lease, report))
            connection_hurry(self);
        return;
    }
    effects_trace(self, "lease.starved lease=%lu credit=%lu used=%lu held=%lu",
                  (unsigned long)lease->id, (unsigned long)lease->credit_bytes,
                  (unsigned long)lease->used_bytes, (unsigned long)lease->held_bytes);
    lease->starved = true;
    lease->starved_at = self->now;
    revokes_ask_all(self, lease);
    connection_hurry(self);
    draining_watch(self);
}

/* Send it, or hold it when its frame is more than the lease has credit for. */
static void forward(struct session *self,
                    struct lease *lease,
                    struct tri_message *message,
                    struct tri_frame *body)
{
    size_t size = body->bytes.size;

    if (!PLANTED(CREDIT_IGNORED)
        && (lease->held.count != 0 || lease->used_bytes + size > lease->credit_bytes)) {
        hold(self, lease, message, body);
        return;
    }
    lease->used_bytes += size;
    report_send(self, lease->id, lease->batch->number, message, body);
}

void reports_continue(struct session *self, struct lease *lease)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&lease->held)) != NULL) {
        struct report *report = tri_container_of(node, struct report, node);
        size_t size = report->body->bytes.size;
        struct tri_message message;

        if (lease->used_bytes + size > lease->credit_bytes)
            return;
        lease->used_bytes += size;
        lease->held_bytes -= size;
        lease->starved_at = self->now;
        tri_dlist_remove(&lease->held, node);
        tri_assert(tri_message_decode(report->head->bytes, &message, NULL) == TRI_OK);
        report_send(self, report->lease, report->number, &message, report->body);
        reports_free(self, report);
    }
    lease->starved = false;
}

void reports_give_back(struct session *self, struct lease *lease)
{
    struct tri_rangeset tasks = { 0 };
    struct tri_dlist_node *node;

    effects_trace(self, "lease.abandoned lease=%lu held=%lu", (unsigned long)lease->id,
                  (unsigned long)lease->held_bytes);
    while ((node = tri_dlist_pop_front(&lease->held)) != NULL) {
        struct report *report = tri_container_of(node, struct report, node);

        reports_tasks(report, &tasks);
        reports_free(self, report);
    }
    lease->held_bytes = 0;
    lease->starved = false;
    leases_release(self, lease, &tasks);
    tri_rangeset_deinit(&tasks);
}

/* What is held, and for the tasks to come as much as each so far took, but no more than as much
 * again: the broker grants a wish whole or not at all, and its room is not ours alone. */
uint64_t reports_wanted(const struct lease *lease)
{
    uint64_t bytes = lease->used_bytes + lease->held_bytes;
    uint64_t shortage = bytes - lease->credit_bytes;
    uint64_t rest = (bytes / (lease->reported_count + 1) + 1) * lease->unreported.count;

    if (!lease->starved)
        return 0;
    return shortage + (rest < shortage + AHEAD_BYTES ? rest : shortage + AHEAD_BYTES);
}

/* ---- from hosts ----------------------------------------------------------------------------- */

static bool is_inside(const struct slice *slice, struct tri_range range)
{
    return range.first >= slice->range.first
           && range.first - slice->range.first <= slice->range.count
           && range.count <= slice->range.count - (range.first - slice->range.first);
}

/* These are over. Returns how many of them were still awaited. */
static uint64_t finish_range(struct slice *slice, struct tri_range range)
{
    uint64_t removed = slices_remove(slice, range);
    struct lease *lease = slice->lease;

    tri_rangeset_remove(&lease->unreported, range.first, range.count);
    lease->reported_count += removed;
    slice->host->reported += removed;
    return removed;
}

/* All ranges are the slice's; or the host is broken: false. */
static bool finish_ranges(struct session *self,
                          struct slice *slice,
                          struct tri_ranges ranges,
                          uint64_t *finished)
{
    *finished = 0;
    for (size_t i = 0; i < ranges.count; i++)
        if (!is_inside(slice, tri_ranges_at(ranges, i))) {
            deaths_on_broken(self, slice->host->id, "it reports tasks that it was not given");
            return false;
        }
    for (size_t i = 0; i < ranges.count; i++)
        *finished += finish_range(slice, tri_ranges_at(ranges, i));
    return true;
}

/* Something was reported: the batch is alive, the host is not stuck. */
static void note_progress(struct session *self, struct slice *slice)
{
    struct batch *batch = slice->lease->batch;

    batch->failures = 0;
    batch->interruptions = 0;
    batch->blocked_until = 0;
    slice->host->barren = false;
    batches_touch(self, batch);
    slices_settle(self, slice);
}

static void on_results(struct session *self, struct slice *slice, const struct session_event *event)
{
    struct lease *lease = slice->lease;
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_rec_result head;
    uint64_t finished;
    size_t size;

    if (event->frame_count == 0
        || tri_record_decode_head(TRI_RECORD_RESULT, event->frames[0]->bytes, &head, &size, NULL)
               != TRI_OK) {
        deaths_on_broken(self, slice->host->id, "its results cannot be read");
        return;
    }
    if (!finish_ranges(self, slice, head.runs, &finished) || finished == 0)
        return;
    batches_measure(lease->batch, head.count, head.wall_ns);
    message.results.lease = lease->id;
    message.results.number = lease->batch->number;
    message.results.generation = lease->generation;
    forward(self, lease, &message, event->frames[0]);
    note_progress(self, slice);
}

static void on_partial(struct session *self, struct slice *slice, const struct session_event *event)
{
    struct lease *lease = slice->lease;
    struct tri_message message = *event->message;
    uint64_t finished;

    if (event->frame_count == 0) {
        deaths_on_broken(self, slice->host->id, "a partial without a frame");
        return;
    }
    if (!finish_ranges(self, slice, message.partial.ranges, &finished) || finished == 0)
        return;
    batches_measure(lease->batch, finished, message.partial.wall_ns);
    message.partial.lease = lease->id;
    message.partial.number = lease->batch->number;
    message.partial.generation = lease->generation;
    forward(self, lease, &message, event->frames[0]);
    note_progress(self, slice);
}

static void on_ended(struct session *self, struct slice *slice, const struct tri_message *given)
{
    struct lease *lease = slice->lease;
    struct tri_message message = *given;
    struct tri_list entries = given->ended.entries;
    struct tri_rec_entry entry;
    uint64_t finished = 0;
    uint64_t timed = 0;
    uint64_t wall_ns = 0;

    while (tri_list_next(&entries, TRI_RECORD_ENTRY, &entry)) {
        const struct tri_range range = { entry.index, 1 };

        if (!is_inside(slice, range)) {
            deaths_on_broken(self, slice->host->id, "it reports tasks that it was not given");
            return;
        }
        finished += finish_range(slice, range);
        if (entry.outcome == TRI_OUTCOME_FAILED || entry.outcome == TRI_OUTCOME_TOO_LARGE) {
            timed++;
            wall_ns += entry.wall_us * 1000 + 500; /* whole microseconds: half of one is missing */
        }
    }
    if (finished == 0)
        return;
    batches_measure(lease->batch, timed, wall_ns);
    message.ended.lease = lease->id;
    message.ended.number = lease->batch->number;
    message.ended.generation = lease->generation;
    report_send(self, lease->id, lease->batch->number, &message, NULL);
    note_progress(self, slice);
}

static uint64_t slice_named(const struct tri_message *message)
{
    if (message->type == TRI_MESSAGE_RESULTS)
        return message->results.lease;
    if (message->type == TRI_MESSAGE_PARTIAL)
        return message->partial.lease;
    if (message->type == TRI_MESSAGE_ENDED)
        return message->ended.lease;
    if (message->type == TRI_MESSAGE_RELEASED)
        return message->released.lease;
    return 0;
}

void reports_on_host_message(struct session *self, const struct session_event *event)
{
    const struct tri_message *message = event->message;
    struct host *host = tri_map_find(&self->hosts, event->host);
    struct slice *slice = tri_map_find(&self->slices, slice_named(message));

    if (host == NULL || (host->state != HOST_SERVING && host->state != HOST_LEAVING))
        return; /* it was given up: what it had runs elsewhere */
    if (message->type == TRI_MESSAGE_OARS)
        hosts_on_oars(self, host, &message->oars);
    else if (slice == NULL || slice->host != host)
        return; /* cancelled meanwhile */
    else if (message->type == TRI_MESSAGE_RESULTS)
        on_results(self, slice, event);
    else if (message->type == TRI_MESSAGE_PARTIAL)
        on_partial(self, slice, event);
    else if (message->type == TRI_MESSAGE_ENDED)
        on_ended(self, slice, message);
    else
        revokes_on_released(self, slice, &message->released);
}

/* ---- our own -------------------------------------------------------------------------------- */

void reports_ended(struct session *self,
                   struct slice *slice,
                   uint64_t index,
                   enum tri_outcome outcome,
                   const char *text)
{
    struct lease *lease = slice->lease;
    struct tri_buffer entries = { 0 };
    const struct tri_rec_entry entry = {
        .index = index,
        .outcome = outcome,
        .attempts = lease->attempt,
        .error = tri_bytes_of(text),
        .model = slice->host->kind == HOST_SHARED ? lease->batch->choice.model : TRI_MODEL_PROCESS,
    };
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };

    finish_range(slice, (struct tri_range){ index, 1 });
    tri_record_encode(TRI_RECORD_ENTRY, &entry, &entries);
    tri_assert(!entries.failed);
    message.ended.lease = lease->id;
    message.ended.number = lease->batch->number;
    message.ended.generation = lease->generation;
    message.ended.entries = tri_list_of(&entries, 1);
    report_send(self, lease->id, lease->batch->number, &message, NULL);
    tri_buffer_deinit(&entries);
    note_progress(self, slice);
}

void reports_released(struct session *self, uint64_t lease, const struct tri_rangeset *set)
{
    struct tri_message message = { .type = TRI_MESSAGE_RELEASED };
    struct tri_buffer buffer = { 0 };
    struct tri_range range;

    for (uint64_t at = 0; tri_rangeset_next(set, at, &range); at = range.first + range.count)
        tri_buffer_append(&buffer, &range, sizeof(range));
    tri_assert(!buffer.failed);
    message.released.lease = lease;
    message.released.ranges =
        (struct tri_ranges){ buffer.data, buffer.size / sizeof(struct tri_range) };
    report_send(self, lease, 0, &message, NULL);
    tri_buffer_deinit(&buffer);
}

void reports_released_range(struct session *self, uint64_t lease, struct tri_range range)
{
    struct tri_rangeset set = { 0 };

    tri_rangeset_add(&set, range.first, range.count);
    reports_released(self, lease, &set);
    tri_rangeset_deinit(&set);
}
