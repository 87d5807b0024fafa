#include "tests/sim/broker.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "tests/sim/broker_state.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/stranger.h"
#include "tests/sim/tale.h"
#include "tests/sim/vault.h"

#include <stdlib.h>

#define FRAMES_MAX 300
#define FULL_US (200 * SIM_MS)
#define STEPS_AT_ONCE 200000 /* without any time passing: it goes round in circles */

static uint64_t check_every = 1;

void broker_check_every(uint64_t steps)
{
    check_every = steps != 0 ? steps : 1;
}

static void step(struct sim *sim, struct event *event, struct tri_frame *const *payloads);

struct sim_node *broker_node(struct sim *sim)
{
    return &sim->broker->node;
}

size_t broker_rows(const struct sim *sim)
{
    return store_batch_rows(&sim->broker->disk.seen);
}

static struct tri_frame *find_payload(const struct broker *self, struct store_key key)
{
    const struct store_row *row = store_find(&self->disk.seen, key);

    return row != NULL ? row->payload : NULL;
}

/* ---- what performing causes ----------------------------------------------------------------- */

/* A step with a payload that has come: the engine itself reads histories. */
static void step_loaded(struct sim *sim, struct event *event, const struct tri_frame *payload)
{
    if (event->type == EVENT_LOADED && event->key.table == STORE_TASK) {
        event->frames = &payload->bytes;
        event->frame_count = 1;
    }
    step(sim, event, NULL);
}

/* One event for each payload that has come, or will not. */
static void take_loaded(struct sim *sim)
{
    const struct broker *self = sim->broker;
    struct event event = { 0 };

    while (self->engine != NULL && vault_fetched(sim, &event.key, &event.status)) {
        const struct tri_frame *payload = find_payload(self, event.key);

        /* What is damaged may have been removed since that was seen. */
        if (event.status != TRI_STORE && (event.status == TRI_NOTFOUND) != (payload == NULL))
            sim_fail(sim, "a payload that was %s is not what the store says of it: %s",
                     payload != NULL ? "put" : "not put", tri_status_text(event.status));
        event.type = event.status == TRI_OK ? EVENT_LOADED : EVENT_LOAD_FAILED;
        event.text = tri_status_text(event.status);
        step_loaded(sim, &event, payload);
    }
}

static void load(struct sim *sim)
{
    if (vault_load(sim))
        take_loaded(sim);
    else
        broker_crash(sim, &(struct doom){ DOOM_ERROR, sim->broker->read_down_us });
}

static void run_errand(struct sim *sim, void *context)
{
    struct errand *errand = context;
    struct broker *self = sim->broker;
    struct event event = errand->event;
    const struct tri_frame *payload;

    if (sim_defers(sim, &self->node, &errand->timer, false))
        return;
    tri_dlist_remove(&self->errands, &errand->node);
    free(errand);
    if (event.type == EVENT_LOADED && sim->vault != NULL) {
        load(sim);
        return;
    }
    payload = find_payload(self, event.key);
    if (event.type == EVENT_LOADED && payload == NULL) {
        event.type = EVENT_LOAD_FAILED;
        event.status = TRI_NOTFOUND;
        event.text = "no such row";
    }
    step_loaded(sim, &event, payload);
}

static void send_errand(struct sim *sim, const struct event *event, uint64_t us)
{
    struct errand *errand = tri_alloc(1, sizeof(*errand));

    errand->event = *event;
    errand->timer = (struct sim_timer){ .fire = run_errand, .context = errand };
    tri_dlist_push_back(&sim->broker->errands, &errand->node);
    sim_after(sim, &errand->timer, us);
}

/* For what is new; a sixteenth does not matter, as in the daemon. */
void broker_tell_room(struct sim *sim)
{
    struct broker *self = sim->broker;
    uint64_t left = broker_disk_left(sim);
    uint64_t reserve = sim->plan->reserve_bytes;
    uint64_t room = left > reserve ? left - reserve : 0;
    uint64_t told = self->room_told;

    if (!sim->plan->is_durable || self->engine == NULL
        || (room > told ? room - told : told - room) <= told / 16)
        return;
    self->room_told = room;
    send_errand(sim, &(struct event){ .type = EVENT_ROOM, .room_bytes = room }, 1);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void transmit(struct sim *sim,
                     const struct peer_id *peer,
                     struct tri_frame *const *frames,
                     size_t count,
                     uint64_t decided_at)
{
    checker_broker_sends(sim, peer, frames, count, decided_at);
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
        transmit(sim, &parcel->peer, parcel->frames, parcel->count, parcel->decided_at);
        for (size_t i = 0; i < parcel->count; i++)
            tri_frame_unref(parcel->frames[i]);
        free(parcel);
    }
}

