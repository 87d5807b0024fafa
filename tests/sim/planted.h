/* planted.h - the bugs that the simulator must find, each within a thousand seeds.
 *
 * Every one of the guarantees of docs/spec and the design (section 6) is broken by one of them.
 * They stand in the code as PLANTED(NAME) (common/planted.h) and are chosen by number in
 * trireme-sim-planted; tests/sim/planted.py chooses them all, in worlds of --rough; those that want
 * the store that ships with --disk.
 *
 * Threads: one.
 */
#ifndef SIM_PLANTED_H
#define SIM_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

/* number, name, the file, the guarantee that it breaks, what it does */
#define PLANTED_MAP(X)                                                                             \
    X(1, ACCEPTED_EARLY, "broker/engine/submit.c", 1, "a batch is accepted before it is durable")  \
    X(2, ROW_EARLY, "broker/engine/out.c", 1, "a row is sent before it is durable")                \
    X(3, STOLEN_TAIL, "broker/engine/lease.c", 2, "the last task of a stolen slice is lost")       \
    X(4, RESUME_BLIND, "client/lib/append.c", 3,                                                   \
      "arguments that were lost with a connection are not sent again")                             \
    X(5, LAST_CHUNK, "broker/engine/recover.c", 3,                                                 \
      "arguments that were added last are not found again after a restart")                        \
    X(6, PARTIAL_TWICE, "broker/engine/result.c", 4,                                               \
      "a partial is folded although its tasks are done")                                           \
    X(7, EPOCH_FORGOTTEN, "broker/engine/recover.c", 4, "a restart begins no new epoch")           \
    X(8, STALE_FAILURE, "broker/engine/ended.c", 4,                                                \
      "the failure of a stale attempt is charged to the current one")                              \
    X(9, ROW_TWICE, "client/lib/rows.c", 5, "a row that comes again is applied again")             \
    X(10, READER_DELETES, "broker/engine/attach.c", 5,                                             \
      "what a reader has got is taken for acknowledged")                                           \
    X(11, CRASH_USES_RETRY, "broker/engine/ended.c", 6, "a crash uses up a retry")                 \
    X(12, VANISHED_CHARGED, "broker/engine/crash.c", 7, "a vanished worker is its task's fault")   \
    X(13, CANCEL_LATE, "broker/engine/cancel.c", 8, "what runs goes on after a cancel")            \
    X(14, RETENTION, "broker/engine/batch.c", 9, "results go when a lease would")                  \
    X(15, REPORT_EARLY, "broker/engine/out.c", 10,                                                 \
      "an acknowledgement is sent before what it acknowledges is durable")                         \
    X(16, WALL_CLOCK, "broker/engine/lease.c", 11, "leases go by a clock that jumps")              \
    X(17, CREDIT_IGNORED, "worker/session/reports.c", 12, "results go without credit")             \
    X(18, NEVER_RECEIVED, "broker/engine/heartbeat.c", 13,                                         \
      "a lease is renewed that its worker never got")                                              \
    X(19, UNSENT, "worker/session/reports.c", 13,                                                  \
      "reports that were lost with a connection are not sent again")                               \
    X(20, CHANCE, "broker/engine/engine.c", 14, "chance is another in the next world")             \
    X(21, DEADLINE_LATE, "worker/session/connection.c", 11,                                        \
      "a worker counts its deadline from the answer, not from what was answered")                  \
    X(22, SYNC_LATER, "broker/store/database_schema.c", 10, "a commit does not sync the log")      \
    X(23, DURABLE_EARLY, "broker/store/clerk_work.c", 1,                                           \
      "a transaction is called durable before the disk has it")                                    \
    X(24, SYNC_RETRIED, "broker/store/database_schema.c", 10, "a sync that failed is tried again") \
    X(25, RETRIED_SHOWN, "broker/engine/retry.c", 4, "failures that were retried are shown still") \
    X(26, SUM_IGNORED, "broker/store/database.c", 10, "a damaged payload passes for a good one")   \
    X(27, BACKOFF_LOST, "broker/engine/recover.c", 6, "what had to wait does not after a restart") \
    X(28, NOT_RECLAIMED, "broker/engine/reclaim.c", 10,                                            \
      "what runs is lost when the broker restarts")                                                \
    X(29, NO_GRACE, "broker/engine/batch.c", 3,                                                    \
      "an open batch is sealed while its client is away")                                          \
    X(30, CANCEL_UNHEARD, "worker/session/slices.c", 8,                                            \
      "hosts are not told of what was cancelled")                                                  \
    X(31, REMAINS, "broker/store/database_write.c", 9, "what is forgotten is not all deleted")     \
    X(32, LOSS_UNTOLD, "broker/engine/load.c", 12, "nobody is told that results are lost")

enum planted_bug {
    PLANTED_NONE,
#define X(number, name, file, guarantee, text) PLANTED_##name = (number),
    PLANTED_MAP(X)
#undef X
};

extern enum planted_bug planted_bug;

/* Choose one; 0: none. False: this program has no such bug. */
bool planted_choose(uint64_t number);

/* Print them, a line each: number, name, file, guarantee, text. */
void planted_list(void);

/* A clock that somebody sets: forward by a day, and back. */
uint64_t planted_wall(uint64_t now_ms);

/* Another number with every call. */
uint64_t planted_chance(void);

#endif
