/* scenario_peer.c - clients and workers that come and go, and time that passes. */
#include "tests/engine/scenario.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdio.h>

static const char *const default_handlers[] = { "square", "echo", "command", NULL };
static const char *const no_labels[] = { NULL };

/* ---- peers ---------------------------------------------------------------------------------- */

struct peer *peer_of(struct scenario *s, const char *name)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used && strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    ck_abort_msg("no peer %s", name);
    return NULL;
}

static void new_route(struct scenario *s, struct peer *peer)
{
    uint64_t route = ++s->routes;

    peer->id.size = 9;
    peer->id.bytes[0] = 0;
    memcpy(peer->id.bytes + 1, &route, sizeof(route));
}

static struct peer *new_peer(struct scenario *s, const char *name, const char *principal)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &s->peers[i];

        if (peer->used)
            continue;
        *peer = (struct peer){ .used = true, .starts = true, .principal = principal };
        snprintf(peer->name, sizeof(peer->name), "%s", name);
        snprintf((char *)peer->instance.bytes, 16, "i-%.12s", name);
        peer->handlers = default_handlers;
        peer->labels = no_labels;
        peer->sent = tri_alloc(SENT_MAX, sizeof(*peer->sent));
        peer->held = tri_alloc(HELD_MAX, sizeof(*peer->held));
        new_route(s, peer);
        return peer;
    }
    ck_abort_msg("too many peers");
    return NULL;
}

void peer_sends(struct scenario *s,
                const char *name,
                const struct tri_message *message,
                const struct tri_bytes *frames,
                size_t frame_count)
{
    struct peer *peer = peer_of(s, name);
    struct tri_buffer frame = { 0 };
    struct tri_message decoded;
    struct event event = { .type = EVENT_MESSAGE, .now = s->now, .peer = peer->id };

    tri_message_encode(message, &frame);
    ck_assert(tri_message_decode(tri_buffer_bytes(&frame), &decoded, NULL) == TRI_OK);
    event.message = &decoded;
    event.frames = frames;
    event.frame_count = frame_count;
    event.principal = tri_bytes_of(peer->principal);
    step(s, &event);
    tri_buffer_deinit(&frame);
}

static size_t pack_names(const char *const *names, bool handlers, struct tri_buffer *out)
{
    size_t count = 0;

    for (; names[count] != NULL; count++) {
        struct tri_rec_handler handler = { tri_bytes_of(names[count]), 0, 0 };
        struct tri_rec_text text = { tri_bytes_of(names[count]) };

        if (handlers)
            tri_record_encode(TRI_RECORD_HANDLER, &handler, out);
        else
            tri_record_encode(TRI_RECORD_TEXT, &text, out);
    }
    return count;
}

static struct tri_ranges pack_set(const struct tri_rangeset *set, struct tri_buffer *out)
{
    struct tri_range range;
    size_t count = 0;

    tri_buffer_clear(out);
    for (uint64_t at = 0; tri_rangeset_next(set, at, &range); at = range.first + range.count) {
        tri_buffer_append(out, &range, sizeof(range));
        count++;
    }
    return (struct tri_ranges){ out->data, count };
}

static size_t pack_held(const struct peer *peer, struct tri_buffer *out)
{
    struct tri_buffer ranges = { 0 };
    size_t count = 0;

    for (size_t i = 0; i < peer->held_count; i++) {
        const struct held *held = &peer->held[i];
        struct tri_rec_held record = { held->lease, held->number, { 0 } };

        if (tri_rangeset_is_empty(&held->undone))
            continue;
        record.ranges = pack_set(&held->undone, &ranges);
        tri_record_encode(TRI_RECORD_HELD, &record, out);
        count++;
    }
    tri_buffer_deinit(&ranges);
    return count;
}

static void say_hello(struct scenario *s, struct peer *peer)
{
    struct tri_message message = { .type = TRI_MESSAGE_HELLO };
    struct tri_buffer handlers = { 0 };
    struct tri_buffer labels = { 0 };
    struct tri_buffer held = { 0 };

    message.hello.version_min = 1;
    message.hello.version_max = 1;
    message.hello.role = peer->is_worker ? TRI_ROLE_WORKER : TRI_ROLE_CLIENT;
    message.hello.instance = (struct tri_bytes){ peer->instance.bytes, 16 };
    message.hello.name = tri_bytes_of(peer->name);
    message.hello.software = tri_bytes_of("test");
    message.hello.width = peer->width;
    if (peer->is_worker) {
        size_t count = pack_names(peer->handlers, true, &handlers);

        message.hello.handlers = tri_list_of(&handlers, count);
        count = pack_names(peer->labels, false, &labels);
        message.hello.labels = tri_list_of(&labels, count);
        count = pack_held(peer, &held);
        message.hello.held = tri_list_of(&held, count);
    }
    peer_sends(s, peer->name, &message, NULL, 0);
    tri_buffer_deinit(&handlers);
    tri_buffer_deinit(&labels);
    tri_buffer_deinit(&held);
}

void client_of(struct scenario *s, const char *name, const char *principal)
{
    expect_nothing_else(s);
    say_hello(s, new_peer(s, name, principal));
    expect(s, name, "WELCOME");
}

void client_joins(struct scenario *s, const char *name)
{
    client_of(s, name, "local");
}

static void join_worker(struct scenario *s,
                        const char *name,
                        uint64_t width,
                        const char *const *handlers,
                        const char *const *labels,
                        bool takes)
{
    struct peer *peer;

    expect_nothing_else(s);
    peer = new_peer(s, name, "local");
    peer->is_worker = true;
    peer->takes_batches = takes;
    peer->width = width;
    peer->handlers = handlers;
    peer->labels = labels;
    say_hello(s, peer);
    expect(s, name, "WELCOME");
}

