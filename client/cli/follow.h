/* follow.h - feed a batch and print what comes back, until it has ended: the loop of run, submit,
 * wait and results. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/private.h"
#include "client/cli/progress.h"
#include "client/cli/resume.h"
#include "client/cli/source.h"

struct follow {
    const struct cli *cli;
    struct tri_client *client;
    struct tri_batch *batch;
    struct source *source; /* NULL: nothing more to feed */
    struct output *output; /* NULL: results are not shown */
    struct summary_file summary;
    struct resume *resume;   /* or NULL */
    bool feed_only;          /* submit: end when sealed */
    struct private *private; /* of a private run, or NULL */
    int signal_fd;
    struct progress progress;
    struct tri_value pending; /* taken from the source, not yet added */
    bool has_pending;
    bool starved; /* the source has nothing right now */
    uint64_t deadline_ms;
    struct tri_error cut;  /* why the batch did not take all of the source */
    struct tri_error lost; /* why some of the results did not come */
};

/* Run the loop. Returns an exit status; CLI_OK says only that the batch ended (or was sealed). */
int follow_run(struct follow *self);

/* The exit status of a batch that has ended, after saying what is wrong with it. */
int follow_exit(const struct follow *self);

#endif
