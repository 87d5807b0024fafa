/* Counts: what was accepted, under which hash, and whether sums are sums. */
#include "tests/sim/checker_parts.h"

#include "common/proto/chunk.h"

/* ---- submitting ----------------------------------------------------------------------------- */

static bool same_peer(const struct peer_id *a, const struct peer_id *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void note_submit(struct sim *sim,
                        const struct peer_id *peer,
                        const struct tri_msg_submit *submit)
{
    struct checker *self = sim->checker;
    const struct plan_batch *batch = plan_find(sim->plan, submit->batch);
    struct watch *watch = batch != NULL ? &self->watches[batch->id] : NULL;

    if (watch == NULL)
        return;
    if (batch->range)
        watch->arrived = batch->count;
    self->requests[self->request_count++ % REQUESTS_KEPT] =
        (struct request){ *peer, submit->request, watch };
}

static void note_append(struct sim *sim,
                        const struct tri_msg_append *append,
                        struct tri_frame *const *frames,
                        size_t count)
{
    struct watch *watch = watch_find(sim, append->number);
    struct tri_chunk chunk;

    if (watch == NULL || count < 2 || tri_items_open(frames[1]->bytes, &chunk, NULL) != TRI_OK)
        return;
    if (append->first + chunk.count > watch->arrived)
        watch->arrived = append->first + chunk.count;
}

void count_gets(struct sim *sim,
                const struct peer_id *peer,
                const struct tri_message *message,
                struct tri_frame *const *frames,
                size_t count)
{
    if (message->type == TRI_MESSAGE_SUBMIT)
        note_submit(sim, peer, &message->submit);
    else if (message->type == TRI_MESSAGE_APPEND)
        note_append(sim, &message->append, frames, count);
}

/* ---- acknowledging -------------------------------------------------------------------------- */

static void check_hash(struct sim *sim, struct watch *watch, uint64_t count, struct tri_bytes hash)
{
    struct tri_buffer value = { 0 };
    XXH128_canonical_t expected;

    for (; watch->hashed < count; watch->hashed++) {
        tri_buffer_clear(&value);
        plan_value(watch->plan, watch->hashed, &value);
        XXH3_128bits_update(watch->hash, value.data, value.size);
    }
    tri_buffer_deinit(&value);
    XXH128_canonicalFromHash(&expected, XXH3_128bits_digest(watch->hash));
    if (hash.size != sizeof(expected.digest)
        || memcmp(hash.data, expected.digest, sizeof(expected.digest)) != 0)
        sim_fail(sim, "the hash over the first %llu arguments of %s is another",
                 (unsigned long long)count, watch->plan->name);
}

static void check_count(struct sim *sim, struct watch *watch, uint64_t count, struct tri_bytes hash)
{
    if (count > watch->arrived)
        sim_fail(sim, "%llu arguments of %s are acknowledged, %llu have arrived",
                 (unsigned long long)count, watch->plan->name, (unsigned long long)watch->arrived);
    if (count < watch->told)
        sim_fail(sim, "%s had %llu arguments and has %llu", watch->plan->name,
                 (unsigned long long)watch->told, (unsigned long long)count);
    watch->told = count;
    if (!watch->plan->range)
        check_hash(sim, watch, count, hash);
}

static void check_accepted(struct sim *sim,
                           const struct peer_id *peer,
                           const struct tri_msg_accepted *accepted)
{
    struct checker *self = sim->checker;
    struct watch *watch = NULL;
    size_t first = self->request_count > REQUESTS_KEPT ? self->request_count - REQUESTS_KEPT : 0;

    for (size_t i = first; i < self->request_count; i++) {
        const struct request *request = &self->requests[i % REQUESTS_KEPT];

        if (same_peer(&request->peer, peer) && request->request == accepted->request)
            watch = request->watch;
    }
    if (watch == NULL)
        sim_fail(sim, "ACCEPTED for a request that nobody made");
    if (watch->number != 0 && watch->number != accepted->number)
        sim_fail(sim, "%s is batch %llu and was %llu", watch->plan->name,
                 (unsigned long long)accepted->number, (unsigned long long)watch->number);
    if (watch->number == 0) {
        sim->counts.batches++;
        watch->born = self->life;
    }
    watch->number = accepted->number;
    tri_map_put(&self->numbers, accepted->number, watch);
    check_count(sim, watch, accepted->count, accepted->hash);
}

/* ---- sums ----------------------------------------------------------------------------------- */

enum { PENDING, DELAYED, LEASED, DONE, DEAD, CANCELLED };

static void check_sum(struct sim *sim, uint64_t number, const uint64_t parts[6], uint64_t count)
{
    const struct watch *watch = watch_find(sim, number);
    uint64_t sum = 0;

    for (int i = 0; i < 6; i++)
        sum += parts[i];
    if (sum != count)
        sim_fail(sim,
                 "batch %llu has %llu tasks: pending %llu + delayed %llu + leased %llu + done %llu "
                 "+ dead %llu + cancelled %llu",
                 (unsigned long long)number, (unsigned long long)count,
                 (unsigned long long)parts[PENDING], (unsigned long long)parts[DELAYED],
                 (unsigned long long)parts[LEASED], (unsigned long long)parts[DONE],
                 (unsigned long long)parts[DEAD], (unsigned long long)parts[CANCELLED]);
    if (watch != NULL && parts[DONE] > watch->reported)
        sim_fail(sim, "%llu tasks of %s are done, of %llu a success has been reported",
                 (unsigned long long)parts[DONE], watch->plan->name,
                 (unsigned long long)watch->reported);
}

static void check_progress(struct sim *sim, const struct tri_msg_progress *progress)
{
    const uint64_t parts[6] = { progress->pending, progress->delayed, progress->leased,
                                progress->done,    progress->dead,    progress->cancelled };

    check_sum(sim, progress->number, parts, progress->count);
}

static void check_infos(struct sim *sim, struct tri_list batches)
{
    struct tri_rec_batch_info info;

    while (tri_list_next(&batches, TRI_RECORD_BATCH_INFO, &info)) {
        const uint64_t parts[6] = { info.pending, info.delayed, info.leased,
                                    info.done,    info.dead,    info.cancelled };

        check_sum(sim, info.number, parts, info.count);
    }
}

/* A batch may be run before it is durable. */
static void note_batch(struct sim *sim, const struct tri_msg_batch *message)
{
    const struct plan_batch *batch = plan_find(sim->plan, message->batch);

    if (batch == NULL)
        sim_fail(sim, "BATCH %llu, which nobody submitted", (unsigned long long)message->number);
    sim->checker->watches[batch->id].seen = message->number;
    tri_map_put(&sim->checker->numbers, message->number, &sim->checker->watches[batch->id]);
}

void count_sends(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    struct watch *watch;

    if (message->type == TRI_MESSAGE_BATCH)
        note_batch(sim, &message->batch);
    else if (message->type == TRI_MESSAGE_ACCEPTED)
        check_accepted(sim, peer, &message->accepted);
    else if (message->type == TRI_MESSAGE_APPENDED
             && (watch = watch_find(sim, message->appended.number)) != NULL)
        check_count(sim, watch, message->appended.count, message->appended.hash);
    else if (message->type == TRI_MESSAGE_ATTACHED
             && (watch = watch_find(sim, message->attached.number)) != NULL)
        check_count(sim, watch, message->attached.count, message->attached.hash);
    else if (message->type == TRI_MESSAGE_PROGRESS)
        check_progress(sim, &message->progress);
    else if (message->type == TRI_MESSAGE_LISTED)
        check_infos(sim, message->listed.batches);
    else if (message->type == TRI_MESSAGE_SHOWN)
        check_infos(sim, message->shown.batches);
}

/* They are kept as long as the task may run; and longer, while there is memory for them. */
void checker_arguments(const struct sim *sim,
                       const struct plan_batch *batch,
                       uint64_t index,
                       enum tri_status status)
{
    const struct task *task = &sim->checker->watches[batch->id].tasks[index];
    bool is_open = task->standing == STANDING_OPEN && !task->reported && !task->asked;

    if (status == TRI_STORE && !task->spoiled)
        sim_fail(sim, "the argument of task %s/%llu cannot be read, and nothing is wrong with it",
                 batch->name, (unsigned long long)index);
    if (status == TRI_NOTFOUND && is_open && !row_may_halt(sim, batch))
        sim_fail(sim, "the argument of task %s/%llu is not kept, and may be needed", batch->name,
                 (unsigned long long)index);
}

void checker_durable(struct sim *sim, const struct plan_batch *batch, uint64_t count, bool sealed)
{
    const struct watch *watch = &sim->checker->watches[batch->id];

    if (watch->told < count || (sealed && watch->told != count))
        sim_fail(sim, "%s: the client takes %llu arguments for durable, the broker has said %llu",
                 batch->name, (unsigned long long)count, (unsigned long long)watch->told);
}
