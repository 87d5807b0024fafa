/* admin.h - what there is, and why: LIST SHOW EXPLAIN WORKERS PROGRESS. */
#ifndef ENGINE_ADMIN_H
#define ENGINE_ADMIN_H

#include "common/proto/message.h"

struct engine;
struct post;
struct session;

void on_list(struct engine *engine, struct session *session, const struct tri_msg_list *list);
void on_show(struct engine *engine, struct session *session, const struct tri_msg_show *show);
void on_explain(struct engine *engine,
                struct session *session,
                const struct tri_msg_explain *explain);
void on_workers(struct engine *engine,
                struct session *session,
                const struct tri_msg_workers *workers);

/* Records in one answer to a request that asks for so many; 0: as many as fit. */
uint64_t answer_limit(uint64_t asked);

/* Send the PROGRESS that is due; one now, to one who follows the batch. */
void progress_send(struct engine *engine);
void progress_tell(struct engine *engine, const struct post *post);

#endif
