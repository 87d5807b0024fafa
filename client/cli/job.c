#include "client/cli/job.h"

#include "common/json.h"
#include "common/parse.h"
#include "common/reduce.h"
#include "common/types.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* soon|now,fail=N or fail=N%. */
static bool read_halt(const char *text, struct tri_batch_options *job)
{
    const char *comma = strchr(text, ',');
    size_t length = strlen(text);
    char number[32];
    struct tri_error error;
    bool percent = length > 0 && text[length - 1] == '%';

    if (comma != NULL && strncmp(comma, ",fail=", 6) == 0 && strlen(comma + 6) < sizeof(number)) {
        snprintf(number, sizeof(number), "%s", comma + 6);
        if (percent)
            number[strlen(number) - 1] = '\0';
        job->halt = strncmp(text, "soon,", 5) == 0 ? 1 : strncmp(text, "now,", 4) == 0 ? 2 : 0;
        if (job->halt != 0
            && tri_parse_u64(number, 1, percent ? 100 : INT64_MAX,
                             percent ? &job->halt_fail_percent : &job->halt_fail_count, &error)
                   == TRI_OK)
            return true;
    }
    cli_error("--halt %s: it is soon,fail=N or now,fail=N, or N%% from 1%% to 100%%", text);
    return false;
}

static bool read_source(const struct cli *cli, struct tri_batch_options *job)
{
    struct tri_span span;
    struct tri_error error;
    int sources = (cli->each_line != NULL) + (cli->from_json != NULL) + (cli->range != NULL)
                  + (cli->has_values ? 1 : 0);

    if (sources > 1) {
        cli_error("give one source: --each-line, --from-json, --range or ::: VALUES");
        return false;
    }
    if (cli->resume != NULL && cli->reduce != NULL) {
        cli_error("--resume keeps results, --reduce has none: give one of them");
        return false;
    }
    if (cli->range != NULL) {
        if (tri_parse_range(cli->range, &span, &error) != TRI_OK) {
            cli_error("--range: %s", error.text);
            return false;
        }
        /* Only the tasks that are missing are submitted then: as items. */
        job->range = cli->resume == NULL;
        job->range_first = span.first;
        job->range_step = span.step;
        job->range_count = span.count;
    } else if (sources == 0 && isatty(STDIN_FILENO)) {
        cli_error("no input: pipe lines in, or give --each-line, --from-json, --range or :::");
        return false;
    }
    job->lines = cli->from_json == NULL;
    return true;
}

/* The worker of a private run loads it, by a name that does not depend on a directory. */
static bool read_plugin(const struct cli *cli, struct tri_batch_options *job)
{
    static char path[PATH_MAX];

    if (cli->plugin == NULL)
        return true;
    if (realpath(cli->plugin, path) == NULL) {
        cli_error("--plugin %s: %s", cli->plugin, strerror(errno));
        return false;
    }
    job->plugin = path;
    return true;
}

static bool read_task(const struct cli *cli, struct tri_batch_options *job)
{
    static char cwd[4096];

    if ((cli->function == NULL) == (cli->command.count == 0)) {
        cli_error("say what to run: --fn NAME, or -- COMMAND ARGS%s",
                  cli->function != NULL ? ", not both" : "");
        return false;
    }
    if (cli->operands.count != 0) {
        cli_error("unexpected word %s (a command goes after --, values after :::)",
                  cli->operands.items[0]);
        return false;
    }
    if (cli->function != NULL && (cli->workdir != NULL || cli->env.count != 0)) {
        cli_error("%s is for commands: --fn %s does not see it",
                  cli->workdir != NULL ? "--workdir" : "--env", cli->function);
        return false;
    }
    if (cli->workdir != NULL && cli->workdir[0] != '/' && cli->broker != NULL) {
        cli_error("--workdir %s: workers are elsewhere, give it from the root", cli->workdir);
        return false;
    }
    job->handler = cli->function != NULL ? cli->function : "command";
    if (strlen(job->handler) == 0 || strlen(job->handler) > 64) {
        cli_error("--fn: a handler's name has 1 to 64 characters");
        return false;
    }
    job->argv = cli->command.count != 0 ? cli->command.items : NULL;
    job->env = cli->env.count != 0 ? cli->env.items : NULL;
    if (!read_plugin(cli, job))
        return false;
    job->workdir = cli->workdir;
    if (job->workdir == NULL && cli->broker == NULL && getcwd(cwd, sizeof(cwd)) != NULL)
        job->workdir = cwd;
    for (size_t i = 0; i < cli->env.count; i++) {
        if (strchr(cli->env.items[i], '=') == NULL || cli->env.items[i][0] == '=') {
            cli_error("--env %s: it is NAME=VALUE", cli->env.items[i]);
            return false;
        }
    }
    return true;
}

