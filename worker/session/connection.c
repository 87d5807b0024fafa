/* The session with the broker: greeting, heartbeats, and how long leases may be held without an
 * answer. Every heartbeat names every lease, so one instant stands for all of them: when the newest
 * message that the broker has answered was sent. Whatever is held is ours for lease_ms from then.
 */
#include "common/planted.h"
#include "worker/session/parts.h"

#include <stdlib.h>

#define HEARTBEATS_MISSED_MAX 3u
#define LEASES_MAX 65536u /* limits of HELLO.held and HEARTBEAT.leases */
#define STARTED_MAX 4096u /* of RENEW.started */
#define HELD_RANGES_MAX 65536u

/* ---- what is held --------------------------------------------------------------------------- */

/* Sets of tasks by lease, made for one message. */
struct tally {
    struct tri_map sets;
};

struct tally_entry {
    uint64_t number;
    struct tri_rangeset tasks;
};

static struct tri_rangeset *tally_at(struct tally *tally, uint64_t lease, uint64_t number)
{
    struct tally_entry *entry = tri_map_find(&tally->sets, lease);

    if (entry == NULL) {
        entry = tri_alloc(1, sizeof(*entry));
        entry->number = number;
        tri_map_put(&tally->sets, lease, entry);
    }
    return &entry->tasks;
}

static void tally_deinit(struct tally *tally)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&tally->sets, &at, &key, &value);) {
        tri_rangeset_deinit(&((struct tally_entry *)value)->tasks);
        free(value);
    }
    tri_map_deinit(&tally->sets);
}

/* The ranges of a set as a message carries them, in memory until the next step. */
static struct tri_ranges ranges_of(struct session *self,
                                   const struct tri_rangeset *set,
                                   size_t limit)
{
    struct tri_range range;
    struct tri_range *ranges;
    size_t count = 0;

    for (uint64_t at = 0; count < limit && tri_rangeset_next(set, at, &range);
         at = range.first + range.count)
        count++;
    ranges = effects_alloc(self, count * sizeof(*ranges) + 1);
    count = 0;
    for (uint64_t at = 0; count < limit && tri_rangeset_next(set, at, &range);
         at = range.first + range.count)
        ranges[count++] = range;
    return tri_ranges_of(ranges, count);
}

static void tally_reports(struct tally *tally, const struct tri_dlist_head *reports)
{
    tri_dlist_foreach(reports, node)
    {
        const struct report *report = tri_container_of(node, struct report, node);

        reports_tasks(report, tally_at(tally, report->lease, report->number));
    }
}

/* Everything that is ours to finish or to tell: tasks of results that the broker may not have got
 * are named too, else it would have them run again while the results are on their way. */
static struct tri_list held_list(struct session *self, struct tri_buffer *buffer)
{
    struct tally tally = { 0 };
    size_t count = 0;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);) {
        const struct lease *lease = value;

        tri_rangeset_union(tally_at(&tally, key, lease->batch->number), &lease->unreported);
        tally_reports(&tally, &lease->held);
    }
    tally_reports(&tally, &self->unacked);
    for (size_t at = 0; count < LEASES_MAX && tri_map_next(&tally.sets, &at, &key, &value);) {
        const struct tally_entry *entry = value;
        const struct tri_rec_held record = {
            .lease = key,
            .number = entry->number,
            .ranges = ranges_of(self, &entry->tasks, HELD_RANGES_MAX),
        };

        if (record.ranges.count == 0)
            continue;
        tri_record_encode(TRI_RECORD_HELD, &record, buffer);
        count++;
    }
    tally_deinit(&tally);
    return tri_list_of(buffer, count);
}

/* ---- greeting ------------------------------------------------------------------------------- */

static uint64_t oars_of(const struct chooser_machine *machine)
{
    uint64_t oars = machine->width_max != 0 ? machine->width_max : machine->cores;

    return oars == 0 ? 1 : oars < CHOOSER_WIDTH_MAX ? oars : CHOOSER_WIDTH_MAX;
}

