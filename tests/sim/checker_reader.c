/* Readers: what applications are given. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "common/proto/chunk.h"

#include <stdio.h>
#include <stdlib.h>

struct reader *checker_reads(struct sim *sim,
                             const struct plan_batch *batch,
                             bool ordered,
                             bool whole)
{
    struct reader *self = tri_alloc(1, sizeof(*self));

    self->watch = &sim->checker->watches[batch->id];
    self->ordered = ordered && batch->reducer == NULL;
    self->whole = whole;
    self->retries = self->watch->retries;
    self->times = tri_alloc(batch->count + 1, 1);
    tri_dlist_push_back(&sim->checker->readers, &self->node);
    return self;
}

/* Nothing was retried while it was there: it sees each task once, as it is now. Else a later
 * generation may give another result for what was dead. */
static bool is_plain(const struct reader *self)
{
    return self->watch->generation == 1 || self->retries == self->watch->retries;
}

static struct task *take(struct sim *sim, struct reader *self, uint64_t index)
{
    struct watch *watch = self->watch;
    struct task *task = watch_task(sim, watch, index);

    sim->counts.results++;
    task->read = true;
    self->given++;
    if (++self->times[index] > (is_plain(self) ? 1 : watch->generation))
        sim_fail(sim, "an application is given the result of task %s/%llu again", watch->plan->name,
                 (unsigned long long)index);
    if (self->ordered && is_plain(self) && index < self->next)
        sim_fail(sim, "an application is given task %s/%llu after %llu", watch->plan->name,
                 (unsigned long long)index, (unsigned long long)self->next - 1);
    self->next = index + 1;
    return task;
}

static void check_success(struct sim *sim,
                          const struct reader *self,
                          const struct task *task,
                          uint64_t index,
                          struct tri_bytes value)
{
    struct tri_buffer expected = { 0 };

    plan_value(self->watch->plan, index, &expected);
    if (task->standing != STANDING_DONE || expected.size != value.size
        || memcmp(expected.data, value.data, value.size) != 0)
        sim_fail(sim, "an application is given a wrong value for task %s/%llu",
                 self->watch->plan->name, (unsigned long long)index);
    tri_buffer_deinit(&expected);
}

void checker_result(struct sim *sim, struct reader *self, const struct tri_task_result *result)
{
    struct task *task = take(sim, self, result->index);

    if (result->outcome == TRI_OUTCOME_OK)
        check_success(sim, self, task, result->index, result->packed);
    else if (is_plain(self) && result->outcome != task->outcome)
        sim_fail(sim, "an application is told that task %s/%llu is %s, it is %s",
                 self->watch->plan->name, (unsigned long long)result->index,
                 tri_outcome_text((uint64_t)result->outcome), tri_outcome_text(task->outcome));
}

void checker_run(struct sim *sim, struct reader *self, const struct tri_result_run *run)
{
    const struct tri_chunk chunk = { .offsets = run->offsets, .blob = run->blob };

    for (uint32_t i = 0; i < run->count; i++)
        check_success(sim, self, take(sim, self, run->first + i), run->first + i,
                      tri_chunk_at(&chunk, i));
}

static bool is_done(const struct task *task)
{
    return task->standing == STANDING_DONE;
}

/* It has all that no owner had acknowledged before; what is folded it was given folded. `lacks`: it
 * was told that something is lost. */
static void check_given(const struct sim *sim, const struct reader *self, bool lacks)
{
    const struct watch *watch = self->watch;

    for (uint64_t i = 0; i < watch->plan->count; i++) {
        const struct task *task = &watch->tasks[i];
        bool is_folded = task->standing == STANDING_DONE && watch->plan->reducer != NULL;

        if (task->standing != STANDING_OPEN && !is_folded && self->times[i] == 0
            && !row_may_be_gone(watch, task) && !(lacks && watch->rows[task->row].spoiled))
            sim_fail(sim, "%s ended for an application, which was not given task %llu",
                     watch->plan->name, (unsigned long long)i);
    }
}

/* Only a reader that was there from the beginning has all of it. */
static void check_reduced(struct sim *sim, const struct reader *self, const char *reduced)
{
    char expected[32];

    if (self->watch->plan->reducer == NULL || self->watch->generation != 1)
        return;
    if (reduced == NULL)
        sim_fail(sim, "%s cannot be reduced", self->watch->plan->name);
    row_expect_reduced(self->watch, is_done, expected, sizeof(expected));
    if (strcmp(reduced, expected) != 0)
        sim_fail(sim, "%s is reduced to %s, its tasks make %s", self->watch->plan->name, reduced,
                 expected);
}

void checker_reader_ends(struct sim *sim,
                         struct reader *self,
                         const struct tri_batch_summary *summary,
                         const char *reduced)
{
    const struct watch *watch = self->watch;
    uint64_t expected = summary->failed + summary->cancelled;
    uint64_t told = summary->ok + expected;

    if (told != summary->count)
        sim_fail(sim, "%s ended for an application with %llu of %llu tasks", watch->plan->name,
                 (unsigned long long)told, (unsigned long long)summary->count);
    if (is_plain(self))
        check_given(sim, self, false);
    if (row_lost_count(watch) != 0 && watch->retries == 0)
        sim_fail(sim, "%s ended for an application, which was not told what it lacks",
                 watch->plan->name);
    if (!self->whole || watch->shared)
        return;
    if (watch->plan->reducer == NULL)
        expected += summary->ok;
    if (watch->generation == 1 && self->given != expected)
        sim_fail(sim, "%s has %llu results for an application, %llu were given", watch->plan->name,
                 (unsigned long long)expected, (unsigned long long)self->given);
    check_reduced(sim, self, reduced);
}

bool checker_lacks(const struct sim *sim, const struct reader *self)
{
    const struct watch *watch = self->watch;

    for (size_t i = 0; i < watch->row_count; i++)
        if (watch->rows[i].spoiled) {
            if (is_plain(self))
                check_given(sim, self, true);
            return true;
        }
    return false;
}

void readers_end(struct checker *self)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(&self->readers)) != NULL) {
        struct reader *reader = tri_container_of(node, struct reader, node);

        free(reader->times);
        free(reader);
    }
}