/* What only one of the two can do: a private run, and a broker with its workers. */
static bool fits_place(const struct cli *cli)
{
    if (cli->broker != NULL && cli->plugin != NULL)
        cli_error("--plugin is for private runs; a daemon's worker has --plugin-dir");
    else if (cli->broker != NULL && cli->test_handlers)
        cli_error("--test-handlers is for private runs; a daemon's worker has a flag of that name");
    else if (cli->broker == NULL && cli->labels.count != 0 && cli->verb->run == verb_run)
        cli_error("--label chooses among a broker's workers: a private run has one, without labels "
                  "(--broker ENDPOINT, or TRIREME_BROKER)");
    else
        return true;
    return false;
}

/* A name is shown in tables. */
static bool is_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (cli_is_control((unsigned char)*c))
            return false;
    return tri_utf8_is_valid((struct tri_bytes){ (const uint8_t *)name, strlen(name) });
}

bool job_read(const struct cli *cli, struct tri_batch_options *job)
{
    struct tri_error error;

    tri_batch_options_init(job);
    if (!fits_place(cli) || !read_task(cli, job) || !read_source(cli, job)
        || (cli->halt != NULL && !read_halt(cli->halt, job)))
        return false;
    if (cli->reduce != NULL) {
        struct tri_reducer *reducer = tri_reducer_new(cli->reduce, &error);

        if (reducer == NULL) {
            cli_error("--reduce: %s", error.text);
            return false;
        }
        tri_reducer_destroy(&reducer);
    }
    if (cli->name != NULL && !is_name(cli->name)) {
        cli_error("--name: printable UTF-8, please");
        return false;
    }
    job->name = cli->name;
    job->model = cli->model;
    job->width = cli->width;
    job->timeout_ms = cli->timeout_ms;
    job->retries = cli->retries;
    job->crash_limit = cli->crash_limit;
    job->priority = cli->priority;
    job->labels = cli->labels.count != 0 ? cli->labels.items : NULL;
    job->reducer = cli->reduce;
    job->truncate = cli->truncate;
    job->spawn = strcmp(cli->process_start, "spawn") == 0;
    job->output_bytes_max = cli->output_bytes_max;
    job->unordered = cli->unordered;
    job->window_bytes = cli->window_bytes;
    return true;
}

void job_print(const struct cli *cli, const struct tri_batch_options *job)
{
    printf("handler  %s", job->handler);
    for (size_t i = 0; i < cli->command.count; i++)
        printf(" %s", cli->command.items[i]);
    printf("\nsource   ");
    if (job->range)
        printf("range, %llu task%s\n", (unsigned long long)job->range_count,
               tri_plural(job->range_count));
    else if (cli->has_values)
        printf("%zu value%s\n", cli->values.count, tri_plural(cli->values.count));
    else
        printf("%s\n", cli->each_line != NULL   ? cli->each_line
                       : cli->from_json != NULL ? cli->from_json
                                                : "stdin");
    printf("model    %s\nwidth    %llu%s\n", job->model, (unsigned long long)job->width,
           job->width == 0 ? " (chosen)" : "");
    printf("reduce   %s\nbroker   %s\n", job->reducer != NULL ? job->reducer : "-",
           cli->broker != NULL ? cli->broker : "private, this machine");
}
