#include "story.h"

#include "common/assert.h"
#include "common/proto/chunk.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 4096
#define LINE_SIZE 512

static struct session *session;
static tri_time now;
static char lines[LINES_MAX][LINE_SIZE];
static size_t line_count;
static size_t line_next;
static uint64_t heartbeat_seq;
static struct tri_uuid greeting; /* the instance of the last HELLO */
static uint64_t message_bytes_max;
static const struct session_task *on;
static size_t on_count;

static const struct session_handler handlers[] = {
    { .name = "compute" },
    { .name = "wait", .flags = HANDLER_WAITS },
    { .name = "unsafe", .flags = HANDLER_PROCESS_ONLY },
};

/* ---- effects as lines ------------------------------------------------------------------------ */

static void say(char *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(char *line, const char *format, ...)
{
    size_t used = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line + used, LINE_SIZE - used, format, arguments);
    va_end(arguments);
}

static void say_ranges(char *line, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        say(line, "%s%lu+%lu", i == 0 ? "" : ",", (unsigned long)range.first,
            (unsigned long)range.count);
    }
    if (ranges.count == 0)
        say(line, "-");
}

static void say_hello(char *line, struct tri_msg_hello hello)
{
    struct tri_rec_held held;

    memcpy(greeting.bytes, hello.instance.data, sizeof(greeting.bytes));
    say(line, "HELLO");
    ck_assert_uint_eq(hello.role, TRI_ROLE_WORKER);
    ck_assert_uint_eq(hello.handlers.count, TRI_COUNT_OF(handlers));
    while (tri_list_next(&hello.held, TRI_RECORD_HELD, &held)) {
        say(line, " %lu:", (unsigned long)held.lease);
        say_ranges(line, held.ranges);
    }
}

static void say_heartbeat(char *line, struct tri_msg_heartbeat heartbeat)
{
    struct tri_rec_renew renew;

    heartbeat_seq = heartbeat.seq;
    say(line, "HEARTBEAT busy %lu", (unsigned long)heartbeat.busy);
    while (tri_list_next(&heartbeat.leases, TRI_RECORD_RENEW, &renew)) {
        say(line, " %lu:", (unsigned long)renew.lease);
        say_ranges(line, renew.started);
        if (renew.result_bytes_wanted != 0)
            say(line, "!%lu", (unsigned long)renew.result_bytes_wanted);
    }
}

static void say_ended(char *line, struct tri_msg_ended ended)
{
    struct tri_rec_entry entry;

    say(line, "ENDED #%lu lease %lu:", (unsigned long)ended.seq, (unsigned long)ended.lease);
    while (tri_list_next(&ended.entries, TRI_RECORD_ENTRY, &entry))
        say(line, " %lu %s (%.*s)", (unsigned long)entry.index, tri_outcome_text(entry.outcome),
            (int)entry.error.size, (const char *)entry.error.data);
}

static void say_oars(char *line, const struct tri_msg_oars *oars)
{
    if (oars->status != TRI_OK)
        say(line, "OARS %lu refused %s", (unsigned long)oars->number,
            tri_status_name((enum tri_status)oars->status));
    else
        say(line, "OARS %lu %s x%lu", (unsigned long)oars->number, tri_model_text(oars->model),
            (unsigned long)oars->width);
    ck_assert_uint_gt(oars->reason.size, 0);
}

static void say_results(char *line,
                        const struct tri_msg_results *results,
                        const struct session_effect *effect)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_error error;

    ck_assert_uint_eq(effect->frame_count, 2);
    ck_assert_msg(tri_result_open(effect->frames[1]->bytes, &head, &chunk, &error) == TRI_OK, "%s",
                  error.text);
    say(line, "RESULTS #%lu lease %lu: ", (unsigned long)results->seq,
        (unsigned long)results->lease);
    say_ranges(line, head.runs);
}

