/* task.h - what handlers that are part of the worker may ask beyond handler.h.
 *
 * Threads: from the task's own call only.   Memory: borrowed until the task ends.
 */
#ifndef TASK_H
#define TASK_H

#include "common/proto/message.h"
#include "trireme/handler.h"

/* The batch's spec: argv, env, workdir, flags for the command handler. */
const struct tri_rec_spec *task_spec(const struct tri_task *task);

/* How many bytes of output the task may have (spec.output_bytes_max, or the default). */
uint64_t task_output_bytes_max(const struct tri_task *task);

#endif
