/* client_table.h - the fields of the messages that any peer or a client exchanges with a broker.
 * Part of message.h, which explains the notation; include that one. */
#ifndef TRI_PROTO_CLIENT_TABLE_H
#define TRI_PROTO_CLIENT_TABLE_H

/* ---- messages: anyone ----------------------------------------------------------------------- */

#define TRI_MSG_HELLO(U, I, S, B, R, L) \
    U(version_min, UINT32_MAX)          \
    U(version_max, UINT32_MAX)          \
    U(features, INT64_MAX)              \
    U(role, 2)                          \
    B(instance, 16)                     \
    S(name, 64)                         \
    S(software, 64)                     \
    U(pid, INT64_MAX)                   \
    U(width, 1000000)                   \
    L(handlers, handler, 4096)          \
    L(labels, text, 64)                 \
    L(held, held, 65536)
#define TRI_MSG_WELCOME(U, I, S, B, R, L) \
    U(version, UINT32_MAX)                \
    U(features, INT64_MAX)                \
    B(cluster, 16)                        \
    U(epoch, INT64_MAX)                   \
    S(software, 64)                       \
    U(heartbeat_ms, INT64_MAX)            \
    U(lease_ms, INT64_MAX)                \
    U(message_bytes_max, INT64_MAX)       \
    U(item_bytes_max, INT64_MAX)          \
    L(dropped, lease_ref, 65536)
#define TRI_MSG_NO_SESSION(U, I, S, B, R, L)
#define TRI_MSG_ERROR(U, I, S, B, R, L) \
    U(request, INT64_MAX)               \
    U(status, UINT32_MAX)               \
    U(retry_after_ms, INT64_MAX)        \
    S(text, 508)
#define TRI_MSG_BYE(U, I, S, B, R, L) S(text, 508)
#define TRI_MSG_HEARTBEAT(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                       \
    U(busy, INT64_MAX)                      \
    L(leases, renew, 65536)
#define TRI_MSG_HEARTBEAT_OK(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                          \
    L(lost, lease_ref, 65536)

/* ---- messages: client and broker ------------------------------------------------------------ */

#define TRI_MSG_SUBMIT(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    B(batch, 16)                         \
    S(name, 256)                         \
    U(open, 1)                           \
    U(window_bytes, INT64_MAX)           \
    B(spec, 1048576)
#define TRI_MSG_ACCEPTED(U, I, S, B, R, L) \
    U(request, INT64_MAX)                  \
    U(number, INT64_MAX)                   \
    U(count, INT64_MAX)                    \
    B(hash, 16)                            \
    U(append_bytes_max, INT64_MAX)         \
    U(absent, 1)
#define TRI_MSG_APPEND(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    U(number, INT64_MAX)                 \
    U(first, INT64_MAX)
#define TRI_MSG_APPENDED(U, I, S, B, R, L) \
    U(number, INT64_MAX)                   \
    U(count, INT64_MAX)                    \
    B(hash, 16)                            \
    U(append_bytes_max, INT64_MAX)
#define TRI_MSG_SEAL(U, I, S, B, R, L) \
    U(request, INT64_MAX)              \
    U(number, INT64_MAX)               \
    U(count, INT64_MAX)
#define TRI_MSG_DONE(U, I, S, B, R, L) \
    U(request, INT64_MAX)              \
    U(count, INT64_MAX)
#define TRI_MSG_ATTACH(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    U(number, INT64_MAX)                 \
    B(batch, 16)                         \
    U(owner, 2)                          \
    U(window_bytes, INT64_MAX)           \
    R(have, 65536)
#define TRI_MSG_ATTACHED(U, I, S, B, R, L) \
    U(request, INT64_MAX)                  \
    U(number, INT64_MAX)                   \
    B(batch, 16)                           \
    U(count, INT64_MAX)                    \
    U(state, 4)                            \
    B(hash, 16)                            \
    U(append_bytes_max, INT64_MAX)         \
    B(spec, 1048576)                       \
    R(settled, 65536)
