#include "client/cli/follow.h"

#include "client/cli/signals.h"
#include "client/cli/summary.h"
#include "common/clock.h"
#include "common/proto/message.h"
#include "common/types.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FEED_AT_ONCE 8192
#define DRAIN_AT_ONCE 8192
#define IDLE_MS 200
#define GO_ON (-1) /* no exit status yet */

static int fail(struct follow *self, const struct tri_error *error)
{
    progress_clear(&self->progress);
    return cli_fail(error);
}

static enum tri_status add(struct follow *self, struct tri_error *error)
{
    if (self->pending.type == TRI_ANY)
        return tri_batch_add_packed(self->batch, self->pending.bytes, error);
    return tri_batch_add(self->batch, &self->pending, error);
}

/* The batch takes no more, what it has still comes: it was halted or cancelled, or sealed because
 * this client was away for too long. */
static int stop_feeding(struct follow *self, const struct tri_error *why)
{
    source_close(&self->source);
    self->starved = false;
    self->cut = *why;
    if (!self->feed_only)
        return GO_ON;
    cli_error("batch %llu has not taken all of the input: %s",
              (unsigned long long)tri_batch_number(self->batch), why->text);
    return CLI_HALTED;
}

/* The source has ended: everything must be on its way before the seal, which waits. */
static int seal(struct follow *self, bool *busy)
{
    struct tri_error error;
    enum tri_status status = tri_batch_flush(self->batch, &error);

    *busy = status == TRI_BUSY;
    if (status == TRI_BUSY)
        return GO_ON;
    if (status == TRI_OK)
        status = tri_batch_seal(self->batch, &error);
    if (status == TRI_BUSY)
        return GO_ON;
    if (status == TRI_CLOSED)
        return stop_feeding(self, &error);
    if (status != TRI_OK)
        return fail(self, &error);
    source_close(&self->source);
    return self->feed_only ? CLI_OK : GO_ON;
}

/* Take from the source what there is and there is room for. */
static int feed(struct follow *self, bool *busy)
{
    struct tri_error error;

    self->starved = *busy = false;
    for (int i = 0; i < FEED_AT_ONCE; i++) {
        enum tri_status status = TRI_OK;

        if (!self->has_pending) {
            status = source_next(self->source, &self->pending, &error);
            if (status == TRI_OK && self->resume != NULL && resume_skip(self->resume))
                continue;
        }
        if (status == TRI_CLOSED)
            return seal(self, busy);
        if (status == TRI_EMPTY) {
            self->starved = true;
            status = tri_batch_flush(self->batch, &error);
            if (status == TRI_CLOSED)
                return stop_feeding(self, &error);
            return status == TRI_OK || status == TRI_BUSY ? GO_ON : fail(self, &error);
        }
        if (status != TRI_OK) {
            tri_client_cancel(self->client, tri_batch_number(self->batch), NULL, 0, NULL, NULL);
            return fail(self, &error);
        }
        self->has_pending = true;
        status = add(self, &error);
        if (status == TRI_BUSY) {
            *busy = true;
            return GO_ON;
        }
        if (status == TRI_CLOSED)
            return stop_feeding(self, &error);
        if (status != TRI_OK) {
            struct tri_error why = error;

            tri_client_cancel(self->client, tri_batch_number(self->batch), NULL, 0, NULL, NULL);
            if (status == TRI_TOO_LARGE)
                source_blame(self->source, &why, &error);
            return fail(self, &error);
        }
        self->has_pending = false;
    }
    return GO_ON;
}

static bool has_ended(const struct follow *self)
{
    struct tri_batch_summary summary;

    tri_batch_summary(self->batch, &summary);
    return summary.state >= TRI_BATCH_DONE;
}

/* What is on stdout may be acknowledged. */
static int pass_on(struct follow *self)
{
    struct tri_error error;
    enum tri_status status = self->output != NULL ? output_flush(self->output) : TRI_OK;

    if (status == TRI_CANCELLED) /* some of it is not */
        return GO_ON;
    if (status != TRI_OK)
        return output_exit(status);
    return tri_batch_pass_on(self->batch, &error) == TRI_OK ? GO_ON : fail(self, &error);
}

