/* scenario_expect.h - what the engine of a story must have sent and stored. Part of scenario.h,
 * which includes it. */
#ifndef SCENARIO_EXPECT_H
#define SCENARIO_EXPECT_H

#include "tests/engine/scenario.h"

/* ---- what must have been sent ---- */

/* The next line to this peer. */
void expect(struct scenario *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* It waited for durability, whatever the store does (or not at all). */
void expect_waiting(struct scenario *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* It waits, but not for a store that is full. */
void expect_informing(struct scenario *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void expect_prompt(struct scenario *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void expect_nothing_else(struct scenario *s);

/* Drop what waits for this peer. */
void ignore(struct scenario *s, const char *name);
bool was_ever_sent(struct scenario *s, const char *name, const char *line);
bool was_sent(struct scenario *s, const char *name, const char *start);

/* Of what begins so and has been sent to this peer and not dropped. */
enum haste haste_of(struct scenario *s, const char *name, const char *start);
size_t sent_count(struct scenario *s, const char *name);
const char *next_line(struct scenario *s, const char *name);
void expect_trace(struct scenario *s, const char *part);
void expect_row(struct scenario *s, enum store_table table, const char *batch, uint64_t key);
void expect_no_row(struct scenario *s, enum store_table table, const char *batch, uint64_t key);

#endif
