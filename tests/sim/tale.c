#include "tests/sim/tale.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define RANGES_SHOWN 6
#define TEXT_SHOWN 60
#define LINE_SIZE 2000

struct line {
    char text[LINE_SIZE];
    size_t size;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(line->text + line->size, LINE_SIZE - line->size, format, args);
    va_end(args);
    line->size += (size_t)size < LINE_SIZE - line->size ? (size_t)size : LINE_SIZE - line->size - 1;
}

/* ---- fields, by kind: nothing, zero and empty are left out ----------------------------------- */

static void say_number(struct line *line, const char *name, uint64_t number)
{
    if (number != 0)
        add(line, " %s=%" PRIu64, name, number);
}

static void say_text(struct line *line, const char *name, struct tri_bytes text)
{
    int shown = text.size < TEXT_SHOWN ? (int)text.size : TEXT_SHOWN;

    if (text.size != 0)
        add(line, " %s=\"%.*s\"", name, shown, (const char *)text.data);
}

static void say_bytes(struct line *line, const char *name, struct tri_bytes bytes)
{
    if (bytes.size != 0 && bytes.size <= 16)
        add(line, " %s=%02x%02x..", name, bytes.data[0], bytes.data[1 % bytes.size]);
    else if (bytes.size != 0)
        add(line, " %s=%zuB", name, bytes.size);
}

static void say_ranges(struct line *line, const char *name, struct tri_ranges ranges)
{
    if (ranges.count == 0)
        return;
    add(line, " %s=", name);
    for (size_t i = 0; i < ranges.count && i < RANGES_SHOWN; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        add(line, "%s%" PRIu64 "+%" PRIu64, i != 0 ? "," : "", range.first, range.count);
    }
    if (ranges.count > RANGES_SHOWN)
        add(line, ",... (%zu ranges)", ranges.count);
}

static void say_records(struct line *line, const char *name, struct tri_list list);

#define SAY_U(name, max) say_number(line, #name, (uint64_t)record->name);
#define SAY_I(name) say_number(line, #name, (uint64_t)record->name);
#define SAY_S(name, max) say_text(line, #name, record->name);
#define SAY_B(name, max) say_bytes(line, #name, record->name);
#define SAY_R(name, max) say_ranges(line, #name, record->name);
#define SAY_L(name, type, max) say_records(line, #name, record->name);
#define SAY(table) table(SAY_U, SAY_I, SAY_S, SAY_B, SAY_R, SAY_L)

/* Lists of what the story is about are told one by one. */
static void say_records(struct line *line, const char *name, struct tri_list list)
{
    if (list.count != 0)
        add(line, " %s=[%zu]", name, list.count);
}

static void say_entry(struct line *line, const struct tri_rec_entry *record)
{
    add(line, " {%" PRIu64 " %s attempt %" PRIu64 "%s}", record->index,
        tri_outcome_text(record->outcome), record->attempts,
        record->flags != 0 ? " uncharged" : "");
}

static void say_entries(struct line *line, struct tri_list list)
{
    struct tri_rec_entry entry;

    for (int i = 0; i < RANGES_SHOWN && tri_list_next(&list, TRI_RECORD_ENTRY, &entry); i++)
        say_entry(line, &entry);
}

static void say_renewals(struct line *line, struct tri_list list)
{
    struct tri_rec_renew renew;

    for (int i = 0; i < RANGES_SHOWN && tri_list_next(&list, TRI_RECORD_RENEW, &renew); i++) {
        add(line, " {%" PRIu64, renew.lease);
        say_number(line, "wanted", renew.result_bytes_wanted);
        say_ranges(line, "started", renew.started);
        add(line, "}");
    }
}

static void say_held(struct line *line, struct tri_list list)
{
    struct tri_rec_held held;

    for (int i = 0; i < RANGES_SHOWN && tri_list_next(&list, TRI_RECORD_HELD, &held); i++) {
        add(line, " {%" PRIu64, held.lease);
        say_ranges(line, "tasks", held.ranges);
        add(line, "}");
    }
}

static void say_leases(struct line *line, struct tri_list list)
{
    struct tri_rec_lease_ref lease;

    while (tri_list_next(&list, TRI_RECORD_LEASE_REF, &lease))
        add(line, " {%" PRIu64 "}", lease.lease);
}

static void say_lines(struct line *line, struct tri_list list)
{
    struct tri_rec_text text;

    while (tri_list_next(&list, TRI_RECORD_TEXT, &text))
        add(line, "\n%24s%.*s", "", (int)text.text.size, (const char *)text.text.data);
}

/* ---- messages ------------------------------------------------------------------------------- */

#define X(upper, code, lower)                                                        \
    static void say_##lower(struct line *line, const struct tri_msg_##lower *record) \
    {                                                                                \
        (void)line;                                                                  \
        (void)record;                                                                \
        SAY(TRI_MSG_##upper)                                                         \
    }
TRI_MESSAGE_MAP(X)
#undef X

static void say_message(struct line *line, const struct tri_message *message)
{
    switch (message->type) {
#define X(upper, code, lower)               \
    case TRI_MESSAGE_##upper:               \
        say_##lower(line, &message->lower); \
        break;
        TRI_MESSAGE_MAP(X)
#undef X
    }
}

static void say_more(struct line *line,
                     const struct tri_message *message,
                     struct tri_frame *const *frames,
                     size_t count)
{
    struct tri_rec_entries entries;
    struct tri_rec_result head;
    size_t size;

    if (message->type == TRI_MESSAGE_ENDED)
        say_entries(line, message->ended.entries);
    else if (message->type == TRI_MESSAGE_HEARTBEAT)
        say_renewals(line, message->heartbeat.leases);
    else if (message->type == TRI_MESSAGE_HEARTBEAT_OK)
        say_leases(line, message->heartbeat_ok.lost);
    else if (message->type == TRI_MESSAGE_EXPLAINED)
        say_lines(line, message->explained.lines);
    else if (message->type == TRI_MESSAGE_HELLO)
        say_held(line, message->hello.held);
    else if (message->type == TRI_MESSAGE_WELCOME)
        say_leases(line, message->welcome.dropped);
    else if (message->type == TRI_MESSAGE_ROW && message->row.kind == TRI_ROW_ENTRIES && count > 1
             && tri_record_decode(TRI_RECORD_ENTRIES, frames[1]->bytes, &entries, NULL) == TRI_OK)
        say_entries(line, entries.entries);
    else if (message->type == TRI_MESSAGE_RESULTS && count > 1
             && tri_record_decode_head(TRI_RECORD_RESULT, frames[1]->bytes, &head, &size, NULL)
                    == TRI_OK)
        say_ranges(line, "runs", head.runs);
}

void tale_message(const struct sim *sim,
                  const char *from,
                  const char *to,
                  const struct tri_message *message,
                  struct tri_frame *const *frames,
                  size_t count)
{
    struct line line = { .size = 0 };

    if (!sim->trace)
        return;
    add(&line, "> %-8s %s", to, tri_message_name(message->type));
    say_message(&line, message);
    say_more(&line, message, frames, count);
    for (size_t i = 1; i < count; i++)
        add(&line, " +%zuB", frames[i]->bytes.size);
    sim_tell(sim, from, "%s", line.text);
}
