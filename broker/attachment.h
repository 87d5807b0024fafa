/* attachment.h - payload for a SEND, out of the store.
 *
 * A whole chunk or row is one more reference to the stored frame; a part of a chunk is cut out of
 * it, one copy of the part. The chunk was verified when it came in (tri_items_open in the engine),
 * and is not verified again: that would make cutting a large chunk into many leases quadratic.
 *
 * Time:    O(1) for a whole one, O(part) for a part.
 * Errors:  what the store's read says.
 */
#ifndef BROKER_ATTACHMENT_H
#define BROKER_ATTACHMENT_H

#include "broker/engine/effect.h"
#include "broker/store/store.h"

/* `*frame` is uninitialised on entry and initialised on TRI_OK only. */
enum tri_status attachment_open(struct store *store,
                                const struct attachment *attachment,
                                zmq_msg_t *frame);

/* The same of `count` attachments, parts of one chunk, as one item chunk of values of which each is
 * cut to `item_bytes_max`. Time: O(parts). */
enum tri_status attachment_open_cut(struct store *store,
                                    const struct attachment *attachments,
                                    size_t count,
                                    uint32_t item_bytes_max,
                                    zmq_msg_t *frame);

#endif
