#include "worker/oars/rower.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/value.h"
#include "worker/host_lease.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FDS_SPARED 16u /* for what the tasks themselves open */

bool rower_init(struct rower *self, struct host *host)
{
    struct rlimit limit;

    *self = (struct rower){ .host = host, .grain = 1 };
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return false;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0
        || (rlim_t)self->wake_fd + FDS_SPARED < limit.rlim_cur)
        return true;
    close(self->wake_fd);
    return false;
}

/* Another thread looks after what is ours: it does so under host->lock, so that having had the
 * lock means that it is done. */
void gate_wait(struct rower *self)
{
    pthread_mutex_lock(&self->host->lock);
    tri_assert(atomic_load_explicit(&self->gate, memory_order_relaxed) == GATE_OPEN);
    atomic_store_explicit(&self->gate, GATE_OWNED, memory_order_relaxed);
    pthread_mutex_unlock(&self->host->lock);
}

void rower_wake(struct rower *self)
{
    uint64_t one = 1;

    /* A full counter wakes as well. */
    if (write(self->wake_fd, &one, sizeof(one)) < 0)
        tri_assert(errno == EAGAIN);
}

void rower_drain(struct rower *self)
{
    uint64_t count;

    if (read(self->wake_fd, &count, sizeof(count)) < 0)
        tri_assert(errno == EAGAIN || errno == EINTR);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* "a string", "an integer", "nil". */
static const char *typed(enum tri_type type)
{
    static const char *const texts[] = {
        [TRI_ANY] = "anything",   [TRI_NIL] = "nil",
        [TRI_BOOL] = "a boolean", [TRI_INT] = "an integer",
        [TRI_FLOAT] = "a number", [TRI_STRING] = "a string",
        [TRI_BINARY] = "binary",  [TRI_COMPOUND] = "an array or map",
    };

    return texts[type];
}

bool rower_item(const struct batch *batch,
                const struct lease_chunk *chunk,
                uint64_t index,
                struct tri_value *argument,
                struct tri_error *error)
{
    const struct tri_handler *handler = batch->handler;

    if (chunk == NULL) {
        uint64_t integer = (uint64_t)batch->spec.first + index * (uint64_t)batch->spec.step;

        *argument = tri_value_int((int64_t)integer);
    } else {
        struct tri_bytes bytes = tri_chunk_at(&chunk->chunk, (uint32_t)(index - chunk->first));
        size_t size;

        if (unlikely(tri_value_unpack(bytes, argument, &size, error) != TRI_OK))
            return false;
    }
    if (likely(handler->argument == TRI_ANY || handler->argument == argument->type))
        return true;
    if (argument->type == TRI_STRING && (batch->spec.flags & TRI_SPEC_LINES) != 0)
        return tri_value_from_line(argument->bytes, handler->argument, argument, error) == TRI_OK;
    if (handler->argument == TRI_FLOAT && argument->type == TRI_INT) {
        *argument = tri_value_float((double)argument->integer);
        return true;
    }
    tri_fail(error, TRI_INVALID, "argument is %s, %s wants %s", typed(argument->type),
             handler->name, typed(handler->argument));
    return false;
}

/* ---- results -------------------------------------------------------------------------------- */

void rower_fail(struct host *host,
                struct box *box,
                struct tri_task *task,
                enum tri_status status,
                const struct tri_value *value,
                const struct task_cost *cost)
{
    enum tri_outcome outcome = status == TRI_TOO_LARGE ? TRI_OUTCOME_TOO_LARGE : TRI_OUTCOME_FAILED;
    const char *text = task->error != NULL ? task->error : tri_status_text(status);

    box_entry(box, task->index, outcome, host->model, tri_bytes_of(text), value, &host->batch,
              cost != NULL ? *cost : (struct task_cost){ 0, 0 });
}

void rower_refuse(struct host *host, struct box *box, struct tri_task *task, bool timeout)
{
    struct lease *lease = task->lease;

    tri_assert(!task->refused);
    task->refused = true;
    /* The argument lives in the lease for as long as the handler looks at it. */
    lease_hold(lease);
    if (timeout) {
        char text[64];
        struct task_cost cost = { host->batch.spec.timeout_ms * UINT64_C(1000000), 0 };

        snprintf(text, sizeof(text), "ran longer than its timeout of %llu ms",
                 (unsigned long long)host->batch.spec.timeout_ms);
        box_entry(box, task->index, TRI_OUTCOME_TIMEOUT, host->model, tri_bytes_of(text), NULL,
                  &host->batch, cost);
    } else {
        lease_settle(host, lease, 1);
    }
    atomic_store_explicit(&task->stop, true, memory_order_release);
}

void rower_account(struct rower *self, struct haul *haul)
{
    struct rusage usage;
    uint64_t cpu_ns = tri_clock_thread_cpu_ns();
    uint64_t switches;

    getrusage(RUSAGE_THREAD, &usage);
    switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
    if (haul != NULL) {
        haul->cpu_ns += cpu_ns - self->cpu_mark;
        haul->switches += switches - self->switch_mark;
    }
    self->cpu_mark = cpu_ns;
    self->switch_mark = switches;
}
