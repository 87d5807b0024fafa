/* arguments.h - arguments that are several integers: an array [a, b], or a line "a b". */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include "trireme/handler.h"

/* Read between `least` and `most` integers (most <= 8) into `out`; `*count` says how many. On
 * failure the task is told what was wanted (`form`, as in "[a, b]") and got. */
enum tri_status arguments_integers(struct tri_task *task,
                                   const struct tri_value *argument,
                                   const char *form,
                                   size_t least,
                                   size_t most,
                                   int64_t *out,
                                   size_t *count);

#endif
