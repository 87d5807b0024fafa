/* verb_run.c - submit, follow, print, summarise; with a private broker when none is named. */
#include "client/cli/cli.h"
#include "client/cli/follow.h"
#include "client/cli/job.h"
#include "client/cli/private.h"
#include "client/cli/signals.h"
#include "client/cli/summary.h"
#include "common/types.h"

#include <stdio.h>

/* What ended well: the reduced value, the summary, the exit status. */
static int finish(struct follow *follow)
{
    const char *reduced = NULL;
    struct tri_error error;
    enum tri_status written;
    int status = follow_exit(follow);

    if (follow->cli->reduce != NULL && follow->lost.status == TRI_OK
        && tri_batch_reduced(follow->batch, &reduced, &error) != TRI_OK) {
        cli_error("--reduce %s: %s", follow->cli->reduce, error.text);
        status = CLI_TASKS_FAILED;
    }
    written = output_end(follow->output, &follow->summary, follow->batch, reduced);
    if (written == TRI_OK)
        tri_batch_pass_on(follow->batch, NULL);
    return written == TRI_OK ? status : output_exit(written);
}

static void say_if_queued(const struct follow *follow, const struct tri_batch_options *job)
{
    if (tri_batch_is_waiting_for_workers(follow->batch))
        cli_error("batch %llu is queued: no worker that offers %s%s is connected now",
                  (unsigned long long)tri_batch_number(follow->batch), job->handler,
                  job->labels != NULL ? " and has the label" : "");
}

static int follow_batch(struct follow *follow, const struct tri_batch_options *job)
{
    struct output *output = follow->output;
    int status;

    output->number = tri_batch_number(follow->batch);
    say_if_queued(follow, job);
    status = follow_run(follow);
    if (status == CLI_OK)
        status = finish(follow);
    else if (status != CLI_STDOUT_CLOSED)
        output_flush(output);
    return status;
}

/* What an earlier run has kept is shown again. */
static bool open_resume(struct follow *follow)
{
    uint64_t count;

    if (follow->cli->resume == NULL)
        return true;
    follow->resume = resume_open(follow->cli->resume, follow->output);
    if (follow->resume == NULL)
        return false;
    count = resume_count(follow->resume);
    if (count > 0)
        cli_error("%s: %llu result%s of an earlier run", follow->cli->resume,
                  (unsigned long long)count, tri_plural(count));
    return true;
}

/* A file that cannot be written is found before anything is submitted. */
static int run_on(struct follow *follow, const struct tri_batch_options *job)
{
    struct output output;
    struct tri_error error;
    int status = CLI_USAGE;

    if (!output_open(&output, follow->cli, job->argv != NULL))
        return CLI_USAGE;
    follow->output = &output;
    if (summary_open(&follow->summary, follow->cli->summary) && open_resume(follow)) {
        if (tri_batch_submit(follow->client, job, &follow->batch, &error) == TRI_OK)
            status = follow_batch(follow, job);
        else
            status = cli_fail(&error);
    }
    resume_close(&follow->resume);
    summary_close(&follow->summary);
    follow->output = NULL;
    if (!output_close(&output) && status == CLI_OK)
        status = CLI_INTERNAL;
    tri_batch_close(&follow->batch);
    return status;
}

static int run_privately(struct follow *follow,
                         struct cli *cli,
                         const struct tri_batch_options *job)
{
    struct private private;
    int status = CLI_INTERNAL;

    signals_begin();
    if (!private_open(&private, cli))
        return CLI_INTERNAL;
    cli->broker = private.endpoint;
    follow->private = &private;
    follow->client = cli_connect(cli, &status);
    if (follow->client != NULL) {
        status = private_wait_worker(&private, follow->client);
        if (status == CLI_OK)
            status = run_on(follow, job);
        tri_client_close(&follow->client);
    }
    follow->private = NULL;
    private_close(&private);
    return status;
}

int verb_run(struct cli *cli)
{
    struct tri_batch_options job;
    struct follow follow = { .cli = cli };
    int status = CLI_OK;

    if (!job_read(cli, &job))
        return CLI_USAGE;
    if (cli->dry_run) {
        job_print(cli, &job);
        return CLI_OK;
    }
    if (!job.range) {
        follow.source = source_open(cli);
        if (follow.source == NULL)
            return CLI_USAGE;
    }
    follow.signal_fd = signals_open();
    if (cli->broker == NULL) {
        status = run_privately(&follow, cli, &job);
    } else {
        follow.client = cli_connect(cli, &status);
        if (follow.client != NULL) {
            signals_begin();
            status = run_on(&follow, &job);
            tri_client_close(&follow.client);
        }
    }
    source_close(&follow.source);
    return status;
}

int verb_submit(struct cli *cli)
{
    struct tri_batch_options job;
    struct follow follow = { .cli = cli, .feed_only = true };
    struct tri_error error;
    int status = CLI_OK;

    if (!job_read(cli, &job))
        return CLI_USAGE;
    if (cli->dry_run) {
        job_print(cli, &job);
        return CLI_OK;
    }
    job.detached = true;
    follow.client = cli_connect(cli, &status);
    if (follow.client == NULL)
        return status;
    follow.source = job.range ? NULL : source_open(cli);
    follow.signal_fd = signals_open();
    signals_begin();
    if (!job.range && follow.source == NULL) {
        status = CLI_USAGE;
    } else if (tri_batch_submit(follow.client, &job, &follow.batch, &error) != TRI_OK) {
        status = cli_fail(&error);
    } else {
        say_if_queued(&follow, &job);
        if (follow.source != NULL)
            status = follow_run(&follow);
        if (status == CLI_OK)
            printf("%llu\n", (unsigned long long)tri_batch_number(follow.batch));
    }
    tri_batch_close(&follow.batch);
    tri_client_close(&follow.client);
    source_close(&follow.source);
    return status;
}
