#include "broker/net/gauge.h"

#include "common/assert.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_COUNT_MIN 1024

struct gauge {
    _Atomic uint64_t bytes;
    _Atomic uint64_t messages;
};

/* Memory of frame 0. */
struct load {
    struct gauge *_Atomic gauge;
    uint64_t bytes_total;
    uint8_t bytes[];
};

void gauges_init(struct gauges *self, const struct gauge_limits *limits, uint64_t seed)
{
    *self = (struct gauges){ .limits = *limits, .sweep_at = SWEEP_COUNT_MIN };
    tri_bytemap_init(&self->table, seed);
}

void gauges_deinit(struct gauges *self)
{
    union tri_bytemap_value value;
    struct tri_bytes key;

    for (size_t at = 0; tri_bytemap_next(&self->table, &at, &key, &value);) {
        struct gauge *gauge = value.pointer;

        tri_assert(atomic_load(&gauge->messages) == 0);
        free(gauge);
    }
    tri_bytemap_deinit(&self->table);
}

/* Forget the peers that have nothing on its way. Whoever reads 0 messages is the last to know the
 * gauge: release_load touches it no more after that. */
static void sweep(struct gauges *self)
{
    union tri_bytemap_value value;
    struct tri_bytes key;

    for (size_t at = 0; tri_bytemap_next(&self->table, &at, &key, &value);) {
        struct gauge *gauge = value.pointer;

        if (atomic_load_explicit(&gauge->messages, memory_order_acquire) > 0)
            continue;
        tri_bytemap_remove(&self->table, key);
        free(gauge);
    }
    self->sweep_at = self->table.count * 2;
    if (self->sweep_at < SWEEP_COUNT_MIN)
        self->sweep_at = SWEEP_COUNT_MIN;
}

static struct gauge *gauge_at(struct gauges *self, const struct peer_id *peer)
{
    struct tri_bytes key = { peer->bytes, peer->size };
    union tri_bytemap_value *value = tri_bytemap_find(&self->table, key);

    if (value != NULL)
        return value->pointer;
    if (self->table.count >= self->sweep_at)
        sweep(self);
    value = tri_bytemap_at(&self->table, key, NULL);
    tri_assert(value != NULL);
    value->pointer = tri_alloc(1, sizeof(struct gauge));
    return value->pointer;
}

/* Called by libzmq, in any thread. */
static void release_load(void *data, void *hint)
{
    struct load *load = hint;
    struct gauge *gauge = atomic_load_explicit(&load->gauge, memory_order_acquire);

    (void)data;
    atomic_fetch_sub_explicit(&gauge->bytes, load->bytes_total, memory_order_relaxed);
    atomic_fetch_sub_explicit(&gauge->messages, 1, memory_order_release);
    free(load);
}

enum tri_status gauges_frame(struct gauges *self,
                             const struct peer_id *peer,
                             struct tri_bytes bytes,
                             uint64_t bytes_total,
                             zmq_msg_t *frame)
{
    struct gauge *gauge = gauge_at(self, peer);
    uint64_t messages = atomic_load_explicit(&gauge->messages, memory_order_acquire);
    uint64_t waiting = atomic_load_explicit(&gauge->bytes, memory_order_relaxed);
    struct load *load;

    if (messages > 0
        && (messages >= self->limits.messages_max
            || waiting + bytes_total > self->limits.bytes_max))
        return TRI_FULL;
    load = tri_alloc(1, sizeof(*load) + bytes.size);
    load->bytes_total = bytes_total;
    memcpy(load->bytes, bytes.data, bytes.size);
    atomic_fetch_add_explicit(&gauge->bytes, bytes_total, memory_order_relaxed);
    atomic_fetch_add_explicit(&gauge->messages, 1, memory_order_relaxed);
    atomic_store_explicit(&load->gauge, gauge, memory_order_release);
    if (zmq_msg_init_data(frame, load->bytes, bytes.size, release_load, load) != 0)
        tri_assert(!"out of memory");
    return TRI_OK;
}

struct gauge_limits gauges_read(const struct gauges *self, const struct peer_id *peer)
{
    const union tri_bytemap_value *value =
        tri_bytemap_find(&self->table, (struct tri_bytes){ peer->bytes, peer->size });
    struct gauge *gauge = value == NULL ? NULL : value->pointer;

    if (gauge == NULL)
        return (struct gauge_limits){ 0 };
    return (struct gauge_limits){
        .messages_max = atomic_load(&gauge->messages),
        .bytes_max = atomic_load(&gauge->bytes),
    };
}
