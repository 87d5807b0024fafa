/* clock.h - what time it is. Only shells read it; pure parts get `now` in their events.
 *
 * Threads: callable from anywhere, also after fork. No allocation.
 */
#ifndef TRI_CLOCK_H
#define TRI_CLOCK_H

#include "common/types.h"

/* Boot time (CLOCK_BOOTTIME: it counts suspend and no wall-clock change moves it). */
tri_time tri_clock_now_ms(void);
uint64_t tri_clock_now_ns(void);

/* CPU time of the calling thread and of the calling process. */
uint64_t tri_clock_thread_cpu_ns(void);
uint64_t tri_clock_process_cpu_ns(void);

/* Wall time in milliseconds since 1970, for display only. */
uint64_t tri_clock_wall_ms(void);

#define TRI_CLOCK_TEXT_SIZE 32

/* Write wall time as 2026-01-31T23:59:59.123Z (UTC). Returns `text`. */
char *tri_clock_text(uint64_t wall_ms, char text[TRI_CLOCK_TEXT_SIZE]);

#endif
