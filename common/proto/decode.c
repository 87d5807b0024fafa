/* Bytes to structs: one walk over a shape's fields, the struct filled side by side. Lists are
 * checked to the last record here and viewed lazily later (tri_list_next). */
#include "common/assert.h"
#include "common/proto/codec.h"
#include "common/proto/head.h"
#include "common/proto/shape.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NOT_IN_LIST SIZE_MAX

/* Where the decoder is, for the text of an error: HELLO.handlers[3].name. */
struct place {
    const struct place *outer; /* the list's place, NULL for the message or record itself */
    const char *name;          /* the shape's name, or the field's */
    size_t index;              /* in the list that `outer` is */
};

static int place_write(const struct place *place, char *text, size_t size)
{
    int used = 0;

    if (place == NULL)
        return 0;
    used = place_write(place->outer, text, size);
    if ((size_t)used >= size)
        return used;
    if (place->index != NOT_IN_LIST)
        return used + snprintf(text + used, size - (size_t)used, "[%zu]", place->index);
    return used
           + snprintf(text + used, size - (size_t)used, "%s%s", used > 0 ? "." : "", place->name);
}

static enum tri_status fail(struct tri_error *error,
                            enum tri_status status,
                            const struct place *place,
                            const char *format,
                            ...) __attribute__((format(printf, 4, 5), cold));

static enum tri_status fail(struct tri_error *error,
                            enum tri_status status,
                            const struct place *place,
                            const char *format,
                            ...)
{
    char where[160];
    char text[200];
    va_list args;

    if (error == NULL)
        return status;
    where[0] = '\0';
    place_write(place, where, sizeof(where));
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return tri_fail(error, status, "%s: %s", where, text);
}

static enum tri_status wrong_type(struct tri_error *error,
                                  const struct place *place,
                                  const char *wanted,
                                  enum tri_head found)
{
    return fail(error, TRI_INVALID, place, "%s expected, %s found", wanted, tri_head_text(found));
}

static enum tri_status over_limit(struct tri_error *error,
                                  const struct place *place,
                                  uint64_t number,
                                  uint64_t max)
{
    return fail(error, TRI_INVALID, place, "%" PRIu64 " is over the limit %" PRIu64, number, max);
}

static enum tri_status decode_unsigned(const struct tri_field *field,
                                       struct tri_cursor *cursor,
                                       uint64_t *value,
                                       const struct place *place,
                                       struct tri_error *error)
{
    enum tri_head head = tri_head_read(cursor, value);

    if (head != TRI_HEAD_UNSIGNED)
        return wrong_type(error, place, "an unsigned integer", head);
    if (*value > field->max)
        return over_limit(error, place, *value, field->max);
    return TRI_OK;
}

static enum tri_status decode_signed(struct tri_cursor *cursor,
                                     int64_t *value,
                                     const struct place *place,
                                     struct tri_error *error)
{
    uint64_t number;
    enum tri_head head = tri_head_read(cursor, &number);

    if (head != TRI_HEAD_UNSIGNED && head != TRI_HEAD_NEGATIVE)
        return wrong_type(error, place, "an integer", head);
    if (head == TRI_HEAD_UNSIGNED && number > INT64_MAX)
        return over_limit(error, place, number, INT64_MAX);
    *value = (int64_t)number;
    return TRI_OK;
}

/* The body of a string or binary: `wanted` says which of the two. */
static enum tri_status decode_bytes(enum tri_head wanted,
                                    uint64_t max,
                                    struct tri_cursor *cursor,
                                    struct tri_bytes *bytes,
                                    const struct place *place,
                                    struct tri_error *error)
{
    uint64_t size;
    enum tri_head head = tri_head_read(cursor, &size);

    if (head != wanted)
        return wrong_type(error, place, tri_head_text(wanted), head);
    if (size > max)
        return fail(error, TRI_INVALID, place, "%" PRIu64 " bytes are over the limit %" PRIu64,
                    size, max);
    if (size > tri_cursor_left(cursor))
        return fail(error, TRI_INVALID, place, "a length over the bytes left");
    *bytes = (struct tri_bytes){ cursor->at, size };
    cursor->at += size;
    return TRI_OK;
}

static enum tri_status decode_ranges(const struct tri_field *field,
                                     struct tri_cursor *cursor,
                                     struct tri_ranges *ranges,
                                     const struct place *place,
                                     struct tri_error *error)
{
    struct tri_bytes bytes;
    uint64_t max = field->max * sizeof(struct tri_range);
    enum tri_status status = decode_bytes(TRI_HEAD_BINARY, max, cursor, &bytes, place, error);
    size_t wrong;

