#include "broker/store/writes.h"

#include <stdlib.h>
#include <string.h>

void writes_init(struct writes *self)
{
    tri_dlist_init(&self->list);
    self->bytes = 0;
    self->ticket = 0;
}

static uint64_t bytes_of(struct write *write)
{
    return write->head_bytes + zmq_msg_size(&write->payload);
}

void writes_clear(struct writes *self)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&self->list)) != NULL)
        writes_drop(self, tri_container_of(node, struct write, node));
}

struct write *writes_add(struct writes *self,
                         enum write_kind kind,
                         struct store_key key,
                         struct tri_bytes head,
                         zmq_msg_t *payload)
{
    struct write *write = tri_alloc(1, sizeof(*write) + head.size);

    write->kind = kind;
    write->key = key;
    write->head_bytes = head.size;
    if (head.size > 0)
        memcpy(write->head, head.data, head.size);
    zmq_msg_init(&write->payload);
    if (payload != NULL) {
        zmq_msg_copy(&write->payload, payload);
        write->has_payload = true;
    }
    tri_dlist_push_back(&self->list, &write->node);
    self->bytes += bytes_of(write);
    return write;
}

void writes_drop(struct writes *self, struct write *write)
{
    self->bytes -= bytes_of(write);
    tri_dlist_remove(&self->list, &write->node);
    zmq_msg_close(&write->payload);
    free(write);
}

void writes_join(struct writes *self, struct writes *from)
{
    struct tri_dlist_node *end = &self->list.ring;
    struct tri_dlist_node *begin = &from->list.ring;

    if (from->ticket > self->ticket)
        self->ticket = from->ticket;
    if (!tri_dlist_is_empty(&from->list)) {
        end->prev->next = begin->next;
        begin->next->prev = end->prev;
        begin->prev->next = end;
        end->prev = begin->prev;
        self->list.count += from->list.count;
        self->bytes += from->bytes;
    }
    writes_init(from);
}
