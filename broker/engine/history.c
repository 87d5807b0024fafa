#include "broker/engine/history.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <stdlib.h>
#include <string.h>

void history_deinit(struct history *self)
{
    free(self->data);
    *self = (struct history){ 0 };
}

/* The text up to its first NUL, and no more than may be kept. */
static struct tri_bytes cut(struct tri_bytes text)
{
    const uint8_t *nul = text.size != 0 ? memchr(text.data, '\0', text.size) : NULL;

    if (nul != NULL)
        text.size = (size_t)(nul - text.data);
    if (text.size > HISTORY_ERROR_BYTES_MAX)
        text.size = HISTORY_ERROR_BYTES_MAX;
    return text;
}

/* The size of the record that begins at `at`. */
static uint32_t size_at(const struct history *self, uint32_t at)
{
    struct tri_list rest = { self->data + at, self->size - at, 1 };
    struct tri_rec_attempt attempt;

    tri_list_next(&rest, TRI_RECORD_ATTEMPT, &attempt);
    return (uint32_t)(self->size - at - rest.size);
}

/* Leave out the second, or the only one. */
static void leave_out_one(struct history *self)
{
    uint32_t at = self->count > 1 ? size_at(self, 0) : 0;
    uint32_t size = size_at(self, at);

    memmove(self->data + at, self->data + at + size, self->size - at - size);
    self->size -= size;
    self->count--;
}

void history_add(struct history *self, const struct tri_rec_attempt *attempt)
{
    struct tri_rec_attempt kept = *attempt;
    struct tri_buffer record = { 0 };

    kept.error = cut(attempt->error);
    tri_record_encode(TRI_RECORD_ATTEMPT, &kept, &record);
    tri_assert(!record.failed && record.size <= HISTORY_BYTES_MAX);
    while (self->count == HISTORY_COUNT_MAX
           || (self->count != 0 && self->size + record.size > HISTORY_BYTES_MAX))
        leave_out_one(self);
    self->data = tri_realloc(self->data, self->size + record.size, 1);
    memcpy(self->data + self->size, record.data, record.size);
    self->last = self->size;
    self->size += (uint32_t)record.size;
    self->count++;
    tri_buffer_deinit(&record);
}

bool history_last(const struct history *self, struct tri_rec_attempt *attempt)
{
    struct tri_list last = { self->data, self->size - self->last, 1 };

    if (self->count == 0)
        return false;
    last.data += self->last;
    return tri_list_next(&last, TRI_RECORD_ATTEMPT, attempt);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void history_tell(const struct history *self,
                  uint64_t clock_ms,
                  uint64_t epoch,
                  struct tri_buffer *out)
{
    struct tri_list list = { self->data, self->size, self->count };
    struct tri_rec_attempt attempt;

    while (tri_list_next(&list, TRI_RECORD_ATTEMPT, &attempt)) {
        bool is_dated = attempt.restarts != 0;

        attempt.age_ms = is_dated && clock_ms > attempt.age_ms ? clock_ms - attempt.age_ms : 0;
        attempt.restarts = is_dated ? epoch - least(epoch, attempt.restarts) : 1;
        tri_record_encode(TRI_RECORD_ATTEMPT, &attempt, out);
    }
}

enum tri_status history_open(struct history *self, struct tri_bytes bytes, struct tri_error *error)
{
    struct history read = { .size = (uint32_t)bytes.size };
    struct tri_rec_attempt attempt;
    uint64_t before = 0;

    if (bytes.size > HISTORY_BYTES_MAX)
        return tri_fail(error, TRI_STORE, "its history is too long");
    for (size_t at = 0, size; at < bytes.size; at += size) {
        struct tri_bytes rest = { bytes.data + at, bytes.size - at };

        if (tri_record_decode_head(TRI_RECORD_ATTEMPT, rest, &attempt, &size, error) != TRI_OK)
            return TRI_STORE;
        if (attempt.attempt <= before || ++read.count > HISTORY_COUNT_MAX)
            return tri_fail(error, TRI_STORE, "its history contradicts itself");
        before = attempt.attempt;
        read.last = (uint32_t)at;
    }
    if (bytes.size != 0) {
        read.data = tri_alloc(bytes.size, 1);
        memcpy(read.data, bytes.data, bytes.size);
    }
    history_deinit(self);
    *self = read;
    return TRI_OK;
}
