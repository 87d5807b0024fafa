/* Feeding: which host gets which queued tasks. A host of many oars gets whatever there is and deals
 * it out itself. Hosts with one oar get what they do in feed_ms by the measured time of a task, so
 * that none sits on a queue behind a slow task; what they have too much of is taken back when
 * another one is idle. Suspects go one by one to hosts of their own, unless they are very many. */
#include "worker/session/parts.h"

#define FEED_MAX 65536u
#define NS_PER_MS UINT64_C(1000000)
#define ISOLATED_MAX 16u
#define GROUPS 8u                    /* hosts for very many suspects */
#define GROUP_MIN 8u                 /* smaller groups are not worth it: one by one */
#define STEAL_MIN_NS (2 * NS_PER_MS) /* less work than this is not worth taking back */
#define STEAL_WAIT_MS 20u /* after so long without a report it is, whatever was measured */

/* ---- hosts ---------------------------------------------------------------------------------- */

static bool may_start(struct session *self, struct batch *batch)
{
    if (batch->blocked_until <= self->now)
        return true;
    batches_wake_at(self, batch, batch->blocked_until);
    return false;
}

static struct lease *first_fed(const struct tri_dlist_head *waiting)
{
    tri_dlist_foreach(waiting, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, waiting);

        if (!lease->starved)
            return lease;
    }
    return NULL;
}

/* Give it, or find that the lease's items are not what the lease says. */
static void give(struct session *self,
                 struct lease *lease,
                 struct host *host,
                 struct tri_range range)
{
    struct tri_range rest = { 0, 0 };

    if (!slices_give(self, lease, host, range, &rest)) {
        effects_trace(self, "lease.broken lease=%lu", (unsigned long)lease->id);
        leases_drop(self, lease);
        hosts_touch(self, host);
        return;
    }
    if (rest.count != 0)
        leases_queue(self, lease, rest);
}

/* ---- many oars ------------------------------------------------------------------------------ */

static void feed_shared(struct session *self, struct batch *batch)
{
    struct lease *lease;
    struct tri_range range;

    while ((lease = first_fed(&batch->waiting)) != NULL) {
        if (batch->shared == NULL) {
            if (!may_start(self, batch))
                return;
            batch->shared = hosts_start(self, batch, HOST_SHARED);
        }
        if (leases_take(lease, UINT64_MAX, &range))
            give(self, lease, batch->shared, range);
    }
}

/* ---- one oar -------------------------------------------------------------------------------- */

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

/* Tasks that take `ns`, at least one. */
static uint64_t tasks_in(const struct batch *batch, uint64_t ns)
{
    uint64_t task_ns = batches_task_ns(batch);

    if (task_ns == 0)
        return 1;
    return ns < task_ns ? 1 : at_most(ns / task_ns, FEED_MAX);
}

/* As much as feed_ms takes; but never more than twice what was tried before, and near the end of
 * the queue less, as long as it is worth a message. */
static uint64_t feed_size(const struct session *self, struct batch *batch)
{
    uint64_t size = tasks_in(batch, self->options.feed_ms * NS_PER_MS);
    uint64_t share = batch->queued / (2 * batch->choice.width) + 1;
    uint64_t least = tasks_in(batch, NS_PER_MS);

    size = at_most(size, 2 * batch->feed_count);
    if (size > share)
        size = share > least ? share : at_most(size, least);
    if (size > batch->feed_count)
        batch->feed_count = size;
    return size;
}

uint64_t feeding_low(const struct session *self, const struct batch *batch)
{
    uint64_t size = tasks_in(batch, self->options.feed_ms * NS_PER_MS);

    size = at_most(size, batch->feed_count);
    return size >= 8 ? size / 2 : 0;
}

static struct host *pop_hungry(struct tri_dlist_head *list)
{
    struct tri_dlist_node *node = tri_dlist_pop_front(list);

    return node != NULL ? tri_container_of(node, struct host, hungry) : NULL;
}

/* The next host to be fed: an idle one, a new one, or one that is nearly done. */
static struct host *next_host(struct session *self, struct batch *batch)
{
    struct tri_dlist_node *node = tri_dlist_first(&batch->hungry);
    const struct host *first = node != NULL ? tri_container_of(node, struct host, hungry) : NULL;

    if (first != NULL && first->outstanding == 0)
        return pop_hungry(&batch->hungry);
    if (batch->ones < batch->choice.width && may_start(self, batch))
        return hosts_start(self, batch, HOST_ONE);
    return pop_hungry(&batch->hungry);
}

static void feed_ones(struct session *self, struct batch *batch)
{
    struct lease *lease;
    struct tri_range range;

    while ((lease = first_fed(&batch->waiting)) != NULL) {
        struct host *host = next_host(self, batch);
        uint64_t limit;

        if (host == NULL)
            return;
        limit = feed_size(self, batch);
        if (self->options.recycle_count != 0) {
            uint64_t done = host->reported + host->outstanding;

            tri_assert(done < self->options.recycle_count);
            limit = at_most(limit, self->options.recycle_count - done);
        }
        if (leases_take(lease, limit, &range))
            give(self, lease, host, range);
    }
}

/* ---- taking back ---------------------------------------------------------------------------- */

