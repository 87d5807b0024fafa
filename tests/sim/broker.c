#include "tests/sim/broker.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/store.h"
#include "tests/sim/tale.h"

#include <stdio.h>
#include <stdlib.h>

#define FRAMES_MAX 300
#define STEPS_AT_ONCE 200000 /* without any time passing: it goes round in circles */

/* A message that waits for its commit. */
struct parcel {
    struct tri_dlist_node node;
    uint64_t ticket;
    struct peer_id peer;
    size_t count;
    struct tri_frame *frames[];
};

/* An event that performing effects has caused. */
struct errand {
    struct sim_timer timer;
    struct tri_dlist_node node;
    struct event event;
};

struct broker {
    struct sim_node node;
    struct engine *engine;
    struct store store;
    struct sim_timer tick;
    struct sim_timer commit;
    struct tri_dlist_head outbox;
    struct tri_dlist_head errands;
    uint64_t ticket;  /* of the last commit that was begun */
    uint64_t durable; /* of the last one that is durable */
    bool is_dirty;    /* written since the last commit was begun */
    uint64_t stood;   /* how often the engine has stepped at one time */
    uint64_t stood_at;
    uint64_t quiet_until; /* after it stood still: peers are heard before anything expires */
};

static uint64_t check_every = 1;

void broker_check_every(uint64_t steps)
{
    check_every = steps != 0 ? steps : 1;
}

static const struct tri_bytes principal = { (const uint8_t *)"local", 5 };

static void step(struct sim *sim, struct event *event, struct tri_frame *const *payloads);

struct sim_node *broker_node(struct sim *sim)
{
    return &sim->broker->node;
}

size_t broker_rows(const struct sim *sim)
{
    return store_batch_rows(&sim->broker->store);
}

/* ---- what performing causes ----------------------------------------------------------------- */

static void run_errand(struct sim *sim, void *context)
{
    struct errand *errand = context;
    struct broker *self = sim->broker;
    struct event event = errand->event;

    if (sim_defers(sim, &self->node, &errand->timer, false))
        return;
    tri_dlist_remove(&self->errands, &errand->node);
    free(errand);
    if (event.type == EVENT_LOADED && store_find(&self->store, event.key) == NULL) {
        event.type = EVENT_LOAD_FAILED;
        event.status = TRI_NOTFOUND;
        event.text = "no such row";
    }
    step(sim, &event, NULL);
}

static void send_errand(struct sim *sim, const struct event *event, uint64_t us)
{
    struct errand *errand = tri_alloc(1, sizeof(*errand));

    errand->event = *event;
    errand->timer = (struct sim_timer){ .fire = run_errand, .context = errand };
    tri_dlist_push_back(&sim->broker->errands, &errand->node);
    sim_after(sim, &errand->timer, us);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void transmit(struct sim *sim,
                     const struct peer_id *peer,
                     struct tri_frame *const *frames,
                     size_t count)
{
    checker_broker_sends(sim, peer, frames, count);
    if (!net_reply(sim, peer, frames, count))
        send_errand(sim, &(struct event){ .type = EVENT_PEER_LOST, .peer = *peer }, 1);
}

static void flush(struct sim *sim)
{
    struct broker *self = sim->broker;
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&self->outbox)) != NULL) {
        struct parcel *parcel = tri_container_of(node, struct parcel, node);

        if (parcel->ticket > self->durable)
            return;
        tri_dlist_remove(&self->outbox, node);
        transmit(sim, &parcel->peer, parcel->frames, parcel->count);
        for (size_t i = 0; i < parcel->count; i++)
            tri_frame_unref(parcel->frames[i]);
        free(parcel);
    }
}

static void enqueue(struct broker *self,
                    const struct peer_id *peer,
                    struct tri_frame *const *frames,
                    size_t count)
{
    struct parcel *parcel = tri_alloc(1, sizeof(*parcel) + count * sizeof(frames[0]));

    parcel->ticket = self->ticket + (self->is_dirty ? 1 : 0);
    parcel->peer = *peer;
    parcel->count = count;
    for (size_t i = 0; i < count; i++)
        parcel->frames[i] = tri_frame_ref(frames[i]);
    tri_dlist_push_back(&self->outbox, &parcel->node);
}

static bool same_key(const struct store_key *a, const struct store_key *b)
{
    return a->table == b->table && a->batch == b->batch && a->key == b->key;
}

