/* clerk_work.c - the clerk's own side: what it does, step by step. It never waits for anything but
 * the disk, and knows the time only from who makes it step. */
#include "broker/store/clerk.h"

#include "common/planted.h"

#include <unistd.h>

/* A disk without room for the reserve, or with little room at all, is looked at this often: others
 * fill it and clear it. */
#define LOOK_MS 1000
#define ROOM_BYTES_LITTLE (UINT64_C(1) << 30)

/* Loads between two transactions, at most: both have somebody who waits. */
#define LOADS_MAX 64

/* What is given back in one go, so that a write that comes waits for no more than this. */
#define SHRINK_BYTES (UINT64_C(64) * DATABASE_PAGE_BYTES)

/* Free space of the file is for the next rows; more than this part of it, and more than this much,
 * is given back. */
#define FREE_PART 4
#define FREE_BYTES_MIN (UINT64_C(4) << 20)

/* On a small disk the log is folded before it takes more than this part. */
#define LOG_DISK_PART 16

/* ---- news ----------------------------------------------------------------------------------- */

static void tell(struct clerk *self)
{
    const uint64_t one = 1;

    if (self->has_news)
        return;
    self->has_news = true;
    /* Nobody waits for a counter to have room: it is at 1 at most. */
    if (write(self->event_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        self->has_news = true;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The log takes its share of a small disk only; a page at least is always allowed. */
static uint64_t log_bytes_max(const struct clerk *self, struct disk disk)
{
    uint64_t part = disk.bytes / LOG_DISK_PART;

    return part < self->log_bytes_max ? part : self->log_bytes_max;
}

/* Free space, without what folding the log and filling it again will take. */
static uint64_t room_bytes(const struct clerk *self, struct database_stats stats, struct disk disk)
{
    uint64_t taken = stats.log_bytes + minus(log_bytes_max(self, disk), stats.log_file_bytes);

    if (self->reserve.bytes != 0 && self->reserve.held_bytes == 0)
        return 0;
    return disk.free_bytes == UINT64_MAX ? UINT64_MAX
                                         : minus(disk.free_bytes + stats.free_bytes, taken);
}

void clerk_examine(struct clerk *self, struct clerk_news *news)
{
    struct database_stats stats = database_stats(self->database);

    news->rows = stats.rows;
    news->payload_bytes = stats.payload_bytes;
    news->disk_bytes = stats.file_bytes + stats.log_file_bytes + self->reserve.held_bytes;
    news->room_bytes = room_bytes(self, stats, reserve_disk(&self->reserve));
}

static void publish(struct clerk *self, enum tri_status status, const struct tri_error *error)
{
    struct clerk_news seen = { 0 };

    clerk_examine(self, &seen);
    pthread_mutex_lock(&self->lock);
    if (status == TRI_STORE) {
        self->news.status = TRI_STORE;
        self->news.error = *error;
    }
    if (status == TRI_OK && self->job.ticket > self->news.durable)
        self->news.durable = self->job.ticket;
    self->news.rows = seen.rows;
    self->news.payload_bytes = seen.payload_bytes;
    self->news.disk_bytes = seen.disk_bytes;
    self->news.is_full = status == TRI_NO_SPACE;
    self->news.room_bytes = status == TRI_NO_SPACE ? 0 : seen.room_bytes;
    if (status == TRI_OK)
        self->writing_bytes = 0;
    tell(self);
    pthread_mutex_unlock(&self->lock);
}

/* ---- loads ---------------------------------------------------------------------------------- */

static enum tri_status load_one(struct clerk *self, struct load *load, struct tri_error *error)
{
    load->status = database_load(self->database, load->key, &load->payload, error);
    if (load->status == TRI_STORE)
        return TRI_STORE;
    if (load->status == TRI_INVALID)
        load->status = TRI_STORE;
    return TRI_OK;
}

static enum tri_status load_all(struct clerk *self,
                                struct tri_dlist_head *wanted,
                                struct tri_error *error)
{
    struct tri_dlist_head done;
    struct tri_dlist_node *node;
    enum tri_status status = TRI_OK;

    tri_dlist_init(&done);
    while (status == TRI_OK && (node = tri_dlist_pop_front(wanted)) != NULL) {
        status = load_one(self, tri_container_of(node, struct load, node), error);
        tri_dlist_push_back(&done, node);
    }
    if (tri_dlist_is_empty(&done))
        return TRI_OK;
    pthread_mutex_lock(&self->lock);
    while ((node = tri_dlist_pop_front(&done)) != NULL)
        tri_dlist_push_back(&self->loaded, node);
    while ((node = tri_dlist_pop_front(wanted)) != NULL)
        tri_dlist_push_back(&self->wanted, node);
    tell(self);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static enum tri_status load_some(struct clerk *self, struct tri_error *error)
{
    struct tri_dlist_head wanted;
    struct tri_dlist_node *node;

    tri_dlist_init(&wanted);
    pthread_mutex_lock(&self->lock);
    while (wanted.count < LOADS_MAX && (node = tri_dlist_pop_front(&self->wanted)) != NULL)
        tri_dlist_push_back(&wanted, node);
    pthread_mutex_unlock(&self->lock);
    return load_all(self, &wanted, error);
}

/* The lock is held. */
static void take_sealed(struct clerk *self)
{
    writes_join(&self->job, &self->sealed);
    self->writing_bytes = self->job.bytes;
    self->generation++;
}

/* ---- write ---------------------------------------------------------------------------------- */

/* Without room: first what is folded leaves the log to be used again, then what was forgotten goes,
 * then the reserve. */
static enum tri_status find_room(struct clerk *self, struct tri_error *error)
{
    enum tri_status status;

    if (database_stats(self->database).log_bytes > 0) {
        status = database_fold(self->database, error);
        if (status != TRI_NO_SPACE)
            return status;
    }
    if (database_stats(self->database).has_forgotten) {
        status = database_sweep(self->database, error);
        if (status != TRI_NO_SPACE)
            return status;
    }
    return reserve_spend(&self->reserve) ? TRI_OK : TRI_NO_SPACE;
}

/* Write the job. TRI_NO_SPACE: there is no room for it. */
static enum tri_status write_job(struct clerk *self, struct tri_error *error)
{
    bool sweeps = !self->lacks_room;

    for (;;) {
        enum tri_status status = database_write(self->database, &self->job, sweeps, error);

        if (status != TRI_NO_SPACE)
            return status;
        sweeps = false;
        status = find_room(self, error);
        if (status != TRI_OK)
            return status;
    }
}

/* The job stays. It is tried again later, with what is sealed by then, which is no reason to try
 * before: it brings no room. */
static void await_room(struct clerk *self)
{
    self->lacks_room = true;
    self->retry_at = TRI_NEVER; /* clerk_step says when */
    publish(self, TRI_NO_SPACE, NULL);
    self->has_ended = self->is_last;
}

/* A log that cannot be folded for want of room stays, and is tried again. */
static enum tri_status fold(struct clerk *self, struct tri_error *error)
{
    enum tri_status status = database_fold(self->database, error);

    if (status == TRI_NO_SPACE && reserve_spend(&self->reserve))
        status = database_fold(self->database, error);
    return status == TRI_NO_SPACE ? TRI_OK : status;
}

static bool log_is_long(const struct clerk *self)
{
    return database_stats(self->database).log_bytes
           >= log_bytes_max(self, reserve_disk(&self->reserve));
}

static enum tri_status write_sealed(struct clerk *self, struct tri_error *error)
{
    enum tri_status status;

    if (PLANTED(DURABLE_EARLY))
        publish(self, TRI_OK, NULL);
    status = write_job(self, error);
    if (status == TRI_NO_SPACE) {
        await_room(self);
        return TRI_OK;
    }
    if (status == TRI_OK)
        status = database_look(self->database, error);
    if (status != TRI_OK)
        return status;
    self->lacks_room = false;
    publish(self, TRI_OK, NULL);
    writes_clear(&self->job);
    self->job.ticket = 0;
    return log_is_long(self) ? fold(self, error) : TRI_OK;
}

/* ---- upkeep --------------------------------------------------------------------------------- */

static bool has_much_free(const struct clerk *self)
{
    struct database_stats stats = database_stats(self->database);

    return stats.free_bytes >= FREE_BYTES_MIN && stats.free_bytes >= stats.file_bytes / FREE_PART;
}

/* Tell what the caller may wait for: it counts what it writes, but not what others do to the disk.
 * Returns the room. */
static uint64_t publish_room(struct clerk *self)
{
    struct clerk_news seen = { 0 };

    clerk_examine(self, &seen);
    pthread_mutex_lock(&self->lock);
    self->news.disk_bytes = seen.disk_bytes;
    if (seen.room_bytes != self->news.room_bytes)
        tell(self);
    self->news.room_bytes = seen.room_bytes;
    pthread_mutex_unlock(&self->lock);
    return seen.room_bytes;
}

/* Give a piece of space back, to the file or to the disk. TRI_EMPTY: there is none. */
static enum tri_status give_back(struct clerk *self, struct tri_error *error)
{
    if (database_stats(self->database).has_forgotten)
        return database_sweep(self->database, error);
    if (has_much_free(self))
        return database_shrink(self->database, SHRINK_BYTES, error);
    return TRI_EMPTY;
}

static bool has_to_give(const struct clerk *self)
{
    return database_stats(self->database).has_forgotten || has_much_free(self);
}

/* One piece of what can be done while nothing else is. A disk without room for it is no failure:
 * it is done later. A file from which pages were given back becomes shorter when the log is folded,
 * and then what is left of it is judged again. */
static enum tri_status care(struct clerk *self, struct tri_error *error)
{
    enum tri_status status = database_look(self->database, error);
    bool has_shrunk = false;
    bool lacks_room = false;
    bool has_more = false;

    self->care_ms = TRI_NEVER;
    if (status == TRI_OK) {
        status = give_back(self, error);
        has_shrunk = status == TRI_OK;
        lacks_room = status == TRI_NO_SPACE;
    }
    if (status == TRI_EMPTY || lacks_room || (has_shrunk && log_is_long(self))) {
        status = fold(self, error);
        has_more = status == TRI_OK && !lacks_room && has_to_give(self);
    }
    if (status != TRI_OK && status != TRI_NO_SPACE)
        return status;
    if (lacks_room || !reserve_take(&self->reserve) || database_stats(self->database).log_bytes > 0)
        self->care_ms = LOOK_MS;
    if (publish_room(self) < ROOM_BYTES_LITTLE)
        self->care_ms = LOOK_MS;
    if (has_shrunk || has_more)
        self->care_ms = 0;
    else
        self->has_tidied = self->has_worked;
    self->has_worked = has_shrunk;
    return TRI_OK;
}

/* ---- a step --------------------------------------------------------------------------------- */

/* A job without room waits for its time, or for the last one. */
static bool may_write(const struct clerk *self, tri_time now)
{
    return !self->lacks_room || self->is_last || now >= self->retry_at;
}

bool clerk_is_wanted(const struct clerk *self)
{
    return self->is_stopping || !tri_dlist_is_empty(&self->wanted)
           || (self->sealed.ticket != 0 && !self->lacks_room);
}

/* See what there is to do. Returns whether somebody waits for a load. */
static bool take_up(struct clerk *self, tri_time now)
{
    bool has_loads;

    pthread_mutex_lock(&self->lock);
    self->is_last = self->is_stopping;
    if (self->sealed.ticket != 0 && may_write(self, now))
        take_sealed(self);
    has_loads = !tri_dlist_is_empty(&self->wanted);
    pthread_mutex_unlock(&self->lock);
    return has_loads;
}

/* Loads and transactions take turns. */
static enum tri_status do_work(struct clerk *self, bool loads, struct tri_error *error)
{
    self->care_ms = CLERK_IDLE_MS;
    self->care_at = TRI_NEVER;
    self->has_worked = true;
    self->has_loaded = loads;
    return loads ? load_some(self, error) : write_sealed(self, error);
}

/* Nothing is to be done now. Returns when there will be. Times are counted from here, not from the
 * end of a piece of work that may have taken long. */
static tri_time rest(struct clerk *self, tri_time now)
{
    if (self->lacks_room)
        return self->retry_at;
    if (self->care_at == TRI_NEVER && self->care_ms != TRI_NEVER)
        self->care_at = now + self->care_ms;
    return self->care_at;
}

tri_time clerk_step(struct clerk *self, tri_time now)
{
    struct tri_error error = { 0 };
    enum tri_status status = TRI_OK;
    tri_time due = now;
    bool loads;
    bool writes;

    if (self->lacks_room && self->retry_at == TRI_NEVER)
        self->retry_at = now + self->full_ms;
    loads = take_up(self, now);
    writes = self->job.ticket != 0 && may_write(self, now);
    self->has_tidied = false;
    if (loads || writes) {
        status = do_work(self, loads && !(writes && self->has_loaded), &error);
    } else if (self->is_last) {
        self->has_ended = true;
    } else if (rest(self, now) > now) {
        due = rest(self, now);
    } else {
        self->care_at = TRI_NEVER;
        status = care(self, &error);
    }
    if (status == TRI_STORE) {
        publish(self, TRI_STORE, &error);
        self->has_ended = true;
    }
    return self->has_ended ? TRI_NEVER : due;
}
