/* Random walks: a broker and hosts that do whatever the protocol allows, and die. After every step
 * session_check holds; at the end every task of every lease has been accounted for exactly once:
 * reported, released, or taken back by the broker. */
#include "common/assert.h"
#include "common/map.h"
#include "common/prng.h"
#include "common/proto/chunk.h"
#include "common/rangeset.h"
#include "tests/unit/unit.h"
#include "worker/session.h"

#include <stdlib.h>
#include <string.h>

#define WALKS 24
#define STEPS 1200
#define TASKS_MAX 160

/* What a fake host has of one slice. */
struct given {
    uint64_t slice;
    struct tri_rangeset tasks; /* not reported */
    struct given *next;
};

struct fake_host {
    uint64_t id;
    uint64_t width;
    struct given *given;
    bool leaving;
};

struct fake_lease {
    struct tri_rangeset left; /* not accounted for */
};

static struct session *session;
static struct tri_prng prng;
static tri_time now;
static struct tri_map hosts;
static struct tri_map leases;
static uint64_t last_lease;
static uint64_t last_seq;
static uint64_t last_heartbeat;
static bool connected;
static bool welcomed;
static bool exited;

static void deliver(struct session_event *event);

static uint64_t below(uint64_t bound)
{
    return tri_prng_below(&prng, bound);
}

/* ---- what the session does ------------------------------------------------------------------- */

static void account(uint64_t lease, struct tri_range range)
{
    struct fake_lease *found = tri_map_find(&leases, lease);
    uint64_t removed;

    ck_assert_msg(found != NULL, "a report for lease %lu", (unsigned long)lease);
    removed = tri_rangeset_remove(&found->left, range.first, range.count);
    /* Results of cancelled tasks may be on their way; nothing else comes twice (cancelled tasks
     * were taken out of `left` when the broker cancelled them, and are not counted here). */
    ck_assert_uint_le(removed, range.count);
}

static void account_all(uint64_t lease, struct tri_ranges ranges)
{
    for (size_t i = 0; i < ranges.count; i++)
        account(lease, tri_ranges_at(ranges, i));
}

static void on_report(uint64_t seq)
{
    if (seq > last_seq) {
        ck_assert_uint_eq(seq, last_seq + 1);
        last_seq = seq;
    }
}

static void on_sent(const struct session_effect *effect)
{
    struct tri_message message;
    struct tri_rec_result head;
    struct tri_rec_entry entry;
    struct tri_chunk chunk;

    ck_assert(tri_message_decode(effect->frames[0]->bytes, &message, NULL) == TRI_OK);
    if (message.type == TRI_MESSAGE_RESULTS) {
        bool again = message.results.seq <= last_seq;

        on_report(message.results.seq);
        ck_assert(tri_result_open(effect->frames[1]->bytes, &head, &chunk, NULL) == TRI_OK);
        if (!again)
            account_all(message.results.lease, head.runs);
    } else if (message.type == TRI_MESSAGE_ENDED) {
        bool again = message.ended.seq <= last_seq;

        on_report(message.ended.seq);
        while (!again && tri_list_next(&message.ended.entries, TRI_RECORD_ENTRY, &entry))
            account(message.ended.lease, (struct tri_range){ entry.index, 1 });
    } else if (message.type == TRI_MESSAGE_RELEASED) {
        bool again = message.released.seq <= last_seq;

        on_report(message.released.seq);
        if (!again)
            account_all(message.released.lease, message.released.ranges);
    } else if (message.type == TRI_MESSAGE_HEARTBEAT) {
        last_heartbeat = message.heartbeat.seq;
    }
}

static void on_lease_given(struct fake_host *host, const struct tri_msg_lease *lease)
{
    struct given *given = tri_alloc(1, sizeof(*given));

    given->slice = lease->lease;
    tri_rangeset_add(&given->tasks, lease->first, lease->count);
    given->next = host->given;
    host->given = given;
}

static struct given *find_given(struct fake_host *host, uint64_t slice)
{
    struct given *given = host->given;

    while (given != NULL && given->slice != slice)
        given = given->next;
    return given;
}

