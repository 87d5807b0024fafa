/* concat: the texts of all values in index order. What has come so far is kept as pieces, each of a
 * run of indexes without a gap; a partial is its pieces, touching ones joined. */
#include "common/ordered.h"
#include "common/rangeset.h"
#include "common/reduce_ops.h"

#include <stdlib.h>

struct piece {
    struct tri_ordered_node node; /* key: the first index */
    uint64_t count;
    struct tri_buffer text;
};

struct concat {
    struct tri_reducer head;
    struct tri_ordered pieces;
    size_t piece_count;
    size_t bytes;
};

static struct concat *concat_at(struct tri_reducer *self)
{
    return (struct concat *)(void *)self;
}

static const struct concat *concat_of(const struct tri_reducer *self)
{
    return (const struct concat *)(const void *)self;
}

static struct piece *piece_of(struct tri_ordered_node *node)
{
    return node != NULL ? tri_container_of(node, struct piece, node) : NULL;
}

static struct piece *piece_next(struct piece *piece)
{
    return piece_of(tri_ordered_next(&piece->node));
}

static uint64_t piece_end(const struct piece *piece)
{
    return piece->node.key + piece->count;
}

static void piece_free(struct piece *piece)
{
    tri_buffer_deinit(&piece->text);
    free(piece);
}

static void piece_insert(struct concat *self, struct piece *piece, uint64_t first)
{
    tri_ordered_insert(&self->pieces, &piece->node, first);
    self->piece_count++;
}

/* ---- fold ----------------------------------------------------------------------------------- */

/* The piece that holds an index of [first, first + count), if any; else `*before` is the piece that
 * ends at or before `first`. */
static struct piece *overlapping(const struct concat *self,
                                 uint64_t first,
                                 uint64_t count,
                                 struct piece **before)
{
    struct piece *piece = piece_of(tri_ordered_at_most(&self->pieces, first + count - 1));

    *before = piece;
    return piece != NULL && piece_end(piece) > first ? piece : NULL;
}

static enum tri_status folded_before(uint64_t index, struct tri_error *error)
{
    return tri_fail(error, TRI_CONFLICT, "concat: task %llu is folded already",
                    (unsigned long long)index);
}

/* Append the text of a value to a buffer, or leave the buffer as it was. */
static enum tri_status text_append(struct tri_buffer *text,
                                   const struct tri_value *value,
                                   struct tri_error *error)
{
    size_t size = text->size;
    enum tri_status status = tri_value_to_text(value, text, error);

    if (status == TRI_OK && text->failed)
        status = tri_reduce_memory(error);
    if (status != TRI_OK) {
        text->size = size;
        text->failed = false;
    }
    return status;
}

static enum tri_status concat_fold(struct tri_reducer *self,
                                   uint64_t index,
                                   const struct tri_value *value,
                                   struct tri_error *error)
{
    struct concat *concat = concat_at(self);
    struct piece *piece;
    struct piece *fresh = NULL;
    size_t before;
    enum tri_status status;

    if (index >= TRI_INDEX_END)
        return tri_fail(error, TRI_INVALID, "concat: the index is out of range");
    if (overlapping(concat, index, 1, &piece) != NULL)
        return folded_before(index, error);
    if (piece == NULL || piece_end(piece) != index) {
        piece = fresh = calloc(1, sizeof(*fresh));
        if (fresh == NULL)
            return tri_reduce_memory(error);
    }
    before = piece->text.size;
    status = text_append(&piece->text, value, error);
    if (status != TRI_OK) {
        if (fresh != NULL)
            piece_free(fresh);
        return status;
    }
    concat->bytes += piece->text.size - before;
    piece->count++;
    if (fresh != NULL)
        piece_insert(concat, fresh, index);
    return TRI_OK;
}

static void concat_reset(struct tri_reducer *self)
{
    struct concat *concat = concat_at(self);
    struct tri_ordered_node *node;

    while ((node = concat->pieces.root) != NULL) {
        tri_ordered_remove(&concat->pieces, node);
        piece_free(piece_of(node));
    }
    concat->bytes = 0;
    concat->piece_count = 0;
}

/* ---- partials ------------------------------------------------------------------------------- */

/* The pieces from `piece` on that touch: `*end` is the first one that does not. */
static struct tri_range run_of(struct piece *piece, size_t *bytes, struct piece **end)
{
    struct tri_range range = { piece->node.key, 0 };

    *bytes = 0;
    for (; piece != NULL && piece->node.key == range.first + range.count;
         piece = piece_next(piece)) {
        range.count += piece->count;
        *bytes += piece->text.size;
    }
    *end = piece;
    return range;
}

static uint32_t concat_encoded_values(const struct tri_reducer *self)
{
    struct piece *piece = piece_of(tri_ordered_first(&concat_of(self)->pieces));
    uint32_t values = 0;
    size_t bytes;

    for (; piece != NULL; values += 3)
        run_of(piece, &bytes, &piece);
    return values;
}

static size_t concat_partial_bytes(const struct tri_reducer *self)
{
    return concat_of(self)->bytes + 23 * concat_of(self)->piece_count;
}

/* For each run: its first index, its count, its text as binary. */
static enum tri_status concat_encode(const struct tri_reducer *self,
                                     struct tri_buffer *out,
                                     struct tri_error *error)
{
    struct piece *piece = piece_of(tri_ordered_first(&concat_of(self)->pieces));

