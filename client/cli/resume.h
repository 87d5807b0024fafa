/* resume.h - results that outlive the client: `--resume FILE`.
 *
 * FILE holds a line of jsonl per finished task, written before the result counts as consumed. A run
 * that finds it shows the ok results in it again, and submits only what is not in it: so each task
 * shows once in FILE and once on stdout, whatever happened in between. Indexes in FILE are
 * positions in the source; `resume_position` translates those of the batch that was submitted.
 *
 * Errors: a line that is not whole (a crash while it was written) is cut off; anything else that is
 *         not a result is refused, naming the line.
 */
#ifndef RESUME_H
#define RESUME_H

#include "client/cli/output.h"

struct resume;

/* Open or create FILE and show what is in it through `output` (which must be open). NULL after
 * printing why not. */
struct resume *resume_open(const char *path, struct output *output);
void resume_close(struct resume **self);

/* Is the next position of the source done already? Else it will be the batch's next task. */
bool resume_skip(struct resume *self);

/* Where the batch's task stands in the source. */
uint64_t resume_position(const struct resume *self, uint64_t index);

/* Keep one result; its index is a position. TRI_SYSTEM when it cannot be written. */
enum tri_status resume_keep(struct resume *self, const struct tri_task_result *result);

/* Results shown from FILE. */
uint64_t resume_count(const struct resume *self);

#endif
