/* lifecycle.h - the states of things and where each may go from there.
 *
 * docs/spec/2-lifecycle.md holds the same tables; tests/tidy compares them. Batches and berths have
 * a state variable, set only through LIFE_ALLOWS; a task's state is the set that it is in, a
 * lease's and a session's follow from what is known of them.
 */
#ifndef ENGINE_LIFECYCLE_H
#define ENGINE_LIFECYCLE_H

#include <stdint.h>

#define LIFE_TO(state) (UINT32_C(1) << (state))

/* X(state, next states): enum tri_batch_state */
#define LIFE_BATCH_MAP(X)                                                                 \
    X(TRI_BATCH_OPEN, LIFE_TO(TRI_BATCH_RUNNING))                                         \
    X(TRI_BATCH_RUNNING,                                                                  \
      LIFE_TO(TRI_BATCH_DONE) | LIFE_TO(TRI_BATCH_HALTED) | LIFE_TO(TRI_BATCH_CANCELLED)) \
    X(TRI_BATCH_DONE, LIFE_TO(TRI_BATCH_RUNNING))                                         \
    X(TRI_BATCH_HALTED, LIFE_TO(TRI_BATCH_RUNNING))                                       \
    X(TRI_BATCH_CANCELLED, LIFE_TO(TRI_BATCH_RUNNING))

enum task_state {
    TASK_PENDING,
    TASK_DELAYED,
    TASK_LEASED,
    TASK_DONE,
    TASK_DEAD,
    TASK_CANCELLED,
};

#define LIFE_TASK_MAP(X)                                                                  \
    X(TASK_PENDING, LIFE_TO(TASK_LEASED) | LIFE_TO(TASK_DONE) | LIFE_TO(TASK_CANCELLED))  \
    X(TASK_DELAYED, LIFE_TO(TASK_PENDING) | LIFE_TO(TASK_DONE) | LIFE_TO(TASK_CANCELLED)) \
    X(TASK_LEASED, LIFE_TO(TASK_PENDING) | LIFE_TO(TASK_DELAYED) | LIFE_TO(TASK_DONE)     \
                       | LIFE_TO(TASK_DEAD) | LIFE_TO(TASK_CANCELLED))                    \
    X(TASK_DONE, 0)                                                                       \
    X(TASK_DEAD, LIFE_TO(TASK_PENDING))                                                   \
    X(TASK_CANCELLED, 0)

enum lease_state { LEASE_LOADING, LEASE_HELD, LEASE_GONE };

#define LIFE_LEASE_MAP(X)                                       \
    X(LEASE_LOADING, LIFE_TO(LEASE_HELD) | LIFE_TO(LEASE_GONE)) \
    X(LEASE_HELD, LIFE_TO(LEASE_GONE))                          \
    X(LEASE_GONE, 0)

enum session_state { SESSION_CONNECTED, SESSION_DISCONNECTED, SESSION_ENDED };

#define LIFE_SESSION_MAP(X)                                                                \
    X(SESSION_CONNECTED,                                                                   \
      LIFE_TO(SESSION_CONNECTED) | LIFE_TO(SESSION_DISCONNECTED) | LIFE_TO(SESSION_ENDED)) \
    X(SESSION_DISCONNECTED, LIFE_TO(SESSION_CONNECTED) | LIFE_TO(SESSION_ENDED))           \
    X(SESSION_ENDED, 0)

enum berth_state {
    BERTH_ASKED,   /* BATCH sent */
    BERTH_LATE,    /* OARS has not come for so long that others are asked */
    BERTH_MANNED,  /* OARS came; width may be 0 for now */
    BERTH_REFUSED, /* OARS came with a status */
    BERTH_GONE,
};

#define LIFE_BERTH_MAP(X)                                                                         \
    X(BERTH_ASKED,                                                                                \
      LIFE_TO(BERTH_LATE) | LIFE_TO(BERTH_MANNED) | LIFE_TO(BERTH_REFUSED) | LIFE_TO(BERTH_GONE)) \
    X(BERTH_LATE, LIFE_TO(BERTH_MANNED) | LIFE_TO(BERTH_REFUSED) | LIFE_TO(BERTH_GONE))           \
    X(BERTH_MANNED, LIFE_TO(BERTH_MANNED) | LIFE_TO(BERTH_REFUSED) | LIFE_TO(BERTH_GONE))         \
    X(BERTH_REFUSED, LIFE_TO(BERTH_MANNED) | LIFE_TO(BERTH_REFUSED) | LIFE_TO(BERTH_GONE))        \
    X(BERTH_GONE, 0)

/* True when `map` has a way from one state to the other. */
#define LIFE_WAY(state, next) [state] = (next),
#define LIFE_ALLOWS(map, from, to) ((((const uint32_t[]){ map(LIFE_WAY) })[from] >> (to)) & 1u)

#endif
