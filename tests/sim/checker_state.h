/* checker_state.h - what the checker remembers. Private to checker*.c. */
#ifndef CHECKER_STATE_H
#define CHECKER_STATE_H

#include "common/map.h"
#include "common/rangeset.h"
#include "tests/sim/checker.h"

#include <xxhash.h>

enum standing { STANDING_OPEN, STANDING_DONE, STANDING_DEAD, STANDING_CANCELLED };

/* Where one task stands, as far as can be seen from outside. */
struct task {
    uint8_t standing;
    uint8_t generation; /* of its row */
    uint8_t outcome;
    uint8_t charged;            /* greatest attempt whose failure was reported */
    uint8_t charged_generation; /* ... in this generation */
    uint8_t blamed;             /* crashes that faults inflicted */
    uint8_t over;               /* failures of generations up to that are not shown any more ... */
    uint8_t over_for_good;      /* ... and that is acknowledged */
    uint64_t over_at;
    uint64_t failed_at;        /* when the failure of ... */
    uint8_t failed_generation; /* ... this */
    uint8_t failed_attempt;    /* ... and this was reported first */
    uint8_t vanished;          /* workers that vanished with it alone: crashes, if it was suspect */
    uint64_t row;              /* where it ended */
    uint64_t lease;            /* the newest that it was in */
    uint64_t claimed;          /* an older one, with which its worker came back */
    uint64_t over_since;       /* its row was sent, or it was cancelled */
    uint64_t lease_before;     /* the newest when the broker died */
    uint16_t holder;           /* 1 + who got that */
    uint16_t alone_with;       /* 1 + the instance that has it alone now */
    uint16_t alone_gaps;       /* ... and how often that had been silent before */
    bool reported : 1;         /* a success has reached the broker, in any generation */
    bool asked : 1;            /* somebody wanted it cancelled */
    bool forbidden : 1;        /* cancelled before a success had reached the broker */
    bool for_good : 1;         /* ... and that was acknowledged */
    bool secured : 1;          /* the report of its success was acknowledged */
    bool in_chunk : 1;         /* of the row at hand */
    bool read : 1;             /* an application has it */
    bool retried : 1;          /* somebody has asked for that */
    bool spoiled : 1;          /* its argument may be lost */
    bool returned : 1;         /* its newest lease is over for it: it was reported, or given back */
};

struct row_seen {
    uint64_t hash;  /* of what does not change; 0: not seen */
    uint64_t tasks; /* the same of the tasks that it counts */
    uint64_t generation;
    bool failures;
    uint64_t bytes;
    bool acknowledged; /* by an owner */
    bool spoiled;      /* its payload may be damaged */
};

/* Who has been given room beyond the window. */
struct reserve {
    uint64_t lease; /* and has reported nothing since; 0: none */
    uint64_t at;    /* the last time */
    bool has_row;   /* it has, and this task was the last of its report */
    uint64_t last;
};

/* All about one batch. */
struct watch {
    const struct plan_batch *plan;
    uint64_t number;    /* 0: not accepted yet */
    uint64_t seen;      /* as workers were told */
    struct task *tasks; /* plan->count */
    uint64_t arrived;   /* arguments that have reached the broker */
    uint64_t told;      /* the count that it has acknowledged */
    uint64_t generation;
    uint64_t reported; /* tasks of which a success has reached the broker */
    bool stopped;      /* all of it was to be cancelled, or it halted */
    bool halted;
    uint64_t retries; /* that somebody asked for */
    bool sealed;      /* ... and was told that it is done */
    bool forgotten;   /* the same */
    bool ended;       /* END was said */
    uint64_t born;    /* the life of the broker in which it was accepted */
    uint64_t kept;    /* arguments that were acknowledged before the broker died last */
    bool shared;      /* another client than its submitter has been its owner */
    struct row_seen *rows;
    size_t row_count;
    uint64_t row_bytes_max;
    uint64_t credit_bytes_max; /* of one CREDIT */
    uint64_t beyond_bytes;     /* granted into a full window, and not landed */
    struct reserve reserve;
    uint64_t window_bytes; /* of its submitter; 0: others came, with windows of their own */
    bool was_asked;        /* SUBMIT came */
    uint64_t asked_life;   /* ... in that life of the broker, the last one */
    uint8_t fed_by[16];    /* the life of its client that was there last ... */
    uint64_t fed_at;       /* ... and when */
    uint64_t fed_before;   /* ... and before its last message */
    bool is_fed;           /* it has asked for it */
    bool was_away;         /* ... and was away since, for longer than an open batch waits for it */
    XXH3_state_t *hash;    /* over the first `hashed` values */
    uint64_t hashed;
    uint64_t append_credit; /* as its client was told */
    uint64_t append_bytes;  /* as its client has sent */
    uint64_t append_end;    /* how far that was */
    uint64_t readers;
};

