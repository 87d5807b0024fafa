/* verb_completion.c - a bash completion script, made from the tables of verbs and options. */
#include "client/cli/cli.h"
#include "client/cli/option.h"

#include <stdio.h>
#include <string.h>

int verb_completion(struct cli *cli)
{
    if (cli->operands.count != 1 || strcmp(cli->operands.items[0], "bash") != 0) {
        cli_error("completion: only bash is known (put it to use: source <(trireme completion "
                  "bash))");
        return CLI_USAGE;
    }
    puts("_trireme()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
         "    if [ \"$COMP_CWORD\" = 1 ]; then\n        words=\"--help --version");
    for (size_t i = 0; i < cli_verb_count; i++)
        puts(cli_verbs[i].name);
    puts("\"\n    else\n        case ${COMP_WORDS[1]} in");
    for (size_t i = 0; i < cli_verb_count; i++) {
        printf("        %s) words=\"", cli_verbs[i].name);
        option_print_names(&cli_verbs[i]);
        puts("\" ;;");
    }
    puts("        esac\n"
         "        case ${COMP_WORDS[COMP_CWORD-1]} in\n"
         "        --model|-m) words='auto process thread async serial' ;;\n"
         "        --reduce|-r) words='count sum min max mean histogram: tally top: concat' ;;\n"
         "        --output|-o) words='text jsonl json quiet' ;;\n"
         "        --process-start) words='fork spawn' ;;\n"
         "        --each-line|--from-json|--plugin|--summary|--joblog|--resume)\n"
         "            COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
         "        esac\n    fi\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
         "complete -o default -F _trireme trireme");
    return CLI_OK;
}
