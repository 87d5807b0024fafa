/* host_crash.h - who was on the faulting instruction.
 *
 * SEGV BUS ILL FPE ABRT SYS TRAP, raised by a thread of this process on itself, write the task
 * that the thread was inside into the host's table; then the signal takes its usual course. The
 * first one wins. A fault of our own code, outside handlers, names nobody.
 *
 * Threads: each rower calls crash_thread_init once; works on any stack (coroutines, overflows).
 */
#ifndef HOST_CRASH_H
#define HOST_CRASH_H

#include "worker/host_table.h"

#include <stddef.h>

struct tri_task;

/* The task whose handler the calling thread is in, or NULL. */
extern _Thread_local struct tri_task *crash_task __attribute__((tls_model("initial-exec")));

/* For the whole process, before threads. */
void crash_init(struct host_table *table);

/* An alternate stack for the calling thread's fault handler. */
void crash_thread_init(void **stack);
void crash_thread_deinit(void **stack);

#endif
