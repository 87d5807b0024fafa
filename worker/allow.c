#include "worker/allow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && strcmp(value, "1") == 0;
}

static bool allows_all(void)
{
    return is_set("TRIREME_ALLOW_ALL");
}

/* The next line of a list of lines; false at its end. */
static bool next_line(const char **list, struct tri_bytes *line)
{
    const char *end;

    while (**list == '\n')
        ++*list;
    if (**list == '\0')
        return false;
    end = strchrnul(*list, '\n');
    *line = (struct tri_bytes){ (const uint8_t *)*list, (size_t)(end - *list) };
    *list = end;
    return true;
}

static const char *list_of(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

enum tri_status allow_commands(struct tri_error *error)
{
    if (allows_all() || is_set("TRIREME_ALLOW_COMMANDS"))
        return TRI_OK;
    return tri_fail(error, TRI_DENIED, "this worker runs no commands (--allow-commands)");
}

/* ---- files ---------------------------------------------------------------------------------- */

static enum tri_status fail_errno(struct tri_error *error, const char *path, int code)
{
    return tri_fail(error, code == ENOENT || code == ENOTDIR ? TRI_NOTFOUND : TRI_SYSTEM, "%s: %s",
                    path, strerror(code));
}

/* A file that is not there yet: its directory is resolved, its own name must be a plain one. */
static enum tri_status resolve_new(const char *path,
                                   char resolved[PATH_MAX],
                                   struct tri_error *error)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t directory_size = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    struct stat about;
    size_t size;

    if (directory_size >= sizeof(directory) || *name == '\0' || strcmp(name, ".") == 0
        || strcmp(name, "..") == 0)
        return fail_errno(error, path, ENOENT);
    memcpy(directory, path, directory_size);
    directory[directory_size] = '\0';
    if (realpath(directory_size != 0 ? directory : ".", resolved) == NULL)
        return fail_errno(error, path, errno);
    size = strlen(resolved);
    if (size + strlen(name) + 2 > PATH_MAX)
        return fail_errno(error, path, ENAMETOOLONG);
    snprintf(resolved + size, PATH_MAX - size, "%s%s", size == 1 ? "" : "/", name);
    if (lstat(resolved, &about) == 0 && S_ISLNK(about.st_mode))
        return tri_fail(error, TRI_DENIED, "%s: a symbolic link that leads nowhere", path);
    return TRI_OK;
}

/* `directory` may come with symbolic links and a slash at its end. */
static bool is_inside(const char *resolved, struct tri_bytes directory)
{
    char text[PATH_MAX];
    char root[PATH_MAX];
    size_t size;

    if (directory.size >= sizeof(text))
        return false;
    memcpy(text, directory.data, directory.size);
    text[directory.size] = '\0';
    if (realpath(text, root) == NULL)
        return false;
    size = strlen(root);
    if (size == 1)
        return true;
    return strncmp(resolved, root, size) == 0 && (resolved[size] == '/' || resolved[size] == '\0');
}

enum tri_status allow_file(const char *path, char resolved[PATH_MAX], struct tri_error *error)
{
    const char *list = list_of("TRIREME_ALLOW_FILES");
    struct tri_bytes directory;

    if (realpath(path, resolved) == NULL) {
        enum tri_status status =
            errno == ENOENT ? resolve_new(path, resolved, error) : fail_errno(error, path, errno);

        /* Whether a file exists is nobody's business who may not open it. */
        if (status != TRI_OK && !allows_all())
            return tri_fail(error, TRI_DENIED, "%s: not there, or not allowed (--allow-files)",
                            path);
        if (status != TRI_OK)
            return status;
    }
    if (allows_all())
        return TRI_OK;
    while (next_line(&list, &directory))
        if (is_inside(resolved, directory))
            return TRI_OK;
    return tri_fail(error, TRI_DENIED, "%s: this worker does not allow it (--allow-files DIR)",
                    path);
}

bool allow_any_file(void)
{
    const char *list = list_of("TRIREME_ALLOW_FILES");
    struct tri_bytes line;

    return allows_all() || next_line(&list, &line);
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

/* Does the rule HOST, HOST:PORT, [HOST] or [HOST]:PORT match? */
static bool rule_matches(struct tri_bytes rule, const char *host, uint16_t port)
{
    const char *at = (const char *)rule.data;
    const char *end = at + rule.size;
    const char *name = at;
    const char *name_end;
    char digits[8];

    if (at < end && *at == '[') {
        name = at + 1;
        name_end = memchr(name, ']', (size_t)(end - name));
        if (name_end == NULL)
            return false;
        at = name_end + 1;
    } else {
        name_end = memrchr(name, ':', (size_t)(end - name));
        /* More than one colon and no brackets: an IPv6 address without a port. */
        if (name_end == NULL || memchr(name, ':', (size_t)(name_end - name)) != NULL)
            name_end = end;
        at = name_end;
    }
    if (strlen(host) != (size_t)(name_end - name)
        || strncasecmp(host, name, (size_t)(name_end - name)) != 0)
        return false;
    if (at == end)
        return true;
    snprintf(digits, sizeof(digits), ":%u", port);
    return strlen(digits) == (size_t)(end - at) && memcmp(digits, at, (size_t)(end - at)) == 0;
}

enum tri_status allow_http(const char *host, uint16_t port, struct tri_error *error)
{
    const char *list = list_of("TRIREME_ALLOW_HTTP");
    struct tri_bytes rule;

    if (allows_all())
        return TRI_OK;
    while (next_line(&list, &rule))
        if (rule_matches(rule, host, port))
            return TRI_OK;
    return tri_fail(error, TRI_DENIED,
                    "%s:%u: this worker does not allow it (--allow-http HOST[:PORT])", host, port);
}

bool allow_any_http(void)
{
    const char *list = list_of("TRIREME_ALLOW_HTTP");
    struct tri_bytes line;

    return allows_all() || next_line(&list, &line);
}
