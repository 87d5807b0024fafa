#include "client/cli/option.h"

#include "common/assert.h"
#include "common/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LIST, COUNT, DURATION, SIZE };

struct option {
    const char *name;
    char letter;
    unsigned group;
    enum kind kind;
    size_t offset;
    const char *argument;
    const char *help;
};

#define AT(field) offsetof(struct cli, field)

static const struct option options[] = {
    { "each-line", 0, GROUP_SOURCE, TEXT, AT(each_line), "FILE", "one task per line of FILE" },
    { "null", '0', GROUP_SOURCE, FLAG, AT(null_separated), NULL,
      "items end in NUL, not in a newline" },
    { "from-json", 0, GROUP_SOURCE, TEXT, AT(from_json), "FILE",
      "one task per line of FILE, a JSON value each (- is stdin)" },
    { "range", 0, GROUP_SOURCE, TEXT, AT(range), "A-B[:STEP]", "one task per integer, no input" },
    { "fn", 'f', GROUP_TASK, TEXT, AT(function), "NAME", "the handler that runs each task" },
    { "workdir", 0, GROUP_TASK, TEXT, AT(workdir), "DIR", "commands run there" },
    { "env", 0, GROUP_TASK, LIST, AT(env), "NAME=VALUE", "set for commands; repeatable" },
    { "plugin", 0, GROUP_TASK, TEXT, AT(plugin), "FILE",
      "shared object with the handler (private runs)" },
    { "test-handlers", 0, GROUP_TASK, FLAG, AT(test_handlers), NULL,
      "offer crash, fail, spin and late (private runs)" },
    { "model", 'm', GROUP_POLICY, TEXT, AT(model), "MODEL",
      "auto, process, thread, async or serial (default auto)" },
    { "width", 'j', GROUP_POLICY, COUNT, AT(width), "N",
      "tasks in flight per worker (default 0: chosen)" },
    { "timeout", 0, GROUP_POLICY, DURATION, AT(timeout_ms), "TIME",
      "stop a task after TIME (default: none)" },
    { "retries", 0, GROUP_POLICY, COUNT, AT(retries), "N",
      "run a failed task up to N more times (default 0)" },
    { "crash-limit", 0, GROUP_POLICY, COUNT, AT(crash_limit), "N",
      "give up on a task after N crashes (default 3)" },
    { "halt", 0, GROUP_POLICY, TEXT, AT(halt), "soon|now,fail=N|N%",
      "stop the batch after failures" },
    { "priority", 0, GROUP_POLICY, COUNT, AT(priority), "N",
      "higher runs first, 0 to 1000 (default 0)" },
    { "label", 0, GROUP_POLICY, LIST, AT(labels), "LABEL",
      "only on workers with this label; repeatable" },
    { "reduce", 'r', GROUP_POLICY, TEXT, AT(reduce), "OP",
      "fold all results: count sum min max mean histogram:LO:HI:BINS tally top:K concat" },
    { "process-start", 0, GROUP_POLICY, TEXT, AT(process_start), "fork|spawn",
      "how processes are made (default fork)" },
    { "name", 0, GROUP_POLICY, TEXT, AT(name), "TEXT", "a name for the batch" },
    { "dry-run", 0, GROUP_POLICY, FLAG, AT(dry_run), NULL, "say what would run, run nothing" },
    { "unordered", 'u', GROUP_RESULT, FLAG, AT(unordered), NULL, "print results as they come" },
    { "summary", 0, GROUP_WATCH, TEXT, AT(summary), "FILE", "write a JSON summary to FILE" },
    { "joblog", 0, GROUP_RESULT, TEXT, AT(joblog), "FILE", "write a line per task to FILE" },
    { "resume", 0, GROUP_RUN, TEXT, AT(resume), "FILE",
      "keep results in FILE; run again only what is not in it" },
    { "truncate", 0, GROUP_POLICY, FLAG, AT(truncate), NULL,
      "cut output over the cap instead of failing the task" },
    { "output-max", 0, GROUP_POLICY, SIZE, AT(output_bytes_max), "SIZE",
      "cap on one task's output (default 16M)" },
    { "progress", 0, GROUP_WATCH, TEXT, AT(progress), "auto|always|never",
      "progress bar on stderr (default auto: on a terminal)" },
    { "window", 0, GROUP_RUN, SIZE, AT(window_bytes), "SIZE",
      "results held at most on their way (default 32M)" },
    { "wait-timeout", 0, GROUP_WAIT, DURATION, AT(wait_timeout_ms), "TIME",
      "give up waiting after TIME (status 75)" },
    { "failed", 0, GROUP_RETRY, FLAG, AT(failed), NULL, "every task that failed for good" },
    { "dead", 0, GROUP_SHOW, FLAG, AT(dead), NULL, "only the tasks that failed for good" },
    { "output", 'o', GROUP_OUTPUT, TEXT, AT(output_word), "text|jsonl|json|quiet",
      "form of stdout (TRIREME_OUTPUT)" },
    { "broker", 'b', GROUP_COMMON, TEXT, AT(broker), "E[,E...]",
      "the broker's endpoints (TRIREME_BROKER)" },
    { "connect-timeout", 0, GROUP_COMMON, DURATION, AT(connect_timeout_ms), "TIME",
      "give up on an unreachable broker (default 5s)" },
    { "insecure-no-auth", 0, GROUP_COMMON, FLAG, AT(insecure), "network",
      "with =network: permit a broker beyond this machine without keys" },
    { "help", 'h', GROUP_COMMON, FLAG, AT(help), NULL, "this text" },
};

