/* The tri_* functions that handlers call: what is the same for every kind of oar stands here, the
 * rest is asked of the task's kind. */
#include "worker/task.h"
#include "common/proto/codec.h"
#include "worker/oars/rower.h"
#include "worker/oars/task_state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERROR_BYTES_MAX 4096

uint64_t tri_task_index(const struct tri_task *task)
{
    return task->index;
}

uint64_t tri_task_attempt(const struct tri_task *task)
{
    return task->lease->attempt;
}

const struct tri_rec_spec *task_spec(const struct tri_task *task)
{
    return &task->rower->host->batch.spec;
}

uint64_t task_output_bytes_max(const struct tri_task *task)
{
    return task->rower->host->batch.output_bytes_max;
}

bool tri_cancelled(struct tri_task *task)
{
    if (task->ops->breathe != NULL)
        task->ops->breathe(task);
    return task_is_stopped(task);
}

void tri_progress(struct tri_task *task, double fraction)
{
    if (!(fraction >= 0))
        fraction = 0;
    task->ops->progress(task, fraction < 1 ? (uint64_t)(fraction * 1e6) : 1000000);
}

void *tri_task_alloc(struct tri_task *task, size_t size)
{
    return arena_alloc(&task->arena, size);
}

enum tri_status tri_task_fail(struct tri_task *task,
                              enum tri_status status,
                              const char *format,
                              ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        return status;
    if (size >= ERROR_BYTES_MAX)
        size = ERROR_BYTES_MAX - 1;
    text = arena_alloc(&task->arena, (size_t)size + 1);
    if (text == NULL)
        return status;
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    task->error = text;
    return status;
}

enum tri_status tri_result_bytes(struct tri_task *task,
                                 struct tri_result *out,
                                 enum tri_type type,
                                 const void *data,
                                 size_t size)
{
    uint8_t *copy;

    if (type < TRI_STRING || type > TRI_COMPOUND)
        return tri_task_fail(task, TRI_INVALID, "a result of bytes that is %d", (int)type);
    copy = arena_alloc(&task->arena, size);
    if (copy == NULL)
        return tri_task_fail(task, TRI_MEMORY, "no memory for a result of %zu bytes", size);
    if (size != 0)
        memcpy(copy, data, size);
    out->value.type = type;
    out->value.bytes = (struct tri_bytes){ copy, size };
    return TRI_OK;
}

enum tri_status tri_sleep(struct tri_task *task, double seconds)
{
    if (isnan(seconds))
        return tri_task_fail(task, TRI_INVALID, "cannot sleep for NaN seconds");
    return task->ops->sleep(task, seconds > 0 ? seconds : 0);
}

enum tri_status tri_wait_fd(
    struct tri_task *task, int fd, short events, int timeout_ms, short *ready)
{
    if (ready != NULL)
        *ready = 0;
    return task->ops->wait_fd(task, fd, events, timeout_ms, ready);
}

enum tri_status tri_offload(struct tri_task *task, void (*work)(void *context), void *context)
{
    return task->ops->offload(task, work, context);
}
