/* value.h - one task argument or result.
 *
 * A value is what msgpack can say (https://msgpack.org): nil, a truth value, a signed 64-bit
 * integer, a double, text bytes, binary bytes, or a compound (array or map), which stays in its
 * msgpack encoding. Text is bytes: no UTF-8 is assumed, a line of input may hold anything.
 *
 * Threads: plain data, no shared state.
 * Memory:  `bytes` is always borrowed; whoever made the value says for how long.
 */
#ifndef TRIREME_VALUE_H
#define TRIREME_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRI_TYPE_MAP(X)    \
    X(ANY, 0, "any")       \
    X(NIL, 1, "nil")       \
    X(BOOL, 2, "bool")     \
    X(INT, 3, "integer")   \
    X(FLOAT, 4, "number")  \
    X(STRING, 5, "string") \
    X(BINARY, 6, "binary") \
    X(COMPOUND, 7, "array or map")

/* TRI_ANY is only a declared argument type, never the type of a value. */
enum tri_type {
#define X(name, code, text) TRI_##name = (code),
    TRI_TYPE_MAP(X)
#undef X
};

/* A borrowed run of bytes. */
struct tri_bytes {
    const uint8_t *data;
    size_t size;
};

struct tri_value {
    enum tri_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct tri_bytes bytes; /* STRING, BINARY; COMPOUND: its whole msgpack encoding */
    };
};

#ifdef __cplusplus
}
#endif
#endif
