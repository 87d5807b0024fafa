#include "common/clock.h"

#include "common/assert.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;

    tri_assert(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

tri_time tri_clock_now_ms(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000000;
}

uint64_t tri_clock_now_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t tri_clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t tri_clock_process_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t tri_clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

char *tri_clock_text(uint64_t wall_ms, char text[TRI_CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t length;

    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099) {
        snprintf(text, TRI_CLOCK_TEXT_SIZE, "@%llums", (unsigned long long)wall_ms);
        return text;
    }
    length = strftime(text, TRI_CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + length, TRI_CLOCK_TEXT_SIZE - length, ".%03uZ", (unsigned)(wall_ms % 1000));
    return text;
}
