/* Promises: what the broker has acknowledged holds, whatever happens to it. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "common/proto/chunk.h"

#include <stdlib.h>

/* Something that will be a promise when it is acknowledged. */
struct promise {
    struct tri_dlist_node node;
    enum tri_message_type type;
    struct watch *watch;
    struct peer_id peer; /* of a request */
    bool is_report;
    uint8_t instance[16]; /* of a report */
    uint64_t number;      /* of the request, or of the report */
    uint64_t generation;  /* of a RETRY: the one that it ends */
    uint64_t *tasks;
    size_t task_count;
};

static void promise_free(struct checker *self, struct promise *promise)
{
    tri_dlist_remove(&self->promises, &promise->node);
    free(promise->tasks);
    free(promise);
}

static void forget_all(struct checker *self)
{
    while (!tri_dlist_is_empty(&self->promises))
        promise_free(self,
                     tri_container_of(tri_dlist_first(&self->promises), struct promise, node));
}

static struct promise *promise_new(struct checker *self,
                                   enum tri_message_type type,
                                   struct watch *watch,
                                   uint64_t number)
{
    struct promise *promise = tri_alloc(1, sizeof(*promise));

    promise->type = type;
    promise->watch = watch;
    promise->number = number;
    tri_dlist_push_back(&self->promises, &promise->node);
    return promise;
}

/* ---- reports -------------------------------------------------------------------------------- */

bool promise_is_sure(const struct sim *sim,
                     const struct loan *loan,
                     const struct watch *watch,
                     uint64_t index)
{
    const struct task *task = &watch->tasks[index];

    if (watch->stopped || watch->retries != 0 || row_may_halt(sim, watch->plan))
        return false;
    if (loan->life != sim->checker->life && index >= watch->kept)
        return false;
    /* To the broker that lease is of another batch, which it has lost, with the same number. */
    if (loan->life < watch->born)
        return false;
    return task->standing == STANDING_OPEN && !task->asked && !task->spoiled && task->charged == 0
           && task->blamed == 0 && task->vanished == 0 && task->alone_with == 0;
}

static void await_report(struct sim *sim,
                         const struct peer_id *peer,
                         const struct tri_message *message,
                         struct tri_ranges ranges)
{
    struct checker *self = sim->checker;
    const struct tri_msg_results *report = &message->results; /* PARTIAL begins in the same way */
    const struct loan *loan = tri_map_find(&self->lent, report->lease);
    const struct mate *mate = vanish_mate(sim, peer);
    struct watch *watch = watch_find(sim, report->number);
    struct promise *promise;
    bool is_whole = true;

    if (loan == NULL || mate == NULL || watch == NULL || loan->watch != watch
        || loan->generation != report->generation)
        return;
    promise = promise_new(self, message->type, watch, report->seq);
    promise->is_report = true;
    memcpy(promise->instance, mate->instance, sizeof(promise->instance));
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        promise->tasks =
            tri_realloc(promise->tasks, promise->task_count + range.count, sizeof(*promise->tasks));
        for (uint64_t j = range.first; j < range.first + range.count; j++) {
            is_whole = is_whole && !watch_task(sim, watch, j)->reported;
            if (promise_is_sure(sim, loan, watch, j))
                promise->tasks[promise->task_count++] = j;
            else
                is_whole = false;
        }
    }
    if (message->type == TRI_MESSAGE_PARTIAL && !is_whole)
        promise->task_count = 0; /* it is taken whole or not at all */
}

static void acknowledge_reports(struct sim *sim, const struct peer_id *peer, uint64_t seq)
{
    const struct mate *mate = vanish_mate(sim, peer);

    tri_dlist_foreach(&sim->checker->promises, node)
    {
        struct promise *promise = tri_container_of(node, struct promise, node);

        if (mate == NULL || !promise->is_report || promise->number > seq
            || memcmp(promise->instance, mate->instance, sizeof(mate->instance)) != 0)
            continue;
        for (size_t i = 0; i < promise->task_count; i++)
            promise->watch->tasks[promise->tasks[i]].secured = true;
        promise_free(sim->checker, promise);
    }
}

void promise_lends(struct sim *sim, struct watch *watch, const struct tri_msg_lease *lease)
{
    struct loan *loan = tri_alloc(1, sizeof(*loan));

    *loan = (struct loan){ .watch = watch,
                           .generation = lease->generation,
                           .life = sim->checker->life,
                           .first = lease->first,
                           .count = lease->count };
    if (tri_map_put(&sim->checker->lent, lease->lease, loan) != NULL)
        sim_fail(sim, "there has been another lease %llu", (unsigned long long)lease->lease);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void await_request(struct sim *sim,
                          const struct peer_id *peer,
                          enum tri_message_type type,
                          uint64_t request,
                          uint64_t number)
{
    struct watch *watch = watch_find(sim, number);

    if (watch == NULL)
        return;
    promise_new(sim->checker, type, watch, request)->peer = *peer;
}

/* All that is dead now, as far as anybody knows the generation. */
static void await_retry(struct sim *sim,
                        const struct peer_id *peer,
                        const struct tri_msg_retry *retry)
{
    struct watch *watch = watch_find(sim, retry->number);
    const struct tri_range all = { 0, watch != NULL ? watch->plan->count : 0 };
    struct tri_ranges ranges = retry->tasks.count != 0 ? retry->tasks : tri_ranges_of(&all, 1);
    struct promise *promise;

    if (watch == NULL)
        return;
    promise = promise_new(sim->checker, TRI_MESSAGE_RETRY, watch, retry->request);
    promise->peer = *peer;
    promise->generation = watch->generation;
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        promise->tasks =
            tri_realloc(promise->tasks, promise->task_count + range.count, sizeof(*promise->tasks));
        for (uint64_t j = range.first; j - range.first < range.count && j < all.count; j++)
            promise->tasks[promise->task_count++] = j;
    }
}

