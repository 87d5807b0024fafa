#include "tests/sim/disk.h"

#include "common/assert.h"

#include <stdlib.h>

struct entry {
    struct tri_dlist_node node;
    uint64_t commit;
    struct store_row row; /* without a head: deleted */
    bool whole_batch;
};

void disk_begin(struct disk *self)
{
    store_begin(&self->seen);
    store_begin(&self->durable);
    tri_dlist_init(&self->journal);
}

static void entry_free(struct disk *self, struct entry *entry)
{
    tri_dlist_remove(&self->journal, &entry->node);
    tri_frame_unref(entry->row.head);
    tri_frame_unref(entry->row.payload);
    free(entry);
}

static struct entry *oldest(const struct disk *self)
{
    struct tri_dlist_node *node = tri_dlist_first(&self->journal);

    return node != NULL ? tri_container_of(node, struct entry, node) : NULL;
}

static void forget(struct disk *self)
{
    struct entry *entry;

    while ((entry = oldest(self)) != NULL)
        entry_free(self, entry);
}

void disk_end(struct disk *self)
{
    forget(self);
    store_end(&self->seen);
    store_end(&self->durable);
}

static struct entry *note(struct disk *self, uint64_t commit)
{
    struct entry *entry = tri_alloc(1, sizeof(*entry));

    entry->commit = commit;
    tri_dlist_push_back(&self->journal, &entry->node);
    return entry;
}

void disk_put(struct disk *self, uint64_t commit, const struct store_row *row)
{
    struct entry *entry = note(self, commit);

    entry->row = *row;
    tri_frame_ref(row->head);
    if (row->payload != NULL)
        tri_frame_ref(row->payload);
    store_put(&self->seen, row);
}

void disk_delete(struct disk *self, uint64_t commit, struct store_key key, bool whole_batch)
{
    struct entry *entry = note(self, commit);

    entry->row.key = key;
    entry->whole_batch = whole_batch;
    store_delete(&self->seen, key, whole_batch);
}

uint64_t disk_commit_bytes(const struct disk *self, uint64_t commit)
{
    uint64_t bytes = 0;

    tri_dlist_foreach(&self->journal, node)
    {
        const struct entry *entry = tri_container_of(node, struct entry, node);

        if (entry->commit > commit || entry->row.head == NULL)
            continue;
        bytes += entry->row.head->bytes.size;
        bytes += entry->row.payload != NULL ? entry->row.payload->bytes.size : 0;
    }
    return bytes;
}

void disk_sync(struct disk *self, uint64_t commit)
{
    struct entry *entry;

    while ((entry = oldest(self)) != NULL && entry->commit <= commit) {
        if (entry->row.head != NULL)
            store_put(&self->durable, &entry->row);
        else
            store_delete(&self->durable, entry->row.key, entry->whole_batch);
        entry_free(self, entry);
    }
}

void disk_forget(struct disk *self, uint64_t commit)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_last(&self->journal)) != NULL) {
        struct entry *entry = tri_container_of(node, struct entry, node);

        if (entry->commit <= commit)
            return;
        entry_free(self, entry);
    }
}

void disk_lose(struct disk *self)
{
    const struct store_row **rows = store_list(&self->durable);

    forget(self);
    store_end(&self->seen);
    store_begin(&self->seen);
    for (size_t i = 0; i < self->durable.rows; i++)
        store_put(&self->seen, rows[i]);
    free(rows);
}
