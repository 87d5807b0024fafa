/* log.h - one line per event on stderr:
 *
 *     2026-01-31T23:59:59.123Z info worker.joined worker=w1 oars=8
 *
 * The event is a `noun.past-participle` that docs/RUNBOOK.md lists; the rest is `key=value`. Bytes
 * that are not printable ASCII come out as \xNN, so a line is always one line. Text from outside
 * goes through tri_log_quote, which also keeps blanks and quotes from looking like fields:
 *
 *     tri_log(TRI_LOG_INFO, "worker.joined", "name=%s oars=%u", TRI_QUOTE(name), oars);
 *
 * Threads: callable from anywhere; a line is one write(2), so lines never mix.
 * Memory:  no allocation.   Limits: a line is cut at 2048 bytes, marked with "...".
 */
#ifndef TRI_LOG_H
#define TRI_LOG_H

#include "common/types.h"

#define TRI_LOG_LEVEL_MAP(X) \
    X(ERROR, 0, "error")     \
    X(WARN, 1, "warn")       \
    X(INFO, 2, "info")       \
    X(DEBUG, 3, "debug")

enum tri_log_level {
#define X(name, code, text) TRI_LOG_##name = (code),
    TRI_LOG_LEVEL_MAP(X)
#undef X
};

/* Events above the level are dropped; INFO at start. The descriptor is 2 at start. */
void tri_log_level_set(enum tri_log_level level);
enum tri_log_level tri_log_level_get(void);
void tri_log_fd_set(int fd);

/* Its word, as the log writes it. */
const char *tri_log_level_name(enum tri_log_level level);
/* Find a level by its word: TRI_INVALID when there is none. */
enum tri_status tri_log_level_parse(const char *text, enum tri_log_level *level);

/* How loud an event is. */
struct tri_log_rank {
    const char *event;
    enum tri_log_level level;
};

/* Write what a pure part tells: "event key=value ...". The events of `ranks` have their level, all
 * others are for DEBUG. */
void tri_log_trace(const char *trace, const struct tri_log_rank *ranks, size_t count);

/* Write one line. `format` may be "" when there is nothing to add. errno is kept. */
void tri_log(enum tri_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct tri_log_text {
    char text[200];
};

/* A value safe to stand after `key=`: as it is when it is plain, else in double quotes with \" \\
 * \n \t \xNN; cut (with "...") when it does not fit. */
struct tri_log_text tri_log_quote(struct tri_bytes bytes);

/* For a C string, as an argument of a call (alive until the full expression ends). */
#define TRI_QUOTE(string) \
    (tri_log_quote((struct tri_bytes){ (const uint8_t *)(string), __builtin_strlen(string) }).text)

#endif
