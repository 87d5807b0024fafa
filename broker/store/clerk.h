/* clerk.h - the thread that works on the store's file: it alone touches it once it runs.
 *
 * It takes all that is sealed as one transaction, so that what arrives while the disk syncs shares
 * the next sync; between transactions it reads what was asked for; when the log has grown, or
 * nothing happens, it folds the log into the file and gives free space back. What it has done is
 * left as news, and its descriptor becomes readable.
 *
 * Full disk: it spends the reserve, then waits for room and tries the same writes, and those sealed
 * since, again: after `full_ms`, and a last time when the store is closed. It reads meanwhile.
 *
 * Threads: the caller's (all functions) and its own.
 * Memory:  owns writes that were sealed, loads that are under way.
 */
#ifndef STORE_CLERK_H
#define STORE_CLERK_H

#include "broker/store/database.h"
#include "broker/store/reserve.h"

#include <pthread.h>

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
    pthread_t thread;
    bool is_running;
    int event_fd;
    uint64_t care_ms;  /* its own: idle for this long, it cares for the file; NEVER: no need */
    bool has_worked;   /* its own: since it last cared */
    struct writes job; /* its own: being written */
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

/* ---- clerk_work.c, for clerk.c --------------------------------------------------------------- */

/* The thread. */
void *clerk_work(void *clerk);

/* Fill in what the file and the disk say: rows, bytes, room. The lock is not held. */
void clerk_examine(struct clerk *self, struct clerk_news *news);

#endif
