/* Arguments as they are added: checked, gathered in a builder, and closed into chunks. This is the
 * path of every single argument, so what is usual is inline and what is not stands apart. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"
#include "common/value.h"

static enum tri_status refuse_more(const struct tri_append *self, struct tri_error *error)
{
    if (self->failure.status != TRI_OK)
        return tri_fail(error, self->failure.status, "%s", self->failure.text);
    return tri_fail(error, TRI_CLOSED, "the batch is sealed: it takes no more arguments");
}

/* The chunk at hand is full, or the value is large, or there is no credit. Makes room in the
 * builder for `size` bytes, or says why not. */
static enum tri_status make_room(struct tri_follow *follow, size_t size, struct tri_error *error)
{
    struct tri_append *self = &follow->append;
    size_t need = size + TRI_CHUNK_OFFSET_BYTES;

    if (!self->open || self->failure.status != TRI_OK)
        return refuse_more(self, error);
    if (size > follow->session->item_bytes_max)
        return tri_fail(error, TRI_TOO_LARGE,
                        "an argument of %zu bytes: the broker takes at most %llu", size,
                        (unsigned long long)follow->session->item_bytes_max);
    if (tri_append_close_chunk(self) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    tri_append_limits(self);
    if (self->builder_limit < need
        && (self->flight_bytes >= TRI_FLIGHT_BYTES_MAX
            || self->made_bytes + TRI_CHUNK_HEAD_BYTES + need > self->credit)) {
        self->refused_bytes = need;
        return tri_fail(error, TRI_BUSY,
                        "no room for more arguments now: take results, or wait for room");
    }
    self->refused_bytes = 0;
    return TRI_OK;
}

static inline bool fits(const struct tri_append *self, size_t size)
{
    return self->builder.count < self->task_limit
           && tri_append_builder_bytes(self) + size + TRI_CHUNK_OFFSET_BYTES <= self->builder_limit
           && self->open;
}

/* Memory ran out while a value was written: the builder is as it was before. */
static enum tri_status take_back(struct tri_append *self,
                                 size_t blob_before,
                                 size_t offsets_before,
                                 struct tri_error *error)
{
    struct tri_chunk_builder *builder = &self->builder;

    builder->count = (uint32_t)(offsets_before / TRI_CHUNK_OFFSET_BYTES);
    builder->blob.failed = builder->offsets.failed = false;
    builder->blob.size = blob_before;
    builder->offsets.size = offsets_before;
    return tri_fail(error, TRI_MEMORY, "out of memory");
}

/* A value stands at the end of the blob, unless memory ran out: count it. */
static inline enum tri_status close_value(struct tri_append *self,
                                          size_t blob_before,
                                          struct tri_error *error)
{
    struct tri_chunk_builder *builder = &self->builder;
    size_t offsets_before = builder->offsets.size;

    tri_chunk_builder_close_value(builder);
    if (__builtin_expect(builder->blob.failed || builder->offsets.failed, 0))
        return take_back(self, blob_before, offsets_before, error);
    return TRI_OK;
}

/* The size of a scalar as its first bytes tell it, or 0 for what the guard has to walk. */
static inline size_t scalar_size(struct tri_bytes packed)
{
    static const uint8_t fixed[32] = {
        [0x00] = 1, [0x02] = 1, [0x03] = 1,             /* nil, false, true */
        [0x0a] = 5, [0x0b] = 9,                         /* floats */
        [0x0c] = 2, [0x0d] = 3, [0x0e] = 5,             /* unsigned; 64 bits may be too many */
        [0x10] = 2, [0x11] = 3, [0x12] = 5, [0x13] = 9, /* signed */
    };
    uint8_t head = packed.size != 0 ? packed.data[0] : 0x90;

    if (head < 0x80 || head >= 0xe0)
        return 1;
    if (head >= 0xa0 && head < 0xc0)
        return 1u + (head & 31u);
    if ((head == 0xc4 || head == 0xd9) && packed.size >= 2)
        return 2u + packed.data[1];
    return head >= 0xc0 ? fixed[head & 31u] : 0;
}

/* One whole msgpack value and nothing else. */
static inline enum tri_status check_packed(struct tri_bytes packed, struct tri_error *error)
{
    enum tri_status status;
    size_t size;

    if (__builtin_expect(scalar_size(packed) == packed.size && packed.size != 0, 1))
        return TRI_OK;
    status = tri_msgpack_guard(packed, &size, error);
    if (status == TRI_OK && size != packed.size)
        status =
            tri_fail(error, TRI_INVALID, "an argument is one msgpack value: %zu bytes follow it",
                     packed.size - size);
    return status;
}

enum tri_status tri_follow_add_packed(struct tri_follow *self,
                                      struct tri_bytes packed,
                                      struct tri_error *error)
{
    struct tri_append *append = &self->append;
    enum tri_status status = check_packed(packed, error);
    size_t before;

