/* How the broker comes up, stands still, and dies. */
#include "common/assert.h"
#include "common/proto/chunk.h"
#include "tests/sim/broker_state.h"
#include "tests/sim/checker.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

static void fall(struct sim *sim, void *context);
static void look(struct sim *sim, void *context);

/* ---- up ------------------------------------------------------------------------------------- */

/* What a store has, in one number. */
static uint64_t sum_row(uint64_t sum, struct store_key key, struct tri_bytes head, uint64_t bytes)
{
    const uint64_t numbers[] = { key.table, key.batch, key.key, bytes };

    return XXH3_64bits_withSeed(head.data, head.size,
                                XXH3_64bits_withSeed(numbers, sizeof(numbers), sum));
}

static uint64_t payload_bytes(const struct store_row *row)
{
    return row->payload != NULL ? row->payload->bytes.size : 0;
}

static uint64_t sum_store(const struct store *store)
{
    const struct store_row **rows = store_list(store);
    uint64_t sum = 0;

    for (size_t i = 0; i < store->rows; i++)
        sum = sum_row(sum, rows[i]->key, rows[i]->head->bytes, payload_bytes(rows[i]));
    free(rows);
    return sum;
}

/* Rows as they are read from the file. */
struct reading {
    struct engine *engine;
    uint64_t sum;
    uint64_t rows;
};

static enum tri_status read_row(void *context,
                                struct store_key key,
                                struct tri_bytes head,
                                uint64_t bytes,
                                struct tri_error *error)
{
    struct reading *reading = context;

    reading->sum = sum_row(reading->sum, key, head, bytes);
    reading->rows++;
    return engine_recover_row(reading->engine, key, head, bytes, error);
}

/* All that was called durable, and what was under way when the broker died as a whole, or not. */
static void compare(struct sim *sim, struct broker *self, const struct reading *reading)
{
    size_t rows = self->disk.durable.rows;

    if (sum_store(&self->disk.durable) != reading->sum) {
        disk_sync(&self->disk, self->ticket);
        if (sum_store(&self->disk.durable) != reading->sum)
            sim_fail(sim,
                     "the file has %llu rows: neither the %zu that were durable nor the %zu that "
                     "were under way",
                     (unsigned long long)reading->rows, rows, self->disk.durable.rows);
    }
    disk_lose(&self->disk);
    sim_note(sim, &reading->sum, sizeof(reading->sum));
}

/* False: the file cannot be read now. */
static bool recover_file(struct sim *sim, struct broker *self)
{
    struct reading reading = { .engine = self->engine };

    if (!vault_scan(sim, read_row, &reading))
        return false;
    compare(sim, self, &reading);
    return true;
}

static void recover_model(struct sim *sim, struct broker *self)
{
    const struct store_row **rows = store_list(&self->disk.seen);
    struct tri_error error = { TRI_OK, "" };

    for (size_t i = 0; i < self->disk.seen.rows; i++) {
        const struct store_row *row = rows[i];

        if (engine_recover_row(self->engine, row->key, row->head->bytes, payload_bytes(row), &error)
            != TRI_OK)
            sim_fail(sim, "the broker does not believe what it has written: %s", error.text);
    }
    free(rows);
}

/* As the daemon does: with whatever its store has. False: that cannot be read now. */
static bool recover(struct sim *sim)
{
    struct broker *self = sim->broker;
    struct recovery_counts counts;
    struct tri_error error = { TRI_OK, "" };

    engine_recover_begin(self->engine, sim_clock_ms(sim, &self->node));
    if (sim->vault == NULL)
        recover_model(sim, self);
    else if (!recover_file(sim, self))
        return false;
    if (engine_recover_end(self->engine, &counts, &error) != TRI_OK)
        sim_fail(sim, "the broker does not believe all that it has written: %s", error.text);
    engine_check(self->engine);
    sim_tell(sim, self->node.name, "has recovered: batches=%llu chunks=%llu rows=%llu workers=%llu",
             (unsigned long long)counts.batches, (unsigned long long)counts.chunks,
             (unsigned long long)counts.rows, (unsigned long long)counts.workers);
    return true;
}

