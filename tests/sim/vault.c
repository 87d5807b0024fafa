#include "tests/sim/vault.h"

#include "broker/store/store.h"
#include "common/assert.h"
#include "common/net/parts.h"
#include "tests/contract/disk.h"
#include "tests/sim/plan.h"

#include <sqlite3.h>
#include <stdlib.h>

#define VAULT UINT64_C(0x7661756c74) /* any number: another stream of chance */
#define ROT UINT64_C(0x726f74)       /* the same */
#define NEEDLE_BYTES 128             /* of a payload: enough to find it by */
#define ROW_BYTES_MIN 40
#define FULL_MS 200
#define UPKEEP_MS 10000 /* by then the store has found time for it */

struct vault {
    struct tri_prng prng;
    struct store_sqlite_options options;
    struct store *store; /* NULL: closed */
    struct sim_timer upkeep;
    size_t block_bytes;
    struct store_key rotten[2 * PLAN_ROTS_MAX];
    size_t rotten_count;
    uint64_t ticket;   /* of the store's last commit */
    bool is_under_way; /* it is not the disk's turn yet */
    bool read_fails;   /* the next one */
};

static uint64_t between(struct vault *self, uint64_t low, uint64_t high)
{
    return tri_prng_between(&self->prng, low, high);
}

static bool seldom(struct vault *self, uint64_t of)
{
    return between(self, 1, of) == 1;
}

static tri_time now_ms(const struct sim *sim)
{
    return sim->now / SIM_MS;
}

static const struct store_operations *does(const struct vault *self)
{
    return self->store->operations;
}

/* ---- the disk's work ------------------------------------------------------------------------ */

/* All that there is to do until then. */
static tri_time work_until(struct vault *self, tri_time now)
{
    tri_time due;

    do
        due = store_sqlite_step(self->store, now);
    while (due <= now);
    return due;
}

static void work(struct sim *sim)
{
    struct vault *self = sim->vault;
    tri_time due = work_until(self, now_ms(sim));

    if (due == TRI_NEVER)
        sim_cancel(sim, &self->upkeep);
    else
        sim_at(sim, &self->upkeep, due * SIM_MS);
}

static void on_upkeep(struct sim *sim, void *context)
{
    (void)context;
    if (!sim_defers(sim, broker_node(sim), &sim->vault->upkeep, false))
        work(sim);
}

static enum tri_status turn(struct vault *self)
{
    struct tri_error error;

    return does(self)->turn(self->store, &error);
}

static void close_store(struct sim *sim)
{
    struct vault *self = sim->vault;

    sim_cancel(sim, &self->upkeep);
    if (self->store != NULL)
        does(self)->close(&self->store);
    self->is_under_way = false;
}

/* ---- writing -------------------------------------------------------------------------------- */

void vault_put(struct sim *sim,
               struct store_key key,
               struct tri_bytes head,
               const struct tri_frame *payload)
{
    struct vault *self = sim->vault;
    struct tri_error error;
    zmq_msg_t copy;

    if (payload == NULL) {
        tri_assert(does(self)->put(self->store, key, head, NULL, &error) == TRI_OK);
        return;
    }
    tri_assert(tri_msg_copy(&copy, payload->bytes) == TRI_OK);
    tri_assert(does(self)->put(self->store, key, head, &copy, &error) == TRI_OK);
    zmq_msg_close(&copy);
}

void vault_remove(struct sim *sim, struct store_key key, bool whole_batch)
{
    tri_assert(does(sim->vault)->remove(sim->vault->store, key, whole_batch) == TRI_OK);
}

void vault_commit(struct sim *sim)
{
    struct vault *self = sim->vault;
    struct tri_error error;

    self->ticket = does(self)->commit(self->store, &error);
    if (self->ticket == 0)
        sim_fail(sim, "the store has failed, and nobody knows: %s", error.text);
    self->is_under_way = true;
    sim_cancel(sim, &self->upkeep);
}

static bool is_durable(const struct vault *self)
{
    return does(self)->durable(self->store) >= self->ticket;
}