static void say_sent(char *line, const struct session_effect *effect)
{
    struct tri_message message;
    struct tri_error error;

    ck_assert_msg(tri_message_decode(effect->frames[0]->bytes, &message, &error) == TRI_OK, "%s",
                  error.text);
    if (message.type == TRI_MESSAGE_HELLO) {
        say_hello(line, message.hello);
    } else if (message.type == TRI_MESSAGE_HEARTBEAT) {
        say_heartbeat(line, message.heartbeat);
    } else if (message.type == TRI_MESSAGE_OARS) {
        say_oars(line, &message.oars);
    } else if (message.type == TRI_MESSAGE_RESULTS) {
        say_results(line, &message.results, effect);
    } else if (message.type == TRI_MESSAGE_PARTIAL) {
        say(line, "PARTIAL #%lu lease %lu: ", (unsigned long)message.partial.seq,
            (unsigned long)message.partial.lease);
        say_ranges(line, message.partial.ranges);
    } else if (message.type == TRI_MESSAGE_ENDED) {
        say_ended(line, message.ended);
    } else if (message.type == TRI_MESSAGE_RELEASED) {
        say(line, "RELEASED #%lu lease %lu: ", (unsigned long)message.released.seq,
            (unsigned long)message.released.lease);
        say_ranges(line, message.released.ranges);
    } else if (message.type == TRI_MESSAGE_BYE) {
        say(line, "BYE %.*s", (int)message.bye.text.size, (const char *)message.bye.text.data);
    } else {
        ck_abort_msg("sent %s", tri_message_name(message.type));
    }
}

/* The values of item frames, which are consecutive integers below 2^31. */
static void say_items(char *line, const struct session_effect *effect)
{
    uint32_t first = 0;
    uint32_t next = 0;

    for (size_t i = 0; i < effect->frame_count; i++) {
        struct tri_chunk chunk;
        struct tri_error error;

        ck_assert_msg(tri_items_open(effect->frames[i]->bytes, &chunk, &error) == TRI_OK, "%s",
                      error.text);
        for (uint32_t j = 0; j < chunk.count; j++) {
            struct tri_bytes bytes = tri_chunk_at(&chunk, j);
            uint32_t value = (uint32_t)bytes.data[1] << 24 | (uint32_t)bytes.data[2] << 16
                             | (uint32_t)bytes.data[3] << 8 | bytes.data[4];

            if (i == 0 && j == 0)
                first = next = value;
            ck_assert_uint_eq(value, next++);
        }
    }
    if (effect->frame_count != 0)
        say(line, " items %u..%u/%zu", first, next - 1, effect->frame_count);
}

static void say_to_host(char *line, const struct session_effect *effect)
{
    const struct tri_message *message = effect->message;

    say(line, "to %lu: ", (unsigned long)effect->host);
    if (message->type == TRI_MESSAGE_BATCH) {
        struct tri_rec_spec spec;

        ck_assert(tri_record_decode(TRI_RECORD_SPEC, message->batch.spec, &spec, NULL) == TRI_OK);
        say(line, "BATCH");
        if (spec.output_bytes_max != 0)
            say(line, " output %lu", (unsigned long)spec.output_bytes_max);
    } else if (message->type == TRI_MESSAGE_OARS) {
        say(line, "OARS");
    } else if (message->type == TRI_MESSAGE_LEASE) {
        say(line, "LEASE %lu %lu+%lu", (unsigned long)message->lease.lease,
            (unsigned long)message->lease.first, (unsigned long)message->lease.count);
        say_items(line, effect);
    } else if (message->type == TRI_MESSAGE_REVOKE) {
        say(line, "REVOKE %lu %lu+%lu", (unsigned long)message->revoke.lease,
            (unsigned long)message->revoke.first, (unsigned long)message->revoke.count);
    } else if (message->type == TRI_MESSAGE_CANCEL_LEASE) {
        say(line, "CANCEL %lu ", (unsigned long)message->cancel_lease.lease);
        say_ranges(line, message->cancel_lease.ranges);
    } else {
        ck_abort_msg("to a host: %s", tri_message_name(message->type));
    }
}

static void note(const struct session_effect *effect)
{
    char *line = lines[line_count];

    ck_assert_uint_lt(line_count, LINES_MAX - 1);
    line[0] = '\0';
    switch (effect->type) {
    case SESSION_DO_SEND:
        say_sent(line, effect);
        break;
    case SESSION_DO_CONNECT:
        say(line, "connect");
        break;
    case SESSION_DO_HOST_START:
        say(line, "start %lu %s x%lu%s", (unsigned long)effect->host, tri_model_text(effect->model),
            (unsigned long)effect->width, effect->spawn ? " spawn" : "");
        break;
    case SESSION_DO_HOST_SEND:
        say_to_host(line, effect);
        break;
    case SESSION_DO_HOST_KILL:
        say(line, "kill %lu %s", (unsigned long)effect->host, sigabbrev_np(effect->signal));
        break;
    case SESSION_DO_HOST_END:
        say(line, "end %lu", (unsigned long)effect->host);
        break;
    case SESSION_DO_EXIT:
        say(line, "exit %d", effect->status);
        break;
    case SESSION_DO_TRACE:
        return;
    }
    line_count++;
}

