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

/* Under host->lock: its oar is nobody's. */
void thread_leave_slot(struct rower *self);

/* Under host->lock; what the rower has is the caller's at the moment (thread_watch.c). Apply what
 * its lease says is cancelled; `inside`: it is in a handler. */
void thread_obey_one(struct rower *self, bool inside);

#endif
