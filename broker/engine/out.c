#include "broker/engine/out.h"

#include "broker/engine/state.h"
#include "common/assert.h"
#include "common/planted.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A step that wrote more than this gives its memory back. */
#define OUT_KEPT_BYTES_MAX (1u << 20)

#define ERROR_TEXT_BYTES sizeof(((struct tri_error *)0)->text)

void out_init(struct out *self)
{
    *self = (struct out){ 0 };
}

void out_deinit(struct out *self)
{
    tri_buffer_deinit(&self->bytes);
    free(self->effects);
    free(self->attachments);
    *self = (struct out){ 0 };
}

void out_begin(struct out *self)
{
    if (self->bytes.capacity > OUT_KEPT_BYTES_MAX)
        tri_buffer_deinit(&self->bytes);
    tri_buffer_clear(&self->bytes);
    self->count = 0;
    self->writes = false;
    self->step++;
    self->attachment_count = 0;
}

/* While a step runs, pointers into the buffers are offsets: the buffers still move. */
static const void *from_offset(size_t offset)
{
    return (const void *)(uintptr_t)offset; // NOLINT(performance-no-int-to-ptr)
}

static size_t to_offset(const void *pointer)
{
    return (size_t)(uintptr_t)pointer;
}

static struct tri_bytes bytes_since(const struct out *self, size_t start)
{
    tri_assert(!self->bytes.failed);
    return (struct tri_bytes){ from_offset(start), self->bytes.size - start };
}

static void settle(const struct out *self, struct tri_bytes *bytes)
{
    bytes->data = bytes->size != 0 ? self->bytes.data + to_offset(bytes->data) : NULL;
}

static void finish_effect(const struct out *self, struct effect *effect)
{
    switch (effect->type) {
    case EFFECT_PUT:
        settle(self, &effect->put.head);
        if (effect->put.frame < 0)
            settle(self, &effect->put.payload);
        break;
    case EFFECT_SEND:
        settle(self, &effect->send.frame);
        effect->send.attachments = effect->send.attachment_count != 0
                                       ? self->attachments + to_offset(effect->send.attachments)
                                       : NULL;
        break;
    case EFFECT_TRACE:
        effect->trace = (const char *)self->bytes.data + to_offset(effect->trace);
        break;
    case EFFECT_DELETE:
    case EFFECT_GET:
        break;
    }
}

struct effects out_finish(struct out *self)
{
    for (size_t i = 0; i < self->count; i++)
        finish_effect(self, &self->effects[i]);
    return (struct effects){ self->effects, self->count, self->writes };
}

static struct effect *add(struct out *self, enum effect_type type)
{
    struct effect *effect;

    if (self->count == self->capacity) {
        self->capacity = self->capacity != 0 ? self->capacity * 2 : 64;
        self->effects = tri_realloc(self->effects, self->capacity, sizeof(*self->effects));
    }
    effect = &self->effects[self->count++];
    self->writes = self->writes || type == EFFECT_PUT || type == EFFECT_DELETE;
    *effect = (struct effect){ .type = type };
    return effect;
}

/* ---- SEND ----------------------------------------------------------------------------------- */

static struct effect *add_send(struct out *self,
                               const struct peer_id *peer,
                               struct tri_bytes frame,
                               bool waits)
{
    struct effect *effect = add(self, EFFECT_SEND);

    effect->send.peer = *peer;
    effect->send.frame = frame;
    effect->send.waits = waits;
    return effect;
}

static struct tri_bytes encode(struct out *self, const struct tri_message *message)
{
    size_t start = self->bytes.size;

    tri_message_encode(message, &self->bytes);
    return bytes_since(self, start);
}

static struct tri_bytes copy(struct out *self, struct tri_bytes bytes)
{
    size_t start = self->bytes.size;

    tri_buffer_append(&self->bytes, bytes.data, bytes.size);
    return bytes_since(self, start);
}

