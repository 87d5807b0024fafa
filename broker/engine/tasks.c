/* tasks.c - TASKS: exceptional tasks and their histories.
 *
 * Most of these are in the store only (task.h). They are fetched one after the other: an answer
 * waits as a question does, and is bounded while it does. */
#include "broker/engine/state.h"

/* What TASKS_INFO holds before the rest has to be asked for: far less than a frame may have. And
 * when more would have to be fetched. */
#define TASKS_BYTES_MAX (1u << 20)
#define FETCHED_BYTES_MAX (1u << 16)

struct fetched {
    uint64_t index;
    struct history history;
};

static uint64_t state_of_task(const struct batch *batch, uint64_t index)
{
    if (tri_rangeset_contains(&batch->dead, index))
        return TRI_TASK_DEAD;
    return tri_rangeset_contains(&batch->cancelled, index) ? TRI_TASK_CANCELLED : TRI_TASK_RETRYING;
}

static void encode_task(const struct engine *engine,
                        const struct batch *batch,
                        uint64_t index,
                        const struct history *history,
                        struct tri_buffer *out)
{
    struct tri_rec_task_info info = { .index = index, .state = state_of_task(batch, index) };
    struct tri_buffer told = { 0 };

    history_tell(history, engine_clock(engine, engine->now), engine->options.epoch, &told);
    info.history = tri_list_of(&told, history->count);
    tri_record_encode(TRI_RECORD_TASK_INFO, &info, out);
    tri_buffer_deinit(&told);
}

/* The history of the task, which stays whose it is: in memory, or else in `fetched`. */
static const struct history *find_history(const struct batch *batch,
                                          uint64_t index,
                                          const struct fetched *fetched)
{
    const struct entry *entry = tri_map_find(&batch->entries, index);

    if (entry != NULL && entry->history.count != 0)
        return &entry->history;
    return fetched != NULL && fetched->index == index ? &fetched->history : NULL;
}

/* Go on with the page. False: the history of the task `at` has to be fetched. */
static bool fill(const struct engine *engine,
                 const struct batch *batch,
                 struct page *page,
                 const struct fetched *fetched)
{
    struct tri_range next;

    while (page->left != 0 && page->list.size < TASKS_BYTES_MAX
           && tri_rangeset_next(&batch->entry_indexes, page->at, &next)) {
        const struct history *history = find_history(batch, next.first, fetched);

        page->at = next.first;
        if (history == NULL)
            return page->list.size >= FETCHED_BYTES_MAX;
        encode_task(engine, batch, next.first, history, &page->list);
        page->at++;
        page->left--;
        page->count++;
    }
    return true;
}

static void answer(struct engine *engine, const struct question *question)
{
    struct tri_message message = { .type = TRI_MESSAGE_TASKS_INFO };
    const struct page *page = &question->page;
    struct tri_range next;

    message.tasks_info.request = question->request;
    message.tasks_info.tasks = tri_list_of(&page->list, page->count);
    message.tasks_info.more = tri_rangeset_next(&question->batch->entry_indexes, page->at, &next);
    out_inform(engine, question->session, &message);
}

static struct store_key task_key(const struct question *question)
{
    return (struct store_key){ STORE_TASK, question->batch->number, question->page.at };
}

void on_tasks(struct engine *engine, struct session *session, const struct tri_msg_tasks *tasks)
{
    struct question question = { .session = session, .request = tasks->request };

    question.batch = batch_find(engine, session, tasks->number, tasks->request);
    if (question.batch == NULL)
        return;
    question.page.at = tasks->after;
    question.page.left = answer_limit(tasks->limit);
    if (!fill(engine, question.batch, &question.page, NULL)) {
        question.key = task_key(&question);
        question_wait(engine, &question);
        return;
    }
    answer(engine, &question);
    tri_buffer_deinit(&question.page.list);
}

bool tasks_go_on(struct engine *engine, struct question *question, const struct event *event)
{
    struct fetched fetched = { .index = question->key.key };
    bool is_full;

    /* What is damaged is told as if there were nothing. */
    if (event->type == EVENT_LOADED && event->frame_count == 1)
        history_open(&fetched.history, event->frames[0], NULL);
    is_full = fill(engine, question->batch, &question->page, &fetched);
    history_deinit(&fetched.history);
    if (is_full) {
        answer(engine, question);
        return true;
    }
    question->key = task_key(question);
    out_get(&engine->out, question->key);
    return false;
}
