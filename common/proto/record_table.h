/* record_table.h - the fields of every record.
 * Part of message.h, which explains the notation; include that one. */
#ifndef TRI_PROTO_RECORD_TABLE_H
#define TRI_PROTO_RECORD_TABLE_H

/* ---- records -------------------------------------------------------------------------------- */

#define TRI_REC_TEXT(U, I, S, B, R, L) S(text, 131072)

#define TRI_REC_HANDLER(U, I, S, B, R, L) \
    S(name, 64)                           \
    U(argument, 7)                        \
    U(flags, UINT32_MAX)

/* Everything that says what a batch is. Stored and forwarded as bytes. */
#define TRI_REC_SPEC(U, I, S, B, R, L) \
    S(handler, 64)                     \
    L(argv, text, 4096)                \
    L(env, text, 4096)                 \
    S(workdir, 4096)                   \
    U(source, 1)                       \
    I(first)                           \
    I(step)                            \
    U(count, INT64_MAX)                \
    U(model, 4)                        \
    U(width, 1000000)                  \
    U(timeout_ms, INT64_MAX)           \
    U(retries, 1000000)                \
    U(crash_limit, 1000000)            \
    U(halt, 2)                         \
    U(halt_fail_count, INT64_MAX)      \
    U(halt_fail_percent, 100)          \
    U(priority, 1000)                  \
    L(labels, text, 64)                \
    S(reducer, 256)                    \
    S(plugin, 4096)                    \
    U(flags, UINT32_MAX)               \
    U(output_bytes_max, INT64_MAX)

/* A lease that a worker holds, in HELLO: what of it is not yet reported. */
#define TRI_REC_HELD(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                \
    U(number, INT64_MAX)               \
    R(ranges, 65536)

/* A lease renewed by name, with what has been started and not yet reported. */
#define TRI_REC_RENEW(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                 \
    U(result_bytes_wanted, INT64_MAX)   \
    R(started, 4096)

#define TRI_REC_LEASE_REF(U, I, S, B, R, L) U(lease, INT64_MAX)

/* How one exceptional task ended (worker to broker), or the final word on it (broker to client). */
#define TRI_REC_ENTRY(U, I, S, B, R, L) \
    U(index, INT64_MAX)                 \
    U(outcome, 5)                       \
    U(attempts, INT64_MAX)              \
    U(flags, UINT32_MAX)                \
    S(error, 4096)                      \
    B(value, 67108864)                  \
    U(wall_us, INT64_MAX)               \
    U(cpu_us, INT64_MAX)                \
    U(model, 4)                         \
    S(worker, 64)

#define TRI_REC_BATCH_INFO(U, I, S, B, R, L) \
    U(number, INT64_MAX)                     \
    B(batch, 16)                             \
    S(name, 256)                             \
    S(handler, 64)                           \
    S(owner, 64)                             \
    S(reducer, 256)                          \
    U(state, 4)                              \
    U(generation, INT64_MAX)                 \
    U(count, INT64_MAX)                      \
    U(pending, INT64_MAX)                    \
    U(delayed, INT64_MAX)                    \
    U(leased, INT64_MAX)                     \
    U(done, INT64_MAX)                       \
    U(dead, INT64_MAX)                       \
    U(cancelled, INT64_MAX)                  \
    U(age_ms, INT64_MAX)                     \
    U(elapsed_ms, INT64_MAX)                 \
    U(wall_ns, INT64_MAX)                    \
    U(cpu_ns, INT64_MAX)                     \
    U(model, 4)                              \
    U(workers, INT64_MAX)                    \
    S(reason, 512)

#define TRI_REC_WORKER_INFO(U, I, S, B, R, L) \
    S(name, 64)                               \
    B(instance, 16)                           \
    U(pid, INT64_MAX)                         \
    U(state, 2)                               \
    U(width, INT64_MAX)                       \
    U(busy, INT64_MAX)                        \
    U(leases, INT64_MAX)                      \
    U(tasks_leased, INT64_MAX)                \
    U(tasks_done, INT64_MAX)                  \
    U(tasks_failed, INT64_MAX)                \
    U(heartbeat_age_ms, INT64_MAX)            \
    S(version, 64)                            \
    L(handlers, handler, 4096)                \
    L(labels, text, 64)

/* Head of an item chunk (chunk.h). */
#define TRI_REC_ITEMS(U, I, S, B, R, L) \
    U(format, 1)                        \
    U(count, 1048576)

/* Head of a result chunk (chunk.h): which tasks, and what they cost together. task_us is empty or
 * holds two little-endian u32 for each value: its wall and its CPU time in microseconds. */
#define TRI_REC_RESULT(U, I, S, B, R, L) \
    U(format, 1)                         \
    U(count, 1048576)                    \
    R(runs, 1048576)                     \
    U(model, 4)                          \
    U(flags, UINT32_MAX)                 \
    U(wall_ns, INT64_MAX)                \
    U(cpu_ns, INT64_MAX)                 \
    U(switches, INT64_MAX)               \
    B(task_us, 8388608)

/* Body of a row of entries: TRI_ROW_ENTRIES. */
#define TRI_REC_ENTRIES(U, I, S, B, R, L) L(entries, entry, 65536)

/* One charged try of a task, and a task with those of its tries that are kept. */
#define TRI_REC_ATTEMPT(U, I, S, B, R, L) \
    U(attempt, INT64_MAX)                 \
    U(outcome, 5)                         \
    U(model, 4)                           \
    S(worker, 64)                         \
    S(error, 512)                         \
    U(wall_us, INT64_MAX)                 \
    U(cpu_us, INT64_MAX)                  \
    U(age_ms, INT64_MAX)                  \
    U(restarts, INT64_MAX)
#define TRI_REC_TASK_INFO(U, I, S, B, R, L) \
    U(index, INT64_MAX)                     \
    U(state, 2)                             \
    L(history, attempt, 64)

#define TRI_RECORD_MAP(X)       \
    X(TEXT, text)               \
    X(HANDLER, handler)         \
    X(SPEC, spec)               \
    X(HELD, held)               \
    X(RENEW, renew)             \
    X(LEASE_REF, lease_ref)     \
    X(ENTRY, entry)             \
    X(BATCH_INFO, batch_info)   \
    X(WORKER_INFO, worker_info) \
    X(ITEMS, items)             \
    X(RESULT, result)           \
    X(ENTRIES, entries)         \
    X(ATTEMPT, attempt)         \
    X(TASK_INFO, task_info)

#endif