    if (status != TRI_OK)
        return status;
    if (bytes.size % sizeof(struct tri_range) != 0)
        return fail(error, TRI_INVALID, place, "%zu bytes are not whole ranges", bytes.size);
    *ranges = (struct tri_ranges){ bytes.data, bytes.size / sizeof(struct tri_range) };
    wrong = tri_ranges_check(*ranges);
    if (wrong != ranges->count)
        return fail(error, TRI_INVALID, place,
                    "range %zu is empty, out of order, overlapping or past 2^63 - 1", wrong);
    return TRI_OK;
}

static enum tri_status decode_record(const struct tri_shape *shape,
                                     struct tri_cursor *cursor,
                                     void *record,
                                     const struct place *place,
                                     struct tri_error *error);

/* Walk a list's records into a scratch record: afterwards taking them again cannot fail. */
static enum tri_status decode_list(const struct tri_field *field,
                                   struct tri_cursor *cursor,
                                   struct tri_list *list,
                                   const struct place *place,
                                   struct tri_error *error)
{
    const struct tri_shape *shape = tri_record_shape(field->record);
    struct place item = { place, shape->name, 0 };
    union tri_any_record scratch;
    uint64_t count;
    enum tri_head head = tri_head_read(cursor, &count);
    const uint8_t *start = cursor->at;

    if (head != TRI_HEAD_ARRAY)
        return wrong_type(error, place, "an array", head);
    if (count > field->max)
        return fail(error, TRI_INVALID, place, "%" PRIu64 " records are over the limit %" PRIu64,
                    count, field->max);
    for (; item.index < count; item.index++) {
        enum tri_status status = decode_record(shape, cursor, &scratch, &item, error);

        if (status != TRI_OK)
            return status;
    }
    *list = (struct tri_list){ start, (size_t)(cursor->at - start), count };
    return TRI_OK;
}

static enum tri_status decode_field(const struct tri_field *field,
                                    struct tri_cursor *cursor,
                                    void *slot,
                                    const struct place *outer,
                                    struct tri_error *error)
{
    struct place place = { outer, field->name, NOT_IN_LIST };

    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        return decode_unsigned(field, cursor, slot, &place, error);
    case TRI_FIELD_SIGNED:
        return decode_signed(cursor, slot, &place, error);
    case TRI_FIELD_STRING:
        return decode_bytes(TRI_HEAD_STRING, field->max, cursor, slot, &place, error);
    case TRI_FIELD_BINARY:
        return decode_bytes(TRI_HEAD_BINARY, field->max, cursor, slot, &place, error);
    case TRI_FIELD_RANGES:
        return decode_ranges(field, cursor, slot, &place, error);
    case TRI_FIELD_LIST:
        return decode_list(field, cursor, slot, &place, error);
    }
    return TRI_INVALID;
}

/* No extension is defined yet, so every even key is skipped and every odd key refused. Keys must
 * ascend: no key can then be given twice. */
static enum tri_status decode_extensions(struct tri_cursor *cursor,
                                         const struct place *outer,
                                         struct tri_error *error)
{
    struct place place = { outer, "extensions", NOT_IN_LIST };
    const uint8_t *start = cursor->at;
    uint64_t count;
    uint64_t last = 0;
    enum tri_head head = tri_head_read(cursor, &count);

    if (head != TRI_HEAD_MAP)
        return wrong_type(error, &place, "a map", head);
    if (count > TRI_EXTENSION_COUNT_MAX)
        return over_limit(error, &place, count, TRI_EXTENSION_COUNT_MAX);
    for (uint64_t i = 0; i < count; i++) {
        enum tri_status status;
        uint64_t key;
        size_t size;

        head = tri_head_read(cursor, &key);
        if (head != TRI_HEAD_UNSIGNED)
            return wrong_type(error, &place, "an unsigned key", head);
        if (i > 0 && key <= last)
            return fail(error, TRI_INVALID, &place, "key %" PRIu64 " is out of order", key);
        if (key % 2 == 1)
            return fail(error, TRI_UNSUPPORTED, &place,
                        "critical extension %" PRIu64 " is not known here", key);
        last = key;
        status = tri_guard("extension", (struct tri_bytes){ cursor->at, tri_cursor_left(cursor) },
                           &size, error);
        if (status != TRI_OK)
            return status;
        cursor->at += size;
    }
    if (cursor->at - start > TRI_EXTENSION_BYTES_MAX)
        return over_limit(error, &place, (uint64_t)(cursor->at - start), TRI_EXTENSION_BYTES_MAX);
    return TRI_OK;
}

