#include "client/cli/progress.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_MS 200
#define BAR_WIDTH 30

void progress_init(struct progress *self, const struct cli *cli)
{
    *self = (struct progress){ .started_ms = tri_clock_now_ms() };
    self->wanted = strcmp(cli->progress, "always") == 0
                   || (strcmp(cli->progress, "auto") == 0 && isatty(STDERR_FILENO)
                       && cli->output != CLI_QUIET);
}

static void print_left(uint64_t seconds)
{
    if (seconds >= 3600)
        fprintf(stderr, " %lluh%02llum left", (unsigned long long)(seconds / 3600),
                (unsigned long long)(seconds / 60 % 60));
    else if (seconds >= 60)
        fprintf(stderr, " %llum%02llus left", (unsigned long long)(seconds / 60),
                (unsigned long long)(seconds % 60));
    else
        fprintf(stderr, " %llus left", (unsigned long long)seconds);
}

void progress_draw(struct progress *self, const struct tri_batch *batch)
{
    uint64_t now = tri_clock_now_ms();
    struct tri_batch_summary summary;
    char bar[BAR_WIDTH + 1];
    uint64_t ended;
    double rate;
    size_t filled;

    if (!self->wanted || now - self->drawn_ms < REDRAW_MS)
        return;
    self->drawn_ms = now;
    self->shown = true;
    tri_batch_summary(batch, &summary);
    ended = summary.ok + summary.failed + summary.cancelled;
    rate = (double)ended * 1e3 / (double)(now - self->started_ms + 1);
    filled = summary.count > 0 ? (size_t)((double)ended / (double)summary.count * BAR_WIDTH) : 0;
    filled = filled > BAR_WIDTH ? BAR_WIDTH : filled;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K[%s] %llu/%llu", bar, (unsigned long long)ended,
            (unsigned long long)summary.count);
    if (summary.failed > 0)
        fprintf(stderr, " %llu failed", (unsigned long long)summary.failed);
    fprintf(stderr, " %.0f/s", rate);
    if (rate > 0 && summary.count > ended)
        print_left((uint64_t)((double)(summary.count - ended) / rate + 0.5));
    fflush(stderr);
}

void progress_clear(struct progress *self)
{
    if (!self->shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    self->shown = false;
}
