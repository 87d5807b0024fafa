/* parse.h - numbers, durations, sizes and ranges as people write them in flags and files.
 *
 * Strict: the whole text must be of the form; blanks only where stated; every error says what was
 * got and what is wanted. Digits may be grouped with single underscores between digits: 1_000_000.
 *
 * Threads: pure.   Memory: none.   Errors: TRI_INVALID with a text; `*out` is then untouched.
 */
#ifndef TRI_PARSE_H
#define TRI_PARSE_H

#include "common/types.h"

/* An integer within [min, max]. u64: digits; i64: also a leading '-' or '+'. */
enum tri_status tri_parse_u64(
    const char *text, uint64_t min, uint64_t max, uint64_t *out, struct tri_error *error);
enum tri_status tri_parse_i64(
    const char *text, int64_t min, int64_t max, int64_t *out, struct tri_error *error);

/* A decimal number: 12, -0.5, 1e6, 1_000.25; "inf", "nan" and hexadecimal are refused, and so is
 * what rounds to infinity. The decimal point is '.', whatever the locale. */
enum tri_status tri_parse_double(const char *text, double *out, struct tri_error *error);

/* The same for bytes that need not end in NUL, for the arguments of tasks: no underscores. */
enum tri_status tri_parse_bytes_i64(struct tri_bytes text, int64_t *out, struct tri_error *error);
enum tri_status tri_parse_bytes_double(struct tri_bytes text, double *out, struct tri_error *error);

/* A duration: components of a number (fraction allowed) and a unit, largest unit first, blanks
 * between them allowed: "1h 30m", "500ms", "1.5s", "2d", "250us". Units: d h m s ms us. A bare
 * number is seconds. Rounded up to whole milliseconds, so that only 0 is 0. At most 2^62 ms. */
enum tri_status tri_parse_duration_ms(const char *text, uint64_t *out, struct tri_error *error);

/* A size in bytes: "512", "8M", "1.5G", "64KiB"; K M G T are powers of 1024 (also as KB, KiB). */
enum tri_status tri_parse_size(const char *text, uint64_t *out, struct tri_error *error);

/* The integers first, first + step, ...: `count` of them, at least one, none overflows. */
struct tri_span {
    int64_t first;
    int64_t step;
    uint64_t count; /* at most INT64_MAX */
};

/* A range "A-B" or "A-B:STEP", both ends included, negatives allowed: "1-64", "-5--1", "0-100:10",
 * "10-1:-3". A single "A" is one integer. The step is not 0 and leads from A towards B. */
enum tri_status tri_parse_range(const char *text, struct tri_span *out, struct tri_error *error);

#endif
