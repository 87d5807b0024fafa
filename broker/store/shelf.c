#include "broker/store/shelf.h"

#include "common/net/parts.h"

#include <stdlib.h>

/* A received frame may lie in libzmq's 8 KiB read buffer, together with others: keeping it keeps
 * the buffer. A payload below this size is worth a copy of its own. */
#define COPY_BYTES_MAX 4096

/* The rows of one batch that are in memory. */
struct binder {
    uint64_t number;
    struct tri_map entries;     /* table and key -> struct entry */
    uint64_t removed;           /* ticket that removes what is on the disk, 0: none under way */
    struct tri_dlist_node gone; /* shelf->gone */
};

struct entry {
    struct store_key key;
    struct binder *binder;
    struct tri_dlist_node node; /* shelf->dirty or shelf->cached; neither while pinned or loading */
    uint64_t ticket;            /* that makes it durable; 0: it is */
    struct write *open;         /* in shelf->open */
    struct write *sealed;       /* in the list of that generation */
    uint64_t generation;
    unsigned pins; /* fetched and not yet told, or held */
    bool loading;
    bool has_payload;
    zmq_msg_t payload;
};

struct fetched {
    struct tri_dlist_node node;
    struct store_key key;
    enum tri_status status;
};

void shelf_init(struct shelf *self, uint64_t cache_bytes)
{
    *self = (struct shelf){ .cache_bytes = cache_bytes };
    tri_map_init(&self->batches);
    tri_dlist_init(&self->dirty);
    tri_dlist_init(&self->gone);
    tri_dlist_init(&self->cached);
    tri_dlist_init(&self->fetched);
    writes_init(&self->open);
}

/* ---- entries -------------------------------------------------------------------------------- */

static uint64_t map_key(struct store_key key)
{
    return key.key << 3 | key.table;
}

static struct binder *binder_at(struct shelf *self, uint64_t batch)
{
    struct binder *binder = tri_map_find(&self->batches, batch);

    if (binder != NULL)
        return binder;
    binder = tri_alloc(1, sizeof(*binder));
    binder->number = batch;
    tri_map_init(&binder->entries);
    tri_map_put(&self->batches, batch, binder);
    return binder;
}

static void binder_free_if_idle(struct shelf *self, struct binder *binder)
{
    if (binder->entries.count > 0 || binder->removed != 0)
        return;
    tri_map_remove(&self->batches, binder->number);
    tri_map_deinit(&binder->entries);
    free(binder);
}

static struct entry *find(const struct shelf *self, struct store_key key)
{
    struct binder *binder = tri_map_find(&self->batches, key.batch);

    return binder == NULL ? NULL : tri_map_find(&binder->entries, map_key(key));
}

static struct entry *entry_at(struct shelf *self, struct store_key key)
{
    struct binder *binder = binder_at(self, key.batch);
    struct entry *entry = tri_map_find(&binder->entries, map_key(key));

    if (entry != NULL)
        return entry;
    entry = tri_alloc(1, sizeof(*entry));
    entry->key = key;
    entry->binder = binder;
    zmq_msg_init(&entry->payload);
    tri_map_put(&binder->entries, map_key(key), entry);
    return entry;
}

static uint64_t bytes_of(struct entry *entry)
{
    return zmq_msg_size(&entry->payload) + sizeof(*entry);
}

/* Off the list that it is on. */
static void unlink_entry(struct shelf *self, struct entry *entry)
{
    if (!tri_dlist_is_linked(&entry->node))
        return;
    if (entry->ticket != 0) {
        tri_dlist_remove(&self->dirty, &entry->node);
        return;
    }
    tri_dlist_remove(&self->cached, &entry->node);
    self->cached_bytes -= bytes_of(entry);
}

static void free_entry(struct shelf *self, struct entry *entry)
{
    struct binder *binder = entry->binder;

    unlink_entry(self, entry);
    tri_map_remove(&binder->entries, map_key(entry->key));
    zmq_msg_close(&entry->payload);
    free(entry);
    binder_free_if_idle(self, binder);
}