    if (status != TRI_OK)
        return status;
    if (__builtin_expect(!fits(append, packed.size), 0)) {
        status = make_room(self, packed.size, error);
        if (status != TRI_OK)
            return status;
    }
    before = append->builder.blob.size;
    tri_buffer_append(&append->builder.blob, packed.data, packed.size);
    return close_value(append, before, error);
}

/* The bytes that packing takes at most. */
static size_t packed_bytes_max(const struct tri_value *value)
{
    if (value->type == TRI_STRING || value->type == TRI_BINARY)
        return value->bytes.size + 5;
    return 9;
}

enum tri_status tri_follow_add(struct tri_follow *self,
                               const struct tri_value *argument,
                               struct tri_error *error)
{
    struct tri_append *append = &self->append;
    enum tri_status status;
    size_t before;
    size_t size;

    if (argument->type == TRI_COMPOUND)
        return tri_follow_add_packed(self, argument->bytes, error);
    if (argument->type == TRI_ANY)
        return tri_fail(error, TRI_INVALID, "an argument needs a type");
    size = packed_bytes_max(argument);
    if (__builtin_expect(!fits(append, size), 0)) {
        status = make_room(self, size, error);
        if (status != TRI_OK)
            return status;
    }
    before = append->builder.blob.size;
    tri_value_pack(&append->builder.blob, argument);
    return close_value(append, before, error);
}

enum tri_status tri_follow_flush(struct tri_follow *self, struct tri_error *error)
{
    if (self->append.failure.status != TRI_OK)
        return refuse_more(&self->append, error);
    if (tri_append_close_chunk(&self->append) != TRI_OK)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    return TRI_OK;
}

bool tri_follow_has_chunk(const struct tri_follow *self)
{
    return self->append.unsent != 0 && self->state == FOLLOW_FOLLOWED;
}

bool tri_follow_has_room(const struct tri_follow *self)
{
    const struct tri_append *append = &self->append;

    if (!append->open || append->failure.status != TRI_OK)
        return true; /* to be told so */
    return append->flight_bytes < TRI_FLIGHT_BYTES_MAX
           && append->made_bytes + TRI_CHUNK_HEAD_BYTES + tri_append_builder_bytes(append)
                      + append->refused_bytes
                  <= append->credit;
}

enum tri_status tri_follow_seal(struct tri_follow *self, struct tri_error *error)
{
    enum tri_status status = tri_follow_flush(self, error);

    if (status != TRI_OK)
        return status;
    self->append.open = false;
    self->append.seal_wanted = true;
    return TRI_OK;
}

enum tri_status tri_follow_durable(const struct tri_follow *self, struct tri_error *error)
{
    const struct tri_append *append = &self->append;

    if (append->durable == append->chunked && append->builder.count == 0
        && (append->sealed || !append->seal_wanted))
        return TRI_OK;
    if (append->failure.status != TRI_OK)
        return refuse_more(append, error);
    return TRI_EMPTY;
}
