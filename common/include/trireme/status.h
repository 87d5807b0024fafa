/* status.h - every way an operation can end, in one table.
 *
 * The number is the wire number (docs/spec/1-wire.md, "Status"): append, never renumber.
 * Threads: pure functions, callable from anywhere.
 */
#ifndef TRIREME_STATUS_H
#define TRIREME_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define TRI_API __attribute__((visibility("default")))

#define TRI_STATUS_MAP(X)                                                    \
    X(OK, 0, "success")                                                      \
    X(INVALID, 1, "malformed or out-of-range input")                         \
    X(NOTFOUND, 2, "no such batch, task or worker")                          \
    X(STALE, 3, "a result is already committed")                             \
    X(FULL, 4, "a configured limit is reached")                              \
    X(STORE, 5, "the store refused or lost a write")                         \
    X(CONFLICT, 6, "it differs from what was accepted before")               \
    X(BUSY, 7, "temporarily out of room, try again later")                   \
    X(NO_SPACE, 8, "the store is full")                                      \
    X(UNSUPPORTED, 9, "not offered by this version, build or configuration") \
    X(DENIED, 10, "not allowed for this principal or by this configuration") \
    X(VERSION, 11, "no common protocol version")                             \
    X(NO_SESSION, 12, "this peer has not said HELLO")                        \
    X(OVERFLOW, 13, "the exact result does not fit")                         \
    X(UNREACHABLE, 14, "the broker cannot be reached")                       \
    X(TIMEOUT, 15, "the time allowed has passed")                            \
    X(CANCELLED, 16, "cancelled")                                            \
    X(FAILED, 17, "the task failed")                                         \
    X(CRASHED, 18, "the task ended its process")                             \
    X(TOO_LARGE, 19, "a value is over its size limit")                       \
    X(MEMORY, 20, "out of memory")                                           \
    X(SYSTEM, 21, "the operating system refused")                            \
    X(CLOSED, 22, "the other side has ended the conversation")               \
    X(EMPTY, 23, "nothing there now")

enum tri_status {
#define X(name, code, text) TRI_##name = (code),
    TRI_STATUS_MAP(X)
#undef X
};

/* Why a call failed, for a human. Owned by the caller, usually on its stack; valid until the next
 * call that is given it. */
struct tri_error {
    enum tri_status status;
    char text[508];
};

/* The fixed English text of `status`. Static storage, never NULL. */
TRI_API const char *tri_status_text(enum tri_status status);

/* The name of `status` without its prefix, as in "NO_SPACE". Static storage, never NULL. */
TRI_API const char *tri_status_name(enum tri_status status);

/* Fill `*error` (which may be NULL) and return `status`, so that a failing branch is one line:
 *     return tri_fail(error, TRI_FULL, "batch %s", name); */
TRI_API enum tri_status tri_fail(struct tri_error *error,
                                 enum tri_status status,
                                 const char *format,
                                 ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

/* The analyzer looks into one file at a time: here it sees that a failure is never TRI_OK. */
#if defined(__clang_analyzer__) && !defined(TRI_FAIL_IS_DEFINED_HERE)
#define tri_fail(error, status, ...) ((void)tri_fail(error, status, __VA_ARGS__), (status))
#endif
#endif
