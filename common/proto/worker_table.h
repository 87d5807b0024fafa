/* worker_table.h - the fields of the messages between a worker and its broker, and a worker and its
 * hosts. Part of message.h, which explains the notation; include that one. */
#ifndef TRI_PROTO_WORKER_TABLE_H
#define TRI_PROTO_WORKER_TABLE_H

/* ---- messages: worker and broker ------------------------------------------------------------ */

#define TRI_MSG_BATCH(U, I, S, B, R, L) \
    U(number, INT64_MAX)                \
    B(batch, 16)                        \
    B(spec, 1048576)
#define TRI_MSG_OARS(U, I, S, B, R, L) \
    U(number, INT64_MAX)               \
    U(width, 1000000)                  \
    U(model, 4)                        \
    U(status, UINT32_MAX)              \
    S(reason, 508)
#define TRI_MSG_BATCH_END(U, I, S, B, R, L) U(number, INT64_MAX)
#define TRI_MSG_LEASE(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                 \
    U(number, INT64_MAX)                \
    U(generation, INT64_MAX)            \
    U(first, INT64_MAX)                 \
    U(count, INT64_MAX)                 \
    U(attempt, INT64_MAX)               \
    U(flags, UINT32_MAX)                \
    U(result_bytes, INT64_MAX)
#define TRI_MSG_CREDIT(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                  \
    U(result_bytes, INT64_MAX)
#define TRI_MSG_REVOKE(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                  \
    U(first, INT64_MAX)                  \
    U(count, INT64_MAX)
#define TRI_MSG_CANCEL_LEASE(U, I, S, B, R, L) \
    U(lease, INT64_MAX)                        \
    R(ranges, 65536)
#define TRI_MSG_RESULTS(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                     \
    U(lease, INT64_MAX)                   \
    U(number, INT64_MAX)                  \
    U(generation, INT64_MAX)
#define TRI_MSG_PARTIAL(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                     \
    U(lease, INT64_MAX)                   \
    U(number, INT64_MAX)                  \
    U(generation, INT64_MAX)              \
    R(ranges, 1048576)                    \
    U(model, 4)                           \
    U(flags, UINT32_MAX)                  \
    U(wall_ns, INT64_MAX)                 \
    U(cpu_ns, INT64_MAX)                  \
    U(switches, INT64_MAX)
#define TRI_MSG_ENDED(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                   \
    U(lease, INT64_MAX)                 \
    U(number, INT64_MAX)                \
    U(generation, INT64_MAX)            \
    L(entries, entry, 65536)
#define TRI_MSG_RELEASED(U, I, S, B, R, L) \
    U(seq, INT64_MAX)                      \
    U(lease, INT64_MAX)                    \
    R(ranges, 65536)
#define TRI_MSG_RESULTS_OK(U, I, S, B, R, L) U(seq, INT64_MAX)

/* ---- messages inside one worker: session, launcher, hosts (never on the network) ------------- */

/* Start a host; with it travel, as SCM_RIGHTS, its link, its table and its command link. */
#define TRI_MSG_HOST_START(U, I, S, B, R, L) \
    U(host, INT64_MAX)                       \
    U(spawn, 1)                              \
    S(plugin, 4096)
#define TRI_MSG_HOST_UP(U, I, S, B, R, L) \
    U(host, INT64_MAX)                    \
    U(pid, INT64_MAX)
/* wait_status as waitpid() gives it; status and text when it could not be started at all. */
#define TRI_MSG_HOST_GONE(U, I, S, B, R, L) \
    U(host, INT64_MAX)                      \
    U(wait_status, UINT32_MAX)              \
    U(status, UINT32_MAX)                   \
    S(text, 508)
#define TRI_MSG_HOST_KILL(U, I, S, B, R, L) \
    U(host, INT64_MAX)                      \
    U(signal, 64)
/* Run a command: host to launcher. Frame 1: its standard input. */
#define TRI_MSG_RUN(U, I, S, B, R, L) \
    U(id, INT64_MAX)                  \
    L(argv, text, 4096)               \
    L(env, text, 4096)                \
    S(workdir, 4096)                  \
    U(output_bytes_max, INT64_MAX)
/* It ended and nothing of it is left. Frames 1 and 2: standard output and error. */
#define TRI_MSG_RAN(U, I, S, B, R, L) \
    U(id, INT64_MAX)                  \
    U(status, UINT32_MAX)             \
    S(text, 508)                      \
    U(wait_status, UINT32_MAX)        \
    U(truncated, 1)                   \
    U(wall_us, INT64_MAX)             \
    U(cpu_us, INT64_MAX)
/* End it: TERM, and KILL for the whole tree after grace_ms; RAN follows. */
#define TRI_MSG_STOP(U, I, S, B, R, L) \
    U(id, INT64_MAX)                   \
    U(grace_ms, INT64_MAX)

#endif
