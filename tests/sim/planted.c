#include "tests/sim/planted.h"

#include <stdio.h>

#define WALL_JUMP_MS UINT64_C(86400000)
#define WALL_EVERY_MS 7000u

enum planted_bug planted_bug;

/* Only where the pure parts have them (TRI_PLANTED) there is something to choose. */
static const struct {
    enum planted_bug bug;
    const char *name;
    const char *file;
    int guarantee;
    const char *text;
} bugs[] = { { PLANTED_NONE, "none", "-", 0, "nothing is wrong" },
#ifdef TRI_PLANTED
#define X(number, name, file, guarantee, text) { PLANTED_##name, #name, file, guarantee, text },
             PLANTED_MAP(X)
#undef X
#endif
};

bool planted_choose(uint64_t number)
{
    if (number >= sizeof(bugs) / sizeof(bugs[0]))
        return false;
    planted_bug = bugs[number].bug;
    return true;
}

void planted_list(void)
{
    for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
        printf("%d %s %s %d %s\n", (int)bugs[i].bug, bugs[i].name, bugs[i].file, bugs[i].guarantee,
               bugs[i].text);
}

uint64_t planted_wall(uint64_t now_ms)
{
    return now_ms + now_ms / WALL_EVERY_MS % 2 * WALL_JUMP_MS;
}

uint64_t planted_chance(void)
{
    static uint64_t calls;

    return ++calls;
}