bool vault_write(struct sim *sim, bool has_room)
{
    struct vault *self = sim->vault;
    struct tri_error error;

    disk_fail(DISK_WRITE, DISK_FULL, has_room ? 0 : between(self, 1, 8), UINT64_MAX);
    self->is_under_way = false;
    work(sim);
    if (does(self)->turn(self->store, &error) != TRI_OK)
        sim_fail(sim, "the store fails, and its disk did not: %s", error.text);
    return is_durable(self);
}

/* ---- reading -------------------------------------------------------------------------------- */

void vault_fetch(struct sim *sim, struct store_key key)
{
    does(sim->vault)->fetch(sim->vault->store, key);
}

static bool meets_error(struct sim *sim, enum tri_status status)
{
    if (disk_failed() == 0)
        return false;
    if (status != TRI_STORE)
        sim_fail(sim, "a read failed, and the store goes on");
    sim->vault->read_fails = false;
    sim->vault_counts.reads++;
    return true;
}

/* While a transaction is under way the disk has time for loads only, unless it is the turn of the
 * transaction: then that is early. */
static enum tri_status work_for_loads(struct sim *sim)
{
    struct vault *self = sim->vault;
    enum tri_status status = TRI_OK;

    if (self->is_under_way) {
        store_sqlite_step(self->store, now_ms(sim));
        status = turn(self);
        self->is_under_way = !is_durable(self);
    }
    if (self->is_under_way || status != TRI_OK)
        return status;
    work(sim);
    return turn(self);
}

bool vault_load(struct sim *sim)
{
    struct vault *self = sim->vault;
    enum tri_status status;

    if (self->read_fails)
        disk_fail(DISK_READ, DISK_FAILS, 1, 1);
    status = work_for_loads(sim);
    if (self->read_fails) {
        if (meets_error(sim, status))
            return false;
        disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    }
    if (status != TRI_OK)
        sim_fail(sim, "the store fails, and its disk did not");
    return true;
}

static bool is_rotten(const struct vault *self, struct store_key key)
{
    for (size_t i = 0; i < self->rotten_count; i++)
        if (store_key_equals(self->rotten[i], key))
            return true;
    return false;
}

bool vault_fetched(struct sim *sim, struct store_key *key, enum tri_status *status)
{
    struct vault *self = sim->vault;

    if (!does(self)->fetched(self->store, key, status))
        return false;
    if (*status == TRI_STORE && !is_rotten(self, *key))
        sim_fail(sim, "a payload is called damaged, and is not: table %d batch %llu key %llu",
                 key->table, (unsigned long long)key->batch, (unsigned long long)key->key);
    sim->vault_counts.damaged += *status == TRI_STORE;
    return true;
}

bool vault_rot(struct sim *sim, struct store_key key, struct tri_bytes payload)
{
    struct vault *self = sim->vault;
    bool is_row = key.table == STORE_ROW;
    /* Values are the arguments, which the file has, too: a row has its times before them. */
    const uint8_t *needle = payload.data + (is_row ? 0 : payload.size / 2);
    size_t bytes_min = is_row ? ROW_BYTES_MIN : 3 * NEEDLE_BYTES;
    size_t bytes = is_row && payload.size < NEEDLE_BYTES ? payload.size : NEEDLE_BYTES;

    if (self->rotten_count == TRI_COUNT_OF(self->rotten) || payload.size < bytes_min
        || !disk_rot(self->options.file, needle, bytes))
        return false;
    self->rotten[self->rotten_count++] = key;
    return true;
}