#define TRI_MSG_ROW(U, I, S, B, R, L) \
    U(number, INT64_MAX)              \
    U(generation, INT64_MAX)          \
    U(row, INT64_MAX)                 \
    U(kind, 2)                        \
    S(worker, 64)                     \
    R(ranges, 1048576)                \
    U(model, 4)
#define TRI_MSG_ACK(U, I, S, B, R, L) \
    U(number, INT64_MAX)              \
    R(rows, 65536)
#define TRI_MSG_PROGRESS(U, I, S, B, R, L) \
    U(number, INT64_MAX)                   \
    U(count, INT64_MAX)                    \
    U(pending, INT64_MAX)                  \
    U(delayed, INT64_MAX)                  \
    U(leased, INT64_MAX)                   \
    U(done, INT64_MAX)                     \
    U(dead, INT64_MAX)                     \
    U(cancelled, INT64_MAX)                \
    U(workers, INT64_MAX)
#define TRI_MSG_END(U, I, S, B, R, L) \
    U(number, INT64_MAX)              \
    U(generation, INT64_MAX)          \
    U(state, 4)                       \
    U(count, INT64_MAX)               \
    U(done, INT64_MAX)                \
    U(dead, INT64_MAX)                \
    U(cancelled, INT64_MAX)           \
    U(rows, INT64_MAX)                \
    U(wall_ns, INT64_MAX)             \
    U(cpu_ns, INT64_MAX)              \
    U(workers, INT64_MAX)             \
    U(elapsed_ms, INT64_MAX)          \
    S(reason, 512)
#define TRI_MSG_CANCEL(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    U(number, INT64_MAX)                 \
    R(tasks, 65536)
#define TRI_MSG_RETRY(U, I, S, B, R, L) \
    U(request, INT64_MAX)               \
    U(number, INT64_MAX)                \
    R(tasks, 65536)
#define TRI_MSG_FORGET(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    U(number, INT64_MAX)
#define TRI_MSG_LIST(U, I, S, B, R, L) \
    U(request, INT64_MAX)              \
    U(after, INT64_MAX)                \
    U(limit, 1000)
#define TRI_MSG_LISTED(U, I, S, B, R, L) \
    U(request, INT64_MAX)                \
    U(more, 1)                           \
    L(batches, batch_info, 1000)
#define TRI_MSG_SHOW(U, I, S, B, R, L) \
    U(request, INT64_MAX)              \
    U(number, INT64_MAX)               \
    U(after, INT64_MAX)                \
    U(limit, 1000)
#define TRI_MSG_SHOWN(U, I, S, B, R, L) \
    U(request, INT64_MAX)               \
    L(batches, batch_info, 1)           \
    B(spec, 1048576)                    \
    L(entries, entry, 1000)             \
    U(more, 1)
#define TRI_MSG_EXPLAIN(U, I, S, B, R, L) \
    U(request, INT64_MAX)                 \
    U(number, INT64_MAX)
#define TRI_MSG_EXPLAINED(U, I, S, B, R, L) \
    U(request, INT64_MAX)                   \
    L(lines, text, 1000)
#define TRI_MSG_WORKERS(U, I, S, B, R, L) U(request, INT64_MAX)
#define TRI_MSG_WORKERS_INFO(U, I, S, B, R, L) \
    U(request, INT64_MAX)                      \
    L(workers, worker_info, 65536)
#define TRI_MSG_TASKS(U, I, S, B, R, L) \
    U(request, INT64_MAX)               \
    U(number, INT64_MAX)                \
    U(after, INT64_MAX)                 \
    U(limit, 1000)
#define TRI_MSG_TASKS_INFO(U, I, S, B, R, L) \
    U(request, INT64_MAX)                    \
    L(tasks, task_info, 1000)                \
    U(more, 1)
#define TRI_MSG_ARGUMENTS(U, I, S, B, R, L) \
    U(request, INT64_MAX)                   \
    U(number, INT64_MAX)                    \
    R(tasks, 1000)
#define TRI_MSG_ARGUMENTS_INFO(U, I, S, B, R, L) \
    U(request, INT64_MAX)                        \
    U(status, UINT32_MAX)                        \
    R(tasks, 1000)                               \
    U(next, INT64_MAX)

#endif
