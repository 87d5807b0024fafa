/* Configuration files. zconfig reads the values; it keeps no line numbers and prints its complaints
 * on stdout, so the form is verified line by line before it sees the text, and where each key
 * stands is remembered on the way. */
#include "common/config.h"

#include "common/assert.h"
#include "common/show.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define DEPTH_MAX 8
#define PATH_MAX_BYTES 256

struct entry {
    char path[PATH_MAX_BYTES];
    unsigned line;
};

struct tri_config {
    char *file;
    zconfig_t *root;
    struct entry *entries; /* in the order of the file */
    size_t count;
};

/* What the line scanner keeps between lines: where the path of each depth ends. */
struct scan {
    char path[PATH_MAX_BYTES];
    size_t ends[DEPTH_MAX];
    size_t depth; /* of the last name; the next one may be one deeper */
    bool any;
};

/* ---- read ----------------------------------------------------------------------------------- */

static enum tri_status system_error(const char *path, const char *what, struct tri_error *error)
{
    int number = errno;

    return tri_fail(error, number == ENOENT ? TRI_NOTFOUND : TRI_SYSTEM, "%s: %s: %s", path, what,
                    strerror(number));
}

static enum tri_status read_file(const char *path, char **text, struct tri_error *error)
{
    FILE *file = fopen(path, "re");
    enum tri_status status = TRI_OK;
    size_t size;

    if (file == NULL)
        return system_error(path, "cannot be opened", error);
    *text = tri_alloc(FILE_MAX_BYTES + 2, 1);
    size = fread(*text, 1, FILE_MAX_BYTES + 1, file);
    if (ferror(file))
        status = system_error(path, "cannot be read", error);
    else if (size > FILE_MAX_BYTES)
        status = tri_fail(error, TRI_INVALID, "%s: larger than 1 MiB", path);
    else if (memchr(*text, '\0', size) != NULL)
        status = tri_fail(error, TRI_INVALID, "%s: not a text file", path);
    fclose(file);
    if (status != TRI_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool is_name_character(int character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z')
           || (character >= '0' && character <= '9') || character == '_' || character == '-'
           || character == '.';
}

/* Is what follows a value (or nothing) only blanks and a comment? */
static bool is_rest(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    return at == end || *at == '#';
}

/* Check what stands behind a name. Returns what is wrong with it, or NULL. */
static const char *value_check(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    if (is_rest(at, end))
        return NULL;
    if (*at != '=')
        return "a name is followed by '=' and a value, or by nothing";
    for (at++; at < end && *at == ' ';)
        at++;
    if (is_rest(at, end))
        return "there is no value behind '='";
    if (*at == '"' || *at == '\'') {
        const char *close = memchr(at + 1, *at, (size_t)(end - at - 1));

        if (close == NULL)
            return "the quote is not closed";
        if (!is_rest(close + 1, end))
            return "there is something behind the quoted value";
    }
    return NULL;
}

/* Extend the path to the name in a line that is not blank. Returns what is wrong, or NULL. */
static const char *line_scan(struct scan *scan, const char *line, const char *end)
{
    const char *at = line;
    size_t depth;
    size_t start;
    size_t size;

    if (memchr(line, '\t', (size_t)(end - line)) != NULL
        || memchr(line, '\r', (size_t)(end - line)) != NULL)
        return "tabs and carriage returns are not allowed";
    while (at < end && *at == ' ')
        at++;
    depth = (size_t)(at - line) / 4;
    if ((at - line) % 4 != 0)
        return "indent by 4 blanks";
    if (depth > (scan->any ? scan->depth + 1 : 0) || depth >= DEPTH_MAX)
        return "it is indented too deep";
    for (line = at; at < end && is_name_character(*at);)
        at++;
    size = (size_t)(at - line);
    start = depth > 0 ? scan->ends[depth - 1] : 0;
    if (size == 0)
        return "a line starts with a name of letters, digits, '_', '-' and '.'";
    if (start + size + 2 > sizeof(scan->path))
        return "the name is too long";
    if (depth > 0)
        scan->path[start++] = '/';
    memcpy(scan->path + start, line, size);
    scan->path[start + size] = '\0';
    scan->ends[depth] = start + size;
    scan->depth = depth;
    scan->any = true;
    return value_check(at, end);
}

/* "broker" when "broker/listen" is known. */
static bool is_known(const char *path, const char *const *known, size_t count)
{
    size_t size = strlen(path);

    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(known[i]);

        if (strcmp(known[i], path) == 0
            || (length > size && known[i][size] == '/' && memcmp(known[i], path, size) == 0))
            return true;
    }
    return false;
}

static void entry_add(struct tri_config *self, const char *path, unsigned line)
{
    struct entry *entry;

    if ((self->count & (self->count - 1)) == 0)
        self->entries = tri_realloc(self->entries, self->count != 0 ? 2 * self->count : 1,
                                    sizeof(*self->entries));
    entry = &self->entries[self->count++];
    memcpy(entry->path, path, strlen(path) + 1);
    entry->line = line;
}

static enum tri_status scan_lines(struct tri_config *self,
                                  const char *text,
                                  const char *const *known,
                                  size_t known_count,
                                  struct tri_error *error)
{
    struct scan scan = { .any = false };
    unsigned number = 1;

