/* sim.h - one simulated world: virtual time, chance, and what everybody in it shares.
 *
 * The rules that ship (engine, worker session, client session) run unchanged in one thread. Around
 * them everything is made up, out of one seed: the network (net.h), the store and the broker's
 * shell (broker.h), hosts with their tasks (host.h), worker and client programs (worker.h,
 * client.h), what they are asked to do (plan.h) and what goes wrong (fault.h, mishap.h). The
 * checker (checker.h) watches all that is said and knows what must come of it.
 *
 * Nothing depends on addresses, on the real clock or on the order of a hash table: the same seed
 * gives the same world, and the same hash over everything that was said (sim->hash). Tracing draws
 * no random numbers.
 *
 * Time:    microseconds of virtual time; the parts see milliseconds, each on a clock of its own.
 * Threads: one.
 * Memory:  aborts when out.
 * Errors:  sim_fail says what was violated and how to replay it, and ends the program.
 */
#ifndef SIM_H
#define SIM_H

#include "common/frame.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/prng.h"
#include "common/proto/codec.h"

#include <stdbool.h>

#define SIM_MS UINT64_C(1000)
#define SIM_S UINT64_C(1000000)
#define SIM_ALWAYS 1000000u /* parts per million */

struct sim;
struct plan;
struct net;
struct broker;
struct worker;
struct client;
struct checker;
struct fault;
struct mishap;
struct stranger;
struct confused;
struct vault;
struct partition;

/* Something that happens at a time. */
struct sim_timer {
    struct tri_heap_node node;
    void (*fire)(struct sim *sim, void *context);
    void *context;
};

/* A process that can be stopped for a while (SIGSTOP, a starved machine) and has its own clock. */
struct sim_node {
    char name[24];
    uint64_t clock_ms; /* added to virtual time, around the end of 64 bits if need be */
    int64_t drift_ppm; /* by which it runs fast, or slow */
    bool clock_pauses; /* with it, at `pause_ms` */
    tri_time pause_ms;
    uint64_t stopped_until; /* its clock stood still until then, for so long */
    uint64_t stopped_us;
    uint64_t cut_until;    /* it connects to nobody before */
    uint64_t paused_until; /* odd, so that what waited comes before what is new */
};

struct sim_counts {
    uint64_t messages; /* between programs */
    uint64_t lost;     /* of them: vanished with their connection */
    uint64_t steps;    /* of the engine */
    uint64_t tasks;    /* begun in hosts */
    uint64_t results;  /* given to applications */
    uint64_t faults;
    uint64_t crashes; /* of them: of programs and hosts */
    uint64_t batches;
};

/* What a disk that tears has done (vault.h). */
struct vault_counts {
    uint64_t cuts;    /* of power */
    uint64_t kept;    /* blocks that were not synced, and got there */
    uint64_t lost;    /* ... or not */
    uint64_t torn;    /* cuts of which some blocks got there, and some did not */
    uint64_t halfway; /* deaths in the middle of a transaction, of upkeep, or of a start */
    uint64_t errors;  /* I/O errors of writes and syncs */
    uint64_t reads;   /* ... and of reads */
    uint64_t damaged; /* payloads that were read, and are not what was written */
};

struct sim {
    uint64_t seed;
    bool trace;
    bool mortal; /* its broker dies, too, and comes back with what its disk has */
    uint64_t now;
    uint64_t hash;
    struct tri_prng prng;
    struct tri_prng other; /* for what came later: seeds that were kept mean the same as before */
    struct tri_prng coda;  /* for what follows when all else is over (coda.h) */
    struct tri_heap queue;
    struct sim_counts counts;
    struct vault_counts vault_counts;
    bool calm;               /* faults have stopped */
    uint64_t troubled_until; /* ... and until then the last of them goes on */
    struct plan *plan;
    struct net *net;
    struct broker *broker;
    struct worker **workers;
    struct client **clients;
    struct checker *checker;
    struct fault *fault;
    struct mishap *mishap;
    struct stranger *stranger;   /* NULL: none */
    struct confused *confused;   /* NULL: nobody */
    struct vault *vault;         /* NULL: its store is made up (disk.h) */
    struct partition *partition; /* NULL: none */
    struct coda *coda_begun;     /* NULL: not */
    struct rough *rough;         /* NULL: nothing of that */
};

struct sim_options {
    bool trace;
    bool memory;  /* the broker has a store in memory: it never dies */
    bool hostile; /* there are strangers, and confusion (stranger.h, confused.h) */
    bool disk;    /* the broker's store ships, its disk tears (vault.h); many are cut off at once */
    bool rough;   /* ... and more of what clients ask and disks do (rough.h) */

    /* for the replay only */
    const char *program;
    uint64_t planted;
    uint64_t check_every;
    bool twice;
};

/* Live through one world from `seed`; on return everything in it has ended well. */
void sim_run(uint64_t seed, const struct sim_options *options, struct sim *result);

/* ---- time ----------------------------------------------------------------------------------- */

void sim_at(struct sim *sim, struct sim_timer *timer, uint64_t time);
void sim_after(struct sim *sim, struct sim_timer *timer, uint64_t delay);
void sim_cancel(struct sim *sim, struct sim_timer *timer);

/* What the clock of `node` says. */
tri_time sim_clock_ms(const struct sim *sim, const struct sim_node *node);

/* `node` stands still for `us`, and with `its_clock` that does, too. False: it does already. */
bool sim_pause(struct sim *sim, struct sim_node *node, uint64_t us, bool its_clock);

/* Set `timer` for when the clock of `node` says `at`; TRI_NEVER clears it. */
void sim_at_clock(struct sim *sim,
                  const struct sim_node *node,
                  struct sim_timer *timer,
                  tri_time at);

/* True when `node` stands still: `timer` fires again when it goes on. Messages come before ticks:
 * the inbox before the clock. */
bool sim_defers(struct sim *sim, const struct sim_node *node, struct sim_timer *timer, bool tick);

/* Its clock is as good as clocks are: it drifts by up to that much. */
void sim_drift(struct sim *sim, struct sim_node *node, uint64_t ppm_max);

/* A fault goes on until then. */
void sim_trouble(struct sim *sim, uint64_t until);

/* ---- chance --------------------------------------------------------------------------------- */

bool sim_chance(struct sim *sim, uint32_t ppm);
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high);

/* Between low and high, small ones as likely as large ones. low > 0. */
uint64_t sim_skewed(struct sim *sim, uint64_t low, uint64_t high);

/* The same from sim->other. */
bool sim_other_chance(struct sim *sim, uint32_t ppm);
uint64_t sim_other_between(struct sim *sim, uint64_t low, uint64_t high);
uint64_t sim_other_skewed(struct sim *sim, uint64_t low, uint64_t high);

/* ---- telling -------------------------------------------------------------------------------- */

/* One line of the story, when somebody listens. */
void sim_tell(const struct sim *sim, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The rules are broken. */
_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fold bytes into the world's hash. */
void sim_note(struct sim *sim, const void *data, size_t size);

/* Say how to see `seed` again: also when an assertion fails. */
void sim_remember(uint64_t seed, const struct sim_options *options);
void sim_replay(void);

#endif
