#include "tests/sim/store.h"

#include "common/assert.h"

#include <stdlib.h>

#define TABLES (STORE_TASK + 1)

struct store_row {
    struct tri_frame *payload;
};

struct store_batch {
    struct tri_map tables[TABLES];
};

void store_begin(struct store *self)
{
    tri_map_init(&self->batches);
    self->rows = 0;
}

static void row_free(struct store *self, struct store_row *row)
{
    if (row == NULL)
        return;
    tri_frame_unref(row->payload);
    free(row);
    self->rows--;
}

static void batch_free(struct store *self, struct store_batch *batch)
{
    uint64_t key;
    void *value;

    if (batch == NULL)
        return;
    for (int i = 0; i < TABLES; i++) {
        for (size_t at = 0; tri_map_next(&batch->tables[i], &at, &key, &value);)
            row_free(self, value);
        tri_map_deinit(&batch->tables[i]);
    }
    free(batch);
}

void store_end(struct store *self)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);)
        batch_free(self, value);
    tri_map_deinit(&self->batches);
}

void store_put(struct store *self, struct store_key key, struct tri_frame *payload)
{
    struct store_batch *batch = tri_map_find(&self->batches, key.batch);
    struct store_row *row = tri_alloc(1, sizeof(*row));

    if (batch == NULL) {
        batch = tri_alloc(1, sizeof(*batch));
        for (int i = 0; i < TABLES; i++)
            tri_map_init(&batch->tables[i]);
        tri_map_put(&self->batches, key.batch, batch);
    }
    row->payload = payload != NULL ? tri_frame_ref(payload) : NULL;
    self->rows++;
    row_free(self, tri_map_put(&batch->tables[key.table], key.key, row));
}

size_t store_batch_rows(const struct store *self)
{
    const struct store_batch *none = tri_map_find(&self->batches, 0);

    return self->rows - (none != NULL ? none->tables[STORE_META].count : 0);
}

void store_delete(struct store *self, struct store_key key, bool whole_batch)
{
    struct store_batch *batch = tri_map_find(&self->batches, key.batch);

    if (batch == NULL)
        return;
    if (whole_batch)
        batch_free(self, tri_map_remove(&self->batches, key.batch));
    else
        row_free(self, tri_map_remove(&batch->tables[key.table], key.key));
}

struct tri_frame *store_find(const struct store *self, struct store_key key)
{
    const struct store_batch *batch = tri_map_find(&self->batches, key.batch);
    const struct store_row *row =
        batch != NULL ? tri_map_find(&batch->tables[key.table], key.key) : NULL;

    return row != NULL ? row->payload : NULL;
}
