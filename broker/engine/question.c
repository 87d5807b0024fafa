#include "broker/engine/question.h"

#include "broker/engine/state.h"
#include "common/assert.h"

#include <stdlib.h>

/* When one of a connection that asks too much shall try again. */
#define RETRY_MS 100

static void deinit(struct question *self)
{
    tri_rangeset_deinit(&self->tasks);
    tri_buffer_deinit(&self->page.list);
}

static void destroy(struct question *self)
{
    tri_dlist_remove(&self->session->questions, &self->of_session);
    tri_dlist_remove(&self->batch->questions, &self->of_batch);
    deinit(self);
    free(self);
}

void question_drop_all(struct session *session)
{
    while (!tri_dlist_is_empty(&session->questions))
        destroy(
            tri_container_of(tri_dlist_first(&session->questions), struct question, of_session));
}

/* ---- which tasks ---------------------------------------------------------------------------- */

/* Tasks from the one that was asked for first, up to where their chunk ends or as many as fit. */
static void select_tasks(const struct batch *batch,
                         struct tri_ranges asked,
                         struct tri_rangeset *tasks,
                         uint64_t *next)
{
    uint64_t end = stock_end(batch->stock, tri_ranges_at(asked, 0).first);
    uint64_t left = ARGUMENTS_COUNT_MAX;

    *next = 0;
    if (end > batch->count)
        end = batch->count;
    for (size_t i = 0; i < asked.count && *next == 0; i++) {
        struct tri_range range = tri_ranges_at(asked, i);
        uint64_t count = range.first < end ? end - range.first : 0;

        if (range.first >= batch->count)
            break;
        if (count > left)
            count = left;
        if (count > range.count)
            count = range.count;
        tri_rangeset_add(tasks, range.first, count);
        left -= count;
        if (count < range.count && range.first + count < batch->count)
            *next = range.first + count;
    }
}

/* ---- answers -------------------------------------------------------------------------------- */

/* What of the chunk belongs to the tasks, as attachments in `parts`; returns how many. */
static size_t pick_parts(const struct question *question, struct tri_buffer *parts)
{
    struct tri_range range;
    size_t count = 0;

    for (uint64_t at = 0; tri_rangeset_next(&question->tasks, at, &range); count++) {
        struct attachment part = {
            .key = question->key,
            .first = (uint32_t)(range.first - question->key.key),
            .count = (uint32_t)range.count,
        };

        tri_buffer_append(parts, &part, sizeof(part));
        at = range.first + range.count;
    }
    return count;
}

static void answer(struct engine *engine, const struct question *question, enum tri_status status)
{
    struct tri_message message = { .type = TRI_MESSAGE_ARGUMENTS_INFO };
    struct tri_buffer parts = { 0 };
    size_t count = status == TRI_OK ? pick_parts(question, &parts) : 0;

    message.arguments_info.request = question->request;
    message.arguments_info.status = status;
    message.arguments_info.next = question->next;
    message.arguments_info.tasks.count =
        row_ranges(&question->tasks, 0, ARGUMENTS_COUNT_MAX, &engine->scratch);
    message.arguments_info.tasks.data = engine->scratch.data;
    out_inform_arguments(engine, question->session, &message,
                         (const struct attachment *)(const void *)parts.data, count);
    tri_buffer_deinit(&parts);
}

static bool is_kept(const struct question *question)
{
    const struct chunk *chunk = stock_find(question->batch->stock, question->key.key);

    return chunk != NULL && !chunk->dropped;
}

/* ---- events --------------------------------------------------------------------------------- */

void question_wait(struct engine *engine, const struct question *values)
{
    struct question *self = tri_alloc(1, sizeof(*self));

    *self = *values;
    if (self->session->questions.count == QUESTIONS_MAX) {
        out_busy(engine, self->session, self->request, RETRY_MS,
                 "too many questions at once about what is in the store");
        deinit(self);
        free(self);
        return;
    }
    tri_dlist_push_back(&self->session->questions, &self->of_session);
    tri_dlist_push_back(&self->batch->questions, &self->of_batch);
    out_get(&engine->out, self->key);
}

static void look_up(struct engine *engine, struct question *question)
{
    const struct chunk *chunk;
    struct tri_range first;

    tri_assert(tri_rangeset_next(&question->tasks, 0, &first));
    chunk = stock_find(question->batch->stock, first.first);
    question->key = (struct store_key){ STORE_CHUNK, question->batch->number,
                                        chunk != NULL ? chunk->first : 0 };
    if (chunk == NULL || chunk->dropped)
        answer(engine, question, TRI_NOTFOUND);
    else if (engine_payload_is_resident(engine, question->key))
        answer(engine, question, TRI_OK);
    else {
        question_wait(engine, question);
        return;
    }
    deinit(question);
}

void on_arguments(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_arguments *arguments)
{
    struct question question = { .session = session, .request = arguments->request };

    question.batch = batch_find(engine, session, arguments->number, arguments->request);
    if (question.batch == NULL)
        return;
    if (question.batch->stock == NULL) {
        out_error(engine, session, arguments->request, TRI_INVALID,
                  "batch %llu is a range: no argument of it is kept",
                  (unsigned long long)question.batch->number);
        return;
    }
    if (!batch_has_tasks(engine, session, question.batch, arguments->tasks, arguments->request))
        return;
    if (arguments->tasks.count == 0) {
        out_error(engine, session, arguments->request, TRI_INVALID, "ARGUMENTS of no task");
        return;
    }
    select_tasks(question.batch, arguments->tasks, &question.tasks, &question.next);
    look_up(engine, &question);
}

static bool go_on(struct engine *engine, struct question *question, const struct event *event)
{
    enum tri_status status = event->type == EVENT_LOADED ? TRI_OK : TRI_STORE;

    if (question->key.table == STORE_TASK)
        return tasks_go_on(engine, question, event);
    answer(engine, question, is_kept(question) ? status : TRI_NOTFOUND);
    return true;
}

void question_loaded(struct engine *engine, struct batch *batch, const struct event *event)
{
    struct tri_dlist_node *node = tri_dlist_first(&batch->questions);

    while (node != NULL) {
        struct question *question = tri_container_of(node, struct question, of_batch);

        node = tri_dlist_next(&batch->questions, node);
        if (question->key.table == event->key.table && question->key.key == event->key.key
            && go_on(engine, question, event))
            destroy(question);
    }
}

void question_forget(struct engine *engine, struct batch *batch)
{
    tri_dlist_foreach(&batch->questions, node)
    {
        const struct question *question = tri_container_of(node, struct question, of_batch);

        out_error(engine, question->session, question->request, TRI_NOTFOUND,
                  "there is no batch %llu", (unsigned long long)batch->number);
    }
}

void question_drop_batch(struct batch *batch)
{
    while (!tri_dlist_is_empty(&batch->questions))
        destroy(tri_container_of(tri_dlist_first(&batch->questions), struct question, of_batch));
}

void question_check(const struct session *session)
{
    tri_assert(session->questions.count <= QUESTIONS_MAX);
    tri_assert(session->connected || session->questions.count == 0);
    tri_dlist_foreach(&session->questions, node)
    {
        const struct question *question = tri_container_of(node, struct question, of_session);

        tri_assert(question->session == session);
        tri_assert(question->batch->principal == session->principal);
        tri_assert(question->key.batch == question->batch->number);
        tri_assert((question->key.table == STORE_TASK) == tri_rangeset_is_empty(&question->tasks));
    }
}
