/* value.h - values to msgpack, text and JSON, and back.
 *
 * Packing and unpacking scalars is inline: it stands on the path of every task. Decoding accepts
 * any bytes: a value or TRI_INVALID with a text, never a read outside them, never memory in
 * proportion to a claimed length.
 *
 * Threads: pure functions.
 * Memory:  an unpacked value borrows from the bytes it was unpacked from.
 * Errors:  writers fail only with memory: they set out->failed, check it once at the end.
 * Limits:  compounds nest at most TRI_VALUE_DEPTH_MAX deep; a msgpack uint above INT64_MAX and an
 *          extension type are TRI_INVALID.
 */
#ifndef TRI_COMMON_VALUE_H
#define TRI_COMMON_VALUE_H

#include "common/buffer.h"
#include "common/types.h"

#define TRI_VALUE_DEPTH_MAX 16

/* ---- make ----------------------------------------------------------------------------------- */

static inline struct tri_value tri_value_nil(void)
{
    return (struct tri_value){ .type = TRI_NIL };
}

static inline struct tri_value tri_value_bool(bool boolean)
{
    return (struct tri_value){ .type = TRI_BOOL, .boolean = boolean };
}

static inline struct tri_value tri_value_int(int64_t integer)
{
    return (struct tri_value){ .type = TRI_INT, .integer = integer };
}

static inline struct tri_value tri_value_float(double number)
{
    return (struct tri_value){ .type = TRI_FLOAT, .number = number };
}

static inline struct tri_value tri_value_string(const void *data, size_t size)
{
    return (struct tri_value){ .type = TRI_STRING, .bytes = { (const uint8_t *)data, size } };
}

static inline struct tri_value tri_value_binary(const void *data, size_t size)
{
    return (struct tri_value){ .type = TRI_BINARY, .bytes = { (const uint8_t *)data, size } };
}

/* ---- msgpack -------------------------------------------------------------------------------- */

/* Append the shortest msgpack of `value`. A COMPOUND's bytes are appended as they are. */
static inline void tri_value_pack(struct tri_buffer *out, const struct tri_value *value);

/* Pieces of compounds: a scalar, or the head of an array or map whose elements follow. */
static inline void tri_pack_int(struct tri_buffer *out, int64_t integer);
static inline void tri_pack_string(struct tri_buffer *out, const void *data, size_t size);
void tri_pack_uint(struct tri_buffer *out, uint64_t integer);
void tri_pack_float(struct tri_buffer *out, double number);
void tri_pack_text(struct tri_buffer *out, const char *text);
void tri_pack_binary(struct tri_buffer *out, const void *data, size_t size);
void tri_pack_string_head(struct tri_buffer *out, uint32_t size); /* `size` bytes follow */
void tri_pack_binary_head(struct tri_buffer *out, uint32_t size);
void tri_pack_array(struct tri_buffer *out, uint32_t count);
void tri_pack_map(struct tri_buffer *out, uint32_t count);

/* Read the value at the start of `bytes`; `*size` is what it took. */
static inline enum tri_status tri_value_unpack(struct tri_bytes bytes,
                                               struct tri_value *value,
                                               size_t *size,
                                               struct tri_error *error);

/* The same, and the value must use all of `bytes`. */
enum tri_status tri_value_unpack_whole(struct tri_bytes bytes,
                                       struct tri_value *value,
                                       struct tri_error *error);

/* A walk through the inside of a compound. After tri_value_walk says it is an array or map of
 * `count` elements (a map: of count pairs, 2 * count values), take them one by one with
 * tri_value_walk_next. */
struct tri_value_walk {
    struct tri_bytes rest;
    uint32_t count;
    bool is_map;
};
enum tri_status tri_value_walk(const struct tri_value *compound,
                               struct tri_value_walk *walk,
                               struct tri_error *error);
enum tri_status tri_value_walk_next(struct tri_value_walk *walk,
                                    struct tri_value *value,
                                    struct tri_error *error);

/* ---- text and JSON -------------------------------------------------------------------------- */

/* The text as the command line shows it: strings and binary raw, everything else JSON. A compound
 * that cannot be read is TRI_INVALID, and `out` is as it was. */
enum tri_status tri_value_to_text(const struct tri_value *value,
                                  struct tri_buffer *out,
                                  struct tri_error *error);

/* JSON (RFC 8259) on one line. Strings and binary that are not UTF-8 become {"base64":"..."}; a
 * float always has a '.' or an exponent; NaN and the infinities become the strings "NaN",
 * "Infinity", "-Infinity"; a map whose keys are not all UTF-8 strings becomes
 * {"map":[[key,value],...]}. */
enum tri_status tri_value_to_json(const struct tri_value *value,
                                  struct tri_buffer *out,
                                  struct tri_error *error);

/* Append the msgpack of one JSON text (blanks around it allowed). Integers must fit 64 bits, an
 * object of the single key "base64" becomes binary. Needs target tri_json (jansson). */
enum tri_status tri_value_pack_json(struct tri_bytes json,
                                    struct tri_buffer *out,
                                    struct tri_error *error);

/* ---- types ---------------------------------------------------------------------------------- */

/* The argument for one line of input. ANY and STRING keep the bytes exactly ("007" stays "007"),
 * BINARY too; INT, FLOAT, BOOL ("true", "false") are read strictly; NIL wants an empty line;
 * COMPOUND is not readable from a line (use JSON input). The value borrows from `line`.
 * TRI_INVALID:
 * `"abc" is not an integer`. */
enum tri_status tri_value_from_line(struct tri_bytes line,
                                    enum tri_type want,
                                    struct tri_value *value,
                                    struct tri_error *error);

/* True when a value of this type may be given where `declared` is: the same type, ANY for all, an
 * integer for a number. */
static inline bool tri_value_accepts(enum tri_type declared, const struct tri_value *value)
{
    return declared == TRI_ANY || declared == value->type
           || (declared == TRI_FLOAT && value->type == TRI_INT);
}

/* Make an integer a float where a float is declared; anything else stays as it is. */
static inline void tri_value_coerce(enum tri_type declared, struct tri_value *value)
{
    if (declared == TRI_FLOAT && value->type == TRI_INT)
        *value = tri_value_float((double)value->integer);
}

/* TRI_OK, or TRI_INVALID: `the argument is a string, wanted an integer`. */
enum tri_status tri_value_check(enum tri_type declared,
                                const struct tri_value *value,
                                struct tri_error *error);

/* The same type and the same bytes; floats by their bits. */
bool tri_value_equals(const struct tri_value *a, const struct tri_value *b);

#include "common/value_inline.h"

#endif