/* Answers that hosts owe: given only after all effects of the step were seen. */
static struct {
    uint64_t host;
    uint64_t slice;
    struct tri_range range;
} debts[4096];
static size_t debt_count;

static void on_host_sent(const struct session_effect *effect)
{
    struct fake_host *host = tri_map_find(&hosts, effect->host);
    const struct tri_message *message = effect->message;

    if (host == NULL)
        return;
    if (message->type == TRI_MESSAGE_LEASE) {
        on_lease_given(host, &message->lease);
    } else if (message->type == TRI_MESSAGE_CANCEL_LEASE) {
        struct given *given = find_given(host, message->cancel_lease.lease);

        if (given != NULL && message->cancel_lease.ranges.count == 0)
            tri_rangeset_clear(&given->tasks);
        for (size_t i = 0; given != NULL && i < message->cancel_lease.ranges.count; i++) {
            struct tri_range range = tri_ranges_at(message->cancel_lease.ranges, i);

            tri_rangeset_remove(&given->tasks, range.first, range.count);
        }
    } else if (message->type == TRI_MESSAGE_REVOKE) {
        ck_assert_uint_lt(debt_count, TRI_COUNT_OF(debts));
        debts[debt_count].host = effect->host;
        debts[debt_count].slice = message->revoke.lease;
        debts[debt_count++].range =
            (struct tri_range){ message->revoke.first, message->revoke.count };
    }
}

static void host_dies(struct fake_host *host)
{
    while (host->given != NULL) {
        struct given *given = host->given;

        host->given = given->next;
        tri_rangeset_deinit(&given->tasks);
        free(given);
    }
    tri_map_remove(&hosts, host->id);
    free(host);
}

static uint64_t dying[512];
static size_t dying_count;

/* The deadline passed without an answer of the broker's, which has leased everything anew. */
static void forget_leases(void)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&leases, &at, &key, &value);)
        tri_rangeset_clear(&((struct fake_lease *)value)->left);
}

static void on_effect(const struct session_effect *effect)
{
    struct fake_host *host;

    switch (effect->type) {
    case SESSION_DO_SEND:
        ck_assert(connected);
        on_sent(effect);
        break;
    case SESSION_DO_CONNECT:
        connected = welcomed = false;
        break;
    case SESSION_DO_HOST_START:
        host = tri_alloc(1, sizeof(*host));
        host->id = effect->host;
        host->width = effect->width;
        tri_map_put(&hosts, host->id, host);
        break;
    case SESSION_DO_HOST_SEND:
        on_host_sent(effect);
        break;
    case SESSION_DO_HOST_KILL:
    case SESSION_DO_HOST_END:
        ck_assert_uint_lt(dying_count, TRI_COUNT_OF(dying));
        dying[dying_count++] = effect->host;
        break;
    case SESSION_DO_EXIT:
        exited = true;
        break;
    case SESSION_DO_TRACE:
        if (strncmp(effect->text, "lease.expired", 13) == 0)
            forget_leases();
        break;
    }
}

