/* store_sqlite.c - rows in one SQLite file: a shelf in the caller's thread (what is under way and
 * what is cached) and a clerk in a thread of its own (what is on the disk). */
#include "broker/store/clerk.h"
#include "broker/store/shelf.h"

#include <stdlib.h>

/* So much under way keeps the disk busy while it syncs; more would only take memory. */
#define BUSY_BYTES (UINT64_C(4) << 20)

/* Pages of the file that are kept: the inner ones of both tables and what one commit writes. They
 * are part of the cache, and leave most of a small one to payloads. */
#define PAGES_BYTES_MAX (UINT64_C(2) << 20)
#define PAGES_PART 4

struct sqlite {
    struct store store;
    struct shelf shelf;
    struct clerk clerk;
    struct clerk_news news;
    uint64_t commits;
    bool has_written; /* a scan comes too late */
};

static struct sqlite *of(const struct store *self)
{
    return tri_container_of((struct store *)(uintptr_t)self, struct sqlite, store);
}

static bool is_in_bounds(struct store_key key)
{
    return key.table <= STORE_TASK && key.batch < STORE_KEY_END && key.key < STORE_KEY_END;
}

static enum tri_status sqlite_scan(struct store *store,
                                   store_scan_fn *visit,
                                   void *context,
                                   struct tri_error *error)
{
    struct sqlite *self = of(store);
    enum tri_status status;

    tri_assert(!self->has_written);
    status = database_scan(self->clerk.database, visit, context, error);
    clerk_look(&self->clerk);
    self->news = self->clerk.news;
    return status;
}

static enum tri_status sqlite_put(struct store *store,
                                  struct store_key key,
                                  struct tri_bytes head,
                                  zmq_msg_t *payload,
                                  struct tri_error *error)
{
    struct sqlite *self = of(store);

    (void)error;
    tri_assert(is_in_bounds(key));
    self->has_written = true;
    shelf_put(&self->shelf, key, head, payload);
    return TRI_OK;
}

static enum tri_status sqlite_remove(struct store *store, struct store_key key, bool whole_batch)
{
    struct sqlite *self = of(store);

    tri_assert(is_in_bounds(key));
    self->has_written = true;
    if (whole_batch)
        shelf_remove_batch(&self->shelf, key.batch);
    else
        shelf_remove(&self->shelf, key);
    return TRI_OK;
}

static enum tri_status sqlite_read(struct store *store, struct store_key key, zmq_msg_t *payload)
{
    return shelf_read(&of(store)->shelf, key, payload);
}

static void sqlite_fetch(struct store *store, struct store_key key)
{
    struct sqlite *self = of(store);

    self->has_written = true;
    if (shelf_fetch(&self->shelf, key))
        clerk_load(&self->clerk, key);
}

static bool sqlite_fetched(struct store *store, struct store_key *key, enum tri_status *status)
{
    return shelf_fetched(&of(store)->shelf, key, status);
}

static uint64_t sqlite_commit(struct store *store, struct tri_error *error)
{
    struct sqlite *self = of(store);
    struct writes *sealed;
    uint64_t generation;
    uint64_t ticket;

    if (self->news.status != TRI_OK) {
        tri_fail(error, TRI_STORE, "%s", self->news.error.text);
        return 0;
    }
    self->has_written = true;
    self->commits++;
    sealed = clerk_seal_begin(&self->clerk, &generation);
    ticket = shelf_seal(&self->shelf, sealed, generation);
    self->news.waiting_bytes = clerk_seal_end(&self->clerk);
    return ticket;
}

static uint64_t sqlite_durable(const struct store *store)
{
    return of(store)->news.durable;
}

static int sqlite_fd(const struct store *store)
{
    return of(store)->clerk.event_fd;
}

/* Loads first: the disk may have said them before it did the commits that are durable now, and what
 * these wrote counts for more. */
static void take_loads(struct sqlite *self, struct tri_dlist_head *loaded)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(loaded)) != NULL) {
        struct load *load = tri_container_of(node, struct load, node);

        shelf_loaded(&self->shelf, load->key, load->status, &load->payload);
        free(load);
    }
}

static enum tri_status sqlite_turn(struct store *store, struct tri_error *error)
{
    struct sqlite *self = of(store);
    struct tri_dlist_head loaded;

