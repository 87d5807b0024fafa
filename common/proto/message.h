/* message.h - every message and record of the wire protocol, in one table: the fields stand in
 * record_table.h, client_table.h and worker_table.h.
 *
 * A message travels as one ZeroMQ multipart message: frame 0 is a msgpack array
 * [type, field, field, ..., extensions?], frames 1..n are payload (chunk.h) that is never decoded
 * on the way. A record is the same without the type: [field, ..., extensions?]. The optional last
 * element is a map from unsigned keys to values: unknown even keys are ignored, unknown odd keys
 * (critical) make the message UNSUPPORTED. Field order is the wire order: append, never reorder.
 *
 * Field kinds:  U unsigned up to the stated maximum      I signed 64-bit
 *               S text bytes up to the stated length     B binary bytes up to the stated length
 *               R ranges: binary, little-endian u64 pairs (first, count), sorted, disjoint, up to
 *                 the stated number of pairs             L list of records, up to the stated count
 *
 * Memory:  a decoded message borrows from frame 0; strings and lists are views into it.
 * Limits:  the numbers below; the decoder refuses what exceeds them with TRI_INVALID.
 *
 * docs/spec/1-wire.md says what each message means; tests/tidy compares its tables with these.
 */
#ifndef TRI_PROTO_MESSAGE_H
#define TRI_PROTO_MESSAGE_H

#include "common/proto/client_table.h"
#include "common/proto/record_table.h"
#include "common/proto/worker_table.h"
#include "common/types.h"

#define TRI_PROTOCOL_VERSION 1

enum tri_role { TRI_ROLE_CLIENT = 1, TRI_ROLE_WORKER = 2 };
enum tri_source { TRI_SOURCE_RANGE = 0, TRI_SOURCE_ITEMS = 1 };
enum tri_row_kind { TRI_ROW_VALUES = 0, TRI_ROW_PARTIAL = 1, TRI_ROW_ENTRIES = 2 };

/* When a batch stops starting tasks after failures. NOW also cancels what runs. */
enum tri_halt { TRI_HALT_NEVER = 0, TRI_HALT_SOON = 1, TRI_HALT_NOW = 2 };

#define TRI_BATCH_STATE_MAP(X) \
    X(OPEN, 0, "open")         \
    X(RUNNING, 1, "running")   \
    X(DONE, 2, "done")         \
    X(HALTED, 3, "halted")     \
    X(CANCELLED, 4, "cancelled")
enum tri_batch_state {
#define X(name, code, text) TRI_BATCH_##name = (code),
    TRI_BATCH_STATE_MAP(X)
#undef X
};

/* What one task may give. */
#define TRI_OUTPUT_BYTES_LIMIT 67108864u    /* whatever the spec says */
#define TRI_SPEC_OUTPUT_BYTES_MAX 16777216u /* spec.output_bytes_max when it is 0 */

/* Where a task of TASK_INFO stands. */
enum tri_task_state { TRI_TASK_RETRYING = 0, TRI_TASK_DEAD = 1, TRI_TASK_CANCELLED = 2 };

/* hello.features, welcome.features: what a peer understands beyond the first of this version. */
#define TRI_FEATURE_TASKS 1u     /* TASKS */
#define TRI_FEATURE_ARGUMENTS 2u /* ARGUMENTS */
#define TRI_FEATURES (TRI_FEATURE_TASKS | TRI_FEATURE_ARGUMENTS)

/* What ARGUMENTS_INFO holds of one value at most: the longest head of a string, and 1024 bytes. */
#define TRI_ARGUMENT_BYTES_MAX 1029u

/* Flags, by field. */
#define TRI_SPEC_TRUNCATE 1u /* spec.flags: cut output over output_bytes_max, do not fail */
#define TRI_SPEC_SPAWN 2u    /* spec.flags: one-oar hosts are spawned afresh, not forked */
#define TRI_SPEC_LINES                                                                          \
    4u                         /* spec.flags: string arguments are lines of input, converted by \
                                  the host to the type that the handler declares */
#define TRI_LEASE_ISOLATED 1u  /* lease.flags: run singly in one-oar hosts (suspects) */
#define TRI_RESULT_SAMPLED 1u  /* result.flags: times are estimates from samples */
#define TRI_ENTRY_UNCHARGED 1u /* entry.flags: does not use up an attempt */

