/* fair.c - who comes next.
 *
 * Every principal and every batch has a virtual time: the oar-time charged to it. The least is
 * served first, so those with equal claims get equal shares whatever the size of their leases
 * (start-time fair queueing; the clock is the virtual time of whoever was served last). */
#include "broker/engine/state.h"

#include "common/assert.h"

#include <stdlib.h>

/* Where fair_search looks: the front of the heaps, which is nearly in order. */
#define FLOWS_SEARCHED 16
#define BATCHES_SEARCHED 16

/* ---- flows ---------------------------------------------------------------------------------- */

struct flow_key {
    uint64_t principal;
    uint64_t priority;
};

struct flow *fair_flow(struct class *class, struct principal *principal, uint64_t priority)
{
    struct flow_key key = { principal->id, priority };
    union tri_bytemap_value *value =
        tri_bytemap_at(&class->flows, (struct tri_bytes){ (uint8_t *)&key, sizeof(key) }, NULL);
    struct flow *flow = value->pointer;

    if (flow != NULL)
        return flow;
    flow = tri_alloc(1, sizeof(*flow));
    flow->class = class;
    flow->principal = principal;
    flow->priority = priority;
    tri_heap_init(&flow->batches);
    value->pointer = flow;
    return flow;
}

static void free_flow(struct flow *flow)
{
    tri_heap_deinit(&flow->batches);
    free(flow);
}

void fair_leave_flow(struct batch *batch)
{
    struct flow *flow = batch->flow;
    struct flow_key key = { flow->principal->id, flow->priority };

    batch->flow = NULL;
    if (--flow->batch_count != 0)
        return;
    tri_bytemap_remove(&flow->class->flows, (struct tri_bytes){ (uint8_t *)&key, sizeof(key) });
    free_flow(flow);
}

void fair_free_flows(struct class *class)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&class->flows, &at, &key, &value);)
        free_flow(value.pointer);
    tri_bytemap_deinit(&class->flows);
}

/* ---- ranks ---------------------------------------------------------------------------------- */

static struct rank *rank_of(struct class *class, uint64_t priority)
{
    struct tri_dlist_node *before = &class->ranks.ring;
    struct rank *rank;

    tri_dlist_foreach(&class->ranks, node)
    {
        rank = tri_container_of(node, struct rank, node);
        if (rank->priority == priority)
            return rank;
        if (rank->priority < priority) {
            before = node;
            break;
        }
    }
    rank = tri_alloc(1, sizeof(*rank));
    rank->priority = priority;
    tri_heap_init(&rank->flows);
    tri_dlist_insert_before(&class->ranks, before, &rank->node);
    return rank;
}

static void leave_rank(struct flow *flow)
{
    struct rank *rank = flow->rank;

    tri_heap_remove(&rank->flows, &flow->node);
    tri_dlist_remove(&flow->principal->flows, &flow->of_principal);
    flow->rank = NULL;
    if (rank->flows.count != 0)
        return;
    tri_dlist_remove(&flow->class->ranks, &rank->node);
    tri_heap_deinit(&rank->flows);
    free(rank);
}

/* ---- ready batches -------------------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void link_flow(struct flow *flow)
{
    if (flow->rank != NULL)
        return;
    flow->rank = rank_of(flow->class, flow->priority);
    tri_dlist_push_back(&flow->principal->flows, &flow->of_principal);
    tri_heap_insert(&flow->rank->flows, &flow->node, flow->principal->virtual_us);
}

void fair_link(struct engine *engine, struct batch *batch)
{
    struct flow *flow = batch->flow;
    struct principal *principal = flow->principal;

    if (tri_heap_is_linked(&batch->ready))
        return;
    batch->virtual_us = later(batch->virtual_us, flow->clock);
    if (tri_dlist_is_empty(&principal->flows))
        principal->virtual_us = later(principal->virtual_us, engine->fair_clock);
    tri_heap_insert(&flow->batches, &batch->ready, batch->virtual_us);
    link_flow(flow);
}

void fair_unlink(struct batch *batch)
{
    struct flow *flow = batch->flow;

    if (!tri_heap_is_linked(&batch->ready))
        return;
    tri_heap_remove(&flow->batches, &batch->ready);
    if (flow->batches.count == 0)
        leave_rank(flow);
}

/* Virtual time never wraps and never goes below zero. */
static uint64_t shifted(uint64_t time, int64_t by)
{
    if (by < 0)
        return time > (uint64_t)-by ? time - (uint64_t)-by : 0;
    return time > UINT64_MAX - (uint64_t)by ? UINT64_MAX : time + (uint64_t)by;
}