static void enqueue(struct sim *sim,
                    const struct peer_id *peer,
                    struct tri_frame *const *frames,
                    size_t count)
{
    struct broker *self = sim->broker;
    struct parcel *parcel = tri_alloc(1, sizeof(*parcel) + count * sizeof(frames[0]));

    parcel->decided_at = sim->now;
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
    struct tri_frame *payload = find_payload(sim->broker, attachment->key);
    struct tri_buffer cut = { 0 };
    struct tri_chunk chunk;

    if (payload == NULL)
        sim_fail(sim,
                 "the engine sends a payload that is not in the store: table %d batch %llu "
                 "key %llu",
                 attachment->key.table, (unsigned long long)attachment->key.batch,
                 (unsigned long long)attachment->key.key);
    if (sim->vault != NULL)
        vault_expect(sim, attachment->key, payload->bytes);
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

/* All attachments of an effect as one frame, their values cut. */
static struct tri_frame *open_cut(const struct sim *sim, const struct effect *effect)
{
    const struct attachment *parts = effect->send.attachments;
    struct tri_frame *payload = find_payload(sim->broker, parts[0].key);
    struct tri_chunk_builder builder = { 0 };
    struct tri_buffer frame = { 0 };
    struct tri_chunk chunk;

    if (payload == NULL || tri_items_open(payload->bytes, &chunk, NULL) != TRI_OK)
        sim_fail(sim, "the engine answers with a chunk that is not in the store");
    for (size_t i = 0; i < effect->send.attachment_count; i++) {
        if (!same_key(&parts[i].key, &parts[0].key)
            || parts[i].first + parts[i].count > chunk.count)
            sim_fail(sim, "the engine cuts what is not in the chunk");
        tri_items_pick(&chunk, parts[i].first, parts[i].count, effect->send.item_bytes_max,
                       &builder);
    }
    tri_items_encode(&builder, &frame);
    tri_chunk_builder_deinit(&builder);
    return tri_frame_take(&frame);
}

static void perform_send(struct sim *sim,
                         const struct event *event,
                         const struct effects *effects,
                         size_t at)
{
    const struct effect *effect = &effects->items[at];
    struct tri_frame *frames[FRAMES_MAX];
    size_t count = 0;

    tri_assert(effect->send.attachment_count < FRAMES_MAX || effect->send.item_bytes_max != 0);
    frames[count++] = tri_frame_copy(effect->send.frame);
    for (size_t i = 0; i < effect->send.attachment_count; i++) {
        const struct attachment *attachment = &effect->send.attachments[i];

        if (!is_resident(sim, event, effects, at, &attachment->key))
            sim_fail(sim, "the engine sends a payload that it has not loaded");
        if (effect->send.item_bytes_max == 0)
            frames[count++] = open_attachment(sim, attachment);
    }
    if (effect->send.item_bytes_max != 0)
        frames[count++] = open_cut(sim, effect);
    if (effect->send.waits)
        enqueue(sim, &effect->send.peer, frames, count);
    else
        transmit(sim, &effect->send.peer, frames, count, sim->now);
    for (size_t i = 0; i < count; i++)
        tri_frame_unref(frames[i]);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Part of the commit that is begun next. */
static uint64_t write_now(const struct broker *self)
{
    return self->ticket + 1;
}

static bool has_row(const struct broker *self, const struct store_key *key)
{
    return key->table == STORE_ROW && store_find(&self->disk.seen, *key) != NULL;
}

static void perform_put(struct sim *sim,
                        const struct effect *effect,
                        struct tri_frame *const *payloads)
{
    struct broker *self = sim->broker;
    struct store_row row = { .key = effect->put.key, .head = tri_frame_copy(effect->put.head) };

    tri_assert(effect->put.frame < 0 || payloads != NULL);
    if (effect->put.frame >= 0)
        row.payload = tri_frame_ref(payloads[effect->put.frame]);
    else if (effect->put.payload.size != 0)
        row.payload = tri_frame_copy(effect->put.payload);
    if (row.payload == NULL && has_row(self, &row.key))
        checker_broker_drops(sim, row.key.batch, row.key.key);
    disk_put(&self->disk, write_now(self), &row);
    if (sim->vault != NULL)
        vault_put(sim, row.key, row.head->bytes, row.payload);
    tri_frame_unref(row.head);
    tri_frame_unref(row.payload);
}

static void perform_delete(struct sim *sim, const struct effect *effect)
{
    struct broker *self = sim->broker;
    struct store_key key = effect->delete.key;

    if (!effect->delete.whole_batch && has_row(self, &key))
        checker_broker_drops(sim, key.batch, key.key);
    disk_delete(&self->disk, write_now(self), key, effect->delete.whole_batch);
    if (sim->vault != NULL)
        vault_remove(sim, key, effect->delete.whole_batch);
}

/* A disk without room for the commit is tried again, and nothing becomes durable meanwhile. */
static bool settle(struct sim *sim)
{
    struct broker *self = sim->broker;
    bool has_room = disk_commit_bytes(&self->disk, self->ticket) <= broker_disk_left(sim);

    if (sim->vault != NULL ? !vault_write(sim, has_room) : !has_room) {
        sim_after(sim, &self->commit, FULL_US);
        return false;
    }
    self->durable = self->ticket;
    disk_sync(&self->disk, self->durable);
    broker_rot_rows(sim);
    broker_tell_room(sim);
    return true;
}

static void begin_commit(struct sim *sim)
{
    struct broker *self = sim->broker;
    uint64_t us = 0;

    if (!self->is_dirty || self->ticket != self->durable)
        return;
    self->ticket++;
    self->is_dirty = false;
    if (sim->vault != NULL)
        vault_commit(sim);
    if (sim->plan->commit_us_max != 0)
        us = sim_between(sim, 1, sim->plan->commit_us_max);
    if (!broker_face_doom(sim, us))
        return;
    if (us == 0)
        settle(sim);
    else
        sim_after(sim, &self->commit, us);
}

void broker_end_commit(struct sim *sim, void *context)
{
    struct broker *self = context;

    if (sim_defers(sim, &self->node, &self->commit, false) || !settle(sim))
        return;
    flush(sim);
    begin_commit(sim);
}

/* ---- a step --------------------------------------------------------------------------------- */

static void perform(struct sim *sim,
                    const struct event *event,
                    const struct effects *effects,
                    struct tri_frame *const *payloads)
{
    sim->broker->is_dirty = sim->broker->is_dirty || effects->writes;
    for (size_t i = 0; i < effects->count; i++) {
        const struct effect *effect = &effects->items[i];

        switch (effect->type) {
        case EFFECT_PUT:
            perform_put(sim, effect, payloads);
            break;
        case EFFECT_DELETE:
            perform_delete(sim, effect);
            break;
        case EFFECT_GET:
            if (sim->vault != NULL)
                vault_fetch(sim, effect->get);
            send_errand(sim, &(struct event){ .type = EVENT_LOADED, .key = effect->get },
                        sim_between(sim, 1, sim->plan->load_us_max));
            break;
        case EFFECT_SEND:
            perform_send(sim, event, effects, i);
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
    event->principal = stranger_principal(sim, &event->peer);
    effects = engine_step(self->engine, event);
    if (sim->counts.steps % check_every == 0)
        engine_check(self->engine);
    perform(sim, event, &effects, payloads);
    begin_commit(sim);
    flush(sim);
    sim_at_clock(sim, &self->node, &self->tick, engine_deadline(self->engine));
}

void broker_on_tick(struct sim *sim, void *context)
{
    struct broker *self = context;

    if (sim_defers(sim, &self->node, &self->tick, true))
        return;
    if (sim->now < self->quiet_until)
        sim_at(sim, &self->tick, self->quiet_until);
    else
        step(sim, &(struct event){ .type = EVENT_TICK }, NULL);
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
    bool is_heard = !stranger_is(sim, peer);

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
    }
    if (event.type == EVENT_MESSAGE && is_heard) {
        checker_broker_gets(sim, peer, &message, frames, count);
        stranger_overhears(sim, frames, count);
    }
    step(sim, &event, frames + 1);
    if (event.type == EVENT_MESSAGE && is_heard)
        checker_broker_got(sim, peer, &message);
}
