/* The words of a RUN: argv, and the environment: the tree's tag, what RUN adds, and of the
 * launcher's own what RUN does not replace. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <stdlib.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* Strings are written first, then pointed at: the text moves while it grows. */
static enum tri_status add_text(struct launcher_state *self,
                                struct tri_bytes word,
                                const char *what,
                                struct tri_error *error)
{
    if (memchr(word.data, '\0', word.size) != NULL)
        return tri_fail(error, TRI_FAILED, "%s holds a NUL byte", what);
    tri_buffer_append(&self->text, word.data, word.size);
    tri_buffer_append(&self->text, "", 1);
    if (self->text.failed)
        tri_out_of_memory();
    return TRI_OK;
}

static enum tri_status add_list(struct launcher_state *self,
                                struct tri_list list,
                                const char *what,
                                struct tri_error *error)
{
    struct tri_rec_text record;
    enum tri_status status = TRI_OK;

    while (status == TRI_OK && tri_list_next(&list, TRI_RECORD_TEXT, &record))
        status = add_text(self, record.text, what, error);
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
static char **complete(struct launcher_state *self, char **variables, size_t added)
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

enum tri_status launcher_words_of(struct launcher_state *self,
                                  const struct tri_msg_run *run,
                                  const struct tree *tree,
                                  struct launcher_words *words,
                                  struct tri_error *error)
{
    size_t need = run->argv.count + run->env.count + self->environment_count + 3;
    char tag[320];
    char *text;
    char **end;
    enum tri_status status;

    if (run->argv.count == 0)
        return tri_fail(error, TRI_FAILED, "a command without words");
    tri_buffer_clear(&self->text);
    launcher_tree_tag(self, tree, tag);
    status = add_list(self, run->argv, "an argument", error);
    if (status == TRI_OK)
        status = add_text(self, tri_bytes_of(tag), "the tag", error);
    if (status == TRI_OK)
        status = add_list(self, run->env, "the environment", error);
    if (status == TRI_OK)
        status = add_text(self, run->workdir, "the working directory", error);
    if (status != TRI_OK)
        return status;
    if (self->pointer_capacity < need) {
        self->pointers = tri_realloc(self->pointers, need, sizeof(char *));
        self->pointer_capacity = need;
    }
    text = (char *)self->text.data;
    words->argv = self->pointers;
    end = point_at(words->argv, run->argv.count, &text);
    *end++ = NULL;
    words->environment = end;
    end = point_at(end, 1 + run->env.count, &text);
    words->workdir = *text != '\0' ? text : NULL;
    status = check_variables(words->environment + 1, run->env.count, error);
    if (status != TRI_OK)
        return status;
    end = complete(self, words->environment + 1, run->env.count);
    *end = NULL;
    words->path = path_in(words->environment);
    return TRI_OK;
}
