/* noop.c - a shared object with a handler that hands its argument back: what bench/throughput and
 * bench/latency run, so that only Trireme's own cost is measured. */
#include "trireme/handler.h"

static enum tri_status noop(struct tri_task *task,
                            const struct tri_value *argument,
                            struct tri_result *out)
{
    (void)task;
    return tri_result_borrow(out, argument);
}

TRI_HANDLER(.name = "noop", .run = noop);
