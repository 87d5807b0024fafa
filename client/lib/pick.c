#include "client/lib/pick.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 65536 /* in one CANCEL or RETRY */

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* `ranges` has room for `count`. */
static size_t make_ranges(uint64_t *tasks, size_t count, struct tri_range *ranges)
{
    size_t made = 0;

    qsort(tasks, count, sizeof(*tasks), compare);
    for (size_t i = 0; i < count; i++) {
        struct tri_range *last = made != 0 ? &ranges[made - 1] : NULL;

        if (last != NULL && tasks[i] < last->first + last->count)
            continue;
        if (last != NULL && tasks[i] == last->first + last->count && tasks[i] != tasks[count - 1])
            last->count++;
        else
            ranges[made++] = (struct tri_range){ tasks[i], 1 };
    }
    return made;
}

enum tri_status tri_pick(const uint64_t *tasks,
                         size_t count,
                         struct tri_range **ranges,
                         size_t *range_count,
                         struct tri_error *error)
{
    uint64_t *sorted;

    *ranges = NULL;
    *range_count = 0;
    if (count == 0)
        return TRI_OK;
    sorted = calloc(count, sizeof(*sorted));
    *ranges = calloc(count, sizeof(**ranges));
    if (sorted == NULL || *ranges == NULL) {
        free(sorted);
        return tri_fail(error, TRI_MEMORY, "out of memory");
    }
    memcpy(sorted, tasks, count * sizeof(*sorted));
    *range_count = make_ranges(sorted, count, *ranges);
    count = sorted[count - 1] >= INT64_MAX;
    free(sorted);
    if (count != 0)
        return tri_fail(error, TRI_INVALID, "a task's number is below 2^63");
    if (*range_count > RANGES_MAX)
        return tri_fail(error, TRI_INVALID, "more than %d separate tasks at once", RANGES_MAX);
    return TRI_OK;
}
