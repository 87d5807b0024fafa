/* How the broker comes up, stands still, and dies. */
#include "common/assert.h"
#include "tests/sim/broker_state.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"

#include <stdio.h>
#include <stdlib.h>

static void fall(struct sim *sim, void *context);
static void look(struct sim *sim, void *context);

/* ---- up ------------------------------------------------------------------------------------- */

/* As the daemon does: with whatever its store has. */
static void recover(struct sim *sim)
{
    struct broker *self = sim->broker;
    const struct store_row **rows = store_list(&self->disk.seen);
    struct recovery_counts counts;
    struct tri_error error = { TRI_OK, "" };

    engine_recover_begin(self->engine, sim_clock_ms(sim, &self->node));
    for (size_t i = 0; i < self->disk.seen.rows; i++) {
        const struct store_row *row = rows[i];

        if (engine_recover_row(self->engine, row->key, row->head->bytes,
                               row->payload != NULL ? row->payload->bytes.size : 0, &error)
            != TRI_OK)
            sim_fail(sim, "the broker does not believe what it has written: %s", error.text);
    }
    if (engine_recover_end(self->engine, &counts, &error) != TRI_OK)
        sim_fail(sim, "the broker does not believe all that it has written: %s", error.text);
    free(rows);
    engine_check(self->engine);
    sim_tell(sim, self->node.name, "has recovered: batches=%llu chunks=%llu rows=%llu workers=%llu",
             (unsigned long long)counts.batches, (unsigned long long)counts.chunks,
             (unsigned long long)counts.rows, (unsigned long long)counts.workers);
}

static void start(struct sim *sim, void *context)
{
    struct broker *self = context;

    self->engine = engine_new(&sim->plan->options);
    self->room_told = UINT64_MAX;
    if (sim->plan->is_durable)
        recover(sim);
    net_listen(sim);
    broker_tell_room(sim);
    sim_at_clock(sim, &self->node, &self->tick, engine_deadline(self->engine));
}

void broker_begin(struct sim *sim)
{
    struct broker *self = tri_alloc(1, sizeof(*self));

    snprintf(self->node.name, sizeof(self->node.name), "broker");
    self->node.clock_ms = sim_skewed(sim, 1, UINT64_C(1) << 34);
    sim_drift(sim, &self->node, BROKER_DRIFT_PPM_MAX);
    self->tick = (struct sim_timer){ .fire = broker_on_tick, .context = self };
    self->commit = (struct sim_timer){ .fire = broker_end_commit, .context = self };
    self->start = (struct sim_timer){ .fire = start, .context = self };
    self->fall = (struct sim_timer){ .fire = fall, .context = self };
    self->look = (struct sim_timer){ .fire = look, .context = self };
    tri_dlist_init(&self->outbox);
    tri_dlist_init(&self->errands);
    disk_begin(&self->disk);
    sim->broker = self;
    start(sim, self);
}

/* ---- down ----------------------------------------------------------------------------------- */

static void drop_outbox(struct broker *self)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(&self->outbox)) != NULL) {
        struct parcel *parcel = tri_container_of(node, struct parcel, node);

        for (size_t i = 0; i < parcel->count; i++)
            tri_frame_unref(parcel->frames[i]);
        free(parcel);
    }
}

static void drop_errands(struct sim *sim, struct broker *self)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(&self->errands)) != NULL) {
        struct errand *errand = tri_container_of(node, struct errand, node);

        sim_cancel(sim, &errand->timer);
        free(errand);
    }
}

/* Nothing of this life is left in memory. */
static void stop(struct sim *sim, struct broker *self)
{
    drop_outbox(self);
    drop_errands(sim, self);
    sim_cancel(sim, &self->tick);
    sim_cancel(sim, &self->commit);
    sim_cancel(sim, &self->fall);
    engine_destroy(&self->engine);
}

void broker_end(struct sim *sim)
{
    struct broker *self = sim->broker;

    stop(sim, self);
    sim_cancel(sim, &self->start);
    sim_cancel(sim, &self->look);
    disk_end(&self->disk);
    free(self);
    sim->broker = NULL;
}

