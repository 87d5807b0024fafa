/* story.h - a session between a fake broker and fake hosts, told line by line.
 *
 * Every effect (TRACE apart) becomes one line; a story expects them in order, and anything that is
 * left over when the next thing happens fails. session_check runs after every event.
 *
 *     HELLO [LEASE:RANGES ...]                     HEARTBEAT busy N [LEASE:STARTED[!WANTED] ...]
 *     OARS BATCH MODEL xWIDTH | refused STATUS     BYE TEXT
 *     RESULTS #SEQ lease L: RANGES                 PARTIAL #SEQ lease L: RANGES
 *     ENDED #SEQ lease L: INDEX OUTCOME (TEXT)     RELEASED #SEQ lease L: RANGES
 *     start HOST MODEL xWIDTH [spawn]              end HOST          kill HOST SIGNAL
 *     to HOST: BATCH [output BYTES] | OARS | LEASE SLICE RANGE [items A..B/FRAMES] | REVOKE SLICE
 * RANGE | CANCEL SLICE RANGES connect                                      exit STATUS
 *
 * Ranges are first+count, joined by commas.
 */
#ifndef STORY_H
#define STORY_H

#include "worker/session.h"

#include <check.h>

#define CORES 2
#define CREDIT (UINT64_C(1) << 40)

struct story_range {
    uint64_t first;
    uint64_t count;
};

/* ---- the cast -------------------------------------------------------------------------------- */

/* A session on a machine of CORES cores; handlers: compute, wait (waits), unsafe (process_only).
 * NULL: the defaults. */
typedef void story_change_fn(struct session_options *options);
void session_begins(story_change_fn *change);
void session_ends(void);

/* CONNECTED, HELLO, WELCOME, all expected. */
void worker_joins(void);

/* ---- the broker ------------------------------------------------------------------------------ */

void broker_says(const struct tri_message *message);
void broker_welcomes(uint64_t dropped_lease); /* 0: none */
void broker_of_cluster_welcomes(uint8_t cluster);
void broker_with_lease_ms_welcomes(uint64_t lease_ms);
struct tri_uuid greeted_as(void);  /* the instance of the last HELLO */
void broker_takes(uint64_t bytes); /* messages of at most so many, it will say; 0: does not */
void broker_acknowledges(uint64_t seq);
void broker_answers_heartbeat(uint64_t lost_lease);
void batch_comes(uint64_t number, const char *handler, enum tri_model model, uint64_t width);
void batch_with(uint64_t number, const struct tri_rec_spec *spec);
void batch_ends(uint64_t number);
void lease_comes(uint64_t lease, uint64_t number, uint64_t first, uint64_t count);
void lease_with(const struct tri_msg_lease *lease);
void credit_comes(uint64_t lease, uint64_t bytes);
void broker_revokes(uint64_t lease, uint64_t first, uint64_t count);
void broker_cancels(uint64_t lease, uint64_t first, uint64_t count); /* 0+0: all */

/* A lease of items whose values are their indexes, in frames of `per_frame`. */
void items_come(
    uint64_t lease, uint64_t number, uint64_t first, uint64_t count, uint64_t per_frame);

/* ---- hosts ----------------------------------------------------------------------------------- */

/* Values of [first, first+count), each of which took `task_us`. */
void host_returns(uint64_t host, uint64_t slice, uint64_t first, uint64_t count, uint64_t task_us);
void host_returns_runs(uint64_t host,
                       uint64_t slice,
                       const struct story_range *runs,
                       size_t run_count,
                       uint64_t value_bytes);
void host_folds(uint64_t host, uint64_t slice, uint64_t first, uint64_t count);
void host_ends_task(uint64_t host, uint64_t slice, uint64_t index, enum tri_outcome outcome);
void host_gives_back(uint64_t host, uint64_t slice, uint64_t first, uint64_t count);
void host_wants_out(uint64_t host, enum tri_status status, const char *reason);

/* It dies of `signal` (0: exits with status 3). */
void host_is_killed(uint64_t host, int signal, const struct session_task *started, size_t count);
void host_crashes(uint64_t host, int signal, struct session_task culprit);
void host_does_not_start(uint64_t host);
void host_stalls(uint64_t host, struct session_task task);

/* ---- time and the rest ----------------------------------------------------------------------- */

void event_comes(struct session_event *event);
void simple_event(enum session_event_type type);

/* Ticks come when they are due. `started` is what tables say meanwhile. */
void time_passes_ms(uint64_t ms);
void hosts_are_on(const struct session_task *started, size_t count);

void expect(const char *format, ...) __attribute__((format(printf, 1, 2)));
void expect_nothing_else(void);

/* The batch and its host of many oars, expected: `expect_host(1, "thread", 2)`. */
void expect_host(uint64_t host, const char *model, uint64_t width);

#endif