/* What is not kept in memory is there only in the step that wrote or loaded it. */
static bool is_resident(const struct sim *sim,
                        const struct event *event,
                        const struct effects *effects,
                        size_t end,
                        const struct store_key *key)
{
    if (!sim->plan->options.payloads_stored
        || (event->type == EVENT_LOADED && same_key(&event->key, key)))
        return true;
    for (size_t i = 0; i < end; i++)
        if (effects->items[i].type == EFFECT_PUT && same_key(&effects->items[i].put.key, key))
            return true;
    return false;
}

static struct tri_frame *open_attachment(const struct sim *sim, const struct attachment *attachment)
{
    struct tri_frame *payload = store_find(&sim->broker->store, attachment->key);
    struct tri_buffer cut = { 0 };
    struct tri_chunk chunk;

    if (payload == NULL)
        sim_fail(sim,
                 "the engine sends a payload that is not in the store: table %d batch %llu "
                 "key %llu",
                 attachment->key.table, (unsigned long long)attachment->key.batch,
                 (unsigned long long)attachment->key.key);
    if (attachment->key.table != STORE_CHUNK)
        return tri_frame_ref(payload);
    if (tri_items_open(payload->bytes, &chunk, NULL) != TRI_OK
        || attachment->first + attachment->count > chunk.count)
        sim_fail(sim, "the engine cuts items %u+%u out of a chunk of %u", attachment->first,
                 attachment->count, chunk.count);
    if (attachment->count == chunk.count)
        return tri_frame_ref(payload);
    tri_items_cut(&chunk, attachment->first, attachment->count, &cut);
    tri_assert(!cut.failed);
    return tri_frame_take(&cut);
}

