/* broker_state.h - the broker's shell from inside. Private to broker*.c. */
#ifndef BROKER_STATE_H
#define BROKER_STATE_H

#include "common/list.h"
#include "tests/sim/broker.h"
#include "tests/sim/disk.h"

/* A message that waits for its commit. */
struct parcel {
    struct tri_dlist_node node;
    uint64_t ticket;
    uint64_t decided_at;
    struct peer_id peer;
    size_t count;
    struct tri_frame *frames[];
};

/* An event that performing effects has caused. */
struct errand {
    struct sim_timer timer;
    struct tri_dlist_node node;
    struct event event;
};

struct broker {
    struct sim_node node;
    struct engine *engine; /* NULL: it is not running */
    struct disk disk;
    struct sim_timer tick;
    struct sim_timer commit;
    struct sim_timer start;
    struct sim_timer fall;
    struct sim_timer look; /* at the disk */
    bool is_doomed;        /* it dies in the middle of its next commit */
    struct doom doom;
    bool rots;             /* a row of results is to be damaged, if there is one ... */
    uint64_t rot_number;   /* ... this of them, of so many as there are */
    uint64_t read_down_us; /* so long it is down when a read has failed */
    uint64_t full_until;   /* others have filled its disk: so many bytes of it are ours */
    uint64_t full_bytes;
    uint64_t room_told;
    struct tri_dlist_head outbox;
    struct tri_dlist_head errands;
    uint64_t ticket;  /* of the last commit that was begun */
    uint64_t durable; /* of the last one that is durable */
    bool is_dirty;    /* written since the last commit was begun */
    uint64_t stood;   /* how often the engine has stepped at one time */
    uint64_t stood_at;
    uint64_t quiet_until; /* after it stood still: peers are heard before anything expires */
};

/* ---- broker.c: its timers ------------------------------------------------------------------- */

void broker_on_tick(struct sim *sim, void *context);
void broker_end_commit(struct sim *sim, void *context);

/* How much room its disk has, if that has changed. */
void broker_tell_room(struct sim *sim);

/* ---- broker_life.c -------------------------------------------------------------------------- */

/* A commit is under way that takes `us`. False: it will fail. */
bool broker_face_doom(struct sim *sim, uint64_t us);

/* Rows of results have just become durable: damage one, if that is due. */
void broker_rot_rows(struct sim *sim);

/* Bytes that the disk has left, the reserve included. */
uint64_t broker_disk_left(const struct sim *sim);

#endif