/* Print the results that are there. */
static int drain(struct follow *self, size_t *count)
{
    struct tri_task_result result;
    struct tri_error error;

    for (*count = 0; *count < DRAIN_AT_ONCE; (*count)++) {
        enum tri_status status = tri_batch_next(self->batch, 0, &result, &error);

        if (status == TRI_EMPTY)
            return GO_ON;
        if (status == TRI_CLOSED)
            return CLI_OK;
        if (status == TRI_STORE && has_ended(self)) {
            self->lost = error;
            return CLI_OK;
        }
        if (status != TRI_OK)
            return fail(self, &error);
        if (self->output == NULL)
            continue;
        if (self->resume != NULL) {
            result.index = resume_position(self->resume, result.index);
            if (resume_keep(self->resume, &result) != TRI_OK)
                return CLI_INTERNAL;
        }
        if (result.outcome != 0)
            progress_clear(&self->progress);
        status = output_result(self->output, &result);
        if (status != TRI_OK)
            return output_exit(status);
        if (output_is_empty(self->output) && tri_batch_pass_on(self->batch, &error) != TRI_OK)
            return fail(self, &error);
    }
    return GO_ON;
}

static int interrupted(struct follow *self)
{
    struct tri_batch_summary summary;
    unsigned long long number = (unsigned long long)tri_batch_number(self->batch);

    if (!signals_came())
        return GO_ON;
    progress_clear(&self->progress);
    if (self->output != NULL)
        output_flush(self->output);
    if (self->private != NULL) {
        cli_error("interrupted: the batch is cancelled");
        return CLI_INTERRUPTED;
    }
    if (self->source != NULL)
        tri_batch_seal(self->batch, NULL);
    tri_batch_summary(self->batch, &summary);
    cli_error("interrupted: batch %llu goes on with %llu task%s; to wait for it: trireme wait %llu",
              number, (unsigned long long)summary.count, tri_plural(summary.count), number);
    return CLI_INTERRUPTED;
}

/* Wait for the broker, the source or a signal. */
static int idle(struct follow *self)
{
    struct pollfd fds[3] = {
        { .fd = tri_client_fd(self->client), .events = POLLIN },
        { .fd = self->signal_fd, .events = POLLIN },
        { .fd = self->starved ? source_fd(self->source) : -1, .events = POLLIN },
    };
    struct tri_error error;
    enum tri_status status;
    int passed;

    passed = pass_on(self);
    if (passed != GO_ON)
        return passed;
    progress_draw(&self->progress, self->batch);
    status = tri_client_process(self->client, 0, &error);
    if (status == TRI_EMPTY)
        poll(fds, 3, IDLE_MS);
    else if (status != TRI_OK)
        return fail(self, &error);
    if (self->private != NULL && !private_is_well(self->private))
        return CLI_INTERNAL;
    return GO_ON;
}

int follow_run(struct follow *self)
{
    if (!self->feed_only)
        progress_init(&self->progress, self->cli);
    tri_batch_withhold(self->batch);
    for (;;) {
        size_t drained = 0;
        bool busy = true;
        int status = GO_ON;

        if (self->source != NULL)
            status = feed(self, &busy);
        if (status == GO_ON && !self->feed_only)
            status = drain(self, &drained);
        if (status == GO_ON && drained == 0 && (self->source == NULL || busy || self->starved))
            status = idle(self);
        /* Whatever ended early because of a signal, this says it. */
        if (signals_came())
            status = interrupted(self);
        if (status == GO_ON && self->deadline_ms != 0 && tri_clock_now_ms() >= self->deadline_ms) {
            cli_error("batch %llu has not ended in time",
                      (unsigned long long)tri_batch_number(self->batch));
            status = CLI_TIMED_OUT;
        }
        if (status != GO_ON) {
            progress_clear(&self->progress);
            return status;
        }
    }
}

/* A batch that has ended while its source has not was sealed by others. */
static const char *why_cut(const struct follow *self)
{
    if (self->cut.status != TRI_OK)
        return self->cut.text;
    return self->source != NULL ? "it was sealed while this client was away" : NULL;
}

int follow_exit(const struct follow *self)
{
    int status = summary_exit(self->batch);
    unsigned long long number = (unsigned long long)tri_batch_number(self->batch);
    const char *cut = why_cut(self);

    if (self->lost.status != TRI_OK) {
        cli_error("batch %llu: results are missing: %s", number, self->lost.text);
        return CLI_INTERNAL;
    }
    if (cut == NULL || status == CLI_HALTED)
        return status;
    cli_error("batch %llu has not taken all of the input: %s", number, cut);
    return CLI_HALTED;
}
