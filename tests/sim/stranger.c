#include "tests/sim/stranger.h"

#include "common/assert.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/tale.h"

#include <stdio.h>
#include <stdlib.h>

#define STRANGE UINT64_C(0x737472616e6765) /* any number: another stream of chance */
#define OVERHEARD_MAX 64
#define FRAMES_MAX 4 /* more is not remembered */
#define TRIES 16     /* to remember a report */

enum who { WHO_MUTE, WHO_WORKER, WHO_CLIENT, WHO_COUNT };

/* Something that was said to the broker. */
struct saying {
    struct tri_frame *frames[FRAMES_MAX];
    size_t count;
};

struct peer {
    struct sim_node node;
    struct net_socket *socket;
    uint64_t lives;
    uint64_t seq; /* of its reports */
};

struct stranger {
    struct tri_prng prng;
    struct sim_timer next;
    struct peer peers[WHO_COUNT];
    struct saying sayings[OVERHEARD_MAX];
    uint64_t overheard;
};

static uint64_t between(struct stranger *self, uint64_t low, uint64_t high)
{
    return tri_prng_between(&self->prng, low, high);
}

/* ---- saying --------------------------------------------------------------------------------- */

static void say(struct sim *sim, struct peer *peer, const struct tri_message *message)
{
    struct tri_buffer buffer = { 0 };
    struct tri_frame *frame;

    tri_message_encode(message, &buffer);
    tri_assert(!buffer.failed);
    frame = tri_frame_take(&buffer);
    net_send(sim, peer->socket, &frame, 1);
    tri_frame_unref(frame);
}

/* As somebody new each time. */
static void say_hello(struct sim *sim, struct peer *peer)
{
    struct tri_uuid instance = { { 0 } };
    struct tri_message hello = { .type = TRI_MESSAGE_HELLO };

    peer->lives++;
    peer->seq = 0;
    memcpy(instance.bytes, &peer->lives, sizeof(peer->lives));
    memcpy(instance.bytes + 8, peer->node.name, 2);
    hello.hello.version_min = hello.hello.version_max = TRI_PROTOCOL_VERSION;
    hello.hello.role =
        peer == &sim->stranger->peers[WHO_WORKER] ? TRI_ROLE_WORKER : TRI_ROLE_CLIENT;
    hello.hello.instance = (struct tri_bytes){ instance.bytes, sizeof(instance.bytes) };
    hello.hello.name = tri_bytes_of(peer->node.name);
    hello.hello.width = 1;
    say(sim, peer, &hello);
}

/* ---- what they are answered ----------------------------------------------------------------- */

static bool may_hear(enum who who, const struct tri_message *message)
{
    if (message->type == TRI_MESSAGE_NO_SESSION || message->type == TRI_MESSAGE_ERROR)
        return true;
    if (who == WHO_MUTE)
        return false;
    if (who == WHO_CLIENT && message->type == TRI_MESSAGE_LISTED)
        return message->listed.batches.count == 0;
    return message->type == TRI_MESSAGE_WELCOME || message->type == TRI_MESSAGE_HEARTBEAT_OK
           || (who == WHO_WORKER && message->type == TRI_MESSAGE_RESULTS_OK);
}

static void receive(struct sim *sim, void *context, struct tri_frame *const *frames, size_t count)
{
    struct peer *peer = context;
    enum who who = (enum who)(peer - sim->stranger->peers);
    struct tri_message message;

    tri_assert(tri_message_decode(frames[0]->bytes, &message, NULL) == TRI_OK);
    tale_message(sim, "broker", peer->node.name, &message, frames, count);
    if (!may_hear(who, &message))
        sim_fail(sim, "a stranger is told what is not for it: message %d", (int)message.type);
    if (message.type == TRI_MESSAGE_NO_SESSION && who != WHO_MUTE)
        say_hello(sim, peer);
}

/* ---- what they do --------------------------------------------------------------------------- */

static const struct saying *remember(struct stranger *self)
{
    uint64_t kept = self->overheard < OVERHEARD_MAX ? self->overheard : OVERHEARD_MAX;

    return kept != 0 ? &self->sayings[between(self, 0, kept - 1)] : NULL;
}

/* Cut it, or turn some bits. */
static struct tri_frame *damage(struct stranger *self, struct tri_bytes bytes)
{
    struct tri_buffer buffer = { 0 };
    size_t size = bytes.size;

    if (between(self, 0, 1) == 0)
        size = (size_t)between(self, 0, size);
    tri_buffer_append(&buffer, bytes.data, size);
    for (uint64_t i = between(self, 0, 3); i > 0 && size != 0; i--)
        buffer.data[between(self, 0, size - 1)] ^= (uint8_t)between(self, 1, 255);
    return tri_frame_take(&buffer);
}

/* HELLO is the one thing that could be believed. */
static void repeat(struct sim *sim, struct stranger *self, const struct saying *saying)
{
    bool is_damaged = between(self, 0, 1) == 0;
    struct tri_frame *frames[FRAMES_MAX];
    struct tri_message message;

    memcpy(frames, saying->frames, sizeof(frames));
    frames[0] = is_damaged ? damage(self, frames[0]->bytes) : tri_frame_ref(frames[0]);
    if (tri_message_decode(frames[0]->bytes, &message, NULL) != TRI_OK
        || message.type != TRI_MESSAGE_HELLO)
        net_send(sim, self->peers[WHO_MUTE].socket, frames, saying->count);
    tri_frame_unref(frames[0]);
}