void vault_expect(const struct sim *sim, struct store_key key, struct tri_bytes payload)
{
    struct vault *self = sim->vault;
    zmq_msg_t message;
    enum tri_status status = does(self)->read(self->store, key, &message);
    struct tri_bytes bytes;

    if (status != TRI_OK)
        sim_fail(sim, "a payload cannot be read from the store (%s): table %d batch %llu key %llu",
                 tri_status_text(status), key.table, (unsigned long long)key.batch,
                 (unsigned long long)key.key);
    bytes = tri_msg_bytes(&message);
    if (bytes.size != payload.size || memcmp(bytes.data, payload.data, payload.size) != 0)
        sim_fail(sim, "a payload is another than was put: table %d batch %llu key %llu", key.table,
                 (unsigned long long)key.batch, (unsigned long long)key.key);
    zmq_msg_close(&message);
}

void vault_fail_read(struct sim *sim)
{
    sim->vault->read_fails = true;
}

/* ---- death ---------------------------------------------------------------------------------- */

static void lose(struct sim *sim)
{
    struct vault *self = sim->vault;
    static const uint32_t kept[] = { 0, 20, 50, 50, 50, 80, 100 };
    struct disk_cut cut = { tri_prng_next(&self->prng), self->block_bytes,
                            kept[between(self, 0, TRI_COUNT_OF(kept) - 1)] };
    struct disk_loss loss = disk_cut(&cut);

    sim->vault_counts.cuts++;
    sim->vault_counts.kept += loss.kept;
    sim->vault_counts.lost += loss.lost;
    sim->vault_counts.torn += loss.kept != 0 && loss.lost != 0;
    sim_note(sim, &loss, sizeof(loss));
    sim_tell(sim, "disk", "of what was not synced %llu blocks of %zu bytes are there, %llu are not",
             (unsigned long long)loss.kept, self->block_bytes, (unsigned long long)loss.lost);
}

/* Few operations as likely as many. */
static uint64_t some(struct vault *self, unsigned doublings)
{
    return between(self, 1, UINT64_C(1) << between(self, 0, doublings));
}

/* One of the next operations is the last one. Most is there to be torn just before a sync. */
static void threaten(struct vault *self)
{
    if (seldom(self, 16))
        disk_fail(DISK_TRUNCATE, DISK_DIES, 1, 1);
    else if (seldom(self, 2))
        disk_fail(DISK_SYNC, DISK_DIES, some(self, 1), 1);
    else
        disk_fail(DISK_WRITE, DISK_DIES, some(self, 5), 1);
}

/* A write or a sync of the transaction fails, and the store must say so. Returns whether what was
 * not synced is lost for that. */
static bool fail_write(struct sim *sim)
{
    struct vault *self = sim->vault;
    bool is_sync = seldom(self, 2);

    disk_fail(is_sync ? DISK_SYNC : DISK_WRITE, DISK_FAILS, is_sync ? 1 : some(self, 2), 1);
    work_until(self, now_ms(sim));
    if (disk_failed() == 0)
        return false;
    if (turn(self) != TRI_STORE)
        sim_fail(sim, "a %s failed, and the store goes on", is_sync ? "sync" : "write");
    sim->vault_counts.errors++;
    return is_sync;
}

static void die_halfway(struct sim *sim)
{
    struct vault *self = sim->vault;

    threaten(self);
    work_until(self, now_ms(sim) + (self->is_under_way || seldom(self, 4) ? 0 : UPKEEP_MS));
    sim->vault_counts.halfway += disk_failed() != 0;
    turn(self);
}

/* After a sync that failed nobody knows what the kernel still has: it is as if power was lost. */
bool vault_die(struct sim *sim, enum doom_how how)
{
    struct vault *self = sim->vault;
    bool is_lost = how == DOOM_POWER;
    bool was_durable;

    if (how == DOOM_ERROR)
        is_lost = fail_write(sim);
    else
        die_halfway(sim);
    was_durable = is_durable(self);
    disk_die();
    close_store(sim);
    if (is_lost)
        lose(sim);
    else
        disk_restart();
    return was_durable;
}