static void step(struct session_event *event)
{
    struct session_effects effects;

    event->now = now;
    effects = session_step(session, event);
    for (size_t i = 0; i < effects.count; i++)
        on_effect(&effects.items[i]);
    session_check(session);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static struct fake_host *any_host(void)
{
    uint64_t skip;
    uint64_t key;
    void *value = NULL;

    if (hosts.count == 0)
        return NULL;
    skip = below(hosts.count);
    for (size_t at = 0; tri_map_next(&hosts, &at, &key, &value) && skip-- != 0;)
        ;
    return value;
}

static void host_says(uint64_t host, const struct tri_message *message, struct tri_frame *frame)
{
    deliver(&(struct session_event){ .type = SESSION_HOST_MESSAGE,
                                     .host = host,
                                     .message = message,
                                     .frames = &frame,
                                     .frame_count = frame != NULL });
}

static void pay_debts(void)
{
    while (debt_count != 0) {
        uint64_t id = debts[--debt_count].host;
        struct tri_range asked = debts[debt_count].range;
        struct fake_host *host = tri_map_find(&hosts, id);
        struct tri_message message = { .type = TRI_MESSAGE_RELEASED,
                                       .released.lease = debts[debt_count].slice };
        struct tri_range range = { 0, 0 };
        struct given *given;

        if (host == NULL)
            continue;
        given = find_given(host, message.released.lease);
        if (given != NULL && tri_rangeset_next(&given->tasks, asked.first, &range)
            && range.first < asked.first + asked.count) {
            if (range.first + range.count > asked.first + asked.count)
                range.count = asked.first + asked.count - range.first;
            /* Some have begun. */
            range.count -= below(range.count + 1);
            tri_rangeset_remove(&given->tasks, range.first, range.count);
        } else {
            range.count = 0;
        }
        message.released.ranges = tri_ranges_of(&range, range.count != 0);
        host_says(id, &message, NULL);
    }
}

static void bury_the_dying(void)
{
    while (dying_count != 0) {
        uint64_t id = dying[--dying_count];
        struct fake_host *host = tri_map_find(&hosts, id);

        if (host != NULL)
            host_dies(host);
        step(&(struct session_event){ .type = SESSION_HOST_GONE, .host = id, .wait_status = 9 });
    }
}

static void deliver(struct session_event *event)
{
    step(event);
}

static void settle(void)
{
    while (debt_count != 0 || dying_count != 0) {
        pay_debts();
        bury_the_dying();
    }
}

static struct given *any_given(struct fake_host *host)
{
    for (struct given *given = host->given; given != NULL; given = given->next)
        if (!tri_rangeset_is_empty(&given->tasks))
            return given;
    return NULL;
}

static void host_returns(struct fake_host *host, bool in_full)
{
    struct given *given = any_given(host);
    struct tri_message message = { .type = TRI_MESSAGE_RESULTS };
    struct tri_rec_result head = { .model = TRI_MODEL_THREAD };
    struct tri_chunk_builder builder;
    struct tri_buffer out = { 0 };
    struct tri_frame *frame;
    struct tri_range range;

    if (given == NULL)
        return;
    message.results.lease = given->slice;
    tri_rangeset_take_first(&given->tasks, in_full ? UINT64_MAX : 1 + below(20), &range);
    tri_chunk_builder_init(&builder);
    for (uint64_t i = 0; i < range.count; i++) {
        tri_buffer_append(&builder.blob, "\xc0", 1);
        tri_chunk_builder_close_value(&builder);
    }
    head.runs = tri_ranges_of(&range, 1);
    head.wall_ns = range.count * (1 + below(30000000));
    tri_result_encode(&builder, &head, &out);
    tri_chunk_builder_deinit(&builder);
    frame = tri_frame_take(&out);
    host_says(host->id, &message, frame);
    tri_frame_unref(frame);
}

static void host_fails_one(struct fake_host *host)
{
    struct given *given = any_given(host);
    struct tri_message message = { .type = TRI_MESSAGE_ENDED };
    struct tri_rec_entry entry = { .outcome = TRI_OUTCOME_FAILED, .attempts = 1 };
    struct tri_buffer buffer = { 0 };
    struct tri_range range;

    if (given == NULL)
        return;
    tri_rangeset_take_first(&given->tasks, 1, &range);
    entry.index = range.first;
    tri_record_encode(TRI_RECORD_ENTRY, &entry, &buffer);
    message.ended.lease = given->slice;
    message.ended.entries = tri_list_of(&buffer, 1);
    host_says(host->id, &message, NULL);
    tri_buffer_deinit(&buffer);
}

/* It dies with some of its tasks begun, with or without a known culprit. */
static void host_crashes(struct fake_host *host)
{
    struct session_event event = { .type = SESSION_HOST_GONE, .host = host->id, .wait_status = 11 };
    struct session_task started[200];
    uint64_t at = 0;
    struct given *given = any_given(host);
    struct tri_range range;

    while (given != NULL && event.started_count < host->width
           && event.started_count < TRI_COUNT_OF(started)
           && tri_rangeset_next(&given->tasks, at, &range)) {
        started[event.started_count++] = (struct session_task){ given->slice, range.first };
        at = range.first + 1;
    }
    event.started = started;
    if (event.started_count != 0 && below(2) == 0) {
        event.has_culprit = true;
        event.culprit_signal = 11;
        event.culprit = started[below(event.started_count)];
    }
    host_dies(host);
    deliver(&event);
}

static void host_wants_out(struct fake_host *host)
{
    const struct tri_message message = { .type = TRI_MESSAGE_OARS };

    if (host->leaving)
        return;
    host->leaving = true;
    host_says(host->id, &message, NULL);
}

/* ---- the broker ------------------------------------------------------------------------------ */

static void broker_says(const struct tri_message *message)
{
    if (welcomed)
        deliver(&(struct session_event){ .type = SESSION_MESSAGE, .message = message });
}

static void connect(void)
{
    const struct tri_message message = {
        .type = TRI_MESSAGE_WELCOME,
        .welcome = { .version = 1, .heartbeat_ms = 1000, .lease_ms = 10000 },
    };

    if (connected || exited)
        return;
    connected = true;
    deliver(&(struct session_event){ .type = SESSION_CONNECTED });
    deliver(&(struct session_event){ .type = SESSION_MESSAGE, .message = &message });
    welcomed = true;
}

static void batch(uint64_t number, enum tri_model model, uint64_t width)
{
    const struct tri_rec_spec spec = { .handler = tri_bytes_of("compute"),
                                       .step = 1,
                                       .count = 1000000,
                                       .model = model,
                                       .width = width };
    uint8_t uuid[16] = { (uint8_t)number };
    struct tri_buffer buffer = { 0 };
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };

    tri_record_encode(TRI_RECORD_SPEC, &spec, &buffer);
    message.batch.number = number;
    message.batch.batch = (struct tri_bytes){ uuid, sizeof(uuid) };
    message.batch.spec = tri_buffer_bytes(&buffer);
    broker_says(&message);
    tri_buffer_deinit(&buffer);
}

