/* job.h - from the command line to the options of a batch. */
#ifndef JOB_H
#define JOB_H

#include "client/cli/cli.h"

/* Fill `*job` from `cli`; false after printing what is wrong. Borrows from `cli`. */
bool job_read(const struct cli *cli, struct tri_batch_options *job);

/* --dry-run: say on stdout what would be submitted. */
void job_print(const struct cli *cli, const struct tri_batch_options *job);

#endif
