/* types.h - the scalars and small structs that every part shares. */
#ifndef TRI_TYPES_H
#define TRI_TYPES_H

#include "trireme/status.h"
#include "trireme/value.h"

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of boot time (CLOCK_BOOTTIME); never wall time. */
typedef uint64_t tri_time;
#define TRI_NEVER UINT64_MAX

/* Indexes [first, first+count). */
struct tri_range {
    uint64_t first;
    uint64_t count;
};

/* A batch, instance or cluster identity: 128 random bits. */
struct tri_uuid {
    uint8_t bytes[16];
};

/* How a task ended, as its result says it (docs/spec/2-lifecycle.md); wire numbers. */
#define TRI_OUTCOME_MAP(X)       \
    X(OK, 0, "ok")               \
    X(FAILED, 1, "failed")       \
    X(TIMEOUT, 2, "timeout")     \
    X(CRASHED, 3, "crashed")     \
    X(TOO_LARGE, 4, "too-large") \
    X(CANCELLED, 5, "cancelled")

enum tri_outcome {
#define X(name, code, text) TRI_OUTCOME_##name = (code),
    TRI_OUTCOME_MAP(X)
#undef X
};

/* How tasks run; wire numbers. AUTO is only ever asked for, never what ran. */
#define TRI_MODEL_MAP(X)     \
    X(AUTO, 0, "auto")       \
    X(PROCESS, 1, "process") \
    X(THREAD, 2, "thread")   \
    X(ASYNC, 3, "async")     \
    X(SERIAL, 4, "serial")

enum tri_model {
#define X(name, code, text) TRI_MODEL_##name = (code),
    TRI_MODEL_MAP(X)
#undef X
};

/* The fixed text of an outcome or a model; "?" for a number outside the table. */
const char *tri_outcome_text(uint64_t outcome);
const char *tri_model_text(uint64_t model);

/* The type's word as in "integer"; "?" outside the table. */
const char *tri_type_text(uint64_t type);

/* What makes a plural of a counted noun: "" or "s". */
static inline const char *tri_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* Find a model by its word. Returns TRI_INVALID when there is none of that name. */
enum tri_status tri_model_parse(const char *text, enum tri_model *model);

#define tri_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define TRI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
