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
#include <stddef.h>
#include <stdint.h>

enum disk_operation { DISK_READ, DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_OPERATION_COUNT };

enum disk_fault {
    DISK_FAILS, /* an I/O error */
    DISK_FULL,  /* no space left; the operation is not done */
    DISK_DIES,  /* nothing works from here on until disk_power_cut */
};

/* Make it known to SQLite, as its first choice: its chance (salts of the log) is the disk's, too.
 * Once a process. */
void disk_register(void);

/* Empty it, and begin chance anew. */
void disk_format(void);

/* From the `nth` (1, ...) operation of that kind on, `count` of them fail. 0: none. */
void disk_fail(enum disk_operation operation, enum disk_fault fault, uint64_t nth, uint64_t count);

/* How many have failed since disk_fail. */
uint64_t disk_failed(void);

/* Nothing works from here on: its user is dying. */
void disk_die(void);

/* Its user is gone, and comes back: what was written stands, and may still be lost. No fault is set
 * afterwards. */
void disk_restart(void);

struct disk_cut {
    uint64_t seed;
    size_t block_bytes;    /* what gets to the disk as a whole, or not */
    uint32_t kept_percent; /* of what was not synced */
};

/* Blocks that had been written since the last sync, and say something else than before. */
struct disk_loss {
    uint64_t kept;
    uint64_t lost;
};

/* The power is cut: what was synced stays; of the rest each block is there or not, as the seed has
 * it. No fault is set afterwards. */
struct disk_loss disk_cut(const struct disk_cut *cut);

/* The same with sectors of 512 bytes, half of which are there. */
void disk_power_cut(uint64_t seed);

/* A bit in the middle of these bytes flips where the file has them. False: it has not, or not only
 * once. */
bool disk_rot(const char *name, const uint8_t *bytes, size_t size);

#endif
