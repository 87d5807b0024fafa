/* The worked example of docs/spec/1-wire.md: a client has three numbers squared by one worker. Its
 * messages are the typical cases; messages that do not occur in it follow as a list. */
#include "common/assert.h"
#include "tests/vectors/parts.h"

/* The steps, as they are written down. */
struct script {
    struct maker *maker;
    struct step *steps;
    size_t count;
};

#define STEP_MAX 96

static struct tri_message *say(struct script *self,
                               const char *from,
                               const char *to,
                               enum tri_message_type type)
{
    struct step *step = &self->steps[self->count++];

    tri_assert(self->count <= STEP_MAX);
    *step = (struct step){ .from = from, .to = to, .message = { .type = type }, .told = true };
    return &step->message;
}

static void attach(struct script *self, const struct tri_bytes *frames, size_t count)
{
    self->steps[self->count - 1].frames = frames;
    self->steps[self->count - 1].frame_count = count;
}

#define CLIENT_SAYS(upper, lower, ...)                           \
    (say(self, "client", "broker", TRI_MESSAGE_##upper)->lower = \
         (struct tri_msg_##lower)__VA_ARGS__)
#define WORKER_SAYS(upper, lower, ...)                           \
    (say(self, "worker", "broker", TRI_MESSAGE_##upper)->lower = \
         (struct tri_msg_##lower)__VA_ARGS__)
#define TELLS_CLIENT(upper, lower, ...)                          \
    (say(self, "broker", "client", TRI_MESSAGE_##upper)->lower = \
         (struct tri_msg_##lower)__VA_ARGS__)
#define TELLS_WORKER(upper, lower, ...)                          \
    (say(self, "broker", "worker", TRI_MESSAGE_##upper)->lower = \
         (struct tri_msg_##lower)__VA_ARGS__)

static struct tri_msg_welcome welcome(void)
{
    return (struct tri_msg_welcome){ .version = 1,
                                     .cluster = CLUSTER_ID,
                                     .epoch = 1,
                                     .software = TEXT("trireme/0.1.0"),
                                     .heartbeat_ms = 1000,
                                     .lease_ms = 10000,
                                     .message_bytes_max = 67108864,
                                     .item_bytes_max = 16777216 };
}

static void worker_joins(struct script *self)
{
    WORKER_SAYS(HELLO, hello,
                { .version_min = 1,
                  .version_max = 1,
                  .role = TRI_ROLE_WORKER,
                  .instance = WORKER_ID,
                  .name = TEXT("node1"),
                  .software = TEXT("trireme/0.1.0"),
                  .pid = 4711,
                  .width = 8,
                  .handlers = parts_one(self->maker, TRI_RECORD_HANDLER),
                  .labels = parts_one(self->maker, TRI_RECORD_TEXT) });
    say(self, "broker", "worker", TRI_MESSAGE_WELCOME)->welcome = welcome();
}

static void client_submits(struct script *self)
{
    CLIENT_SAYS(HELLO, hello,
                { .version_min = 1,
                  .version_max = 1,
                  .role = TRI_ROLE_CLIENT,
                  .instance = CLIENT_ID,
                  .name = TEXT("laptop:812"),
                  .software = TEXT("trireme/0.1.0"),
                  .pid = 812 });
    say(self, "broker", "client", TRI_MESSAGE_WELCOME)->welcome = welcome();
    CLIENT_SAYS(SUBMIT, submit,
                { .request = 1,
                  .batch = BATCH_ID,
                  .name = TEXT("squares"),
                  .open = 1,
                  .window_bytes = 33554432,
                  .spec = parts_spec(self->maker) });
    TELLS_CLIENT(ACCEPTED, accepted,
                 { .request = 1,
                   .number = NUMBER,
                   .hash = parts_hash(self->maker, true),
                   .append_bytes_max = 67108864 });
    CLIENT_SAYS(APPEND, append, { .request = 2, .number = NUMBER, .first = 0 });
    attach(self, parts_items(self->maker), 1);
    TELLS_CLIENT(APPENDED, appended,
                 { .number = NUMBER,
                   .count = 3,
                   .hash = parts_hash(self->maker, false),
                   .append_bytes_max = 67108864 });
    CLIENT_SAYS(SEAL, seal, { .request = 3, .number = NUMBER, .count = 3 });
    TELLS_CLIENT(DONE, done, { .request = 3, .count = 3 });
}

static void worker_works(struct script *self)
{
    TELLS_WORKER(BATCH, batch,
                 { .number = NUMBER, .batch = BATCH_ID, .spec = parts_spec(self->maker) });
    WORKER_SAYS(OARS, oars,
                { .number = NUMBER,
                  .width = 8,
                  .model = TRI_MODEL_THREAD,
                  .reason = TEXT("square computes: one thread per core") });
    TELLS_WORKER(LEASE, lease,
                 { .lease = LEASE,
                   .number = NUMBER,
                   .generation = 1,
                   .first = 0,
                   .count = 3,
                   .attempt = 1,
                   .result_bytes = 192 });
    attach(self, parts_items(self->maker), 1);
    WORKER_SAYS(HEARTBEAT, heartbeat,
                { .seq = 1, .busy = 2, .leases = parts_one(self->maker, TRI_RECORD_RENEW) });
    TELLS_WORKER(HEARTBEAT_OK, heartbeat_ok, { .seq = 1 });
    WORKER_SAYS(RESULTS, results, { .seq = 1, .lease = LEASE, .number = NUMBER, .generation = 1 });
    attach(self, parts_result(self->maker), 1);
    TELLS_WORKER(RESULTS_OK, results_ok, { .seq = 1 });
}

static void client_gathers(struct script *self)
{
    TELLS_CLIENT(ROW, row,
                 { .number = NUMBER,
                   .generation = 1,
                   .row = 0,
                   .kind = TRI_ROW_VALUES,
                   .worker = TEXT("node1"),
                   .ranges = parts_range(self->maker, 0, 3),
                   .model = TRI_MODEL_PROCESS });
    attach(self, parts_result(self->maker), 1);
    CLIENT_SAYS(ACK, ack, { .number = NUMBER, .rows = parts_range(self->maker, 0, 1) });
    TELLS_CLIENT(END, end,
                 { .number = NUMBER,
                   .generation = 1,
                   .state = TRI_BATCH_DONE,
                   .count = 3,
                   .done = 3,
                   .rows = 1,
                   .wall_ns = 9000,
                   .cpu_ns = 8000,
                   .workers = 1,
                   .elapsed_ms = 12 });
    TELLS_WORKER(BATCH_END, batch_end, { .number = NUMBER });
    CLIENT_SAYS(FORGET, forget, { .request = 4, .number = NUMBER });
    TELLS_CLIENT(DONE, done, { .request = 4, .count = 1 });
    CLIENT_SAYS(BYE, bye, { .text = TEXT("done") });
}

/* What the example has no place for: answers to trouble, and the other verbs. */
static void client_asks(struct script *self)
{
    static const char *const lines[] = { "node1: thread, 8 oars: square computes",
                                         "3 of 3 tasks done" };
    struct maker *maker = self->maker;

    TELLS_CLIENT(NO_SESSION, no_session, {});
    TELLS_CLIENT(ERROR, error,
                 { .request = 2,
                   .status = TRI_BUSY,
                   .retry_after_ms = 250,
                   .text = TEXT("no room for more arguments, try again later") });
    CLIENT_SAYS(ATTACH, attach,
                { .request = 5,
                  .number = NUMBER,
                  .owner = 1,
                  .window_bytes = 33554432,
                  .have = parts_range(maker, 0, 1) });
    TELLS_CLIENT(ATTACHED, attached,
                 { .request = 5,
                   .number = NUMBER,
                   .batch = BATCH_ID,
                   .count = 3,
                   .state = TRI_BATCH_RUNNING,
                   .hash = parts_hash(maker, false),
                   .append_bytes_max = 67108864,
                   .spec = parts_spec(maker) });
    TELLS_CLIENT(
        PROGRESS, progress,
        { .number = NUMBER, .count = 3, .pending = 1, .leased = 1, .done = 1, .workers = 1 });
    CLIENT_SAYS(CANCEL, cancel,
                { .request = 6, .number = NUMBER, .tasks = parts_range(maker, 2, 1) });
    CLIENT_SAYS(RETRY, retry,
                { .request = 7, .number = NUMBER, .tasks = parts_range(maker, 2, 1) });
    CLIENT_SAYS(LIST, list, { .request = 8, .after = 0, .limit = 1000 });
    TELLS_CLIENT(LISTED, listed,
                 { .request = 8, .batches = parts_one(maker, TRI_RECORD_BATCH_INFO) });
    CLIENT_SAYS(SHOW, show, { .request = 9, .number = NUMBER, .after = 0, .limit = 100 });
    TELLS_CLIENT(SHOWN, shown,
                 { .request = 9,
                   .batches = parts_one(maker, TRI_RECORD_BATCH_INFO),
                   .spec = parts_spec(maker),
                   .entries = parts_one(maker, TRI_RECORD_ENTRY) });
    CLIENT_SAYS(EXPLAIN, explain, { .request = 10, .number = NUMBER });
    TELLS_CLIENT(EXPLAINED, explained, { .request = 10, .lines = parts_texts(maker, lines, 2) });
    CLIENT_SAYS(WORKERS, workers, { .request = 11 });
    TELLS_CLIENT(WORKERS_INFO, workers_info,
                 { .request = 11, .workers = parts_one(maker, TRI_RECORD_WORKER_INFO) });
    CLIENT_SAYS(TASKS, tasks, { .request = 12, .number = NUMBER, .after = 0, .limit = 100 });
    TELLS_CLIENT(TASKS_INFO, tasks_info,
                 { .request = 12, .tasks = parts_one(maker, TRI_RECORD_TASK_INFO) });
    CLIENT_SAYS(ARGUMENTS, arguments,
                { .request = 13, .number = NUMBER, .tasks = parts_range(maker, 0, 3) });
    TELLS_CLIENT(ARGUMENTS_INFO, arguments_info,
                 { .request = 13, .tasks = parts_range(maker, 0, 3) });
    attach(self, parts_items(maker), 1);
}

static void worker_meets_trouble(struct script *self)
{
    struct maker *maker = self->maker;

    TELLS_WORKER(CREDIT, credit, { .lease = LEASE, .result_bytes = 65536 });
    TELLS_WORKER(REVOKE, revoke, { .lease = LEASE, .first = 2, .count = 1 });
    WORKER_SAYS(RELEASED, released,
                { .seq = 2, .lease = LEASE, .ranges = parts_range(maker, 2, 1) });
    TELLS_WORKER(CANCEL_LEASE, cancel_lease,
                 { .lease = LEASE, .ranges = parts_range(maker, 2, 1) });
    WORKER_SAYS(ENDED, ended,
                { .seq = 3,
                  .lease = LEASE,
                  .number = NUMBER,
                  .generation = 1,
                  .entries = parts_one(maker, TRI_RECORD_ENTRY) });
    WORKER_SAYS(PARTIAL, partial,
                { .seq = 4,
                  .lease = LEASE,
                  .number = NUMBER,
                  .generation = 1,
                  .ranges = parts_range(maker, 0, 3),
                  .model = TRI_MODEL_PROCESS,
                  .flags = TRI_RESULT_SAMPLED,
                  .wall_ns = 9000,
                  .cpu_ns = 8000,
                  .switches = 1 });
}

#define INSIDE(from, to, upper, lower, ...) \
    (say(self, from, to, TRI_MESSAGE_##upper)->lower = (struct tri_msg_##lower)__VA_ARGS__)

/* Never on the network, but the same encoding. */
static void worker_inside(struct script *self)
{
    static const char *const words[] = { "convert", "{}", "thumbs/{}" };
    static const char *const names[] = { "LANG=C" };

    INSIDE("session", "launcher", HOST_START, host_start,
           { .host = 3, .plugin = TEXT("/usr/lib/trireme/example.so") });
    INSIDE("launcher", "session", HOST_UP, host_up, { .host = 3, .pid = 4720 });
    INSIDE("session", "launcher", HOST_KILL, host_kill, { .host = 3, .signal = 15 });
    INSIDE("launcher", "session", HOST_GONE, host_gone, { .host = 3, .wait_status = 15 });
    INSIDE("host", "launcher", RUN, run,
           { .id = 1,
             .argv = parts_texts(self->maker, words, 3),
             .env = parts_texts(self->maker, names, 1),
             .workdir = TEXT("/srv"),
             .output_bytes_max = 16777216 });
    INSIDE("launcher", "host", RAN, ran,
           { .id = 1, .wait_status = 256, .wall_us = 1900, .cpu_us = 900 });
    INSIDE("host", "launcher", STOP, stop, { .id = 1, .grace_ms = 2000 });
}

struct step *story_make(struct maker *maker, size_t *count)
{
    struct script script = { maker, maker_alloc(maker, STEP_MAX * sizeof(struct step)), 0 };
    size_t told;

    worker_joins(&script);
    client_submits(&script);
    worker_works(&script);
    client_gathers(&script);
    told = script.count;
    client_asks(&script);
    worker_meets_trouble(&script);
    worker_inside(&script);
    for (size_t i = told; i < script.count; i++)
        script.steps[i].told = false;
    *count = script.count;
    return script.steps;
}