/* `count`: of DONE. */
static void keep(struct sim *sim, struct promise *promise, uint64_t count)
{
    struct watch *watch = promise->watch;

    for (size_t i = 0; promise->type == TRI_MESSAGE_RETRY && count != 0 && i < promise->task_count;
         i++)
        retry_ends(sim, &watch->tasks[promise->tasks[i]], promise->generation, true);
    if (promise->type == TRI_MESSAGE_SEAL)
        watch->sealed = true;
    else if (promise->type == TRI_MESSAGE_FORGET)
        watch->forgotten = true;
    else if (promise->type == TRI_MESSAGE_CANCEL)
        for (uint64_t i = 0; i < watch->plan->count; i++)
            watch->tasks[i].for_good = watch->tasks[i].for_good || watch->tasks[i].forbidden;
}

static void acknowledge_request(struct sim *sim,
                                const struct peer_id *peer,
                                const struct tri_msg_done *done)
{
    tri_dlist_foreach(&sim->checker->promises, node)
    {
        struct promise *promise = tri_container_of(node, struct promise, node);

        if (promise->is_report || promise->number != done->request
            || promise->peer.size != peer->size
            || memcmp(promise->peer.bytes, peer->bytes, peer->size) != 0)
            continue;
        keep(sim, promise, done->count);
        promise_free(sim->checker, promise);
    }
}

static void check_attached(struct sim *sim, const struct tri_msg_attached *attached)
{
    const struct watch *watch = watch_find(sim, attached->number);
    bool is_open = attached->state == TRI_BATCH_OPEN;

    if (watch == NULL)
        return;
    if (watch->forgotten)
        sim_fail(sim, "%s is there again, and was forgotten", watch->plan->name);
    if (watch->sealed && is_open)
        sim_fail(sim, "%s is open again, and was sealed", watch->plan->name);
    if (watch->ended && watch->retries == 0 && (is_open || attached->state == TRI_BATCH_RUNNING))
        sim_fail(sim, "%s is under way again, and had ended", watch->plan->name);
}

/* ---- messages ------------------------------------------------------------------------------- */

void promise_gets(struct sim *sim,
                  const struct peer_id *peer,
                  const struct tri_message *message,
                  struct tri_ranges runs)
{
    if (message->type == TRI_MESSAGE_RESULTS || message->type == TRI_MESSAGE_PARTIAL)
        await_report(sim, peer, message, runs);
    else if (message->type == TRI_MESSAGE_SEAL)
        await_request(sim, peer, message->type, message->seal.request, message->seal.number);
    else if (message->type == TRI_MESSAGE_CANCEL)
        await_request(sim, peer, message->type, message->cancel.request, message->cancel.number);
    else if (message->type == TRI_MESSAGE_RETRY)
        await_retry(sim, peer, &message->retry);
    else if (message->type == TRI_MESSAGE_FORGET)
        await_request(sim, peer, message->type, message->forget.request, message->forget.number);
}

void promise_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    if (message->type == TRI_MESSAGE_RESULTS_OK)
        acknowledge_reports(sim, peer, message->results_ok.seq);
    else if (message->type == TRI_MESSAGE_DONE)
        acknowledge_request(sim, peer, &message->done);
    else if (message->type == TRI_MESSAGE_ATTACHED)
        check_attached(sim, &message->attached);
}

/* ---- the broker dies ------------------------------------------------------------------------ */

/* The number of a batch that was not acknowledged may be given to another. */
static void forget_numbers(struct checker *self)
{
    for (size_t i = 0; i < PLAN_BATCHES_MAX; i++) {
        struct watch *watch = &self->watches[i];

        if (watch->plan == NULL || watch->number != 0)
            continue;
        if (watch->seen != 0 && tri_map_find(&self->numbers, watch->seen) == watch)
            tri_map_remove(&self->numbers, watch->seen);
        watch->seen = 0;
    }
}

void checker_broker_dies(struct sim *sim)
{
    struct checker *self = sim->checker;

    reclaim_dies(sim);
    self->life++;
    forget_all(self);
    forget_numbers(self);
    hold_forget(sim);
    window_forget(self);
    for (size_t i = 0; i < sim->plan->batch_count; i++) {
        struct watch *watch = &self->watches[i];

        watch->kept = watch->number != 0 ? watch->told : 0;
        watch->reserve = (struct reserve){ 0 };
        retry_forget(watch);
        for (uint64_t j = 0; j < watch->plan->count; j++)
            watch->tasks[j].forbidden = watch->tasks[j].for_good;
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

void promise_begin(struct checker *self)
{
    tri_map_init(&self->lent);
    tri_dlist_init(&self->promises);
}

void promise_end(struct checker *self)
{
    uint64_t lease;
    void *loan;

    forget_all(self);
    for (size_t at = 0; tri_map_next(&self->lent, &at, &lease, &loan);) {
        free(((struct loan *)loan)->started);
        free(loan);
    }
    tri_map_deinit(&self->lent);
}
