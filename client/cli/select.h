/* select.h - which batches and tasks the operands name: 7, 3-9, last, all, 7/4242. */
#ifndef SELECT_H
#define SELECT_H

#include "client/cli/cli.h"

struct selection {
    uint64_t number;
    uint64_t *tasks; /* empty: the whole batch */
    size_t task_count;
};

struct selections {
    struct selection *items;
    size_t count;
};

/* Resolve the operands with the broker's list. False after printing what is wrong, with the exit
 * status in `*status`. */
bool select_read(const struct cli *cli,
                 struct tri_client *client,
                 struct selections *out,
                 int *status);
void select_free(struct selections *self);

#endif