#define TRI_MESSAGE_MAP(X)                \
    X(HELLO, 1, hello)                    \
    X(WELCOME, 2, welcome)                \
    X(NO_SESSION, 3, no_session)          \
    X(ERROR, 4, error)                    \
    X(BYE, 5, bye)                        \
    X(HEARTBEAT, 6, heartbeat)            \
    X(HEARTBEAT_OK, 7, heartbeat_ok)      \
    X(SUBMIT, 10, submit)                 \
    X(ACCEPTED, 11, accepted)             \
    X(APPEND, 12, append)                 \
    X(APPENDED, 13, appended)             \
    X(SEAL, 14, seal)                     \
    X(DONE, 15, done)                     \
    X(ATTACH, 16, attach)                 \
    X(ATTACHED, 17, attached)             \
    X(ROW, 18, row)                       \
    X(ACK, 19, ack)                       \
    X(PROGRESS, 20, progress)             \
    X(END, 21, end)                       \
    X(CANCEL, 22, cancel)                 \
    X(RETRY, 23, retry)                   \
    X(FORGET, 24, forget)                 \
    X(LIST, 25, list)                     \
    X(LISTED, 26, listed)                 \
    X(SHOW, 27, show)                     \
    X(SHOWN, 28, shown)                   \
    X(EXPLAIN, 29, explain)               \
    X(EXPLAINED, 30, explained)           \
    X(WORKERS, 31, workers)               \
    X(WORKERS_INFO, 32, workers_info)     \
    X(TASKS, 33, tasks)                   \
    X(TASKS_INFO, 34, tasks_info)         \
    X(ARGUMENTS, 35, arguments)           \
    X(ARGUMENTS_INFO, 36, arguments_info) \
    X(BATCH, 40, batch)                   \
    X(OARS, 41, oars)                     \
    X(BATCH_END, 42, batch_end)           \
    X(LEASE, 43, lease)                   \
    X(CREDIT, 44, credit)                 \
    X(REVOKE, 45, revoke)                 \
    X(CANCEL_LEASE, 46, cancel_lease)     \
    X(RESULTS, 47, results)               \
    X(PARTIAL, 48, partial)               \
    X(ENDED, 49, ended)                   \
    X(RELEASED, 50, released)             \
    X(RESULTS_OK, 51, results_ok)         \
    X(HOST_START, 60, host_start)         \
    X(HOST_UP, 61, host_up)               \
    X(HOST_GONE, 62, host_gone)           \
    X(HOST_KILL, 63, host_kill)           \
    X(RUN, 64, run)                       \
    X(RAN, 65, ran)                       \
    X(STOP, 66, stop)

enum tri_message_type {
#define X(name, code, lower) TRI_MESSAGE_##name = (code),
    TRI_MESSAGE_MAP(X)
#undef X
};

/* ---- the structs, made from the table ------------------------------------------------------- */

/* Borrowed ranges: little-endian u64 pairs inside a frame. Read with tri_ranges_at. */
struct tri_ranges {
    const uint8_t *data;
    size_t count;
};

/* Borrowed list of records: msgpack bytes inside a frame. Read with tri_list_next (codec.h). When
 * encoding, `data` holds `count` encoded records back to back. */
struct tri_list {
    const uint8_t *data;
    size_t size;
    size_t count;
};

#define TRI_FIELD_U(name, max) uint64_t name;
#define TRI_FIELD_I(name) int64_t name;
#define TRI_FIELD_S(name, max) struct tri_bytes name;
#define TRI_FIELD_B(name, max) struct tri_bytes name;
#define TRI_FIELD_R(name, max) struct tri_ranges name;
#define TRI_FIELD_L(name, record, max) struct tri_list name;
#define TRI_FIELDS(table) \
    table(TRI_FIELD_U, TRI_FIELD_I, TRI_FIELD_S, TRI_FIELD_B, TRI_FIELD_R, TRI_FIELD_L)

#define X(name, lower)             \
    struct tri_rec_##lower {       \
        TRI_FIELDS(TRI_REC_##name) \
    };
TRI_RECORD_MAP(X)
#undef X

#define X(name, code, lower)       \
    struct tri_msg_##lower {       \
        TRI_FIELDS(TRI_MSG_##name) \
    };
TRI_MESSAGE_MAP(X)
#undef X

struct tri_message {
    enum tri_message_type type;
    union {
#define X(name, code, lower) struct tri_msg_##lower lower;
        TRI_MESSAGE_MAP(X)
#undef X
    };
};

enum tri_record_type {
#define X(name, lower) TRI_RECORD_##name,
    TRI_RECORD_MAP(X)
#undef X
};

/* How a task ended, in its last attempt. */
static inline struct tri_rec_entry tri_entry_of(uint64_t index,
                                                const struct tri_rec_attempt *attempt)
{
    return (struct tri_rec_entry){
        .index = index,
        .outcome = attempt->outcome,
        .attempts = attempt->attempt,
        .error = attempt->error,
        .wall_us = attempt->wall_us,
        .cpu_us = attempt->cpu_us,
        .model = attempt->model,
        .worker = attempt->worker,
    };
}

/* The name of a message type as in "HELLO"; "?" outside the table. */
const char *tri_message_name(uint64_t type);

#endif