struct reader {
    struct tri_dlist_node node;
    struct watch *watch;
    bool ordered;
    bool whole;
    uint64_t retries; /* that had been asked for when it began */
    uint64_t next;    /* ordered: none before it comes any more */
    uint64_t given;
    uint8_t *times; /* that each was given */
};

/* A SUBMIT whose answer names only the request. */
struct request {
    struct peer_id peer;
    uint64_t request;
    struct watch *watch;
};

/* A lease, as it was given. */
struct loan {
    struct watch *watch;
    uint64_t generation;
    uint64_t life; /* of the broker */
    uint64_t first;
    uint64_t count;
    struct tri_range *started; /* as its worker has said last */
    size_t started_count;
};

/* One life of a worker, and when the broker has heard of it. */
struct mate {
    uint8_t instance[16];
    uint64_t heard;
    uint16_t gaps;        /* silences of a lease's time */
    uint64_t renewed;     /* when its last heartbeat or HELLO was taken */
    struct tri_map names; /* the leases that it named there */
    struct tri_map lost;  /* those that it was told to be lost */
    struct tri_map kept;  /* those of the broker's last life that it must not lose */
    bool is_known;        /* to the broker, also when that comes back */
    bool was_known;       /* in its last life */
};

/* One life of a client, and where it speaks from. */
struct guest {
    uint8_t instance[16];
    struct peer_id peer;
};

/* Where it spoke from. */
struct route {
    struct peer_id peer;
    size_t mate;
};

#define VOWS_KEPT 64

/* Until when a worker may hold what it has, by its own clock: for a lease's time from when it sent
 * the newest message that has been answered. */
struct vow {
    uint64_t seq; /* of its heartbeats */
    tri_time sent_ms[VOWS_KEPT];
    tri_time hello_ms;
    tri_time confirmed_ms;
    uint64_t sent_at[VOWS_KEPT]; /* the heartbeats, by no clock of anybody */
    uint64_t answered;           /* when the one was sent that was answered last ... */
    uint64_t answered_at;        /* ... and when that was heard */
};

#define REQUESTS_KEPT 256

struct checker {
    struct watch watches[PLAN_BATCHES_MAX];
    struct tri_map numbers; /* to struct watch */
    struct request requests[REQUESTS_KEPT];
    size_t request_count;
    struct tri_map lent; /* leases, to struct loan */
    uint64_t life;       /* of the broker */
    uint64_t begun_at;   /* when that began */
    struct tri_dlist_head promises;
    bool has_refused;    /* NO_SESSION was the answer to the message at hand */
    uint64_t decided_at; /* the message at hand was to be sent then */
    uint64_t owed_lease; /* has just been given with tasks that had ended: the next message that the
                            broker sends has to take them back */
    struct tri_rangeset owed;
    struct watch *retrying; /* by the message at hand */
    struct mate *mates;
    size_t mate_count;
    struct route *routes;
    size_t route_count;
    struct tri_map leases[PLAN_WORKERS_MAX]; /* of a worker, to struct credit */
    uint64_t seqs[PLAN_WORKERS_MAX];
    struct vow vows[PLAN_WORKERS_MAX];
    struct tri_dlist_head windows;
    struct guest *guests;
    size_t guest_count;
    struct tri_dlist_head readers;
};

#endif
