/* output.h - results on stdout, one way per --output; failures on stderr; the job log.
 *
 * Memory: text gathers in a buffer and leaves at 64 KiB or with output_flush.
 * Errors: TRI_CLOSED when nobody reads stdout any more; TRI_SYSTEM when it or the job log cannot be
 *         written, after saying so; TRI_CANCELLED when a signal came while stdout was full.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "client/cli/cli.h"
#include "client/cli/summary.h"
#include "common/buffer.h"

#include <stdio.h>

struct output {
    enum cli_output form;
    bool command; /* values are [exit code, stdout, stderr, truncated] */
    bool reduced; /* values are folded: only failures are shown */
    uint64_t number;
    uint64_t written;
    struct tri_buffer out;
    struct tri_buffer err;
    FILE *joblog;
    bool joblog_is_behind; /* lines of it are only in its buffer */
    const char *joblog_path;
    int joblog_errno; /* why it could not be written, or 0 */
};

/* Open the job log and print what stands before the first result. False after printing why not. */
bool output_open(struct output *self, const struct cli *cli, bool command);
/* False, after saying so, when the job log could not be written. */
bool output_close(struct output *self);

/* The exit status that belongs to a failed output_*. */
int output_exit(enum tri_status status);

enum tri_status output_result(struct output *self, const struct tri_task_result *result);
enum tri_status output_flush(struct output *self);
/* Nothing waits to be flushed. */
bool output_is_empty(const struct output *self);

/* After the last result: the reduced value (JSON, or NULL), what closes the form, the summary on
 * stderr and in its file. */
enum tri_status output_end(struct output *self,
                           struct summary_file *file,
                           struct tri_batch *batch,
                           const char *reduced);

#endif