void worker_joins(struct scenario *s, const char *name, uint64_t width)
{
    join_worker(s, name, width, default_handlers, no_labels, true);
}

void worker_joins_with(struct scenario *s,
                       const char *name,
                       uint64_t width,
                       const char *const *handlers,
                       const char *const *labels)
{
    join_worker(s, name, width, handlers, labels, true);
}

void worker_hesitates(struct scenario *s, const char *name)
{
    join_worker(s, name, 2, default_handlers, no_labels, false);
}

static void send_oars(
    struct scenario *s, const char *name, const char *batch, uint64_t width, enum tri_status status)
{
    struct tri_message message = { .type = TRI_MESSAGE_OARS };

    expect_nothing_else(s);
    message.oars.number = batch_of(s, batch)->number;
    message.oars.width = width;
    message.oars.model = TRI_MODEL_PROCESS;
    message.oars.status = status;
    message.oars.reason =
        tri_bytes_of(status == TRI_OK ? "processes suit it" : "commands are off here");
    peer_sends(s, name, &message, NULL, 0);
}

void worker_mans(struct scenario *s, const char *name, const char *batch, uint64_t width)
{
    send_oars(s, name, batch, width, TRI_OK);
}

void worker_refuses(struct scenario *s, const char *name, const char *batch, enum tri_status why)
{
    send_oars(s, name, batch, 0, why);
}

void peer_returns(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);

    expect_nothing_else(s);
    peer->silent = false;
    new_route(s, peer);
    say_hello(s, peer);
}

void worker_loses_leases(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);

    for (size_t i = 0; i < peer->held_count; i++)
        tri_rangeset_clear(&peer->held[i].undone);
}

void peer_goes_silent(struct scenario *s, const char *name)
{
    peer_of(s, name)->silent = true;
}

void peer_lost(struct scenario *s, const char *name)
{
    struct event event = { .type = EVENT_PEER_LOST, .now = s->now, .peer = peer_of(s, name)->id };

    expect_nothing_else(s);
    peer_of(s, name)->silent = true;
    step(s, &event);
}

void peer_says_bye(struct scenario *s, const char *name)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE };

    expect_nothing_else(s);
    peer_of(s, name)->silent = true;
    peer_sends(s, name, &message, NULL, 0);
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Unless a story says what has been started, it is as much as there are oars, in order. */
static struct tri_ranges first_undone(const struct held *held,
                                      uint64_t *oars,
                                      struct tri_buffer *out)
{
    struct tri_range range;

    tri_rangeset_next(&held->undone, 0, &range);
    if (range.count > *oars)
        range.count = *oars;
    *oars -= range.count;
    tri_buffer_append(out, &range, sizeof(range));
    return (struct tri_ranges){ out->data, range.count != 0 };
}

static size_t pack_renewals(const struct peer *peer, struct tri_buffer *out)
{
    struct tri_buffer ranges = { 0 };
    uint64_t oars = peer->width;
    size_t count = 0;

    for (size_t i = 0; i < peer->held_count; i++) {
        const struct held *held = &peer->held[i];
        struct tri_rec_renew record = { held->lease, held->wanted, { 0 } };

        if (tri_rangeset_is_empty(&held->undone))
            continue;
        record.started = pack_set(&held->started, &ranges);
        if (tri_rangeset_is_empty(&held->started) && peer->starts)
            record.started = first_undone(held, &oars, &ranges);
        tri_record_encode(TRI_RECORD_RENEW, &record, out);
        count++;
    }
    tri_buffer_deinit(&ranges);
    return count;
}

static void take_line(struct peer *peer, const char *text)
{
    for (size_t i = 0; i < peer->sent_count; i++)
        if (!peer->sent[i].taken && strcmp(peer->sent[i].text, text) == 0) {
            peer->sent[i].taken = true;
            return;
        }
}

static void beat(struct scenario *s, struct peer *peer)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT };
    struct tri_buffer leases = { 0 };
    size_t count = pack_renewals(peer, &leases);

    message.heartbeat.seq = ++peer->heartbeat;
    message.heartbeat.leases = tri_list_of(&leases, count);
    peer_sends(s, peer->name, &message, NULL, 0);
    take_line(peer, "HEARTBEAT_OK");
    tri_buffer_deinit(&leases);
}

void heartbeat(struct scenario *s, const char *name)
{
    expect_nothing_else(s);
    beat(s, peer_of(s, name));
}

void tick(struct scenario *s)
{
    struct event event = { .type = EVENT_TICK, .now = s->now };

    step(s, &event);
}

static void tick_while_due(struct scenario *s)
{
    while (engine_deadline(s->engine) <= s->now)
        tick(s);
}

static void beat_all(struct scenario *s)
{
    s->next_beat = s->now + HEARTBEAT_MS;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->peers[i].used && !s->peers[i].silent)
            beat(s, &s->peers[i]);
}

void time_passes_ms(struct scenario *s, uint64_t ms)
{
    tri_time end = s->now + ms;

    expect_nothing_else(s);
    if (s->next_beat < s->now)
        s->next_beat = s->now + HEARTBEAT_MS;
    tick_while_due(s);
    while (s->now < end) {
        tri_time next = engine_deadline(s->engine);

        if (next > s->next_beat)
            next = s->next_beat;
        s->now = next < end ? next : end;
        if (s->now == s->next_beat)
            beat_all(s);
        tick_while_due(s);
    }
}