    for (const char *line = text; *line != '\0'; number++) {
        const char *end = line + strcspn(line, "\n");

        if (!is_rest(line, end)) {
            const char *wrong = line_scan(&scan, line, end);

            if (wrong != NULL)
                return tri_fail(error, TRI_INVALID, "%s:%u: %s", self->file, number, wrong);
            if (!is_known(scan.path, known, known_count))
                return tri_fail(error, TRI_INVALID, "%s:%u: unknown key %s", self->file, number,
                                scan.path);
            entry_add(self, scan.path, number);
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return TRI_OK;
}

/* ---- open and close ------------------------------------------------------------------------- */

enum tri_status tri_config_open(const char *path,
                                const char *const *known,
                                size_t known_count,
                                struct tri_config **self,
                                struct tri_error *error)
{
    struct tri_config *config = NULL;
    char *text = NULL;
    enum tri_status status = read_file(path, &text, error);

    if (status != TRI_OK)
        return status;
    config = tri_alloc(1, sizeof(*config));
    config->file = strdup(path);
    if (config->file == NULL)
        tri_out_of_memory();
    status = scan_lines(config, text, known, known_count, error);
    if (status == TRI_OK) {
        config->root = zconfig_str_load(text);
        if (config->root == NULL)
            status = tri_fail(error, TRI_INVALID, "%s: not in ZPL form", path);
    }
    free(text);
    if (status == TRI_OK)
        *self = config;
    else
        tri_config_close(&config);
    return status;
}

void tri_config_close(struct tri_config **self)
{
    if (*self == NULL)
        return;
    if ((*self)->root != NULL)
        zconfig_destroy(&(*self)->root);
    free((*self)->entries);
    free((*self)->file);
    free(*self);
    *self = NULL;
}

/* ---- look up -------------------------------------------------------------------------------- */

/* The i-th item of this path below `parent`, counting down `*i`. */
static zconfig_t *item_find(zconfig_t *parent, const char *path, size_t *i)
{
    size_t size = strcspn(path, "/");

    for (zconfig_t *item = zconfig_child(parent); item != NULL; item = zconfig_next(item)) {
        zconfig_t *found = item;

        if (strlen(zconfig_name(item)) != size || memcmp(zconfig_name(item), path, size) != 0)
            continue;
        if (path[size] == '/')
            found = item_find(item, path + size + 1, i);
        else if ((*i)-- != 0)
            found = NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

const char *tri_config_list_at(const struct tri_config *self, const char *key, size_t i)
{
    zconfig_t *item = self != NULL ? item_find(self->root, key, &i) : NULL;

    return item != NULL ? zconfig_value(item) : NULL;
}

size_t tri_config_list_count(const struct tri_config *self, const char *key)
{
    size_t count = 0;

    for (size_t i = 0; self != NULL && i < self->count; i++)
        count += strcmp(self->entries[i].path, key) == 0;
    return count;
}

/* Of the i-th value of the key. */
static unsigned line_of(const struct tri_config *self, const char *key, size_t i)
{
    for (size_t at = 0; at < self->count; at++)
        if (strcmp(self->entries[at].path, key) == 0 && i-- == 0)
            return self->entries[at].line;
    return 0;
}

enum tri_status tri_config_string(const struct tri_config *self,
                                  const char *key,
                                  const char **out,
                                  struct tri_error *error)
{
    size_t count = tri_config_list_count(self, key);

    if (count > 1)
        return tri_fail(error, TRI_INVALID, "%s:%u: %s is given %zu times", self->file,
                        line_of(self, key, 1), key, count);
    if (count == 1)
        *out = tri_config_list_at(self, key, 0);
    return TRI_OK;
}

enum tri_status tri_config_refuse(const struct tri_config *self,
                                  const char *key,
                                  size_t i,
                                  const struct tri_error *why,
                                  struct tri_error *error)
{
    return tri_fail(error, TRI_INVALID, "%s:%u: %s: %.300s", self->file, line_of(self, key, i), key,
                    why->text);
}

enum tri_status tri_config_duration_ms(const struct tri_config *self,
                                       const char *key,
                                       uint64_t *out,
                                       struct tri_error *error)
{
    struct tri_error why;
    const char *text = NULL;
    enum tri_status status = tri_config_string(self, key, &text, error);

    if (status == TRI_OK && text != NULL && tri_parse_duration_ms(text, out, &why) != TRI_OK)
        return tri_config_refuse(self, key, 0, &why, error);
    return status;
}