    while (piece != NULL) {
        struct piece *end;
        size_t bytes;
        struct tri_range range = run_of(piece, &bytes, &end);

        if (bytes > UINT32_MAX)
            return tri_fail(error, TRI_TOO_LARGE, "concat: a run of texts is over 4 GiB");
        tri_pack_uint(out, range.first);
        tri_pack_uint(out, range.count);
        tri_pack_binary_head(out, (uint32_t)bytes);
        for (; piece != end; piece = piece_next(piece))
            tri_buffer_append(out, piece->text.data, piece->text.size);
    }
    return TRI_OK;
}

/* Walks ranges as the largest runs that they make. */
static bool ranges_next(const struct reduce_partial *partial, size_t *at, struct tri_range *run)
{
    *run = (struct tri_range){ 0, 0 };
    for (; *at < partial->range_count; ++*at) {
        const struct tri_range *range = &partial->ranges[*at];

        if (range->count == 0)
            continue;
        if (run->count == 0)
            run->first = range->first;
        else if (run->first + run->count != range->first)
            break;
        run->count += range->count;
    }
    return run->count != 0;
}

/* Read one run. */
static enum tri_status run_read(const struct tri_reducer *self,
                                struct reduce_partial *partial,
                                struct tri_range *run,
                                struct tri_bytes *text,
                                struct tri_error *error)
{
    struct tri_value value;
    enum tri_status status = tri_reduce_next_count(self, partial, &run->first, error);

    if (status == TRI_OK)
        status = tri_reduce_next_count(self, partial, &run->count, error);
    if (status == TRI_OK)
        status = tri_reduce_next(self, partial, TRI_BINARY, &value, error);
    if (status != TRI_OK)
        return status;
    if (run->count == 0 || run->count > TRI_INDEX_END - run->first)
        return tri_reduce_broken(error, self);
    *text = value.bytes;
    return TRI_OK;
}

/* Verify a partial: runs sorted, apart, as many indexes as claimed, those that were named. */
static enum tri_status partial_check(const struct tri_reducer *self,
                                     struct reduce_partial partial,
                                     struct tri_error *error)
{
    uint64_t next = 0; /* no run begins below this */
    uint64_t total = 0;
    size_t at = 0;

    while (partial.values > 0) {
        struct tri_range run;
        struct tri_range named;
        struct tri_bytes text;
        struct piece *before;
        enum tri_status status = run_read(self, &partial, &run, &text, error);

        if (status != TRI_OK)
            return status;
        if (run.first < next)
            return tri_reduce_broken(error, self);
        if (partial.ranges != NULL
            && (!ranges_next(&partial, &at, &named) || named.first != run.first
                || named.count != run.count))
            return tri_fail(error, TRI_INVALID,
                            "a partial of concat covers other tasks than it "
                            "names");
        if (overlapping(concat_of(self), run.first, run.count, &before) != NULL)
            return folded_before(run.first, error);
        next = run.first + run.count + 1;
        total += run.count;
    }
    return total == partial.count ? TRI_OK : tri_reduce_broken(error, self);
}

static enum tri_status concat_merge(struct tri_reducer *self,
                                    struct reduce_partial *partial,
                                    struct tri_error *error)
{
    struct concat *concat = concat_at(self);
    struct tri_ordered fresh = { NULL };
    struct tri_ordered_node *node;
    enum tri_status status = partial_check(self, *partial, error);

    while (status == TRI_OK && partial->values > 0) {
        struct piece *piece = calloc(1, sizeof(*piece));
        struct tri_bytes text;
        struct tri_range run;

        if (piece == NULL) {
            status = tri_reduce_memory(error);
            break;
        }
        run_read(self, partial, &run, &text, NULL);
        piece->count = run.count;
        tri_buffer_append(&piece->text, text.data, text.size);
        tri_ordered_insert(&fresh, &piece->node, run.first);
        if (piece->text.failed)
            status = tri_reduce_memory(error);
    }
    while ((node = fresh.root) != NULL) {
        uint64_t first = node->key;

        tri_ordered_remove(&fresh, node);
        if (status == TRI_OK) {
            concat->bytes += piece_of(node)->text.size;
            piece_insert(concat, piece_of(node), first);
        } else {
            piece_free(piece_of(node));
        }
    }
    return status;
}

static enum tri_status concat_finish(const struct tri_reducer *self,
                                     struct tri_buffer *out,
                                     struct tri_error *error)
{
    const struct concat *concat = concat_of(self);
    struct piece *piece = piece_of(tri_ordered_first(&concat->pieces));

    if (concat->bytes > UINT32_MAX)
        return tri_fail(error, TRI_TOO_LARGE, "concat: the text is over 4 GiB");
    tri_pack_string_head(out, (uint32_t)concat->bytes);
    for (; piece != NULL; piece = piece_next(piece))
        tri_buffer_append(out, piece->text.data, piece->text.size);
    return TRI_OK;
}

struct tri_reducer *tri_reduce_concat_new(const struct reduce_spec *spec, struct tri_error *error)
{
    static const struct tri_reduce_ops ops = {
        .fold = concat_fold,
        .reset = concat_reset,
        .deinit = concat_reset,
        .partial_bytes = concat_partial_bytes,
        .encode = concat_encode,
        .encoded_values = concat_encoded_values,
        .merge = concat_merge,
        .finish = concat_finish,
    };
    struct concat *self = calloc(1, sizeof(*self));

    (void)spec;
    if (self == NULL) {
        tri_reduce_memory(error);
        return NULL;
    }
    self->head.ops = &ops;
    tri_ordered_init(&self->pieces);
    return &self->head;
}
