/* The words of a RUN: argv; the environment: the tree's tag, what RUN adds, and of the launcher's
 * own what RUN does not replace; and the files that its first word may mean. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <stdlib.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static void append(struct tri_buffer *buffer, struct tri_bytes bytes)
{
    tri_buffer_append(buffer, bytes.data, bytes.size);
    if (buffer->failed)
        tri_out_of_memory();
}

/* Strings are written first, then pointed at: the text moves while it grows. */
static enum tri_status add_text(struct launch *launch,
                                struct tri_bytes word,
                                const char *what,
                                struct tri_error *error)
{
    if (memchr(word.data, '\0', word.size) != NULL)
        return tri_fail(error, TRI_FAILED, "%s holds a NUL byte", what);
    append(&launch->words, word);
    append(&launch->words, (struct tri_bytes){ (const uint8_t *)"", 1 });
    return TRI_OK;
}

static enum tri_status add_list(struct launch *launch,
                                struct tri_list list,
                                const char *what,
                                struct tri_error *error)
{
    struct tri_rec_text record;
    enum tri_status status = TRI_OK;

    while (status == TRI_OK && tri_list_next(&list, TRI_RECORD_TEXT, &record))
        status = add_text(launch, record.text, what, error);
    return status;
}

/* Point at `count` words from `*text` on, which is left behind the last. */
static char **point_at(char **pointers, size_t count, char **text)
{
    for (size_t i = 0; i < count; i++) {
        *pointers++ = *text;
        *text += strlen(*text) + 1;
    }
    return pointers;
}

static size_t name_size(const char *variable)
{
    return strcspn(variable, "=");
}

static bool is_among(char *const *variables, size_t count, const char *variable)
{
    size_t size = name_size(variable);

    for (size_t i = 0; i < count; i++)
        if (strncmp(variables[i], variable, size + 1) == 0)
            return true;
    return false;
}

/* The environment behind the tag: `added` variables stand there already, the last of a name wins;
 * then the launcher's own. */
static char **complete(const struct launcher_state *self, char **variables, size_t added)
{
    char **end = variables;

    for (size_t i = 0; i < added; i++)
        if (!is_among(variables + i + 1, added - i - 1, variables[i]))
            *end++ = variables[i];
    added = (size_t)(end - variables);
    if (added == 0) {
        memcpy(end, self->environment, self->environment_count * sizeof(char *));
        return end + self->environment_count;
    }
    for (size_t i = 0; i < self->environment_count; i++)
        if (!is_among(variables, added, self->environment[i]))
            *end++ = self->environment[i];
    return end;
}

static const char *path_in(char *const *environment)
{
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    return DEFAULT_PATH;
}

static enum tri_status check_variables(char *const *variables,
                                       size_t count,
                                       struct tri_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (strchr(variables[i], '=') == NULL || variables[i][0] == '=')
            return tri_fail(error, TRI_FAILED, "environment: \"%.200s\" is not NAME=VALUE",
                            variables[i]);
        if (strncmp(variables[i], LAUNCHER_TREE_VARIABLE "=", sizeof(LAUNCHER_TREE_VARIABLE)) == 0)
            return tri_fail(error, TRI_FAILED, "environment: %s is the worker's own",
                            LAUNCHER_TREE_VARIABLE);
    }
    return TRI_OK;
}

/* The names that the program may have, in the order to try them: itself when it holds a slash, else
 * in each directory of PATH (an empty one is the working directory). Returns how many. */
static size_t add_names(struct launch *launch, const char *program, const char *path)
{
    size_t count = 0;

    tri_buffer_clear(&launch->names);
    if (program[0] == '\0')
        return 0;
    if (strchr(program, '/') != NULL) {
        append(&launch->names, (struct tri_bytes){ (const uint8_t *)program, strlen(program) + 1 });
        return 1;
    }
    for (;; path++) {
        size_t size = strcspn(path, ":");

        append(&launch->names, (struct tri_bytes){ (const uint8_t *)path, size });
        if (size > 0)
            append(&launch->names, tri_bytes_of("/"));
        append(&launch->names, (struct tri_bytes){ (const uint8_t *)program, strlen(program) + 1 });
        count++;
        path += size;
        if (*path == '\0')
            return count;
    }
}

static void make_room(struct launch *launch, size_t need)
{
    if (launch->pointer_capacity >= need)
        return;
    launch->pointers = tri_realloc(launch->pointers, need, sizeof(char *));
    launch->pointer_capacity = need;
}

/* Returns the number of pointers in use; argv and environment are told by their places. */
static enum tri_status point_at_words(const struct launcher_state *self,
                                      const struct tri_msg_run *run,
                                      struct launch *launch,
                                      char ***end,
                                      struct tri_error *error)
{
    char *text = (char *)launch->words.data;
    char **environment = launch->pointers + run->argv.count + 1;
    enum tri_status status;

    *point_at(launch->pointers, run->argv.count, &text) = NULL;
    *end = point_at(environment, 1 + run->env.count, &text);
    launch->spawn.workdir = *text != '\0' ? text : NULL;
    status = check_variables(environment + 1, run->env.count, error);
    if (status != TRI_OK)
        return status;
    *end = complete(self, environment + 1, run->env.count);
    *(*end)++ = NULL;
    return TRI_OK;
}

enum tri_status launcher_words_of(const struct launcher_state *self,
                                  const struct tri_msg_run *run,
                                  const struct tree *tree,
                                  struct launch *launch,
                                  struct tri_error *error)
{
    size_t need = run->argv.count + run->env.count + self->environment_count + 3;
    char tag[320];
    char *names;
    size_t name_count;
    size_t used;
    char **end;
    enum tri_status status;

    if (run->argv.count == 0)
        return tri_fail(error, TRI_FAILED, "a command without words");
    tri_buffer_clear(&launch->words);
    launcher_tree_tag(self, tree, tag);
    status = add_list(launch, run->argv, "an argument", error);
    if (status == TRI_OK)
        status = add_text(launch, tri_bytes_of(tag), "the tag", error);
    if (status == TRI_OK)
        status = add_list(launch, run->env, "the environment", error);
    if (status == TRI_OK)
        status = add_text(launch, run->workdir, "the working directory", error);
    if (status != TRI_OK)
        return status;
    make_room(launch, need);
    status = point_at_words(self, run, launch, &end, error);
    if (status != TRI_OK)
        return status;
    name_count =
        add_names(launch, launch->pointers[0], path_in(launch->pointers + run->argv.count + 1));
    used = (size_t)(end - launch->pointers);
    make_room(launch, used + name_count + 1);
    names = (char *)launch->names.data;
    *point_at(launch->pointers + used, name_count, &names) = NULL;
    launch->spawn.argv = launch->pointers;
    launch->spawn.environment = launch->pointers + run->argv.count + 1;
    launch->spawn.files = launch->pointers + used;
    return TRI_OK;
}
