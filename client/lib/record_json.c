#include "client/lib/record_json.h"

#include "common/json.h"
#include "common/proto/codec.h"
#include "common/proto/shape.h"
#include "common/value.h"

#include <stdio.h>

/* ---- numbers that are words ----------------------------------------------------------------- */

static const char *state_text(uint64_t number)
{
    static const char *const texts[] = {
#define X(name, code, text) [code] = text,
        TRI_BATCH_STATE_MAP(X)
#undef X
    };

    return number < TRI_COUNT_OF(texts) ? texts[number] : "?";
}

static const char *worker_state_text(uint64_t number)
{
    static const char *const texts[] = { "up", "silent", "lost" };

    return number < TRI_COUNT_OF(texts) ? texts[number] : "?";
}

static const char *source_text(uint64_t number)
{
    return number == TRI_SOURCE_RANGE ? "range" : "items";
}

static const char *halt_text(uint64_t number)
{
    static const char *const texts[] = { "never", "soon", "now" };

    return number < TRI_COUNT_OF(texts) ? texts[number] : "?";
}

static const struct {
    enum tri_record_type type;
    const char *field;
    const char *key; /* as it is called in JSON */
    const char *(*text)(uint64_t number);
} words[] = {
    { TRI_RECORD_BATCH_INFO, "state", "state", state_text },
    { TRI_RECORD_BATCH_INFO, "model", "model", tri_model_text },
    { TRI_RECORD_WORKER_INFO, "state", "state", worker_state_text },
    { TRI_RECORD_SPEC, "source", "source", source_text },
    { TRI_RECORD_SPEC, "model", "model", tri_model_text },
    { TRI_RECORD_SPEC, "halt", "halt", halt_text },
    { TRI_RECORD_ENTRY, "outcome", "status", tri_outcome_text },
    { TRI_RECORD_ENTRY, "model", "model", tri_model_text },
    { TRI_RECORD_ATTEMPT, "outcome", "status", tri_outcome_text },
    { TRI_RECORD_ATTEMPT, "model", "model", tri_model_text },
    { TRI_RECORD_HANDLER, "argument", "argument", tri_type_text },
};

static void write_key(struct tri_buffer *out, const char *key, bool *any)
{
    tri_json_raw(out, *any ? "," : "");
    tri_json_string(out, key);
    tri_json_raw(out, ":");
    *any = true;
}

static void write_number(enum tri_record_type type,
                         const char *field,
                         uint64_t number,
                         bool *any,
                         struct tri_buffer *out)
{
    for (size_t i = 0; i < TRI_COUNT_OF(words); i++) {
        if (words[i].type == type && strcmp(words[i].field, field) == 0) {
            write_key(out, words[i].key, any);
            tri_json_string(out, words[i].text(number));
            return;
        }
    }
    write_key(out, field, any);
    tri_json_uint(out, number);
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* 16 bytes are an identity; the value of an entry is msgpack. */
static void write_binary(enum tri_record_type type, struct tri_bytes bytes, struct tri_buffer *out)
{
    struct tri_value value;
    char uuid[40] = "";
    char *at = uuid;

    if (type == TRI_RECORD_ENTRY) {
        if (bytes.size == 0 || tri_value_unpack_whole(bytes, &value, NULL) != TRI_OK
            || tri_value_to_json(&value, out, NULL) != TRI_OK)
            tri_json_raw(out, "null");
        return;
    }
    for (size_t i = 0; i < bytes.size && i < 16; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes.data[i]);
    tri_json_string(out, uuid);
}

static void write_ranges(struct tri_ranges ranges, struct tri_buffer *out)
{
    tri_json_raw(out, "[");
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        tri_json_raw(out, i != 0 ? ",[" : "[");
        tri_json_uint(out, range.first);
        tri_json_raw(out, ",");
        tri_json_uint(out, range.count);
        tri_json_raw(out, "]");
    }
    tri_json_raw(out, "]");
}

static void write_list(struct tri_list list, enum tri_record_type type, struct tri_buffer *out)
{
    bool any = false;

    tri_json_raw(out, "[");
    tri_list_json(list, type, &any, out);
    tri_json_raw(out, "]");
}

static void write_field(enum tri_record_type type,
                        const struct tri_field *field,
                        const void *slot,
                        bool *any,
                        struct tri_buffer *out)
{
    if (field->kind == TRI_FIELD_UNSIGNED) {
        write_number(type, field->name, *(const uint64_t *)slot, any, out);
        return;
    }
    write_key(out, field->name, any);
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        break;
    case TRI_FIELD_SIGNED:
        tri_json_int(out, *(const int64_t *)slot);
        break;
    case TRI_FIELD_STRING:
        tri_json_bytes(out, *(const struct tri_bytes *)slot);
        break;
    case TRI_FIELD_BINARY:
        write_binary(type, *(const struct tri_bytes *)slot, out);
        break;
    case TRI_FIELD_RANGES:
        write_ranges(*(const struct tri_ranges *)slot, out);
        break;
    case TRI_FIELD_LIST:
        write_list(*(const struct tri_list *)slot, field->record, out);
        break;
    }
}

void tri_record_json(enum tri_record_type type, const void *record, struct tri_buffer *out)
{
    const struct tri_shape *shape = tri_record_shape(type);
    const uint8_t *slot = record;
    bool any = false;

    tri_json_raw(out, "{");
    for (size_t i = 0; i < shape->count; i++) {
        write_field(type, &shape->fields[i], slot, &any, out);
        slot += tri_field_size(shape->fields[i].kind);
    }
    tri_json_raw(out, "}");
}

void tri_list_json(struct tri_list list,
                   enum tri_record_type type,
                   bool *any,
                   struct tri_buffer *out)
{
    union tri_any_record record;

    while (tri_list_next(&list, type, &record)) {
        tri_json_raw(out, *any ? "," : "");
        *any = true;
        if (type == TRI_RECORD_TEXT)
            tri_json_bytes(out, record.text.text);
        else
            tri_record_json(type, &record, out);
    }
}
