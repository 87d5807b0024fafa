/* Random and hostile peers: whatever they send, the invariants hold, and the same seed gives the
 * same effects. */
#include "tests/engine/scenario.h"

#include "tests/engine/recovered.h"

#include "common/prng.h"
#include "common/proto/chunk.h"
#include "common/proto/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 600
#define SEEDS 60
#define WORKERS 4
#define CLIENTS 3
#define NUMBERS 7

struct chaos {
    struct scenario s;
    struct tri_prng prng;
    struct tri_buffer lists;
    struct tri_buffer pairs;
    struct tri_buffer frame;
};

static uint64_t pick(struct chaos *c, uint64_t bound)
{
    return tri_prng_below(&c->prng, bound);
}

static bool chance(struct chaos *c, uint64_t percent)
{
    return pick(c, 100) < percent;
}

static const char *peer_name(struct chaos *c, char kind, uint64_t count, char name[8])
{
    snprintf(name, 8, "%c%u", kind, (unsigned)pick(c, count));
    return name;
}

/* Sorted, disjoint, mostly inside a batch of a few dozen tasks. */
static struct tri_ranges some_ranges(struct chaos *c)
{
    uint64_t at = 0;
    size_t count = pick(c, 4);

    tri_buffer_clear(&c->pairs);
    for (size_t i = 0; i < count; i++) {
        struct tri_range range = { at + pick(c, 12), 1 + pick(c, 10) };

        tri_buffer_append(&c->pairs, &range, sizeof(range));
        at = range.first + range.count + 1;
    }
    return (struct tri_ranges){ c->pairs.data, count };
}

static uint64_t some_number(struct chaos *c)
{
    return chance(c, 3) ? pick(c, UINT64_MAX / 4) : 1 + pick(c, NUMBERS);
}

/* A lease of that worker, or one that is nobody's. */
static struct held *some_lease(struct chaos *c, struct peer *peer, struct held *spare)
{
    if (peer->held_count != 0 && chance(c, 90)) {
        size_t back = pick(c, peer->held_count < 12 ? peer->held_count : 12);

        return &peer->held[peer->held_count - 1 - back];
    }
    *spare = (struct held){ .lease = pick(c, 1000) | (chance(c, 80) ? UINT64_C(1) << 40 : 0),
                            .number = some_number(c),
                            .generation = 1,
                            .attempt = 1 + pick(c, 3),
                            .first = pick(c, 30),
                            .count = 1 + pick(c, 10) };
    return spare;
}

static struct tri_range part_of(struct chaos *c, const struct held *held)
{
    struct tri_range range = { held->first + pick(c, held->count), 1 };

    range.count = 1 + pick(c, held->first + held->count - range.first);
    if (chance(c, 3))
        range.count += pick(c, 50);
    return range;
}

/* ---- workers -------------------------------------------------------------------------------- */

static void results(struct chaos *c, const char *name)
{
    struct peer *peer = peer_of(&c->s, name);
    struct held spare;
    struct held *held = some_lease(c, peer, &spare);
    struct tri_range run = part_of(c, held);
    struct tri_rec_result head = { .runs = tri_ranges_of(&run, 1), .wall_ns = pick(c, 1000000000) };
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_chunk_builder builder;
    struct tri_bytes payload;

    tri_chunk_builder_init(&builder);
    for (uint64_t i = 0; i < run.count; i++) {
        tri_buffer_append(&builder.blob, "\xc3\xc3\xc3\xc3", 1 + pick(c, 3));
        tri_chunk_builder_close_value(&builder);
    }
    tri_buffer_clear(&c->frame);
    tri_result_encode(&builder, &head, &c->frame);
    if (chance(c, 2))
        c->frame.size /= 2;
    payload = tri_buffer_bytes(&c->frame);
    message.results.seq = chance(c, 97) ? ++peer->seq : pick(c, 100);
    message.results.lease = held->lease;
    message.results.number = held->number;
    message.results.generation = chance(c, 95) ? held->generation : pick(c, 4);
    tri_rangeset_remove(&held->undone, run.first, run.count);
    peer_sends(&c->s, name, &message, &payload, 1);
    tri_chunk_builder_deinit(&builder);
}

static void partial(struct chaos *c, const char *name)
{
    struct peer *peer = peer_of(&c->s, name);
    struct held spare;
    struct held *held = some_lease(c, peer, &spare);
    struct tri_range range = part_of(c, held);
    struct tri_message message = { .type = TRI_MESSAGE_PARTIAL };
    struct tri_bytes payload = tri_bytes_of("partial");

    message.partial.seq = ++peer->seq;
    message.partial.lease = held->lease;
    message.partial.number = held->number;
    message.partial.generation = held->generation;
    message.partial.ranges = chance(c, 90) ? tri_ranges_of(&range, 1) : some_ranges(c);
    message.partial.wall_ns = pick(c, 1000000000);
    tri_rangeset_remove(&held->undone, range.first, range.count);
    peer_sends(&c->s, name, &message, &payload, 1);
}

