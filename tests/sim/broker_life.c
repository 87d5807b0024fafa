/* How the broker comes up, stands still, and dies. */
#include "common/assert.h"
#include "tests/sim/broker_state.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"

#include <stdio.h>
#include <stdlib.h>

static void fall(struct sim *sim, void *context);

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
    if (sim->plan->is_durable)
        recover(sim);
    net_listen(sim);
    sim_at_clock(sim, &self->node, &self->tick, engine_deadline(self->engine));
}

void broker_begin(struct sim *sim)
{
    struct broker *self = tri_alloc(1, sizeof(*self));

    snprintf(self->node.name, sizeof(self->node.name), "broker");
    self->node.clock_ms = sim_skewed(sim, 1, UINT64_C(1) << 34);
    self->tick = (struct sim_timer){ .fire = broker_on_tick, .context = self };
    self->commit = (struct sim_timer){ .fire = broker_end_commit, .context = self };
    self->start = (struct sim_timer){ .fire = start, .context = self };
    self->fall = (struct sim_timer){ .fire = fall, .context = self };
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

bool broker_crash(struct sim *sim, bool power, uint64_t down_us)
{
    struct broker *self = sim->broker;

    if (self->engine == NULL)
        return false;
    sim_tell(sim, "FAULT", power ? "the broker loses power" : "the broker is killed");
    sim->counts.faults++;
    sim->counts.crashes++;
    stop(sim, self);
    lose_writes(sim, self);
    checker_broker_dies(sim);
    net_deafen(sim, power);
    self->is_doomed = false;
    self->node.paused_until = self->quiet_until = 0;
    if (power)
        self->node.clock_ms = sim_other_skewed(sim, 1, UINT64_C(1) << 34) - sim->now / SIM_MS;
    sim_after(sim, &self->start, down_us);
    sim_trouble(sim, sim->now + down_us);
    return true;
}

static void fall(struct sim *sim, void *context)
{
    const struct broker *self = context;

    broker_crash(sim, self->doom_power, self->doom_down_us);
}

void broker_doom(struct sim *sim, bool power, uint64_t down_us)
{
    struct broker *self = sim->broker;

    self->is_doomed = true;
    self->doom_power = power;
    self->doom_down_us = down_us;
}

void broker_face_doom(struct sim *sim, uint64_t us)
{
    struct broker *self = sim->broker;

    if (self->is_doomed)
        sim_after(sim, &self->fall, sim_other_between(sim, 0, us));
    self->is_doomed = false;
}

void broker_revive(struct sim *sim)
{
    sim->broker->is_doomed = false;
    if (sim->broker->engine == NULL)
        sim_after(sim, &sim->broker->start, 0);
}

bool broker_pause(struct sim *sim, uint64_t us)
{
    struct broker *self = sim->broker;

    if (self->engine == NULL || self->node.paused_until > sim->now)
        return false;
    self->node.paused_until = (sim->now + us) | 1;
    sim_trouble(sim, self->node.paused_until);
    self->quiet_until = self->node.paused_until + sim->plan->options.limits.heartbeat_ms * SIM_MS;
    return true;
}
