/* session.h - peers: who they are, whether they can be reached, and what a worker is good for.
 *
 * A session is named by the instance uuid of HELLO; the routing id only says where it is now. It
 * outlives its connection by lease_ms, so that the same peer on a new connection finds its leases
 * and attachments (docs/spec/2-lifecycle.md, "Sessions").
 *
 * Memory: sessions belong to the engine; session_end frees one and what hangs on it.
 */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "broker/engine/event.h"
#include "common/list.h"
#include "common/map.h"

struct engine;
struct batch;
struct principal;

/* How far a worker is from having enough. */
enum worker_appetite { WORKER_FULL, WORKER_ROOMY, WORKER_HUNGRY };

struct worker {
    struct session *session;
    uint64_t note;                 /* its row of META: the store knows of it (reclaim.c) */
    struct tri_dlist_node node;    /* engine->workers */
    struct tri_dlist_node touched; /* engine->touched_workers */
    uint8_t *offer;                /* the encoded lists of HELLO, handlers first */
    size_t handlers_size;
    size_t handler_count;
    size_t labels_size;
    size_t label_count;
    struct tri_bytemap handlers;
    struct tri_bytemap labels;
    uint64_t width;
    struct tri_dlist_head links;  /* class.h: the classes it can serve */
    struct tri_dlist_head berths; /* lease.h */
    struct tri_map berth_by_batch;
    enum worker_appetite appetite;
    uint64_t used;          /* of WORKER_WHOLE: what its leases occupy */
    uint64_t queue_ns;      /* work leased beyond its oars */
    uint64_t idle;          /* berths without leases */
    uint64_t eager;         /* berths that may get as many tasks of unknown length again */
    uint64_t slow;          /* berths with tasks that are long, or of unknown length */
    struct batch *answered; /* OARS has come in this step */
    uint64_t asked;         /* BATCH sent, OARS awaited */
    uint64_t asked_tasks;   /* that it may take when they have come */
    uint64_t leases;
    uint64_t suspects; /* leases of suspects that have something to run: none is added to one */
    uint64_t seq;      /* last report taken */
    bool seq_known;
    uint64_t busy; /* as last told */
    uint64_t tasks_leased;
    uint64_t tasks_done;
    uint64_t tasks_failed;
    tri_time heartbeat_at;
};

/* A worker's capacity: oars of different batches differ in size, so they are fractions of it. */
#define WORKER_WHOLE (UINT64_C(1) << 32)

/* Names of handlers that are remembered after their workers have gone. */
#define HANDLERS_KNOWN_MAX 65536

struct session {
    struct peer_id peer;
    bool connected;
    bool greeted;    /* it has answered on this connection, so it has had WELCOME */
    uint64_t queued; /* the last step with a SEND to it that waits */
    enum tri_role role;
    struct tri_uuid instance;
    struct principal *principal;
    char name[65];
    char software[65];
    uint64_t pid;
    tri_time heard;
    struct tri_dlist_node node;        /* engine->sessions */
    struct tri_dlist_head attachments; /* row.h */
    struct tri_dlist_head feeding;     /* open batches that it appends to */
    struct tri_dlist_head questions;   /* of this connection (question.h) */
    struct worker *worker;             /* NULL for a client */
};

/* Why a session ends: only silence makes suspects of what was in flight. */
enum session_end { SESSION_LEFT, SESSION_SILENT, SESSION_REPLACED };

/* The session behind a routing id, or NULL. */
struct session *session_find(struct engine *engine, const struct peer_id *peer);

/* Note that a peer has been heard. */
void session_hear(struct engine *engine, struct session *self);

/* Forget the connection, keep the session. */
void session_disconnect(struct engine *engine, struct session *self);

/* Give back leases, detach, free. */
void session_end(struct engine *engine, struct session *self, enum session_end why);

/* End every session that has been silent for lease_ms. */
void session_expire(struct engine *engine);

/* Free them all, as the engine ends. */
void session_destroy_all(struct engine *engine);

/* A session for a HELLO from an instance that is not known, without a connection yet. */
struct session *session_new(struct engine *engine, const struct event *event);

/* It is reached through this routing id now. */
void session_connect(struct engine *engine, struct session *self, const struct peer_id *peer);

/* ---- worker.c ---- */

struct worker *worker_new(struct engine *engine,
                          struct session *session,
                          const struct tri_msg_hello *hello);
void worker_destroy(struct engine *engine, struct worker *self);

/* What HELLO says it is good for. */
void worker_set_offer(struct engine *engine,
                      struct worker *self,
                      const struct tri_msg_hello *hello);

/* It cannot be reached now: others are asked instead. */
void worker_disconnect(struct engine *engine, struct worker *self);

/* All its leases go back; `vanished`: what was in flight is remembered (crash.c). */
void worker_give_back(struct engine *engine, struct worker *self, bool vanished);

/* Its oars or leases changed: dispatch looks at it before the step ends. */
void worker_touch(struct engine *engine, struct worker *self);

/* Free parts of WORKER_WHOLE. */
static inline uint64_t worker_free(const struct worker *self)
{
    return self->used >= WORKER_WHOLE ? 0 : WORKER_WHOLE - self->used;
}

/* ---- events ---- */

void on_hello(struct engine *engine, const struct event *event);
void on_bye(struct engine *engine, struct session *session, const struct tri_msg_bye *bye);
void on_heartbeat(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_heartbeat *heartbeat);
void on_peer_lost(struct engine *engine, const struct event *event);
void on_shutdown(struct engine *engine);

#endif