void expect(const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    ck_assert_msg(line_next < line_count, "expected '%s', nothing happened", line);
    ck_assert_msg(strcmp(line, lines[line_next]) == 0, "expected '%s', got '%s'", line,
                  lines[line_next]);
    line_next++;
}

void expect_nothing_else(void)
{
    ck_assert_msg(line_next == line_count, "not expected: '%s'", lines[line_next]);
}

void expect_host(uint64_t host, const char *model, uint64_t width)
{
    expect("start %lu %s x%lu", (unsigned long)host, model, (unsigned long)width);
    expect("to %lu: BATCH", (unsigned long)host);
    expect("to %lu: OARS", (unsigned long)host);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void apply(struct session_event *event)
{
    struct session_effects effects;

    event->now = now;
    effects = session_step(session, event);
    for (size_t i = 0; i < effects.count; i++)
        note(&effects.items[i]);
    session_check(session);
}

void event_comes(struct session_event *event)
{
    expect_nothing_else();
    apply(event);
}

void simple_event(enum session_event_type type)
{
    event_comes(&(struct session_event){ .type = type });
}

void hosts_are_on(const struct session_task *started, size_t count)
{
    on = started;
    on_count = count;
}

void time_passes_ms(uint64_t ms)
{
    tri_time end = now + ms;

    expect_nothing_else();
    while (session_deadline(session) <= end) {
        if (session_deadline(session) > now)
            now = session_deadline(session);
        apply(&(struct session_event){
            .type = SESSION_TICK, .started = on, .started_count = on_count });
    }
    now = end;
}

/* ---- the cast -------------------------------------------------------------------------------- */

void session_begins(story_change_fn *change)
{
    struct session_options options;

    session_options_init(&options);
    options.name = "w1";
    options.instance.bytes[0] = 7;
    options.seed = 1;
    options.handlers = handlers;
    options.handler_count = TRI_COUNT_OF(handlers);
    options.machine.cores = CORES;
    if (change != NULL)
        change(&options);
    session = session_new(&options);
    now = 1000000;
    line_count = line_next = 0;
    broker_takes(0);
    hosts_are_on(NULL, 0);
}

void session_ends(void)
{
    expect_nothing_else();
    session_destroy(&session);
}

void worker_joins(void)
{
    simple_event(SESSION_CONNECTED);
    expect("HELLO");
    broker_welcomes(0);
}

/* ---- the broker ------------------------------------------------------------------------------ */

void broker_says(const struct tri_message *message)
{
    event_comes(&(struct session_event){ .type = SESSION_MESSAGE, .message = message });
}

static struct tri_list lease_list(struct tri_buffer *buffer, uint64_t lease)
{
    if (lease != 0)
        tri_record_encode(TRI_RECORD_LEASE_REF, &(struct tri_rec_lease_ref){ .lease = lease },
                          buffer);
    return tri_list_of(buffer, lease != 0);
}

void broker_takes(uint64_t bytes)
{
    message_bytes_max = bytes;
}

static void welcome(uint8_t cluster, uint64_t lease_ms, uint64_t dropped_lease)
{
    const uint8_t bytes[16] = { cluster };
    struct tri_buffer buffer = { 0 };
    struct tri_message message = { .type = TRI_MESSAGE_WELCOME };

    message.welcome.version = TRI_PROTOCOL_VERSION;
    message.welcome.cluster = (struct tri_bytes){ bytes, sizeof(bytes) };
    message.welcome.epoch = 1;
    message.welcome.heartbeat_ms = 1000;
    message.welcome.lease_ms = lease_ms;
    message.welcome.message_bytes_max = message_bytes_max;
    message.welcome.dropped = lease_list(&buffer, dropped_lease);
    broker_says(&message);
    tri_buffer_deinit(&buffer);
}

void broker_welcomes(uint64_t dropped_lease)
{
    welcome(1, 10000, dropped_lease);
}

void broker_of_cluster_welcomes(uint8_t cluster)
{
    welcome(cluster, 10000, 0);
}

void broker_with_lease_ms_welcomes(uint64_t lease_ms)
{
    welcome(1, lease_ms, 0);
}

struct tri_uuid greeted_as(void)
{
    return greeting;
}

void broker_acknowledges(uint64_t seq)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_RESULTS_OK, .results_ok.seq = seq });
}

