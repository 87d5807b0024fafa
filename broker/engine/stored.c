#include "broker/engine/stored.h"

#include "broker/engine/resume.h"
#include "broker/engine/state.h"
#include "common/assert.h"

#include <msgpack/pack.h>

static int append(void *buffer, const char *data, size_t size)
{
    tri_buffer_append(buffer, data, size);
    return 0;
}

static void pack_array(struct tri_buffer *out, size_t count)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_array(&packer, count);
}

static void pack_uint(struct tri_buffer *out, uint64_t number)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_uint64(&packer, number);
}

static void pack_binary_head(struct tri_buffer *out, size_t size)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_bin(&packer, size);
}

static void pack_binary(struct tri_buffer *out, struct tri_bytes bytes)
{
    pack_binary_head(out, bytes.size);
    tri_buffer_append(out, bytes.data, bytes.size);
}

static void pack_uuid(struct tri_buffer *out, const struct tri_uuid *uuid)
{
    pack_binary(out, (struct tri_bytes){ uuid->bytes, sizeof(uuid->bytes) });
}

static void pack_text(struct tri_buffer *out, const char *text)
{
    msgpack_packer packer;
    size_t size = strlen(text);

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_str(&packer, size);
    tri_buffer_append(out, text, size);
}

/* ---- META ----------------------------------------------------------------------------------- */

void stored_put_meta(struct engine *engine)
{
    struct tri_buffer *out = &engine->scratch;

    tri_buffer_clear(out);
    pack_array(out, 5);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, engine->options.epoch);
    pack_uint(out, engine->next_number);
    pack_uuid(out, &engine->options.cluster);
    pack_uint(out, engine_clock(engine, engine->now));
    engine->clock_put_at = engine->now;
    out_put(&engine->out, (struct store_key){ STORE_META, 0, 0 }, tri_buffer_bytes(out));
}

void stored_put_note(struct engine *engine,
                     uint64_t key,
                     enum stored_note_kind kind,
                     struct tri_bytes name)
{
    struct tri_buffer *out = &engine->scratch;

    tri_buffer_clear(out);
    pack_array(out, 3);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, kind);
    pack_binary(out, name);
    out_put(&engine->out, (struct store_key){ STORE_META, 0, key }, tri_buffer_bytes(out));
}

/* ---- BATCH ---------------------------------------------------------------------------------- */

/* All of a set that a fold has bounded. */
static void pack_ranges(struct tri_buffer *out, const struct tri_rangeset *set)
{
    struct tri_buffer pairs = { 0 };

    row_ranges(set, 0, SIZE_MAX, &pairs);
    pack_binary(out, tri_buffer_bytes(&pairs));
    tri_buffer_deinit(&pairs);
}

static void pack_hash(struct tri_buffer *out, const struct batch *batch)
{
    pack_binary(out,
                batch->stock != NULL ? stock_hash(batch->stock) : (struct tri_bytes){ NULL, 0 });
}

/* Needed for as long as items may follow. */
static void pack_hashing(struct tri_buffer *out, const struct batch *batch)
{
    const struct stock *stock = batch->stock;

    if (stock == NULL || stock->state == NULL) {
        pack_binary_head(out, 0);
        return;
    }
    pack_binary_head(out, RESUME_BYTES);
    resume_pack(stock->state, out);
}

void stored_batch(const struct engine *engine, struct batch *batch, struct tri_buffer *out)
{
    bool ended = batch_has_ended(batch);

    pack_array(out, 28);
    pack_uint(out, STORED_FORMAT);
    pack_uuid(out, &batch->uuid);
    pack_text(out, batch->name);
    pack_text(out, batch->principal->name);
    pack_binary(out, (struct tri_bytes){ batch->spec, batch->spec_size });
    pack_uint(out, batch->state);
    pack_uint(out, batch->sealed);
    pack_uint(out, batch->halting);
    pack_uint(out, batch->cancelling);
    pack_uint(out, batch->generation);
    pack_uint(out, batch->count);
    pack_hash(out, batch);
    pack_text(out, batch->reason != NULL ? batch->reason : "");
    pack_uint(out, engine_clock(engine, batch->submitted_at));
    pack_uint(out, ended ? engine_clock(engine, batch->ended_at) : 0);
    pack_uint(out, batch->row_next);
    pack_uint(out, batch->wall_ns);
    pack_uint(out, batch->cpu_ns);
    pack_uint(out, batch->workers);
    pack_uint(out, batch->model);
    pack_uint(out, batch->epoch);
    pack_uuid(out, &batch->fed_by);
    pack_uint(out, batch->stock != NULL ? batch->stock->appended_bytes : 0);
    pack_hashing(out, batch);
    pack_ranges(out, &batch->folded_settled);
    pack_ranges(out, &batch->folded_cancelled);
    pack_binary(out, tri_buffer_bytes(&batch->suspects));
    pack_ranges(out, &batch->served_by);
    tri_assert(!out->failed);
}

/* ---- CHUNK, ROW, TASK ----------------------------------------------------------------------- */

void stored_chunk(const struct batch *batch, const struct chunk *chunk, struct tri_buffer *out)
{
    pack_array(out, 5);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, chunk->count);
    pack_uint(out, chunk->hash);
    pack_uint(out, batch->stock->appended_bytes);
    pack_hashing(out, batch);
    tri_assert(!out->failed);
}

void stored_row(const struct batch *batch,
                const struct row *row,
                uint64_t flags,
                struct tri_buffer *out)
{
    pack_array(out, 7);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, row->what);
    pack_uint(out, flags);
    pack_uint(out, batch->wall_ns);
    pack_uint(out, batch->cpu_ns);
    pack_uint(out, batch->workers);
    pack_binary(out, (struct tri_bytes){ row->frame, row->frame_size });
    tri_assert(!out->failed);
}

void stored_task(const struct engine *engine,
                 const struct batch *batch,
                 const struct entry *entry,
                 const struct grade *grade,
                 uint64_t wait_ms,
                 bool has_history,
                 struct tri_buffer *out)
{
    const struct history *history = &entry->history;

    pack_array(out, 11);
    pack_uint(out, STORED_TASK_FORMAT);
    pack_uint(out, entry->outcome);
    pack_uint(out, entry->attempt);
    pack_uint(out, grade->failures);
    pack_uint(out, grade->crashes);
    pack_uint(out, grade->vanished);
    pack_uint(out, grade->cap);
    pack_uint(out, entry->dead);
    pack_uint(out, batch->generation);
    pack_uint(out, wait_ms != 0 ? engine_clock(engine, engine->now + wait_ms) : 0);
    pack_binary(out, (struct tri_bytes){ history->data, has_history ? history->size : 0 });
    tri_assert(!out->failed);
}
