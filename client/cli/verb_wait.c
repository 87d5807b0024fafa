/* verb_wait.c - wait and results: follow a batch that somebody else owns, deleting nothing. */
#include "client/cli/cli.h"
#include "client/cli/follow.h"
#include "client/cli/select.h"
#include "client/cli/signals.h"
#include "client/cli/summary.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The handler of a batch decides how its values are shown, its reducer what the end is. */
static bool is_of(struct tri_client *client, uint64_t number, bool *command, bool *reduced)
{
    struct tri_error error;
    json_t *root;
    json_t *batch;
    const char *handler;
    const char *reducer;
    char *text = NULL;

    if (tri_client_describe(client, number, &text, &error) != TRI_OK) {
        cli_error("%s", error.text);
        return false;
    }
    root = json_loads(text, 0, NULL);
    free(text);
    batch = json_object_get(root, "batch");
    handler = json_string_value(json_object_get(batch, "handler"));
    reducer = json_string_value(json_object_get(batch, "reducer"));
    *command = handler != NULL && strcmp(handler, "command") == 0;
    *reduced = reducer != NULL && reducer[0] != '\0';
    json_decref(root);
    return true;
}

/* wait: the summary where it was asked for. */
static enum tri_status report(struct follow *follow, const char *reduced)
{
    const struct cli *cli = follow->cli;
    struct tri_buffer summary;
    enum tri_status status = TRI_OK;

    tri_buffer_init(&summary);
    summary_json(follow->batch, reduced, &summary);
    if (cli->output == CLI_TEXT)
        summary_print(follow->batch, stderr);
    else if (cli->output != CLI_QUIET)
        printf("%.*s\n", (int)summary.size, (const char *)summary.data);
    if (!summary_write(&follow->summary, &summary))
        status = TRI_SYSTEM;
    tri_buffer_deinit(&summary);
    return status;
}

/* Values go when their owner, a run, has written them. */
static void tell_taken(const struct follow *follow)
{
    struct tri_batch_summary summary;
    uint64_t ended;

    tri_batch_summary(follow->batch, &summary);
    ended = summary.ok + summary.failed + summary.cancelled;
    if (follow->output->written < ended)
        cli_error("batch %llu: %llu of its results were taken by the run that submitted it",
                  (unsigned long long)tri_batch_number(follow->batch),
                  (unsigned long long)(ended - follow->output->written));
}

/* The reduced value, or NULL. A run that was killed has taken what it had folded with it. */
static const char *reduced_value(const struct follow *follow, int *status)
{
    const char *value = NULL;
    struct tri_error error;
    enum tri_status reduced = tri_batch_reduced(follow->batch, &value, &error);

    if (reduced == TRI_OK)
        return value;
    if (reduced == TRI_NOTFOUND && follow->output == NULL)
        return NULL;
    cli_error("batch %llu has no value: %s", (unsigned long long)tri_batch_number(follow->batch),
              error.text);
    *status = reduced == TRI_NOTFOUND ? CLI_USAGE : CLI_TASKS_FAILED;
    return NULL;
}

static int finish(struct follow *follow, bool reduced)
{
    const char *value = NULL;
    enum tri_status written;
    int status = follow_exit(follow);

    if (reduced && follow->lost.status == TRI_OK)
        value = reduced_value(follow, &status);
    if (follow->output != NULL && !reduced && follow->lost.status == TRI_OK)
        tell_taken(follow);
    written = follow->output != NULL
                  ? output_end(follow->output, &follow->summary, follow->batch, value)
                  : report(follow, value);
    return written == TRI_OK ? status : output_exit(written);
}

static int follow_one(struct follow *follow, uint64_t number, bool show)
{
    struct tri_error error;
    struct output output;
    bool command;
    bool reduced;
    int status;

    if (!is_of(follow->client, number, &command, &reduced))
        return CLI_USAGE;
    if (tri_batch_attach(follow->client, number, false, follow->cli->unordered, &follow->batch,
                         &error)
        != TRI_OK)
        return cli_fail(&error);
    if (!summary_open(&follow->summary, follow->cli->summary)
        || (show && !output_open(&output, follow->cli, command))) {
        summary_close(&follow->summary);
        tri_batch_close(&follow->batch);
        return CLI_USAGE;
    }
    output.number = number;
    follow->lost = (struct tri_error){ 0 };
    follow->output = show ? &output : NULL;
    status = follow_run(follow);
    if (status == CLI_OK)
        status = finish(follow, reduced);
    else if (show && status != CLI_STDOUT_CLOSED)
        output_flush(&output); /* what was taken may not be had again */
    if (show && !output_close(&output) && status == CLI_OK)
        status = CLI_INTERNAL;
    summary_close(&follow->summary);
    tri_batch_close(&follow->batch);
    return status;
}

/* A file holds what one batch has to say. */
static bool files_suffice(const struct cli *cli, const struct selections *selected)
{
    if (selected->count < 2 || (cli->summary == NULL && cli->joblog == NULL))
        return true;
    cli_error("%s: one file is for one batch, and there are %zu",
              cli->summary != NULL ? "--summary" : "--joblog", selected->count);
    return false;
}

/* Is there no use in turning to the next batch? */
static bool ends_all(int status)
{
    return status != CLI_OK && status != CLI_TASKS_FAILED && status != CLI_HALTED
           && status != CLI_USAGE;
}

static int follow_all(struct cli *cli, bool show)
{
    struct follow follow = { .cli = cli };
    struct selections selected;
    int status = CLI_OK;

    follow.client = cli_connect(cli, &status);
    if (follow.client == NULL)
        return status;
    if (cli->wait_timeout_ms > 0)
        follow.deadline_ms = tri_clock_now_ms() + cli->wait_timeout_ms;
    if (select_read(cli, follow.client, &selected, &status)) {
        follow.signal_fd = signals_open();
        signals_begin();
        if (!files_suffice(cli, &selected)) {
            selected.count = 0;
            status = CLI_USAGE;
        }
        for (size_t i = 0; i < selected.count && !ends_all(status); i++) {
            int one = follow_one(&follow, selected.items[i].number, show);

            status = one > status ? one : status;
        }
        select_free(&selected);
    }
    tri_client_close(&follow.client);
    return status;
}

int verb_wait(struct cli *cli)
{
    return follow_all(cli, false);
}

int verb_results(struct cli *cli)
{
    return follow_all(cli, true);
}
