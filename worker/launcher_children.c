/* Who our children are. The kernel keeps the list per thread (CONFIG_PROC_CHILDREN, in every
 * distribution's kernel); where it does not, all of /proc is looked through. Nobody but the caller
 * reaps, so no entry goes missing while the list is read. */
#include "worker/launcher_process.h"

#include "common/assert.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pids {
    pid_t *items;
    size_t count;
    size_t capacity;
};

static void add(struct pids *pids, pid_t pid)
{
    if (pids->count == pids->capacity) {
        pids->capacity = pids->capacity * 2 + 64;
        pids->items = tri_realloc(pids->items, pids->capacity, sizeof(*pids->items));
    }
    pids->items[pids->count++] = pid;
}

int launcher_children_open(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Blank-separated numbers; one may be cut by the end of a read. */
static void read_list(int fd, struct pids *pids)
{
    char text[4096];
    off_t at = 0;
    pid_t pid = 0;
    ssize_t count;

    while ((count = pread(fd, text, sizeof(text), at)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
            } else if (pid != 0) {
                add(pids, pid);
                pid = 0;
            }
        }
        at += count;
        if ((size_t)count < sizeof(text) / 2)
            break; /* a list that goes on fills its page */
    }
    if (pid != 0)
        add(pids, pid);
}

/* The numbers behind the name in /proc/PID/stat, as proc(5) counts them: from 4 on. */
enum { STAT_PARENT = 4, STAT_BIRTH = 22, STAT_ENV_START = 50, STAT_ENV_END = 51 };

bool launcher_process_stat(pid_t pid, struct process_stat *stat)
{
    char path[64];
    char text[2048];
    const char *at;
    ssize_t size;
    int fd;
    char state;
    uint64_t env_start = 0;
    uint64_t env_end = 0;
    int field = STAT_PARENT;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    at = strrchr(text, ')'); /* a program's name may hold anything */
    if (at == NULL || sscanf(at, ") %c", &state) != 1)
        return false;
    at += 3;
    for (; *at != '\0' && field <= STAT_ENV_END; field++) {
        char *end;
        uint64_t number = strtoull(at, &end, 10);

        if (field == STAT_PARENT)
            stat->parent = (pid_t)number;
        else if (field == STAT_BIRTH)
            stat->birth = number;
        else if (field == STAT_ENV_START)
            env_start = number;
        else if (field == STAT_ENV_END)
            env_end = number;
        at = end;
    }
    stat->has_finished = state == 'Z' || state == 'X';
    stat->has_no_environment = env_end != 0 && env_start == env_end;
    return field > STAT_BIRTH;
}

static void look_through_proc(struct pids *pids)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    struct process_stat stat;

    if (proc == NULL)
        return;
    while ((entry = readdir(proc)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name);

        if (pid > 0 && launcher_process_stat(pid, &stat) && stat.parent == getpid())
            add(pids, pid);
    }
    closedir(proc);
}

size_t launcher_children_read(int fd, pid_t **items)
{
    struct pids pids = { .items = NULL };

    if (fd >= 0)
        read_list(fd, &pids);
    else
        look_through_proc(&pids);
    *items = pids.items;
    return pids.count;
}

size_t launcher_children_all(pid_t **items)
{
    struct pids pids = { .items = NULL };
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    bool complete = tasks != NULL;

    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        char path[300];
        int fd;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/children", entry->d_name);
        fd = openat(dirfd(tasks), path, O_RDONLY | O_CLOEXEC);
        complete = complete && fd >= 0;
        if (fd < 0)
            continue;
        read_list(fd, &pids);
        close(fd);
    }
    if (tasks != NULL)
        closedir(tasks);
    if (!complete) {
        pids.count = 0;
        look_through_proc(&pids);
    }
    *items = pids.items;
    return pids.count;
}
