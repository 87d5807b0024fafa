#include "broker/engine/stored.h"

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

static void pack_binary(struct tri_buffer *out, const void *data, size_t size)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_bin(&packer, size);
    tri_buffer_append(out, data, size);
}

static void pack_text(struct tri_buffer *out, const char *text)
{
    msgpack_packer packer;
    size_t size = strlen(text);

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_str(&packer, size);
    tri_buffer_append(out, text, size);
}

void stored_meta(const struct engine *engine, struct tri_buffer *out)
{
    pack_array(out, 3);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, engine->options.epoch);
    pack_uint(out, engine->next_number);
}

void stored_put_meta(struct engine *engine)
{
    tri_buffer_clear(&engine->scratch);
    stored_meta(engine, &engine->scratch);
    out_put(&engine->out, (struct store_key){ STORE_META, 0, 0 },
            tri_buffer_bytes(&engine->scratch));
}

static void pack_ranges(struct tri_buffer *out, const struct tri_rangeset *set)
{
    struct tri_buffer pairs = { 0 };

    row_ranges(set, 0, STORED_RANGES_MAX, &pairs);
    pack_binary(out, pairs.data, pairs.size);
    tri_buffer_deinit(&pairs);
}

static void pack_hash(struct tri_buffer *out, const struct batch *batch)
{
    struct tri_bytes hash = { 0 };

    if (batch->stock != NULL)
        hash = stock_hash(batch->stock);
    pack_binary(out, hash.data, hash.size);
}

void stored_batch(const struct engine *engine, const struct batch *batch, struct tri_buffer *out)
{
    bool ended = batch_has_ended(batch);

    pack_array(out, 21);
    pack_uint(out, STORED_FORMAT);
    pack_binary(out, batch->uuid.bytes, sizeof(batch->uuid.bytes));
    pack_text(out, batch->name);
    pack_text(out, batch->principal->name);
    pack_binary(out, batch->spec, batch->spec_size);
    pack_uint(out, batch->state);
    pack_uint(out, batch->sealed);
    pack_uint(out, batch->halting);
    pack_uint(out, batch->cancelling);
    pack_uint(out, batch->generation);
    pack_uint(out, batch->count);
    pack_hash(out, batch);
    pack_text(out, batch->reason != NULL ? batch->reason : "");
    pack_uint(out, engine->now - batch->submitted_at);
    pack_uint(out, ended ? engine->now - batch->ended_at : 0);
    pack_uint(out, batch->row_next);
    pack_uint(out, batch->wall_ns);
    pack_uint(out, batch->cpu_ns);
    pack_uint(out, batch->workers);
    pack_ranges(out, &batch->settled);
    pack_ranges(out, &batch->cancelled);
    tri_assert(!out->failed);
}

void stored_task(const struct entry *entry,
                 const struct grade *grade,
                 uint64_t wait_ms,
                 struct tri_buffer *out)
{
    pack_array(out, 14);
    pack_uint(out, STORED_FORMAT);
    pack_uint(out, entry->outcome);
    pack_uint(out, entry->attempts);
    pack_uint(out, grade->failures);
    pack_uint(out, grade->crashes);
    pack_uint(out, grade->vanished);
    pack_uint(out, grade->cap);
    pack_uint(out, entry->dead);
    pack_uint(out, wait_ms);
    pack_text(out, entry->error != NULL ? entry->error : "");
    pack_text(out, entry->worker);
    pack_uint(out, entry->wall_us);
    pack_uint(out, entry->cpu_us);
    pack_uint(out, entry->model);
    tri_assert(!out->failed);
}