/* The `count` values that follow an array header, as the fields of `shape`. */
static enum tri_status decode_fields(const struct tri_shape *shape,
                                     uint64_t count,
                                     struct tri_cursor *cursor,
                                     uint8_t *slot,
                                     const struct place *place,
                                     struct tri_error *error)
{
    if (count < shape->count || count > shape->count + 1)
        return fail(error, TRI_INVALID, place, "%" PRIu64 " fields, expected %zu", count,
                    shape->count);
    for (size_t i = 0; i < shape->count; i++) {
        const struct tri_field *field = &shape->fields[i];
        enum tri_status status = decode_field(field, cursor, slot, place, error);

        if (status != TRI_OK)
            return status;
        slot += tri_field_size(field->kind);
    }
    return count > shape->count ? decode_extensions(cursor, place, error) : TRI_OK;
}

static enum tri_status decode_record(const struct tri_shape *shape,
                                     struct tri_cursor *cursor,
                                     void *record,
                                     const struct place *place,
                                     struct tri_error *error)
{
    uint64_t count;
    enum tri_head head = tri_head_read(cursor, &count);

    if (head != TRI_HEAD_ARRAY)
        return wrong_type(error, place, "an array", head);
    return decode_fields(shape, count, cursor, record, place, error);
}

enum tri_status tri_message_decode(struct tri_bytes frame,
                                   struct tri_message *message,
                                   struct tri_error *error)
{
    struct tri_cursor cursor = tri_cursor_of(frame);
    const struct tri_shape *shape;
    struct place place = { NULL, "message", NOT_IN_LIST };
    enum tri_head head;
    uint64_t count;
    uint64_t type;
    size_t size;
    enum tri_status status = tri_guard("message", frame, &size, error);

    if (status != TRI_OK)
        return status;
    if (size != frame.size)
        return fail(error, TRI_INVALID, &place, "%zu bytes follow it", frame.size - size);
    head = tri_head_read(&cursor, &count);
    if (head != TRI_HEAD_ARRAY || count == 0)
        return fail(error, TRI_INVALID, &place, "an array with a type expected");
    head = tri_head_read(&cursor, &type);
    if (head != TRI_HEAD_UNSIGNED)
        return wrong_type(error, &place, "a type number", head);
    shape = tri_message_shape(type);
    if (shape == NULL)
        return fail(error, TRI_UNSUPPORTED, &place, "type %" PRIu64 " is not known here", type);
    message->type = (enum tri_message_type)type;
    place.name = shape->name;
    return decode_fields(shape, count - 1, &cursor, (uint8_t *)&message->hello, &place, error);
}

enum tri_status tri_record_decode_head(enum tri_record_type type,
                                       struct tri_bytes bytes,
                                       void *record,
                                       size_t *size,
                                       struct tri_error *error)
{
    const struct tri_shape *shape = tri_record_shape(type);
    struct tri_cursor cursor = tri_cursor_of(bytes);
    struct place place = { NULL, shape->name, NOT_IN_LIST };
    enum tri_status status = tri_guard(shape->name, bytes, size, error);

    if (status != TRI_OK)
        return status;
    return decode_record(shape, &cursor, record, &place, error);
}

enum tri_status tri_record_decode(enum tri_record_type type,
                                  struct tri_bytes bytes,
                                  void *record,
                                  struct tri_error *error)
{
    size_t size = 0;
    enum tri_status status = tri_record_decode_head(type, bytes, record, &size, error);

    if (status == TRI_OK && size != bytes.size)
        return tri_fail(error, TRI_INVALID, "%s: %zu bytes follow it", tri_record_shape(type)->name,
                        bytes.size - size);
    return status;
}

bool tri_list_next(struct tri_list *list, enum tri_record_type type, void *record)
{
    struct tri_cursor cursor;
    enum tri_status status;

    if (list->count == 0)
        return false;
    cursor = (struct tri_cursor){ list->data, list->data + list->size };
    status = decode_record(tri_record_shape(type), &cursor, record, NULL, NULL);
    tri_assert(status == TRI_OK);
    list->size -= (size_t)(cursor.at - list->data);
    list->data = cursor.at;
    list->count--;
    return true;
}