static const struct {
    unsigned group;
    const char *title;
} groups[] = {
    { GROUP_SOURCE, "Source (default: lines of stdin; or ::: VALUE...)" },
    { GROUP_TASK, "Task (or -- COMMAND ARGS, where {} {#} {.} {/} {//} stand for the value)" },
    { GROUP_POLICY, "Policy" },
    { GROUP_RESULT | GROUP_WATCH | GROUP_RUN, "Results" },
    { GROUP_WAIT, "Waiting" },
    { GROUP_RETRY | GROUP_SHOW, "Selection" },
    { GROUP_OUTPUT, "Output" },
    { GROUP_COMMON, "Everywhere" },
};

void cli_list_add(struct cli_list *list, const char *item)
{
    list->items = tri_realloc(list->items, list->count + 2, sizeof(*list->items));
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

/* By name, or by letter when `name` is NULL; of the options of these groups. */
static const struct option *find(unsigned groups_taken,
                                 const char *name,
                                 size_t length,
                                 char letter)
{
    for (size_t i = 0; i < TRI_COUNT_OF(options); i++) {
        const struct option *option = &options[i];

        if ((groups_taken & option->group) == 0)
            continue;
        if (name != NULL ? strlen(option->name) == length && memcmp(option->name, name, length) == 0
                         : option->letter == letter)
            return option;
    }
    return NULL;
}

static enum tri_status read_number(const struct option *option,
                                   const char *text,
                                   uint64_t *out,
                                   struct tri_error *error)
{
    switch (option->kind) {
    case COUNT:
        return tri_parse_u64(text, 0, INT64_MAX, out, error);
    case DURATION:
        return tri_parse_duration_ms(text, out, error);
    case SIZE:
        return tri_parse_size(text, out, error);
    case FLAG:
    case TEXT:
    case LIST:
        break;
    }
    return TRI_INVALID;
}

static bool apply(struct cli *cli, const struct option *option, const char *argument)
{
    void *field = (char *)cli + option->offset;
    struct tri_error error;

    switch (option->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case TEXT:
        *(const char **)field = argument;
        return true;
    case LIST:
        cli_list_add(field, argument);
        return true;
    case COUNT:
    case DURATION:
    case SIZE:
        break;
    }
    if (read_number(option, argument, field, &error) == TRI_OK)
        return true;
    cli_error("--%s: %s", option->name, error.text);
    return false;
}

static bool usage_error(const struct cli_verb *verb, const char *what, const char *word)
{
    cli_error("%s %s (try: trireme %s --help)", what, word, verb->name);
    return false;
}

/* The option that a word names. NULL, having said why, when this verb takes none of that name. */
static const struct option *find_word(const struct cli_verb *verb, const char *word)
{
    const char *name = word[1] == '-' ? word + 2 : NULL;
    size_t length = name != NULL ? strcspn(name, "=") : 0;
    const struct option *option = find(verb->groups, name, length, word[1]);

    if (option == NULL && find(~0u, name, length, word[1]) != NULL)
        cli_error("%s does not take %.*s (try: trireme %s --help)", verb->name,
                  (int)strcspn(word, "="), word, verb->name);
    else if (option == NULL)
        usage_error(verb, "unknown option", word);
    return option;
}

/* One word that starts with '-'. `*i` is left on the last word used. */
static bool parse_option(struct cli *cli, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const struct option *option = find_word(cli->verb, word);
    const char *argument = NULL;

    if (option == NULL)
        return false;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');

        argument = equals != NULL ? equals + 1 : NULL;
    } else {
        argument = word[2] != '\0' ? word + 2 : NULL;
        if (option->kind == FLAG && argument != NULL)
            return usage_error(cli->verb, "cannot read", word);
    }
    if (option->kind == FLAG) {
        if (argument != NULL && option->argument == NULL)
            return usage_error(cli->verb, "no value belongs to", word);
        if (argument != NULL && strcmp(argument, option->argument) != 0)
            return usage_error(cli->verb, "cannot read", word);
        /* --insecure-no-auth alone speaks of this machine, which needs no permission. */
        if (argument == NULL && option->argument != NULL)
            return true;
        return apply(cli, option, NULL);
    }
    if (argument == NULL) {
        if (*i + 1 >= argc)
            return usage_error(cli->verb, "a value is missing after", word);
        argument = argv[++*i];
    }
    return apply(cli, option, argument);
}