static void attach(struct out *self,
                   struct effect *effect,
                   const struct attachment *attachments,
                   size_t count)
{
    if (self->attachment_capacity - self->attachment_count < count) {
        self->attachment_capacity = (self->attachment_capacity + count) * 2;
        self->attachments =
            tri_realloc(self->attachments, self->attachment_capacity, sizeof(*self->attachments));
    }
    memcpy(self->attachments + self->attachment_count, attachments, count * sizeof(*attachments));
    effect->send.attachments = from_offset(self->attachment_count);
    effect->send.attachment_count = count;
    self->attachment_count += count;
}

void out_answer(struct out *self, const struct peer_id *peer, const struct tri_message *message)
{
    add_send(self, peer, encode(self, message), false);
}

/* Nothing overtakes WELCOME, nor what it was sent after in the same step. */
static bool must_queue(const struct engine *engine, const struct session *session)
{
    return !session->greeted || session->queued == engine->out.step;
}

/* NULL: it has no connection. */
static struct effect *send_loosely(struct engine *engine,
                                   struct session *session,
                                   const struct tri_message *message,
                                   bool waits)
{
    if (!session->connected)
        return NULL;
    return add_send(&engine->out, &session->peer, encode(&engine->out, message),
                    waits || must_queue(engine, session));
}

/* When it waits, what comes after it in this step does, too. */
static struct effect *send_in_order(struct engine *engine,
                                    struct session *session,
                                    const struct tri_message *message,
                                    bool waits)
{
    struct effect *effect = send_loosely(engine, session, message, waits);

    if (effect != NULL && effect->send.waits)
        session->queued = engine->out.step;
    return effect;
}

bool out_send(struct engine *engine,
              struct session *session,
              const struct tri_message *message,
              bool waits)
{
    return send_in_order(engine, session, message, waits) != NULL;
}

void out_inform(struct engine *engine, struct session *session, const struct tri_message *message)
{
    struct effect *effect = send_in_order(engine, session, message, true);

    if (effect != NULL)
        effect->send.informs = true;
}

void out_inform_arguments(struct engine *engine,
                          struct session *session,
                          const struct tri_message *message,
                          const struct attachment *parts,
                          size_t count)
{
    struct effect *effect = send_in_order(engine, session, message, true);

    if (effect == NULL)
        return;
    effect->send.informs = true;
    if (count == 0)
        return;
    effect->send.item_bytes_max = TRI_ARGUMENT_BYTES_MAX;
    attach(&engine->out, effect, parts, count);
}

void out_acknowledge(struct engine *engine,
                     struct session *session,
                     const struct tri_message *message,
                     uint64_t subject)
{
    /* Nothing has to stay behind it. */
    struct effect *effect = send_loosely(engine, session, message, !PLANTED(REPORT_EARLY));

    if (effect == NULL)
        return;
    effect->send.haste = HASTE_NONE;
    effect->send.subject = subject;
}

bool out_send_payload(struct engine *engine,
                      struct session *session,
                      const struct tri_message *message,
                      const struct attachment *attachments,
                      size_t count,
                      bool waits)
{
    struct effect *effect = send_in_order(engine, session, message, waits);

    if (effect == NULL)
        return false;
    effect->send.haste = HASTE_OVERTAKES;
    if (count != 0)
        attach(&engine->out, effect, attachments, count);
    return true;
}

bool out_send_kept(struct engine *engine,
                   struct session *session,
                   struct tri_bytes frame,
                   struct store_key payload)
{
    struct attachment attachment = { .key = payload };
    struct effect *effect;

    if (!session->connected)
        return false;
    effect = add_send(&engine->out, &session->peer, copy(&engine->out, frame), !PLANTED(ROW_EARLY));
    session->queued = engine->out.step;
    effect->send.haste = HASTE_OVERTAKES;
    attach(&engine->out, effect, &attachment, 1);
    return true;
}

static struct tri_message error_message(uint64_t request,
                                        enum tri_status status,
                                        uint64_t retry_after_ms,
                                        const char *text)
{
    struct tri_message message = { .type = TRI_MESSAGE_ERROR };

    message.error.request = request;
    message.error.status = status;
    message.error.retry_after_ms = retry_after_ms;
    message.error.text = tri_bytes_of(text);
    return message;
}

