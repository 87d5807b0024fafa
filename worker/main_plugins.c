#include "worker/main_plugins.h"

#include "common/assert.h"
#include "worker/allow.h"
#include "worker/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

extern char **environ;

static uint64_t flags_of(const struct tri_handler *handler)
{
    return (handler->waits ? HANDLER_WAITS : 0u) | (handler->blocks ? HANDLER_BLOCKS : 0u)
           | (handler->process_only ? HANDLER_PROCESS_ONLY : 0u);
}

/* ---- the child ------------------------------------------------------------------------------ */

void plugins_take_role(int argc, char **argv)
{
    struct tri_error error = { .status = TRI_OK };

    if (argc != 3 || strcmp(argv[1], "--describe") != 0)
        return;
    if (registry_load(argv[2], &error) != TRI_OK) {
        printf("!%s\n", error.text);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < registry_count(); i++) {
        const struct tri_handler *handler = registry_at(i);

        printf("%s %d %lu\n", handler->name, (int)handler->argument,
               (unsigned long)flags_of(handler));
    }
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the catalog ---------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    char *copied = strdup(text);

    if (copied == NULL)
        tri_out_of_memory();
    return copied;
}

static enum tri_status add(struct plugin_catalog *self,
                           const char *name,
                           uint64_t argument,
                           uint64_t flags,
                           const char *plugin,
                           struct tri_error *error)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->handlers[i].name, name) == 0)
            return tri_fail(error, TRI_INVALID, "%s: there is a handler '%s' already%s%s", plugin,
                            name, self->handlers[i].plugin[0] != '\0' ? ", from " : "",
                            self->handlers[i].plugin);
    if (self->count == self->capacity) {
        self->capacity = self->capacity * 2 + 32;
        self->handlers = tri_realloc(self->handlers, self->capacity, sizeof(*self->handlers));
    }
    self->handlers[self->count++] = (struct session_handler){
        .name = copy(name), .argument = argument, .flags = flags, .plugin = copy(plugin)
    };
    return TRI_OK;
}

/* Built-in handlers that would only ever be denied are not offered. */
static bool is_allowed(const char *name)
{
    if (strcmp(name, "command") == 0)
        return allow_commands(NULL) == TRI_OK;
    if (strncmp(name, "file.", 5) == 0 || strcmp(name, "words") == 0)
        return allow_any_file();
    if (strncmp(name, "http.", 5) == 0)
        return allow_any_http();
    return true;
}

static enum tri_status add_builtin(struct plugin_catalog *self, struct tri_error *error)
{
    for (size_t i = 0; i < registry_count(); i++) {
        const struct tri_handler *handler = registry_at(i);
        enum tri_status status;

        if (!is_allowed(handler->name))
            continue;
        status = add(self, handler->name, handler->argument, flags_of(handler), "", error);
        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

/* ---- asking a child ------------------------------------------------------------------------- */

static enum tri_status spawn_child(const char *path, int out, pid_t *pid, struct tri_error *error)
{
    char *argv[] = { program_invocation_name, (char[]){ "--describe" }, (char *)(uintptr_t)path,
                     NULL };
    posix_spawn_file_actions_t actions;
    int failure;

    if (posix_spawn_file_actions_init(&actions) != 0)
        tri_out_of_memory();
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    failure = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        return tri_fail(error, TRI_SYSTEM, "%s: %s", path, strerror(failure));
    return TRI_OK;
}

/* All that the child has to say, as one text. */
static char *read_all(int fd)
{
    char *text = tri_alloc(TEXT_MAX + 1, 1);
    size_t size = 0;

    while (size < TEXT_MAX) {
        ssize_t got = read(fd, text + size, TEXT_MAX - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    return text;
}

static enum tri_status add_lines(struct plugin_catalog *self,
                                 const char *path,
                                 char *text,
                                 struct tri_error *error)
{
    char *rest = NULL;

    if (text[0] == '!')
        return tri_fail(error, TRI_INVALID, "%s", strtok_r(text + 1, "\n", &rest));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char name[65];
        unsigned long argument;
        unsigned long flags;
        enum tri_status status;

        if (sscanf(line, "%64s %lu %lu", name, &argument, &flags) != 3)
            return tri_fail(error, TRI_INVALID, "%s: it prints while it is loaded: %.100s", path,
                            line);
        status = add(self, name, argument, flags, path, error);
        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

static enum tri_status describe(struct plugin_catalog *self,
                                const char *path,
                                struct tri_error *error)
{
    enum tri_status status;
    int wait_status = 0;
    int fds[2];
    char *text;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return tri_fail(error, TRI_SYSTEM, "pipe: %s", strerror(errno));
    status = spawn_child(path, fds[1], &pid, error);
    close(fds[1]);
    if (status == TRI_OK) {
        text = read_all(fds[0]);
        while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
            ;
        if (text[0] == '\0' && wait_status != 0)
            status = tri_fail(error, TRI_INVALID, "%s: loading it crashes", path);
        else
            status = add_lines(self, path, text, error);
        free(text);
    }
    close(fds[0]);
    return status;
}

/* ---- which objects -------------------------------------------------------------------------- */

/* Nobody but root and we ourselves may exchange it. */
static enum tri_status check_owner(const char *path, struct tri_error *error)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return tri_fail(error, TRI_INVALID, "%s: %s", path, strerror(errno));
    if ((about.st_uid != 0 && about.st_uid != geteuid()) || (about.st_mode & 022) != 0)
        return tri_fail(error, TRI_DENIED, "%s: others may write to it (chmod go-w, chown)", path);
    return TRI_OK;
}

static enum tri_status add_plugin(struct plugin_catalog *self,
                                  const char *path,
                                  bool check,
                                  struct tri_error *error)
{
    char resolved[PATH_MAX];
    enum tri_status status = TRI_OK;

    if (realpath(path, resolved) == NULL)
        return tri_fail(error, TRI_INVALID, "%s: %s", path, strerror(errno));
    if (check)
        status = check_owner(resolved, error);
    return status == TRI_OK ? describe(self, resolved, error) : status;
}

static int is_object(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return size > 3 && strcmp(entry->d_name + size - 3, ".so") == 0;
}

static enum tri_status add_directory(struct plugin_catalog *self,
                                     const char *directory,
                                     struct tri_error *error)
{
    enum tri_status status = check_owner(directory, error);
    struct dirent **entries;
    int count;

    if (status != TRI_OK)
        return status;
    count = scandir(directory, &entries, is_object, alphasort);
    if (count < 0)
        return tri_fail(error, TRI_INVALID, "%s: %s", directory, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        if (status == TRI_OK)
            status = add_plugin(self, path, true, error);
        free(entries[i]);
    }
    free(entries);
    return status;
}

enum tri_status plugins_open(struct plugin_catalog *self,
                             const struct options *options,
                             struct tri_error *error)
{
    enum tri_status status;

    *self = (struct plugin_catalog){ 0 };
    status = add_builtin(self, error);
    for (size_t i = 0; i < options->plugins.count && status == TRI_OK; i++)
        status = add_plugin(self, options->plugins.items[i], options->private_fd < 0, error);
    for (size_t i = 0; i < options->plugin_dirs.count && status == TRI_OK; i++)
        status = add_directory(self, options->plugin_dirs.items[i], error);
    if (status != TRI_OK)
        plugins_close(self);
    return status;
}

void plugins_close(struct plugin_catalog *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free((char *)(uintptr_t)self->handlers[i].name);
        free((char *)(uintptr_t)self->handlers[i].plugin);
    }
    free(self->handlers);
    *self = (struct plugin_catalog){ 0 };
}