static void ended(struct chaos *c, const char *name)
{
    struct peer *peer = peer_of(&c->s, name);
    struct held spare;
    struct held *held = some_lease(c, peer, &spare);
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };
    size_t count = 1 + pick(c, 3);

    tri_buffer_clear(&c->lists);
    for (size_t i = 0; i < count; i++) {
        struct tri_rec_entry entry = { .index = held->first + pick(c, held->count),
                                       .outcome = pick(c, 6),
                                       .attempts = held->attempt,
                                       .flags = chance(c, 10) ? TRI_ENTRY_UNCHARGED : 0,
                                       .error = tri_bytes_of("bad") };

        tri_record_encode(TRI_RECORD_ENTRY, &entry, &c->lists);
        tri_rangeset_remove(&held->undone, entry.index, 1);
    }
    message.ended.seq = ++peer->seq;
    message.ended.lease = held->lease;
    message.ended.number = held->number;
    message.ended.generation = held->generation;
    message.ended.entries = tri_list_of(&c->lists, count);
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void released(struct chaos *c, const char *name)
{
    struct peer *peer = peer_of(&c->s, name);
    struct held spare;
    struct held *held = some_lease(c, peer, &spare);
    struct tri_range range = part_of(c, held);
    struct tri_message message = { .type = TRI_MESSAGE_RELEASED };

    message.released.seq = ++peer->seq;
    message.released.lease = held->lease;
    message.released.ranges = tri_ranges_of(&range, !chance(c, 30));
    tri_rangeset_remove(&held->undone, range.first, range.count);
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void oars(struct chaos *c, const char *name)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    message.oars.number = some_number(c);
    message.oars.width = pick(c, 6);
    message.oars.model = 1 + pick(c, 3);
    message.oars.status = chance(c, 10) ? TRI_DENIED : TRI_OK;
    message.oars.reason = tri_bytes_of("why not");
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void beat(struct chaos *c, const char *name)
{
    struct peer *peer = peer_of(&c->s, name);
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT };
    size_t count = 0;

    tri_buffer_clear(&c->lists);
    for (size_t i = 0; i < peer->held_count; i++) {
        const struct held *held = &peer->held[i];
        struct tri_rec_renew renewal = { held->lease, 0, { 0 } };
        struct tri_range started = { held->first, 1 + pick(c, held->count) };

        if (tri_rangeset_is_empty(&held->undone) || chance(c, 10))
            continue;
        if (chance(c, 20))
            renewal.result_bytes_wanted = pick(c, 3000);
        if (chance(c, 50))
            renewal.started = tri_ranges_of(&started, 1);
        tri_record_encode(TRI_RECORD_RENEW, &renewal, &c->lists);
        count++;
    }
    message.heartbeat.seq = pick(c, 1000);
    message.heartbeat.leases = tri_list_of(&c->lists, count);
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void worker_acts(struct chaos *c)
{
    char name[8];

    peer_name(c, 'w', WORKERS, name);
    switch (pick(c, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        results(c, name);
        break;
    case 4:
        partial(c, name);
        break;
    case 5:
        ended(c, name);
        break;
    case 6:
        released(c, name);
        break;
    case 7:
        oars(c, name);
        break;
    default:
        beat(c, name);
    }
}

/* ---- clients -------------------------------------------------------------------------------- */

static void submit(struct chaos *c, const char *name)
{
    struct tri_message message = { .type = TRI_MESSAGE_SUBMIT };
    struct tri_uuid uuid = { { (uint8_t)(1 + pick(c, NUMBERS)) } };
    struct tri_rec_spec spec = {
        .handler = tri_bytes_of(chance(c, 95) ? "square" : "unknown"),
        .source = pick(c, 2),
        .step = 1,
        .count = pick(c, 60),
        .retries = pick(c, 3),
        .crash_limit = pick(c, 4),
        .halt = pick(c, 3),
        .halt_fail_count = pick(c, 6),
        .halt_fail_percent = pick(c, 100),
        .priority = pick(c, 3),
    };

    tri_buffer_clear(&c->frame);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &c->frame);
    message.submit.request = 1;
    message.submit.batch = (struct tri_bytes){ uuid.bytes, chance(c, 98) ? 16 : 5 };
    message.submit.open = spec.source == TRI_SOURCE_ITEMS;
    message.submit.window_bytes = chance(c, 70) ? 100 + pick(c, 5000) : 0;
    message.submit.spec = tri_buffer_bytes(&c->frame);
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void append(struct chaos *c, const char *name)
{
    struct tri_message message = { .type = TRI_MESSAGE_APPEND };
    struct tri_chunk_builder builder;
    struct tri_bytes payload;
    size_t count = 1 + pick(c, 8);

    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < count; i++) {
        tri_buffer_append(&builder.blob, "\xc3", 1);
        tri_chunk_builder_close_value(&builder);
    }
    tri_buffer_clear(&c->frame);
    tri_items_encode(&builder, &c->frame);
    payload = tri_buffer_bytes(&c->frame);
    message.append.request = 2;
    message.append.number = some_number(c);
    if (chance(c, 60))
        message.append.first = c->s.appended_count; /* where some batch ended, as last told */
    else
        message.append.first = pick(c, 20);
    peer_sends(&c->s, name, &message, &payload, chance(c, 99));
    tri_chunk_builder_deinit(&builder);
}

static void ask(struct chaos *c, const char *name)
{
    static const enum tri_message_type types[] = {
        TRI_MESSAGE_SEAL,    TRI_MESSAGE_ATTACH, TRI_MESSAGE_ACK,       TRI_MESSAGE_ACK,
        TRI_MESSAGE_ACK,     TRI_MESSAGE_CANCEL, TRI_MESSAGE_ACK,       TRI_MESSAGE_RETRY,
        TRI_MESSAGE_FORGET,  TRI_MESSAGE_LIST,   TRI_MESSAGE_SHOW,      TRI_MESSAGE_EXPLAIN,
        TRI_MESSAGE_WORKERS, TRI_MESSAGE_TASKS,  TRI_MESSAGE_ARGUMENTS,
    };
    struct tri_message message = { .type = types[pick(c, sizeof(types) / sizeof(types[0]))] };
    uint64_t number = some_number(c);

    if (message.type == TRI_MESSAGE_SEAL) {
        message.seal.number = number;
        message.seal.count = pick(c, 20);
    } else if (message.type == TRI_MESSAGE_ATTACH) {
        message.attach.number = number;
        message.attach.owner = pick(c, 2);
        message.attach.window_bytes = pick(c, 5000);
        message.attach.have = some_ranges(c);
    } else if (message.type == TRI_MESSAGE_ACK) {
        message.ack.number = number;
        message.ack.rows = some_ranges(c);
    } else if (message.type == TRI_MESSAGE_CANCEL) {
        message.cancel.number = number;
        message.cancel.tasks = some_ranges(c);
    } else if (message.type == TRI_MESSAGE_RETRY) {
        message.retry.number = number;
        if (chance(c, 50))
            message.retry.tasks = some_ranges(c);
    } else if (message.type == TRI_MESSAGE_FORGET) {
        message.forget.number = number;
    } else if (message.type == TRI_MESSAGE_SHOW || message.type == TRI_MESSAGE_TASKS) {
        message.show.number = number; /* TASKS has the same fields */
    } else if (message.type == TRI_MESSAGE_ARGUMENTS) {
        message.arguments.number = number;
        message.arguments.tasks = some_ranges(c);
    } else if (message.type == TRI_MESSAGE_EXPLAIN) {
        message.explain.number = number;
    }
    peer_sends(&c->s, name, &message, NULL, 0);
}

static void client_acts(struct chaos *c)
{
    char name[8];

    peer_name(c, 'c', CLIENTS, name);
    switch (pick(c, 6)) {
    case 0:
        submit(c, name);
        break;
    case 1:
    case 2:
        append(c, name);
        break;
    default:
        ask(c, name);
    }
}

/* ---- the world ------------------------------------------------------------------------------ */

static void forget_lines(struct chaos *c)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (c->s.peers[i].used)
            ignore(&c->s, c->s.peers[i].name);
    expect_nothing_else(&c->s);
}