void broker_answers_heartbeat(uint64_t lost_lease)
{
    struct tri_buffer buffer = { 0 };
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT_OK };

    message.heartbeat_ok.seq = heartbeat_seq;
    message.heartbeat_ok.lost = lease_list(&buffer, lost_lease);
    broker_says(&message);
    tri_buffer_deinit(&buffer);
}

void batch_with(uint64_t number, const struct tri_rec_spec *spec)
{
    static uint8_t uuid[16];
    struct tri_buffer buffer = { 0 };
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };

    tri_record_encode(TRI_RECORD_SPEC, spec, &buffer);
    uuid[0] = (uint8_t)number;
    message.batch.number = number;
    message.batch.batch = (struct tri_bytes){ uuid, sizeof(uuid) };
    message.batch.spec = tri_buffer_bytes(&buffer);
    broker_says(&message);
    tri_buffer_deinit(&buffer);
}

void batch_comes(uint64_t number, const char *handler, enum tri_model model, uint64_t width)
{
    const struct tri_rec_spec spec = {
        .handler = tri_bytes_of(handler),
        .source = TRI_SOURCE_RANGE,
        .step = 1,
        .count = 1000000,
        .model = model,
        .width = width,
    };

    batch_with(number, &spec);
}

void batch_ends(uint64_t number)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_BATCH_END, .batch_end.number = number });
}

void lease_with(const struct tri_msg_lease *lease)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_LEASE, .lease = *lease });
}

void lease_comes(uint64_t lease, uint64_t number, uint64_t first, uint64_t count)
{
    const struct tri_msg_lease message = {
        .lease = lease,
        .number = number,
        .first = first,
        .count = count,
        .attempt = 1,
        .result_bytes = CREDIT,
    };

    lease_with(&message);
}

static struct tri_frame *item_frame(uint64_t first, uint64_t count)
{
    struct tri_chunk_builder builder;
    struct tri_buffer out = { 0 };
    struct tri_frame *frame;

    tri_chunk_builder_init(&builder);
    for (uint64_t i = first; i < first + count; i++) {
        const uint8_t value[5] = { 0xce, (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                                   (uint8_t)i };

        tri_buffer_append(&builder.blob, value, sizeof(value));
        tri_chunk_builder_close_value(&builder);
    }
    tri_items_encode(&builder, &out);
    tri_chunk_builder_deinit(&builder);
    frame = tri_frame_take(&out);
    return frame;
}

void items_come(uint64_t lease, uint64_t number, uint64_t first, uint64_t count, uint64_t per_frame)
{
    struct tri_message message = { .type = TRI_MESSAGE_LEASE };
    struct tri_frame *frames[256];
    size_t frame_count = 0;
    struct session_event event = { .type = SESSION_MESSAGE, .message = &message };

    for (uint64_t at = first; at < first + count; at += per_frame)
        frames[frame_count++] =
            item_frame(at, per_frame < first + count - at ? per_frame : first + count - at);
    message.lease.lease = lease;
    message.lease.number = number;
    message.lease.first = first;
    message.lease.count = count;
    message.lease.attempt = 1;
    message.lease.result_bytes = CREDIT;
    event.frames = frames;
    event.frame_count = frame_count;
    event_comes(&event);
    for (size_t i = 0; i < frame_count; i++)
        tri_frame_unref(frames[i]);
}

void credit_comes(uint64_t lease, uint64_t bytes)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_CREDIT,
                                       .credit = { .lease = lease, .result_bytes = bytes } });
}

void broker_revokes(uint64_t lease, uint64_t first, uint64_t count)
{
    broker_says(&(struct tri_message){
        .type = TRI_MESSAGE_REVOKE, .revoke = { .lease = lease, .first = first, .count = count } });
}