/* Nothing is under way with it: it is cached, or of no use. */
static void rest(struct shelf *self, struct entry *entry)
{
    if (entry->ticket != 0 || entry->pins > 0 || entry->loading)
        return;
    if (!entry->has_payload) {
        free_entry(self, entry);
        return;
    }
    tri_dlist_push_back(&self->cached, &entry->node);
    self->cached_bytes += bytes_of(entry);
    while (self->cached_bytes > self->cache_bytes)
        free_entry(self, tri_container_of(tri_dlist_first(&self->cached), struct entry, node));
}

/* ---- writes --------------------------------------------------------------------------------- */

static void set_payload(struct entry *entry, zmq_msg_t *payload)
{
    zmq_msg_close(&entry->payload);
    zmq_msg_init(&entry->payload);
    entry->has_payload = payload != NULL;
    if (payload == NULL)
        return;
    if (zmq_msg_size(payload) >= COPY_BYTES_MAX) {
        zmq_msg_move(&entry->payload, payload);
        return;
    }
    tri_assert(tri_msg_copy(&entry->payload, tri_msg_bytes(payload)) == TRI_OK);
    zmq_msg_close(payload);
    zmq_msg_init(payload);
}

/* It is dirty from now on, with a write of the next commit. */
static void dirty(struct shelf *self,
                  struct entry *entry,
                  enum write_kind kind,
                  struct tri_bytes head,
                  zmq_msg_t *payload)
{
    unlink_entry(self, entry);
    if (entry->open != NULL)
        writes_drop(&self->open, entry->open);
    set_payload(entry, payload);
    entry->open = writes_add(&self->open, kind, entry->key, head,
                             entry->has_payload ? &entry->payload : NULL);
    entry->ticket = self->ticket + 1;
    tri_dlist_push_back(&self->dirty, &entry->node);
}

void shelf_put(struct shelf *self, struct store_key key, struct tri_bytes head, zmq_msg_t *payload)
{
    dirty(self, entry_at(self, key), WRITE_PUT, head, payload);
}

void shelf_remove(struct shelf *self, struct store_key key)
{
    dirty(self, entry_at(self, key), WRITE_REMOVE, (struct tri_bytes){ 0 }, NULL);
}

static void drop_entries(struct shelf *self, struct binder *binder)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&binder->entries, &at, &key, &value);) {
        struct entry *entry = value;

        if (entry->open != NULL)
            writes_drop(&self->open, entry->open);
        free_entry(self, entry);
    }
}

void shelf_remove_batch(struct shelf *self, uint64_t batch)
{
    struct binder *binder = binder_at(self, batch);

    if (binder->removed != 0)
        tri_dlist_remove(&self->gone, &binder->gone);
    binder->removed = self->ticket + 1;
    tri_dlist_push_back(&self->gone, &binder->gone);
    drop_entries(self, binder);
    writes_add(&self->open, WRITE_REMOVE_BATCH, (struct store_key){ STORE_META, batch, 0 },
               (struct tri_bytes){ 0 }, NULL);
}

uint64_t shelf_seal(struct shelf *self, struct writes *sealed, uint64_t generation)
{
    tri_dlist_foreach(&self->open.list, node)
    {
        struct write *write = tri_container_of(node, struct write, node);
        struct entry *entry;

        if (write->kind == WRITE_REMOVE_BATCH)
            continue;
        entry = find(self, write->key);
        tri_assert(entry != NULL && entry->open == write);
        if (entry->sealed != NULL && entry->generation == generation)
            writes_drop(sealed, entry->sealed);
        entry->sealed = write;
        entry->generation = generation;
        entry->open = NULL;
    }
    self->open.ticket = ++self->ticket;
    writes_join(sealed, &self->open);
    return self->ticket;
}

void shelf_durable(struct shelf *self, uint64_t ticket)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&self->dirty)) != NULL) {
        struct entry *entry = tri_container_of(node, struct entry, node);

        if (entry->ticket > ticket)
            break;
        tri_dlist_remove(&self->dirty, node);
        entry->ticket = 0;
        entry->sealed = NULL;
        rest(self, entry);
    }
    while ((node = tri_dlist_first(&self->gone)) != NULL) {
        struct binder *binder = tri_container_of(node, struct binder, gone);

        if (binder->removed > ticket)
            break;
        tri_dlist_remove(&self->gone, node);
        binder->removed = 0;
        binder_free_if_idle(self, binder);
    }
}

/* ---- reads ---------------------------------------------------------------------------------- */

