#include "broker/outbox.h"

#include "common/assert.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

void outbox_init(struct outbox *self)
{
    *self = (struct outbox){ 0 };
}

void outbox_deinit(struct outbox *self)
{
    for (size_t i = 0; i < self->frame_capacity; i++)
        zmq_msg_close(&self->frames[i]);
    free(self->frames);
    free(self->entries);
    *self = (struct outbox){ 0 };
}

static struct outbox_entry *entry_at(const struct outbox *self, size_t i)
{
    return &self->entries[(self->entry_first + i) & (self->entry_capacity - 1)];
}

static zmq_msg_t *frame_at(const struct outbox *self, size_t i)
{
    return &self->frames[(self->frame_first + i) & (self->frame_capacity - 1)];
}

static void grow_entries(struct outbox *self)
{
    size_t capacity = self->entry_capacity == 0 ? CAPACITY_MIN : self->entry_capacity * 2;
    struct outbox_entry *entries = tri_alloc(capacity, sizeof(*entries));

    for (size_t i = 0; i < self->entry_count; i++)
        entries[i] = *entry_at(self, i);
    free(self->entries);
    self->entries = entries;
    self->entry_first = 0;
    self->entry_capacity = capacity;
}

static void grow_frames(struct outbox *self, size_t more)
{
    size_t capacity = self->frame_capacity == 0 ? CAPACITY_MIN : self->frame_capacity;
    zmq_msg_t *frames;

    while (capacity - self->frame_count < more)
        capacity *= 2;
    frames = tri_alloc(capacity, sizeof(*frames));
    for (size_t i = 0; i < capacity; i++)
        zmq_msg_init(&frames[i]);
    for (size_t i = 0; i < self->frame_count; i++)
        zmq_msg_move(&frames[i], frame_at(self, i));
    for (size_t i = 0; i < self->frame_capacity; i++)
        zmq_msg_close(&self->frames[i]);
    free(self->frames);
    self->frames = frames;
    self->frame_first = 0;
    self->frame_capacity = capacity;
}

void outbox_put(struct outbox *self,
                const struct peer_id *peer,
                zmq_msg_t *frames,
                size_t count,
                uint64_t ticket,
                struct outbox_manner manner)
{
    if (self->entry_count == self->entry_capacity)
        grow_entries(self);
    if (self->frame_capacity - self->frame_count < count)
        grow_frames(self, count);
    tri_assert(ticket == OUTBOX_NEXT_COMMIT || self->open_count == 0);
    *entry_at(self, self->entry_count++) = (struct outbox_entry){
        .ticket = ticket, .peer = *peer, .frame_count = count, .manner = manner
    };
    for (size_t i = 0; i < count; i++)
        zmq_msg_move(frame_at(self, self->frame_count++), &frames[i]);
    if (ticket == OUTBOX_NEXT_COMMIT)
        self->open_count++;
    self->informing_count += manner.informs;
}

void outbox_ticket(struct outbox *self, uint64_t ticket)
{
    for (; self->open_count > 0; self->open_count--)
        entry_at(self, self->entry_count - self->open_count)->ticket = ticket;
}

size_t outbox_peek_frames(const struct outbox *self)
{
    return self->entry_count == 0 ? 0 : entry_at(self, 0)->frame_count;
}

static void drop_first(struct outbox *self)
{
    size_t frame_count = entry_at(self, 0)->frame_count;

    self->frame_first = (self->frame_first + frame_count) & (self->frame_capacity - 1);
    self->frame_count -= frame_count;
    self->entry_first = (self->entry_first + 1) & (self->entry_capacity - 1);
    self->entry_count--;
    if (self->open_count > self->entry_count)
        self->open_count = self->entry_count;
}

static void drop_gone(struct outbox *self)
{
    while (self->entry_count > 0 && entry_at(self, 0)->is_gone)
        drop_first(self);
}

bool outbox_take(struct outbox *self,
                 uint64_t durable,
                 struct peer_id *peer,
                 zmq_msg_t *frames,
                 struct outbox_manner *manner)
{
    struct outbox_entry *entry;

    if (self->entry_count == 0)
        return false;
    entry = entry_at(self, 0);
    if (entry->ticket == OUTBOX_NEXT_COMMIT || entry->ticket > durable)
        return false;
    *peer = entry->peer;
    *manner = entry->manner;
    for (size_t i = 0; i < entry->frame_count; i++)
        zmq_msg_move(&frames[i], frame_at(self, i));
    self->informing_count -= manner->informs;
    drop_first(self);
    drop_gone(self);
    return true;
}

size_t outbox_take_informing(struct outbox *self, struct peer_id *peer, zmq_msg_t *frames)
{
    size_t frame = 0;
    size_t count = 0;

    for (size_t i = 0; count == 0 && self->informing_count > 0; i++) {
        struct outbox_entry *entry = entry_at(self, i);

        if (entry->manner.informs && !entry->is_gone) {
            count = entry->frame_count;
            tri_assert(count <= OUTBOX_INFORMING_FRAMES);
            for (size_t k = 0; k < count; k++)
                zmq_msg_move(&frames[k], frame_at(self, frame + k));
            *peer = entry->peer;
            entry->is_gone = true;
            self->informing_count--;
        }
        frame += entry->frame_count;
    }
    drop_gone(self);
    return count;
}
