/* engine - what one task costs the engine with few and many batches and workers around it.
 *
 *     engine                      all four corners: time, and instructions under valgrind
 *     engine BATCHES WORKERS N    one corner: `step_ns` over N cycles
 *
 * A cycle is the whole life of a batch of one task: SUBMIT, BATCH and OARS, LEASE, RESULTS, ROW,
 * END, ACK, FORGET. BATCHES are queued all the time, as each that ends is followed by a new one.
 * A step is one call of engine_step; only these are measured. */
#include "bench.h"

#include "broker/engine/engine.h"
#include "common/proto/chunk.h"
#include "common/proto/codec.h"

#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

#define CYCLES 20000
#define CYCLES_COUNTED 4000
#define RATIO_NS_MAX 3.0
#define RATIO_INSTRUCTIONS_MAX 1.5

/* Something that a peer will say: to its BATCH, its LEASE, or its END. */
struct reply {
    enum tri_message_type to;
    uint64_t worker;
    uint64_t number;
    uint64_t lease;
};

struct world {
    struct engine *engine;
    uint64_t workers;
    uint64_t *seqs;
    uint64_t submitted;
    uint64_t ended;
    struct reply *replies; /* a ring */
    size_t head;
    size_t count;
    size_t capacity;
    struct tri_buffer spec;
    struct tri_buffer result;
    tri_time now;
    bool measures;
    uint64_t step_ns;
    uint64_t steps;
};

static struct peer_id peer_of(uint64_t number)
{
    struct peer_id peer = { .size = 9 };

    memcpy(peer.bytes + 1, &number, sizeof(number));
    return peer;
}

static void push(struct world *w, struct reply reply)
{
    BENCH_CHECK(w->count < w->capacity);
    w->replies[(w->head + w->count++) % w->capacity] = reply;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void hear(struct world *w, const struct effect *effect)
{
    struct tri_message message;
    uint64_t peer;

    BENCH_CHECK(tri_message_decode(effect->send.frame, &message, NULL) == TRI_OK);
    memcpy(&peer, effect->send.peer.bytes + 1, sizeof(peer));
    if (message.type == TRI_MESSAGE_BATCH)
        push(w, (struct reply){ message.type, peer, message.batch.number, 0 });
    else if (message.type == TRI_MESSAGE_LEASE)
        push(w, (struct reply){ message.type, peer, message.lease.number, message.lease.lease });
    else if (message.type == TRI_MESSAGE_END)
        push(w, (struct reply){ message.type, 0, message.end.number, 0 });
    else
        BENCH_CHECK(message.type != TRI_MESSAGE_ERROR);
}

static void say(struct world *w,
                uint64_t peer,
                const struct tri_message *message,
                const struct tri_bytes *frame)
{
    struct event event = { .type = EVENT_MESSAGE, .now = w->now, .peer = peer_of(peer) };
    struct effects effects;
    uint64_t start;

    event.principal = tri_bytes_of("local");
    event.message = message;
    event.frames = frame;
    event.frame_count = frame != NULL;
    start = w->measures ? bench_now_ns() : 0;
    effects = engine_step(w->engine, &event);
    if (w->measures) {
        w->step_ns += bench_now_ns() - start;
        w->steps++;
    }
    for (size_t i = 0; i < effects.count; i++)
        if (effects.items[i].type == EFFECT_SEND)
            hear(w, &effects.items[i]);
}

/* ---- what peers say ------------------------------------------------------------------------- */

static void hello(struct world *w, uint64_t peer, enum tri_role role)
{
    struct tri_message message = { .type = TRI_MESSAGE_HELLO };
    struct tri_rec_handler handler = { .name = tri_bytes_of("noop") };
    struct tri_buffer list = { 0 };
    uint64_t instance[2] = { peer, 1 };

    tri_record_encode(TRI_RECORD_HANDLER, &handler, &list);
    message.hello.version_max = 1;
    message.hello.role = role;
    message.hello.instance = (struct tri_bytes){ (uint8_t *)instance, sizeof(instance) };
    message.hello.name = tri_bytes_of(role == TRI_ROLE_WORKER ? "worker" : "client");
    message.hello.width = 1;
    if (role == TRI_ROLE_WORKER)
        message.hello.handlers = tri_list_of(&list, 1);
    say(w, peer, &message, NULL);
    tri_buffer_deinit(&list);
}

static void submit(struct world *w)
{
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };
    uint64_t uuid[2] = { ++w->submitted, 2 };

    message.submit.request = 1;
    message.submit.batch = (struct tri_bytes){ (uint8_t *)uuid, sizeof(uuid) };
    message.submit.window_bytes = 1 << 20;
    message.submit.spec = tri_buffer_bytes(&w->spec);
    say(w, 0, &message, NULL);
}

static void man(struct world *w, const struct reply *reply)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    message.oars.number = reply->number;
    message.oars.width = 1;
    say(w, reply->worker, &message, NULL);
}

static void report(struct world *w, const struct reply *reply)
{
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_bytes frame = tri_buffer_bytes(&w->result);

    message.results.seq = ++w->seqs[reply->worker];
    message.results.lease = reply->lease;
    message.results.number = reply->number;
    message.results.generation = 1;
    say(w, reply->worker, &message, &frame);
}

static void acknowledge(struct world *w, uint64_t number)
{
    struct tri_message ack = { .type = TRI_MESSAGE_ACK };
    struct tri_message forget = { .type = TRI_MESSAGE_FORGET };
    struct tri_range row = { 0, 1 };

    ack.ack.number = number;
    ack.ack.rows = tri_ranges_of(&row, 1);
    say(w, 0, &ack, NULL);
    forget.forget.number = number;
    say(w, 0, &forget, NULL);
}