void broker_cancels(uint64_t lease, uint64_t first, uint64_t count)
{
    const struct tri_range range = { first, count };

    broker_says(&(struct tri_message){
        .type = TRI_MESSAGE_CANCEL_LEASE,
        .cancel_lease = { .lease = lease, .ranges = tri_ranges_of(&range, count != 0) } });
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static void host_says(uint64_t host, const struct tri_message *message, struct tri_frame *frame)
{
    event_comes(&(struct session_event){ .type = SESSION_HOST_MESSAGE,
                                         .host = host,
                                         .message = message,
                                         .frames = &frame,
                                         .frame_count = frame != NULL });
}

static void return_runs(uint64_t host,
                        uint64_t slice,
                        const struct story_range *runs,
                        size_t run_count,
                        uint64_t value_bytes,
                        uint64_t task_us)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS, .results.lease = slice };
    struct tri_rec_result head = { .model = TRI_MODEL_THREAD };
    struct tri_chunk_builder builder;
    struct tri_buffer out = { 0 };
    struct tri_frame *frame;

    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < run_count; i++)
        for (uint64_t j = 0; j < runs[i].count; j++) {
            for (uint64_t k = 0; k < value_bytes; k++)
                tri_buffer_append(&builder.blob, "\xc0", 1);
            tri_chunk_builder_close_value(&builder);
        }
    head.runs = (struct tri_ranges){ (const uint8_t *)runs, run_count };
    head.wall_ns = builder.count * task_us * 1000;
    tri_result_encode(&builder, &head, &out);
    tri_chunk_builder_deinit(&builder);
    frame = tri_frame_take(&out);
    host_says(host, &message, frame);
    tri_frame_unref(frame);
}

void host_returns(uint64_t host, uint64_t slice, uint64_t first, uint64_t count, uint64_t task_us)
{
    const struct story_range run = { first, count };

    return_runs(host, slice, &run, 1, 1, task_us);
}

void host_returns_runs(uint64_t host,
                       uint64_t slice,
                       const struct story_range *runs,
                       size_t run_count,
                       uint64_t value_bytes)
{
    return_runs(host, slice, runs, run_count, value_bytes, 1);
}

void host_folds(uint64_t host, uint64_t slice, uint64_t first, uint64_t count)
{
    const struct tri_range range = { first, count };
    const struct tri_message message = {
        .type = TRI_MESSAGE_PARTIAL,
        .partial = { .lease = slice, .ranges = tri_ranges_of(&range, 1), .model = 2 },
    };
    struct tri_frame *frame = tri_frame_copy(tri_bytes_of("folded"));

    host_says(host, &message, frame);
    tri_frame_unref(frame);
}

void host_ends_task(uint64_t host, uint64_t slice, uint64_t index, enum tri_outcome outcome)
{
    const struct tri_rec_entry entry = {
        .index = index, .outcome = outcome, .attempts = 1, .error = tri_bytes_of("as it was")
    };
    struct tri_message message = { .type = TRI_MESSAGE_ENDED, .ended.lease = slice };
    struct tri_buffer buffer = { 0 };

    tri_record_encode(TRI_RECORD_ENTRY, &entry, &buffer);
    message.ended.entries = tri_list_of(&buffer, 1);
    host_says(host, &message, NULL);
    tri_buffer_deinit(&buffer);
}

void host_gives_back(uint64_t host, uint64_t slice, uint64_t first, uint64_t count)
{
    const struct tri_range range = { first, count };
    const struct tri_message message = {
        .type = TRI_MESSAGE_RELEASED,
        .released = { .lease = slice, .ranges = tri_ranges_of(&range, count != 0) },
    };

    host_says(host, &message, NULL);
}

void host_wants_out(uint64_t host, enum tri_status status, const char *reason)
{
    const struct tri_message message = {
        .type = TRI_MESSAGE_OARS,
        .oars = { .status = status, .reason = tri_bytes_of(reason) },
    };

    host_says(host, &message, NULL);
}

void host_is_killed(uint64_t host, int signal, const struct session_task *started, size_t count)
{
    event_comes(&(struct session_event){ .type = SESSION_HOST_GONE,
                                         .host = host,
                                         .wait_status = signal != 0 ? signal : 3 << 8,
                                         .started = started,
                                         .started_count = count });
}

void host_crashes(uint64_t host, int signal, struct session_task culprit)
{
    event_comes(&(struct session_event){ .type = SESSION_HOST_GONE,
                                         .host = host,
                                         .wait_status = signal,
                                         .has_culprit = true,
                                         .culprit_signal = signal,
                                         .culprit = culprit,
                                         .started = &culprit,
                                         .started_count = 1 });
}

void host_does_not_start(uint64_t host)
{
    event_comes(&(struct session_event){ .type = SESSION_HOST_GONE,
                                         .host = host,
                                         .status = TRI_SYSTEM,
                                         .text = "no more processes" });
}

void host_stalls(uint64_t host, struct session_task task)
{
    event_comes(
        &(struct session_event){ .type = SESSION_HOST_STALLED, .host = host, .stalled = task });
}
