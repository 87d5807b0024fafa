#include "client/cli/select.h"

#include "common/assert.h"
#include "common/parse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct selection *append(struct selections *out, uint64_t number)
{
    struct selection *item;

    out->items = tri_realloc(out->items, out->count + 1, sizeof(*out->items));
    item = &out->items[out->count++];
    *item = (struct selection){ .number = number };
    return item;
}

static void add_task(struct selections *out, uint64_t number, uint64_t task)
{
    struct selection *item = NULL;

    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].number == number && out->items[i].task_count > 0)
            item = &out->items[i];
    }
    if (item == NULL)
        item = append(out, number);
    item->tasks = tri_realloc(item->tasks, item->task_count + 1, sizeof(*item->tasks));
    item->tasks[item->task_count++] = task;
}

/* last, all and A-B need the list: the batches that exist, ascending. */
static bool add_listed(struct tri_client *client,
                       const char *word,
                       uint64_t low,
                       uint64_t high,
                       struct selections *out,
                       int *status)
{
    struct tri_error error;
    json_t *root = NULL;
    json_t *batches;
    json_t *item;
    char *text = NULL;
    size_t i;
    size_t before = out->count;

    if (tri_client_list(client, &text, &error) != TRI_OK) {
        *status = cli_fail(&error);
        return false;
    }
    root = json_loads(text, 0, NULL);
    free(text);
    batches = json_object_get(root, "batches");
    json_array_foreach(batches, i, item)
    {
        uint64_t number = (uint64_t)json_integer_value(json_object_get(item, "number"));

        if (number < low || number > high)
            continue;
        if (strcmp(word, "last") == 0 && out->count > before)
            out->count = before;
        append(out, number);
    }
    json_decref(root);
    if (out->count > before || strcmp(word, "all") == 0)
        return true;
    cli_error("%s: the broker has no such batch", word);
    *status = CLI_USAGE;
    return false;
}

static bool read_number(const char *text, size_t length, uint64_t *number)
{
    char copy[32];

    if (length == 0 || length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return tri_parse_u64(copy, 0, INT64_MAX, number, NULL) == TRI_OK;
}

static bool read_word(const struct cli *cli,
                      struct tri_client *client,
                      const char *word,
                      struct selections *out,
                      int *status)
{
    const char *slash = strchr(word, '/');
    const char *dash = strchr(word, '-');
    uint64_t a;
    uint64_t b;

    if (strcmp(word, "last") == 0 || strcmp(word, "all") == 0)
        return add_listed(client, word, 0, UINT64_MAX, out, status);
    if (read_number(word, strlen(word), &a)) {
        append(out, a);
        return true;
    }
    if (slash != NULL && read_number(word, (size_t)(slash - word), &a)
        && read_number(slash + 1, strlen(slash + 1), &b)) {
        if (!cli->verb->tasks) {
            cli_error("%s: %s is one task; this verb takes whole batches", cli->verb->name, word);
            *status = CLI_USAGE;
            return false;
        }
        add_task(out, a, b);
        return true;
    }
    if (dash != NULL && read_number(word, (size_t)(dash - word), &a)
        && read_number(dash + 1, strlen(dash + 1), &b) && a <= b)
        return add_listed(client, word, a, b, out, status);
    cli_error("%s is not a batch: give 7, 3-9, last, all, or 7/4242 for one task", word);
    *status = CLI_USAGE;
    return false;
}

bool select_read(const struct cli *cli,
                 struct tri_client *client,
                 struct selections *out,
                 int *status)
{
    *out = (struct selections){ 0 };
    if (cli->operands.count == 0) {
        cli_error("%s: say which batch: 7, 3-9, last, all", cli->verb->name);
        *status = CLI_USAGE;
        return false;
    }
    for (size_t i = 0; i < cli->operands.count; i++) {
        if (!read_word(cli, client, cli->operands.items[i], out, status)) {
            select_free(out);
            return false;
        }
    }
    return true;
}

void select_free(struct selections *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->items[i].tasks);
    free(self->items);
    *self = (struct selections){ 0 };
}
