/* query.h - what the verbs that ask have in common: an answer as a tree, and its fields as text.
 *
 * Memory: texts are borrowed from the tree.
 */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "client/cli/cli.h"
#include "client/cli/select.h"

#include <jansson.h>

/* A string of the tree, in which what a terminal would obey is blanked: anybody may have named a
 * batch. NULL when it is none. */
const char *query_plain(json_t *string);

/* A field of an object: "-" when it is empty or missing; 0 when it is no number. */
const char *query_text(json_t *object, const char *key);
unsigned long long query_number(json_t *object, const char *key);

typedef enum tri_status query_fn(struct tri_client *client,
                                 const struct selection *selection,
                                 char **json,
                                 struct tri_error *error);
typedef int query_print_fn(const struct cli *cli,
                           const char *json,
                           const struct selection *selection);

/* The JSON value at `*at`, which is behind it then; NULL when there is none. */
json_t *query_take(const char **at);

/* Ask about every batch that the arguments name; an answer is printed as it came when JSON is
 * wanted, and by `print` as text. Returns the exit status. */
int query_each(struct cli *cli, query_fn *query, query_print_fn *print);

#endif
