#include "worker/main_machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_SPARED 64u

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

void machine_measure(struct chooser_machine *machine)
{
    struct rlimit limit;

    machine->cores = count_cores();
    machine->memory_bytes =
        smaller(free_memory(), group_limit("/sys/fs/cgroup/memory.max",
                                           "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        / 2;
    machine->processes_max = group_limit("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max");
    machine->processes_max =
        smaller(machine->processes_max, smaller(number_in("/proc/sys/kernel/threads-max"),
                                                number_in("/proc/sys/kernel/pid_max")));
    /* A thread's stack and its guard are two mappings. */
    machine->processes_max =
        smaller(machine->processes_max, number_in("/proc/sys/vm/max_map_count") / 2);
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        machine->processes_max = smaller(machine->processes_max, limit.rlim_cur);
    machine->processes_max /= 2;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && limit.rlim_cur > FILES_SPARED)
        machine->files_max = limit.rlim_cur - FILES_SPARED;
}