void fair_charge(struct batch *batch, int64_t oar_us)
{
    struct principal *principal = batch->principal;

    if (oar_us == 0)
        return;
    batch->virtual_us = shifted(batch->virtual_us, oar_us);
    principal->virtual_us = shifted(principal->virtual_us, oar_us);
    if (tri_heap_is_linked(&batch->ready))
        tri_heap_update(&batch->flow->batches, &batch->ready, batch->virtual_us);
    tri_dlist_foreach(&principal->flows, node)
    {
        struct flow *flow = tri_container_of(node, struct flow, of_principal);

        tri_heap_update(&flow->rank->flows, &flow->node, principal->virtual_us);
    }
}

/* ---- whose turn it is ----------------------------------------------------------------------- */

static struct flow *head_flow(const struct class *class)
{
    struct tri_dlist_node *first = tri_dlist_first(&class->ranks);
    const struct rank *rank;

    if (first == NULL)
        return NULL;
    rank = tri_container_of(first, struct rank, node);
    return tri_container_of(tri_heap_peek(&rank->flows), struct flow, node);
}

static struct batch *head_batch(const struct flow *flow)
{
    return tri_container_of(tri_heap_peek(&flow->batches), struct batch, ready);
}

static bool comes_before(const struct flow *a, const struct flow *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->principal != b->principal)
        return a->principal->virtual_us < b->principal->virtual_us;
    return head_batch(a)->virtual_us < head_batch(b)->virtual_us;
}

struct batch *fair_pick(const struct worker *worker)
{
    const struct flow *best = NULL;

    tri_dlist_foreach(&worker->links, node)
    {
        const struct link *link = tri_container_of(node, struct link, of_worker);
        const struct flow *flow = head_flow(link->class);

        if (flow != NULL && (best == NULL || comes_before(flow, best)))
            best = flow;
    }
    return best != NULL ? head_batch(best) : NULL;
}

/* The first flows of each class, by turn. */
static size_t gather(const struct worker *worker, const struct flow *flows[FLOWS_SEARCHED])
{
    size_t count = 0;

    tri_dlist_foreach(&worker->links, node)
    {
        const struct class *class = tri_container_of(node, struct link, of_worker)->class;

        tri_dlist_foreach(&class->ranks, rank_node)
        {
            const struct rank *rank = tri_container_of(rank_node, struct rank, node);

            for (size_t i = 0; i < rank->flows.count && i < 4 && count < FLOWS_SEARCHED; i++) {
                const struct flow *flow =
                    tri_container_of(tri_heap_at(&rank->flows, i), struct flow, node);
                size_t at = count++;

                for (; at > 0 && comes_before(flow, flows[at - 1]); at--)
                    flows[at] = flows[at - 1];
                flows[at] = flow;
            }
        }
    }
    return count;
}

bool fair_search(struct engine *engine, struct worker *worker, size_t max, fair_fn *serves)
{
    const struct flow *flows[FLOWS_SEARCHED];
    size_t count = gather(worker, flows);
    size_t tried = 0;

    for (size_t i = 0; i < count; i++) {
        const struct tri_heap *batches = &flows[i]->batches;

        for (size_t k = i == 0; k < batches->count && k < BATCHES_SEARCHED; k++) {
            if (tried++ == max)
                return false;
            if (serves(engine, worker,
                       tri_container_of(tri_heap_at(batches, k), struct batch, ready)))
                return true;
        }
    }
    return false;
}

void fair_serve(struct engine *engine, struct batch *batch)
{
    engine->fair_clock = later(engine->fair_clock, batch->principal->virtual_us);
    batch->flow->clock = later(batch->flow->clock, batch->virtual_us);
}
