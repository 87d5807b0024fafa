#include "broker/engine/admin.h"

#include "broker/engine/state.h"
#include "common/assert.h"

/* Records in one answer unless the request says less. */
#define ANSWER_COUNT_MAX 1000

/* What WORKERS_INFO holds before handlers are left out, and before workers are. */
#define OFFER_BYTES_MAX (8u << 20)
#define ANSWER_BYTES_MAX (32u << 20)

enum worker_state { WORKER_STATE_READY, WORKER_STATE_SILENT, WORKER_STATE_LOST };

uint64_t answer_limit(uint64_t asked)
{
    return asked == 0 || asked > ANSWER_COUNT_MAX ? ANSWER_COUNT_MAX : asked;
}

/* ---- batches -------------------------------------------------------------------------------- */

static void encode_info(const struct engine *engine,
                        const struct batch *batch,
                        struct tri_buffer *out)
{
    struct tri_bytes handler = class_handler(batch->class);
    struct tri_rec_spec spec;
    struct tri_rec_batch_info info = {
        .number = batch->number,
        .batch = { batch->uuid.bytes, sizeof(batch->uuid.bytes) },
        .name = tri_bytes_of(batch->name),
        .handler = handler,
        .owner = tri_bytes_of(batch->principal->name),
        .state = batch->state,
        .generation = batch->generation,
        .count = batch->count,
        .pending = batch->pending,
        .delayed = batch->delayed,
        .leased = batch->leased,
        .done = tri_rangeset_count(&batch->done),
        .dead = tri_rangeset_count(&batch->dead),
        .cancelled = tri_rangeset_count(&batch->cancelled),
        .age_ms = engine->now - batch->submitted_at,
        .elapsed_ms =
            (batch_has_ended(batch) ? batch->ended_at : engine->now) - batch->submitted_at,
        .wall_ns = batch->wall_ns,
        .cpu_ns = batch->cpu_ns,
        .model = batch->model,
        .workers = batch->workers,
    };

    if (tri_record_decode(TRI_RECORD_SPEC, (struct tri_bytes){ batch->spec, batch->spec_size },
                          &spec, NULL)
        == TRI_OK)
        info.reducer = spec.reducer;
    if (batch->reason != NULL)
        info.reason = tri_bytes_of(batch->reason);
    tri_record_encode(TRI_RECORD_BATCH_INFO, &info, out);
}

void on_list(struct engine *engine, struct session *session, const struct tri_msg_list *list)
{
    struct tri_message message = { .type = TRI_MESSAGE_LISTED };
    const struct tri_rangeset *numbers = &session->principal->numbers;
    uint64_t limit = answer_limit(list->limit);
    struct tri_range next;
    uint64_t at = list->after + 1;
    size_t count = 0;

    tri_buffer_clear(&engine->scratch);
    for (; count < limit && tri_rangeset_next(numbers, at, &next); count++) {
        encode_info(engine, tri_map_find(&engine->batches, next.first), &engine->scratch);
        at = next.first + 1;
    }
    message.listed.request = list->request;
    message.listed.more = tri_rangeset_next(numbers, at, &next);
    message.listed.batches = tri_list_of(&engine->scratch, count);
    out_inform(engine, session, &message);
}

/* The last try; of one whose history is in the store only, its number and outcome. */
static void encode_entry(const struct entry *entry, struct tri_buffer *out)
{
    struct tri_rec_attempt last = { .attempt = entry->attempt, .outcome = entry->outcome };
    struct tri_rec_entry record;

    history_last(&entry->history, &last);
    record = tri_entry_of(entry->index, &last);
    tri_record_encode(TRI_RECORD_ENTRY, &record, out);
}

/* Exceptional tasks after index `after` - 1; those that did not fit into memory are left out. */
static size_t encode_entries(
    const struct batch *batch, uint64_t after, uint64_t limit, struct tri_buffer *out, bool *more)
{
    struct tri_range next;
    uint64_t at = after;
    size_t count = 0;

    while (count < limit && tri_rangeset_next(&batch->entry_indexes, at, &next)) {
        const struct entry *entry = tri_map_find(&batch->entries, next.first);

        at = next.first + 1;
        if (entry == NULL)
            continue;
        encode_entry(entry, out);
        count++;
    }
    *more = tri_rangeset_next(&batch->entry_indexes, at, &next);
    return count;
}