/* Only what is new matters; the rest would fill the tables. */
static void forget_leases(struct peer *peer)
{
    for (size_t i = 0; i + 200 < peer->held_count; i++)
        tri_rangeset_clear(&peer->held[i].undone);
    if (peer->held_count < HELD_MAX - 600)
        return;
    for (size_t i = 0; i < peer->held_count; i++) {
        tri_rangeset_deinit(&peer->held[i].undone);
        tri_rangeset_deinit(&peer->held[i].started);
    }
    peer->held_count = 0;
}

static void answer_gets(struct chaos *c)
{
    while (c->s.get_count != 0) {
        struct event event = { .type = chance(c, 95) ? EVENT_LOADED : EVENT_LOAD_FAILED,
                               .now = c->s.now };

        event.key = c->s.get_keys[--c->s.get_count % 64];
        event.status = event.type == EVENT_LOADED ? TRI_OK : TRI_STORE;
        event.text = "gone";
        step(&c->s, &event);
    }
}

/* At some instants a second engine is made of what is in the store. */
static void recover(struct chaos *c)
{
    struct engine *again = recovered_engine(&c->s);

    recovered_equals(c->s.engine, again);
    engine_destroy(&again);
}

/* Sometimes that one goes on. Those who were connected come back, most of them, in some order. */
static void restart(struct chaos *c)
{
    static const char *const names[] = { "w0", "c0", "w1", "c1", "w2", "c2", "w3" };

    broker_restarts(&c->s);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (chance(c, 30))
            worker_loses_leases(&c->s, names[i]);
        if (chance(c, 80))
            peer_returns(&c->s, names[i]);
        answer_gets(c);
        forget_lines(c);
        c->s.now += pick(c, 3000);
        tick(&c->s);
        answer_gets(c);
        forget_lines(c);
    }
}

