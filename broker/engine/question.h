/* question.h - questions that wait for a payload: ARGUMENTS.
 *
 * A question that needs a chunk which is not in memory stays here while that is fetched, at its
 * session and at its batch. It belongs to the connection: who comes back on another asks again.
 *
 * Time:    O(1000 ranges) a question, however many tasks the batch has.
 * Memory:  belongs to its session.
 * Limits:  QUESTIONS_MAX of a connection at once; one chunk and ARGUMENTS_COUNT_MAX tasks an
 * answer.
 */
#ifndef ENGINE_QUESTION_H
#define ENGINE_QUESTION_H

#include "broker/engine/event.h"

struct batch;
struct engine;
struct session;

#define QUESTIONS_MAX 16

/* Tasks that one answer is about. */
#define ARGUMENTS_COUNT_MAX 1000

void on_arguments(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_arguments *arguments);

/* The chunk that begins with task `chunk` has been fetched, or (TRI_STORE) cannot be: who has asked
 * for it is answered. */
void question_loaded(struct engine *engine,
                     struct batch *batch,
                     uint64_t chunk,
                     enum tri_status status);

/* Nobody waits for these answers any more: the connection or the batch goes. */
void question_drop_all(struct session *session);
void question_drop_batch(struct batch *batch);

/* The batch will be no more: who has asked about it is told. */
void question_forget(struct engine *engine, struct batch *batch);

/* engine_check's part. */
void question_check(const struct session *session);

#endif
