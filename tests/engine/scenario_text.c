/* scenario_text.c - messages as the lines that stories expect. */
#include "tests/engine/scenario.h"

#include "common/proto/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
    char *text;
    size_t size;
    size_t used;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    int count;

    va_start(arguments, format);
    count = vsnprintf(line->text + line->used, line->size - line->used, format, arguments);
    va_end(arguments);
    line->used += (size_t)count;
    if (line->used >= line->size)
        line->used = line->size - 1;
}

static const char *batch_name(struct scenario *s, uint64_t number)
{
    for (size_t i = 0; i < s->batch_count; i++)
        if (s->batches[i].number == number)
            return s->batches[i].name;
    return "?";
}

static void add_ranges(struct line *line, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count && i < 20; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        add(line, "%s%llu+%llu", i != 0 ? "," : "", (unsigned long long)range.first,
            (unsigned long long)range.count);
    }
}

static void add_leases(struct line *line, const char *word, struct tri_list list)
{
    struct tri_rec_lease_ref ref;
    bool first = true;

    while (tri_list_next(&list, TRI_RECORD_LEASE_REF, &ref)) {
        add(line, "%s%llu", first ? word : ",",
            (unsigned long long)(ref.lease & ((UINT64_C(1) << 40) - 1)));
        first = false;
    }
}

static const struct held *held_of(const struct peer *peer, uint64_t lease)
{
    for (size_t i = 0; i < peer->held_count; i++)
        if (peer->held[i].lease == lease)
            return &peer->held[i];
    return NULL;
}

static void add_lease_name(struct scenario *s, struct line *line, struct peer *peer, uint64_t lease)
{
    const struct held *held = held_of(peer, lease);

    if (held == NULL)
        add(line, "unknown lease");
    else
        add(line, "%s %llu+%llu", batch_name(s, held->number), (unsigned long long)held->first,
            (unsigned long long)held->count);
}

static void add_items(struct line *line, const struct effect *effect)
{
    for (size_t i = 0; i < effect->send.attachment_count; i++) {
        const struct attachment *part = &effect->send.attachments[i];

        add(line, "%s%llu/%u+%u", i != 0 ? "," : " items=", (unsigned long long)part->key.key,
            part->first, part->count);
    }
}

static void add_lease(struct scenario *s,
                      struct line *line,
                      const struct tri_msg_lease *lease,
                      const struct effect *effect)
{
    add(line, "LEASE %s %llu+%llu", batch_name(s, lease->number), (unsigned long long)lease->first,
        (unsigned long long)lease->count);
    if (lease->generation != 1)
        add(line, " generation=%llu", (unsigned long long)lease->generation);
    if (lease->attempt != 1)
        add(line, " attempt=%llu", (unsigned long long)lease->attempt);
    if (lease->flags & TRI_LEASE_ISOLATED)
        add(line, " isolated");
    add_items(line, effect);
}

static void add_row(struct scenario *s, struct line *line, const struct tri_msg_row *row)
{
    static const char *const kinds[] = { "values", "partial", "entries" };

    add(line, "ROW %s #%llu %s ", batch_name(s, row->number), (unsigned long long)row->row,
        kinds[row->kind]);
    add_ranges(line, row->ranges);
    if (row->generation != 1)
        add(line, " generation=%llu", (unsigned long long)row->generation);
    if (row->kind == TRI_ROW_PARTIAL)
        add(line, " %s", tri_model_text(row->model));
}

static const char *state_name(uint64_t state)
{
    static const char *const names[] = { "open", "running", "done", "halted", "cancelled" };

    return names[state];
}

static void add_end(struct scenario *s, struct line *line, const struct tri_msg_end *end)
{
    add(line, "END %s %s done=%llu dead=%llu cancelled=%llu rows=%llu", batch_name(s, end->number),
        state_name(end->state), (unsigned long long)end->done, (unsigned long long)end->dead,
        (unsigned long long)end->cancelled, (unsigned long long)end->rows);
    if (end->generation != 1)
        add(line, " generation=%llu", (unsigned long long)end->generation);
}

