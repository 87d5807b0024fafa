#include "broker/store/store.h"

#include <poll.h>

/* A full disk is looked at again this often. */
#define SETTLE_POLL_MS 100

enum tri_status store_settle(struct store *self, uint64_t ticket, struct tri_error *error)
{
    const struct store_operations *does = self->operations;

    for (;;) {
        struct pollfd fd = { .fd = does->fd(self), .events = POLLIN };
        enum tri_status status = does->turn(self, error);

        if (status != TRI_OK)
            return status;
        if (does->durable(self) >= ticket)
            return TRI_OK;
        if (does->stats(self).is_full)
            return tri_fail(error, TRI_NO_SPACE, "the disk of the store is full");
        poll(&fd, 1, SETTLE_POLL_MS);
    }
}