static void perform_send(struct sim *sim,
                         const struct event *event,
                         const struct effects *effects,
                         size_t at,
                         bool waits)
{
    const struct effect *effect = &effects->items[at];
    struct tri_frame *frames[FRAMES_MAX];
    size_t count = 0;

    tri_assert(effect->send.attachment_count < FRAMES_MAX);
    frames[count++] = tri_frame_copy(effect->send.frame);
    for (size_t i = 0; i < effect->send.attachment_count; i++) {
        const struct attachment *attachment = &effect->send.attachments[i];

        if (!is_resident(sim, event, effects, at, &attachment->key))
            sim_fail(sim, "the engine sends a payload that it has not loaded");
        frames[count++] = open_attachment(sim, attachment);
    }
    if (waits)
        enqueue(sim->broker, &effect->send.peer, frames, count);
    else
        transmit(sim, &effect->send.peer, frames, count);
    for (size_t i = 0; i < count; i++)
        tri_frame_unref(frames[i]);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void perform_put(struct broker *self,
                        const struct effect *effect,
                        struct tri_frame *const *payloads)
{
    struct tri_frame *payload = NULL;

    tri_assert(effect->put.frame < 0 || payloads != NULL);
    if (effect->put.frame >= 0)
        payload = tri_frame_ref(payloads[effect->put.frame]);
    else if (effect->put.payload.size != 0)
        payload = tri_frame_copy(effect->put.payload);
    store_put(&self->store, effect->put.key, payload);
    tri_frame_unref(payload);
    self->is_dirty = true;
}

static void begin_commit(struct sim *sim)
{
    struct broker *self = sim->broker;

    if (!self->is_dirty || self->ticket != self->durable)
        return;
    self->ticket++;
    self->is_dirty = false;
    if (sim->plan->commit_us_max == 0)
        self->durable = self->ticket;
    else
        sim_after(sim, &self->commit, sim_between(sim, 1, sim->plan->commit_us_max));
}

static void end_commit(struct sim *sim, void *context)
{
    struct broker *self = context;

    if (sim_defers(sim, &self->node, &self->commit, false))
        return;
    self->durable = self->ticket;
    flush(sim);
    begin_commit(sim);
}

/* ---- a step --------------------------------------------------------------------------------- */

static void perform(struct sim *sim,
                    const struct event *event,
                    const struct effects *effects,
                    struct tri_frame *const *payloads)
{
    struct broker *self = sim->broker;
    bool waits = false;

    for (size_t i = 0; i < effects->count; i++) {
        const struct effect *effect = &effects->items[i];

        switch (effect->type) {
        case EFFECT_PUT:
            perform_put(self, effect, payloads);
            break;
        case EFFECT_DELETE:
            store_delete(&self->store, effect->delete.key, effect->delete.whole_batch);
            self->is_dirty = true;
            break;
        case EFFECT_GET:
            send_errand(sim, &(struct event){ .type = EVENT_LOADED, .key = effect->get },
                        sim_between(sim, 1, sim->plan->load_us_max));
            break;
        case EFFECT_SEND:
            waits = waits || effect->send.waits;
            perform_send(sim, event, effects, i, waits);
            break;
        case EFFECT_TRACE:
            sim_tell(sim, "broker", "%s", effect->trace);
            break;
        }
    }
}

static void count_step(struct sim *sim)
{
    struct broker *self = sim->broker;

    sim->counts.steps++;
    self->stood = self->stood_at == sim->now ? self->stood + 1 : 0;
    self->stood_at = sim->now;
    if (self->stood > STEPS_AT_ONCE)
        sim_fail(sim, "the engine steps and steps and no time passes");
}

static void step(struct sim *sim, struct event *event, struct tri_frame *const *payloads)
{
    struct broker *self = sim->broker;
    struct effects effects;

    count_step(sim);
    event->now = sim_clock_ms(sim, &self->node);
    event->principal = principal;
    effects = engine_step(self->engine, event);
    if (sim->counts.steps % check_every == 0)
        engine_check(self->engine);
    perform(sim, event, &effects, payloads);
    begin_commit(sim);
    flush(sim);
    sim_at_clock(sim, &self->node, &self->tick, engine_deadline(self->engine));
}

static void on_tick(struct sim *sim, void *context)
{
    struct broker *self = context;

    if (sim_defers(sim, &self->node, &self->tick, true))
        return;
    if (sim->now < self->quiet_until)
        sim_at(sim, &self->tick, self->quiet_until);
    else
        step(sim, &(struct event){ .type = EVENT_TICK }, NULL);
}

bool broker_pause(struct sim *sim, uint64_t us)
{
    struct broker *self = sim->broker;

    if (self->node.paused_until > sim->now)
        return false;
    self->node.paused_until = (sim->now + us) | 1;
    sim_trouble(sim, self->node.paused_until);
    self->quiet_until = self->node.paused_until + sim->plan->options.limits.heartbeat_ms * SIM_MS;
    return true;
}

void broker_receive(struct sim *sim,
                    const struct peer_id *peer,
                    struct tri_frame *const *frames,
                    size_t count)
{
    struct event event = { .type = EVENT_MESSAGE, .peer = *peer, .frame_count = count - 1 };
    struct tri_bytes payloads[FRAMES_MAX];
    struct tri_message message;
    struct tri_error error;

    tri_assert(count <= FRAMES_MAX);
    for (size_t i = 1; i < count; i++)
        payloads[i - 1] = frames[i]->bytes;
    event.frames = payloads;
    event.message = &message;
    event.status = tri_message_decode(frames[0]->bytes, &message, &error);
    if (event.status != TRI_OK) {
        event.type = EVENT_BAD_MESSAGE;
        event.text = error.text;
    } else {
        tale_message(sim, net_name(sim, peer), "broker", &message, frames, count);
        checker_broker_gets(sim, peer, &message, frames, count);
    }
    step(sim, &event, frames + 1);
    if (event.type == EVENT_MESSAGE)
        checker_broker_got(sim, &message);
}

/* ---- life ----------------------------------------------------------------------------------- */

void broker_begin(struct sim *sim)
{
    struct broker *self = tri_alloc(1, sizeof(*self));

    snprintf(self->node.name, sizeof(self->node.name), "broker");
    self->node.clock_ms = sim_skewed(sim, 1, UINT64_C(1) << 34);
    self->tick = (struct sim_timer){ .fire = on_tick, .context = self };
    self->commit = (struct sim_timer){ .fire = end_commit, .context = self };
    tri_dlist_init(&self->outbox);
    tri_dlist_init(&self->errands);
    store_begin(&self->store);
    self->engine = engine_new(&sim->plan->options);
    sim->broker = self;
}

void broker_end(struct sim *sim)
{
    struct broker *self = sim->broker;
    struct tri_dlist_node *node;

    self->durable = UINT64_MAX;
    while ((node = tri_dlist_pop_front(&self->outbox)) != NULL) {
        struct parcel *parcel = tri_container_of(node, struct parcel, node);

        for (size_t i = 0; i < parcel->count; i++)
            tri_frame_unref(parcel->frames[i]);
        free(parcel);
    }
    while ((node = tri_dlist_pop_front(&self->errands)) != NULL) {
        struct errand *errand = tri_container_of(node, struct errand, node);

        sim_cancel(sim, &errand->timer);
        free(errand);
    }
    sim_cancel(sim, &self->tick);
    sim_cancel(sim, &self->commit);
    engine_destroy(&self->engine);
    store_end(&self->store);
    free(self);
    sim->broker = NULL;
}
