/* What a followed batch has to say next: SUBMIT or ATTACH first, then arguments, then ACKs. */
#include "client/lib/internal.h"
#include "common/proto/codec.h"

#define HAVE_RANGES_MAX 65536

static enum tri_status submit_effect(struct tri_follow *self)
{
    struct tri_buffer *out = &self->session->out;

    tri_buffer_append(out, self->submit.data, self->submit.size);
    return out->failed ? TRI_MEMORY : TRI_OK;
}

/* Rows that need not come again: what an owner may acknowledge, and for a reader, whose word
 * deletes nothing, what is here. As far as they fit into one message: what is left out is
 * recognised. */
static enum tri_status have_ranges(struct tri_follow *self, struct tri_ranges *ranges)
{
    const struct tri_rangeset *rows = self->owner ? &self->consumed : &self->received;
    struct tri_range range;
    size_t count = 0;

    tri_buffer_clear(&self->scratch);
    for (uint64_t at = 0; count < HAVE_RANGES_MAX && tri_rows_next_to_ack(self, rows, at, &range);
         at = range.first + range.count, count++)
        tri_buffer_append(&self->scratch, &range, sizeof(range));
    *ranges = (struct tri_ranges){ self->scratch.data, count };
    return self->scratch.failed ? TRI_MEMORY : TRI_OK;
}

/* A number may mean another batch at a broker that has lost ours; a name cannot. */
static void name_batch(const struct tri_follow *self, struct tri_msg_attach *attach)
{
    if (self->accepted || self->number == 0)
        attach->batch = (struct tri_bytes){ self->uuid.bytes, 16 };
    else
        attach->number = self->number;
}

static enum tri_status attach_effect(struct tri_follow *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACH };
    uint64_t request = tri_session_request_id(self->session);

    message.attach.request = request;
    name_batch(self, &message.attach);
    message.attach.owner = self->owner ? (self->accepted ? 2 : 1) : 0;
    message.attach.window_bytes = self->window_bytes;
    if (have_ranges(self, &message.attach.have) != TRI_OK)
        return TRI_MEMORY;
    tri_message_encode(&message, &self->session->out);
    if (self->session->out.failed)
        return TRI_MEMORY;
    self->request = request;
    self->ack_all = self->accepted;
    return TRI_OK;
}

/* Stay as a reader that has everything: nothing is held back for it, or awaited from it. */
static enum tri_status leave_effect(struct tri_follow *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_ATTACH };
    const struct tri_range everything = { 0, INT64_MAX };

    message.attach.request = tri_session_request_id(self->session);
    name_batch(self, &message.attach);
    message.attach.have = tri_ranges_of(&everything, 1);
    tri_message_encode(&message, &self->session->out);
    if (self->session->out.failed)
        return TRI_MEMORY;
    tri_follow_free(self);
    return TRI_OK;
}

enum tri_status tri_follow_effect(struct tri_follow *self, tri_time now, struct tri_bytes *body)
{
    enum tri_status status = TRI_EMPTY;

    tri_buffer_clear(&self->session->out);
    if (self->state == FOLLOW_LEAVING)
        return leave_effect(self);
    if (self->state == FOLLOW_FAILED || now < self->not_before)
        return TRI_EMPTY;
    if (self->state == FOLLOW_FOLLOWED) {
        if (self->append.resync && now >= self->append.not_before)
            tri_follow_ask_again(self);
        else
            status = tri_append_effect(self, now, body);
    }
    if (self->state == FOLLOW_FOLLOWED)
        return status == TRI_EMPTY ? tri_rows_ack_effect(self, now) : status;
    if (self->asked)
        return TRI_EMPTY;
    status = self->state == FOLLOW_SUBMITTING ? submit_effect(self) : attach_effect(self);
    if (status == TRI_OK) {
        self->asked = self->known = true;
        if (self->busy_since == 0)
            self->busy_since = now;
    }
    return status;
}