/* What others have reported, or named, as if it were of its own. */
static void report(struct sim *sim, struct stranger *self, const struct saying *saying)
{
    struct peer *peer = &self->peers[WHO_WORKER];
    struct tri_message message;

    for (int tries = 0; tries < TRIES; tries++, saying = remember(self)) {
        tri_assert(tri_message_decode(saying->frames[0]->bytes, &message, NULL) == TRI_OK);
        if (message.type == TRI_MESSAGE_ENDED || message.type == TRI_MESSAGE_RELEASED)
            break;
    }
    if (message.type == TRI_MESSAGE_ENDED)
        message.ended.seq = ++peer->seq;
    else if (message.type == TRI_MESSAGE_RELEASED)
        message.released.seq = ++peer->seq;
    else if (message.type != TRI_MESSAGE_HEARTBEAT)
        return;
    say(sim, peer, &message);
}

static void pry(struct sim *sim, struct stranger *self)
{
    static const enum tri_message_type types[] = { TRI_MESSAGE_LIST,   TRI_MESSAGE_SHOW,
                                                   TRI_MESSAGE_ATTACH, TRI_MESSAGE_CANCEL,
                                                   TRI_MESSAGE_RETRY,  TRI_MESSAGE_FORGET,
                                                   TRI_MESSAGE_ACK };
    struct tri_message message = { .type = types[between(self, 0, TRI_COUNT_OF(types) - 1)] };
    uint64_t number = between(self, 1, sim->plan->batch_count);
    const struct tri_range all = { 0, INT64_MAX };

    if (message.type == TRI_MESSAGE_SHOW)
        message.show.number = number;
    else if (message.type == TRI_MESSAGE_ATTACH)
        message.attach = (struct tri_msg_attach){ .number = number, .owner = 1, .window_bytes = 1 };
    else if (message.type == TRI_MESSAGE_CANCEL)
        message.cancel.number = number;
    else if (message.type == TRI_MESSAGE_RETRY)
        message.retry.number = number;
    else if (message.type == TRI_MESSAGE_FORGET)
        message.forget.number = number;
    else if (message.type == TRI_MESSAGE_ACK)
        message.ack = (struct tri_msg_ack){ .number = number, .rows = tri_ranges_of(&all, 1) };
    say(sim, &self->peers[WHO_CLIENT], &message);
}

static void on_next(struct sim *sim, void *context)
{
    struct stranger *self = context;
    const struct saying *saying = remember(self);
    enum who who = (enum who)between(self, 0, WHO_COUNT - 1);

    if (sim->calm)
        return;
    sim_after(sim, &self->next, between(self, 1, SIM_S));
    if (who == WHO_CLIENT)
        pry(sim, self);
    else if (saying != NULL && who == WHO_WORKER)
        report(sim, self, saying);
    else if (saying != NULL)
        repeat(sim, self, saying);
}

/* ---- listening ------------------------------------------------------------------------------ */

static void forget(struct saying *saying)
{
    for (size_t i = 0; i < saying->count; i++)
        tri_frame_unref(saying->frames[i]);
    saying->count = 0;
}

void stranger_overhears(struct sim *sim, struct tri_frame *const *frames, size_t count)
{
    struct stranger *self = sim->stranger;
    struct saying *saying;

    if (self == NULL || count > FRAMES_MAX)
        return;
    saying = &self->sayings[self->overheard++ % OVERHEARD_MAX];
    forget(saying);
    saying->count = count;
    for (size_t i = 0; i < count; i++)
        saying->frames[i] = tri_frame_ref(frames[i]);
}

static const struct peer *find(const struct sim *sim, const struct peer_id *id)
{
    const char *name = net_name(sim, id);

    for (size_t i = 0; sim->stranger != NULL && i < WHO_COUNT; i++)
        if (name == sim->stranger->peers[i].node.name)
            return &sim->stranger->peers[i];
    return NULL;
}

bool stranger_is(const struct sim *sim, const struct peer_id *peer)
{
    return find(sim, peer) != NULL;
}

struct tri_bytes stranger_principal(const struct sim *sim, const struct peer_id *peer)
{
    const struct peer *who = find(sim, peer);

    return tri_bytes_of(who != NULL && who == &sim->stranger->peers[WHO_CLIENT] ? "other"
                                                                                : "local");
}

/* ---- life ----------------------------------------------------------------------------------- */

void stranger_begin(struct sim *sim)
{
    struct stranger *self = tri_alloc(1, sizeof(*self));

    sim->stranger = self;
    tri_prng_init(&self->prng, tri_mix64(sim->seed + STRANGE));
    for (size_t i = 0; i < WHO_COUNT; i++) {
        struct peer *peer = &self->peers[i];

        snprintf(peer->node.name, sizeof(peer->node.name), "x%zu", i);
        peer->socket = net_open(sim, &peer->node, receive, peer);
    }
    self->next = (struct sim_timer){ .fire = on_next, .context = self };
    sim_after(sim, &self->next, between(self, 1, SIM_S));
}

void stranger_end(struct sim *sim)
{
    struct stranger *self = sim->stranger;

    if (self == NULL)
        return;
    sim_cancel(sim, &self->next);
    for (size_t i = 0; i < WHO_COUNT; i++)
        net_close(sim, &self->peers[i].socket, false);
    for (size_t i = 0; i < OVERHEARD_MAX; i++)
        forget(&self->sayings[i]);
    free(self);
    sim->stranger = NULL;
}
