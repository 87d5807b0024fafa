/* writes.h - writes in the order they were given, on their way to a disk.
 *
 * Threads: one owner at a time; a whole list is handed over.
 * Memory:  owns its writes; payloads are shared by reference.
 */
#ifndef STORE_WRITES_H
#define STORE_WRITES_H

#include "broker/store/store.h"
#include "common/list.h"

enum write_kind { WRITE_PUT, WRITE_REMOVE, WRITE_REMOVE_BATCH };

struct write {
    struct tri_dlist_node node;
    enum write_kind kind;
    bool has_payload;
    struct store_key key; /* WRITE_REMOVE_BATCH: only its batch */
    zmq_msg_t payload;    /* open in any case */
    size_t head_bytes;
    uint8_t head[];
};

struct writes {
    struct tri_dlist_head list;
    uint64_t bytes;  /* of heads and payloads */
    uint64_t ticket; /* of the last commit in it */
};

void writes_init(struct writes *self);
void writes_clear(struct writes *self);

/* Add one to the end. `payload` (NULL: none) is shared, not taken. */
struct write *writes_add(struct writes *self,
                         enum write_kind kind,
                         struct store_key key,
                         struct tri_bytes head,
                         zmq_msg_t *payload);

/* Take one of them back: a later write of its row makes it pointless. */
void writes_drop(struct writes *self, struct write *write);

/* Move all of `from` behind what `self` has. O(1). */
void writes_join(struct writes *self, struct writes *from);

#endif