static void add_accepted(struct scenario *s,
                         struct line *line,
                         const struct tri_msg_accepted *accepted)
{
    add(line, "ACCEPTED %s %llu", batch_name(s, accepted->number),
        (unsigned long long)accepted->count);
    if (accepted->absent)
        add(line, " absent");
}

static void add_listed(struct scenario *s, struct line *line, const struct tri_msg_listed *listed)
{
    struct tri_list list = listed->batches;
    struct tri_rec_batch_info info;

    add(line, "LISTED");
    while (tri_list_next(&list, TRI_RECORD_BATCH_INFO, &info))
        add(line, " %s:%s", batch_name(s, info.number), state_name(info.state));
    if (listed->more)
        add(line, " more");
}

static void add_shown(struct scenario *s, struct line *line, const struct tri_msg_shown *shown)
{
    struct tri_list batches = shown->batches;
    struct tri_list entries = shown->entries;
    struct tri_rec_batch_info info;
    struct tri_rec_entry entry;

    tri_list_next(&batches, TRI_RECORD_BATCH_INFO, &info);
    add(line, "SHOWN %s %s done=%llu dead=%llu", batch_name(s, info.number), state_name(info.state),
        (unsigned long long)info.done, (unsigned long long)info.dead);
    while (tri_list_next(&entries, TRI_RECORD_ENTRY, &entry))
        add(line, " %llu:%s*%llu", (unsigned long long)entry.index, tri_outcome_text(entry.outcome),
            (unsigned long long)entry.attempts);
}

/* The tries of a task, as "1:failed@w1", with "+1" for each time that the broker was started since.
 */
static void add_history(struct line *line, struct tri_list history)
{
    struct tri_rec_attempt attempt;
    bool first = true;

    for (add(line, "["); tri_list_next(&history, TRI_RECORD_ATTEMPT, &attempt); first = false) {
        add(line, "%s%llu:%s@%.*s", first ? "" : " ", (unsigned long long)attempt.attempt,
            tri_outcome_text(attempt.outcome), (int)attempt.worker.size,
            (const char *)attempt.worker.data);
        if (attempt.restarts != 0)
            add(line, "+%llu", (unsigned long long)attempt.restarts);
    }
    add(line, "]");
}

static void add_tasks(struct line *line, const struct tri_msg_tasks_info *info)
{
    static const char *const states[] = { "retrying", "dead", "cancelled" };
    struct tri_list tasks = info->tasks;
    struct tri_rec_task_info task;

    add(line, "TASKS_INFO");
    while (tri_list_next(&tasks, TRI_RECORD_TASK_INFO, &task)) {
        add(line, " %llu:%s", (unsigned long long)task.index, states[task.state]);
        add_history(line, task.history);
    }
    if (info->more)
        add(line, " more");
}

static void add_arguments(struct line *line,
                          const struct tri_msg_arguments_info *info,
                          const struct effect *effect)
{
    add(line, "ARGUMENTS_INFO %s",
        info->status == TRI_OK         ? ""
        : info->status == TRI_NOTFOUND ? "NOTFOUND "
                                       : "STORE ");
    add_ranges(line, info->tasks);
    add_items(line, effect);
    if (info->next != 0)
        add(line, " next=%llu", (unsigned long long)info->next);
}

static void add_texts(struct line *line, struct tri_list list)
{
    struct tri_rec_text text;

    while (tri_list_next(&list, TRI_RECORD_TEXT, &text))
        add(line, " | %.*s", (int)text.text.size, (const char *)text.text.data);
}

static void add_workers(struct line *line, struct tri_list list)
{
    static const char *const states[] = { "ready", "silent", "lost" };
    struct tri_rec_worker_info info;

    add(line, "WORKERS_INFO");
    while (tri_list_next(&list, TRI_RECORD_WORKER_INFO, &info))
        add(line, " %.*s:%s:%llu", (int)info.name.size, (const char *)info.name.data,
            states[info.state], (unsigned long long)info.tasks_leased);
}

