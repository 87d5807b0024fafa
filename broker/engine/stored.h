/* stored.h - the heads of the store's rows: what recovery needs, as msgpack arrays
 * (docs/spec/3-storage.md, "Heads"). stored.c writes them, stored_open.c reads them again.
 *
 * Times are those of the durable clock: the milliseconds that the broker has run in all its lives.
 *
 * Threads: pure functions.
 * Memory:  writers append to the caller's buffer; what readers give borrows from the head.
 * Errors:  TRI_STORE with a text: bytes from a disk come from outside.
 */
#ifndef ENGINE_STORED_H
#define ENGINE_STORED_H

#include "broker/engine/row.h"
#include "common/buffer.h"
#include "common/proto/message.h"
#include "trireme/status.h"

struct engine;
struct batch;
struct chunk;
struct entry;
struct grade;

/* The formats of heads. A head of an older format is read as what it says; one of a newer is
 * refused. TASK 3: the history is in the head or in the payload. 2: it is in the head. 1: the last
 * try only. */
#define STORED_FORMAT 1
#define STORED_TASK_FORMAT 3

/* Ranges of one set that an acknowledgement folds into a BATCH head. */
#define STORED_RANGES_MAX 1024

/* Key 0 of META: [format, epoch, next batch number, cluster, clock_ms]. */
struct stored_meta {
    uint64_t epoch;
    uint64_t next_number;
    struct tri_bytes cluster; /* 16 bytes */
    uint64_t clock_ms;
};

/* The other keys of META: [format, kind, name]. */
enum stored_note_kind { NOTE_HANDLER = 1, NOTE_WORKER = 2 };

struct stored_note {
    uint64_t kind;
    struct tri_bytes name; /* of a handler; of a worker its instance, 16 bytes */
};

/* [format, uuid, name, principal, spec, state, sealed, halting, cancelling, generation, count,
 *  hash, reason, submitted, ended, rows, wall_ns, cpu_ns, workers, model, epoch, fed_by,
 *  appended_bytes, hashing, settled, cancelled, suspects, served_by] */
struct stored_batch {
    struct tri_bytes uuid;
    struct tri_bytes name;
    struct tri_bytes principal;
    struct tri_bytes spec;
    uint64_t state;
    uint64_t sealed;
    uint64_t halting;
    uint64_t cancelling;
    uint64_t generation;
    uint64_t count;
    struct tri_bytes hash; /* over the items; empty: a range */
    struct tri_bytes reason;
    uint64_t submitted;
    uint64_t ended; /* 0: it has not */
    uint64_t rows;  /* the name of the next */
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t workers;
    uint64_t model;
    uint64_t epoch; /* in which it was submitted */
    struct tri_bytes fed_by;
    uint64_t appended_bytes;
    struct tri_bytes hashing;   /* resume.h, while it is open */
    struct tri_bytes settled;   /* pairs: tasks whose rows have been acknowledged and folded */
    struct tri_bytes cancelled; /* pairs: those of them, and others, that are cancelled */
    struct tri_bytes suspects;  /* five numbers for each run, see stored_suspect */
    struct tri_bytes served_by; /* pairs: which workers `workers` counts */
};

/* Tasks that were in flight on workers that vanished: little-endian, one after the other. */
struct stored_suspect {
    uint64_t first;
    uint64_t count;
    uint64_t charges; /* failures and crashes, at that time */
    uint64_t vanished;
    uint64_t cap;
};

/* [format, count, hash, appended_bytes, hashing]: the last two as they are after this chunk. */
struct stored_chunk {
    uint64_t count;
    uint64_t hash;
    uint64_t appended_bytes;
    struct tri_bytes hashing;
};

/* [format, what, flags, wall_ns, cpu_ns, workers, ROW message]: the sums of the batch so far. */
enum stored_row_flag {
    ROW_ACKNOWLEDGED = 1, /* its payload is gone: it only says what has been settled */
    ROW_ON_RESERVE = 2,
};

struct stored_row {
    uint64_t what; /* enum row_what */
    uint64_t flags;
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t workers;
    struct tri_bytes message;
};

/* [format, outcome, attempts, failures, crashes, vanished, cap, dead, generation, due, history];
 * format 2 without the second and third; format 1 instead of the last: error, worker, wall_us,
 * cpu_us, model */
struct stored_task {
    uint64_t failures;
    uint64_t crashes;
    uint64_t vanished;
    uint64_t cap;
    uint64_t dead;
    uint64_t generation;
    uint64_t due; /* 0: it does not wait */
    uint64_t format;
    struct tri_bytes history; /* format 3: empty, it is the payload */
    /* Formats 1 and 3, the last try: of format 1 all but when that was, of format 3 its number and
     * outcome. */
    struct tri_rec_attempt last;
};

/* ---- writing -------------------------------------------------------------------------------- */

void stored_put_meta(struct engine *engine);
void stored_put_note(struct engine *engine,
                     uint64_t key,
                     enum stored_note_kind kind,
                     struct tri_bytes name);
void stored_batch(const struct engine *engine, struct batch *batch, struct tri_buffer *out);
void stored_chunk(const struct batch *batch, const struct chunk *chunk, struct tri_buffer *out);
void stored_row(const struct batch *batch,
                const struct row *row,
                uint64_t flags,
                struct tri_buffer *out);
void stored_task(const struct engine *engine,
                 const struct batch *batch,
                 const struct entry *entry,
                 const struct grade *grade,
                 uint64_t wait_ms,
                 bool has_history,
                 struct tri_buffer *out);

/* ---- reading -------------------------------------------------------------------------------- */

enum tri_status stored_open_meta(struct tri_bytes head,
                                 struct stored_meta *out,
                                 struct tri_error *error);
enum tri_status stored_open_note(struct tri_bytes head,
                                 struct stored_note *out,
                                 struct tri_error *error);
enum tri_status stored_open_batch(struct tri_bytes head,
                                  struct stored_batch *out,
                                  struct tri_error *error);
enum tri_status stored_open_chunk(struct tri_bytes head,
                                  struct stored_chunk *out,
                                  struct tri_error *error);
enum tri_status stored_open_row(struct tri_bytes head,
                                struct stored_row *out,
                                struct tri_error *error);
enum tri_status stored_open_task(struct tri_bytes head,
                                 struct stored_task *out,
                                 struct tri_error *error);

/* Pairs of a head, sorted and disjoint and below TRI_INDEX_END, into a set. */
enum tri_status stored_open_ranges(struct tri_bytes pairs,
                                   struct tri_rangeset *out,
                                   struct tri_error *error);

#endif
