#include "worker/main_machine.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_SPARED 64u  /* for everything but oars: of few descriptors half */
#define OWN_PROCESSES 8u  /* this worker's, threads included, before it has an oar */
#define COUNTED_MAX 4096u /* larger limits are not worth counting what is there already */

void machine_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t count_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (uint64_t)CPU_COUNT(&set);
    return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

/* The number that a file begins with; 0 when there is none ("max"). */
static uint64_t number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long number = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

static uint64_t free_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[128];

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* Control groups, version 2 and 1, as a container sees its own. */
static uint64_t group_limit(const char *second, const char *first)
{
    uint64_t limit = smaller(number_in(second), number_in(first));

    return limit < UINT64_C(1) << 60 ? limit : 0;
}

/* The number behind `key` in a process's status; 0 when it has none. */
static uint64_t status_number(const char *pid, const char *key)
{
    unsigned long long number = 0;
    char path[64];
    char line[128];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.16s/status", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0) {
            number = strtoull(line + strlen(key), NULL, 10);
            break;
        }
    fclose(file);
    return number;
}

/* Processes and threads of this user, which RLIMIT_NPROC counts. */
static uint64_t count_own(void)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    uint64_t count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9'
            && status_number(entry->d_name, "Uid:") == getuid())
            count += status_number(entry->d_name, "Threads:");
    if (folder != NULL)
        closedir(folder);
    return count;
}

/* What is left of a limit that is nobody else's, before half of it is left to others. */
static uint64_t left_of(uint64_t limit, uint64_t used)
{
    used += OWN_PROCESSES;
    return limit > used ? limit - used : 1;
}

static uint64_t processes_left(void)
{
    uint64_t group = group_limit("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max");
    struct rlimit own;
    uint64_t left =
        smaller(number_in("/proc/sys/kernel/threads-max"), number_in("/proc/sys/kernel/pid_max"));

    /* A thread's stack and its guard are two mappings. */
    left = smaller(left, number_in("/proc/sys/vm/max_map_count") / 2);
    if (group != 0)
        left = smaller(left, left_of(group, group_limit("/sys/fs/cgroup/pids.current",
                                                        "/sys/fs/cgroup/pids/pids.current")));
    if (getrlimit(RLIMIT_NPROC, &own) == 0 && own.rlim_cur != RLIM_INFINITY)
        left = smaller(left, left_of(own.rlim_cur, own.rlim_cur <= COUNTED_MAX ? count_own() : 0));
    return left;
}

/* Descriptors of a process for its oars; 0: without limit. */
static uint64_t files_left(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    return limit.rlim_cur > 2 * FILES_SPARED ? limit.rlim_cur - FILES_SPARED
                                             : limit.rlim_cur / 2 + 1;
}

void machine_measure(struct chooser_machine *machine)
{
    machine->cores = count_cores();
    machine->memory_bytes =
        smaller(free_memory(), group_limit("/sys/fs/cgroup/memory.max",
                                           "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        / 2;
    machine->processes_max = (processes_left() + 1) / 2;
    machine->files_max = files_left();
}