void scenario_text(struct scenario *s,
                   struct peer *peer,
                   const struct tri_message *message,
                   const struct effect *effect,
                   char *text,
                   size_t size)
{
    struct line out = { text, size, 0 };
    struct line *line = &out;

    text[0] = '\0';
    if (message->type == TRI_MESSAGE_WELCOME) {
        add(line, "WELCOME");
        if (message->welcome.features != 0)
            add(line, " features=%llu", (unsigned long long)message->welcome.features);
        add_leases(line, " dropped=", message->welcome.dropped);
    } else if (message->type == TRI_MESSAGE_ERROR) {
        add(line, "ERROR %s", tri_status_name((enum tri_status)message->error.status));
    } else if (message->type == TRI_MESSAGE_HEARTBEAT_OK) {
        add(line, "HEARTBEAT_OK");
        add_leases(line, " lost=", message->heartbeat_ok.lost);
    } else if (message->type == TRI_MESSAGE_BATCH) {
        add(line, "BATCH %s", batch_name(s, message->batch.number));
    } else if (message->type == TRI_MESSAGE_BATCH_END) {
        add(line, "BATCH_END %s", batch_name(s, message->batch_end.number));
    } else if (message->type == TRI_MESSAGE_LEASE) {
        add_lease(s, line, &message->lease, effect);
    } else if (message->type == TRI_MESSAGE_CREDIT) {
        add(line, "CREDIT ");
        add_lease_name(s, line, peer, message->credit.lease);
        add(line, " bytes=%llu", (unsigned long long)message->credit.result_bytes);
    } else if (message->type == TRI_MESSAGE_REVOKE) {
        add(line, "REVOKE ");
        add_lease_name(s, line, peer, message->revoke.lease);
        add(line, " asked=%llu+%llu", (unsigned long long)message->revoke.first,
            (unsigned long long)message->revoke.count);
    } else if (message->type == TRI_MESSAGE_CANCEL_LEASE) {
        add(line, "CANCEL_LEASE ");
        add_lease_name(s, line, peer, message->cancel_lease.lease);
        add(line, message->cancel_lease.ranges.count == 0 ? " all" : " tasks=");
        add_ranges(line, message->cancel_lease.ranges);
    } else if (message->type == TRI_MESSAGE_RESULTS_OK) {
        add(line, "RESULTS_OK %llu", (unsigned long long)message->results_ok.seq);
    } else if (message->type == TRI_MESSAGE_ACCEPTED) {
        add_accepted(s, line, &message->accepted);
    } else if (message->type == TRI_MESSAGE_APPENDED) {
        add(line, "APPENDED %s %llu", batch_name(s, message->appended.number),
            (unsigned long long)message->appended.count);
    } else if (message->type == TRI_MESSAGE_DONE) {
        add(line, "DONE %llu", (unsigned long long)message->done.count);
    } else if (message->type == TRI_MESSAGE_ATTACHED) {
        add(line, "ATTACHED %s %llu %s", batch_name(s, message->attached.number),
            (unsigned long long)message->attached.count, state_name(message->attached.state));
        if (message->attached.settled.count != 0) {
            add(line, " settled=");
            add_ranges(line, message->attached.settled);
        }
    } else if (message->type == TRI_MESSAGE_ROW) {
        add_row(s, line, &message->row);
    } else if (message->type == TRI_MESSAGE_PROGRESS) {
        add(line, "PROGRESS %s leased=%llu done=%llu workers=%llu",
            batch_name(s, message->progress.number), (unsigned long long)message->progress.leased,
            (unsigned long long)message->progress.done,
            (unsigned long long)message->progress.workers);
    } else if (message->type == TRI_MESSAGE_END) {
        add_end(s, line, &message->end);
    } else if (message->type == TRI_MESSAGE_LISTED) {
        add_listed(s, line, &message->listed);
    } else if (message->type == TRI_MESSAGE_SHOWN) {
        add_shown(s, line, &message->shown);
    } else if (message->type == TRI_MESSAGE_EXPLAINED) {
        add(line, "EXPLAINED");
        add_texts(line, message->explained.lines);
    } else if (message->type == TRI_MESSAGE_WORKERS_INFO) {
        add_workers(line, message->workers_info.workers);
    } else if (message->type == TRI_MESSAGE_TASKS_INFO) {
        add_tasks(line, &message->tasks_info);
    } else if (message->type == TRI_MESSAGE_ARGUMENTS_INFO) {
        add_arguments(line, &message->arguments_info, effect);
    } else {
        add(line, "%s", tri_message_name(message->type));
    }
}
