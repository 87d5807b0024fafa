/* chooser.h - which kind of oars a batch gets on this worker, how many, and why.
 *
 * A pure function of what the batch asks, what the handler says of itself, what has been measured
 * (nothing, so far: the profile is all zero until measuring exists, and then the field's rule of
 * thumb decides) and what the machine has. A model or a width that was asked for is obeyed; both
 * are clamped by memory, processes and descriptors, and the reason says so with its numbers.
 * Batches share them: where others may come, each takes at most half of what is left, and one oar
 * when there is nothing; what it was given it keeps.
 *
 * Rule of thumb: computing: one thread per core; waiting in tri_* calls: the loop, many at once;
 * blocking behind the runtime's back: more threads than cores; handlers that are not thread-safe: a
 * process per core; commands: two more than cores.
 *
 * Threads: pure.   Memory: none.
 * Errors:  choice.status: UNSUPPORTED when this worker is restricted to another model.
 * Limits:  width 1 .. CHOOSER_WIDTH_MAX.
 */
#ifndef CHOOSER_H
#define CHOOSER_H

#include "common/proto/codec.h"

/* A handler's nature, as HELLO says it (record HANDLER, flags). */
enum {
    HANDLER_WAITS = 1,
    HANDLER_BLOCKS = 2,
    HANDLER_PROCESS_ONLY = 4,
};

#define CHOOSER_WIDTH_MAX 1000000u
#define CHOOSER_ASYNC_WIDTH 10000u /* waits at once when nobody says how many */

/* What was measured of a handler on this machine. All zero: nothing yet. */
struct chooser_profile {
    uint64_t tasks;
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t crashes;
};

/* What this machine and this worker's configuration have to give. 0 means no limit where a limit
 * stands. */
struct chooser_machine {
    uint64_t cores;
    uint64_t memory_bytes;  /* what oars may use together */
    uint64_t processes_max; /* processes and threads of ours */
    uint64_t files_max;     /* descriptors of the session */
    enum tri_model model;   /* the only model this worker runs; AUTO: all */
    uint64_t width_max;     /* --width */
};

/* What the other batches of this worker were given, of what all of them share. */
struct chooser_others {
    uint64_t memory_bytes;
    uint64_t processes;
    uint64_t files;
    bool may_come; /* then a batch takes half of what is left */
};

struct choice {
    enum tri_status status;
    enum tri_model model;
    uint64_t width;
    char reason[480];
};

void chooser_choose(const struct tri_rec_spec *spec,
                    uint64_t handler_flags,
                    const struct chooser_profile *profile,
                    const struct chooser_machine *machine,
                    const struct chooser_others *others,
                    struct choice *choice);

/* Another batch runs by this choice. */
void chooser_share(struct chooser_others *others,
                   const struct tri_rec_spec *spec,
                   const struct choice *choice);

#endif