static void lease(void)
{
    struct tri_message message = { .type = TRI_MESSAGE_LEASE };
    struct fake_lease *made;

    if (!welcomed)
        return;
    made = tri_alloc(1, sizeof(*made));
    message.lease.lease = ++last_lease;
    message.lease.number = 1 + below(3);
    message.lease.first = last_lease * 1000;
    message.lease.count = 1 + below(TASKS_MAX);
    message.lease.attempt = 1;
    message.lease.flags = below(10) == 0 ? TRI_LEASE_ISOLATED : 0;
    message.lease.result_bytes = UINT64_C(1) << 40;
    tri_rangeset_add(&made->left, message.lease.first, message.lease.count);
    tri_map_put(&leases, last_lease, made);
    broker_says(&message);
}

static uint64_t any_lease(void)
{
    return last_lease == 0 ? 0 : last_lease - below(last_lease < 6 ? last_lease : 6);
}

static void revoke(void)
{
    const struct tri_message message = {
        .type = TRI_MESSAGE_REVOKE,
        .revoke = { any_lease(), any_lease() * 1000 + below(TASKS_MAX), below(TASKS_MAX) },
    };

    broker_says(&message);
}

static void cancel(void)
{
    uint64_t number = any_lease();
    struct fake_lease *found = tri_map_find(&leases, number);
    const struct tri_range range = { number * 1000 + below(TASKS_MAX), 1 + below(TASKS_MAX) };
    bool all = below(3) == 0;
    const struct tri_message message = {
        .type = TRI_MESSAGE_CANCEL_LEASE,
        .cancel_lease = { number, tri_ranges_of(&range, !all) },
    };

    if (found == NULL || !welcomed)
        return;
    if (all)
        tri_rangeset_clear(&found->left);
    else
        tri_rangeset_remove(&found->left, range.first, range.count);
    broker_says(&message);
}

static void tick(void)
{
    tri_time at = session_deadline(session);

    if (at == TRI_NEVER)
        return;
    if (at > now)
        now = at;
    deliver(&(struct session_event){ .type = SESSION_TICK });
    if (welcomed)
        broker_says(&(struct tri_message){ .type = TRI_MESSAGE_HEARTBEAT_OK,
                                           .heartbeat_ok.seq = last_heartbeat });
}

