/* verb_change.c - cancel, retry, forget: one request per batch, one line per answer. */
#include "client/cli/cli.h"
#include "client/cli/option.h"
#include "client/cli/select.h"
#include "common/types.h"

#include <stdio.h>

typedef enum tri_status change_fn(struct tri_client *client,
                                  const struct selection *selection,
                                  uint64_t *count,
                                  struct tri_error *error);

static enum tri_status cancel(struct tri_client *client,
                              const struct selection *selection,
                              uint64_t *count,
                              struct tri_error *error)
{
    return tri_client_cancel(client, selection->number, selection->tasks, selection->task_count,
                             count, error);
}

static enum tri_status retry(struct tri_client *client,
                             const struct selection *selection,
                             uint64_t *count,
                             struct tri_error *error)
{
    return tri_client_retry(client, selection->number, selection->tasks, selection->task_count,
                            count, error);
}

static enum tri_status forget(struct tri_client *client,
                              const struct selection *selection,
                              uint64_t *count,
                              struct tri_error *error)
{
    *count = 1;
    return tri_client_forget(client, selection->number, error);
}

static int change_all(struct cli *cli, change_fn *change, const char *done, bool tasks)
{
    struct selections selected;
    struct tri_error error;
    int status = CLI_OK;
    struct tri_client *client = cli_connect(cli, &status);

    if (client == NULL)
        return status;
    if (select_read(cli, client, &selected, &status)) {
        for (size_t i = 0; i < selected.count; i++) {
            uint64_t count = 0;

            if (change(client, &selected.items[i], &count, &error) != TRI_OK)
                status = cli_fail(&error);
            else if (cli->output == CLI_JSON || cli->output == CLI_JSONL)
                printf("{\"batch\":%llu,\"%s\":%llu}\n",
                       (unsigned long long)selected.items[i].number, done,
                       (unsigned long long)count);
            else if (cli->output == CLI_TEXT && tasks)
                printf("batch %llu: %llu task%s %s\n", (unsigned long long)selected.items[i].number,
                       (unsigned long long)count, tri_plural(count), done);
            else if (cli->output == CLI_TEXT)
                printf("batch %llu %s\n", (unsigned long long)selected.items[i].number, done);
        }
        select_free(&selected);
    }
    tri_client_close(&client);
    return status;
}

int verb_cancel(struct cli *cli)
{
    return change_all(cli, cancel, "cancelled", true);
}

int verb_retry(struct cli *cli)
{
    if (cli->failed && cli->operands.count == 0)
        cli_list_add(&cli->operands, "all");
    return change_all(cli, retry, "retried", true);
}

int verb_forget(struct cli *cli)
{
    return change_all(cli, forget, "forgotten", false);
}