/* When is it worth asking `host` for half of what it has? TRI_NEVER: not before it reports. */
static tri_time steal_time(const struct session *self, const struct host *host)
{
    uint64_t task_ns = batches_task_ns(host->batch);

    if (host->kind != HOST_ONE || host->state != HOST_SERVING || host->outstanding < 2
        || host->revoking != 0 || host->barren)
        return TRI_NEVER;
    if (task_ns != 0 && host->outstanding >= STEAL_MIN_NS / task_ns + 1)
        return self->now;
    return host->fed_at + STEAL_WAIT_MS;
}

static void ask_half(struct session *self, struct host *host)
{
    struct slice *slice = tri_container_of(tri_dlist_last(&host->slices), struct slice, of_host);
    uint64_t keep = slice->outstanding.count / 2;
    struct tri_range range = { 0, 0 };

    /* The slice it has begun keeps its first half; one behind it is asked back as a whole. */
    if (host->slices.count > 1)
        keep = 0;
    for (uint64_t at = 0; tri_rangeset_next(&slice->outstanding, at, &range);
         at = range.first + range.count) {
        if (keep < range.count)
            break;
        keep -= range.count;
    }
    range.first += keep;
    range.count = slice->range.first + slice->range.count - range.first;
    revokes_ask(self, slice, range);
}

static void steal(struct session *self, struct batch *batch)
{
    struct tri_dlist_node *node = tri_dlist_first(&batch->hungry);
    struct host *richest = NULL;
    tri_time at = TRI_NEVER;

    if (batch->waiting.count != 0 || node == NULL
        || tri_container_of(node, struct host, hungry)->outstanding != 0)
        return;
    tri_dlist_foreach(&batch->hosts, of_batch)
    {
        struct host *host = tri_container_of(of_batch, struct host, of_batch);
        tri_time steal_at = steal_time(self, host);

        if (steal_at < at)
            at = steal_at;
        if (steal_at <= self->now && (richest == NULL || host->outstanding > richest->outstanding))
            richest = host;
    }
    if (richest != NULL)
        ask_half(self, richest);
    else if (at != TRI_NEVER)
        batches_wake_at(self, batch, at);
}

/* ---- suspects ------------------------------------------------------------------------------- */

/* Are suspects run in groups at the moment? Those of the broker never are. */
static bool is_grouped(const struct batch *batch)
{
    return batch->group_size >= GROUP_MIN && !batch_has_a_host_per_oar(batch);
}

/* The first lease with suspects to be run in company, or alone. */
static struct lease *first_suspected(const struct batch *batch, bool in_company)
{
    tri_dlist_foreach(&batch->suspected, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, suspected);

        if (!lease->starved && (is_grouped(batch) && !lease->isolated) == in_company)
            return lease;
    }
    return NULL;
}

/* A loop that is killed may leave ten thousand suspects, nearly all of them innocent: an eighth of
 * them at a time in a host of many oars. The eighth that kills its host is divided further. */
void feeding_divide(struct batch *batch, enum host_kind kind, uint64_t suspects)
{
    uint64_t size = (suspects + GROUPS - 1) / GROUPS;

    if (kind == HOST_SHARED || size < batch->group_size)
        batch->group_size = size;
}

static bool feed_group(struct session *self, struct batch *batch)
{
    struct lease *lease = first_suspected(batch, true);
    uint64_t left = batch->group_size;
    struct host *host;
    struct tri_range range;

    if (lease == NULL || batch->groups >= GROUPS || !may_start(self, batch))
        return false;
    host = hosts_start(self, batch, HOST_GROUP);
    for (; left != 0 && lease != NULL; lease = first_suspected(batch, true)) {
        leases_take_suspects(lease, left, &range);
        left -= range.count;
        give(self, lease, host, range);
    }
    return true;
}

/* Suspects are mostly innocent, and many when they wait much: more hosts than cores then. */
static uint64_t isolated_max(const struct session *self, const struct batch *batch)
{
    uint64_t cores = self->options.machine.cores != 0 ? self->options.machine.cores : 1;
    uint64_t many = at_most(batch->suspect_count / 4, ISOLATED_MAX);

    return cores > many ? cores : many;
}

static bool feed_isolated(struct session *self, struct batch *batch)
{
    struct lease *lease = first_suspected(batch, false);
    struct host *host;
    struct tri_range range;

    if (lease == NULL)
        return false;
    if (batch->hungry_isolated.count == 0) {
        if (batch->isolated >= isolated_max(self, batch) || !may_start(self, batch))
            return false;
        host = hosts_start(self, batch, HOST_ISOLATED);
    } else {
        host = pop_hungry(&batch->hungry_isolated);
    }
    leases_take_suspects(lease, 1, &range);
    give(self, lease, host, range);
    return true;
}

/* Nothing new is begun: what waits goes back. */
static void give_back_waiting(struct session *self, struct batch *batch)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&batch->waiting)) != NULL)
        leases_release_waiting(self, tri_container_of(node, struct lease, waiting));
    while ((node = tri_dlist_first(&batch->suspected)) != NULL)
        leases_release_waiting(self, tri_container_of(node, struct lease, suspected));
}

void feeding_run(struct session *self, struct batch *batch)
{
    if (batch->choice.status != TRI_OK || self->draining) {
        give_back_waiting(self, batch);
        return;
    }
    if (batch_has_a_host_per_oar(batch))
        feed_ones(self, batch);
    else
        feed_shared(self, batch);
    while (feed_group(self, batch) || feed_isolated(self, batch))
        ;
    if (batch_has_a_host_per_oar(batch))
        steal(self, batch);
}
