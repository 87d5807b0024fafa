/* host_table.h - what a host is doing, in memory it shares with the session.
 *
 * The host writes, the session reads; when the host is dead the table is the witness: which tasks
 * had been started, and which oar was on the faulting instruction.
 *
 * Threads: every field is atomic; slot i is written by oar i alone (and by the fault handler).
 * Memory:  one memfd mapping per host, made by the session, sealed in size.
 */
#ifndef HOST_TABLE_H
#define HOST_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

/* One oar. `task` is index + 1 of the task it is on, 0 when idle; `seq` counts tasks begun, so
 * that a watcher sees that an oar has moved on without a clock being read per task. */
struct host_slot {
    _Alignas(64) _Atomic uint64_t task; /* a cache line for each oar */
    _Atomic uint64_t lease;
    _Atomic uint64_t seq;
    _Atomic uint64_t progress; /* parts per million */
};

struct host_table {
    uint32_t version;
    uint32_t width;
    _Atomic int32_t culprit; /* slot on which a fatal signal was raised, or -1 */
    _Atomic int32_t culprit_signal;
    _Atomic uint64_t culprit_task; /* index + 1, copied by the fault handler */
    _Atomic int32_t running;       /* async: slot whose coroutine holds the loop, or -1 */
    _Atomic uint64_t turns;        /* async: loop turns, so that a held loop is seen */
    _Atomic uint64_t cpu_ns;       /* CPU time of the host, refreshed with each flush */
    struct host_slot slots[];
};

#endif