void out_refuse(struct out *self,
                const struct peer_id *peer,
                enum tri_status status,
                uint64_t retry_after_ms,
                const char *text)
{
    char clipped[ERROR_TEXT_BYTES];
    struct tri_message message;

    snprintf(clipped, sizeof(clipped), "%s", text);
    message = error_message(0, status, retry_after_ms, clipped);
    out_answer(self, peer, &message);
}

void out_error(struct engine *engine,
               struct session *session,
               uint64_t request,
               enum tri_status status,
               const char *format,
               ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    struct tri_message message;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    message = error_message(request, status, 0, text);
    out_send(engine, session, &message, true);
}

void out_busy(struct engine *engine,
              struct session *session,
              uint64_t request,
              uint64_t retry_after_ms,
              const char *text)
{
    struct tri_message message = error_message(request, TRI_BUSY, retry_after_ms, text);

    out_send(engine, session, &message, true);
}

void out_no_space(struct engine *engine,
                  struct session *session,
                  uint64_t request,
                  uint64_t retry_after_ms,
                  const char *format,
                  ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    struct tri_message message;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    message = error_message(request, TRI_NO_SPACE, retry_after_ms, text);
    out_inform(engine, session, &message);
}

void out_done(struct engine *engine, struct session *session, uint64_t request, uint64_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_DONE };

    message.done.request = request;
    message.done.count = count;
    out_send(engine, session, &message, true);
}

/* ---- PUT, DELETE, GET ----------------------------------------------------------------------- */

void out_put(struct out *self, struct store_key key, struct tri_bytes head)
{
    struct effect *effect = add(self, EFFECT_PUT);

    effect->put.key = key;
    effect->put.head = copy(self, head);
    effect->put.frame = -1;
}

void out_put_frame(struct out *self,
                   struct store_key key,
                   struct tri_bytes head,
                   struct tri_bytes payload,
                   int frame)
{
    struct effect *effect = add(self, EFFECT_PUT);

    effect->put.key = key;
    effect->put.head = copy(self, head);
    effect->put.payload = payload;
    effect->put.frame = frame;
}

void out_put_payload(struct out *self,
                     struct store_key key,
                     struct tri_bytes head,
                     struct tri_bytes payload)
{
    struct effect *effect = add(self, EFFECT_PUT);

    effect->put.key = key;
    effect->put.head = copy(self, head);
    effect->put.payload = copy(self, payload);
    effect->put.frame = -1;
}

bool out_has_put(const struct out *self, const struct store_key *key)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct effect *effect = &self->effects[i];

        if (effect->type == EFFECT_PUT && effect->put.key.table == key->table
            && effect->put.key.batch == key->batch && effect->put.key.key == key->key)
            return true;
    }
    return false;
}

void out_delete(struct out *self, struct store_key key)
{
    add(self, EFFECT_DELETE)->delete.key = key;
}

void out_delete_batch(struct out *self, uint64_t batch)
{
    struct effect *effect = add(self, EFFECT_DELETE);

    effect->delete.key = (struct store_key){ STORE_BATCH, batch, 0 };
    effect->delete.whole_batch = true;
}

void out_get(struct out *self, struct store_key key)
{
    add(self, EFFECT_GET)->get = key;
}

/* ---- TRACE ---------------------------------------------------------------------------------- */

void out_trace(struct out *self, const char *format, ...)
{
    char line[512];
    va_list arguments;
    size_t start = self->bytes.size;
    struct effect *effect;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    tri_buffer_append(&self->bytes, line, strlen(line) + 1);
    tri_assert(!self->bytes.failed);
    effect = add(self, EFFECT_TRACE);
    effect->trace = from_offset(start);
}

const char *out_printable(struct tri_bytes bytes, char *text, size_t size)
{
    size_t count = bytes.size < size - 1 ? bytes.size : size - 1;

    for (size_t i = 0; i < count; i++)
        text[i] = (char)(bytes.data[i] > ' ' && bytes.data[i] < 127 ? bytes.data[i] : '?');
    text[count] = '\0';
    return text;
}
