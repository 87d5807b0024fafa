/* progress.h - a bar with rate and time left on stderr, redrawn at most five times a second. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "client/cli/cli.h"

struct progress {
    bool shown; /* a bar stands on the terminal */
    bool wanted;
    uint64_t started_ms;
    uint64_t drawn_ms;
};

void progress_init(struct progress *self, const struct cli *cli);

/* Redraw if it is time. */
void progress_draw(struct progress *self, const struct tri_batch *batch);

/* Remove the bar, so that other lines can be printed. */
void progress_clear(struct progress *self);

#endif