/* Its disk failed, or it died, while it was starting. Somebody starts it again. */
static void start_later(struct sim *sim, struct broker *self)
{
    uint64_t us = vault_wait_us(sim);

    engine_destroy(&self->engine);
    net_deafen(sim, false);
    sim->counts.faults++;
    sim->counts.crashes++;
    sim_after(sim, &self->start, us);
    sim_trouble(sim, sim->now + us);
}

static void start(struct sim *sim, void *context)
{
    struct broker *self = context;

    if (sim->vault != NULL && !vault_open(sim)) {
        start_later(sim, self);
        return;
    }
    self->engine = engine_new(&sim->plan->options);
    self->room_told = UINT64_MAX;
    if (sim->plan->is_durable && !recover(sim)) {
        start_later(sim, self);
        return;
    }
    checker_broker_starts(sim);
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

/* What was under way has got there, or not: a file tells when it is opened again. */
static void lose_writes(struct sim *sim, struct broker *self, enum doom_how how)
{
    bool under_way = self->ticket != self->durable;

    if (sim->vault != NULL ? vault_die(sim, how) && under_way
                           : under_way && sim_other_chance(sim, SIM_ALWAYS / 2))
        disk_sync(&self->disk, self->ticket);
    if (sim->vault != NULL)
        disk_forget(&self->disk, self->ticket);
    else
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
    lose_writes(sim, self, doom->how);
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

void broker_await_read(struct sim *sim, uint64_t down_us)
{
    sim->broker->read_down_us = down_us;
    vault_fail_read(sim);
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

/* ---- a disk that rots ----------------------------------------------------------------------- */

/* Its tasks cannot be run any more, as soon as it has to be read. */
static void spoil(struct sim *sim, const struct store_row *row)
{
    struct tri_chunk chunk;

    if (!vault_rot(sim, row->key, row->payload->bytes))
        return;
    sim_tell(sim, "FAULT", "arguments of batch %llu from %llu on are damaged",
             (unsigned long long)row->key.batch, (unsigned long long)row->key.key);
    sim->counts.faults++;
    tri_assert(tri_items_open(row->payload->bytes, &chunk, NULL) == TRI_OK);
    checker_spoils(sim, row->key.batch, row->key.key, chunk.count);
}

void broker_rot(struct sim *sim, uint64_t number)
{
    const struct store *store = &sim->broker->disk.durable;
    const struct store_row **rows = store_list(store);
    size_t chunks = 0;

    for (size_t i = 0; i < store->rows; i++)
        if (rows[i]->key.table == STORE_CHUNK)
            rows[chunks++] = rows[i];
    if (chunks != 0)
        spoil(sim, rows[number % chunks]);
    free(rows);
}

void broker_await_rot(struct sim *sim, uint64_t number)
{
    sim->broker->rots = true;
    sim->broker->rot_number = number;
}

static bool spoil_row(struct sim *sim, const struct store_row *row)
{
    struct store_key key = row->key;

    if (!vault_rot(sim, key, row->payload->bytes))
        return false;
    sim_tell(sim, "FAULT", "row %llu of batch %llu is damaged", (unsigned long long)key.key,
             (unsigned long long)key.batch);
    sim->counts.faults++;
    checker_spoils_row(sim, key.batch, key.key);
    return true;
}

/* Whose reader lags has the most of them. */
void broker_rot_rows(struct sim *sim)
{
    struct broker *self = sim->broker;
    const struct store_row **rows = self->rots ? store_list(&self->disk.durable) : NULL;
    size_t count = 0;

    for (size_t i = 0; self->rots && i < self->disk.durable.rows; i++)
        if (rows[i]->key.table == STORE_ROW && rows[i]->payload != NULL)
            rows[count++] = rows[i];
    for (size_t i = 0; self->rots && i < count; i++)
        self->rots = !spoil_row(sim, rows[(self->rot_number % count + i) % count]);
    free(rows);
}
