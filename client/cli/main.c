/* main.c - `trireme VERB ...`: find the verb, read its options and the configuration, run it. */
#include "client/cli/cli.h"
#include "client/cli/option.h"
#include "client/cli/settings.h"

#include "common/types.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_ADMIN (GROUP_COMMON | GROUP_OUTPUT)
#define GROUPS_SUBMIT (GROUP_COMMON | GROUP_OUTPUT | GROUP_SOURCE | GROUP_TASK | GROUP_POLICY)
#define GROUPS_FOLLOW (GROUP_COMMON | GROUP_OUTPUT | GROUP_WATCH | GROUP_WAIT)

const struct cli_verb cli_verbs[] = {
    { "run", "[OPTIONS] [-- COMMAND ARGS] [::: VALUE...]",
      "Submit a batch, wait for it, print its results in order and a summary.",
      GROUPS_SUBMIT | GROUP_RESULT | GROUP_WATCH | GROUP_RUN, .run = verb_run },
    { "submit", "[OPTIONS] [-- COMMAND ARGS] [::: VALUE...]",
      "Submit a batch and print its number.", GROUPS_SUBMIT, .run = verb_submit },
    { "wait", "BATCH...", "Wait for batches and print a summary; results stay.", GROUPS_FOLLOW,
      .run = verb_wait },
    { "results", "BATCH...", "Print the results of batches; they stay.",
      GROUPS_FOLLOW | GROUP_RESULT, .run = verb_results },
    { "list", "", "List the broker's batches.", GROUPS_ADMIN, .run = verb_list },
    { "show", "BATCH[/TASK]", "Show a batch, its options and its dead tasks.",
      GROUPS_ADMIN | GROUP_SHOW, .tasks = true, .run = verb_show },
    { "explain", "BATCH", "Say why a batch runs as it does.", GROUPS_ADMIN, .run = verb_explain },
    { "cancel", "BATCH[/TASK]...", "Cancel batches or single tasks.", GROUPS_ADMIN, .tasks = true,
      .run = verb_cancel },
    { "retry", "BATCH[/TASK]...", "Run dead tasks again as a new generation.",
      GROUPS_ADMIN | GROUP_RETRY, .tasks = true, .run = verb_retry },
    { "forget", "BATCH...", "Remove ended batches and what is kept of them.", GROUPS_ADMIN,
      .run = verb_forget },
    { "workers", "", "List the workers.", GROUPS_ADMIN, .run = verb_workers },
    { "completion", "bash", "Print a shell completion script.", GROUP_COMMON,
      .run = verb_completion },
};
const size_t cli_verb_count = TRI_COUNT_OF(cli_verbs);

void cli_error(const char *format, ...)
{
    va_list args;

    fputs("trireme: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int cli_fail(const struct tri_error *error)
{
    cli_error("%s", error->text);
    switch (error->status) {
    case TRI_UNREACHABLE:
    case TRI_VERSION:
        return CLI_UNREACHABLE;
    case TRI_TIMEOUT:
    case TRI_NO_SPACE:
        return CLI_TIMED_OUT;
    case TRI_CANCELLED:
        return CLI_INTERRUPTED;
    case TRI_MEMORY:
    case TRI_SYSTEM:
    case TRI_STORE:
        return CLI_INTERNAL;
    default:
        return CLI_USAGE;
    }
}

struct tri_client *cli_connect(const struct cli *cli, int *status)
{
    struct tri_client_options options;
    struct tri_client *client;
    struct tri_error error;

    if (cli->broker == NULL) {
        cli_error("%s needs a broker: give --broker ENDPOINT or set TRIREME_BROKER",
                  cli->verb->name);
        *status = CLI_USAGE;
        return NULL;
    }
    tri_client_options_init(&options);
    options.endpoints = cli->broker;
    options.connect_timeout_ms =
        cli->connect_timeout_ms < INT_MAX ? (int)cli->connect_timeout_ms : INT_MAX;
    options.insecure = cli->insecure;
    options.on_notice = settings_notice;
    if (tri_client_open(&client, &options, &error) == TRI_OK)
        return client;
    *status = cli_fail(&error);
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("usage: trireme VERB [OPTIONS]\n\n"
          "Run a large pile of independent tasks on processes, threads and an event loop.\n\n",
          out);
    for (size_t i = 0; i < cli_verb_count; i++)
        fprintf(out, "  %-12s %s\n", cli_verbs[i].name, cli_verbs[i].summary);
    fputs("\ntrireme VERB --help says more; trireme --version. Without a broker, run uses this "
          "machine alone.\n",
          out);
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < cli_verb_count; i++) {
        if (strcmp(cli_verbs[i].name, name) == 0)
            return &cli_verbs[i];
    }
    return NULL;
}

/* A standard stream that is closed would be the next file opened. In its place stands one that
 * fails as it would have. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0
            && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            _exit(CLI_INTERNAL);
    }
}

/* What stdio still holds leaves now, or the exit status says that it could not. */
static int leave(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE || errno == EBADF)
        return CLI_STDOUT_CLOSED;
    cli_error("cannot write to stdout: %s", errno != 0 ? strerror(errno) : "output was lost");
    return CLI_INTERNAL;
}

static int run_verb(int argc, char **argv);

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    return leave(run_verb(argc, argv));
}

static int run_verb(int argc, char **argv)
{
    struct cli cli;
    int status;

    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0
        || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("trireme " TRI_SOFTWARE_VERSION);
        return CLI_OK;
    }
    settings_init(&cli);
    cli.verb = find_verb(argv[1]);
    if (cli.verb == NULL) {
        cli_error("unknown verb %s (try: trireme --help)", argv[1]);
        return CLI_USAGE;
    }
    if (!option_parse(&cli, argc - 2, argv + 2)) {
        status = CLI_USAGE;
    } else if (cli.help) {
        option_print_help(cli.verb);
        status = CLI_OK;
    } else if (cli.operands.count > 0 && cli.verb->operands[0] == '\0') {
        cli_error("%s: unexpected word %s", cli.verb->name, cli.operands.items[0]);
        status = CLI_USAGE;
    } else if (settings_complete(&cli)) {
        status = cli.verb->run(&cli);
    } else {
        status = CLI_USAGE;
    }
    option_free(&cli);
    return status;
}