void connection_open(struct session *self)
{
    const struct session_options *options = &self->options;
    struct tri_buffer held = { 0 };
    const struct tri_message hello = {
        .type = TRI_MESSAGE_HELLO,
        .hello = { .version_min = TRI_PROTOCOL_VERSION,
                   .version_max = TRI_PROTOCOL_VERSION,
                   .role = TRI_ROLE_WORKER,
                   .instance = { options->instance.bytes, sizeof(options->instance.bytes) },
                   .name = tri_bytes_of(options->name),
                   .software = tri_bytes_of(options->software),
                   .pid = options->pid,
                   .width = oars_of(&options->machine),
                   .handlers = tri_list_of(&self->handler_list, options->handler_count),
                   .labels = tri_list_of(&self->label_list, options->label_count),
                   .held = held_list(self, &held) },
    };

    effects_send_message(self, &hello);
    tri_buffer_deinit(&held);
    self->connection = CONNECTION_GREETING;
    self->hello_at = self->now;
    timers_set(self, &self->connection_timer,
               self->now + HEARTBEATS_MISSED_MAX * self->heartbeat_ms);
}

/* A fresh socket after a while: longer after each failure in a row. */
void connection_lost(struct session *self, const char *why)
{
    uint64_t after_ms;

    if (self->connection == CONNECTION_OFFLINE)
        return;
    self->retries++;
    after_ms = tri_backoff_ms(&self->backoff, self->retries, &self->prng);
    effects_trace(self, "broker.lost after_ms=%lu why=\"%s\"", (unsigned long)after_ms, why);
    self->connection = CONNECTION_OFFLINE;
    timers_clear(self, &self->connection_timer);
    effects_connect(self, after_ms);
}

void connection_on_error(struct session *self, const struct tri_msg_error *error)
{
    effects_trace(self, "broker.refused status=%s text=\"%.*s\"", tri_status_name(error->status),
                  (int)error->text.size, (const char *)error->text.data);
    if (error->status == TRI_VERSION)
        draining_give_up(self);
    else if (self->connection == CONNECTION_GREETING)
        connection_lost(self, "refused");
}

void connection_on_bye(struct session *self, const struct tri_msg_bye *bye)
{
    (void)bye;
    if (self->options.private_run)
        draining_stop(self);
    else
        connection_lost(self, "the broker stops");
}

/* Nothing is held any more. Of the instance that it was another cluster has heard reports, by
 * number: it is one that nobody knows. */
static void forget_all(struct session *self)
{
    struct tri_dlist_node *node;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);)
        batches_drop(self, value);
    while ((node = tri_dlist_pop_front(&self->unacked)) != NULL)
        reports_free(self, tri_container_of(node, struct report, node));
    self->seq = 0;
    self->options.instance.bytes[0]++;
}

/* Another cluster's leases mean nothing here, and what was made for larger messages cannot be told
 * to this broker: forget them, and say HELLO without them, here: the next broker of the list may be
 * of the cluster before, where all would begin anew again. */
static bool begins_anew(struct session *self, const struct tri_msg_welcome *welcome)
{
    bool narrower = welcome->message_bytes_max < self->message_bytes_max;
    bool other = self->has_cluster && welcome->cluster.size == sizeof(self->cluster.bytes)
                 && memcmp(self->cluster.bytes, welcome->cluster.data, welcome->cluster.size) != 0;

    if (welcome->cluster.size == sizeof(self->cluster.bytes)) {
        memcpy(self->cluster.bytes, welcome->cluster.data, welcome->cluster.size);
        self->has_cluster = true;
    }
    self->message_bytes_max = welcome->message_bytes_max;
    if (!other && !narrower)
        return false;
    effects_trace(self, "broker.changed why=\"%s\"",
                  other ? "another cluster" : "its messages have become smaller");
    forget_all(self);
    connection_open(self);
    return true;
}

static void drop_named(struct session *self, struct tri_list list)
{
    struct tri_rec_lease_ref reference;

    while (tri_list_next(&list, TRI_RECORD_LEASE_REF, &reference)) {
        struct lease *lease = tri_map_find(&self->leases, reference.lease);

        if (lease == NULL)
            continue;
        effects_trace(self, "lease.lost lease=%lu", (unsigned long)lease->id);
        leases_drop(self, lease);
    }
}

