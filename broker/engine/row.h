/* row.h - results on their way to clients.
 *
 * A row is one frame of results and the ROW message that announces it. Rows have dense numbers per
 * batch and are sent in that order to every attachment. The owner's acknowledgement deletes a row;
 * other attachments only read. A retry by hand takes the failures that it is about out of their
 * rows: a row of failures names only tasks that are dead of just these.
 *
 * Memory: a row belongs to its batch; frame 0 is kept encoded, the payload is in the store.
 */
#ifndef ENGINE_ROW_H
#define ENGINE_ROW_H

#include "broker/engine/event.h"
#include "common/buffer.h"
#include "common/list.h"
#include "common/rangeset.h"

struct engine;
struct batch;
struct session;

/* What its tasks are. Never renumbered: it stands in the store. */
enum row_what { ROW_VALUES, ROW_PARTIAL, ROW_DEAD, ROW_CANCELLED };

struct row {
    uint64_t id;
    uint64_t generation;
    uint64_t bytes; /* of the payload */
    enum row_what what;
    uint8_t *frame; /* the ROW message, encoded */
    size_t frame_size;
    uint64_t last;                 /* the largest index in it, as it was made */
    bool retried;                  /* all of it was; nobody is sent it, but its owner has been */
    bool lost;                     /* its payload cannot be read: nobody gets it */
    bool on_reserve;               /* it holds the reserve of the oldest undone task */
    struct tri_dlist_node reserve; /* batch->reserve_rows */
};

/* What a row is, and where it comes from. */
struct row_origin {
    enum row_what what;
    struct tri_bytes worker;
    uint64_t model; /* of values and partials */
};

/* Pairs of ranges in one ROW (client_table.h). */
#define ROW_RANGES_MAX 1048576

/* A row that was sent and is not acknowledged. */
struct flight {
    uint64_t row;
    uint64_t bytes;
    bool landed; /* acknowledged, out of order */
};

#define ATTACH_OWNER_AGAIN 2 /* ATTACH: the owner, unless another client is now */

struct post {
    struct session *session;
    struct batch *batch;
    struct tri_dlist_node of_session;
    struct tri_dlist_node of_batch;
    bool is_owner;
    uint64_t request; /* that it was made by */
    uint64_t window_bytes;
    uint64_t next;            /* row to send next */
    struct tri_rangeset have; /* rows the client has consumed */
    struct flight *flights;   /* sorted by row */
    size_t flight_first;
    size_t flight_count;
    size_t flight_capacity;
    uint64_t flight_bytes;
    bool loading; /* the row `next` is being fetched */
    bool end_sent;
    bool is_full; /* the batch has ended, its rows wait for room: it was told by PROGRESS */
};

/* ---- row.c ---- */

/* A new row, whose payload is the event's frame number `frame`, or `payload` when that is
 * negative. It is sent to whom it can be. */
void row_add(struct engine *engine,
             struct batch *batch,
             const struct row_origin *origin,
             const struct tri_rangeset *ranges,
             struct tri_bytes payload,
             int frame,
             bool on_reserve);
struct row *row_find(const struct batch *batch, uint64_t id);

/* True when a row on the reserve waits for an acknowledgement that the client can give: all of it
 * is older than `oldest`. */
bool row_reserve_blocks(const struct batch *batch, uint64_t oldest);

/* The ranges of a set from `from` on, `max` at most, as pairs in `out`. Returns how many. */
size_t row_ranges(const struct tri_rangeset *set,
                  uint64_t from,
                  size_t max,
                  struct tri_buffer *out);

/* A row as the store has it: the ROW message `frame`, decoded, and the size of its payload. */
void row_restore(struct engine *engine,
                 struct batch *batch,
                 const struct tri_msg_row *message,
                 struct tri_bytes frame,
                 enum row_what what,
                 uint64_t payload_bytes,
                 bool on_reserve);

/* Or that there was a row `id`, which has been acknowledged. */
void row_restore_gap(struct batch *batch, uint64_t id);

/* Or that the next row will be called `id`. */
void row_restore_end(struct batch *batch, uint64_t id);

/* The kind that clients see. */
uint64_t row_kind(enum row_what what);

/* The owner has consumed rows: first row_settle all of them, then row_fold, then row_delete. What
 * they covered is remembered in the batch's own row of the store; while that is too fragmented for
 * it, heads of rows stay there instead. */
void row_settle(struct batch *batch, uint64_t id);
void row_fold(struct engine *engine, struct batch *batch);
void row_delete(struct engine *engine, struct batch *batch, uint64_t id);

/* These tasks, which were dead, run again: rows do not show how they died. A row that is left
 * without tasks goes; if it is on its way to the owner, it takes room until that has acknowledged
 * it. Their entries still say which rows these are. */
void row_retry(struct engine *engine, struct batch *batch, const struct tri_rangeset *tasks);

/* Its payload cannot be read: it takes no room of a window any more, and nobody waits for it. */
void row_lose(struct engine *engine, struct batch *batch, struct row *row);

/* Add the tasks of all those. */
void row_lost_tasks(const struct batch *batch, struct tri_rangeset *out);

/* Add the tasks that the row names. */
void row_tasks(const struct row *row, struct tri_rangeset *out);

/* Leave the row only those of its tasks that are not in `tasks`. False: that is none. The store
 * keeps it as it was made: its TASKs say which deaths still hold. */
bool row_cut(struct engine *engine, struct row *row, const struct tri_rangeset *tasks);

/* Forget a row that is not in the store, or is not to be looked for there any more. */
void row_drop(struct engine *engine, struct batch *batch, struct row *row);
void row_free_all(struct engine *engine, struct batch *batch);

/* ---- attach.c ---- */

struct post *post_find(const struct session *session, const struct batch *batch);
struct post *post_owner(const struct batch *batch);

/* Attach a session (again): rows are sent from the first it does not have. */
struct post *post_new(struct engine *engine,
                      struct session *session,
                      struct batch *batch,
                      bool is_owner,
                      uint64_t request,
                      uint64_t window_bytes);
void post_destroy(struct engine *engine, struct post *self);

/* It has been sent the row, and has not acknowledged it. */
bool post_awaits(const struct post *self, uint64_t row);

/* Send again what was sent and not acknowledged: the connection is a new one. */
void post_rewind(struct engine *engine, struct post *self);

/* Send rows while the window allows, then END. */
void post_pump(struct engine *engine, struct post *self);
void post_pump_all(struct engine *engine, struct batch *batch);

void on_attach(struct engine *engine, struct session *session, const struct tri_msg_attach *attach);
void on_ack(struct engine *engine, struct session *session, const struct tri_msg_ack *ack);

#endif