/* One thing that somebody has to say. A batch that ends is followed by another. */
static void answer(struct world *w)
{
    struct reply reply = w->replies[w->head];

    BENCH_CHECK(w->count != 0);
    w->head = (w->head + 1) % w->capacity;
    w->count--;
    if (reply.to == TRI_MESSAGE_BATCH) {
        man(w, &reply);
    } else if (reply.to == TRI_MESSAGE_LEASE) {
        report(w, &reply);
    } else {
        acknowledge(w, reply.number);
        w->ended++;
        submit(w);
    }
}

/* ---- a corner ------------------------------------------------------------------------------- */

static void make_frames(struct world *w)
{
    struct tri_rec_spec spec = { .handler = tri_bytes_of("noop"), .step = 1, .count = 1 };
    struct tri_range run = { 0, 1 };
    struct tri_rec_result head = { .runs = tri_ranges_of(&run, 1), .wall_ns = 1000000 };
    struct tri_chunk_builder builder;

    tri_record_encode(TRI_RECORD_SPEC, &spec, &w->spec);
    tri_chunk_builder_init(&builder);
    tri_buffer_append(&builder.blob, "\xc3", 1);
    tri_chunk_builder_close_value(&builder);
    tri_result_encode(&builder, &head, &w->result);
    tri_chunk_builder_deinit(&builder);
}

static void begin(struct world *w, uint64_t batches, uint64_t workers)
{
    struct engine_options options;

    engine_options_init(&options);
    options.limits.batches_max = batches + 1000;
    *w = (struct world){ .workers = workers, .capacity = batches + workers * 32 + 1024 };
    w->engine = engine_new(&options);
    w->replies = calloc(w->capacity, sizeof(*w->replies));
    w->seqs = calloc(workers + 1, sizeof(*w->seqs));
    BENCH_CHECK(w->replies != NULL && w->seqs != NULL);
    make_frames(w);
    hello(w, 0, TRI_ROLE_CLIENT);
    for (uint64_t i = 1; i <= workers; i++)
        hello(w, i, TRI_ROLE_WORKER);
    for (uint64_t i = 0; i < batches; i++)
        submit(w);
}

static void cycle(struct world *w, uint64_t count)
{
    uint64_t end = w->ended + count;

    while (w->ended < end)
        answer(w);
}

static double corner(uint64_t batches, uint64_t workers, uint64_t cycles)
{
    struct world w;
    double ns;

    begin(&w, batches, workers);
    cycle(&w, cycles + 12 * workers); /* until everybody has been asked and is at work */
    w.measures = true;
    CALLGRIND_START_INSTRUMENTATION;
    cycle(&w, cycles);
    CALLGRIND_STOP_INSTRUMENTATION;
    ns = (double)w.step_ns / (double)w.steps;
    fprintf(stderr, "steps/cycle %.1f\n", (double)w.steps / (double)cycles);
    engine_destroy(&w.engine);
    tri_buffer_deinit(&w.spec);
    tri_buffer_deinit(&w.result);
    free(w.replies);
    free(w.seqs);
    return ns;
}

/* ---- all corners ---------------------------------------------------------------------------- */

/* Instructions of a cycle: one corner again under callgrind, engine_step alone. */
static double instructions(const char *self, uint64_t batches, uint64_t workers)
{
    char command[1024];
    char line[512];
    double collected = 0;
    FILE *pipe;

    snprintf(command, sizeof(command),
             "valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no "
             "--toggle-collect=engine_step --callgrind-out-file=/dev/null '%s' %llu %llu %u 2>&1",
             self, (unsigned long long)batches, (unsigned long long)workers, CYCLES_COUNTED);
    pipe = popen(command, "r");
    BENCH_CHECK(pipe != NULL);
    while (fgets(line, sizeof(line), pipe) != NULL) {
        const char *at = strstr(line, "Collected :");

        if (at != NULL)
            collected = strtod(at + strlen("Collected :"), NULL);
    }
    pclose(pipe);
    return collected / CYCLES_COUNTED;
}

static void print_corner(const char *name, double value, double base, double bound)
{
    printf("%-28s %10.0f  ratio %.2f (bound %.1f): %s\n", name, value, value / base, bound,
           value <= bound * base ? "ok" : "MISSED");
}

int main(int argc, char **argv)
{
    static const uint64_t corners[4][2] = {
        { 100, 1 }, { 100, 10000 }, { 1000000, 1 }, { 1000000, 10000 }
    };
    char name[64];
    double base = 0;

    if (argc == 4) {
        printf("step_ns %.1f\n", corner(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10),
                                        strtoull(argv[3], NULL, 10)));
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        double ns = corner(corners[i][0], corners[i][1], CYCLES);

        base = i == 0 ? ns : base;
        snprintf(name, sizeof(name), "ns/step %llu x %llu", (unsigned long long)corners[i][0],
                 (unsigned long long)corners[i][1]);
        print_corner(name, ns, base, RATIO_NS_MAX);
        fflush(stdout);
    }
    for (int i = 0; i < 4; i++) {
        double count = instructions(argv[0], corners[i][0], corners[i][1]);

        base = i == 0 ? count : base;
        snprintf(name, sizeof(name), "instr/cycle %llu x %llu", (unsigned long long)corners[i][0],
                 (unsigned long long)corners[i][1]);
        if (base == 0)
            printf("%-28s needs valgrind\n", name);
        else
            print_corner(name, count, base, RATIO_INSTRUCTIONS_MAX);
        fflush(stdout);
    }
    return 0;
}