/* The words after `--` (the command), up to `:::`, and the values after that. */
static bool parse_rest(struct cli *cli, int argc, char **argv, int i, bool command)
{
    for (; i < argc; i++) {
        if (strcmp(argv[i], ":::") == 0 && cli->has_values) {
            cli_error("one ::: is understood: the values of two are not combined");
            return false;
        }
        if (strcmp(argv[i], ":::") == 0)
            cli->has_values = true;
        else
            cli_list_add(cli->has_values || !command ? &cli->values : &cli->command, argv[i]);
    }
    return true;
}

bool option_parse(struct cli *cli, int argc, char **argv)
{
    bool takes_task = (cli->verb->groups & GROUP_TASK) != 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0 && takes_task) {
            return parse_rest(cli, argc, argv, i + 1, true);
        }
        if (strcmp(argv[i], ":::") == 0 && takes_task) {
            cli->has_values = true;
            return parse_rest(cli, argc, argv, i + 1, false);
        }
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(cli, argc, argv, &i))
                return false;
        } else {
            cli_list_add(&cli->operands, argv[i]);
        }
    }
    return true;
}

void option_free(struct cli *cli)
{
    struct cli_list *lists[] = { &cli->values, &cli->command, &cli->env, &cli->labels,
                                 &cli->operands };

    for (size_t i = 0; i < TRI_COUNT_OF(lists); i++) {
        free(lists[i]->items);
        *lists[i] = (struct cli_list){ 0 };
    }
}

static void print_option(const struct option *option)
{
    char left[64];

    snprintf(left, sizeof(left), "%c%c%c --%s%s%s", option->letter != 0 ? '-' : ' ',
             option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ',' : ' ',
             option->name,
             option->argument == NULL ? ""
             : option->kind == FLAG   ? "="
                                      : " ",
             option->argument != NULL ? option->argument : "");
    printf("  %-34s %s\n", left, option->help);
}

void option_print_help(const struct cli_verb *verb)
{
    printf("usage: trireme %s%s%s\n\n%s\n", verb->name, verb->operands[0] != '\0' ? " " : "",
           verb->operands, verb->summary);
    for (size_t g = 0; g < TRI_COUNT_OF(groups); g++) {
        if ((verb->groups & groups[g].group) == 0)
            continue;
        printf("\n%s:\n", groups[g].title);
        for (size_t i = 0; i < TRI_COUNT_OF(options); i++) {
            if ((options[i].group & groups[g].group & verb->groups) != 0)
                print_option(&options[i]);
        }
    }
    printf("\nman trireme has the details, the defaults and the exit statuses.\n");
}

void option_print_names(const struct cli_verb *verb)
{
    for (size_t i = 0; i < TRI_COUNT_OF(options); i++) {
        if ((verb->groups & options[i].group) != 0)
            printf("--%s\n", options[i].name);
    }
}
