/* show.h - bytes from outside, made fit for one line of an error text or a log.
 *
 * Threads: pure.   Memory: none; results are structs by value, alive until the full expression
 * ends.   Limits: what does not fit is cut and ends in "...".
 */
#ifndef TRI_SHOW_H
#define TRI_SHOW_H

#include "common/types.h"

struct tri_shown {
    char text[100];
};

/* In double quotes; '"' and '\' escaped, other unprintable and non-ASCII bytes as \xNN. */
struct tri_shown tri_show(struct tri_bytes bytes);

/* The same as an argument of tri_fail. */
#define TRI_SHOW(bytes) (tri_show(bytes).text)
#define TRI_SHOW_TEXT(string) \
    (tri_show((struct tri_bytes){ (const uint8_t *)(string), __builtin_strlen(string) }).text)

/* Write the escaped bytes (no quotes) as a C string of at most room - 1 characters, cut with "..."
 * when they do not fit (room >= 8). Returns the length. */
size_t tri_escape(char *out, size_t room, struct tri_bytes bytes);

#endif