uint64_t vault_wait_us(struct sim *sim)
{
    return SIM_MS << between(sim->vault, 0, 11);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* It was no good start: the store is closed, and what that leaves stays, or not. */
static void give_up(struct sim *sim)
{
    struct vault *self = sim->vault;
    bool power = seldom(self, 2);

    disk_die();
    close_store(sim);
    if (power)
        lose(sim);
    else
        disk_restart();
}

static void trouble_start(struct sim *sim)
{
    struct vault *self = sim->vault;

    disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    if (sim->calm || !seldom(self, 4))
        return;
    if (seldom(self, 3))
        disk_fail(DISK_READ, DISK_FAILS, some(self, 6), 1);
    else
        threaten(self);
}

/* `status` is that of opening or of scanning. */
static bool has_started(struct sim *sim, enum tri_status status, const struct tri_error *error)
{
    if (status == TRI_OK)
        return true;
    if (disk_failed() == 0)
        sim_fail(sim, "the store cannot be used, and its disk did not fail: %s", error->text);
    sim->vault_counts.halfway++;
    sim_tell(sim, "disk", "fails while the broker starts: %s", error->text);
    give_up(sim);
    return false;
}

bool vault_open(struct sim *sim)
{
    struct vault *self = sim->vault;
    struct tri_error error = { TRI_OK, "" };

    trouble_start(sim);
    return has_started(sim, store_sqlite_open(&self->options, &self->store, &error), &error);
}

bool vault_scan(struct sim *sim, vault_visit_fn *visit, void *context)
{
    struct vault *self = sim->vault;
    struct tri_error error = { TRI_OK, "" };
    enum tri_status status = does(self)->scan(self->store, visit, context, &error);

    if (!has_started(sim, status, &error))
        return false;
    disk_fail(DISK_READ, DISK_FAILS, 0, 0);
    self->ticket = 0;
    return true;
}

/* ---- the end -------------------------------------------------------------------------------- */

static int64_t count(sqlite3 *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t rows = -1;

    if (sqlite3_prepare_v2(file, sql, -1, &statement, NULL) == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        rows = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rows;
}

void vault_check_rest(struct sim *sim)
{
    struct vault *self = sim->vault;
    sqlite3 *file = NULL;
    int64_t heads;
    int64_t payloads;

    if (self == NULL)
        return;
    close_store(sim);
    tri_assert(sqlite3_open_v2(self->options.file, &file, SQLITE_OPEN_READWRITE, "disk")
               == SQLITE_OK);
    sqlite3_exec(file, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    heads = count(file, "SELECT count(*) FROM heads WHERE batch != 0");
    payloads = count(file, "SELECT count(*) FROM payloads WHERE id NOT IN "
                           "(SELECT id FROM forgotten)");
    sqlite3_close(file);
    if (heads != 0 || payloads != 0)
        sim_fail(sim, "everything is forgotten, and the file has %lld rows and %lld payloads",
                 (long long)heads, (long long)payloads);
}

/* ---- life ----------------------------------------------------------------------------------- */

void vault_begin(struct sim *sim)
{
    static bool is_known;
    struct vault *self = tri_alloc(1, sizeof(*self));
    struct tri_prng rot;

    tri_prng_init(&self->prng, tri_mix64(sim->seed + VAULT));
    if (!is_known)
        disk_register();
    is_known = true;
    disk_format();
    store_sqlite_options_init(&self->options);
    self->options.file = "store";
    self->options.vfs = "disk";
    self->options.by_hand = true;
    self->options.full_ms = FULL_MS;
    self->options.cache_bytes = seldom(self, 2) ? 0 : between(self, 1, 1 << 20);
    self->options.log_bytes_max = between(self, 64 << 10, 1 << 20);
    self->block_bytes = seldom(self, 3) ? 4096 : 512;
    self->upkeep = (struct sim_timer){ .fire = on_upkeep };
    plan_draw_disk(&self->prng, sim->plan);
    tri_prng_init(&rot, tri_mix64(sim->seed + ROT));
    plan_draw_rots(&rot, MISHAP_ROT, sim->plan);
    sim->vault = self;
}

void vault_end(struct sim *sim)
{
    if (sim->vault == NULL)
        return;
    close_store(sim);
    disk_format();
    free(sim->vault);
    sim->vault = NULL;
}
