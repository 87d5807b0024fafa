#include "tests/sim/store.h"

#include "common/assert.h"

#include <stdlib.h>

#define TABLES (STORE_TASK + 1)

struct store_batch {
    struct tri_map tables[TABLES];
};

void store_begin(struct store *self)
{
    tri_map_init(&self->batches);
    self->rows = 0;
    self->bytes = 0;
}

static uint64_t row_bytes(const struct store_row *row)
{
    return row->head->bytes.size + (row->payload != NULL ? row->payload->bytes.size : 0);
}

static void row_free(struct store *self, struct store_row *row)
{
    if (row == NULL)
        return;
    self->bytes -= row_bytes(row);
    tri_frame_unref(row->head);
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

void store_put(struct store *self, const struct store_row *row)
{
    struct store_batch *batch = tri_map_find(&self->batches, row->key.batch);
    struct store_row *copy = tri_alloc(1, sizeof(*copy));

    if (batch == NULL) {
        batch = tri_alloc(1, sizeof(*batch));
        for (int i = 0; i < TABLES; i++)
            tri_map_init(&batch->tables[i]);
        tri_map_put(&self->batches, row->key.batch, batch);
    }
    *copy = *row;
    tri_frame_ref(copy->head);
    if (copy->payload != NULL)
        tri_frame_ref(copy->payload);
    self->rows++;
    self->bytes += row_bytes(copy);
    row_free(self, tri_map_put(&batch->tables[row->key.table], row->key.key, copy));
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

const struct store_row *store_find(const struct store *self, struct store_key key)
{
    const struct store_batch *batch = tri_map_find(&self->batches, key.batch);

    return batch != NULL ? tri_map_find(&batch->tables[key.table], key.key) : NULL;
}

/* ---- in order ------------------------------------------------------------------------------- */

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
    const struct store_key *a = &(*(const struct store_row *const *)left)->key;
    const struct store_key *b = &(*(const struct store_row *const *)right)->key;

    if (a->table != b->table)
        return order(a->table, b->table);
    return a->batch != b->batch ? order(a->batch, b->batch) : order(a->key, b->key);
}

const struct store_row **store_list(const struct store *self)
{
    const struct store_row **list = tri_alloc(self->rows + 1, sizeof(const struct store_row *));
    size_t count = 0;
    uint64_t key;
    void *batch;
    void *row;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &batch);)
        for (int i = 0; i < TABLES; i++) {
            const struct tri_map *table = &((const struct store_batch *)batch)->tables[i];

            for (size_t in = 0; tri_map_next(table, &in, &key, &row);)
                list[count++] = row;
        }
    tri_assert(count == self->rows);
    qsort(list, count, sizeof(const struct store_row *), compare);
    return list;
}
