#include "broker/statedir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OF_ROOT "/var/lib/trireme"
#define OWN "trireme"
#define ADVICE "name a file with --store, or use --store memory"

static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] == '/' ? value : NULL;
}

static enum tri_status find(char directory[PATH_MAX], struct tri_error *error)
{
    const char *given = getenv("STATE_DIRECTORY");
    const char *state = absolute("XDG_STATE_HOME");
    const char *home = absolute("HOME");
    int size;

    if (given != NULL && given[0] == '\0')
        given = NULL;
    if (given != NULL && given[0] != '/')
        return tri_fail(error, TRI_INVALID,
                        "STATE_DIRECTORY is not an absolute path (%.200s): correct it, or " ADVICE,
                        given);
    if (given != NULL)
        size = snprintf(directory, PATH_MAX, "%.*s", (int)strcspn(given, ":"), given);
    else if (geteuid() == 0)
        size = snprintf(directory, PATH_MAX, OF_ROOT);
    else if (state != NULL)
        size = snprintf(directory, PATH_MAX, "%s/" OWN, state);
    else if (home != NULL)
        size = snprintf(directory, PATH_MAX, "%s/.local/state/" OWN, home);
    else
        return tri_fail(error, TRI_STORE,
                        "no place to keep batches: HOME is not an absolute path; " ADVICE);
    if (size >= PATH_MAX)
        return tri_fail(error, TRI_STORE, "the path of the state directory is too long; " ADVICE);
    return TRI_OK;
}

/* Make what is missing of it, from above. */
static int make(char directory[PATH_MAX])
{
    for (char *at = directory + 1;; at++) {
        char end = *at;
        int result;

        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        result = mkdir(directory, 0700) == 0 || errno == EEXIST ? 0 : errno;
        *at = end;
        if (result != 0 || end == '\0')
            return result;
    }
}

enum tri_status statedir_place(const char *name, char path[PATH_MAX], struct tri_error *error)
{
    char directory[PATH_MAX];
    enum tri_status status = find(directory, error);
    int made;

    if (status != TRI_OK)
        return status;
    made = make(directory);
    if (made != 0)
        return tri_fail(error, TRI_STORE, "cannot make the state directory %.200s: %s; " ADVICE,
                        directory, strerror(made));
    if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
        return tri_fail(error, TRI_STORE, "the path of the state directory is too long; " ADVICE);
    return TRI_OK;
}
