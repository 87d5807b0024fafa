/* disk.h - a disk in memory behind an SQLite VFS named "disk": it fails when it is told to, and
 * forgets what was not synced when its power is cut.
 *
 * A failed sync loses what it should have written for good, as the kernel does: later syncs of that
 * file succeed and mean nothing.
 *
 * Threads: any; one lock.
 */
#ifndef TESTS_CONTRACT_DISK_H
#define TESTS_CONTRACT_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_operation { DISK_READ, DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_OPERATION_COUNT };

enum disk_fault {
    DISK_FAILS, /* an I/O error */
    DISK_FULL,  /* no space left; the operation is not done */
    DISK_DIES,  /* nothing works from here on until disk_power_cut */
};

/* Make it known to SQLite. Once a process. */
void disk_register(void);

/* Empty it. */
void disk_format(void);

/* From the `nth` (1, ...) operation of that kind on, `count` of them fail. 0: none. */
void disk_fail(enum disk_operation operation, enum disk_fault fault, uint64_t nth, uint64_t count);

/* How many have failed since disk_fail. */
uint64_t disk_failed(void);

/* What was synced stays; of the rest each sector of 512 bytes is there or not, as `seed` has it.
 * No fault is set afterwards. */
void disk_power_cut(uint64_t seed);

#endif
