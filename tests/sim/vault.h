/* vault.h - in worlds of --disk: the broker's store as it ships (store_sqlite), stepped by hand on
 * a disk in memory (tests/contract/disk.h) that fails, fills up, and loses or tears what was not
 * synced.
 *
 * It is written to beside the model (disk.h), which goes on knowing what was written in which
 * commit. So what is found in the file after a crash can be compared, row by row, with what a whole
 * number of commits leaves; and what is loaded, with what was put.
 *
 * Its chance is a stream of its own: without a vault nobody draws from it.
 *
 * Memory: owns the store and the disk; there is one disk in a process.
 */
#ifndef SIM_VAULT_H
#define SIM_VAULT_H

#include "common/frame.h"
#include "tests/sim/broker.h"

/* After the plan was drawn, of which it draws more: what else befalls the broker. */
void vault_begin(struct sim *sim);
void vault_end(struct sim *sim);

/* Open the file. False: its disk failed or lost power meanwhile; it may be opened again. */
bool vault_open(struct sim *sim);

/* Hand all rows to `visit`; anything but TRI_OK ends it. False: as above. */
typedef enum tri_status vault_visit_fn(void *context,
                                       struct store_key key,
                                       struct tri_bytes head,
                                       uint64_t payload_bytes,
                                       struct tri_error *error);
bool vault_scan(struct sim *sim, vault_visit_fn *visit, void *context);

/* ---- writing -------------------------------------------------------------------------------- */

void vault_put(struct sim *sim,
               struct store_key key,
               struct tri_bytes head,
               const struct tri_frame *payload);
void vault_remove(struct sim *sim, struct store_key key, bool whole_batch);

/* Everything so far is one transaction, which is under way from now on. */
void vault_commit(struct sim *sim);

/* The disk does it; with `has_room` false there is none for it. False: it is not durable yet. */
bool vault_write(struct sim *sim, bool has_room);

/* ---- reading -------------------------------------------------------------------------------- */

void vault_fetch(struct sim *sim, struct store_key key);

/* The disk reads what was asked for. False: it failed, the store cannot be used any more. */
bool vault_load(struct sim *sim);

/* As store.h: fetched. TRI_STORE only of what has rotted. */
bool vault_fetched(struct sim *sim, struct store_key *key, enum tri_status *status);

/* The payload of a row can be sent now, and is this one. */
void vault_expect(const struct sim *sim, struct store_key key, struct tri_bytes payload);

/* ---- faults --------------------------------------------------------------------------------- */

/* A bit of this payload flips, if the file has it, and not only its log. Whoever has it in memory
 * does not notice. */
bool vault_rot(struct sim *sim, struct store_key key, struct tri_bytes payload);

/* All is forgotten: the file has nothing of it any more, but payloads that are about to go. */
void vault_check_rest(struct sim *sim);

/* The next read of a payload that needs the disk fails. */
void vault_fail_read(struct sim *sim);

/* The broker dies, perhaps in the middle of what its disk has to do. True: the transaction that was
 * under way had been called durable. */
bool vault_die(struct sim *sim, enum doom_how how);

/* How long it takes until somebody starts it again when it could not start. */
uint64_t vault_wait_us(struct sim *sim);

#endif