    tri_dlist_init(&loaded);
    if (self->news.status == TRI_OK && clerk_take(&self->clerk, &self->news, &loaded)) {
        take_loads(self, &loaded);
        shelf_durable(&self->shelf, self->news.durable);
    }
    if (self->news.status != TRI_OK)
        return tri_fail(error, TRI_STORE, "%s", self->news.error.text);
    return TRI_OK;
}

static uint64_t waiting_bytes(const struct sqlite *self)
{
    return self->news.waiting_bytes + self->shelf.open.bytes;
}

static uint64_t sqlite_room(const struct store *store)
{
    const struct sqlite *self = of(store);
    uint64_t room = self->news.room_bytes;

    if (room == UINT64_MAX)
        return room;
    return room > waiting_bytes(self) ? room - waiting_bytes(self) : 0;
}

static bool sqlite_is_busy(const struct store *store)
{
    const struct sqlite *self = of(store);

    return self->news.waiting_bytes >= BUSY_BYTES && !self->news.is_full
           && self->news.status == TRI_OK;
}

static struct store_stats sqlite_stats(const struct store *store)
{
    const struct sqlite *self = of(store);

    return (struct store_stats){
        .rows = self->news.rows,
        .payload_bytes = self->news.payload_bytes,
        .commits = self->commits,
        .waiting_bytes = waiting_bytes(self),
        .cached_bytes = self->shelf.cached_bytes,
        .disk_bytes = self->news.disk_bytes,
        .is_full = self->news.is_full,
    };
}

static void sqlite_close(struct store **store)
{
    struct sqlite *self;

    if (*store == NULL)
        return;
    self = of(*store);
    clerk_deinit(&self->clerk);
    shelf_deinit(&self->shelf);
    free(self);
    *store = NULL;
}

static uint64_t pages_bytes(uint64_t cache_bytes)
{
    uint64_t part = cache_bytes / PAGES_PART;

    return part < PAGES_BYTES_MAX ? part : PAGES_BYTES_MAX;
}

static const struct store_operations operations = {
    .name = "sqlite",
    .scan = sqlite_scan,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .read = sqlite_read,
    .fetch = sqlite_fetch,
    .fetched = sqlite_fetched,
    .commit = sqlite_commit,
    .durable = sqlite_durable,
    .fd = sqlite_fd,
    .turn = sqlite_turn,
    .room = sqlite_room,
    .is_busy = sqlite_is_busy,
    .stats = sqlite_stats,
    .close = sqlite_close,
};

void store_sqlite_options_init(struct store_sqlite_options *self)
{
    *self = (struct store_sqlite_options){
        .cache_bytes = UINT64_C(64) << 20,
        .reserve_bytes = UINT64_C(64) << 20,
        .log_bytes_max = UINT64_C(16) << 20,
        .full_ms = 200,
    };
}

tri_time store_sqlite_step(struct store *store, tri_time now)
{
    struct sqlite *self = of(store);

    tri_assert(self->clerk.by_hand);
    return self->clerk.has_ended ? TRI_NEVER : clerk_step(&self->clerk, now);
}

static enum tri_status open_it(const struct store_sqlite_options *options,
                               struct store **store,
                               struct tri_error *error)
{
    struct database *database;
    struct sqlite *self;
    uint64_t pages = pages_bytes(options->cache_bytes);
    enum tri_status status = database_open(options->file, options->vfs, pages, &database, error);

    if (status != TRI_OK)
        return status;
    self = tri_alloc(1, sizeof(*self));
    self->store.operations = &operations;
    shelf_init(&self->shelf, options->cache_bytes - pages);
    *store = &self->store;
    status = clerk_init(&self->clerk, database, options, error);
    if (status != TRI_OK)
        sqlite_close(store);
    else
        self->news = self->clerk.news;
    return status;
}

enum tri_status store_sqlite_open(const struct store_sqlite_options *options,
                                  struct store **store,
                                  struct tri_error *error)
{
    struct store_sqlite_options resolved = *options;
    char file[PATH_MAX];
    enum tri_status status = TRI_OK;

    *store = NULL;
    if (options->vfs == NULL) {
        status = database_resolve(options->file, file, error);
        resolved.file = file;
    }
    return status == TRI_OK ? open_it(&resolved, store, error) : status;
}