static void acknowledge(void)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_RESULTS_OK,
                                       .results_ok.seq = last_seq - below(last_seq / 2 + 1) });
}

static void acknowledge_all(void)
{
    broker_says(
        &(struct tri_message){ .type = TRI_MESSAGE_RESULTS_OK, .results_ok.seq = last_seq });
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void launcher_dies(void)
{
    struct fake_host *host;

    while ((host = any_host()) != NULL)
        host_dies(host);
    deliver(&(struct session_event){ .type = SESSION_LAUNCHER_GONE });
}

static void take_step(void)
{
    struct fake_host *host = any_host();
    uint64_t dice = below(100);

    if (dice < 15)
        lease();
    else if (dice < 25)
        tick();
    else if (dice < 30)
        acknowledge();
    else if (dice < 35)
        revoke();
    else if (dice < 38)
        cancel();
    else if (dice < 40 && connected)
        deliver(&(struct session_event){ .type = SESSION_CONNECTION_LOST });
    else if (dice < 45)
        connect();
    else if (host == NULL)
        return;
    else if (dice < 85)
        host_returns(host, false);
    else if (dice < 90)
        host_fails_one(host);
    else if (dice < 95)
        host_crashes(host);
    else if (dice < 97)
        host_wants_out(host);
    else if (dice < 98)
        launcher_dies();
}

static uint64_t tasks_left(void)
{
    uint64_t left = 0;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&leases, &at, &key, &value);)
        left += ((struct fake_lease *)value)->left.count;
    return left;
}

/* Once nothing goes wrong any more, everything comes to its end. */
static void finish(void)
{
    for (unsigned i = 0; i < 20000 && tasks_left() != 0; i++) {
        struct fake_host *host = any_host();

        connect();
        if (host != NULL && any_given(host) != NULL)
            host_returns(host, true);
        else
            tick();
        settle();
    }
    ck_assert_uint_eq(tasks_left(), 0);
}

static void begin(uint64_t seed)
{
    static const struct session_handler handlers[] = { { .name = "compute" } };
    struct session_options options;

    tri_prng_init(&prng, seed);
    tri_map_init(&hosts);
    tri_map_init(&leases);
    now = 1000000;
    last_lease = last_seq = last_heartbeat = 0;
    connected = welcomed = exited = false;
    session_options_init(&options);
    options.name = "w";
    options.seed = seed;
    options.handlers = handlers;
    options.handler_count = 1;
    options.machine.cores = 2;
    options.recycle_count = below(2) == 0 ? 0 : 1 + below(50);
    session = session_new(&options);
    connect();
    batch(1, TRI_MODEL_THREAD, 4);
    batch(2, TRI_MODEL_PROCESS, 1 + below(6));
    batch(3, TRI_MODEL_ASYNC, 150);
}

static void end(void)
{
    struct fake_host *host;
    uint64_t key;
    void *value;

    session_destroy(&session);
    while ((host = any_host()) != NULL)
        host_dies(host);
    for (size_t at = 0; tri_map_next(&leases, &at, &key, &value);) {
        tri_rangeset_deinit(&((struct fake_lease *)value)->left);
        free(value);
    }
    tri_map_deinit(&hosts);
    tri_map_deinit(&leases);
    debt_count = dying_count = 0;
}

START_TEST(every_task_is_accounted_for_whatever_happens)
{
    begin((uint64_t)_i + 1);
    for (unsigned i = 0; i < STEPS; i++) {
        take_step();
        settle();
    }
    finish();
    deliver(&(struct session_event){ .type = SESSION_DRAIN });
    for (unsigned i = 0; i < 100 && !exited; i++) {
        connect();
        acknowledge_all();
        settle();
        tick();
    }
    ck_assert(exited);
    end();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("walk");

    tcase_add_loop_test(tcase, every_task_is_accounted_for_whatever_happens, 0, WALKS);
    return unit_run("worker_session/walk", tcase);
}