/* What was under way has got there, or not. */
static void lose_writes(struct sim *sim, struct broker *self)
{
    bool under_way = self->ticket != self->durable;

    if (under_way && sim_other_chance(sim, SIM_ALWAYS / 2))
        disk_sync(&self->disk, self->ticket);
    disk_lose(&self->disk);
    self->durable = self->ticket;
    self->is_dirty = false;
}

bool broker_crash(struct sim *sim, const struct doom *doom)
{
    static const char *const texts[] = { "the broker is killed", "the broker loses power",
                                         "the broker stops: its disk has failed" };
    struct broker *self = sim->broker;
    bool power = doom->how == DOOM_POWER;

    if (self->engine == NULL)
        return false;
    sim_tell(sim, "FAULT", "%s", texts[doom->how]);
    sim->counts.faults++;
    sim->counts.crashes++;
    stop(sim, self);
    lose_writes(sim, self);
    checker_broker_dies(sim);
    net_deafen(sim, power);
    self->is_doomed = false;
    self->node.paused_until = self->quiet_until = 0;
    if (power)
        self->node.clock_ms +=
            sim_other_skewed(sim, 1, UINT64_C(1) << 34) - sim_clock_ms(sim, &self->node);
    sim_after(sim, &self->start, doom->down_us);
    sim_trouble(sim, sim->now + doom->down_us);
    return true;
}

static void fall(struct sim *sim, void *context)
{
    const struct broker *self = context;

    broker_crash(sim, &self->doom);
}

void broker_await(struct sim *sim, const struct doom *doom)
{
    struct broker *self = sim->broker;

    self->is_doomed = true;
    self->doom = *doom;
}

bool broker_face_doom(struct sim *sim, uint64_t us)
{
    struct broker *self = sim->broker;
    bool is_error = self->is_doomed && self->doom.how == DOOM_ERROR;

    if (self->is_doomed)
        sim_after(sim, &self->fall, is_error ? us : sim_other_between(sim, 0, us));
    self->is_doomed = false;
    return !is_error;
}

/* ---- a full disk ---------------------------------------------------------------------------- */

uint64_t broker_disk_left(const struct sim *sim)
{
    const struct broker *self = sim->broker;
    uint64_t max = sim->plan->disk_bytes;
    uint64_t used = self->disk.durable.bytes;

    if (!sim->plan->is_durable)
        return UINT64_MAX;
    if (sim->now < self->full_until)
        max = self->full_bytes;
    return used < max ? max - used : 0;
}

static void look(struct sim *sim, void *context)
{
    (void)context;
    broker_tell_room(sim);
}

/* The reserve is left. */
void broker_fill(struct sim *sim, uint64_t us)
{
    struct broker *self = sim->broker;
    uint64_t left = broker_disk_left(sim);
    uint64_t reserve = sim->plan->reserve_bytes;

    if (sim->now < self->full_until)
        return;
    sim_tell(sim, "FAULT", "the broker's disk is full");
    sim->counts.faults++;
    self->full_bytes = self->disk.durable.bytes + (left < reserve ? left : reserve);
    self->full_until = sim->now + us;
    sim_trouble(sim, self->full_until);
    sim_at(sim, &self->look, self->full_until);
    broker_tell_room(sim);
}

void broker_revive(struct sim *sim)
{
    sim->plan->disk_bytes = UINT64_C(1) << 40; /* somebody has made room */
    sim->broker->is_doomed = false;
    if (sim->broker->engine == NULL)
        sim_after(sim, &sim->broker->start, 0);
}

bool broker_pause(struct sim *sim, uint64_t us, bool its_clock)
{
    struct broker *self = sim->broker;

    if (self->engine == NULL || !sim_pause(sim, &self->node, us, its_clock))
        return false;
    self->quiet_until = self->node.paused_until + sim->plan->options.limits.heartbeat_ms * SIM_MS;
    return true;
}