/* TRI_EMPTY: only the disk knows. */
static enum tri_status known(const struct shelf *self, struct store_key key, struct entry **entry)
{
    const struct binder *binder = tri_map_find(&self->batches, key.batch);

    *entry = binder == NULL ? NULL : tri_map_find(&binder->entries, map_key(key));
    if (*entry != NULL && (*entry)->has_payload)
        return TRI_OK;
    if (*entry != NULL && (*entry)->ticket != 0)
        return TRI_NOTFOUND;
    return binder != NULL && binder->removed != 0 ? TRI_NOTFOUND : TRI_EMPTY;
}

enum tri_status shelf_read(struct shelf *self, struct store_key key, zmq_msg_t *payload)
{
    struct entry *entry;
    enum tri_status status = known(self, key, &entry);

    if (status != TRI_OK)
        return status;
    zmq_msg_init(payload);
    zmq_msg_copy(payload, &entry->payload);
    if (entry->ticket == 0 && tri_dlist_is_linked(&entry->node)) {
        tri_dlist_remove(&self->cached, &entry->node);
        tri_dlist_push_back(&self->cached, &entry->node);
    }
    return TRI_OK;
}

static void finish(struct shelf *self,
                   struct store_key key,
                   struct entry *entry,
                   enum tri_status status)
{
    struct fetched *fetched = tri_alloc(1, sizeof(*fetched));

    fetched->key = key;
    fetched->status = status;
    tri_dlist_push_back(&self->fetched, &fetched->node);
    if (status != TRI_OK)
        return;
    if (entry->ticket == 0)
        unlink_entry(self, entry);
    entry->pins++;
}

bool shelf_fetch(struct shelf *self, struct store_key key)
{
    struct entry *entry;
    enum tri_status status = known(self, key, &entry);

    if (status != TRI_EMPTY) {
        finish(self, key, entry, status);
        return false;
    }
    entry = entry_at(self, key);
    if (entry->loading)
        return false;
    entry->loading = true;
    return true;
}

void shelf_loaded(struct shelf *self,
                  struct store_key key,
                  enum tri_status status,
                  zmq_msg_t *payload)
{
    struct entry *entry;
    enum tri_status now = known(self, key, &entry);

    if (now == TRI_EMPTY) {
        now = status;
        /* It was forgotten and its batch is gone from the disk, too, unless it waits for this. */
        if (entry == NULL)
            now = TRI_NOTFOUND;
        else if (status == TRI_OK)
            set_payload(entry, payload);
    }
    if (status == TRI_OK)
        zmq_msg_close(payload);
    if (entry != NULL)
        entry->loading = false;
    finish(self, key, entry, now);
    if (entry != NULL && now != TRI_OK)
        rest(self, entry);
}

static void release_held(struct shelf *self)
{
    struct entry *entry = find(self, self->held);

    if (!self->has_held)
        return;
    self->has_held = false;
    if (entry == NULL || entry->pins == 0)
        return;
    entry->pins--;
    rest(self, entry);
}

bool shelf_fetched(struct shelf *self, struct store_key *key, enum tri_status *status)
{
    struct tri_dlist_node *node = tri_dlist_pop_front(&self->fetched);
    struct fetched *fetched;
    struct entry *entry;

    release_held(self);
    if (node == NULL)
        return false;
    fetched = tri_container_of(node, struct fetched, node);
    *key = fetched->key;
    *status = fetched->status;
    free(fetched);
    if (*status != TRI_OK)
        return true;
    self->held = *key;
    self->has_held = true;
    entry = find(self, *key);
    if (entry == NULL || !entry->has_payload)
        *status = TRI_NOTFOUND;
    return true;
}

void shelf_deinit(struct shelf *self)
{
    uint64_t number;
    void *value;
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(&self->fetched)) != NULL)
        free(tri_container_of(node, struct fetched, node));
    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &value);) {
        struct binder *binder = value;

        if (binder->removed != 0)
            tri_dlist_remove(&self->gone, &binder->gone);
        binder->removed = 1; /* stays until its entries are gone */
        drop_entries(self, binder);
        tri_map_deinit(&binder->entries);
        free(binder);
    }
    tri_map_deinit(&self->batches);
    writes_clear(&self->open);
}
