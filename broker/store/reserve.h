/* reserve.h - room on the disk: how much there is, and a part of it kept for what cannot be
 * refused.
 *
 * The reserve is a file beside the store that occupies space and holds nothing. When the disk is
 * full it is cut to nothing: results of tasks that run already find room then. It is made again
 * when there is plenty.
 *
 * Time:    blocks on the disk; reserve_take may write as much as it keeps.
 * Threads: one at a time.
 * Limits:  a sixteenth of the disk.
 */
#ifndef STORE_RESERVE_H
#define STORE_RESERVE_H

#include "common/types.h"

struct reserve {
    char *file;          /* the store */
    char *path;          /* of the file; NULL: there is none, and the disk is not looked at */
    char *directory;     /* that it is in */
    uint64_t bytes;      /* wanted */
    uint64_t held_bytes; /* less on a small disk; 0: it is not held */
};

/* What `file` has beside it. `bytes` 0: no reserve. */
void reserve_init(struct reserve *self, const char *file, uint64_t bytes);
void reserve_deinit(struct reserve *self);

/* Occupy it, when as much again would still be free. True: it is held. */
bool reserve_take(struct reserve *self);

/* Give it to whoever writes next. False: it was not held. */
bool reserve_spend(struct reserve *self);

struct disk {
    uint64_t free_bytes; /* for this process; UINT64_MAX: unknown */
    uint64_t bytes;      /* of all of it; UINT64_MAX: unknown */
};

/* The disk as far as the store may use it: its file ends where the limit on the size of files does.
 */
struct disk reserve_disk(const struct reserve *self);

#endif
