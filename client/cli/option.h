/* option.h - one table of options: parsing, help and shell completion come from it. */
#ifndef OPTION_H
#define OPTION_H

#include "client/cli/cli.h"

/* Parse argv after the verb into `*cli` (already holding the defaults). Errors are printed.
 * Returns false for a usage error. */
bool option_parse(struct cli *cli, int argc, char **argv);

/* Free the lists. */
void option_free(struct cli *cli);

/* `trireme VERB --help` on stdout. */
void option_print_help(const struct cli_verb *verb);

/* Every option name of a verb, one per line, for the completion script. */
void option_print_names(const struct cli_verb *verb);

/* Append to a list that stays NULL-terminated. */
void cli_list_add(struct cli_list *list, const char *item);

#endif
