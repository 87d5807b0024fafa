/* cli.h - what every verb shares: the parsed command line, exit statuses, messages.
 *
 * Threads: one.   Memory: strings borrow from argv, the environment, or live until the program
 * ends.
 */
#ifndef CLI_H
#define CLI_H

#include "trireme/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses, the same for every verb (docs/man/trireme.1, "EXIT STATUS"). */
enum cli_exit {
    CLI_OK = 0,
    CLI_TASKS_FAILED = 1,
    CLI_USAGE = 2,
    CLI_HALTED = 3,
    CLI_UNREACHABLE = 69,
    CLI_INTERNAL = 70,
    CLI_TIMED_OUT = 75,
    CLI_INTERRUPTED = 130,
    CLI_STDOUT_CLOSED = 141,
};

enum cli_output { CLI_TEXT, CLI_JSONL, CLI_JSON, CLI_QUIET };

struct cli_list {
    const char **items; /* NULL-terminated once non-empty */
    size_t count;
};

/* One field per option of the table in option.c. */
struct cli {
    const struct cli_verb *verb;
    /* everywhere */
    const char *broker;
    const char *output_word;
    enum cli_output output;
    uint64_t connect_timeout_ms;
    bool insecure;
    bool help;
    /* source */
    const char *each_line;
    bool null_separated;
    const char *from_json;
    const char *range;
    struct cli_list values; /* after ::: */
    bool has_values;
    /* task */
    const char *function;
    struct cli_list command; /* after -- */
    struct cli_list env;
    const char *workdir;
    const char *plugin;
    bool test_handlers;
    /* policy */
    const char *model;
    uint64_t width;
    uint64_t timeout_ms;
    uint64_t retries;
    uint64_t crash_limit;
    const char *halt;
    uint64_t priority;
    struct cli_list labels;
    const char *reduce;
    const char *process_start;
    const char *name;
    bool dry_run;
    /* results */
    bool unordered;
    const char *summary;
    const char *joblog;
    const char *resume;
    bool truncate;
    uint64_t output_bytes_max;
    const char *progress;
    uint64_t window_bytes;
    /* other verbs */
    uint64_t wait_timeout_ms;
    bool failed;
    bool dead;
    struct cli_list operands;
};

struct cli_verb {
    const char *name;
    const char *operands; /* as shown in usage, or "" */
    const char *summary;
    unsigned groups; /* GROUP_*: the options it takes */
    bool tasks;      /* 7/4242 may stand among its operands */
    int (*run)(struct cli *cli);
};

/* Which options a verb takes. */
#define GROUP_COMMON 1u
#define GROUP_SOURCE 2u
#define GROUP_TASK 4u
#define GROUP_POLICY 8u
#define GROUP_RESULT 16u /* who prints results */
#define GROUP_WAIT 32u   /* who only looks on */
#define GROUP_RETRY 64u
#define GROUP_OUTPUT 128u
#define GROUP_WATCH 256u /* who stays until the end */
#define GROUP_RUN 512u
#define GROUP_SHOW 1024u

extern const struct cli_verb cli_verbs[];
extern const size_t cli_verb_count;

/* A byte that a terminal may obey: it is shown to nobody as it is. */
static inline bool cli_is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Print `trireme: ...` on stderr. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print the error of a failed call and return the exit status that belongs to it. */
int cli_fail(const struct tri_error *error);

/* Connect to cli->broker. On failure says so and returns the exit status in `*status`. */
struct tri_client *cli_connect(const struct cli *cli, int *status);

/* The verbs. */
int verb_run(struct cli *cli);
int verb_submit(struct cli *cli);
int verb_wait(struct cli *cli);
int verb_results(struct cli *cli);
int verb_list(struct cli *cli);
int verb_show(struct cli *cli);
int verb_explain(struct cli *cli);
int verb_cancel(struct cli *cli);
int verb_retry(struct cli *cli);
int verb_forget(struct cli *cli);
int verb_workers(struct cli *cli);
int verb_completion(struct cli *cli);

#endif
