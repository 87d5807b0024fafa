/* question.h - questions that wait for a payload: ARGUMENTS for a chunk, TASKS for one history
 * after the other (tasks.c).
 *
 * A question that needs a payload which is not in memory stays here while that is fetched, at its
 * session and at its batch. It belongs to the connection: who comes back on another asks again.
 *
 * Time:    O(1000 ranges) a question, however many tasks the batch has.
 * Memory:  belongs to its session; 64 KiB of an answer and one history at most while it waits for
 *          more.
 * Limits:  QUESTIONS_MAX of a connection at once; one chunk and ARGUMENTS_COUNT_MAX tasks an
 *          answer.
 */
#ifndef ENGINE_QUESTION_H
#define ENGINE_QUESTION_H

#include "broker/engine/event.h"
#include "common/buffer.h"
#include "common/list.h"
#include "common/rangeset.h"

struct batch;
struct engine;
struct session;

#define QUESTIONS_MAX 16

/* Tasks that one answer is about. */
#define ARGUMENTS_COUNT_MAX 1000

/* An answer to TASKS as far as it has been made. */
struct page {
    uint64_t at; /* the next task to be told, or one before it */
    uint64_t left;
    size_t count;
    struct tri_buffer list;
};

struct question {
    struct session *session;
    struct batch *batch;
    struct tri_dlist_node of_session;
    struct tri_dlist_node of_batch;
    uint64_t request;
    struct store_key key;      /* of the payload that is being fetched */
    struct tri_rangeset tasks; /* ARGUMENTS: of that chunk */
    uint64_t next;             /* as in ARGUMENTS_INFO */
    struct page page;          /* TASKS */
};

void on_arguments(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_arguments *arguments);

void on_tasks(struct engine *engine, struct session *session, const struct tri_msg_tasks *tasks);

/* The answer waits for the payload `values->key`, which is asked for; or it is BUSY. What `values`
 * owns is taken. */
void question_wait(struct engine *engine, const struct question *values);

/* A payload of the batch has been fetched, or cannot be: who has asked for it is answered, or waits
 * for the next. */
void question_loaded(struct engine *engine, struct batch *batch, const struct event *event);

/* TASKS: tell what has been fetched and go on. False: the next is being fetched. */
bool tasks_go_on(struct engine *engine, struct question *question, const struct event *event);

/* Nobody waits for these answers any more: the connection or the batch goes. */
void question_drop_all(struct session *session);
void question_drop_batch(struct batch *batch);

/* The batch will be no more: who has asked about it is told. */
void question_forget(struct engine *engine, struct batch *batch);

/* engine_check's part. */
void question_check(const struct session *session);

#endif
