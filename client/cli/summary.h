/* summary.h - how a batch went, for people and for programs. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "client/cli/cli.h"
#include "common/buffer.h"

#include <stdio.h>

/* {"batch":...,"tasks":n,"ok":n,...}: the fields are in docs/man/trireme.1. `reduced` is JSON or
 * NULL. */
void summary_json(struct tri_batch *batch, const char *reduced, struct tri_buffer *out);

/* One line: `batch 7: 1000 tasks, 995 ok, 5 failed in 1.20 s (833/s; thread)`. */
void summary_print(struct tri_batch *batch, FILE *out);

/* The file of --summary: opened before anything is submitted, empty until the batch has ended. */
struct summary_file {
    const char *path;
    FILE *file; /* NULL: nobody asked for one, or it is closed */
};

/* Nothing when `path` is NULL. False after printing why not. */
bool summary_open(struct summary_file *self, const char *path);
void summary_close(struct summary_file *self);

/* Write it, if there is a file, and close it. False after printing why not. */
bool summary_write(struct summary_file *self, const struct tri_buffer *summary);

/* The exit status that an ended batch stands for. */
int summary_exit(struct tri_batch *batch);

#endif