static void world_acts(struct chaos *c)
{
    char name[8];
    uint64_t what = pick(c, 10);

    peer_name(c, chance(c, 70) ? 'w' : 'c', 3, name);
    if (what < 5) {
        c->s.now += pick(c, 400);
        tick(&c->s);
    } else if (what < 6) {
        c->s.now += pick(c, 15000);
        tick(&c->s);
    } else if (what < 8) {
        if (chance(c, 30))
            worker_loses_leases(&c->s, name);
        peer_returns(&c->s, name);
    } else if (what < 9) {
        peer_lost(&c->s, name);
    } else if (chance(c, 40)) {
        peer_says_bye(&c->s, name);
    } else {
        store_has_room(&c->s, chance(c, 50) ? UINT64_MAX : pick(c, 100000));
    }
}

static void begin(struct chaos *c, uint64_t seed)
{
    struct engine_options options = scenario_options();

    memset(c, 0, sizeof(*c));
    options.seed = seed;
    options.payloads_stored = seed % 3 == 0;
    options.limits.memory_bytes_max = 4000 + (seed % 7) * 3000;
    options.limits.batch_bytes_max = 3000;
    options.limits.item_bytes_max = 500;
    options.limits.entries_max = 10;
    options.limits.history_bytes_max = 40 + (seed % 5) * 100;
    options.limits.retention_ms = 60000;
    options.limits.open_grace_ms = 20000;
    scenario_begin_with(&c->s, &options);
    c->s.is_random = true;
    tri_prng_init(&c->prng, seed);
    for (int i = 0; i < WORKERS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "w%d", i);
        worker_joins(&c->s, name, 1 + pick(c, 4));
    }
    for (int i = 0; i < CLIENTS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "c%d", i);
        client_of(&c->s, name, i == 2 ? "other" : "local");
    }
}

/* Returns the hash over all effects. */
static uint64_t run(uint64_t seed, int steps)
{
    struct chaos *c = calloc(1, sizeof(*c));
    uint64_t hash;

    begin(c, seed);
    for (int i = 0; i < steps; i++) {
        uint64_t who = pick(c, 10);

        if (who < 5)
            worker_acts(c);
        else if (who < 8)
            client_acts(c);
        else
            world_acts(c);
        answer_gets(c);
        forget_lines(c);
        for (size_t p = 0; p < PEERS_MAX; p++)
            if (c->s.peers[p].used)
                forget_leases(&c->s.peers[p]);
        if (chance(c, 30))
            recover(c);
        if (pick(c, 200) == 0)
            restart(c);
    }
    hash = c->s.hash;
    scenario_end(&c->s);
    tri_buffer_deinit(&c->lists);
    tri_buffer_deinit(&c->pairs);
    tri_buffer_deinit(&c->frame);
    free(c);
    return hash;
}

START_TEST(whatever_peers_send_the_invariants_hold)
{
    const char *one = getenv("ENGINE_SEED");

    /* engine_check() runs after every step. ENGINE_SEED=n runs that seed alone. */
    if (one == NULL)
        run((uint64_t)_i, STEPS);
    else if (_i == 1)
        run(strtoull(one, NULL, 10), STEPS);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_effects)
{
    uint64_t first = run(17, STEPS);

    ck_assert_uint_eq(first, run(17, STEPS));
    ck_assert_uint_ne(first, run(18, STEPS));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine/random");
    TCase *tcase = tcase_create("random");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, whatever_peers_send_the_invariants_hold, 1, SEEDS);
    tcase_add_test(tcase, the_same_seed_gives_the_same_effects);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