void on_show(struct engine *engine, struct session *session, const struct tri_msg_show *show)
{
    struct tri_message message = { .type = TRI_MESSAGE_SHOWN };
    struct batch *batch = batch_find(engine, session, show->number, show->request);
    struct tri_buffer info = { 0 };
    size_t count;
    bool more;

    if (batch == NULL)
        return;
    encode_info(engine, batch, &info);
    tri_buffer_clear(&engine->scratch);
    count = encode_entries(batch, show->after, answer_limit(show->limit), &engine->scratch, &more);
    message.shown.request = show->request;
    message.shown.batches = tri_list_of(&info, 1);
    message.shown.spec = (struct tri_bytes){ batch->spec, batch->spec_size };
    message.shown.entries = tri_list_of(&engine->scratch, count);
    message.shown.more = more;
    out_inform(engine, session, &message);
    tri_buffer_deinit(&info);
}

/* ---- workers -------------------------------------------------------------------------------- */

static enum worker_state state_of(const struct engine *engine, const struct worker *worker)
{
    if (!worker->session->connected)
        return WORKER_STATE_LOST;
    if (engine->now - worker->heartbeat_at > 2 * engine->options.limits.heartbeat_ms)
        return WORKER_STATE_SILENT;
    return WORKER_STATE_READY;
}

static void encode_worker(const struct engine *engine,
                          const struct worker *worker,
                          struct tri_buffer *out)
{
    const struct session *session = worker->session;
    struct tri_rec_worker_info info = {
        .name = tri_bytes_of(session->name),
        .instance = { session->instance.bytes, sizeof(session->instance.bytes) },
        .pid = session->pid,
        .state = state_of(engine, worker),
        .width = worker->width,
        .busy = worker->busy,
        .leases = worker->leases,
        .tasks_leased = worker->tasks_leased,
        .tasks_done = worker->tasks_done,
        .tasks_failed = worker->tasks_failed,
        .heartbeat_age_ms = engine->now - worker->heartbeat_at,
        .version = tri_bytes_of(session->software),
    };

    if (out->size < OFFER_BYTES_MAX) {
        info.handlers =
            (struct tri_list){ worker->offer, worker->handlers_size, worker->handler_count };
        info.labels = (struct tri_list){ worker->offer + worker->handlers_size, worker->labels_size,
                                         worker->label_count };
    }
    tri_record_encode(TRI_RECORD_WORKER_INFO, &info, out);
}

void on_workers(struct engine *engine,
                struct session *session,
                const struct tri_msg_workers *workers)
{
    struct tri_message message = { .type = TRI_MESSAGE_WORKERS_INFO };
    size_t count = 0;

    tri_buffer_clear(&engine->scratch);
    tri_dlist_foreach(&engine->workers, node)
    {
        if (engine->scratch.size > ANSWER_BYTES_MAX)
            break;
        encode_worker(engine, tri_container_of(node, struct worker, node), &engine->scratch);
        count++;
    }
    message.workers_info.request = workers->request;
    message.workers_info.workers = tri_list_of(&engine->scratch, count);
    out_inform(engine, session, &message);
}

/* ---- PROGRESS ------------------------------------------------------------------------------- */

static uint64_t workers_on(const struct batch *batch)
{
    uint64_t count = 0;

    tri_dlist_foreach(&batch->berths, node)
    {
        count += tri_container_of(node, struct berth, of_batch)->leased != 0;
    }
    return count;
}

static void fill_progress(const struct batch *batch, struct tri_message *message)
{
    struct tri_msg_progress *progress = &message->progress;

    message->type = TRI_MESSAGE_PROGRESS;
    progress->number = batch->number;
    progress->count = batch->count;
    progress->pending = batch->pending;
    progress->delayed = batch->delayed;
    progress->leased = batch->leased;
    progress->done = tri_rangeset_count(&batch->done);
    progress->dead = tri_rangeset_count(&batch->dead);
    progress->cancelled = tri_rangeset_count(&batch->cancelled);
    progress->workers = workers_on(batch);
}

void progress_tell(struct engine *engine, const struct post *post)
{
    struct tri_message message = { 0 };

    fill_progress(post->batch, &message);
    out_send(engine, post->session, &message, true);
}

static void send_progress(struct engine *engine, const struct batch *batch)
{
    struct tri_message message = { 0 };

    fill_progress(batch, &message);
    tri_dlist_foreach(&batch->attachments, node)
    {
        out_send(engine, tri_container_of(node, struct post, of_batch)->session, &message, true);
    }
}

void progress_send(struct engine *engine)
{
    while (!tri_dlist_is_empty(&engine->progress_batches)) {
        struct batch *batch =
            tri_container_of(tri_dlist_first(&engine->progress_batches), struct batch, progress);

        if (engine->now < batch->progress_at)
            break;
        tri_dlist_remove(&engine->progress_batches, &batch->progress);
        batch->progress_at = engine->now;
        send_progress(engine, batch);
    }
}
