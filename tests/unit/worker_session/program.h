/* program.h - the real trireme-worker and a broker that is nothing but a ROUTER.
 *
 * The worker finds its broker at an ipc endpoint in a directory of its own. Heartbeats are answered
 * while something is awaited. Waiting ends after PATIENCE_MS, which is only ever reached when
 * something is wrong.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "common/proto/chunk.h"

#include <check.h>
#include <sys/types.h>

#define PATIENCE_MS 25000

/* Start `trireme-worker --broker ... ARGS`; ends with NULL. */
void worker_starts(const char *const *args);

/* Kill what is left of it and remove the directory. */
void worker_is_removed(void);

pid_t worker_pid(void);

/* Its exit status, or minus the signal that ended it. */
int worker_exits(void);

/* The next message that is not a heartbeat; borrowed until the next one. `frame` (may be NULL) gets
 * payload frame 1. */
const struct tri_message *broker_hears(struct tri_bytes *frame);

/* The next message must be of this type. */
const struct tri_message *broker_awaits(enum tri_message_type type, struct tri_bytes *frame);
void broker_says(const struct tri_message *message, struct tri_bytes frame);

/* HELLO and WELCOME. Returns HELLO. */
const struct tri_message *worker_joins(void);

/* BATCH, and OARS awaited: returns OARS. `spec` gets a source if it has none. */
const struct tri_msg_oars *batch_comes(const struct tri_rec_spec *spec);
void lease_comes(uint64_t lease, uint64_t first, uint64_t count, struct tri_bytes items);

/* Take reports, acknowledging each, until `count` tasks have ended. Entries and values go to the
 * functions, which may be NULL. */
typedef void program_value_fn(uint64_t index, struct tri_bytes value);
typedef void program_entry_fn(const struct tri_rec_entry *entry);
void tasks_end(uint64_t count, program_value_fn *value, program_entry_fn *entry);

/* A process that lives (zombies do not). */
bool is_alive(pid_t pid);

/* All living descendants of the worker, at most `max`. */
size_t worker_descendants(pid_t *pids, size_t max);

/* Wait until none of them lives. */
void all_die(const pid_t *pids, size_t count);

/* The pid of the worker's descendant whose command line holds `word`; 0: none. */
pid_t find_descendant(const char *word);

#endif