void connection_on_welcome(struct session *self, const struct tri_msg_welcome *welcome)
{
    if (self->connection != CONNECTION_GREETING || begins_anew(self, welcome))
        return;
    self->connection = CONNECTION_ONLINE;
    self->retries = 0;
    if (welcome->heartbeat_ms != 0)
        self->heartbeat_ms = welcome->heartbeat_ms;
    if (welcome->lease_ms != 0)
        self->lease_ms = welcome->lease_ms;
    self->heard_at = self->now;
    self->confirmed_at = self->hello_at;
    for (size_t i = 0; i < HEARTBEATS_REMEMBERED; i++)
        self->heartbeat_at[i] = 0;
    effects_trace(self, "broker.welcomed epoch=%lu", (unsigned long)welcome->epoch);
    reports_resend(self);
    drop_named(self, welcome->dropped);
    if (self->leases.count != 0)
        connection_watch(self); /* leases may be shorter now */
    timers_set(self, &self->connection_timer, self->now + self->heartbeat_ms);
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

/* What hosts are on, by lease. A table may still name tasks that were reported or given up. */
static uint64_t tally_started(struct session *self,
                              const struct session_event *tick,
                              struct tally *tally)
{
    uint64_t busy = 0;

    for (size_t i = 0; i < tick->started_count; i++) {
        const struct session_task *task = &tick->started[i];
        const struct slice *slice = tri_map_find(&self->slices, task->slice);

        if (slice == NULL || !tri_rangeset_contains(&slice->outstanding, task->index))
            continue;
        tri_rangeset_add(tally_at(tally, slice->lease->id, 0), task->index, 1);
        busy++;
    }
    return busy;
}

static size_t encode_renewals(struct session *self, struct tally *tally, struct tri_buffer *buffer)
{
    size_t count = 0;
    uint64_t key;
    void *value;

    for (size_t at = 0; count < LEASES_MAX && tri_map_next(&self->leases, &at, &key, &value);) {
        struct tally_entry *started = tri_map_find(&tally->sets, key);
        struct tri_rec_renew record = {
            .lease = key,
            .result_bytes_wanted = reports_wanted(value),
        };

        if (started != NULL)
            record.started = ranges_of(self, &started->tasks, STARTED_MAX);
        tri_record_encode(TRI_RECORD_RENEW, &record, buffer);
        count++;
    }
    return count;
}

static void send_heartbeat(struct session *self, const struct session_event *tick)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT };
    struct tri_buffer buffer = { 0 };
    struct tally tally = { 0 };
    size_t count;

    message.heartbeat.seq = ++self->heartbeat_seq;
    message.heartbeat.busy = tally_started(self, tick, &tally);
    count = encode_renewals(self, &tally, &buffer);
    message.heartbeat.leases = tri_list_of(&buffer, count);
    tri_assert(!buffer.failed);
    effects_send_message(self, &message);
    self->heartbeat_at[self->heartbeat_seq % HEARTBEATS_REMEMBERED] = self->now;
    tri_buffer_deinit(&buffer);
    tally_deinit(&tally);
}

void connection_on_timer(struct session *self, const struct session_event *tick)
{
    if (self->connection == CONNECTION_GREETING) {
        connection_lost(self, "no answer to HELLO");
        return;
    }
    if (self->now - self->heard_at >= HEARTBEATS_MISSED_MAX * self->heartbeat_ms) {
        connection_lost(self, "no answer to heartbeats");
        return;
    }
    send_heartbeat(self, tick);
    timers_set(self, &self->connection_timer, self->now + self->heartbeat_ms);
}

void connection_hurry(struct session *self)
{
    if (self->connection == CONNECTION_ONLINE)
        timers_set(self, &self->connection_timer, self->now);
}

void connection_on_heartbeat_ok(struct session *self, const struct tri_msg_heartbeat_ok *ok)
{
    tri_time sent_at = self->heartbeat_at[ok->seq % HEARTBEATS_REMEMBERED];

    self->heard_at = self->now;
    if (ok->seq <= self->heartbeat_seq && self->heartbeat_seq - ok->seq < HEARTBEATS_REMEMBERED
        && sent_at > self->confirmed_at)
        self->confirmed_at = PLANTED_VALUE(DEADLINE_LATE, self->now, sent_at);
    drop_named(self, ok->lost);
}

/* ---- the deadline --------------------------------------------------------------------------- */

bool connection_is_late(const struct session *self)
{
    return self->confirmed_at + self->lease_ms <= self->now;
}

void connection_watch(struct session *self)
{
    tri_time deadline = self->confirmed_at + self->lease_ms;

    if (!tri_heap_is_linked(&self->lease_timer.node) || self->lease_timer.node.key > deadline)
        timers_set(self, &self->lease_timer, deadline);
}

void connection_on_lease_timer(struct session *self)
{
    uint64_t key;
    void *value;

    if (self->leases.count == 0)
        return;
    if (!connection_is_late(self)) {
        connection_watch(self);
        return;
    }
    effects_trace(self, "lease.expired leases=%lu", (unsigned long)self->leases.count);
    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);)
        leases_drop(self, value);
}
