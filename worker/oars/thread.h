/* thread.h - oars that are threads. Private to worker/oars/thread*.c. */
#ifndef THREAD_H
#define THREAD_H

#include "worker/oars/rower.h"

extern const struct task_ops thread_ops;

/* Task ops that talk to others (thread_calls.c). */
enum tri_status thread_command(struct tri_task *task,
                               const struct tri_command *command,
                               uint64_t output_bytes_max,
                               struct command_call *call);
enum tri_status thread_transfer(struct tri_task *task, struct transfer *transfer);

/* Between tasks (thread_idle.c), by the rower itself. Send what is in its box, and do what it was
 * knocked for. */
void thread_send_own(struct rower *self);

/* Grab the next run, waiting for it; the run before, of `count` tasks, took `elapsed_ns`. */
void thread_next_run(struct rower *self, uint64_t elapsed_ns, uint64_t count);

/* Under host->lock: its oar is nobody's. */
void thread_leave_slot(struct rower *self);

/* Under host->lock; what the rower has is the caller's at the moment (thread_watch.c). Apply what
 * its lease says is cancelled; `inside`: it is in a handler. */
void thread_obey_one(struct rower *self, bool inside);

#endif
