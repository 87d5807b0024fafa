/* Values as text and JSON, and lines of input as values. */
#include "common/json.h"
#include "common/parse.h"
#include "common/show.h"
#include "common/value.h"

static enum tri_status write_json(const struct tri_value *value,
                                  int depth,
                                  struct tri_buffer *out,
                                  struct tri_error *error);

static bool is_key(const struct tri_value *value)
{
    return value->type == TRI_STRING && tri_utf8_is_valid(value->bytes)
           && memchr(value->bytes.data, 0, value->bytes.size) == NULL;
}

/* Is every key of the map a string in UTF-8, without a NUL, which many readers of JSON refuse in a
 * key? (`walk` is a copy.) */
static enum tri_status keys_are_text(struct tri_value_walk walk,
                                     bool *text,
                                     struct tri_error *error)
{
    struct tri_value value;
    enum tri_status status = TRI_OK;

    *text = true;
    for (uint64_t i = 0; i < 2 * (uint64_t)walk.count && status == TRI_OK; i++) {
        status = tri_value_walk_next(&walk, &value, error);
        if (status == TRI_OK && i % 2 == 0)
            *text = *text && is_key(&value);
    }
    return status;
}

/* Write the next value of the walk. */
static enum tri_status write_next(struct tri_value_walk *walk,
                                  int depth,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    struct tri_value value;
    enum tri_status status = tri_value_walk_next(walk, &value, error);

    return status == TRI_OK ? write_json(&value, depth + 1, out, error) : status;
}

static enum tri_status write_array(struct tri_value_walk *walk,
                                   int depth,
                                   struct tri_buffer *out,
                                   struct tri_error *error)
{
    enum tri_status status = TRI_OK;

    tri_json_raw(out, "[");
    for (uint32_t i = 0; i < walk->count && status == TRI_OK; i++) {
        if (i > 0)
            tri_json_raw(out, ",");
        status = write_next(walk, depth, out, error);
    }
    tri_json_raw(out, "]");
    return status;
}

static enum tri_status write_map(struct tri_value_walk *walk,
                                 int depth,
                                 struct tri_buffer *out,
                                 struct tri_error *error)
{
    bool text;
    enum tri_status status = keys_are_text(*walk, &text, error);

    if (status != TRI_OK)
        return status;
    tri_json_raw(out, text ? "{" : "{\"map\":[");
    for (uint32_t i = 0; i < walk->count && status == TRI_OK; i++) {
        if (i > 0)
            tri_json_raw(out, ",");
        if (!text)
            tri_json_raw(out, "[");
        status = write_next(walk, depth, out, error);
        tri_json_raw(out, text ? ":" : ",");
        if (status == TRI_OK)
            status = write_next(walk, depth, out, error);
        if (!text)
            tri_json_raw(out, "]");
    }
    tri_json_raw(out, text ? "}" : "]}");
    return status;
}

static enum tri_status write_compound(const struct tri_value *value,
                                      int depth,
                                      struct tri_buffer *out,
                                      struct tri_error *error)
{
    struct tri_value_walk walk;
    enum tri_status status = tri_value_walk(value, &walk, error);

    if (status == TRI_OK && depth >= TRI_VALUE_DEPTH_MAX)
        status = tri_fail(error, TRI_INVALID, "nested deeper than %d", TRI_VALUE_DEPTH_MAX);
    if (status == TRI_OK)
        status = walk.is_map ? write_map(&walk, depth, out, error)
                             : write_array(&walk, depth, out, error);
    if (status == TRI_OK && walk.rest.size != 0)
        status = tri_fail(error, TRI_INVALID, "msgpack: %zu bytes too many behind the value",
                          walk.rest.size);
    return status;
}

static enum tri_status write_json(const struct tri_value *value,
                                  int depth,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    switch (value->type) {
    case TRI_ANY:
    case TRI_NIL:
        tri_json_raw(out, "null");
        break;
    case TRI_BOOL:
        tri_json_bool(out, value->boolean);
        break;
    case TRI_INT:
        tri_json_int(out, value->integer);
        break;
    case TRI_FLOAT:
        tri_json_double(out, value->number);
        break;
    case TRI_STRING:
    case TRI_BINARY:
        tri_json_bytes(out, value->bytes);
        break;
    case TRI_COMPOUND:
        return write_compound(value, depth, out, error);
    }
    return TRI_OK;
}

enum tri_status tri_value_to_json(const struct tri_value *value,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    size_t start = out->size;
    enum tri_status status = write_json(value, 0, out, error);

    if (status != TRI_OK)
        out->size = start;
    return status;
}

enum tri_status tri_value_to_text(const struct tri_value *value,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    if (value->type != TRI_STRING && value->type != TRI_BINARY)
        return tri_value_to_json(value, out, error);
    tri_buffer_append(out, value->bytes.data, value->bytes.size);
    return TRI_OK;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool is_word(struct tri_bytes line, const char *word)
{
    return line.size == strlen(word) && memcmp(line.data, word, line.size) == 0;
}

static enum tri_status bool_from_line(struct tri_bytes line,
                                      struct tri_value *value,
                                      struct tri_error *error)
{
    if (line.size == 0 || (!is_word(line, "true") && !is_word(line, "false")))
        return tri_fail(error, TRI_INVALID, "%s is neither true nor false", TRI_SHOW(line));
    *value = tri_value_bool(line.data[0] == 't');
    return TRI_OK;
}

enum tri_status tri_value_from_line(struct tri_bytes line,
                                    enum tri_type want,
                                    struct tri_value *value,
                                    struct tri_error *error)
{
    switch (want) {
    case TRI_ANY:
    case TRI_STRING:
        *value = tri_value_string(line.data, line.size);
        return TRI_OK;
    case TRI_BINARY:
        *value = tri_value_binary(line.data, line.size);
        return TRI_OK;
    case TRI_NIL:
        if (line.size != 0)
            return tri_fail(error, TRI_INVALID, "%s is not empty, and no argument is wanted",
                            TRI_SHOW(line));
        *value = tri_value_nil();
        return TRI_OK;
    case TRI_BOOL:
        return bool_from_line(line, value, error);
    case TRI_INT:
        *value = tri_value_int(0);
        return tri_parse_bytes_i64(line, &value->integer, error);
    case TRI_FLOAT:
        *value = tri_value_float(0);
        return tri_parse_bytes_double(line, &value->number, error);
    case TRI_COMPOUND:
        break;
    }
    return tri_fail(error, TRI_INVALID, "an array or map is read from JSON only (--from-json)");
}
