/* clerk.h - who works on the store's file: it alone touches it once it was given something to do.
 * It is a state machine that is made to step (clerk_work.c), by a thread of its own or by hand.
 *
 * It takes all that is sealed as one transaction, so that what arrives while the disk syncs shares
 * the next sync; between transactions it reads what was asked for; when the log has grown, or
 * nothing happens, it folds the log into the file and gives free space back. What it has done is
 * left as news, and its descriptor becomes readable.
 *
 * Full disk: it spends the reserve, then waits for room and tries the same writes, and those sealed
 * since, again: after `full_ms`, and a last time when the store is closed. It reads meanwhile.
 *
 * Threads: the caller's (all functions) and its own, in which clerk_step is called; by hand there
 *          is only one.
 * Memory:  owns writes that were sealed, loads that are under way.
 */
#ifndef STORE_CLERK_H
#define STORE_CLERK_H

#include "broker/store/database.h"
#include "broker/store/reserve.h"

#include <pthread.h>

/* Nothing to do for this long: time for upkeep. */
#define CLERK_IDLE_MS 200

/* A payload that is asked for, or came. */
struct load {
    struct tri_dlist_node node;
    struct store_key key;
    enum tri_status status;
    zmq_msg_t payload; /* open when it came and status is TRI_OK */
};

struct clerk_news {
    enum tri_status status; /* TRI_STORE: it has stopped */
    struct tri_error error;
    uint64_t durable;
    uint64_t waiting_bytes; /* sealed, or being written */
    uint64_t room_bytes;
    uint64_t disk_bytes;
    uint64_t rows;
    uint64_t payload_bytes;
    bool is_full;
};

struct clerk {
    struct database *database;
    struct reserve reserve;
    uint64_t log_bytes_max;
    uint64_t full_ms;
    bool by_hand; /* it has no thread */
    pthread_t thread;
    bool is_running;
    int event_fd;
    /* Its own. */
    struct writes job; /* being written */
    bool lacks_room;   /* the disk is full: the job waits */
    tri_time retry_at; /* ... until then; NEVER: not yet known */
    uint64_t care_ms;  /* idle for this long, it cares for the file; NEVER: no need */
    tri_time care_at;  /* idle until then; NEVER: not yet known, or no need */
    bool has_worked;   /* since it last cared */
    bool has_tidied;   /* all that it had to do, with the last step: memory may be given back */
    bool has_loaded;   /* with the last piece of work: now it is the turn of writes */
    bool is_last;      /* nobody will try after this */
    bool has_ended;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under the lock. */
    struct writes sealed;
    uint64_t generation;    /* of `sealed` */
    uint64_t writing_bytes; /* of the job */
    struct tri_dlist_head wanted;
    struct tri_dlist_head loaded;
    struct clerk_news news;
    bool has_news;
    bool is_stopping;
};

/* Takes the database, also on failure. */
enum tri_status clerk_init(struct clerk *self,
                           struct database *database,
                           const struct store_sqlite_options *options,
                           struct tri_error *error);

/* Finish what is sealed unless there is no room for it, end the thread, close the file. */
void clerk_deinit(struct clerk *self);

/* Look at the file again: it was scanned. Only while nothing was given to the thread. */
void clerk_look(struct clerk *self);

/* The list to add to, and its generation; the clerk is kept from it until clerk_seal_end. */
struct writes *clerk_seal_begin(struct clerk *self, uint64_t *generation);

/* Returns the bytes that wait now. */
uint64_t clerk_seal_end(struct clerk *self);

void clerk_load(struct clerk *self, struct store_key key);

/* Take the news: `loaded` (initialised) gets what was loaded, caller frees. False: there is none.
 */
bool clerk_take(struct clerk *self, struct clerk_news *news, struct tri_dlist_head *loaded);

/* ---- clerk_work.c --------------------------------------------------------------------------- */

/* Do one piece of what there is to do: loads, a transaction, or upkeep. `now` is of any clock that
 * does not jump. Returns when to do the next one, at the latest: when clerk_is_wanted, at once;
 * NEVER: not before, or it has ended. */
tri_time clerk_step(struct clerk *self, tri_time now);

/* It was given something that it can go on with. The lock is held. */
bool clerk_is_wanted(const struct clerk *self);

/* Fill in what the file and the disk say: rows, bytes, room. The lock is not held. */
void clerk_examine(struct clerk *self, struct clerk_news *news);

#endif
